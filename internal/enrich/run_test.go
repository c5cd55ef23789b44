package enrich_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"midden/internal/cowrie"
	"midden/internal/enrich"
	"midden/internal/enrich/source"
	"midden/internal/enrich/virustotal"
	"midden/internal/enrich/virustotal/vttest"
	"midden/internal/ingest"
	"midden/internal/store"
	"midden/internal/store/storetest"
)

// TestMain runs the tests on both engines.
func TestMain(m *testing.M) { os.Exit(storetest.Main(m)) }

// hashOf is the hash of a file of this name.
func hashOf(name string) string {
	sum := sha256.Sum256([]byte(name))
	return hex.EncodeToString(sum[:])
}

const key = "a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8f90"

// world is a database with files, and a VirusTotal of the test's own, with a
// clock that the test moves.
type world struct {
	t    *testing.T
	db   *store.Store
	path string
	vt   *vttest.Server
	mu   sync.Mutex
	now  time.Time
}

func newWorld(t *testing.T, a vttest.Account, files ...string) *world {
	t.Helper()
	w := &world{t: t, vt: vttest.New(t), now: time.Date(2026, 3, 28, 12, 0, 0, 0, time.UTC), path: storetest.Name(t)}
	w.vt.SetClock(w.clock)
	w.vt.AddAccount(a)
	w.db = w.open()
	w.load(files...)
	return w
}

func (w *world) open() *store.Store {
	w.t.Helper()
	return storetest.Open(w.t, w.path)
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

// load stores files, each seen a second after the one before.
func (w *world) load(files ...string) {
	w.t.Helper()
	dir := w.t.TempDir()
	var log []byte
	for i, name := range files {
		log = fmt.Appendf(log, `{"eventid":"cowrie.session.file_download","session":"s%d","sensor":"a","shasum":"%s","timestamp":"2026-03-01T00:00:%02dZ"}`+"\n",
			i, hashOf(name), i%60)
	}
	write(w.t, filepath.Join(dir, "cowrie.json"), string(log))
	if _, err := ingest.Load(w.t.Context(), w.db, []string{dir}, ingest.Options{Log: quiet}); err != nil {
		w.t.Fatal(err)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

func (w *world) client() *virustotal.Client {
	w.t.Helper()
	c, err := virustotal.NewClient(source.Options{BaseURL: w.vt.URL, Key: source.NewKey(key), Timeout: 5 * time.Second})
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

func (w *world) options() enrich.Options {
	return enrich.Options{Account: "virustotal test", Policy: enrich.DefaultPolicy(), Since: cowrie.NoTime, Log: quiet, Now: w.clock}
}

func (w *world) run(o enrich.Options) (enrich.Summary, error) {
	w.t.Helper()
	return enrich.Run(w.t.Context(), w.db, w.client(), o)
}

// must runs, and fails the test if that fails.
func (w *world) must(o enrich.Options) enrich.Summary {
	w.t.Helper()
	sum, err := w.run(o)
	if err != nil {
		w.t.Fatal(err)
	}
	return sum
}

// rows returns what a query finds, each row as text.
func (w *world) rows(query string) (out []string) {
	w.t.Helper()
	db := storetest.Connect(w.t, w.path)
	defer db.Close()
	for _, row := range storetest.Rows(w.t, db, query) {
		out = append(out, strings.Join(row, " "))
	}
	return out
}

// plenty is a key without a quota that matters here.
func plenty() vttest.Account {
	return vttest.Account{Key: key, User: "u", Minute: 100000, Day: 1000000, Month: 30000000}
}

func TestRun(t *testing.T) {
	t.Parallel()
	w := newWorld(t, plenty(), "bad", "clean", "unheard")
	analysed := time.Date(2026, 3, 20, 0, 0, 0, 0, time.UTC)
	w.vt.Add(vttest.File{SHA256: hashOf("bad"), Stats: &vttest.Stats{Malicious: 41, Undetected: 20, TypeUnsupported: 14}, Label: "trojan.mirai/gafgyt",
		TypeDescription: "ELF", FirstSubmission: analysed.AddDate(0, 0, -3), LastAnalysis: analysed},
		vttest.File{SHA256: hashOf("clean"), Stats: &vttest.Stats{Undetected: 60, Harmless: 2}, LastAnalysis: analysed})
	sum := w.must(w.options())
	if sum.Asked != 3 || sum.Known != 2 || sum.Unknown != 1 || sum.Failed != 0 {
		t.Errorf("%+v", sum)
	}
	want := []string{
		hashOf("bad") + " known 41 61 trojan.mirai/gafgyt", hashOf("clean") + " known 0 62 NULL", hashOf("unheard") + " unknown NULL NULL NULL"}
	slices.Sort(want)
	got := w.rows(`SELECT shasum, enrichment_status, vt_malicious, vt_total, vt_classification FROM files ORDER BY shasum`)
	if !slices.Equal(got, want) {
		t.Errorf("files: %q", got)
	}
	// Nothing is asked again before it is old: known files for a month, since they
	// are not young any more, unknown ones for an hour, six, a day …
	for _, c := range []struct {
		after time.Duration
		asked int64
	}{{59 * time.Minute, 0}, {2 * time.Minute, 1}, {5 * time.Hour, 0}, {2 * time.Hour, 1}, {23 * time.Hour, 0}, {2 * time.Hour, 1}, {30 * 24 * time.Hour, 3}} {
		w.pass(c.after)
		if sum := w.must(w.options()); sum.Asked != c.asked {
			t.Errorf("%v later: %d requests, want %d", c.after, sum.Asked, c.asked)
		}
	}
}

// TestOnePerHash: several processes that ask at once ask about each file once,
// and do not ask more than the quota of a minute.
func TestOnePerHash(t *testing.T) {
	t.Parallel()
	var files []string
	for i := range 200 {
		files = append(files, fmt.Sprint("file", i))
	}
	w := newWorld(t, plenty(), files...)
	var running sync.WaitGroup
	for range 4 {
		db := w.open()
		running.Go(func() {
			if _, err := enrich.Run(t.Context(), db, w.client(), w.options()); err != nil {
				t.Error(err)
			}
		})
	}
	running.Wait()
	for _, name := range files {
		if n := w.vt.Asked(hashOf(name)); n != 1 {
			t.Errorf("%s was asked about %d times", name, n)
		}
	}
}

func TestQuotas(t *testing.T) {
	t.Parallel()
	var files []string
	for i := range 40 {
		files = append(files, fmt.Sprint("file", i))
	}
	w := newWorld(t, vttest.Account{Key: key, User: "u", Minute: 4, Day: 10, Month: 25}, files...)
	o := w.options()
	// It ends with what is used up, and goes on when there is more.
	asked := int64(0)
	for _, c := range []struct {
		after  time.Duration
		asked  int64
		period cowrie.QuotaPeriod
	}{
		{0, 4, cowrie.PerMinute}, {30 * time.Second, 0, cowrie.PerMinute}, {32 * time.Second, 4, cowrie.PerMinute}, {2 * time.Minute, 2, cowrie.PerDay},
		{11 * time.Hour, 0, cowrie.PerDay}, {time.Hour, 4, cowrie.PerMinute}, {time.Hour, 4, cowrie.PerMinute}, {time.Hour, 2, cowrie.PerDay},
		{24 * time.Hour, 4, cowrie.PerMinute}, {time.Hour, 1, cowrie.PerMonth}, {24 * time.Hour, 0, cowrie.PerMonth},
	} {
		w.pass(c.after)
		sum := w.must(o)
		if sum.Asked != c.asked || sum.Waits == nil || sum.Waits.Period != c.period {
			t.Errorf("%v later: %+v, want %d requests and to wait for the %s", c.after, sum, c.asked, c.period)
		}
		asked += sum.Asked
	}
	if n := w.vt.MaxInWindow(time.Minute); n > 4 {
		t.Errorf("%d requests in a minute", n)
	}
	if day, month := w.vt.Used(key); day > 10 || month > 25 || asked != 25 {
		t.Errorf("used: %d of the day, %d of the month; asked %d", day, month, asked)
	}
	for _, r := range w.vt.Requests() {
		if r.LookUp && r.Status == 429 {
			t.Errorf("a request was refused: %+v", r)
		}
	}
}

// TestClockJumps: the clock of this machine says nothing of the quota.
func TestClockJumps(t *testing.T) {
	t.Parallel()
	var files []string
	for i := range 60 {
		files = append(files, fmt.Sprint("file", i))
	}
	w := newWorld(t, vttest.Account{Key: key, User: "u", Minute: 1000, Day: 10, Month: 1000}, files...)
	o := w.options()
	o.Limit = 3
	for _, jump := range []int{0, 1, -1, 3650, -3650, 1, 0} {
		o.Now = func() time.Time { return w.clock().AddDate(0, 0, jump) }
		if _, err := w.run(o); err != nil {
			t.Fatal(err)
		}
	}
	if day, _ := w.vt.Used(key); day != 10 {
		t.Errorf("%d requests in a day of 10", day)
	}
	for _, r := range w.vt.Requests() {
		if r.LookUp && r.Status == 429 {
			t.Errorf("a request was refused: %+v", r)
		}
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]vttest.Fault{
		"HTML 502": vttest.HTML(502), "empty": vttest.Empty(), "truncated gzip": vttest.TruncatedGzip(), "reset": vttest.Reset(),
		"transient": vttest.Refuse(503, "TransientError", "later"), "deadline": vttest.Refuse(504, "DeadlineExceededError", "later"),
		"not yet": vttest.Refuse(400, "NotAvailableYet", "later"), "HTML 404": vttest.HTML(404),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, plenty(), "one", "two", "three")
			w.vt.Add(vttest.File{SHA256: hashOf("two"), Stats: &vttest.Stats{Malicious: 1, Undetected: 1}})
			w.vt.FailFile(hashOf("two"), 1, fault)
			// It blocks no other file, is not lost when the program ends, and comes again.
			if sum := w.must(w.options()); sum.Failed != 1 || sum.Unknown != 2 {
				t.Fatalf("%+v", sum)
			}
			if got := w.rows(`SELECT state, failures, error IS NOT NULL FROM lookups WHERE failures > 0`); !slices.Equal(got, []string{"waiting 1 1"}) {
				t.Errorf("queue: %q", got)
			}
			if got := w.rows(`SELECT enrichment_status FROM files WHERE shasum = '` + hashOf("two") + `'`); !slices.Equal(got, []string{"pending"}) {
				t.Errorf("status: %q", got)
			}
			if sum := w.must(w.options()); sum.Asked != 0 {
				t.Errorf("it was asked again at once: %+v", sum)
			}
			w.pass(2 * time.Minute)
			if sum := w.must(w.options()); sum.Asked != 1 || sum.Known != 1 {
				t.Errorf("later: %+v", sum)
			}
			if got := w.rows(`SELECT failures, error FROM lookups WHERE failures > 0`); got != nil {
				t.Errorf("queue: %q", got)
			}
		})
	}
}

func TestPermanent(t *testing.T) {
	t.Parallel()
	w := newWorld(t, plenty(), "one", "two")
	w.vt.FailFile(hashOf("two"), 1, vttest.Refuse(400, "BadRequestError", "no"))
	if sum := w.must(w.options()); sum.Failed != 1 || sum.Unknown != 1 {
		t.Fatalf("%+v", sum)
	}
	status := `SELECT enrichment_status FROM files WHERE shasum = '` + hashOf("two") + `'`
	if got := w.rows(status); !slices.Equal(got, []string{"failed"}) {
		t.Errorf("status: %q", got)
	}
	w.pass(1000 * time.Hour)
	w.must(w.options())
	if n := w.vt.Asked(hashOf("two")); n != 1 {
		t.Errorf("asked %d times", n)
	}
	if n, err := w.db.SetLookups(t.Context(), cowrie.LookupWaiting, cowrie.FromStd(w.clock()), nil); n != 1 || err != nil {
		t.Errorf("retry: %d, %v", n, err)
	}
	w.must(w.options())
	if n := w.vt.Asked(hashOf("two")); n != 2 {
		t.Errorf("asked %d times after it was to be asked again", n)
	}
	if got := w.rows(status); !slices.Equal(got, []string{"unknown"}) {
		t.Errorf("status: %q", got)
	}
}

// TestKeyRefused: a wrong key ends the run and touches no row.
func TestKeyRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, vttest.Account{Key: "another" + key[7:], User: "u", Minute: 4, Day: 10, Month: 10}, "one", "two")
	before := w.rows(`SELECT * FROM lookups`)
	sum, err := w.run(w.options())
	if err == nil || sum.Asked != 0 {
		t.Errorf("%+v, %v", sum, err)
	}
	if after := w.rows(`SELECT * FROM lookups`); !slices.Equal(before, after) {
		t.Errorf("rows were touched: %q, before %q", after, before)
	}
}

// TestOutage: when nothing is answered, not every file is made to wait.
func TestOutage(t *testing.T) {
	t.Parallel()
	var files []string
	for i := range 60 {
		files = append(files, fmt.Sprint("file", i))
	}
	w := newWorld(t, vttest.Account{Key: key, User: "u", Minute: 15, Day: 1000, Month: 1000}, files...)
	w.vt.FailNext(1000, vttest.HTML(502))
	sum, err := w.run(w.options())
	if err == nil || sum.Asked > 6 {
		t.Errorf("%+v, %v", sum, err)
	}
}

// TestBackInTime: an answer that is older than what is known does not take its
// place.
func TestBackInTime(t *testing.T) {
	t.Parallel()
	w := newWorld(t, plenty(), "one")
	day := func(n int) time.Time { return time.Date(2026, 3, n, 0, 0, 0, 0, time.UTC) }
	for _, c := range []struct{ analysed, malicious int }{{20, 30}, {10, 3}, {25, 33}} {
		w.vt.Add(vttest.File{SHA256: hashOf("one"), Stats: &vttest.Stats{Malicious: c.malicious, Undetected: 70 - c.malicious}, LastAnalysis: day(c.analysed)})
		if sum := w.must(w.options()); sum.Known != 1 {
			t.Fatalf("%+v", sum)
		}
		want := max(c.malicious, 30)
		if got := w.rows(`SELECT vt_malicious FROM files`); !slices.Equal(got, []string{fmt.Sprint(want)}) {
			t.Errorf("after an answer of %v: %v, want %d", c.analysed, got, want)
		}
		w.pass(100 * 24 * time.Hour)
	}
	if got := w.rows(`SELECT count(*) FROM file_verdicts`); got[0] != "3" {
		t.Errorf("history: %v", got)
	}
}

// TestSeeds: what Cowrie's plugin was told is not asked for again.
func TestSeeds(t *testing.T) {
	t.Parallel()
	w := newWorld(t, plenty(), "one", "two")
	dir := t.TempDir()
	write(t, filepath.Join(dir, "cowrie.json"), fmt.Sprintf(`{"eventid":"cowrie.virustotal.scanfile","session":"s0","sha256":"%s","is_new":"false","positives":40,"total":70,"scan_date":1774656000,"timestamp":"2026-03-28T11:00:00Z"}`+"\n", hashOf("one")))
	if _, err := ingest.Load(t.Context(), w.db, []string{dir}, ingest.Options{Log: quiet}); err != nil {
		t.Fatal(err)
	}
	if sum := w.must(w.options()); sum.Asked != 1 || w.vt.Asked(hashOf("one")) != 0 {
		t.Errorf("%+v", sum)
	}
}

// TestStopped: a run that is stopped gives back what it took.
func TestStopped(t *testing.T) {
	t.Parallel()
	w := newWorld(t, plenty(), "one")
	ctx, cancel := context.WithCancel(t.Context())
	w.vt.FailFile(hashOf("one"), 1, func(x *vttest.Exchange) {
		cancel() // it has been asked
		vttest.Stall()(x)
	})
	if _, err := enrich.Run(ctx, w.db, w.client(), w.options()); !errors.Is(err, context.Canceled) {
		t.Errorf("it ended with %v", err)
	}
	if sum := w.must(w.options()); sum.Unknown != 1 {
		t.Errorf("%+v", sum)
	}
}

func TestIgnored(t *testing.T) {
	t.Parallel()
	w := newWorld(t, plenty(), "own", "other")
	o := w.options()
	o.Ignore = func(shasum string) bool { return shasum == hashOf("own") }
	if sum := w.must(o); sum.Asked != 1 || sum.Ignored != 1 || w.vt.Asked(hashOf("own")) != 0 {
		t.Errorf("%+v", sum)
	}
}

// TestAnswersAreKept: an answer that another database has asked for is taken from
// the cache while it is fresh, and nothing poisoned is.
func TestAnswersAreKept(t *testing.T) {
	t.Parallel()
	cache := filepath.Join(t.TempDir(), "cache")
	first := newWorld(t, plenty(), "one", "unheard")
	first.vt.Add(vttest.File{SHA256: hashOf("one"), Stats: &vttest.Stats{Malicious: 7, Undetected: 60}, Label: "trojan.x/y"})
	open := func(w *world) enrich.Options {
		answers, err := enrich.OpenAnswers(cache)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { answers.Close() })
		o := w.options()
		o.Answers = answers
		return o
	}
	if sum := first.must(open(first)); sum.Asked != 2 || sum.Cached != 0 {
		t.Errorf("%+v", sum)
	}
	second := newWorld(t, plenty(), "one", "unheard")
	second.pass(time.Hour)
	if sum := second.must(open(second)); sum.Asked != 1 || sum.Cached != 1 || second.vt.Asked(hashOf("one")) != 0 {
		t.Errorf("%+v", sum)
	}
	for i, w := range []*world{first, second} {
		if g, err := open(w).Answers.Compare(t.Context(), w.db); err != nil || g != (enrich.Agreement{Answers: 1}) {
			t.Errorf("database %d and the cache: %+v, %v", i, g, err)
		}
	}
	const verdict = `SELECT shasum, source, observed_at, malicious, total, classification FROM file_verdicts WHERE total IS NOT NULL`
	if a, b := first.rows(verdict), second.rows(verdict); len(a) != 1 || !slices.Equal(a, b) {
		t.Errorf("verdicts: %q and %q", a, b)
	}
	path := filepath.Join(cache, "virustotal", hashOf("one")[:2], hashOf("one")[2:4], hashOf("one")[4:6], hashOf("one")[6:8], hashOf("one")+".json")
	body, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, poison := range map[string]string{"empty": "", "cut": string(body[:len(body)/2]), "HTML": "<html>", "another": strings.ReplaceAll(string(body), hashOf("one"), hashOf("two"))} {
		if err := os.WriteFile(path, []byte(poison), 0o600); err != nil {
			t.Fatal(err)
		}
		w := newWorld(t, plenty(), "one")
		w.vt.Add(vttest.File{SHA256: hashOf("one"), Stats: &vttest.Stats{Malicious: 8, Undetected: 60}})
		if sum := w.must(open(w)); sum.Asked != 1 || sum.Cached != 0 {
			t.Errorf("%s: %+v", name, sum)
		}
		if again, err := os.ReadFile(path); err != nil || !bytes.Contains(again, []byte(hashOf("one"))) {
			t.Errorf("%s: the entry was not mended: %v", name, err)
		}
	}
	if g, err := open(second).Answers.Compare(t.Context(), second.db); err != nil || g.Unstored != 1 {
		t.Errorf("an answer that it does not have: %+v, %v", g, err)
	}
	old := newWorld(t, plenty(), "one")
	old.pass(40 * 24 * time.Hour)
	if sum := old.must(open(old)); sum.Asked != 1 || sum.Cached != 0 {
		t.Errorf("an old answer: %+v", sum)
	}
	left, err := filepath.Glob(filepath.Join(filepath.Dir(path), ".*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left over: %q, %v", left, err)
	}
}

// TestOffline: requests that never reach the source use up nothing and count against
// no file, and are not made again and again.
func TestOffline(t *testing.T) {
	t.Parallel()
	files := make([]string, 40)
	for i := range files {
		files[i] = fmt.Sprint(i)
	}
	w := newWorld(t, plenty(), files...)
	nobody, err := virustotal.NewClient(source.Options{BaseURL: "http://127.0.0.1:1", Key: source.NewKey(key)})
	if err != nil {
		t.Fatal(err)
	}
	sum, err := enrich.Run(t.Context(), w.db, nobody, w.options())
	if !errors.Is(err, enrich.ErrNoAnswers) || sum.Asked != 0 || sum.Failed != 0 {
		t.Errorf("%+v, %v", sum, err)
	}
	if got := w.rows(`SELECT coalesce(sum(used), 0) FROM quota UNION ALL SELECT coalesce(sum(requests), 0) FROM quota_requests`); !slices.Equal(got, []string{"0", "0"}) {
		t.Errorf("the ledger counts %q", got)
	}
	if got := w.rows(`SELECT DISTINCT state, failures, error IS NULL, leased_until IS NULL FROM lookups`); !slices.Equal(got, []string{"new 0 1 1"}) {
		t.Errorf("queue: %q", got)
	}
	if sum := w.must(w.options()); sum.Asked != 40 {
		t.Errorf("later: %+v", sum)
	}
}

// list is a source that knows some files.
type list struct {
	name  string
	knows map[string]bool
	down  atomic.Bool
	mu    sync.Mutex
	asked []string
}

func (s *list) Name() string { return s.name }

func (s *list) File(_ context.Context, shasum string) (source.Answer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, shasum)
	if s.down.Load() {
		return source.Answer{}, &source.Error{Source: s.name, Kind: source.Transient, Status: 502, Err: source.ErrNotTheirs}
	}
	v := cowrie.NewVerdict(shasum, s.name, cowrie.NoTime)
	v.Listed = s.knows[shasum]
	return source.Answer{Verdict: v, Known: v.Listed, Good: v.Listed}, nil
}

// TestAll: each source says its own; VirusTotal is not asked about what a list of
// good files has, and none waits for one that does not answer.
func TestAll(t *testing.T) {
	t.Parallel()
	w := newWorld(t, plenty(), "bash", "evil", "other")
	w.vt.Add(vttest.File{SHA256: hashOf("evil"), Stats: &vttest.Stats{Malicious: 40, Undetected: 10}, Label: "trojan.made/up"})
	good := &list{name: cowrie.SourceHashlookup, knows: map[string]bool{hashOf("bash"): true}}
	bad := &list{name: cowrie.SourceMalwareBazaar, knows: map[string]bool{hashOf("evil"): true}}
	first, beside := w.options(), w.options()
	first.Account, first.Policy, first.Spares = "hashlookup", enrich.ListPolicy(), []string{cowrie.SourceVirusTotal}
	beside.Account = "malwarebazaar"
	all := func() []enrich.Result {
		results := enrich.All(t.Context(), w.db, []enrich.Asking{{w.client(), w.options()}, {bad, beside}, {good, first}})
		for _, r := range results {
			if r.Err != nil && !errors.Is(r.Err, enrich.ErrNoAnswers) {
				t.Error(r.Err)
			}
		}
		return results
	}
	all()
	if len(good.asked) != 3 || len(bad.asked) != 3 || w.vt.Asked(hashOf("bash")) != 0 || w.vt.LookUps() != 2 {
		t.Errorf("asked %d, %d and %d times", len(good.asked), len(bad.asked), w.vt.LookUps())
	}
	want := []string{"hashlookup 1 2", "malwarebazaar 1 2", "virustotal 1 1"}
	if got := w.rows(`SELECT source, count(CASE WHEN known THEN 1 END), count(CASE WHEN NOT known THEN 1 END) FROM file_verdicts GROUP BY source ORDER BY source`); !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
	if got := w.rows(`SELECT vt_malicious, vt_classification, enrichment_status FROM files WHERE shasum = '` + hashOf("evil") + `'`); !slices.Equal(got, []string{"40 trojan.made/up known"}) {
		t.Errorf("the file shows %q", got)
	}
	w.pass(91 * 24 * time.Hour) // it stands in the list still, but may be malicious after all
	all()
	if w.vt.Asked(hashOf("bash")) != 1 {
		t.Errorf("asked about the known file %d times", w.vt.Asked(hashOf("bash")))
	}

	w.load("new", "newer", "newest", "a", "b", "c", "d")
	good.down.Store(true)
	results := all()
	if !errors.Is(results[2].Err, enrich.ErrNoAnswers) || results[2].Failed < 5 {
		t.Errorf("%+v", results[2])
	}
	if results[0].Unknown < 7 || results[0].Err != nil {
		t.Errorf("VirusTotal waited for another: %+v", results[0])
	}
}

// TestAllFollow: with a source before it VirusTotal is asked as soon as that has had
// its say, and when it does not answer.
func TestAllFollow(t *testing.T) {
	t.Parallel()
	w := newWorld(t, plenty(), "bash", "evil")
	good := &list{name: cowrie.SourceHashlookup, knows: map[string]bool{hashOf("bash"): true}}
	first, then := w.options(), w.options()
	first.Account, first.Policy, first.Spares = "hashlookup", enrich.ListPolicy(), []string{cowrie.SourceVirusTotal}
	first.Follow, then.Follow = true, true
	first.Now, then.Now = time.Now, time.Now
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan []enrich.Result)
	go func() { ended <- enrich.All(ctx, w.db, []enrich.Asking{{w.client(), then}, {good, first}}) }()
	for start := time.Now(); w.vt.Asked(hashOf("evil")) == 0; time.Sleep(10 * time.Millisecond) {
		if time.Since(start) > time.Minute {
			t.Fatal("VirusTotal is not asked")
		}
	}
	stop()
	for _, r := range <-ended {
		if !errors.Is(r.Err, context.Canceled) {
			t.Errorf("%s: %v", r.Source, r.Err)
		}
	}
	if n := w.vt.Asked(hashOf("bash")); n != 0 {
		t.Errorf("asked about the known file %d times", n)
	}
}
