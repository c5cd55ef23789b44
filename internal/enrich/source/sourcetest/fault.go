// Package sourcetest has what the tests of all sources' clients need: replies that are no
// answers, and a look at the errors that are made of them.
package sourcetest

import (
	"errors"
	"net"
	"net/http"
	"strconv"
	"testing"

	"midden/internal/enrich/source"
)

func raw(status int, contentType, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}
}

// Answer replies with JSON.
func Answer(status int, body string) http.HandlerFunc { return raw(status, "application/json", body) }

// HTML replies with a page, as proxies do.
func HTML(status int) http.HandlerFunc {
	return raw(status, "text/html", "<!DOCTYPE html><html><body><h1>"+http.StatusText(status)+"</h1></body></html>")
}

// Cut breaks the connection off in the middle of a body.
func Cut(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		_, _ = w.Write([]byte(body[:len(body)/2]))
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
}

// Reset resets the connection in place of a reply.
func Reset(w http.ResponseWriter, _ *http.Request) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(err)
	}
	_ = conn.(*net.TCPConn).SetLinger(0)
	_ = conn.Close()
}

// Fails makes sure that err is an *source.Error of this kind, because of match if that is
// not nil.
func Fails(t testing.TB, err error, kind source.Kind, match error) *source.Error {
	t.Helper()
	e, ok := errors.AsType[*source.Error](err)
	if !ok {
		t.Fatalf("got %v, want an *source.Error", err)
	}
	if e.Kind != kind || match != nil && !errors.Is(e, match) {
		t.Errorf("%q is %q, want %q, %v", e, e.Kind, kind, match)
	}
	return e
}
