package abusech

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"midden/internal/cowrie"
	"midden/internal/enrich/source"
)

// client is what is the same for both services. Each call is one request. It may
// be used by several goroutines at once.
type client struct {
	http  *source.Client
	title string // as people call the service
	name  string
	path  []string // below the API
	form  func(shasum string) url.Values
	// parse finds what an ok says of a file; nil if that it is not known.
	parse func(body []byte, shasum string) (*entry, error)
}

// Format writes whom the client asks.
func (c client) Format(f fmt.State, verb rune) { c.http.Format(f, verb) }

// connect makes the client that asks.
func (c client) connect(baseURL, root string, o source.Options) (client, error) {
	var err error
	c.http, err = source.NewClient(source.API{Name: c.title, BaseURL: baseURL, Root: root, KeyHeader: "Auth-Key"}, o)
	return c, err
}

// Name is under which its verdicts are kept.
func (c client) Name() string { return c.name }

// File asks about the file with this SHA-256. That the service does not know the
// file is an answer; any error is a *source.Error.
func (c client) File(ctx context.Context, shasum string) (source.Answer, error) {
	shasum, ok := cowrie.Shasum([]byte(shasum))
	if !ok {
		return source.Answer{}, &source.Error{Source: c.title, Kind: source.Permanent, Err: source.ErrNoShasum}
	}
	r, failed := c.http.Post(ctx, c.form(shasum), c.path...)
	if failed != nil {
		return source.Answer{}, failed
	}
	code := queryStatus(r.Body)
	kind := kindOf(r.Status, code)
	if kind != "" {
		return source.Answer{}, c.refusal(r, kind, code, nil)
	}
	if c.http.Echoes(r.Body) { // it must not be kept
		return source.Answer{}, c.refusal(r, source.Transient, "", source.ErrEcho)
	}
	a := source.Answer{Verdict: cowrie.NewVerdict(shasum, c.name, cowrie.NoTime), Body: r.Body}
	if code != statusOK {
		return a, nil
	}
	e, err := c.parse(r.Body, shasum)
	if err != nil {
		return source.Answer{}, c.refusal(r, source.Transient, "", err)
	}
	if e != nil {
		a.Known = true
		e.fill(&a.Verdict)
	}
	return a, nil
}

// refusal makes an error of a reply that is no answer.
func (c client) refusal(r *source.Reply, kind source.Kind, code string, why error) *source.Error {
	if why == nil && code == "" {
		why = source.ErrNotTheirs
	}
	return c.http.Refusal(r, kind, code, "", why)
}

// What stands in query_status if there was an answer.
const (
	statusOK       = "ok"
	statusNotFound = "hash_not_found" // MalwareBazaar's
	statusNone     = "no_results"     // URLhaus's
)

// kindOf tells what a reply means that is no answer; "" if it is one. Both
// services say in the body what came of a query, so that the status says little.
func kindOf(status int, code string) source.Kind {
	switch {
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return source.KeyRefused
	case status == http.StatusTooManyRequests:
		return source.QuotaSpent
	case status != http.StatusOK && (status < 400 || status >= 500):
		return source.Transient
	}
	switch code {
	case statusOK:
		if status == http.StatusOK {
			return ""
		}
	case statusNotFound, statusNone:
		return ""
	case "unknown_auth_key", "no_api_key", "user_blacklisted":
		return source.KeyRefused
	case "illegal_hash", "no_hash_provided", "http_post_expected":
		return source.Permanent
	default:
		if strings.HasPrefix(code, "invalid_sha256") {
			return source.Permanent
		}
	}
	return source.Transient
}
