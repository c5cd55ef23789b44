// Package hashlookuptest is a CIRCL hashlookup for tests, on a port of the
// loopback.
//
// Records of files come in from the test; requests come in from what is tested,
// and are answered in the forms of the service. How many there were goes out. It
// answers only what midden may ask: look-ups by SHA-256.
package hashlookuptest

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

// Server is a hashlookup service. Its methods may be called while it serves.
type Server struct {
	URL string // the base URL, without a path

	mu      sync.Mutex
	records map[string][]byte // by SHA-256
	instead http.Handler
	asked   int
}

// New returns a server that runs until the test is over. It knows no file yet.
func New(t testing.TB) *Server {
	s := &Server{records: map[string][]byte{}}
	server := httptest.NewServer(s)
	s.URL = server.URL
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	return s
}

// Add makes a file known. Its record has these members besides the hashes and the
// trust, or in their place; nil takes one away.
func (s *Server) Add(shasum string, members map[string]any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.records[strings.ToLower(shasum)] = Record(shasum, members)
}

// Record returns the body of the answer on a file that was added so. MD5 and SHA-1
// are made up.
func Record(shasum string, members map[string]any) []byte {
	short, long := md5.Sum([]byte(shasum)), sha1.Sum([]byte(shasum))
	record := map[string]any{
		"MD5":                     strings.ToUpper(hex.EncodeToString(short[:])),
		"SHA-1":                   strings.ToUpper(hex.EncodeToString(long[:])),
		"SHA-256":                 strings.ToUpper(shasum),
		"FileSize":                "1",
		"insert-timestamp":        "1577934245.5",
		"hashlookup:parent-total": 0,
		"hashlookup:trust":        50,
	}
	for name, value := range members {
		if record[name] = value; value == nil {
			delete(record, name)
		}
	}
	return encode(record)
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

// ServeHTTP answers a request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	shasum, isLookUp := strings.CutPrefix(r.URL.Path, "/lookup/sha256/")
	isLookUp = isLookUp && !strings.Contains(shasum, "/")
	lower, valid := cowrie.Shasum([]byte(shasum))
	s.mu.Lock()
	s.asked++
	instead, record := s.instead, s.records[lower]
	s.mu.Unlock()
	switch {
	case instead != nil:
		instead.ServeHTTP(w, r)
	case !isLookUp:
		reply(w, http.StatusNotFound, encode(map[string]string{"message": "No such path"}))
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		reply(w, http.StatusMethodNotAllowed, encode(map[string]string{"message": "No such method"}))
	case !valid:
		reply(w, http.StatusBadRequest, encode(map[string]string{"message": "SHA-256 value incorrect"}))
	case record == nil:
		reply(w, http.StatusNotFound, Unknown(shasum))
	default:
		reply(w, http.StatusOK, record)
	}
}

// Unknown returns the body of the answer on a file that the service does not know.
func Unknown(shasum string) []byte {
	return encode(map[string]string{"message": "Non existing SHA-256", "query": shasum})
}

func reply(w http.ResponseWriter, status int, body []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(body) // who went away has no need of it
}

func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // a member of the test that is none
	}
	return append(b, '\n')
}
