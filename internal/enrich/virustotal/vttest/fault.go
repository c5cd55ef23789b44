package vttest

import (
	"compress/gzip"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
)

// Fault answers in place of the server that works. A test may write its own.
type Fault func(*Exchange)

// fault is one that waits for its requests.
type fault struct {
	give   Fault
	counts func(Request) bool
	left   int // how many times; negative is always
}

// FailFile gives the fault in place of the next n answers about a file, or of
// all if n is negative. Faults for the same requests come one after the other.
func (s *Server) FailFile(shasum string, n int, f Fault) {
	s.addFault(n, f, func(r Request) bool { return r.LookUp && r.ID == strings.ToLower(shasum) })
}

// FailNext gives the fault in place of the next n answers about any file, or of
// all if n is negative.
func (s *Server) FailNext(n int, f Fault) {
	s.addFault(n, f, func(r Request) bool { return r.LookUp })
}

// FailOther gives the fault in place of the next n answers that are about no
// file, or of all if n is negative.
func (s *Server) FailOther(n int, f Fault) {
	s.addFault(n, f, func(r Request) bool { return !r.LookUp })
}

// Mend takes back all faults.
func (s *Server) Mend() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

func (s *Server) addFault(n int, f Fault, counts func(Request) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, &fault{f, counts, n})
}

// fault returns the first that waits for this request, or nil.
func (s *Server) fault(r Request) Fault {
	for _, f := range s.faults {
		if f.left != 0 && f.counts(r) {
			f.left--
			return f.give
		}
	}
	return nil
}

// RetryAfter returns the same fault with this header.
func (f Fault) RetryAfter(text string) Fault {
	return func(x *Exchange) {
		x.W.Header().Set("Retry-After", text)
		f(x)
	}
}

// Refuse answers with an error of VirusTotal.
func Refuse(status int, code, message string) Fault {
	return func(x *Exchange) {
		x.Reply(status, encode(map[string]any{"error": map[string]string{"code": code, "message": message}}))
	}
}

// Refusal is an error that VirusTotal documents.
type Refusal struct {
	Status int
	Code   string
}

// Fault answers with it.
func (r Refusal) Fault() Fault { return Refuse(r.Status, r.Code, "Made up: "+r.Code) }

// Refusals are all errors that VirusTotal documents.
var Refusals = []Refusal{
	{400, "BadRequestError"},
	{400, "InvalidArgumentError"},
	{400, "NotAvailableYet"},
	{400, "UnselectiveContentQueryError"},
	{400, "UnsupportedContentQueryError"},
	{401, "AuthenticationRequiredError"},
	{401, "UserNotActiveError"},
	{401, "WrongCredentialsError"},
	{403, "ForbiddenError"},
	{404, "NotFoundError"},
	{409, "AlreadyExistsError"},
	{424, "FailedDependencyError"},
	{429, "QuotaExceededError"},
	{429, "TooManyRequestsError"},
	{503, "TransientError"},
	{504, "DeadlineExceededError"},
}

// Raw answers with this status, type and body, compressed in no case.
func Raw(status int, contentType, body string) Fault {
	return func(x *Exchange) {
		x.head(status, contentType)
		_, _ = io.WriteString(x.W, body)
	}
}

// HTML answers with a page as proxies and load balancers have them.
func HTML(status int) Fault {
	text := strconv.Itoa(status) + " " + http.StatusText(status)
	return Raw(status, "text/html; charset=utf-8",
		"<!DOCTYPE html>\n<html><head><title>"+text+"</title></head><body><h1>"+text+"</h1></body></html>\n")
}

// Empty answers 200 without a body.
func Empty() Fault { return Raw(200, typeJSON, "") }

// EchoKey answers with an error whose message repeats the key.
func EchoKey(status int, code string) Fault {
	return func(x *Exchange) {
		Refuse(status, code, "The key "+x.R.Header.Get("X-Apikey")+" will not do")(x)
	}
}

// Redirect answers that what was asked for is elsewhere.
func Redirect(status int, to string) Fault {
	return func(x *Exchange) {
		x.W.Header().Set("Location", to)
		x.head(status, typeJSON)
	}
}

// encoded answers 200 with a body that is said to be compressed.
func encoded(body []byte) Fault {
	return func(x *Exchange) {
		x.W.Header().Set("Content-Encoding", "gzip")
		x.W.Header().Set("Content-Length", strconv.Itoa(len(body)))
		x.head(200, typeJSON)
		_, _ = x.W.Write(body)
	}
}

// TruncatedGzip answers with the first half of a compressed report. To HTTP the
// answer is whole.
func TruncatedGzip() Fault {
	return func(x *Exchange) {
		body := compress(x.File.Report())
		encoded(body[:len(body)/2])(x)
	}
}

// BrokenGzip answers with a compressed report in which a byte is another.
func BrokenGzip() Fault {
	return func(x *Exchange) {
		body := compress(x.File.Report())
		body[len(body)-6] ^= 0xff // of the checksum
		encoded(body)(x)
	}
}

// NotGzip answers with a plain report that is said to be compressed.
func NotGzip() Fault {
	return func(x *Exchange) { encoded(x.File.Report())(x) }
}

// Cut breaks the connection off in the middle of a report.
func Cut() Fault {
	return func(x *Exchange) {
		body := x.File.Report()
		x.W.Header().Set("Content-Length", strconv.Itoa(len(body)))
		x.head(200, typeJSON)
		_, _ = x.W.Write(body[:len(body)/2])
		_ = http.NewResponseController(x.W).Flush()
		panic(http.ErrAbortHandler)
	}
}

// Endless answers with the beginning of a report that goes on for this many
// bytes. They are sent as long as anyone reads them.
func Endless(n int64) Fault {
	return func(x *Exchange) {
		x.head(200, typeJSON)
		x.stream(x.W, n)
	}
}

// Bomb answers with a small compressed body that becomes this many bytes.
func Bomb(n int64) Fault {
	return func(x *Exchange) {
		x.W.Header().Set("Content-Encoding", "gzip")
		x.head(200, typeJSON)
		z, _ := gzip.NewWriterLevel(x.W, gzip.BestSpeed)
		x.stream(z, n)
		_ = z.Close()
	}
}

func (x *Exchange) stream(w io.Writer, n int64) {
	_, _ = io.WriteString(w, `{"data":{"id":"`+x.File.SHA256+`","type":"file","attributes":{"vhash":"`)
	chunk := []byte(strings.Repeat("a", 64<<10))
	for left := n; left > 0; left -= int64(len(chunk)) {
		written, err := w.Write(chunk[:min(left, int64(len(chunk)))])
		x.server.streamed.Add(int64(written))
		if err != nil {
			return
		}
	}
	_, _ = io.WriteString(w, `"}}}`)
}

// Stall does not answer at all, until the other side gives up.
func Stall() Fault { return (*Exchange).wait }

// StallMidway stops in the middle of a report, until the other side gives up.
func StallMidway() Fault {
	return func(x *Exchange) {
		body := x.File.Report()
		x.W.Header().Set("Content-Length", strconv.Itoa(len(body)))
		x.head(200, typeJSON)
		_, _ = x.W.Write(body[:len(body)/2])
		_ = http.NewResponseController(x.W).Flush()
		x.wait()
	}
}

func (x *Exchange) wait() {
	select {
	case <-x.R.Context().Done():
	case <-x.server.stopped:
	}
}

// Reset resets the connection when the request has been read.
func Reset() Fault {
	return func(x *Exchange) { x.reset() }
}

// ResetMidway resets the connection in the middle of a report.
func ResetMidway() Fault {
	return func(x *Exchange) {
		body := x.File.Report()
		x.W.Header().Set("Content-Length", strconv.Itoa(len(body)))
		x.head(200, typeJSON)
		_, _ = x.W.Write(body[:len(body)/2])
		_ = http.NewResponseController(x.W).Flush()
		x.reset()
	}
}

// reset closes a connection so that the other side is told of a reset; where it
// is not this exchange's alone, as by HTTP/2, the exchange is broken off.
func (x *Exchange) reset() {
	conn, _, err := http.NewResponseController(x.W).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

// Instead answers with the report on this file, whichever was asked about: on
// another one, or on the same as it was at another time.
func Instead(f File) Fault {
	return func(x *Exchange) { x.Reply(200, f.Report()) }
}

// With answers with the report in which these attributes are others; nil takes
// one away.
func With(attributes map[string]any) Fault {
	return func(x *Exchange) {
		f := x.File
		merged := map[string]any{}
		for _, some := range []map[string]any{f.Attributes, attributes} {
			for name, value := range some {
				merged[name] = value
			}
		}
		f.Attributes = merged
		x.Reply(200, f.Report())
	}
}

// Without answers with the report that lacks these attributes.
func Without(attributes ...string) Fault {
	gone := map[string]any{}
	for _, name := range attributes {
		gone[name] = nil
	}
	return With(gone)
}

// NumbersAsText answers with the report in which each number is a text.
func NumbersAsText() Fault {
	return func(x *Exchange) {
		d := json.NewDecoder(strings.NewReader(string(encode(x.File.attributes()))))
		d.UseNumber()
		var attributes map[string]any
		if err := d.Decode(&attributes); err != nil {
			panic(err) // it was encoded just now
		}
		x.Reply(200, x.File.report(textual(attributes).(map[string]any)))
	}
}

func textual(v any) any {
	switch v := v.(type) {
	case json.Number:
		return v.String()
	case map[string]any:
		for name, value := range v {
			v[name] = textual(value)
		}
	case []any:
		for i, value := range v {
			v[i] = textual(value)
		}
	}
	return v
}
