package hashlookup

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"midden/internal/cowrie"
	"midden/internal/enrich/hashlookup/hashlookuptest"
	"midden/internal/enrich/source"
	"midden/internal/enrich/source/sourcetest"
)

var hashA, hashB = sum("a"), sum("b")

func sum(content string) string {
	s := sha256.Sum256([]byte(content))
	return hex.EncodeToString(s[:])
}

func client(t testing.TB, o source.Options) *Client {
	t.Helper()
	transport := source.NewTransport()
	t.Cleanup(transport.CloseIdleConnections)
	o.Transport = transport
	c, err := NewClient(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func second[T any](_ T, err error) error { return err }

var answer, html, cut, reset = sourcetest.Answer, sourcetest.HTML, sourcetest.Cut, sourcetest.Reset

func TestFile(t *testing.T) {
	s := hashlookuptest.New(t)
	members := map[string]any{"FileName": "./bin/made-up", "db": "made_up", "ProductCode": map[string]string{"ProductName": "Example OS 1"}}
	s.Add(hashA, members)
	c := client(t, source.Options{BaseURL: s.URL})
	if c.Name() != cowrie.SourceHashlookup {
		t.Errorf("name %q", c.Name())
	}

	got, err := c.File(t.Context(), strings.ToUpper(hashA))
	if err != nil {
		t.Fatal(err)
	}
	want := source.Answer{Verdict: cowrie.NewVerdict(hashA, cowrie.SourceHashlookup, cowrie.NoTime), Known: true, Good: true,
		Body: hashlookuptest.Record(hashA, members)}
	want.Verdict.Listed, want.Verdict.Description = true, "./bin/made-up (Example OS 1)"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("known (-want +got):\n%s", diff)
	}

	got, err = c.File(t.Context(), hashB)
	if err != nil {
		t.Fatal(err)
	}
	want = source.Answer{Verdict: cowrie.NewVerdict(hashB, cowrie.SourceHashlookup, cowrie.NoTime), Body: hashlookuptest.Unknown(hashB)}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("unknown (-want +got):\n%s", diff)
	}

	e := sourcetest.Fails(t, second(c.File(t.Context(), "x/../../y")), source.Permanent, source.ErrNoShasum)
	if s.Asked() != 2 || e.Source != "CIRCL hashlookup" {
		t.Errorf("%d requests, %v", s.Asked(), e)
	}
}

// TestRecord: what is made of the members of a record.
func TestRecord(t *testing.T) {
	s := hashlookuptest.New(t)
	c := client(t, source.Options{BaseURL: s.URL})
	product := func(v any) map[string]any { return map[string]any{"FileName": "f", "ProductCode": v} }
	long := strings.Repeat("é", 200)
	for name, one := range map[string]struct {
		members     map[string]any
		description string
		malicious   bool
		good        bool
	}{
		"no name":               {nil, "", false, true},
		"a name":                {map[string]any{"FileName": "f"}, "f", false, true},
		"a product":             {product(map[string]any{"ProductName": "P"}), "f (P)", false, true},
		"a product's code":      {product("163709"), "f", false, true},
		"a product of no name":  {product(map[string]any{"ProductName": []int{1}}), "f", false, true},
		"a package":             {map[string]any{"FileName": "f", "PackageName": "p"}, "f (p)", false, true},
		"both":                  {map[string]any{"PackageName": "p", "ProductCode": map[string]any{"ProductName": "P"}}, "P", false, true},
		"the same name twice":   {map[string]any{"FileName": "p", "PackageName": "p"}, "p", false, true},
		"a name that is none":   {map[string]any{"FileName": 7, "PackageName": "p"}, "p", false, true},
		"a name with a NUL":     {map[string]any{"FileName": "a\x00b"}, "a\ufffdb", false, true},
		"a long name":           {map[string]any{"FileName": long}, long[:252] + "…", false, true},
		"a long product":        {map[string]any{"FileName": "abc", "PackageName": long}, "abc (" + long[:248] + "…", false, true},
		"malicious":             {map[string]any{"KnownMalicious": "example.test"}, "", true, false},
		"malicious and trusted": {map[string]any{"KnownMalicious": "example.test", "hashlookup:trust": 100}, "", true, false},
		"malicious, a list":     {map[string]any{"KnownMalicious": []string{"x"}}, "", true, false},
		"malicious, yes":        {map[string]any{"KnownMalicious": true}, "", true, false},
		"malicious, no":         {map[string]any{"KnownMalicious": false}, "", false, true},
		"malicious, nobody":     {map[string]any{"KnownMalicious": ""}, "", false, true},
		"no trust":              {map[string]any{"hashlookup:trust": nil}, "", false, true},
		"little trust":          {map[string]any{"hashlookup:trust": 49.9}, "", false, false},
		"as text":               {map[string]any{"hashlookup:trust": "49"}, "", false, false},
		"as text, spaced":       {map[string]any{"hashlookup:trust": " 45 "}, "", false, false},
		"below all trust":       {map[string]any{"hashlookup:trust": -1}, "", false, false},
		"trust that is none":    {map[string]any{"hashlookup:trust": map[string]int{"a": 1}}, "", false, true},
		"no SHA-256":            {map[string]any{"SHA-256": nil, "FileName": "f"}, "f", false, true},
		"no SHA-256, malicious": {map[string]any{"SHA-256": "", "SHA-1": nil, "KnownMalicious": "x"}, "", true, false},
	} {
		s.Add(hashA, one.members)
		got, err := c.File(t.Context(), hashA)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		v, classification := got.Verdict, ""
		if one.malicious {
			classification = "known malicious"
		}
		if v.Description != one.description || v.Classification != classification || got.Good != one.good {
			t.Errorf("%s: %q, %q, good %v", name, v.Description, v.Classification, got.Good)
		}
		if !got.Known || !v.Listed || !v.Known() || v.Malicious != -1 || v.Total != -1 || !utf8.ValidString(v.Description) {
			t.Errorf("%s: %+v", name, got)
		}
	}
	// A null, and bytes that are no UTF-8.
	s.Instead(answer(200, `{"SHA-256":"`+hashA+`","KnownMalicious":null,"FileName":"a`+"\xff"+`\udc00","hashlookup:trust":null}`))
	if got, err := c.File(t.Context(), hashA); err != nil || got.Verdict.Description != "a\ufffd\ufffd" || source.Text("a\xff") != "a\ufffd" || !got.Good {
		t.Errorf("%+v, %v", got, err)
	}
}

// canary is a key that nobody asks for, and that must be found nowhere.
const canary = "c4n4ry00000000000000000000000000000000000key"

// TestFaults: each is one request, over a connection that was used before, and
// the next one is answered. Nothing secret is in any error.
func TestFaults(t *testing.T) {
	const maxBody = 1 << 16
	record := string(hashlookuptest.Record(hashA, nil))
	for name, f := range map[string]struct {
		fault http.HandlerFunc
		kind  source.Kind
		match error
		text  string // of the error; "" if that does not matter
	}{
		"HTML 200":           {html(200), source.Transient, source.ErrNotTheirs, "HTTP 200: not in its form"},
		"HTML 400":           {html(400), source.Transient, source.ErrNotTheirs, ""},
		"HTML 401":           {html(401), source.Transient, source.ErrNotTheirs, ""},
		"HTML 403":           {html(403), source.Transient, source.ErrNotTheirs, ""},
		"HTML 404":           {html(404), source.Transient, source.ErrNotTheirs, ""},
		"HTML 429":           {html(429), source.QuotaSpent, source.ErrNotTheirs, ""},
		"HTML 500":           {html(500), source.Transient, source.ErrNotTheirs, ""},
		"HTML 502":           {html(502), source.Transient, source.ErrNotTheirs, "HTTP 502: not in its form"},
		"400":                {answer(400, `{"message":"not in\u001b hex"}`), source.Permanent, nil, `HTTP 400: not in\x1b hex`},
		"400, no message":    {answer(400, `{"message":7}`), source.Transient, source.ErrNotTheirs, ""},
		"400, empty":         {answer(400, ""), source.Transient, source.ErrNotTheirs, ""},
		"another 404":        {answer(404, `{"message":"No such path"}`), source.Transient, nil, "HTTP 404: No such path"},
		"404, a text":        {answer(404, `"Non existing SHA-256"`), source.Transient, source.ErrNotTheirs, ""},
		"404, cut":           {answer(404, `{"message":"Non existing SHA-256"`), source.Transient, source.ErrNotTheirs, ""},
		"404 of another":     {answer(404, string(hashlookuptest.Unknown(hashB))), source.Transient, source.ErrOtherFile, ""},
		"404 that is 200":    {answer(200, string(hashlookuptest.Unknown(hashA))), source.Transient, source.ErrNotTheirs, ""},
		"200 that is 500":    {answer(500, record), source.Transient, source.ErrNotTheirs, ""},
		"200 that is 404":    {answer(404, record), source.Transient, source.ErrNotTheirs, ""},
		"429":                {answer(429, `{"message":"slowly"}`), source.QuotaSpent, nil, "HTTP 429: slowly"},
		"500":                {answer(500, `{"message":"Internal Server Error"}`), source.Transient, nil, ""},
		"204":                {answer(204, ""), source.Transient, source.ErrNotTheirs, ""},
		"302":                {http.RedirectHandler("https://elsewhere.test/x", http.StatusFound).ServeHTTP, source.Transient, source.ErrRedirected, ""},
		"empty":              {answer(200, ""), source.Transient, source.ErrNotTheirs, ""},
		"null":               {answer(200, "null"), source.Transient, source.ErrNotTheirs, ""},
		"an empty object":    {answer(200, "{}"), source.Transient, source.ErrNotTheirs, ""},
		"a list":             {answer(200, "["+record+"]"), source.Transient, source.ErrNotTheirs, ""},
		"a name alone":       {answer(200, `{"FileName":"f","SHA-1":"`+hashA[:40]+`"}`), source.Transient, source.ErrNotTheirs, ""},
		"a hash cut short":   {answer(200, `{"SHA-256":"`+hashA[1:]+`"}`), source.Transient, source.ErrNotTheirs, ""},
		"trust of no number": {answer(200, `{"hashlookup:trust":"much"}`), source.Transient, source.ErrNotTheirs, ""},
		"another file":       {answer(200, string(hashlookuptest.Record(hashB, nil))), source.Transient, source.ErrOtherFile, ""},
		"half a record":      {answer(200, record[:len(record)/2]), source.Transient, source.ErrNotTheirs, ""},
		"cut off":            {cut(record), source.Transient, nil, ""},
		"reset":              {reset, source.Transient, nil, ""},
		"too large":          {answer(200, strings.Repeat(" ", maxBody+1)), source.TooLarge, source.ErrTooLarge, ""},
		"a large error":      {answer(500, strings.Repeat(" ", 256<<10)), source.Transient, source.ErrNotTheirs, ""},
		"repeats a key":      {answer(200, strings.Replace(record, `"1"`, `"`+canary+`"`, 1)), source.Transient, source.ErrEcho, ""},
		"400 with a key":     {answer(400, `{"message":"no `+canary+`"}`), source.Permanent, nil, "HTTP 400: no [hidden]"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := hashlookuptest.New(t)
			s.Add(hashA, nil)
			c := client(t, source.Options{BaseURL: s.URL, MaxBody: maxBody, Key: source.NewKey(canary)})
			if err := second(c.File(t.Context(), hashB)); err != nil {
				t.Fatal(err)
			}
			s.Instead(f.fault)
			answer, err := c.File(t.Context(), hashA)
			e := sourcetest.Fails(t, err, f.kind, f.match)
			if f.text != "" && e.Error() != "CIRCL hashlookup: "+f.text {
				t.Errorf("got %q, want %q", e, f.text)
			}
			if said := fmt.Sprintf("%v %+v %#v %v", e, e, *e, c); strings.Contains(said, canary) {
				t.Errorf("the key is said: %s", said)
			}
			if s.Asked() != 2 || answer.Body != nil || answer.Known || answer.Good {
				t.Errorf("%d requests, %+v", s.Asked(), answer)
			}
			s.Instead(nil)
			if answer, err := c.File(t.Context(), hashA); err != nil || !answer.Known {
				t.Errorf("afterwards: %v", err)
			}
		})
	}
}

func TestRetryAfter(t *testing.T) {
	s := hashlookuptest.New(t)
	s.Instead(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Retry-After", "30")
		answer(429, "{}")(w, r)
	}))
	e := sourcetest.Fails(t, second(client(t, source.Options{BaseURL: s.URL}).File(t.Context(), hashA)), source.QuotaSpent, nil)
	if e.RetryAfter != 30*time.Second {
		t.Errorf("%v", e.RetryAfter)
	}
}

// TestMaxBody: the limit is to the byte.
func TestMaxBody(t *testing.T) {
	s := hashlookuptest.New(t)
	s.Add(hashA, nil)
	size := int64(len(hashlookuptest.Record(hashA, nil)))
	if err := second(client(t, source.Options{BaseURL: s.URL, MaxBody: size}).File(t.Context(), hashA)); err != nil {
		t.Errorf("just fits: %v", err)
	}
	sourcetest.Fails(t, second(client(t, source.Options{BaseURL: s.URL, MaxBody: size - 1}).File(t.Context(), hashA)), source.TooLarge, source.ErrTooLarge)
}

// TestRequest: what is sent, and where to; no key is, even if there is one.
func TestRequest(t *testing.T) {
	for base, want := range map[string]string{"": "", "/": "", "/a/b/": "/a/b"} {
		s := hashlookuptest.New(t)
		var got *http.Request
		s.Instead(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			got = r.Clone(r.Context())
			answer(404, string(hashlookuptest.Unknown(hashA)))(w, r)
		}))
		c := client(t, source.Options{BaseURL: s.URL + base, UserAgent: "midden/test", Key: source.NewKey(canary)})
		if err := second(c.File(t.Context(), strings.ToUpper(hashA))); err != nil {
			t.Fatal(err)
		}
		if got.Method != "GET" || got.URL.String() != want+"/lookup/sha256/"+hashA || got.ContentLength != 0 ||
			!strings.HasPrefix(got.UserAgent(), "midden/test") || strings.Contains(fmt.Sprint(got.Header), canary) {
			t.Errorf("%q: %s %s %v", base, got.Method, got.URL, got.Header)
		}
	}
	if _, err := NewClient(source.Options{BaseURL: "ftp://x.test"}); !errors.Is(err, source.ErrBaseURL) {
		t.Errorf("%v", err)
	}
	if c, err := NewClient(source.Options{}); err != nil || fmt.Sprint(c) != "source.Client("+DefaultBaseURL+")" {
		t.Errorf("%v, %v", c, err)
	}
}
