package vttest

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Server is a VirusTotal. Its methods may be called while it serves.
type Server struct {
	URL string // the base URL, without a path

	mu       sync.Mutex
	clock    func() time.Time
	files    map[string]File   // by SHA-256
	others   map[string]string // SHA-256 by MD5 and SHA-1
	members  []*member
	groups   map[*Group]*usage
	tellWait bool
	faults   []*fault
	requests []Request
	stopped  chan struct{} // closed when the test is over
	streamed atomic.Int64
}

// New returns a server that runs until the test is over. It knows no file and
// no key yet, and its clock is the machine's.
func New(t testing.TB) *Server {
	s := NewHandler(t)
	server := httptest.NewServer(s)
	s.URL = server.URL
	t.Cleanup(func() {
		s.stop()
		server.CloseClientConnections()
		server.Close()
	})
	return s
}

// NewHandler returns one that listens nowhere, for servers of the test's own:
// with TLS, or HTTP/2.
func NewHandler(t testing.TB) *Server {
	s := &Server{clock: time.Now, files: map[string]File{}, others: map[string]string{}, groups: map[*Group]*usage{},
		stopped: make(chan struct{})}
	t.Cleanup(s.stop)
	return s
}

func (s *Server) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.stopped:
	default:
		close(s.stopped)
	}
}

// SetClock sets what the server takes for the time.
func (s *Server) SetClock(clock func() time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clock = clock
}

// Add makes files known, or changes what is known of them.
func (s *Server) Add(files ...File) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range files {
		f.SHA256 = strings.ToLower(f.SHA256)
		s.files[f.SHA256] = f
		s.others[f.MD5()], s.others[f.SHA1()] = f.SHA256, f.SHA256
	}
}

// Forget makes a file unknown again.
func (s *Server) Forget(shasum string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.files, strings.ToLower(shasum))
}

// AddAccount makes an account known.
func (s *Server) AddAccount(a Account) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.clock()
	m := &member{Account: a}
	m.usage.roll(now)
	m.usage.inDay, m.usage.inMonth = a.UsedDay, a.UsedMonth
	if a.Group != nil {
		if m.group = s.groups[a.Group]; m.group == nil {
			m.group = &usage{}
			m.group.roll(now)
			m.group.inDay, m.group.inMonth = a.Group.UsedDay, a.Group.UsedMonth
			s.groups[a.Group] = m.group
		}
	}
	s.members = append(s.members, m)
}

// TellWait says whether a request beyond the quota is told, by Retry-After, how
// long to wait. VirusTotal promises none.
func (s *Server) TellWait(tell bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tellWait = tell
}

// member returns the account of a key or of a user's name.
func (s *Server) member(id string) *member {
	for _, m := range s.members {
		if id != "" && (m.Key == id || m.User == id) {
			return m
		}
	}
	return nil
}

// withKey returns the account of a key.
func (s *Server) withKey(key string) *member {
	if m := s.member(key); m != nil && m.Key == key {
		return m
	}
	return nil
}

var (
	filePath   = regexp.MustCompile(`^/api/v3/files/([^/]+)$`)
	quotasPath = regexp.MustCompile(`^/api/v3/users/([^/]+)/overall_quotas$`)
	fileID     = regexp.MustCompile(`^(?:[0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{64})$`)
)

// ServeHTTP answers a request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x, answer := s.take(w, r)
	defer x.done()
	answer(x)
}

// take records a request, counts it and decides on its answer. A fault takes
// the place of the answer, but the request counts all the same: what fails
// inside VirusTotal may have been counted before.
func (s *Server) take(w http.ResponseWriter, r *http.Request) (*Exchange, Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.clock()
	x := &Exchange{W: w, R: r, server: s, place: len(s.requests), now: now}
	m := s.withKey(r.Header.Get("X-Apikey"))
	record := Request{At: now, Method: r.Method, UserAgent: r.UserAgent()}
	if m != nil {
		record.User = m.User
	}
	id := ""
	if match := filePath.FindStringSubmatch(r.URL.Path); match != nil {
		id = strings.ToLower(match[1])
		if full, ok := s.others[id]; ok {
			id = full
		}
		record.LookUp, record.ID = true, id
		x.File = File{SHA256: id}
		if f, ok := s.files[id]; ok {
			x.File, x.Known = f, true
		}
	}
	s.requests = append(s.requests, record)
	answer := s.answer(m, r, record, x.Known, now)
	if f := s.fault(record); f != nil {
		answer = f
	}
	return x, answer
}

// answer returns the answer of a VirusTotal that works.
func (s *Server) answer(m *member, r *http.Request, record Request, known bool, now time.Time) Fault {
	switch {
	case r.Header.Get("X-Apikey") == "":
		return Refuse(401, "AuthenticationRequiredError", "X-Apikey header is missing")
	case m == nil:
		return Refuse(401, "WrongCredentialsError", "Wrong API key")
	case m.Inactive:
		return Refuse(401, "UserNotActiveError", "User is not active")
	case r.Method != http.MethodGet:
		return Refuse(405, "BadRequestError", "Method not allowed")
	case record.LookUp:
		if ok, wait := m.take(now); !ok {
			refuse := Refuse(429, "QuotaExceededError", "Quota exceeded")
			if s.tellWait {
				refuse = refuse.RetryAfter(strconv.Itoa(int((wait + time.Second - 1) / time.Second)))
			}
			return refuse
		}
		switch {
		case !fileID.MatchString(record.ID):
			return Refuse(400, "InvalidArgumentError", fmt.Sprintf("%q is not a valid file identifier", record.ID))
		case !known:
			return Refuse(404, "NotFoundError", fmt.Sprintf("File %q not found", record.ID))
		}
		return func(x *Exchange) { x.Reply(200, x.File.Report()) }
	}
	if match := quotasPath.FindStringSubmatch(r.URL.Path); match != nil {
		switch asked := s.member(match[1]); asked {
		case nil:
			return Refuse(404, "NotFoundError", fmt.Sprintf("User %q not found", match[1]))
		case m:
			body := m.quotas(now)
			return func(x *Exchange) { x.Reply(200, body) }
		}
		return Refuse(403, "ForbiddenError", "You are not authorized to perform the requested operation")
	}
	return Refuse(404, "NotFoundError", "Resource not found")
}

// Exchange is a request and its answer, which a fault gives in the server's
// place.
type Exchange struct {
	W     http.ResponseWriter
	R     *http.Request
	File  File // what is asked about; only its hash if it is not known
	Known bool

	server *Server
	place  int // in the server's record
	now    time.Time
	status int
}

func (x *Exchange) done() {
	x.server.mu.Lock()
	defer x.server.mu.Unlock()
	x.server.requests[x.place].Status = x.status
}

// head begins an answer.
func (x *Exchange) head(status int, contentType string) {
	x.status = status
	x.W.Header().Set("Content-Type", contentType)
	if x.W.Header().Get("Date") == "" {
		x.W.Header().Set("Date", x.now.UTC().Format(http.TimeFormat))
	}
	x.W.WriteHeader(status)
}

const typeJSON = "application/json; charset=utf-8"

// Reply answers with JSON, compressed for those who ask for that both by
// Accept-Encoding and in their name, as Google's servers do.
func (x *Exchange) Reply(status int, body []byte) {
	if strings.Contains(x.R.Header.Get("Accept-Encoding"), "gzip") && strings.Contains(x.R.UserAgent(), "gzip") {
		body = compress(body)
		x.W.Header().Set("Content-Encoding", "gzip")
	}
	x.W.Header().Set("Content-Length", strconv.Itoa(len(body)))
	x.head(status, typeJSON)
	_, _ = x.W.Write(body) // who went away has no need of it
}

// compressors are kept: a new one is most of the work of an answer.
var compressors = sync.Pool{New: func() any {
	z, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed)
	return z
}}

func compress(body []byte) []byte {
	var b bytes.Buffer
	z := compressors.Get().(*gzip.Writer)
	defer compressors.Put(z)
	z.Reset(&b)
	_, _ = z.Write(body)
	_ = z.Close()
	return b.Bytes()
}

// Request is one that was received. The key is not kept.
type Request struct {
	At        time.Time // by the server's clock
	Method    string
	User      string // whose key it had; "" if that is not known
	LookUp    bool   // a report on a file was asked for, and not the quotas
	ID        string // of the file, in lower case; the SHA-256 if the file is known
	UserAgent string
	Status    int // of the answer; 0 if none was begun, or not yet
}

// Requests returns all requests in their order.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// Asked returns how many times a file was asked about.
func (s *Server) Asked(shasum string) int {
	return s.count(func(r Request) bool { return r.LookUp && r.ID == strings.ToLower(shasum) })
}

// LookUps returns how many times any file was asked about.
func (s *Server) LookUps() int { return s.count(func(r Request) bool { return r.LookUp }) }

func (s *Server) count(counts func(Request) bool) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.requests {
		if counts(r) {
			n++
		}
	}
	return n
}

// MaxInWindow returns how many look-ups one user made at most in a time of this
// length, wherever it begins, refused ones included. Of two requests that are
// exactly that far apart only one is in it.
func (s *Server) MaxInWindow(span time.Duration) int {
	times := map[string][]time.Time{}
	for _, r := range s.Requests() {
		if r.LookUp && r.User != "" {
			times[r.User] = append(times[r.User], r.At)
		}
	}
	most := 0
	for _, list := range times {
		slices.SortFunc(list, time.Time.Compare)
		first := 0
		for i, at := range list {
			for at.Sub(list[first]) >= span {
				first++
			}
			most = max(most, i-first+1)
		}
	}
	return most
}

// Used returns how many look-ups of the key the server has counted on the
// current day, and in the current month.
func (s *Server) Used(key string) (day, month int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.withKey(key)
	if m == nil {
		return 0, 0
	}
	m.usage.roll(s.clock())
	return m.usage.inDay, m.usage.inMonth
}

// Streamed returns how many bytes of the answers of Endless and Bomb were
// taken, as far as the machine's buffers tell.
func (s *Server) Streamed() int64 { return s.streamed.Load() }
