package abusech

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"midden/internal/cowrie"
	"midden/internal/enrich/source"
)

// answering answers each request with the same bytes.
type answering struct {
	status int
	body   []byte
}

func (a answering) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: a.status, ProtoMajor: 1, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(a.body)),
		ContentLength: int64(len(a.body))}, nil
}

// FuzzAnswer: no reply makes either client panic, what they take for an answer is
// one about the file that was asked for, and no key is kept or told.
func FuzzAnswer(f *testing.F) {
	for _, v := range services {
		whole := string(v.body(hashA, nil))
		for _, body := range []string{
			whole, strings.ReplaceAll(whole, hashA, hashB), strings.ReplaceAll(whole, "ok", v.unknown), `{"query_status":"` + v.unknown + `"}`,
			`{"query_status":"unknown_auth_key"}`, `{"query_status":"` + canary + `"}`, `{"query_status":"ok","sha256_hash":null,"md5_hash":null}`,
			`{"query_status":"ok","data":[null,{"sha256_hash":7},{"sha256_hash":"` + hashA + `","signature":"\u0000\ud800","first_seen":"9999-99-99"}]}`,
			`{"query_status":"ok","sha256_hash":"` + hashA + `","firstseen":"0000-00-00 00:00:00 UTC","signature":"` + canary + `"}`, "<html>", "",
		} {
			f.Add(200, []byte(body))
			f.Add(502, []byte(body))
		}
	}
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		for _, v := range services {
			c, err := v.client(source.Options{Key: source.NewKey(canary), Transport: answering{status, body}})
			if err != nil {
				t.Fatal(err)
			}
			a, err := c.File(t.Context(), hashA)
			if err != nil {
				e, ok := errors.AsType[*source.Error](err)
				said := err.Error()
				if !ok || e.Kind == "" || strings.Contains(said, canary) || strings.ContainsFunc(said, func(r rune) bool { return !unicode.IsPrint(r) }) {
					t.Errorf("%q", said)
				}
				continue
			}
			if a.Verdict.Shasum != hashA || a.Verdict.Source != v.name || !bytes.Equal(a.Body, body) || a.Good || a.Known != a.Verdict.Listed {
				t.Errorf("%+v", a)
			}
			if bytes.Contains(a.Body, []byte(canary)) {
				t.Errorf("the key is kept: %q", a.Body)
			}
			for _, text := range []string{a.Verdict.Classification, a.Verdict.Description} {
				if len(text) > 256 || !utf8.ValidString(text) || strings.Contains(text, "\x00") {
					t.Errorf("text %q", text)
				}
			}
			if at := a.Verdict.FirstSubmission; at != cowrie.NoTime && (at.Std().Year() < 1 || at.Std().Year() > 9999) {
				t.Errorf("time %v", at.Std().Format(time.RFC3339))
			}
		}
	})
}
