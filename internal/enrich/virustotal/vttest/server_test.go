package vttest_test

import (
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"midden/internal/enrich/virustotal/vttest"
)

const key = "a-key-of-the-test"

var (
	hashA = strings.Repeat("a1", 32)
	hashB = strings.Repeat("b2", 32)
)

// clock is one that the test sets.
type clock struct{ now time.Time }

func start(t *testing.T, a vttest.Account, begin string) (*vttest.Server, *clock) {
	t.Helper()
	now, err := time.Parse(time.RFC3339, begin)
	if err != nil {
		t.Fatal(err)
	}
	c := &clock{now}
	s := vttest.New(t)
	s.SetClock(func() time.Time { return c.now })
	a.Key, a.User = key, "someone"
	s.AddAccount(a)
	return s, c
}

// request asks for a path below the API.
func request(t *testing.T, s *vttest.Server, path string, headers ...string) (*http.Response, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "GET", s.URL+"/api/v3/"+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("x-apikey", key)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return (&http.Transport{DisableKeepAlives: true, DisableCompression: true}).RoundTrip(r)
}

// get returns status and body of an answer, decompressed.
func get(t *testing.T, s *vttest.Server, path string, headers ...string) (int, http.Header, string) {
	t.Helper()
	response, err := request(t, s, path, headers...)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body := io.Reader(response.Body)
	if response.Header.Get("Content-Encoding") == "gzip" {
		if body, err = gzip.NewReader(body); err != nil {
			t.Fatal(err)
		}
	}
	b, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, response.Header, string(b)
}

func ask(t *testing.T, s *vttest.Server) int {
	t.Helper()
	status, _, _ := get(t, s, "files/"+hashA)
	return status
}

// TestQuota: each limit is kept to the request, and is whole again when
// VirusTotal says so.
func TestQuota(t *testing.T) {
	group := func(day, month int) *vttest.Group { return &vttest.Group{Day: day, Month: month} }
	for name, c := range map[string]struct {
		account vttest.Account
		allowed int
		later   string // when it is whole again
		left    int
	}{
		"minute":          {vttest.Account{Minute: 4}, 4, "2024-02-28T23:01:00Z", 4},
		"day":             {vttest.Account{Day: 3}, 3, "2024-02-29T00:00:00Z", 3},
		"month":           {vttest.Account{Month: 5}, 5, "2024-03-01T00:00:00Z", 5},
		"one a day":       {vttest.Account{Minute: 4, Day: 1}, 1, "2024-02-29T00:00:00Z", 1},
		"used before":     {vttest.Account{Day: 3, UsedDay: 1}, 2, "2024-02-29T00:00:00Z", 3},
		"used the month":  {vttest.Account{Month: 3, UsedMonth: 1}, 2, "2024-03-01T00:00:00Z", 3},
		"the group's day": {vttest.Account{Day: 9, Group: group(2, 0)}, 2, "2024-02-29T00:00:00Z", 2},
		"its month":       {vttest.Account{Day: 9, Group: group(0, 2)}, 2, "2024-03-01T00:00:00Z", 2},
	} {
		s, clock := start(t, c.account, "2024-02-28T23:00:00Z")
		s.TellWait(true)
		count := func() int {
			n := 0
			for ask(t, s) == 404 {
				n++
			}
			return n
		}
		if n := count(); n != c.allowed {
			t.Errorf("%s: %d are answered, want %d", name, n, c.allowed)
		}
		status, header, body := get(t, s, "files/"+hashA)
		later, _ := time.Parse(time.RFC3339, c.later)
		if wait := fmt.Sprint(int(later.Sub(clock.now).Seconds())); status != 429 || header.Get("Retry-After") != wait ||
			!strings.Contains(body, `"code": "QuotaExceededError"`) {
			t.Errorf("%s: %d, Retry-After %s, want %s, %s", name, status, header.Get("Retry-After"), wait, body)
		}
		clock.now = later.Add(-time.Microsecond)
		if status := ask(t, s); status != 429 {
			t.Errorf("%s: %d just before %s", name, status, c.later)
		}
		clock.now = later
		if n := count(); n != c.left {
			t.Errorf("%s: %d are answered at %s, want %d", name, n, c.later, c.left)
		}
	}
}

func TestMinuteSlides(t *testing.T) {
	s, clock := start(t, vttest.Account{Minute: 4}, "2024-02-28T23:00:00Z")
	begin := clock.now
	for _, c := range []struct{ second, status int }{
		{0, 404}, {50, 404}, {58, 404}, {59, 404}, {59, 429}, // a fixed minute would begin anew at 60
		{60, 404}, {61, 429}, {110, 404}, {118, 404}, {119, 404}, {119, 429},
	} {
		clock.now = begin.Add(time.Duration(c.second) * time.Second)
		if got := ask(t, s); got != c.status {
			t.Errorf("second %d: %d, want %d", c.second, got, c.status)
		}
	}
	for span, want := range map[time.Duration]int{time.Second: 2, time.Minute: 6, time.Hour: 11} {
		if got := s.MaxInWindow(span); got != want {
			t.Errorf("in %v: %d, want %d", span, got, want)
		}
	}
	day, month := s.Used(key)
	if day != 8 || month != 8 || s.LookUps() != 11 || s.Asked(strings.ToUpper(hashA)) != 11 || s.Asked(hashB) != 0 {
		t.Errorf("used %d and %d, asked %d and %d", day, month, s.LookUps(), s.Asked(hashA))
	}
	// Set back by ten years, the clock holds no one up.
	clock.now = clock.now.AddDate(-10, 0, 0)
	if got := ask(t, s); got != 404 {
		t.Errorf("ten years before: %d", got)
	}
}

func TestGroupIsShared(t *testing.T) {
	s, _ := start(t, vttest.Account{}, "2024-02-28T23:00:00Z")
	group := &vttest.Group{Day: 2, UsedDay: 1}
	for _, user := range []string{"x", "y"} {
		s.AddAccount(vttest.Account{Key: "key-" + user, User: user, Group: group})
	}
	first, _, _ := get(t, s, "files/"+hashA, "x-apikey", "key-x")
	next, _, _ := get(t, s, "files/"+hashA, "x-apikey", "key-y")
	if first != 404 || next != 429 || s.MaxInWindow(time.Minute) != 1 {
		t.Errorf("%d, %d, %d", first, next, s.MaxInWindow(time.Minute))
	}
}

// TestErrors: status and body of what VirusTotal refuses.
func TestErrors(t *testing.T) {
	s, _ := start(t, vttest.Account{}, "2024-02-28T23:00:00Z")
	s.AddAccount(vttest.Account{Key: "asleep", User: "sleeper", Inactive: true})
	for _, c := range []struct {
		path, key string
		status    int
		code      string
	}{
		{"files/" + hashA, key, 404, "NotFoundError"},
		{"files/" + hashA, "", 401, "AuthenticationRequiredError"},
		{"files/" + hashA, "wrong", 401, "WrongCredentialsError"},
		{"files/" + hashA, "someone", 401, "WrongCredentialsError"}, // a name is no key
		{"files/" + hashA, "asleep", 401, "UserNotActiveError"},
		{"files/x", key, 400, "InvalidArgumentError"},
		{"files/" + hashA[1:], key, 400, "InvalidArgumentError"},
		{"files", key, 404, "NotFoundError"},
		{"api/v3/files/" + hashA, key, 404, "NotFoundError"},
		{"users/nobody/overall_quotas", key, 404, "NotFoundError"},
		{"users/sleeper/overall_quotas", key, 403, "ForbiddenError"},
	} {
		status, header, body := get(t, s, c.path, "x-apikey", c.key)
		var e struct {
			Error struct{ Code, Message string }
		}
		if err := json.Unmarshal([]byte(body), &e); err != nil || status != c.status || e.Error.Code != c.code || e.Error.Message == "" ||
			!strings.HasPrefix(header.Get("Content-Type"), "application/json") {
			t.Errorf("%s with %q: %d %s", c.path, c.key, status, body)
		}
	}
}

// TestReport: the form of a report, in full and with as little as can be.
func TestReport(t *testing.T) {
	s, _ := start(t, vttest.Account{}, "2024-02-28T23:00:00Z")
	f := vttest.File{SHA256: hashA, Stats: &vttest.Stats{Malicious: 1, TypeUnsupported: 1}, Label: "trojan.made/up",
		LastAnalysis: time.Unix(1700000000, 0), Names: []string{"x"}, Attributes: map[string]any{"md5": nil, "sha1": nil}}
	s.Add(f)
	_, _, body := get(t, s, "files/"+hashA)
	var got, want any
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(`{"data":{"id":"`+hashA+`","type":"file",
		"links":{"self":"https://www.virustotal.com/api/v3/files/`+hashA+`"},
		"attributes":{"sha256":"`+hashA+`","names":["x"],"meaningful_name":"x","last_analysis_date":1700000000,
			"reputation":0,"total_votes":{"harmless":0,"malicious":0},
			"last_analysis_stats":{"malicious":1,"suspicious":0,"undetected":0,"harmless":0,"timeout":0,
				"confirmed-timeout":0,"failure":0,"type-unsupported":1},
			"last_analysis_results":{
				"Engine01":{"category":"malicious","engine_name":"Engine01","engine_version":"1.0.0",
					"engine_update":"20240101","method":"blacklist","result":"Trojan.Made.Up"},
				"Engine02":{"category":"type-unsupported","engine_name":"Engine02","engine_version":"1.0.0",
					"engine_update":"20240101","method":"blacklist","result":null}},
			"popular_threat_classification":{"suggested_threat_label":"trojan.made/up",
				"popular_threat_category":[{"count":10,"value":"trojan"}],
				"popular_threat_name":[{"count":10,"value":"made"},{"count":9,"value":"up"}]}}}}`), &want); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, id := range []string{f.MD5(), f.SHA1(), strings.ToUpper(hashA)} {
		if status, _, other := get(t, s, "files/"+id); status != 200 || other != body {
			t.Errorf("%s: %d", id, status)
		}
	}
	if n := s.Asked(hashA); n != 4 {
		t.Errorf("asked %d times", n)
	}
	s.Forget(hashA)
	if status := ask(t, s); status != 404 {
		t.Errorf("forgotten: %d", status)
	}
}

func TestQuotasForm(t *testing.T) {
	s, _ := start(t, vttest.Account{Minute: 4, Day: 500, UsedDay: 16, UsedMonth: 136, Group: &vttest.Group{Month: 9}}, "2024-02-28T23:00:00Z")
	ask(t, s)
	for _, id := range []string{key, "someone"} {
		_, _, body := get(t, s, "users/"+id+"/overall_quotas")
		var got, want any
		if err := json.Unmarshal([]byte(body), &got); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal([]byte(`{"data":{
			"api_requests_daily":{"group":{"allowed":1000000000,"used":1},"user":{"allowed":500,"used":17}},
			"api_requests_hourly":{"user":{"allowed":240,"used":1}},
			"api_requests_monthly":{"group":{"allowed":9,"used":1},"user":{"allowed":1000000000,"used":137}},
			"intelligence_searches_monthly":{"user":{"allowed":0,"used":0}}}}`), &want); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", id, diff)
		}
	}
}

// TestCompression: it is for those who ask for it in both ways. VirusTotal's
// own clients do.
func TestCompression(t *testing.T) {
	s, _ := start(t, vttest.Account{}, "2024-02-28T23:00:00Z")
	for _, c := range []struct{ accept, agent, want string }{
		{"gzip", "unknown; vtgo 1.0; gzip", "gzip"}, {"gzip", "curl", ""}, {"", "gzip", ""},
	} {
		if _, header, _ := get(t, s, "files/"+hashA, "Accept-Encoding", c.accept, "User-Agent", c.agent); header.Get("Content-Encoding") != c.want {
			t.Errorf("%+v: %q", c, header.Get("Content-Encoding"))
		}
	}
}

// TestFaultOrder: faults wait for their requests, in order, and count.
func TestFaultOrder(t *testing.T) {
	s, _ := start(t, vttest.Account{Day: 100}, "2024-02-28T23:00:00Z")
	s.Add(vttest.File{SHA256: hashA, Stats: &vttest.Stats{}}, vttest.File{SHA256: hashB})
	s.FailFile(hashA, 2, vttest.HTML(502))
	s.FailNext(1, vttest.HTML(503))
	s.FailFile(hashA, -1, vttest.HTML(504))
	s.FailOther(1, vttest.HTML(500))
	for i, want := range []int{502, 502, 503, 504, 504} {
		if got := ask(t, s); got != want {
			t.Errorf("request %d: %d, want %d", i, got, want)
		}
	}
	b, _, _ := get(t, s, "files/"+hashB)
	q, _, _ := get(t, s, "users/someone/overall_quotas")
	again, _, _ := get(t, s, "users/someone/overall_quotas")
	s.Mend()
	a := ask(t, s)
	if day, _ := s.Used(key); b != 200 || q != 500 || again != 200 || a != 200 || day != 7 {
		t.Errorf("%d %d %d %d, %d used", b, q, again, a, day)
	}
	var statuses []int
	for _, r := range s.Requests() {
		statuses = append(statuses, r.Status)
		if r.User != "someone" {
			t.Errorf("%+v", r)
		}
	}
	if diff := cmp.Diff([]int{502, 502, 503, 504, 504, 200, 500, 200, 200}, statuses); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestFaults: each is on the wire what it says.
func TestFaults(t *testing.T) {
	s, _ := start(t, vttest.Account{}, "2024-02-28T23:00:00Z")
	s.Add(vttest.File{SHA256: hashA, Stats: &vttest.Stats{Malicious: 3}, LastAnalysis: time.Unix(1700000000, 0), TypeTag: "elf"})
	read := func(f vttest.Fault) (*http.Response, string, error) {
		s.FailNext(1, f)
		response, err := request(t, s, "files/"+hashA)
		if err != nil {
			return nil, "", err
		}
		defer response.Body.Close()
		body := io.Reader(response.Body)
		if response.Header.Get("Content-Encoding") == "gzip" {
			if body, err = gzip.NewReader(body); err != nil {
				return response, "", err
			}
		}
		b, err := io.ReadAll(body)
		return response, string(b), err
	}
	for name, c := range map[string]struct {
		fault vttest.Fault
		err   error
	}{
		"truncated":    {vttest.TruncatedGzip(), io.ErrUnexpectedEOF},
		"broken":       {vttest.BrokenGzip(), gzip.ErrChecksum},
		"not gzip":     {vttest.NotGzip(), gzip.ErrHeader},
		"cut":          {vttest.Cut(), io.ErrUnexpectedEOF},
		"reset":        {vttest.Reset(), syscall.ECONNRESET},
		"reset midway": {vttest.ResetMidway(), syscall.ECONNRESET},
	} {
		if _, body, err := read(c.fault); !errors.Is(err, c.err) {
			t.Errorf("%s: %v, want %v (%d bytes)", name, err, c.err, len(body))
		}
	}
	for name, c := range map[string]struct {
		fault vttest.Fault
		holds []string
		lacks []string
	}{
		"HTML":     {vttest.HTML(502), []string{"<!DOCTYPE html>", "502 Bad Gateway"}, nil},
		"other":    {vttest.Instead(vttest.File{SHA256: hashB}), []string{hashB}, []string{hashA}},
		"with":     {vttest.With(map[string]any{"size": "7"}), []string{`"size": "7"`, hashA}, nil},
		"without":  {vttest.Without("type_tag", "sha256"), []string{`"last_analysis_date": 1700000000`}, []string{"type_tag", "sha256"}},
		"text":     {vttest.NumbersAsText(), []string{`"malicious": "3"`, `"last_analysis_date": "1700000000"`}, nil},
		"the key":  {vttest.EchoKey(400, "BadRequestError"), []string{key}, nil},
		"endless":  {vttest.Endless(1 << 20), []string{strings.Repeat("a", 1<<20) + `"}}}`}, nil},
		"bomb":     {vttest.Bomb(1 << 20), []string{strings.Repeat("a", 1<<20) + `"}}}`}, nil},
		"a report": {func(x *vttest.Exchange) { x.Reply(200, x.File.Report()) }, []string{`"malicious": 3`}, nil},
	} {
		_, body, err := read(c.fault)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for _, text := range c.holds {
			if !strings.Contains(body, text) {
				t.Errorf("%s: lacks %.40q in %.200s", name, text, body)
			}
		}
		for _, text := range c.lacks {
			if strings.Contains(body, text) {
				t.Errorf("%s: holds %q", name, text)
			}
		}
	}
	if n := s.Streamed(); n != 2<<20 {
		t.Errorf("%d bytes streamed", n)
	}
	response, body, err := read(vttest.Empty().RetryAfter("7"))
	if err != nil || body != "" || response.StatusCode != 200 || response.Header.Get("Retry-After") != "7" {
		t.Errorf("empty: %q, %v", body, err)
	}
	response, _, err = read(vttest.Redirect(302, "https://elsewhere.test/"))
	if err != nil || response.StatusCode != 302 || response.Header.Get("Location") != "https://elsewhere.test/" {
		t.Errorf("redirect: %v", err)
	}
	for _, r := range vttest.Refusals {
		response, body, err := read(r.Fault())
		if err != nil || response.StatusCode != r.Status || !strings.Contains(body, `"code": "`+r.Code+`"`) {
			t.Errorf("%+v: %s, %v", r, body, err)
		}
	}
}
