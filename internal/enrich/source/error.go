package source

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"midden/internal/cowrie"
)

// Answer is what a source said of a file.
type Answer struct {
	// Verdict is on the file that was asked for. When it was observed is for the
	// caller's clock to say; so far it is NoTime, and Body is nil.
	Verdict cowrie.Verdict
	// Known: the source has the file. If not, nothing in the verdict is said.
	Known bool
	// Good: the source knows the file as one that people publish, so that it makes
	// little sense to ask whether it is malicious.
	Good bool
	Body []byte // as it was answered, decompressed
}

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
	// Transient: there was no answer, or none that is the source's about what was
	// asked. Asking again later may help.
	Transient Kind = "transient"
	// Permanent: the source itself says that the request is wrong. Asking again
	// will not mend it.
	Permanent Kind = "permanent"
	// TooLarge: the answer is larger than it may be.
	TooLarge Kind = "too large"
	// Stopped: the caller's context has ended. Nothing is said of the file; whether
	// the request was counted is not known.
	Stopped Kind = "stopped"
)

// Why a body is not what was asked for.
var (
	ErrNoShasum   = errors.New("it is no SHA-256")
	ErrOtherFile  = errors.New("the answer is about another file")
	ErrEcho       = errors.New("the answer repeats the key")
	ErrNotTheirs  = errors.New("not in its form")
	ErrRedirected = errors.New("a redirect is not followed")
	ErrTooLarge   = errors.New("the answer is too large")
)

// Error is why there is no answer of a source. Nothing in it is secret, and its
// texts can be shown: they are escaped and cut to a sane length.
type Error struct {
	Source  string // as people call it, such as VirusTotal
	Kind    Kind
	Status  int    // of HTTP; 0 if it did not come to that
	Code    string // the source's own, such as QuotaExceededError; "" if there is none
	Message string // the source's own
	// RetryAfter is how long the server asks to wait, at most a day; 0 if it does
	// not ask.
	RetryAfter time.Duration
	// Unsent: there was no connection, so that the source heard of no request.
	Unsent bool
	// Err is the reason if it is not one that the source gave. It can be matched:
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
	return e.Source + ": " + strings.Join(parts, ": ")
}

// KindOf tells what a status means, where the body says nothing more. A page of
// a proxy, whatever its status, is no reason to give up a file.
func KindOf(status int) Kind {
	switch status {
	case http.StatusUnauthorized:
		return KeyRefused
	case http.StatusTooManyRequests:
		return QuotaSpent
	}
	return Transient
}

// Refusal makes an error of a reply that is not what was asked for. code and
// message are the source's own; why is the reason if it gave none.
func (c *Client) Refusal(r *Reply, kind Kind, code, message string, why error) *Error {
	e := &Error{Source: c.name, Kind: kind, Status: r.Status, Code: c.clean(code), Message: c.clean(message),
		RetryAfter: r.retryAfter, Err: why}
	if r.Status >= 300 && r.Status < 400 && (why == nil || why == ErrNotTheirs) {
		e.Err = fmt.Errorf("%w: to %s", ErrRedirected, c.clean(shown(r.location)))
	}
	return e
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
