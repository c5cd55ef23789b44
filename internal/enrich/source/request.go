package source

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"os"
	"strings"
	"time"
)

// maxErrorBody is how many bytes are read of an answer that is an error.
const maxErrorBody = 64 << 10

// userAgent names the program. VirusTotal's servers compress only for those who
// also say gzip in their name.
func userAgent(name string) string {
	name = orElse(strings.TrimSpace(name), "midden")
	if strings.Contains(name, "gzip") {
		return name
	}
	return name + " (gzip)"
}

// requests returns a function that makes requests for paths below the API, each
// part of a path given apart.
func requests(base *url.URL, root string, header http.Header) func(context.Context, string, ...string) *http.Request {
	root = strings.TrimSuffix(strings.TrimRight(base.EscapedPath(), "/"), root) + root
	return func(ctx context.Context, method string, path ...string) *http.Request {
		escaped := root
		for _, part := range path {
			escaped += "/" + url.PathEscape(part)
		}
		u := &url.URL{Scheme: base.Scheme, Host: base.Host, RawPath: escaped}
		u.Path, _ = url.PathUnescape(escaped) // it was escaped just now
		return (&http.Request{Method: method, URL: u, Header: header.Clone()}).WithContext(ctx)
	}
}

// errProxy is all that is said of a proxy that cannot be one: its URL may hold
// a password.
var errProxy = errors.New("the proxy that the environment names is none")

// NewTransport returns what makes the requests if nothing else is named.
func NewTransport() *http.Transport {
	return &http.Transport{
		Proxy: func(r *http.Request) (*url.URL, error) {
			u, err := http.ProxyFromEnvironment(r)
			if err != nil {
				return nil, errProxy
			}
			return u, nil
		},
		DialContext:         (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout: 10 * time.Second,
		ForceAttemptHTTP2:   true,
		MaxIdleConnsPerHost: 32,
		// Shorter than servers have it: one that closes the connection while it is
		// asked costs a request.
		IdleConnTimeout:        30 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
	}
}

// Reply is an answer that has been read, whatever it says.
type Reply struct {
	Status     int
	Body       []byte // of an error no more than maxErrorBody
	retryAfter time.Duration
	location   string // where it redirects to
}

// Get makes one request for a path below the API.
func (c *Client) Get(ctx context.Context, path ...string) (*Reply, *Error) {
	return c.do(ctx, http.MethodGet, nil, path)
}

// Post makes one request that sends a form to a path below the API.
func (c *Client) Post(ctx context.Context, form url.Values, path ...string) (*Reply, *Error) {
	return c.do(ctx, http.MethodPost, form, path)
}

// do makes one request. Redirects are not followed: the key is for this host
// alone. Whatever the status is, it is an answer; without one there is an error.
func (c *Client) do(ctx context.Context, method string, form url.Values, path []string) (*Reply, *Error) {
	limited, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	connected := false
	request := c.request(httptrace.WithClientTrace(limited, &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { connected = true },
	}), method, path...)
	// The transport would quietly ask again if a connection that was used before
	// breaks: two requests where one was counted. It does not where there is a body
	// that it cannot rewind. An empty one is not sent. (By HTTP/2 it repeats only
	// what the server has surely not seen.)
	if form != nil {
		text := form.Encode()
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		request.Body, request.ContentLength = io.NopCloser(strings.NewReader(text)), int64(len(text))
	} else if c.http1.Load() {
		request.Body = io.NopCloser(strings.NewReader(""))
	}
	response, err := c.transport.RoundTrip(request)
	if err != nil {
		failed := c.failure(ctx, limited, 0, err)
		failed.Unsent = !connected && failed.Kind == Transient
		return nil, failed
	}
	defer response.Body.Close()
	c.http1.Store(response.ProtoMajor == 1)
	c.clock.tell(response.Header)

	r := &Reply{Status: response.StatusCode, retryAfter: retryAfter(response.Header, time.Now()),
		location: response.Header.Get("Location")}
	if r.Status == http.StatusOK {
		r.Body, err = read(response, c.maxBody)
	} else {
		// What of it cannot be read is not said: that it is an error is known.
		r.Body, _ = read(response, maxErrorBody)
		err = ctx.Err()
	}
	if err != nil {
		return nil, c.failure(ctx, limited, r.Status, err)
	}
	return r, nil
}

// read reads a body of at most limit bytes, counted when it is decompressed.
func read(response *http.Response, limit int64) ([]byte, error) {
	var body io.Reader = response.Body
	switch encoding := strings.ToLower(response.Header.Get("Content-Encoding")); encoding {
	case "", "identity":
		if response.ContentLength > limit {
			return nil, ErrTooLarge
		}
	case "gzip", "x-gzip":
		z, err := gzip.NewReader(body)
		if err == io.EOF {
			return nil, nil // empty
		} else if err != nil {
			return nil, fmt.Errorf("decompress the answer: %w", err)
		}
		body = z
	default:
		return nil, fmt.Errorf("the answer is in an encoding that was not asked for: %.20q", encoding)
	}
	b, err := io.ReadAll(io.LimitReader(body, limit+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read the answer: %w", err)
	case int64(len(b)) > limit:
		return nil, ErrTooLarge
	}
	return b, nil
}

// failure tells why there is no answer. The error itself is not passed on: what
// is in it is not known.
func (c *Client) failure(ctx, limited context.Context, status int, err error) *Error {
	switch {
	case ctx.Err() != nil:
		return &Error{Source: c.name, Kind: Stopped, Status: status, Err: ctx.Err()}
	case errors.Is(err, ErrTooLarge):
		return &Error{Source: c.name, Kind: TooLarge, Status: status, Err: fmt.Errorf("%w: more than %d bytes", ErrTooLarge, c.maxBody)}
	case limited.Err() != nil:
		return &Error{Source: c.name, Kind: Transient, Status: status, Err: fmt.Errorf("no whole answer in %v: %w", c.timeout, os.ErrDeadlineExceeded)}
	}
	return &Error{Source: c.name, Kind: Transient, Status: status, Err: errors.New(c.clean(err.Error()))}
}
