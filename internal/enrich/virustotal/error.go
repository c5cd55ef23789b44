package virustotal

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Kind says what an error means for whoever asked.
type Kind string

const (
	// KeyRefused: the key is wrong, missing or not active. No request will be
	// answered.
	KeyRefused Kind = "key refused"
	// Forbidden: the key does not allow this kind of request.
	Forbidden Kind = "forbidden"
	// QuotaSpent: there were too many requests. Nothing is said of the file.
	QuotaSpent Kind = "quota spent"
	// Transient: there was no answer, or none that is VirusTotal's about what was
	// asked. Asking again later may help.
	Transient Kind = "transient"
	// Permanent: VirusTotal itself says that the request is wrong. Asking again
	// will not mend it.
	Permanent Kind = "permanent"
	// TooLarge: the answer is larger than it may be.
	TooLarge Kind = "too large"
	// Stopped: the caller's context has ended. Nothing is said of the file; whether
	// the request was counted is not known.
	Stopped Kind = "stopped"
)

// Why a body is not what was asked for. The errors of ParseFile are others.
var (
	ErrNoShasum   = errors.New("it is no SHA-256")
	ErrOtherFile  = errors.New("the answer is about another file")
	ErrEcho       = errors.New("the answer repeats the key")
	ErrNoQuotas   = errors.New("the answer tells no quota")
	errNotTheirs  = errors.New("not in the form of VirusTotal")
	errRedirected = errors.New("a redirect is not followed")
)

// Error is why there is no answer of VirusTotal. Nothing in it is secret, and
// its texts can be shown: they are escaped and cut to a sane length.
type Error struct {
	Kind    Kind
	Status  int    // of HTTP; 0 if it did not come to that
	Code    string // VirusTotal's own, such as QuotaExceededError; "" if there is none
	Message string // VirusTotal's own
	// RetryAfter is how long the server asks to wait, at most a day; 0 if it does
	// not ask.
	RetryAfter time.Duration
	// Err is the reason if it is not one that VirusTotal gave. It can be matched:
	// with the errors of this package, with os.ErrDeadlineExceeded, or, if the kind
	// is Stopped, with the error of the context.
	Err error
}

func (e *Error) Unwrap() error { return e.Err }

func (e *Error) Error() string {
	var parts []string
	if e.Status != 0 {
		parts = append(parts, "HTTP "+strconv.Itoa(e.Status))
	}
	for _, part := range []string{e.Code, e.Message} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	if e.Err != nil {
		parts = append(parts, e.Err.Error())
	}
	if e.RetryAfter > 0 {
		parts = append(parts, fmt.Sprintf("try again in %v", e.RetryAfter.Round(time.Second)))
	}
	return "VirusTotal: " + strings.Join(parts, ": ")
}

const notFound = "NotFoundError"

// errorBody reads an error of VirusTotal. The code is "" if there is none, or
// none that could be VirusTotal's.
func errorBody(body []byte) (code, message string) {
	var b struct {
		Error struct {
			Code    string `json:"code"`
			Message string `json:"message"`
		} `json:"error"`
	}
	if json.Unmarshal(body, &b) != nil || len(b.Error.Code) > 64 {
		return "", ""
	}
	for _, c := range b.Error.Code {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z') {
			return "", ""
		}
	}
	return b.Error.Code, b.Error.Message
}

// refusal makes an error of an answer that is not what was asked for: by its
// status, or, if that is 200, for this reason.
func (c *Client) refusal(r *reply, why error) *Error {
	code, message := errorBody(r.body)
	e := &Error{Kind: kindOf(r.status, code), Status: r.status, Code: c.clean(code), Message: c.clean(message),
		RetryAfter: r.retryAfter, Err: why}
	if _, isError := errors.AsType[*AnswerError](why); isError && code != "" {
		e.Err = nil // code and message say it
	} else if isError || why == nil && code == "" {
		e.Err = errNotTheirs
	}
	if why == nil && r.status >= 300 && r.status < 400 {
		e.Err = fmt.Errorf("%w: to %s", errRedirected, c.clean(shown(r.location)))
	}
	return e
}

// kindOf tells what an error means. Only what VirusTotal itself says, which has
// a code, is taken to be about the request: a page of a proxy, whatever its
// status, is no reason to give up a file.
func kindOf(status int, code string) Kind {
	switch {
	case status == http.StatusUnauthorized:
		return KeyRefused
	case status == http.StatusTooManyRequests:
		return QuotaSpent
	case code == "" || status < 400 || status >= 500:
		return Transient
	case status == http.StatusForbidden:
		return Forbidden
	case status == http.StatusProxyAuthRequired, status == http.StatusRequestTimeout, status == http.StatusTooEarly,
		status == http.StatusNotFound && code != notFound:
		return Transient
	}
	switch code {
	case "NotAvailableYet", "FailedDependencyError", "TransientError", "DeadlineExceededError":
		return Transient
	}
	return Permanent
}

// maxWait bounds what a server may ask to wait: not longer than it takes the
// quota of a day to be whole again.
const maxWait = 24 * time.Hour

// retryAfter reads how long to wait, from 0 to maxWait: seconds, or a time,
// which is reckoned from the server's own clock if it tells that.
func retryAfter(h http.Header, now time.Time) time.Duration {
	text := strings.TrimSpace(h.Get("Retry-After"))
	if seconds, err := strconv.ParseInt(text, 10, 64); err == nil || errors.Is(err, strconv.ErrRange) {
		return time.Duration(min(max(seconds, 0), int64(maxWait/time.Second))) * time.Second
	}
	at, err := http.ParseTime(text)
	if err != nil {
		return 0
	}
	if date, err := http.ParseTime(h.Get("Date")); err == nil {
		now = date
	}
	return min(max(at.Sub(now), 0), maxWait)
}
