package elastic

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/klauspost/compress/gzip"

	"midden/internal/enrich/source"
	"midden/internal/secret"
)

// Options say which cluster is meant, and how it is reached.
type Options struct {
	// URLs are of nodes of one cluster, http or https: one that does not answer is
	// passed over. A user and a password in one are used if none are given beside.
	URLs []string
	// CloudID names a cluster of Elastic Cloud instead.
	CloudID  string
	User     string
	Password secret.Secret
	// APIKey is as Elasticsearch gives it out, encoded; it goes before user and password.
	APIKey secret.Secret
	CA     []byte // certificates to trust besides those of the system, PEM
	// Gzip: bodies are compressed, for a cluster far away.
	Gzip      bool
	UserAgent string
	// Timeout is for one request from its beginning to the last byte of the answer; 0 is a minute.
	Timeout time.Duration
}

// Client talks to one cluster. It may be used by several goroutines at once.
type Client struct {
	nodes []*url.URL // without user and password
	node  atomic.Int64
	// What is secret is in functions alone: no way of printing looks into them.
	authorize func(http.Header)
	clean     func(string) string // takes what is secret out of a text of others
	transport http.RoundTripper
	gzip      bool
	agent     string
	timeout   time.Duration
}

// Why a client cannot be made.
var (
	ErrNoURL   = errors.New("there is no URL of a cluster")
	ErrURL     = errors.New("a URL of a cluster begins with http:// or https:// and has no query")
	ErrCloudID = errors.New("that is no cloud id: it is NAME:CODE, as the console of Elastic Cloud shows it")
	ErrCA      = errors.New("there is no certificate in PEM in the CA file")
	ErrHeader  = errors.New("a user, password or key has characters that cannot be sent")
)

// NewClient returns a client. It asks nothing yet.
func NewClient(o Options) (*Client, error) {
	c := &Client{gzip: o.Gzip, agent: o.UserAgent, timeout: o.Timeout}
	if c.timeout == 0 {
		c.timeout = time.Minute
	}
	list := o.URLs
	if o.CloudID != "" {
		node, err := cloudNode(o.CloudID)
		if err != nil {
			return nil, err
		}
		list = []string{node}
	}
	if len(list) == 0 {
		return nil, ErrNoURL
	}
	user, password := o.User, o.Password.Reveal()
	for _, text := range list {
		u, err := url.Parse(strings.TrimSpace(text))
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.RawQuery != "" || u.Fragment != "" {
			return nil, ErrURL // the reason would show the URL
		}
		if u.User != nil && user == "" {
			user = u.User.Username()
			password, _ = u.User.Password()
		}
		u.User, u.Path, u.RawPath = nil, strings.TrimRight(u.Path, "/"), ""
		c.nodes = append(c.nodes, u)
	}
	header, key := "", o.APIKey.Reveal()
	switch {
	case key != "":
		if strings.Contains(key, ":") { // id:key, not encoded yet
			key = base64.StdEncoding.EncodeToString([]byte(key))
		}
		header = "ApiKey " + key
	case user != "":
		header = "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
	}
	if strings.ContainsFunc(header, func(r rune) bool { return r < ' ' || r > '~' }) {
		return nil, ErrHeader
	}
	c.authorize = func(h http.Header) {
		if header != "" {
			h.Set("Authorization", header)
		}
	}
	var hidden []string
	for _, s := range []string{header, strings.TrimPrefix(strings.TrimPrefix(header, "Basic "), "ApiKey "), key, password} {
		if s != "" {
			hidden = append(hidden, s, "[hidden]")
		}
	}
	c.clean = strings.NewReplacer(hidden...).Replace
	transport := source.NewTransport()
	if len(o.CA) > 0 {
		pool, err := x509.SystemCertPool()
		if err != nil {
			pool = x509.NewCertPool()
		}
		if !pool.AppendCertsFromPEM(o.CA) {
			return nil, ErrCA
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: pool}
	}
	c.transport = transport
	return c, nil
}

// cloudNode reads a cloud id: a name, and the host and the cluster's part of it in
// base64.
func cloudNode(id string) (string, error) {
	_, code, ok := strings.Cut(strings.TrimSpace(id), ":")
	text, err := base64.StdEncoding.DecodeString(code)
	parts := strings.Split(string(text), "$")
	if !ok || err != nil || len(parts) < 2 || parts[0] == "" || parts[1] == "" {
		return "", ErrCloudID
	}
	host, port, ok := strings.Cut(parts[0], ":")
	if !ok {
		port = "443"
	}
	return "https://" + parts[1] + "." + host + ":" + port, nil
}

// Format writes which cluster the client talks to.
func (c *Client) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "elastic.Client(%s)", c.nodes[0].Host) }

// Insecure reports whether user, password or key would go through a network in the clear.
func (c *Client) Insecure() bool {
	h := http.Header{}
	c.authorize(h)
	for _, n := range c.nodes {
		local := n.Hostname() == "localhost" || strings.HasPrefix(n.Hostname(), "127.") || n.Hostname() == "::1"
		if n.Scheme == "http" && !local && len(h) > 0 {
			return true
		}
	}
	return false
}

// Error is why something was not done: no answer, or one that says no.
type Error struct {
	Doing  string // the method and the path
	Status int    // of HTTP; 0 if there was no answer
	Type   string // the server's own, such as index_not_found_exception
	Reason string
	Err    error // why there was no answer
}

func (e *Error) Unwrap() error { return e.Err }

func (e *Error) Error() string {
	text := e.Doing + ": "
	switch {
	case e.Err != nil && e.Status == 0:
		return text + e.Err.Error()
	case e.Status == http.StatusUnauthorized:
		text += "the cluster refuses user, password or key: "
	case e.Status == http.StatusForbidden:
		text += "the cluster does not allow it (docs/elasticsearch.md lists the rights that are needed): "
	}
	text += fmt.Sprint("HTTP ", e.Status)
	for _, part := range []string{e.Type, e.Reason} {
		if part != "" {
			text += ": " + part
		}
	}
	return text
}

// passing reports whether it may help to ask again later.
func (e *Error) passing() bool {
	switch e.Status {
	case 0, http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// IsPassing reports whether an error may be gone later: the cluster could not be reached, or
// has too much to do.
func IsPassing(err error) bool {
	var e *Error
	var left *leftError
	return errors.As(err, &e) && e.passing() || errors.As(err, &left)
}

func isStatus(err error, status int) bool {
	var e *Error
	return errors.As(err, &e) && e.Status == status
}

// Bodies of answers: to a bulk request, and others.
const maxAnswer = 64 << 20

// do makes a request and reads the answer into a value, if that is not nil. body is nil,
// JSON as it is, or a value to be encoded.
func (c *Client) do(ctx context.Context, method, path string, body, into any) error {
	data, ok := body.([]byte)
	if !ok && body != nil {
		var err error
		if data, err = json.Marshal(body); err != nil {
			return err
		}
	}
	return c.send(ctx, method, path, "application/json", data, into)
}

// send tries the nodes one after the other until one answers.
func (c *Client) send(ctx context.Context, method, path, contentType string, body []byte, into any) error {
	packed := ""
	if c.gzip && len(body) > 1024 {
		var b bytes.Buffer
		w, _ := gzip.NewWriterLevel(&b, gzip.BestSpeed)
		w.Write(body) // a buffer takes everything
		w.Close()
		body, packed = b.Bytes(), "gzip"
	}
	var err error
	for range c.nodes {
		at := c.node.Load()
		err = c.ask(ctx, c.nodes[at%int64(len(c.nodes))], method, path, contentType, packed, body, into)
		var e *Error
		if !errors.As(err, &e) || e.Status != 0 || ctx.Err() != nil {
			return err
		}
		c.node.CompareAndSwap(at, at+1)
	}
	return err
}

func (c *Client) ask(ctx context.Context, node *url.URL, method, path, contentType, packed string, body []byte, into any) error {
	limited, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	what, _, _ := strings.Cut(path, "?")
	doing := fmt.Sprintf("%s %s%s", method, node.Host, what)
	fail := func(err error) error {
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case limited.Err() != nil:
			err = fmt.Errorf("no whole answer in %v", c.timeout)
		}
		return &Error{Doing: doing, Err: errors.New(c.clean(err.Error()))}
	}
	request, err := http.NewRequestWithContext(limited, method, node.String()+path, bytes.NewReader(body))
	if err != nil {
		return fail(err)
	}
	request.Header.Set("User-Agent", c.agent)
	if len(body) > 0 {
		request.Header.Set("Content-Type", contentType)
	}
	if packed != "" {
		request.Header.Set("Content-Encoding", packed)
	}
	c.authorize(request.Header)
	// No redirect is followed: the password is for this host alone.
	response, err := c.transport.RoundTrip(request)
	if err != nil {
		return fail(err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	if err != nil {
		return fail(fmt.Errorf("the answer broke off: %w", err))
	}
	if len(answer) > maxAnswer {
		return fail(errors.New("the answer is too large"))
	}
	if response.StatusCode >= 300 {
		return c.refusal(doing, response.StatusCode, answer)
	}
	if into == nil {
		return nil
	}
	if err := json.Unmarshal(answer, into); err != nil {
		return fail(fmt.Errorf("the answer is no JSON: %w", err))
	}
	return nil
}

// refusal reads why a server says no: an object with a type and a reason, or a text, or
// a page of a proxy.
func (c *Client) refusal(doing string, status int, answer []byte) *Error {
	e := &Error{Doing: doing, Status: status}
	var body struct{ Error json.RawMessage }
	var cause cause
	if json.Unmarshal(answer, &body) == nil && json.Unmarshal(body.Error, &cause) == nil && cause.Type != "" {
		e.Type, e.Reason = cause.Type, cause.text()
	} else if json.Unmarshal(body.Error, &e.Reason) != nil {
		e.Reason = strings.TrimSpace(string(answer))
	}
	e.Type, e.Reason = c.clean(e.Type), clip(c.clean(e.Reason))
	return e
}

// cause is how a server tells why.
type cause struct {
	Type     string `json:"type"`
	Reason   string `json:"reason"`
	CausedBy *cause `json:"caused_by"`
}

// text is the reason with what is behind it.
func (c *cause) text() string {
	text := c.Reason
	if c.CausedBy != nil && c.CausedBy.Reason != "" {
		text += ": " + c.CausedBy.Reason
	}
	return text
}

// clip cuts a text of a server to a sane length.
func clip(s string) string {
	if len(s) > 1000 {
		s = s[:1000] + "…"
	}
	return strings.ToValidUTF8(s, "\ufffd")
}
