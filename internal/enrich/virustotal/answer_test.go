package virustotal

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"unicode"

	"midden/internal/enrich/source"
)

// FuzzAnswer: no reply makes the client panic, what it takes for an answer is one about
// the file that was asked for, and no key is kept or told.
func FuzzAnswer(f *testing.F) {
	for _, body := range []string{
		whole, whole[:100], strings.ReplaceAll(whole, hashA, hashB), `{"error":{"code":"NotFoundError","message":"\u001b` + canary + `"}}`,
		`{"error":{"code":"` + canary + `"}}`, `{"error":{"code":"QuotaExceededError"}}`, `{"data":{"id":"` + hashA + `"}}`, "<html>", "",
		`{"data":{"api_requests_daily":{"user":{"allowed":"NaN","used":-1},"group":{"allowed":1e99,"used":"7"}}}}`, `{"data":{"api_requests_hourly":{"user":{"allowed":5}}}}`,
		strings.ReplaceAll(whole, "{", "{\"k\":\""+canary+"\",") /* the last of two counts */, `{"error":{"code":"a","message":[]}}`,
	} {
		for _, status := range []int{200, 404, 429, 403, 502} {
			f.Add(status, []byte(body))
		}
	}
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		c := client(t, source.Options{Transport: roundTripper(func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: status, ProtoMajor: 1, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body))}, nil
		})})
		check := func(err error) {
			e, ok := errors.AsType[*source.Error](err)
			said := err.Error()
			if !ok || e.Kind == "" || strings.Contains(said, canary) || strings.ContainsFunc(said, func(r rune) bool { return !unicode.IsPrint(r) }) {
				t.Errorf("%q", said)
			}
		}
		a, err := c.File(t.Context(), hashA)
		switch {
		case err != nil:
			check(err)
		case a.Verdict.Shasum != hashA || !bytes.Equal(a.Body, body) || bytes.Contains(body, []byte(canary)) || a.Good || a.Known != (status == 200):
			t.Errorf("%+v", a)
		}
		q, err := c.Quotas(t.Context())
		if err != nil {
			check(err)
			return
		}
		for _, one := range []Quota{q.Hour, q.Day, q.Month} {
			for _, a := range []Allowance{one.User, one.Group} {
				if a.Allowed < -1 || a.Used < -1 {
					t.Errorf("%+v", q)
				}
			}
			if a, told := one.Tightest(); told && (a.Allowed < 0 || a.left() < 0) {
				t.Errorf("%+v", one)
			}
		}
	})
}
