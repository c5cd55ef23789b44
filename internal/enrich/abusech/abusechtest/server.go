// Package abusechtest is MalwareBazaar and URLhaus for tests, both on one port of
// the loopback.
//
// A key and entries of files come in from the test; requests come in from what is
// tested, and are answered in the forms of the two services. How many there were
// goes out. It answers only what midden may ask: what is known of a SHA-256.
package abusechtest

import (
	"crypto/md5"
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"midden/internal/cowrie"
)

// Server is both services. Its methods may be called while it serves.
type Server struct {
	URL string // the base URL of either service, without a path

	key      string
	mu       sync.Mutex
	samples  map[string][]byte // of MalwareBazaar, by SHA-256
	payloads map[string][]byte // of URLhaus
	instead  http.Handler
	asked    int
}

// New returns a server that runs until the test is over. It knows one key, and no
// file yet.
func New(t testing.TB, key string) *Server {
	s := &Server{key: key, samples: map[string][]byte{}, payloads: map[string][]byte{}}
	server := httptest.NewServer(s)
	s.URL = server.URL
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	return s
}

// AddSample makes a file known to MalwareBazaar. Its entry has these members
// besides those of Sample, or in their place.
func (s *Server) AddSample(shasum string, members map[string]any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.samples[strings.ToLower(shasum)] = Sample(shasum, members)
}

// AddPayload makes a file known to URLhaus. Its entry has these members besides
// those of Payload, or in their place.
func (s *Server) AddPayload(shasum string, members map[string]any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.payloads[strings.ToLower(shasum)] = Payload(shasum, members)
}

// Instead lets h answer in place of the server that works; nil lets the server
// answer again.
func (s *Server) Instead(h http.Handler) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.instead = h
}

// Asked returns how many requests were received, of any kind.
func (s *Server) Asked() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked
}

// Sample returns the body of MalwareBazaar's answer on a file that was added so.
// Of what is not given, most is null. MD5 and SHA-1 are made up.
func Sample(shasum string, members map[string]any) []byte {
	long := sha1.Sum([]byte(shasum))
	sample := map[string]any{
		"sha256_hash": strings.ToLower(shasum), "sha1_hash": hex.EncodeToString(long[:]), "md5_hash": md5Of(shasum),
		"first_seen": nil, "last_seen": nil, "file_name": nil, "file_size": 1, "file_type": nil, "file_type_mime": nil,
		"reporter": "nobody", "anonymous": 1, "origin_country": nil, "signature": nil, "imphash": nil, "ssdeep": nil, "tlsh": nil,
		"tags": nil, "delivery_method": nil,
		"intelligence": map[string]any{"clamav": nil, "downloads": "0", "uploads": "1", "mail": nil},
	}
	return encode(map[string]any{"query_status": "ok", "data": []any{with(sample, members)}})
}

// Payload returns the body of URLhaus's answer on a file that was added so. Of
// what is not given, most is null; numbers are texts. The MD5 is made up.
func Payload(shasum string, members map[string]any) []byte {
	return encode(with(map[string]any{
		"query_status": "ok", "md5_hash": md5Of(shasum), "sha256_hash": strings.ToLower(shasum),
		"file_type": nil, "file_size": "1", "signature": nil, "firstseen": nil, "lastseen": nil, "url_count": "0",
		"urlhaus_download": nil, "virustotal": nil, "imphash": nil, "ssdeep": nil, "tlsh": nil, "urls": []any{},
	}, members))
}

func md5Of(text string) string {
	short := md5.Sum([]byte(text))
	return hex.EncodeToString(short[:])
}

func with(all, members map[string]any) map[string]any {
	for name, value := range members {
		all[name] = value
	}
	return all
}

// Status returns the body of an answer that says no more than what came of the
// query, such as hash_not_found.
func Status(code string) []byte { return encode(map[string]string{"query_status": code}) }

// ServeHTTP answers a request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.asked++
	instead := s.instead
	s.mu.Unlock()
	const bazaar, haus = "/api/v1/", "/v1/payload/"
	path := r.URL.Path
	switch {
	case instead != nil:
		instead.ServeHTTP(w, r)
	case path+"/" == bazaar, path+"/" == haus:
		http.Redirect(w, r, path+"/", http.StatusMovedPermanently)
	case path != bazaar && path != haus:
		http.NotFound(w, r)
	case r.Header.Get("Auth-Key") == "":
		reply(w, http.StatusUnauthorized, encode(map[string]string{"error": "Unauthorized"}))
	case r.Header.Get("Auth-Key") != s.key:
		reply(w, http.StatusForbidden, Status("unknown_auth_key"))
	case r.Method != http.MethodPost:
		reply(w, http.StatusOK, Status("http_post_expected"))
	case path == bazaar:
		reply(w, http.StatusOK, s.sample(r))
	default:
		reply(w, http.StatusOK, s.payload(r))
	}
}

func (s *Server) sample(r *http.Request) []byte {
	hash := strings.ToLower(r.PostFormValue("hash"))
	_, valid := cowrie.Shasum([]byte(hash))
	s.mu.Lock()
	body := s.samples[hash]
	s.mu.Unlock()
	switch {
	case r.PostFormValue("query") != "get_info":
		return Status("missing_query")
	case hash == "":
		return Status("no_hash_provided")
	case !valid:
		return Status("illegal_hash")
	case body == nil:
		return Status("hash_not_found")
	}
	return body
}

func (s *Server) payload(r *http.Request) []byte {
	hash := strings.ToLower(r.PostFormValue("sha256_hash"))
	_, valid := cowrie.Shasum([]byte(hash))
	s.mu.Lock()
	body := s.payloads[hash]
	s.mu.Unlock()
	switch {
	case !valid:
		return Status("invalid_sha256")
	case body == nil:
		return Status("no_results")
	}
	return body
}

func reply(w http.ResponseWriter, status int, body []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(body) // who went away has no need of it
}

func encode(v any) []byte {
	b, err := json.MarshalIndent(v, "", "    ")
	if err != nil {
		panic(err) // a member of the test that is none
	}
	return b
}
