package abusech

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"midden/internal/cowrie"
	"midden/internal/enrich/abusech/abusechtest"
	"midden/internal/enrich/source"
	"midden/internal/enrich/source/sourcetest"
)

var hashA, hashB = sum("a"), sum("b")

func sum(content string) string {
	s := sha256.Sum256([]byte(content))
	return hex.EncodeToString(s[:])
}

// canary is a key that must be found nowhere; as all keys of abuse.ch, it could
// stand in a query_status.
const canary = "c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00"

// service is what differs between the two.
type service struct {
	title, name, firstSeen, unknown, base, path string
	form                                        url.Values
	add                                         func(*abusechtest.Server, string, map[string]any)
	body                                        func(string, map[string]any) []byte
	client                                      func(source.Options) (asker, error)
}

type asker interface {
	Name() string
	File(context.Context, string) (source.Answer, error)
}

var services = []service{
	{"MalwareBazaar", cowrie.SourceMalwareBazaar, "first_seen", "hash_not_found", MalwareBazaarURL, "/api/v1/",
		url.Values{"query": {"get_info"}, "hash": {hashA}}, (*abusechtest.Server).AddSample, abusechtest.Sample,
		func(o source.Options) (asker, error) { return NewMalwareBazaar(o) }},
	{"URLhaus", cowrie.SourceURLhaus, "firstseen", "no_results", URLhausURL, "/v1/payload/",
		url.Values{"sha256_hash": {hashA}}, (*abusechtest.Server).AddPayload, abusechtest.Payload,
		func(o source.Options) (asker, error) { return NewURLhaus(o) }},
}

// each runs f for both services.
func each(t *testing.T, f func(*testing.T, service)) {
	for _, v := range services {
		t.Run(v.title, func(t *testing.T) { f(t, v) })
	}
}

func (v service) ask(t testing.TB, o source.Options) asker {
	t.Helper()
	transport := source.NewTransport()
	t.Cleanup(transport.CloseIdleConnections)
	o.Transport, o.Key = transport, source.NewKey(canary)
	c, err := v.client(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func second[T any](_ T, err error) error { return err }

var answer, html, cut, reset = sourcetest.Answer, sourcetest.HTML, sourcetest.Cut, sourcetest.Reset

func says(status int, code string) http.HandlerFunc {
	return answer(status, string(abusechtest.Status(code)))
}

func at(text string) cowrie.Time {
	t, ok := cowrie.ParseTime([]byte(text))
	if !ok {
		panic(text)
	}
	return t
}

func TestFile(t *testing.T) {
	each(t, func(t *testing.T, v service) {
		s := abusechtest.New(t, canary)
		members := map[string]any{"signature": "MadeUp", "file_type": "elf", v.firstSeen: "2020-01-02 03:04:05"}
		v.add(s, hashA, members)
		c := v.ask(t, source.Options{BaseURL: s.URL})
		if c.Name() != v.name {
			t.Errorf("name %q", c.Name())
		}

		got, err := c.File(t.Context(), strings.ToUpper(hashA))
		if err != nil {
			t.Fatal(err)
		}
		want := source.Answer{Verdict: cowrie.NewVerdict(hashA, v.name, cowrie.NoTime), Known: true, Body: v.body(hashA, members)}
		want.Verdict.Listed, want.Verdict.FirstSubmission = true, at("2020-01-02T03:04:05")
		want.Verdict.Classification, want.Verdict.Description = "MadeUp", "elf"
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("known (-want +got):\n%s", diff)
		}

		got, err = c.File(t.Context(), hashB)
		if err != nil {
			t.Fatal(err)
		}
		want = source.Answer{Verdict: cowrie.NewVerdict(hashB, v.name, cowrie.NoTime), Body: abusechtest.Status(v.unknown)}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("unknown (-want +got):\n%s", diff)
		}

		e := sourcetest.Fails(t, second(c.File(t.Context(), "x/../../y")), source.Permanent, source.ErrNoShasum)
		if s.Asked() != 2 || e.Source != v.title {
			t.Errorf("%d requests, %v", s.Asked(), e)
		}
	})
}

// TestEntry: what is made of the members of an entry.
func TestEntry(t *testing.T) {
	each(t, func(t *testing.T, v service) {
		s := abusechtest.New(t, canary)
		c := v.ask(t, source.Options{BaseURL: s.URL})
		long := strings.Repeat("é", 200)
		for name, one := range map[string]struct {
			signature, fileType, firstSeen any
			family, description, first     string
		}{
			"nothing":             {nil, nil, nil, "", "", ""},
			"other types":         {7, []string{"elf"}, 1577934245, "", "", ""},
			"too long":            {long, "x" + long, "2020-01-02 03:04:05", long[:252] + "…", "x" + long[:252] + "…", "2020-01-02T03:04:05"},
			"NUL and white space": {" a\x00b\n", " elf ", " 2020-01-02 03:04:05 ", "a\ufffdb", "elf", "2020-01-02T03:04:05"},
			"UTC":                 {"a", "elf", "2020-01-02 03:04:05 UTC", "a", "elf", "2020-01-02T03:04:05"},
			"utc":                 {"a", "elf", "2020-01-02 03:04:05  utc", "a", "elf", "2020-01-02T03:04:05"},
			"a T and a Z":         {"a", "elf", "2020-01-02T03:04:05Z", "a", "elf", "2020-01-02T03:04:05"},
			"a fraction":          {"a", "elf", "2020-01-02 03:04:05.5", "a", "elf", "2020-01-02T03:04:05.5"},
			"a day":               {"a", "elf", "2020-01-02", "a", "elf", ""},
			"no day":              {"a", "elf", "0000-00-00 00:00:00", "a", "elf", ""},
			"no time":             {"a", "elf", " UTC", "a", "elf", ""},
			"another zone":        {"a", "elf", "2020-01-02 03:04:05 CET", "a", "elf", ""},
		} {
			v.add(s, hashA, map[string]any{"signature": one.signature, "file_type": one.fileType, v.firstSeen: one.firstSeen})
			first := cowrie.NoTime
			if one.first != "" {
				first = at(one.first)
			}
			want := cowrie.NewVerdict(hashA, v.name, cowrie.NoTime)
			want.Listed, want.Classification, want.Description, want.FirstSubmission = true, one.family, one.description, first
			got, err := c.File(t.Context(), hashA)
			if err != nil || !got.Known || got.Good || !got.Verdict.Known() {
				t.Errorf("%s: %+v, %v", name, got, err)
			}
			if diff := cmp.Diff(want, got.Verdict); diff != "" {
				t.Errorf("%s (-want +got):\n%s", name, diff)
			}
		}
		// Bytes that are no UTF-8.
		s.Instead(answer(200, strings.Replace(string(v.body(hashA, nil)), `"signature": null`, `"signature": "a`+"\xff"+`\udc00"`, 1)))
		if got, err := c.File(t.Context(), hashA); err != nil || got.Verdict.Classification != "a\ufffd\ufffd" || source.Text("a\xff") != "a\ufffd" {
			t.Errorf("%+v, %v", got, err)
		}
	})
}

// TestStatuses: what each query_status means, with HTTP 200 and others.
func TestStatuses(t *testing.T) {
	each(t, func(t *testing.T, v service) {
		s := abusechtest.New(t, canary)
		c := v.ask(t, source.Options{BaseURL: s.URL})
		const unknown = source.Kind("") // an answer
		for _, one := range []struct {
			status int
			code   string
			want   source.Kind
			text   string // of the error; "" if that is status and code
		}{
			{200, "hash_not_found", unknown, ""},
			{200, "no_results", unknown, ""},
			{404, "hash_not_found", unknown, ""},
			{500, "hash_not_found", source.Transient, ""},
			{302, "no_results", source.Transient, "HTTP 302: no_results: a redirect is not followed: to [hidden]"},
			{404, "ok", source.Transient, ""},
			{200, "illegal_hash", source.Permanent, ""},
			{200, "no_hash_provided", source.Permanent, ""},
			{200, "http_post_expected", source.Permanent, ""},
			{405, "http_post_expected", source.Permanent, ""},
			{200, "invalid_sha256", source.Permanent, ""},
			{400, "invalid_sha256_hash", source.Permanent, ""},
			{503, "illegal_hash", source.Transient, ""},
			{200, "unknown_auth_key", source.KeyRefused, ""},
			{403, "unknown_auth_key", source.KeyRefused, ""},
			{401, "unknown_auth_key", source.KeyRefused, ""},
			{200, "no_api_key", source.KeyRefused, ""},
			{200, "user_blacklisted", source.KeyRefused, ""},
			{403, "ok", source.KeyRefused, ""},
			{429, "ok", source.QuotaSpent, ""},
			{200, "something_new", source.Transient, ""},
			{200, "", source.Transient, "HTTP 200: not in its form"},
			{200, "Bad \x1b[31m", source.Transient, "HTTP 200: not in its form"},
			{200, strings.Repeat("x", 65), source.Transient, "HTTP 200: not in its form"},
			{200, canary, source.Transient, "HTTP 200: [hidden]"},
		} {
			s.Instead(says(one.status, one.code))
			got, err := c.File(t.Context(), hashA)
			if one.want == unknown {
				want := source.Answer{Verdict: cowrie.NewVerdict(hashA, v.name, cowrie.NoTime), Body: abusechtest.Status(one.code)}
				if diff := cmp.Diff(want, got); diff != "" || err != nil {
					t.Errorf("%d %s: %v (-want +got):\n%s", one.status, one.code, err, diff)
				}
				continue
			}
			e := sourcetest.Fails(t, err, one.want, nil)
			text := one.text
			if text == "" {
				text = fmt.Sprintf("HTTP %d: %s", one.status, one.code)
			}
			if e.Error() != v.title+": "+text || got.Body != nil {
				t.Errorf("got %q, want %q, body %q", e, text, got.Body)
			}
		}
	})
}

// TestFaults: each is one request, over a connection that was used before, and
// the next one is answered. Nothing of the key is in any error.
func TestFaults(t *testing.T) {
	const maxBody = 1 << 16
	each(t, func(t *testing.T, v service) {
		whole, other := string(v.body(hashA, nil)), string(v.body(hashB, nil))
		for name, f := range map[string]struct {
			fault http.HandlerFunc
			kind  source.Kind
			match error
		}{
			"HTML 200":        {html(200), source.Transient, source.ErrNotTheirs},
			"HTML 400":        {html(400), source.Transient, source.ErrNotTheirs},
			"HTML 401":        {html(401), source.KeyRefused, source.ErrNotTheirs},
			"HTML 403":        {html(403), source.KeyRefused, source.ErrNotTheirs},
			"HTML 404":        {html(404), source.Transient, source.ErrNotTheirs},
			"HTML 429":        {html(429), source.QuotaSpent, source.ErrNotTheirs},
			"HTML 500":        {html(500), source.Transient, source.ErrNotTheirs},
			"HTML 502":        {html(502), source.Transient, source.ErrNotTheirs},
			"204":             {answer(204, ""), source.Transient, source.ErrNotTheirs},
			"302":             {http.RedirectHandler("https://elsewhere.test/x?k="+canary, http.StatusFound).ServeHTTP, source.Transient, source.ErrRedirected},
			"empty":           {answer(200, ""), source.Transient, source.ErrNotTheirs},
			"null":            {answer(200, "null"), source.Transient, source.ErrNotTheirs},
			"a list":          {answer(200, "["+whole+"]"), source.Transient, source.ErrNotTheirs},
			"ok of a number":  {answer(200, strings.Replace(whole, `"ok"`, "1", 1)), source.Transient, source.ErrNotTheirs},
			"ok alone":        {says(200, "ok"), source.Transient, source.ErrNotTheirs},
			"no data":         {answer(200, `{"query_status":"ok","data":"nothing"}`), source.Transient, source.ErrNotTheirs},
			"empty data":      {answer(200, `{"query_status":"ok","data":[]}`), source.Transient, source.ErrNotTheirs},
			"data of a text":  {answer(200, `{"query_status":"ok","data":["`+hashA+`"]}`), source.Transient, source.ErrNotTheirs},
			"no hash":         {answer(200, strings.Replace(whole, hashA, "", 1)), source.Transient, source.ErrNotTheirs},
			"a hash cut":      {answer(200, strings.Replace(whole, hashA, hashA[1:], 1)), source.Transient, source.ErrNotTheirs},
			"a hash of a 1":   {answer(200, strings.Replace(whole, `"`+hashA+`"`, "1", 1)), source.Transient, source.ErrNotTheirs},
			"another file":    {answer(200, other), source.Transient, source.ErrOtherFile},
			"half a body":     {answer(200, whole[:len(whole)/2]), source.Transient, source.ErrNotTheirs},
			"cut off":         {cut(whole), source.Transient, nil},
			"reset":           {reset, source.Transient, nil},
			"too large":       {answer(200, strings.Repeat(" ", maxBody+1)), source.TooLarge, source.ErrTooLarge},
			"a large error":   {answer(500, strings.Repeat(" ", 256<<10)), source.Transient, source.ErrNotTheirs},
			"repeats the key": {answer(200, strings.Replace(whole, `"signature": null`, `"signature": "`+canary+`"`, 1)), source.Transient, source.ErrEcho},
			"unknown, echoes": {answer(200, `{"query_status":"`+v.unknown+`","key":"`+canary+`"}`), source.Transient, source.ErrEcho},
			"401 with the key": {func(w http.ResponseWriter, r *http.Request) {
				answer(401, fmt.Sprintf(`{"error":"no %q","query_status":%q}`, r.Header, r.Header.Get("Auth-Key")))(w, r)
			}, source.KeyRefused, nil},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				s := abusechtest.New(t, canary)
				v.add(s, hashA, nil)
				c := v.ask(t, source.Options{BaseURL: s.URL, MaxBody: maxBody})
				if err := second(c.File(t.Context(), hashB)); err != nil {
					t.Fatal(err)
				}
				s.Instead(f.fault)
				answer, err := c.File(t.Context(), hashA)
				e := sourcetest.Fails(t, err, f.kind, f.match)
				if said := fmt.Sprintf("%v %+v %#v %v %#v", e, e, *e, c, c); strings.Contains(said, canary) {
					t.Errorf("the key is said: %s", said)
				}
				if s.Asked() != 2 || answer.Body != nil || answer.Known {
					t.Errorf("%d requests, %+v", s.Asked(), answer)
				}
				s.Instead(nil)
				if answer, err := c.File(t.Context(), hashA); err != nil || !answer.Known {
					t.Errorf("afterwards: %v", err)
				}
			})
		}
	})
}

// TestNulls: an ok of URLhaus that names no file says that it knows none.
func TestNulls(t *testing.T) {
	s := abusechtest.New(t, canary)
	c := services[1].ask(t, source.Options{BaseURL: s.URL})
	s.AddPayload(hashA, map[string]any{"sha256_hash": nil, "md5_hash": nil})
	if got, err := c.File(t.Context(), hashA); err != nil || got.Known || got.Verdict.Known() || got.Verdict.Shasum != hashA || got.Body == nil {
		t.Errorf("%+v, %v", got, err)
	}
	s.AddPayload(hashA, map[string]any{"md5_hash": 7, "signature": "a"})
	if got, err := c.File(t.Context(), hashA); err != nil || got.Verdict.Classification != "a" {
		t.Errorf("%+v, %v", got, err)
	}
	s.AddPayload(hashA, map[string]any{"sha256_hash": nil}) // half of an entry
	sourcetest.Fails(t, second(c.File(t.Context(), hashA)), source.Transient, source.ErrNotTheirs)
}

// TestSamples: of several samples, the one that was asked for counts.
func TestSamples(t *testing.T) {
	s := abusechtest.New(t, canary)
	c := services[0].ask(t, source.Options{BaseURL: s.URL})
	s.Instead(answer(200, `{"query_status":"ok","data":[7,{"sha256_hash":"`+hashB+`","signature":"b"},{"sha256_hash":"`+
		strings.ToUpper(hashA)+`","signature":"a"}]}`))
	if got, err := c.File(t.Context(), hashA); err != nil || got.Verdict.Classification != "a" || got.Verdict.Shasum != hashA {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestKey(t *testing.T) {
	each(t, func(t *testing.T, v service) {
		s := abusechtest.New(t, "another")
		e := sourcetest.Fails(t, second(v.ask(t, source.Options{BaseURL: s.URL}).File(t.Context(), hashA)), source.KeyRefused, nil)
		if want := v.title + ": HTTP 403: unknown_auth_key"; e.Error() != want {
			t.Errorf("got %q, want %q", e, want)
		}
		if c, err := v.client(source.Options{}); !errors.Is(err, source.ErrNoKey) {
			t.Errorf("%v, %v", c, err)
		}
	})
}

func TestRetryAfter(t *testing.T) {
	each(t, func(t *testing.T, v service) {
		s := abusechtest.New(t, canary)
		s.Instead(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Retry-After", "30")
			html(429)(w, r)
		}))
		e := sourcetest.Fails(t, second(v.ask(t, source.Options{BaseURL: s.URL}).File(t.Context(), hashA)), source.QuotaSpent, nil)
		if e.RetryAfter != 30*time.Second {
			t.Errorf("%v", e.RetryAfter)
		}
	})
}

// TestMaxBody: the limit is to the byte.
func TestMaxBody(t *testing.T) {
	each(t, func(t *testing.T, v service) {
		s := abusechtest.New(t, canary)
		v.add(s, hashA, nil)
		size := int64(len(v.body(hashA, nil)))
		if err := second(v.ask(t, source.Options{BaseURL: s.URL, MaxBody: size}).File(t.Context(), hashA)); err != nil {
			t.Errorf("just fits: %v", err)
		}
		sourcetest.Fails(t, second(v.ask(t, source.Options{BaseURL: s.URL, MaxBody: size - 1}).File(t.Context(), hashA)), source.TooLarge, source.ErrTooLarge)
	})
}

// TestRequest: what is sent, and where to. The path keeps the slash at its end.
func TestRequest(t *testing.T) {
	each(t, func(t *testing.T, v service) {
		for base, want := range map[string]string{"": v.path, "/": v.path, "/a": "/a" + v.path} {
			s := abusechtest.New(t, canary)
			var got *http.Request
			s.Instead(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_ = r.ParseForm()
				got = r.Clone(r.Context())
				says(200, v.unknown)(w, r)
			}))
			if err := second(v.ask(t, source.Options{BaseURL: s.URL + base, UserAgent: "midden/test"}).File(t.Context(), strings.ToUpper(hashA))); err != nil {
				t.Fatal(err)
			}
			if got.Method != "POST" || got.RequestURI != want || got.Header.Get("Auth-Key") != canary || !strings.HasPrefix(got.UserAgent(), "midden/test") {
				t.Errorf("%q: %s %s %v", base, got.Method, got.RequestURI, got.UserAgent())
			}
			if diff := cmp.Diff(v.form, got.PostForm); diff != "" || len(got.Form) != len(got.PostForm) {
				t.Errorf("form (-want +got):\n%s", diff)
			}
		}
		if c, err := v.client(source.Options{Key: source.NewKey(canary)}); err != nil || fmt.Sprint(c) != "source.Client("+v.base+")" {
			t.Errorf("%v, %v", c, err)
		}
	})
}
