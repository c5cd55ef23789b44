package source

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"midden/internal/secret"
)

// What a client does unless it is told otherwise.
const (
	DefaultTimeout = 30 * time.Second
	DefaultMaxBody = 16 << 20
)

// Options say whom a client asks, and how.
type Options struct {
	// BaseURL is an http or https URL, with a path if a proxy serves the API below
	// one; "" is the source's own. A user name and a password in it are sent along,
	// and shown nowhere.
	BaseURL string
	Key     secret.Secret
	// UserAgent is the name of the program, such as "midden/1.0".
	UserAgent string
	// Timeout is for one request from its beginning to the last byte of the
	// answer; 0 is DefaultTimeout.
	Timeout time.Duration
	// MaxBody is how many bytes an answer may have once it is decompressed; 0 is
	// DefaultMaxBody.
	MaxBody int64
	// Transport makes the requests; nil is one that keeps connections open, speaks
	// HTTP/2 where the server does, and honours the proxies of the environment.
	Transport http.RoundTripper
}

// String tells the options without what is secret in them. (Where options stand
// in an unexported field, package fmt does not ask: then the credentials of a
// base URL show, though not the key.)
func (o Options) String() string {
	return fmt.Sprintf("{BaseURL:%s Key:%s UserAgent:%s Timeout:%v MaxBody:%d}",
		shown(o.BaseURL), o.Key, printable(o.UserAgent), o.Timeout, o.MaxBody)
}

// Format writes what String returns, whatever the verb.
func (o Options) Format(f fmt.State, _ rune) { fmt.Fprint(f, o.String()) }

// MarshalJSON tells the options without what is secret in them.
func (o Options) MarshalJSON() ([]byte, error) { return json.Marshal(o.String()) }

// shown is what of a base URL may be shown: scheme and host.
func shown(base string) string {
	u, err := url.Parse(base)
	if err != nil || u.Host == "" {
		return hidden
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host}).String()
}

// API is what is the same in all requests to a source.
type API struct {
	Name      string // as people call the source, such as VirusTotal
	BaseURL   string // that is asked if the options name none
	Root      string // the path below which the API is, such as /api/v3; may be ""
	KeyHeader string // the header that has the key; "" if there is no key
}

// Why a client cannot be made.
var (
	ErrBaseURL   = errors.New("the base URL is no http or https URL")
	ErrNoKey     = errors.New("there is no key")
	ErrBadKey    = errors.New("the key has characters that no key has")
	ErrUserAgent = errors.New("the name of the program has characters that no header may have")
)

// Client asks a source. Each call is one request: there are no retries in it and
// no limit of their rate, as quota and retries are the caller's to keep. It may
// be used by several goroutines at once.
type Client struct {
	// What is secret is in functions alone: no way of printing looks into them.
	request   func(ctx context.Context, method string, path ...string) *http.Request
	clean     func(string) string // makes a text of others fit to be shown
	echoes    func([]byte) bool   // a body that repeats the key
	name      string
	origin    string // scheme and host of the base URL
	transport http.RoundTripper
	timeout   time.Duration
	maxBody   int64
	http1     *atomic.Bool // the last answer came by HTTP/1
	clock     *clock
}

// Format writes whom the client asks.
func (c Client) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "source.Client(%s)", c.origin) }

// NewClient returns a client, or an error that is ErrBaseURL, ErrNoKey,
// ErrBadKey or ErrUserAgent. It asks nothing yet.
func NewClient(api API, o Options) (*Client, error) {
	c, err := newClient(api, o)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", api.Name, err)
	}
	return c, nil
}

func newClient(api API, o Options) (*Client, error) {
	base, err := url.Parse(strings.TrimSpace(orElse(o.BaseURL, api.BaseURL)))
	if err != nil || base.Scheme != "http" && base.Scheme != "https" || base.Hostname() == "" ||
		base.RawQuery != "" || base.Fragment != "" {
		return nil, ErrBaseURL // the reason would show the URL
	}
	key := o.Key.Reveal()
	switch {
	case key == "" && api.KeyHeader != "":
		return nil, ErrNoKey
	case !valid(key):
		return nil, ErrBadKey
	case strings.ContainsFunc(o.UserAgent, func(r rune) bool { return r < ' ' || r > '~' }):
		return nil, ErrUserAgent
	}
	name, password, basic := "", "", ""
	if base.User != nil {
		name = base.User.Username()
		password, _ = base.User.Password()
		basic = base64.StdEncoding.EncodeToString([]byte(name + ":" + password))
	}
	hideAll := hide(key, orElse(password, name), basic)
	header := http.Header{"Accept": {"application/json"}, "User-Agent": {userAgent(o.UserAgent)},
		// Said here, the transport leaves the body as it is: what is read of it is
		// counted as it will be kept, and compression that breaks off is an error.
		"Accept-Encoding": {"gzip"}}
	if api.KeyHeader != "" {
		header.Set(api.KeyHeader, key)
	}
	if basic != "" {
		header.Set("Authorization", "Basic "+basic)
	}
	c := &Client{
		request: requests(base, api.Root, header),
		clean:   func(s string) string { return Clip(printable(hideAll(s))) },
		echoes:  func(body []byte) bool { return len(key) >= minSecret && bytes.Contains(body, []byte(key)) },
		name:    api.Name,
		origin:  shown(base.String()),
		timeout: orElse(o.Timeout, DefaultTimeout), maxBody: orElse(o.MaxBody, DefaultMaxBody),
		transport: o.Transport, http1: &atomic.Bool{}, clock: &clock{},
	}
	if c.transport == nil {
		c.transport = NewTransport()
	}
	return c, nil
}

// Echoes reports whether a body repeats the key, so that it must not be kept.
func (c *Client) Echoes(body []byte) bool { return c.echoes(body) }

// minSecret is how long a key is at least that no text holds by chance.
const minSecret = 16

func orElse[T comparable](v, fallback T) T {
	var zero T
	if v == zero {
		return fallback
	}
	return v
}
