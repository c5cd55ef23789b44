package hashlookup

import (
	"context"
	"fmt"
	"net/http"

	"midden/internal/cowrie"
	"midden/internal/enrich/source"
)

// DefaultBaseURL is CIRCL's own server.
const DefaultBaseURL = "https://hashlookup.circl.lu"

const name = "CIRCL hashlookup"

// Client asks CIRCL hashlookup. Each call is one request. It may be used by
// several goroutines at once.
type Client struct{ http *source.Client }

// Format writes whom the client asks.
func (c Client) Format(f fmt.State, verb rune) { c.http.Format(f, verb) }

// NewClient returns a client, or the error of source.NewClient. It asks nothing
// yet, and sends no key.
func NewClient(o source.Options) (*Client, error) {
	c, err := source.NewClient(source.API{Name: name, BaseURL: DefaultBaseURL}, o)
	if err != nil {
		return nil, err
	}
	return &Client{c}, nil
}

// Name is under which its verdicts are kept.
func (c *Client) Name() string { return cowrie.SourceHashlookup }

// File asks for the record of the file with this SHA-256. That there is none is
// an answer; any error is a *source.Error.
func (c *Client) File(ctx context.Context, shasum string) (source.Answer, error) {
	shasum, ok := cowrie.Shasum([]byte(shasum))
	if !ok {
		return source.Answer{}, &source.Error{Source: name, Kind: source.Permanent, Err: source.ErrNoShasum}
	}
	r, failed := c.http.Get(ctx, "lookup", "sha256", shasum)
	if failed != nil {
		return source.Answer{}, failed
	}
	a, err := parse(r, shasum)
	if err == nil && c.http.Echoes(r.Body) { // it must not be kept
		err = source.ErrEcho
	}
	if err != nil {
		return source.Answer{}, c.refusal(r, err)
	}
	a.Body = r.Body
	return a, nil
}

// refusal makes an error of a reply that is no answer, for this reason if it
// gives none itself.
func (c *Client) refusal(r *source.Reply, why error) *source.Error {
	var m message
	source.Decode(r.Body, &m)
	kind := source.Transient
	switch {
	case r.Status == http.StatusTooManyRequests:
		kind = source.QuotaSpent
	case r.Status == http.StatusBadRequest && m.Text != "":
		kind = source.Permanent
	}
	if r.Status >= 400 && m.Text != "" && why == source.ErrNotTheirs {
		why = nil // the message says it
	}
	return c.http.Refusal(r, kind, "", m.Text, why)
}
