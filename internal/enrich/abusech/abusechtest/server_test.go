package abusechtest_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"midden/internal/enrich/abusech/abusechtest"
)

// TestAnswers: status and body of each kind of answer.
func TestAnswers(t *testing.T) {
	s := abusechtest.New(t, "key")
	hash, other := strings.Repeat("a1", 32), strings.Repeat("b2", 32)
	s.AddSample(hash, map[string]any{"signature": "MadeUp"})
	s.AddPayload(hash, map[string]any{"signature": "MadeUp"})
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	requests := []struct {
		method, path, key, form string
		status                  int
		body                    string // a part of it
	}{
		{"POST", "/api/v1/", "key", "query=get_info&hash=" + hash, 200, `"signature": "MadeUp"`},
		{"POST", "/api/v1/", "key", "query=get_info&hash=" + strings.ToUpper(hash), 200, `"sha256_hash": "` + hash + `"`},
		{"POST", "/api/v1/", "key", "query=get_info&hash=" + other, 200, `"query_status": "hash_not_found"`},
		{"POST", "/api/v1/", "key", "query=get_info&hash=x", 200, `"query_status": "illegal_hash"`},
		{"POST", "/api/v1/", "key", "query=get_info", 200, `"query_status": "no_hash_provided"`},
		{"POST", "/api/v1/", "key", "hash=" + hash, 200, `"query_status": "missing_query"`},
		{"POST", "/v1/payload/", "key", "sha256_hash=" + hash, 200, `"signature": "MadeUp"`},
		{"POST", "/v1/payload/", "key", "sha256_hash=" + other, 200, `"query_status": "no_results"`},
		{"POST", "/v1/payload/", "key", "sha256_hash=x", 200, `"query_status": "invalid_sha256"`},
		{"GET", "/v1/payload/", "key", "", 200, `"query_status": "http_post_expected"`},
		{"POST", "/v1/payload/", "other", "", 403, `"query_status": "unknown_auth_key"`},
		{"POST", "/api/v1/", "", "", 401, `"error": "Unauthorized"`},
		{"POST", "/api/v1", "key", "", 301, ""},
		{"POST", "/v1/payload", "key", "", 301, ""},
		{"POST", "/v1/", "key", "", 404, ""},
	}
	for _, c := range requests {
		request, err := http.NewRequestWithContext(t.Context(), c.method, s.URL+c.path, strings.NewReader(c.form))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		request.Header.Set("Auth-Key", c.key)
		response, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil || response.StatusCode != c.status || !strings.Contains(string(body), c.body) {
			t.Errorf("%s %s %s: %d %s, %v", c.method, c.path, c.form, response.StatusCode, body, err)
		}
	}
	if n := s.Asked(); n != len(requests) {
		t.Errorf("asked %d times", n)
	}
}
