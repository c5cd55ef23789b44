package virustotal

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"midden/internal/cowrie"
	"midden/internal/enrich/source"
	"midden/internal/enrich/virustotal/vttest"
	"midden/internal/secret"
)

// canary is a key that must be found nowhere.
const canary = "c4n4ry0000000000000000000000000000000000000000000000000000000key"

// sample is a file that VirusTotal knows.
var sample = vttest.File{
	SHA256: hashA, Stats: &vttest.Stats{Malicious: 41, Suspicious: 1, Undetected: 20, Harmless: 2, Timeout: 3, TypeUnsupported: 14},
	Label: "trojan.made/up", TypeDescription: "ELF", TypeTag: "elf", Size: 1234, Names: []string{"a", "b"}, Reputation: -11,
	FirstSubmission: time.Unix(1690000000, 0), LastAnalysis: time.Unix(1700000000, 0),
}

func serve(t testing.TB) *vttest.Server {
	s := vttest.New(t)
	s.AddAccount(vttest.Account{Key: canary, User: "user"})
	s.Add(sample)
	return s
}

func client(t testing.TB, o source.Options) *Client {
	t.Helper()
	o.Key = source.NewKey(canary)
	if o.Transport == nil {
		transport := source.NewTransport()
		t.Cleanup(transport.CloseIdleConnections)
		o.Transport = transport
	}
	c, err := NewClient(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// fails makes sure that err is an *source.Error of this kind.
func fails(t *testing.T, name string, err error, want source.Kind) *source.Error {
	t.Helper()
	e, ok := errors.AsType[*source.Error](err)
	if !ok {
		t.Errorf("%s: got %v, want an *source.Error", name, err)
		return &source.Error{}
	}
	if e.Kind != want {
		t.Errorf("%s: %q is %q, want %q", name, e, e.Kind, want)
	}
	return e
}

func TestFile(t *testing.T) {
	s := serve(t)
	c := client(t, source.Options{BaseURL: s.URL, UserAgent: "midden/test"})
	got, err := c.File(t.Context(), strings.ToUpper(hashA))
	if err != nil {
		t.Fatal(err)
	}
	want := verdict(41, 1, 20, 2, 64, func(v *cowrie.Verdict) {
		v.AnalysedAt, v.FirstSubmission = at("2023-11-14T22:13:20"), at("2023-07-22T04:26:40")
		v.Classification, v.Description = "trojan.made/up", "ELF"
	})
	if diff := cmp.Diff(source.Answer{Verdict: want, Known: true, Body: sample.Report()}, got); diff != "" {
		t.Errorf("known (-want +got):\n%s", diff)
	}
	got, err = c.File(t.Context(), hashB)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(cowrie.NewVerdict(hashB, cowrie.SourceVirusTotal, cowrie.NoTime), got.Verdict); diff != "" {
		t.Errorf("unknown (-want +got):\n%s", diff)
	}
	if got.Known || !json.Valid(got.Body) {
		t.Errorf("unknown: %v, body %q", got.Known, got.Body)
	}
	for _, r := range s.Requests() {
		if r.UserAgent != "midden/test (gzip)" || r.User != "user" || r.Method != "GET" {
			t.Errorf("request %+v", r)
		}
	}
	e := fails(t, "no hash", second(c.File(t.Context(), "x/../../y")), source.Permanent)
	if !errors.Is(e, source.ErrNoShasum) || s.LookUps() != 2 {
		t.Errorf("no hash: %v, %d look-ups", e, s.LookUps())
	}
}

func second[T any](_ T, err error) error { return err }

// maxTestBody fits a report, and not what is larger than one.
const maxTestBody = 1 << 20

// faults are all that can go wrong in an answer on hashA.
var faults = map[string]struct {
	fault vttest.Fault
	kind  source.Kind // "" if it is no error
	match error
}{
	"HTML 200":          {vttest.HTML(200), source.Transient, ErrNotJSON},
	"HTML 400":          {vttest.HTML(400), source.Transient, source.ErrNotTheirs},
	"HTML 401":          {vttest.HTML(401), source.KeyRefused, source.ErrNotTheirs},
	"HTML 403":          {vttest.HTML(403), source.Transient, source.ErrNotTheirs},
	"HTML 404":          {vttest.HTML(404), source.Transient, source.ErrNotTheirs},
	"HTML 407":          {vttest.HTML(407), source.Transient, source.ErrNotTheirs},
	"HTML 429":          {vttest.HTML(429), source.QuotaSpent, source.ErrNotTheirs},
	"HTML 500":          {vttest.HTML(500), source.Transient, source.ErrNotTheirs},
	"HTML 502":          {vttest.HTML(502), source.Transient, source.ErrNotTheirs},
	"HTML 503":          {vttest.HTML(503), source.Transient, source.ErrNotTheirs},
	"404 of another":    {vttest.Refuse(404, "Whatever", ""), source.Transient, nil},
	"404, a text":       {vttest.Raw(404, "application/json", `"NotFoundError"`), source.Transient, source.ErrNotTheirs},
	"404, cut":          {vttest.Raw(404, "application/json", `{"error":{"code":"NotFoundError"`), source.Transient, source.ErrNotTheirs},
	"404 that is 200":   {vttest.Refuse(200, "NotFoundError", ""), source.Transient, nil},
	"400 that is 200":   {vttest.Refuse(200, "BadRequestError", ""), source.Transient, nil},
	"no code":           {vttest.Refuse(400, "", "x"), source.Transient, source.ErrNotTheirs},
	"a code of text":    {vttest.Refuse(400, "<b>\x1b[31m", "x"), source.Transient, source.ErrNotTheirs},
	"204":               {vttest.Redirect(204, ""), source.Transient, source.ErrNotTheirs},
	"empty":             {vttest.Empty(), source.Transient, ErrEmpty},
	"empty gzip":        {withHeader("Content-Encoding", "gzip", vttest.Raw(200, "application/json", "")), source.Transient, ErrEmpty},
	"another encoding":  {withHeader("Content-Encoding", "br", vttest.Raw(200, "application/json", "x")), source.Transient, nil},
	"truncated gzip":    {vttest.TruncatedGzip(), source.Transient, nil},
	"broken gzip":       {vttest.BrokenGzip(), source.Transient, nil},
	"no gzip":           {vttest.NotGzip(), source.Transient, nil},
	"cut off":           {vttest.Cut(), source.Transient, nil},
	"half a report":     {vttest.Raw(200, "application/json", whole[:300]), source.Transient, ErrBroken},
	"1 GB":              {vttest.Endless(1 << 30), source.TooLarge, source.ErrTooLarge},
	"1 GB of gzip":      {vttest.Bomb(1 << 30), source.TooLarge, source.ErrTooLarge},
	"announced too big": {vttest.Raw(200, "application/json", strings.Repeat(" ", maxTestBody+1)), source.TooLarge, source.ErrTooLarge},
	"a large error":     {vttest.Raw(500, "application/json", strings.Repeat(" ", 256<<10)), source.Transient, source.ErrNotTheirs},
	"reset":             {vttest.Reset(), source.Transient, nil},
	"reset midway":      {vttest.ResetMidway(), source.Transient, nil},
	"another file":      {vttest.Instead(vttest.File{SHA256: hashB, Stats: sample.Stats}), source.Transient, source.ErrOtherFile},
	"a URL":             {vttest.Raw(200, "application/json", strings.Replace(whole, `"file"`, `"url"`, 1)), source.Transient, ErrNoHash},
	"no stats":          {vttest.Without("last_analysis_stats"), source.Transient, ErrNoStats},
	"absurd":            {vttest.With(map[string]any{"last_analysis_date": 1e18}), source.Transient, ErrAbsurd},
	"301":               {vttest.Redirect(301, "https://elsewhere.test/x"), source.Transient, source.ErrRedirected},
	"302 to itself":     {vttest.Redirect(302, "/api/v3/files/"+hashA), source.Transient, source.ErrRedirected},
	"307, no URL":       {vttest.Redirect(307, ":"), source.Transient, source.ErrRedirected},
	"repeats the key":   {vttest.With(map[string]any{"vhash": canary}), source.Transient, source.ErrEcho},
	"404 with the key":  {vttest.EchoKey(404, "NotFoundError"), source.Transient, source.ErrEcho},
	"401 with the key":  {vttest.EchoKey(401, "WrongCredentialsError"), source.KeyRefused, nil},
	"502 with the key":  {vttest.EchoKey(502, "TransientError"), source.Transient, nil},
	"no attributes":     {vttest.Without("md5", "names", "last_analysis_date", "last_analysis_results", "sha256"), "", nil},
	"numbers as text":   {vttest.NumbersAsText(), "", nil},
	"back in time": {vttest.Instead(vttest.File{SHA256: hashA, Stats: &vttest.Stats{Undetected: 60},
		LastAnalysis: time.Unix(1600000000, 0)}), "", nil},
}

// TestFaults: each is one request, over a connection that was used before, and
// the next one is answered.
func TestFaults(t *testing.T) {
	for name, f := range faults {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t)
			c := client(t, source.Options{BaseURL: s.URL, MaxBody: maxTestBody})
			if err := second(c.File(t.Context(), hashB)); err != nil {
				t.Fatal(err)
			}
			s.FailFile(hashA, 1, f.fault)
			answer, err := c.File(t.Context(), hashA)
			if n := s.Asked(hashA); n != 1 {
				t.Errorf("%d requests", n)
			}
			if f.kind == "" {
				if err != nil || !answer.Known || answer.Verdict.Shasum != hashA {
					t.Errorf("got %+v, %v", answer.Verdict, err)
				}
			} else if e := fails(t, name, err, f.kind); f.match != nil && !errors.Is(e, f.match) {
				t.Errorf("got %q, want %q", e, f.match)
			} else if answer.Body != nil || answer.Known {
				t.Errorf("an answer all the same: %+v", answer)
			}
			if n := s.Streamed(); n > 1<<29 {
				t.Errorf("%d bytes were taken", n)
			}
			if answer, err := c.File(t.Context(), hashA); err != nil || !answer.Known {
				t.Errorf("afterwards: %v", err)
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	want := map[string]source.Kind{
		"BadRequestError": source.Permanent, "InvalidArgumentError": source.Permanent, "NotAvailableYet": source.Transient,
		"UnselectiveContentQueryError": source.Permanent, "UnsupportedContentQueryError": source.Permanent,
		"AuthenticationRequiredError": source.KeyRefused, "UserNotActiveError": source.KeyRefused, "WrongCredentialsError": source.KeyRefused,
		"ForbiddenError": source.Forbidden, "AlreadyExistsError": source.Permanent, "FailedDependencyError": source.Transient,
		"QuotaExceededError": source.QuotaSpent, "TooManyRequestsError": source.QuotaSpent,
		"TransientError": source.Transient, "DeadlineExceededError": source.Transient,
	}
	s := serve(t)
	c := client(t, source.Options{BaseURL: s.URL})
	for _, r := range vttest.Refusals {
		if r.Code == notFound {
			continue // an answer
		}
		for header, wait := range map[string]time.Duration{"": 0, "30": 30 * time.Second} {
			fault := r.Fault()
			if header != "" {
				fault = fault.RetryAfter(header)
			}
			s.FailNext(1, fault)
			e := fails(t, r.Code, second(c.File(t.Context(), hashA)), want[r.Code])
			if e.Code != r.Code || e.Status != r.Status || e.Message == "" || e.RetryAfter != wait || e.Err != nil {
				t.Errorf("%s, Retry-After %q: %#v", r.Code, header, e)
			}
		}
	}
	if n := 2 * (len(vttest.Refusals) - 1); s.LookUps() != n {
		t.Errorf("%d requests, want %d", s.LookUps(), n)
	}
}

func TestRefusalTexts(t *testing.T) {
	s := serve(t)
	c := client(t, source.Options{BaseURL: s.URL})
	for _, one := range []struct {
		fault vttest.Fault
		want  string
	}{
		{vttest.Refuse(429, "QuotaExceededError", "Quota exceeded").RetryAfter("30"),
			"VirusTotal: HTTP 429: QuotaExceededError: Quota exceeded: try again in 30s"},
		{vttest.Refuse(400, "BadRequestError", "a\x1b]52;c;x\x07\n\u202eb \"é\""),
			`VirusTotal: HTTP 400: BadRequestError: a\x1b]52;c;x\a\n\u202eb "é"`},
		{vttest.EchoKey(401, "WrongCredentialsError"),
			"VirusTotal: HTTP 401: WrongCredentialsError: The key [hidden] will not do"},
		{vttest.Refuse(400, "BadRequestError", strings.Repeat("x", 240)+canary),
			"VirusTotal: HTTP 400: BadRequestError: " + strings.Repeat("x", 240) + "[hidden]"},
		{vttest.Refuse(400, "BadRequestError", strings.Repeat("x", 1000)),
			"VirusTotal: HTTP 400: BadRequestError: " + strings.Repeat("x", 253) + "…"},
		{vttest.HTML(502), "VirusTotal: HTTP 502: not in its form"},
		{vttest.Redirect(302, "https://u:p@elsewhere.test/login?k="+canary),
			"VirusTotal: HTTP 302: a redirect is not followed: to https://elsewhere.test"},
		{vttest.Empty(), "VirusTotal: HTTP 200: empty"},
	} {
		s.FailNext(1, one.fault)
		if _, err := c.File(t.Context(), hashA); err == nil || err.Error() != one.want {
			t.Errorf("got  %v\nwant %s", err, one.want)
		}
	}
}

// TestMaxBody: the limit is of the decompressed body, to the byte.
func TestMaxBody(t *testing.T) {
	s := serve(t)
	size := int64(len(sample.Report()))
	for _, agent := range []string{"gzip", ""} { // compressed, and not
		plain := roundTripper(func(r *http.Request) (*http.Response, error) {
			if agent == "" {
				r.Header.Del("Accept-Encoding")
				r.Header.Set("Accept-Encoding", "identity")
			}
			return http.DefaultTransport.RoundTrip(r)
		})
		if err := second(client(t, source.Options{BaseURL: s.URL, MaxBody: size, Transport: plain}).File(t.Context(), hashA)); err != nil {
			t.Errorf("%q, just fits: %v", agent, err)
		}
		fails(t, "a byte less", second(client(t, source.Options{BaseURL: s.URL, MaxBody: size - 1, Transport: plain}).File(t.Context(), hashA)), source.TooLarge)
	}
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestStall(t *testing.T) {
	for name, fault := range map[string]vttest.Fault{"at the beginning": vttest.Stall(), "midway": vttest.StallMidway()} {
		s := serve(t)
		s.FailNext(-1, fault)
		c := client(t, source.Options{BaseURL: s.URL, Timeout: 50 * time.Millisecond})
		e := fails(t, name, second(c.File(t.Context(), hashA)), source.Transient)
		if !errors.Is(e, os.ErrDeadlineExceeded) || !strings.Contains(e.Error(), "no whole answer in 50ms") {
			t.Errorf("%s: %v", name, e)
		}

		ctx, cancel := context.WithCancel(t.Context())
		s.Mend()
		s.FailNext(1, func(x *vttest.Exchange) { cancel(); fault(x) })
		e = fails(t, name+", stopped", second(client(t, source.Options{BaseURL: s.URL}).File(ctx, hashA)), source.Stopped)
		if !errors.Is(e, context.Canceled) || s.Asked(hashA) != 2 {
			t.Errorf("%s, stopped: %v, %d requests", name, e, s.Asked(hashA))
		}
	}
	ctx, cancel := context.WithDeadline(t.Context(), time.Unix(0, 0))
	defer cancel()
	s := serve(t)
	e := fails(t, "too late", second(client(t, source.Options{BaseURL: s.URL}).File(ctx, hashA)), source.Stopped)
	if !errors.Is(e, context.DeadlineExceeded) || s.LookUps() != 0 {
		t.Errorf("too late: %v, %d requests", e, s.LookUps())
	}
}

// TestNoConnection: what goes wrong before there is an answer.
func TestNoConnection(t *testing.T) {
	s := vttest.NewHandler(t)
	closed := httptest.NewServer(s)
	closed.Close()
	secure := httptest.NewUnstartedServer(s)
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.StartTLS()
	defer secure.Close()
	mute := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, _, _ := http.NewResponseController(w).Hijack()
		fmt.Fprintf(conn, "\x1b[31m %s\r\n\r\n", canary)
		conn.Close()
	}))
	defer mute.Close()
	dns := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
		return nil, &net.DNSError{Err: "no such host", Name: "vt.test", IsNotFound: true}
	}}
	for name, o := range map[string]source.Options{
		"refused":     {BaseURL: closed.URL},
		"TLS":         {BaseURL: secure.URL},
		"no HTTP":     {BaseURL: mute.URL},
		"no TLS":      {BaseURL: strings.Replace(mute.URL, "http:", "https:", 1)},
		"a wrong DNS": {BaseURL: "https://vt.test", Transport: dns},
	} {
		e := fails(t, name, second(client(t, o).File(t.Context(), hashA)), source.Transient)
		if reached := name == "no HTTP"; e.Unsent == reached {
			t.Errorf("%s: unsent is %v", name, e.Unsent)
		}
		if e.Err == nil || e.Status != 0 || strings.Contains(e.Error(), canary) || strings.Contains(e.Error(), "\x1b") {
			t.Errorf("%s: %#v", name, e)
		}
	}
}

// TestRedirect: the key goes to no other host.
func TestRedirect(t *testing.T) {
	other := serve(t)
	s := serve(t)
	for _, status := range []int{301, 302, 303, 307, 308} {
		s.FailNext(1, vttest.Redirect(status, other.URL+"/api/v3/files/"+hashA))
		e := fails(t, "redirect", second(client(t, source.Options{BaseURL: s.URL}).File(t.Context(), hashA)), source.Transient)
		if !strings.Contains(e.Error(), other.URL) {
			t.Error(e)
		}
	}
	if n := len(other.Requests()); n != 0 {
		t.Errorf("%d requests elsewhere", n)
	}
}

// TestConnections: one is used again, also after errors, by HTTP/1 and by
// HTTP/2.
func TestConnections(t *testing.T) {
	for _, version := range []int{1, 2} {
		s := vttest.NewHandler(t)
		s.AddAccount(vttest.Account{Key: canary, User: "user"})
		s.Add(sample)
		var opened atomic.Int32
		var other atomic.Bool
		server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.ProtoMajor != version || len(r.TransferEncoding) > 0 || r.ContentLength != 0 {
				other.Store(true)
			}
			s.ServeHTTP(w, r)
		}))
		server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
			if state == http.StateNew {
				opened.Add(1)
			}
		}
		server.EnableHTTP2 = version == 2
		transport := source.NewTransport()
		if version == 2 {
			server.StartTLS()
			transport.TLSClientConfig = &tls.Config{RootCAs: server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs}
		} else {
			server.Start()
		}
		c := client(t, source.Options{BaseURL: server.URL, Transport: transport})
		s.FailFile(hashB, 1, vttest.HTML(502))
		for i := range 10 {
			if answer, err := c.File(t.Context(), hashA); err != nil || !answer.Known {
				t.Error(err)
			}
			if err := second(c.File(t.Context(), hashB)); (err != nil) != (i == 0) {
				t.Error(err)
			}
		}
		if n := opened.Load(); n != 1 || other.Load() {
			t.Errorf("HTTP/%d: %d connections, of another version or with a body: %v", version, n, other.Load())
		}
		if version == 2 {
			s.FailFile(hashA, 1, vttest.Reset())
			fails(t, "reset", second(c.File(t.Context(), hashA)), source.Transient)
			if n := s.Asked(hashA); n != 11 {
				t.Errorf("reset: %d requests", n-10)
			}
		}
		transport.CloseIdleConnections()
		server.Close()
	}
}

func TestConcurrent(t *testing.T) {
	s := serve(t)
	c := client(t, source.Options{BaseURL: s.URL})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 20 {
				shasum := fmt.Sprintf("%064x", i)
				if answer, err := c.File(t.Context(), shasum); err != nil || answer.Known || answer.Verdict.Shasum != shasum {
					t.Error(shasum, err)
				}
			}
		})
	}
	wg.Wait()
	if s.LookUps() != 160 {
		t.Errorf("%d requests", s.LookUps())
	}
}

func TestQuotas(t *testing.T) {
	s := vttest.New(t)
	s.AddAccount(vttest.Account{Key: canary, User: "user", Minute: 4, Day: 500, Month: 15500, UsedDay: 17, UsedMonth: 137,
		Group: &vttest.Group{Day: 20, Month: 100000, UsedDay: 19}})
	c := client(t, source.Options{BaseURL: s.URL + "/"})
	got, err := c.Quotas(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	none := Allowance{-1, -1}
	want := Quotas{
		Hour:  Quota{User: Allowance{240, 0}, Group: none},
		Day:   Quota{User: Allowance{500, 17}, Group: Allowance{20, 19}},
		Month: Quota{User: Allowance{15500, 137}, Group: Allowance{100000, 0}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, one := range []struct {
		q    Quota
		want Allowance
	}{{got.Hour, got.Hour.User}, {got.Day, got.Day.Group}, {got.Month, got.Month.User}, {Quota{none, none}, none},
		{Quota{none, Allowance{1, 1}}, Allowance{1, 1}}, {Quota{Allowance{5, 9}, Allowance{5, 4}}, Allowance{5, 9}}} {
		if a, ok := one.q.Tightest(); a != one.want || ok != (one.want.Allowed >= 0) {
			t.Errorf("tightest of %+v: %+v, %v", one.q, a, ok)
		}
	}

	day := func(text string) vttest.Fault {
		return vttest.Raw(200, "application/json", `{"data":{"api_requests_daily":`+text+`}}`)
	}
	for text, want := range map[string]Allowance{
		`{"user":{"allowed":"500","used":"17"}}`:       {500, 17},
		`{"user":{"allowed":1,"used":null}}`:           {1, -1},
		`{"user":{"allowed":1e300,"used":-4}}`:         {1<<31 - 1, -1},
		`{"user":{"allowed":0,"used":0},"group":null}`: {0, 0},
	} {
		s.FailOther(1, day(text))
		if got, err := c.Quotas(t.Context()); err != nil || got.Day.User != want || got.Day.Group != none {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	for name, one := range map[string]struct {
		fault vttest.Fault
		kind  source.Kind
		match error
	}{
		"none":     {day(`{}`), source.Transient, ErrNoQuotas},
		"mistyped": {day(`[4]`), source.Transient, ErrNoQuotas},
		"absurd":   {day(`{"user":{"allowed":"x"}}`), source.Transient, ErrNoQuotas},
		"empty":    {vttest.Empty(), source.Transient, ErrEmpty},
		"HTML":     {vttest.HTML(200), source.Transient, ErrNotJSON},
		"502":      {vttest.HTML(502), source.Transient, source.ErrNotTheirs},
		"401":      {vttest.EchoKey(401, "WrongCredentialsError"), source.KeyRefused, nil},
		"403":      {vttest.EchoKey(403, "ForbiddenError"), source.Forbidden, nil},
		"404":      {vttest.EchoKey(404, "NotFoundError"), source.Permanent, nil},
		"429":      {vttest.EchoKey(429, "QuotaExceededError"), source.QuotaSpent, nil},
	} {
		s.FailOther(1, one.fault)
		if e := fails(t, name, second(c.Quotas(t.Context())), one.kind); one.match != nil && !errors.Is(e, one.match) {
			t.Errorf("%s: %v", name, e)
		}
	}
	if s.LookUps() != 0 {
		t.Errorf("%d look-ups", s.LookUps())
	}
}

func TestNewClientRefuses(t *testing.T) {
	const secret = "hunter2hunter2hunter2"
	key := source.NewKey(canary)
	for name, c := range map[string]struct {
		o    source.Options
		want error
	}{
		"no key":            {source.Options{}, source.ErrNoKey},
		"an empty key":      {source.Options{Key: source.NewKey(" \n")}, source.ErrNoKey},
		"two lines":         {source.Options{Key: source.NewKey(secret + "\nx")}, source.ErrBadKey},
		"a quoted key":      {source.Options{Key: source.NewKey(`"` + secret + `"`)}, source.ErrBadKey},
		"a key with é":      {source.Options{Key: source.NewKey(secret + "é")}, source.ErrBadKey},
		"no scheme":         {source.Options{Key: key, BaseURL: "u:" + secret + "@vt.test"}, source.ErrBaseURL},
		"another scheme":    {source.Options{Key: key, BaseURL: "ftp://u:" + secret + "@vt.test"}, source.ErrBaseURL},
		"no host":           {source.Options{Key: key, BaseURL: "https://u:" + secret + "@/x"}, source.ErrBaseURL},
		"a port alone":      {source.Options{Key: key, BaseURL: "https://:80"}, source.ErrBaseURL},
		"broken":            {source.Options{Key: key, BaseURL: "https://u:" + secret + "@vt.test/%zz"}, source.ErrBaseURL},
		"a query":           {source.Options{Key: key, BaseURL: "https://vt.test/?key=" + secret}, source.ErrBaseURL},
		"a fragment":        {source.Options{Key: key, BaseURL: "https://vt.test/#" + secret}, source.ErrBaseURL},
		"a broken name":     {source.Options{Key: key, UserAgent: "a\r\nX: y"}, source.ErrUserAgent},
		"a name with a bit": {source.Options{Key: key, UserAgent: "é"}, source.ErrUserAgent},
	} {
		got, err := NewClient(c.o)
		if got != nil || !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), secret) {
			t.Errorf("%s shows a secret: %v", name, err)
		}
	}
}

// TestBaseURL: a path below which a proxy serves the API, credentials for it,
// and the part that is VirusTotal's own.
func TestBaseURL(t *testing.T) {
	for base, want := range map[string]string{
		"":                "/api/v3/files/",
		"/":               "/api/v3/files/",
		"/api/v3":         "/api/v3/files/",
		"/vt/":            "/vt/api/v3/files/",
		"/a%2Fb/api/v3/":  "/a%2Fb/api/v3/files/",
		"/a/../b/api/v3/": "/a/../b/api/v3/files/",
	} {
		var got string
		echo := roundTripper(func(r *http.Request) (*http.Response, error) {
			user, password, _ := r.BasicAuth()
			got = r.URL.String() + " " + user + " " + password
			return nil, errors.New("no")
		})
		c := client(t, source.Options{BaseURL: "https://u:p@vt.test" + base, Transport: echo})
		fails(t, base, second(c.File(t.Context(), hashA)), source.Transient)
		if want := "https://vt.test" + want + hashA + " u p"; got != want {
			t.Errorf("%q: got %s, want %s", base, got, want)
		}
	}
}

// TestCanary: neither the key nor the password of the base URL is in anything
// that is returned, printed, encoded or logged.
func TestCanary(t *testing.T) {
	const password = "p4ssw0rd/of+the base"
	var said bytes.Buffer
	log.SetOutput(&said)
	defer log.SetOutput(os.Stderr)
	note := func(v any) {
		fmt.Fprintf(&said, "%v %+v %#v %s %q %x %X %d %T\n", v, v, v, v, v, v, v, v, v)
		fmt.Fprintf(&said, "%v %+v %#v\n", struct{ V any }{v}, struct{ V any }{v}, struct{ V any }{v})
		if _, ok := v.(source.Options); !ok { // of those, only the key hides in a field that is not exported
			fmt.Fprintf(&said, "%v %+v %#v\n", struct{ v any }{v}, struct{ v any }{v}, struct{ v any }{v})
		}
		b, err := json.Marshal(v)
		fmt.Fprintf(&said, "%s %v\n", b, err)
		fmt.Fprintf(&said, "%v\n", []any{v})
	}

	s := serve(t)
	base := strings.Replace(s.URL, "://", "://user:"+"p4ssw0rd%2Fof+the%20base"+"@", 1)
	o := source.Options{BaseURL: base, Key: source.NewKey(canary), MaxBody: maxTestBody, Timeout: 5 * time.Second, UserAgent: "midden/test"}
	note(o)
	note(&o)
	note(o.Key)
	note(struct{ key secret.Secret }{o.Key})
	o.BaseURL = base + "/%zz"
	note(o)
	o.BaseURL = base
	transport := source.NewTransport()
	defer transport.CloseIdleConnections()
	o.Transport = transport
	c, err := NewClient(o)
	if err != nil {
		t.Fatal(err)
	}
	note(c)
	note(*c)

	noteError := func(err error) {
		for ; err != nil; err = errors.Unwrap(err) {
			note(err)
		}
	}
	echoHeaders := func(x *vttest.Exchange) {
		vttest.Refuse(400, "BadRequestError", fmt.Sprint(x.R.Header, x.R.URL))(x)
	}
	all := map[string]vttest.Fault{"headers": echoHeaders}
	for name, f := range faults {
		all[name] = f.fault
	}
	for _, r := range vttest.Refusals {
		all[r.Code] = r.Fault()
	}
	for name, fault := range all {
		if strings.Contains(name, "GB") {
			continue // slow, and without an answer that could hold anything
		}
		s.FailNext(1, fault)
		answer, err := c.File(t.Context(), hashA)
		note(answer)
		fmt.Fprintf(&said, "%s\n", answer.Body)
		noteError(err)
		s.FailOther(1, fault)
		quotas, err := c.Quotas(t.Context())
		note(quotas)
		noteError(err)
	}
	for _, failure := range []error{
		fmt.Errorf("Get %q: broken", s.URL+"/api/v3/users/"+canary+"/overall_quotas"),
		errors.New("no host user:" + password + "@vt.test"),
		errors.New("bad header Basic " + base64.StdEncoding.EncodeToString([]byte("user:"+password))),
	} {
		broken := o
		broken.Transport = roundTripper(func(*http.Request) (*http.Response, error) { return nil, failure })
		c, err := NewClient(broken)
		if err != nil {
			t.Fatal(err)
		}
		noteError(second(c.Quotas(t.Context())))
	}
	note(s.Requests())

	for _, secret := range []string{canary, password, "p4ssw0rd", base64.StdEncoding.EncodeToString([]byte("user:" + password))} {
		for _, form := range []string{secret, hex.EncodeToString([]byte(secret)), strings.ToUpper(hex.EncodeToString([]byte(secret))),
			base64.StdEncoding.EncodeToString([]byte(secret))} {
			if i := bytes.Index(said.Bytes(), []byte(form)); i >= 0 {
				t.Errorf("%q is said: %q", form, said.Bytes()[max(i-200, 0):min(i+100, said.Len())])
			}
		}
	}
	if said.Len() < 10000 || !bytes.Contains(said.Bytes(), []byte("[hidden]")) {
		t.Errorf("the test says next to nothing: %d bytes", said.Len())
	}
}

// TestProxy: the proxies of the environment are honoured. Go reads them once,
// so another process is needed.
func TestProxy(t *testing.T) {
	const asks = "MIDDEN_TEST_PROXY"
	if os.Getenv(asks) != "" {
		c := client(t, source.Options{BaseURL: "http://vt.test"})
		answer, err := c.File(t.Context(), hashA)
		fmt.Printf("known %v, error %v, %+v\n", answer.Known, err, errors.Unwrap(err))
		return
	}
	s := serve(t)
	var asked atomic.Value
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Store(r.URL.Scheme + "://" + r.URL.Host)
		s.ServeHTTP(w, r)
	}))
	defer proxy.Close()
	ask := func(url string) string {
		cmd := exec.Command(os.Args[0], "-test.run=^TestProxy$")
		cmd.Env = append(os.Environ(), asks+"=1", "GORACE=atexit_sleep_ms=0", "HTTP_PROXY="+url, "http_proxy=", "NO_PROXY=", "no_proxy=", "REQUEST_METHOD=")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return string(out)
	}
	if out := ask(proxy.URL); !strings.Contains(out, "known true, error <nil>") || asked.Load() != "http://vt.test" {
		t.Errorf("the proxy was asked for %v\n%s", asked.Load(), out)
	}
	const secret = "pr0xypassw0rd"
	if out := ask("http://u:" + secret + "@127.0.0.1:1"); strings.Contains(out, secret) || !strings.Contains(out, "known false, error VirusTotal: proxyconnect") {
		t.Errorf("a proxy that is not there:\n%s", out)
	}
}

func withHeader(name, value string, f vttest.Fault) vttest.Fault {
	return func(x *vttest.Exchange) {
		x.W.Header().Set(name, value)
		f(x)
	}
}
