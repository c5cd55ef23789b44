package virustotal

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"midden/internal/cowrie"
	"midden/internal/enrich/source"
)

// DefaultBaseURL is VirusTotal's own server.
const DefaultBaseURL = "https://www.virustotal.com"

// Client asks VirusTotal. Each call is one request. It may be used by several
// goroutines at once.
type Client struct {
	http *source.Client
	key  func() string // a function: no way of printing looks into it
}

// Format writes whom the client asks.
func (c Client) Format(f fmt.State, verb rune) { c.http.Format(f, verb) }

// NewClient returns a client, or the error of source.NewClient. It asks nothing
// yet.
func NewClient(o source.Options) (*Client, error) {
	c, err := source.NewClient(source.API{Name: "VirusTotal", BaseURL: DefaultBaseURL, Root: "/api/v3", KeyHeader: "X-Apikey"}, o)
	if err != nil {
		return nil, err
	}
	return &Client{c, o.Key.Reveal}, nil
}

// Name is under which its verdicts are kept.
func (c *Client) Name() string { return cowrie.SourceVirusTotal }

// Clock returns the time by VirusTotal's clock, to a second or so; false if none
// of its answers has told it yet.
func (c *Client) Clock() (time.Time, bool) { return c.http.Clock() }

// File asks for the report on the file with this SHA-256. That VirusTotal does
// not know the file is an answer; any error is a *source.Error.
func (c *Client) File(ctx context.Context, shasum string) (source.Answer, error) {
	shasum, ok := cowrie.Shasum([]byte(shasum))
	if !ok {
		return source.Answer{}, &source.Error{Source: "VirusTotal", Kind: source.Permanent, Err: source.ErrNoShasum}
	}
	r, failed := c.http.Get(ctx, "files", shasum)
	if failed != nil {
		return source.Answer{}, failed
	}
	code, _ := errorBody(r.Body)
	unknown := r.Status == http.StatusNotFound && code == notFound
	if !unknown && r.Status != http.StatusOK {
		return source.Answer{}, c.refusal(r, nil)
	}
	if c.http.Echoes(r.Body) { // it must not be kept
		e := c.refusal(r, source.ErrEcho)
		e.Kind = source.Transient
		return source.Answer{}, e
	}
	if unknown {
		return source.Answer{Verdict: cowrie.NewVerdict(shasum, cowrie.SourceVirusTotal, cowrie.NoTime), Body: r.Body}, nil
	}
	v, err := ParseFile(r.Body)
	if err == nil && v.Shasum != shasum {
		err = source.ErrOtherFile
	}
	if err != nil {
		return source.Answer{}, c.refusal(r, err)
	}
	return source.Answer{Verdict: v, Known: true, Body: r.Body}, nil
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
