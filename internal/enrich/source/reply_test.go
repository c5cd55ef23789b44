package source

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"
)

const canary = "c0ffee00c0ffee00c0ffee00c0ffee00"

// dial returns a transport whose only server reads a request and answers with
// these bytes, whatever they are.
func dial(t *testing.T, answer []byte) *http.Transport {
	transport := NewTransport()
	transport.Proxy = nil
	transport.DialContext = func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe()
		go func() {
			defer server.Close()
			if _, err := http.ReadRequest(bufio.NewReader(server)); err == nil {
				server.Write(answer)
			}
		}()
		return client, nil
	}
	t.Cleanup(transport.CloseIdleConnections)
	return transport
}

// FuzzReply: whatever a server sends, no more of it is kept than may be, and what
// is said of it can be shown and tells no secret.
func FuzzReply(f *testing.F) {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	z.Write(bytes.Repeat([]byte("a"), 1<<20))
	z.Close()
	for _, answer := range []string{
		"", "HTTP", "HTTP/1.1 200 OK\r\n\r\n{}", "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n{",
		"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + packed.String(), "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + packed.String()[:100],
		"HTTP/1.1 502 Bad\r\nContent-Encoding: br\x1b\r\n\r\n<html>", "HTTP/1.1 429 \r\nRetry-After: 9e9\r\nDate: never\r\n\r\n",
		"HTTP/1.1 302 Found\r\nLocation: https://u:" + canary + "@elsewhere.test/\x1b\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFF\r\n",
		"HTTP/1.1 200 OK\r\nX: " + canary + "\r\nY\r\n\r\n", canary, "HTTP/2 \xff", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 \r\n\r\n", "HTTP/1.1 101 S\r\nUpgrade: h2c\r\n\r\n",
	} {
		f.Add([]byte(answer), false)
		f.Add([]byte(answer), true)
	}
	f.Fuzz(func(t *testing.T, answer []byte, post bool) {
		const most = 1000
		c, err := NewClient(API{Name: "a source", KeyHeader: "X-Key"}, Options{BaseURL: "http://u:" + canary + "pass@source.test",
			Key: NewKey(canary), MaxBody: most, Timeout: 10 * time.Second, Transport: dial(t, answer)})
		if err != nil {
			t.Fatal(err)
		}
		var r *Reply
		var failed *Error
		if post {
			r, failed = c.Post(t.Context(), url.Values{"a": {"b"}}, "x")
		} else {
			r, failed = c.Get(t.Context(), "x")
		}
		if failed == nil {
			limit := most
			if r.Status != http.StatusOK {
				limit = maxErrorBody
			}
			if len(r.Body) > limit || r.retryAfter < 0 || r.retryAfter > maxWait {
				t.Errorf("%d bytes, to wait %v", len(r.Body), r.retryAfter)
			}
			failed = c.Refusal(r, Transient, "", string(r.Body), ErrNotTheirs)
		}
		said := failed.Error()
		if strings.Contains(said, canary) || len(said) > 1000 || !utf8.ValidString(said) || strings.ContainsFunc(said, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("%q", said)
		}
		if failed.Kind != Transient && failed.Kind != TooLarge {
			t.Errorf("%q is %q", said, failed.Kind)
		}
	})
}
