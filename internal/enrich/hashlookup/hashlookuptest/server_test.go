package hashlookuptest_test

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"

	"midden/internal/enrich/hashlookup/hashlookuptest"
)

// TestAnswers: status and body of each kind of answer.
func TestAnswers(t *testing.T) {
	s := hashlookuptest.New(t)
	hash, other := strings.Repeat("a1", 32), strings.Repeat("b2", 32)
	s.Add(hash, map[string]any{"FileName": "f", "SHA-1": nil})
	for _, c := range []struct {
		method, path string
		status       int
		body         string // a part of it
	}{
		{"GET", "/lookup/sha256/" + hash, 200, `"FileName":"f"`},
		{"GET", "/lookup/sha256/" + strings.ToUpper(hash), 200, `"SHA-256":"` + strings.ToUpper(hash) + `"`},
		{"GET", "/lookup/sha256/" + other, 404, `{"message":"Non existing SHA-256","query":"` + other + `"}`},
		{"GET", "/lookup/sha256/" + other[1:], 400, `{"message":"SHA-256 value incorrect"}`},
		{"POST", "/lookup/sha256/" + hash, 405, `{"message":`},
		{"GET", "/lookup/sha256/" + hash + "/", 404, `{"message":"No such path"}`},
		{"GET", "/lookup/sha1/" + hash, 404, `{"message":"No such path"}`},
	} {
		request, err := http.NewRequestWithContext(t.Context(), c.method, s.URL+c.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil || response.StatusCode != c.status || !bytes.Contains(body, []byte(c.body)) ||
			bytes.Contains(body, []byte("SHA-1")) || response.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s %s: %d %s, %v", c.method, c.path, response.StatusCode, body, err)
		}
	}
	if n := s.Asked(); n != 7 {
		t.Errorf("asked %d times", n)
	}
}
