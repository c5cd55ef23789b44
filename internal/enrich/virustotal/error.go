package virustotal

import (
	"errors"
	"net/http"

	"midden/internal/enrich/source"
)

// ErrNoQuotas: a body that should be quotas tells none.
var ErrNoQuotas = errors.New("the answer tells no quota")

// refusal makes an error of an answer that is not what was asked for: by its
// status, or, if that is 200, for this reason.
func (c *Client) refusal(r *source.Reply, why error) *source.Error {
	code, message := errorBody(r.Body)
	if _, isError := errors.AsType[*AnswerError](why); isError && code != "" {
		why = nil // code and message say it
	} else if isError || why == nil && code == "" {
		why = source.ErrNotTheirs
	}
	return c.http.Refusal(r, kindOf(r.Status, code), code, message, why)
}

// kindOf tells what an error means. Only what VirusTotal itself says, which has
// a code, is taken to be about the request.
func kindOf(status int, code string) source.Kind {
	switch {
	case status == http.StatusUnauthorized, status == http.StatusTooManyRequests, code == "", status < 400, status >= 500:
		return source.KindOf(status)
	case status == http.StatusForbidden:
		return source.Forbidden
	case status == http.StatusProxyAuthRequired, status == http.StatusRequestTimeout, status == http.StatusTooEarly,
		status == http.StatusNotFound && code != notFound:
		return source.Transient
	}
	switch code {
	case "NotAvailableYet", "FailedDependencyError", "TransientError", "DeadlineExceededError":
		return source.Transient
	}
	return source.Permanent
}
