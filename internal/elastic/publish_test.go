package elastic

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"midden/internal/cowrie"
	"midden/internal/elastic/elastictest"
	"midden/internal/report"
	"midden/internal/report/reporttest"
	"midden/internal/store"
	"midden/internal/store/storetest"
)

func TestMain(m *testing.M) { os.Exit(storetest.Main(m)) }

// database is one whose things are put in one by one.
type database struct {
	*store.Store
	t testing.TB
}

func newDatabase(t testing.TB) *database {
	return &database{storetest.Open(t, storetest.Name(t)), t}
}

func sha(n int) string { return fmt.Sprintf("%064x", n) }

// sighting is the n-th, of a file of its own.
func sighting(n int) cowrie.Sighting {
	return cowrie.Sighting{Shasum: sha(n), Session: fmt.Sprintf("s%d", n), Kind: cowrie.Upload, SeenAt: cowrie.Time(1.7e15 + n*1e6),
		Sensor: "dmz", SrcIP: "192.0.2.1", Filename: fmt.Sprintf("name %d", n)}
}

func (db *database) see(list ...cowrie.Sighting) {
	db.t.Helper()
	m := &cowrie.Mend{}
	for _, s := range list {
		m.Missing = append(m.Missing, cowrie.StoredSighting{Sighting: s, Place: cowrie.Place{Segment: 1}})
	}
	db.mend(m)
}

func (db *database) mend(m *cowrie.Mend) {
	db.t.Helper()
	if err := db.Mend(db.t.Context(), m); err != nil {
		db.t.Fatal(err)
	}
}

// forget deletes the stored sightings of a file.
func (db *database) forget(shasum string) {
	db.t.Helper()
	m := &cowrie.Mend{}
	err := db.Sightings(db.t.Context(), shasum, "", 0, func(s *store.Sighting) error { return nil })
	if err != nil {
		db.t.Fatal(err)
	}
	sn, err := db.Snapshot(db.t.Context())
	if err != nil {
		db.t.Fatal(err)
	}
	err = sn.Sightings(db.t.Context(), func(s *cowrie.StoredSighting) error {
		if s.Shasum == shasum {
			m.Wrong = append(m.Wrong, *s)
		}
		return nil
	})
	sn.Close()
	if err != nil {
		db.t.Fatal(err)
	}
	db.mend(m)
}

// says adds a verdict on the n-th file, with so many engines.
func (db *database) says(n, at, malicious int) {
	db.t.Helper()
	v := cowrie.NewVerdict(sha(n), cowrie.SourceVirusTotal, cowrie.Time(1.7e15+at*1e6))
	v.Malicious, v.Total = malicious, 60
	if _, err := db.AddVerdicts(db.t.Context(), []cowrie.Verdict{v}); err != nil {
		db.t.Fatal(err)
	}
}

// publisher publishes a database; it never sleeps.
func (s *server) publisher(t testing.TB, db *database) *Publisher {
	return &Publisher{Store: db.Store, Client: s.client, Prefix: s.prefix, Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
		Now: func() time.Time { return noon }, Sleep: func(ctx context.Context, _ time.Duration) error { return ctx.Err() }}
}

func (s *server) publish(t testing.TB, db *database) Summary {
	t.Helper()
	sum, err := s.publisher(t, db).Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	sum.Requests, sum.Bytes = 0, 0
	return sum
}

func (s *server) rebuild(t testing.TB, db *database) Summary {
	t.Helper()
	p := s.publisher(t, db)
	p.Rebuild = true
	sum, err := p.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	sum.Requests, sum.Bytes = 0, 0
	return sum
}

// documents returns those of a data stream or an alias, by id; one that is there twice
// fails the test.
func (s *server) documents(t testing.TB, name string) map[string]map[string]any {
	t.Helper()
	if s.fake != nil {
		return s.fake.Documents(name)
	}
	var answer struct {
		Hits struct {
			Hits []struct {
				ID     string         `json:"_id"`
				Source map[string]any `json:"_source"`
			}
		}
	}
	for _, step := range []struct {
		method, path string
		into         any
	}{{http.MethodPost, "/_refresh", nil}, {http.MethodGet, "/_search?size=10000", &answer}} {
		if err := s.client.do(t.Context(), step.method, "/"+name+step.path, nil, step.into); err != nil {
			t.Fatal(err)
		}
	}
	all := map[string]map[string]any{}
	for _, h := range answer.Hits.Hits {
		if all[h.ID] != nil {
			t.Errorf("%s has %s twice", name, h.ID)
		}
		all[h.ID] = h.Source
	}
	return all
}

// holds fails the test unless so many sightings, files and verdicts are there.
func (s *server) holds(t testing.TB, sightings, files, verdicts int) {
	t.Helper()
	n := names(s.prefix)
	for name, want := range map[string]int{n.sightings(): sightings, n.files(): files, n.verdicts(): verdicts} {
		if got := len(s.documents(t, name)); got != want {
			t.Errorf("%s holds %d documents, want %d", name, got, want)
		}
	}
}

func (s *server) roll(t testing.TB, name string) {
	t.Helper()
	if s.fake != nil {
		s.fake.Rollover(name)
		return
	}
	if err := s.client.do(t.Context(), http.MethodPost, "/"+name+"/_rollover", nil, nil); err != nil {
		t.Fatal(err)
	}
}

func same(t testing.TB, what string, got, want any) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("%s (-want +got):\n%s", what, d)
	}
}

func TestPublish(t *testing.T)     { t.Parallel(); onFakes(t, testPublish) }
func TestNodePublish(t *testing.T) { onNode(t, testPublish) }

// testPublish: all is told the first time, changes later, each once, as it is by then;
// what is gone is taken back.
func testPublish(t *testing.T, s *server) {
	s.install(t)
	db := newDatabase(t)
	db.see(sighting(1), sighting(2), sighting(3))
	db.says(1, 1, 3)
	same(t, "first", s.publish(t, db), Summary{Sightings: 3, Files: 3, Verdicts: 1})
	s.holds(t, 3, 3, 1)
	same(t, "again", s.publish(t, db), Summary{})

	again := sighting(1)
	again.Session, again.SeenAt = "later", again.SeenAt+1e6
	db.see(again, sighting(4))
	db.says(1, 2, 3)
	db.says(1, 3, 30)
	db.says(2, 1, 0)
	same(t, "changes", s.publish(t, db), Summary{Sightings: 2, Files: 3, Verdicts: 2, Unchanged: 1})
	s.holds(t, 5, 4, 3)
	file := s.documents(t, names(s.prefix).files())[sha(1)]
	if vt := file["virustotal"].(map[string]any); vt["malicious"] != 30.0 {
		t.Errorf("the file is %v", file)
	}
	if i := file["threat"].(map[string]any)["indicator"].(map[string]any); i["sightings"] != 2.0 {
		t.Errorf("the indicator is %v", i)
	}

	db.forget(sha(3))
	same(t, "a file is gone", s.publish(t, db), Summary{Deleted: 2})
	s.holds(t, 4, 3, 3)
	db.see(sighting(3))
	same(t, "it is back", s.publish(t, db), Summary{Sightings: 1, Files: 1})
	s.holds(t, 5, 4, 3)
}

func TestConflict(t *testing.T)     { t.Parallel(); onFakes(t, testConflict) }
func TestNodeConflict(t *testing.T) { onNode(t, testConflict) }

// testConflict: a state that is newer than what is told stays.
func testConflict(t *testing.T, s *server) {
	s.install(t)
	db := newDatabase(t)
	db.see(sighting(1))
	s.publish(t, db)
	newer := &item{verb: "index", index: names(s.prefix).files(), id: sha(1), version: 1000, alias: true, body: []byte(`{"@timestamp":"2026-01-01T00:00:00Z"}`)}
	if err := s.client.bulk(t.Context(), []*item{newer}); err != nil || !newer.done {
		t.Fatal(err, newer)
	}
	db.says(1, 1, 3)
	same(t, "an older state", s.publish(t, db), Summary{Files: 1, Verdicts: 1})
	if file := s.documents(t, names(s.prefix).files())[sha(1)]; len(file) != 1 {
		t.Errorf("the newer state was replaced by %v", file)
	}
	same(t, "again", s.publish(t, db), Summary{})
}

func TestRefused(t *testing.T) {
	t.Parallel()
	onFakes(t, func(t *testing.T, s *server) {
		s.fake.Reject = func(index, id string, document map[string]any) string {
			if id == sha(2) {
				return "no"
			}
			return ""
		}
		testRefused(t, s, func() { s.fake.Reject = nil })
	})
}

func TestNodeRefused(t *testing.T) {
	onNode(t, func(t *testing.T, s *server) {
		// The user has made a field something that one file does not fit.
		custom := "/_component_template/" + s.prefix + ".files@custom"
		s.put(t, custom, map[string]any{"template": map[string]any{"mappings": map[string]any{"properties": map[string]any{
			"threat": map[string]any{"properties": map[string]any{"indicator": map[string]any{"properties": map[string]any{
				"file": map[string]any{"properties": map[string]any{"extension": map[string]any{"type": "long"}}}}}}}}}}})
		testRefused(t, s, func() { s.put(t, custom, map[string]any{"template": map[string]any{}}) })
	})
}

// testRefused: what is refused does not keep the others back, is listed with the
// reason, is not sent again as it is, and is once it can be.
func testRefused(t *testing.T, s *server, mend func()) {
	s.install(t)
	db := newDatabase(t)
	bad := sighting(2)
	bad.Filename = "a.exe"
	db.see(sighting(1), bad, sighting(3))
	same(t, "first", s.publish(t, db), Summary{Sightings: 3, Files: 2, Refused: 1})
	same(t, "again", s.publish(t, db), Summary{})
	refused := func() (list []string) {
		t.Helper()
		if err := db.Refused(t.Context(), 0, func(r *cowrie.Refused) error {
			if !strings.HasPrefix(r.Problem, "HTTP 400: mapper_parsing_exception: ") {
				t.Errorf("the reason is %q", r.Problem)
			}
			list = append(list, r.Kind+" "+r.Key)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		return list
	}
	same(t, "refused", refused(), []string{"file " + sha(2)})
	db.says(2, 1, 1)
	same(t, "a change of it", s.publish(t, db), Summary{Verdicts: 1, Refused: 1})
	mend()
	if s.fake == nil { // the index has the field as it is
		same(t, "rebuilt", s.rebuild(t, db), Summary{Sightings: 3, Files: 3, Verdicts: 1})
	} else {
		if n, err := db.RetryRefused(t.Context()); n != 1 || err != nil {
			t.Error(n, err)
		}
		same(t, "again", s.publish(t, db), Summary{Files: 1})
	}
	same(t, "refused", refused(), []string(nil))
	s.holds(t, 3, 3, 1)
}

func TestRollover(t *testing.T)     { t.Parallel(); onFakes(t, testRollover) }
func TestNodeRollover(t *testing.T) { onNode(t, testRollover) }

// testRollover: what was told before a data stream was rolled over is not told again
// into its new index, though nobody knows any more that it was; a report that comes
// again replaces the one before.
func testRollover(t *testing.T, s *server) {
	s.install(t)
	db := newDatabase(t)
	db.see(sighting(1))
	s.publish(t, db)
	db.see(sighting(2))
	db.says(1, 1, 3)
	report := func(text string) {
		t.Helper()
		queued, err := db.QueueReport(t.Context(), "daily", "all:daily:2026-03-27", []byte(`{"@timestamp":"2026-03-27T00:00:00Z","notes":[`+text+`]}`))
		if err != nil || !queued {
			t.Fatal(queued, err)
		}
	}
	report(`"one"`)
	killed := s.publisher(t, db)
	killed.Store = &forgetful{killed.Store}
	if _, err := killed.Run(t.Context()); !errors.Is(err, errKilled) {
		t.Fatal(err)
	}
	s.holds(t, 2, 2, 1)
	n := names(s.prefix)
	for _, name := range []string{n.sightings(), n.verdicts(), n.reportWrite("daily")} {
		if s.fake != nil && name == n.reportWrite("daily") {
			continue // the fake rolls data streams over alone
		}
		s.roll(t, name)
	}
	same(t, "after a rollover", s.publish(t, db), Summary{Sightings: 1, Files: 2, Verdicts: 1, Reports: 1})
	s.holds(t, 2, 2, 1)
	db.see(sighting(3))
	report(`"two",
		"lines"`)
	same(t, "on", s.publish(t, db), Summary{Sightings: 1, Files: 1, Reports: 1})
	s.holds(t, 3, 3, 1)
	same(t, "rebuilt", s.rebuild(t, db), Summary{Sightings: 3, Files: 3, Verdicts: 1})
	s.holds(t, 3, 3, 1)
	reports := s.documents(t, n.report("daily")+"-*")
	if len(reports) != 1 || fmt.Sprint(reports["all:daily:2026-03-27"]["notes"]) != "[two lines]" {
		t.Errorf("the reports are %v", reports)
	}
}

// forgetful is a store whose process is killed after all was sent from its outbox and
// nothing of it was noted.
type forgetful struct{ Store }

var errKilled = errors.New("killed")

func (f *forgetful) Published(context.Context, *cowrie.Publishing, []cowrie.Answer) error {
	return errKilled
}

func TestRebuild(t *testing.T)     { t.Parallel(); onFakes(t, testRebuild) }
func TestNodeRebuild(t *testing.T) { onNode(t, testRebuild) }

// testRebuild: all is there again, once, in a new index, whatever was there before; one
// that was interrupted is gone on with, and a second one leaves nothing of the first.
func testRebuild(t *testing.T, s *server) {
	s.install(t)
	db := newDatabaseWith(t, 20)
	for n := range 20 {
		db.says(n, 1, n)
	}
	s.publish(t, db)
	n := names(s.prefix)
	if err := s.client.forget(t.Context(), n.sightings(), []string{documentIDOf(t, s, n.sightings())}); err != nil {
		t.Fatal(err)
	}
	s.put(t, "/"+n.filesIndex(1)+"/_mapping", map[string]any{"properties": map[string]any{"stale": map[string]any{"type": "keyword"}}})
	indices := func() []string {
		t.Helper()
		list, err := s.client.indices(t.Context(), n.files()+"-*")
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	stopped := func(rebuild bool, after int64) {
		t.Helper()
		p := s.publisher(t, db)
		ctx, cancel := context.WithCancel(t.Context())
		p.Rebuild, p.Batch = rebuild, 8<<10
		p.Observe = func(sum Summary) {
			if sum.Requests == after {
				cancel()
			}
		}
		if _, err := p.Run(ctx); !errors.Is(err, context.Canceled) {
			t.Fatalf("it did not stop: %v", err)
		}
	}
	stopped(true, 2)
	same(t, "while it is rebuilt", indices(), []string{n.filesIndex(1), n.filesIndex(2)})
	if got := len(s.documents(t, n.files())); got != 20 {
		t.Errorf("%d files are seen meanwhile", got)
	}
	db.says(3, 2, 50) // the new index is to have it
	stopped(true, 3)  // begins anew
	stopped(false, 1) // goes on
	s.publish(t, db)
	same(t, "rebuilt", indices(), []string{n.filesIndex(3)})

	// Killed when the new index was seen already, and that was not noted yet.
	state, err := db.Publishing(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	state.Scan, state.Index = cowrie.KindFile, n.filesIndex(3)
	if err := db.SetPublishing(t.Context(), state); err != nil {
		t.Fatal(err)
	}
	stopped(true, 1)
	if got := len(s.documents(t, n.files())); got != 20 {
		t.Errorf("%d files are seen", got)
	}
	s.publish(t, db)
	same(t, "rebuilt once more", indices(), []string{n.filesIndex(4)})
	s.holds(t, 20, 20, 21)
	if vt := s.documents(t, n.files())[sha(3)]["virustotal"].(map[string]any); vt["malicious"] != 50.0 {
		t.Errorf("the file that changed meanwhile: %v", vt)
	}
	same(t, "again", s.publish(t, db), Summary{})
}

// documentIDOf returns the id of some document.
func documentIDOf(t testing.TB, s *server, name string) string {
	for id := range s.documents(t, name) {
		return id
	}
	t.Fatal("there is none")
	return ""
}

func TestHostile(t *testing.T)     { t.Parallel(); onFakes(t, testHostile) }
func TestNodeHostile(t *testing.T) { onNode(t, testHostile) }

// testHostile: whatever attackers sent goes through, and nothing of it is refused.
func testHostile(t *testing.T, s *server) {
	s.install(t)
	db := newDatabase(t)
	odd := slices.Concat(odd, naughty(t))
	var list []cowrie.Sighting
	for i, text := range odd {
		list = append(list, cowrie.Sighting{Shasum: sha(i), Session: "s" + text, Kind: cowrie.Download, SeenAt: cowrie.NoTime, Sensor: text,
			SrcIP: text, Filename: text, Destfile: text, URL: text, Outfile: text})
	}
	for i := range list { // as the loader has them
		list[i].Session = clipped(list[i].Session, 256)
	}
	for i, at := range []string{"0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z", "1969-12-31T23:59:59Z"} {
		list = append(list, cowrie.Sighting{Shasum: sha(10000 + i), Session: "t", Kind: cowrie.Disk, SeenAt: moment(t, at)})
	}
	db.see(list...)
	var verdicts []cowrie.Verdict
	for i, text := range odd {
		v := cowrie.NewVerdict(sha(i), cowrie.SourceVirusTotal, 1.7e15)
		v.Malicious, v.Total, v.Classification, v.Description = 1, 2, text, text
		verdicts = append(verdicts, v)
	}
	if _, err := db.AddVerdicts(t.Context(), verdicts); err != nil {
		t.Fatal(err)
	}
	n := int64(len(list))
	same(t, "published", s.publish(t, db), Summary{Sightings: n, Files: n, Verdicts: int64(len(odd))})
	s.holds(t, int(n), int(n), len(odd))
}

func TestReports(t *testing.T)     { t.Parallel(); onFakes(t, testReports) }
func TestNodeReports(t *testing.T) { onNode(t, testReports) }

// testReports: reports of every kind go through, whatever attackers sent.
func testReports(t *testing.T, s *server) {
	s.install(t)
	db := newDatabase(t)
	s.publish(t, db)
	for i, d := range []*report.Document{reporttest.Full(), reporttest.Empty(), reporttest.Many(), reporttest.Hostile(slices.Concat(reporttest.Naughty, odd))} {
		body, err := d.JSON(false, "")
		if err != nil {
			t.Fatal(err)
		}
		for _, kind := range Reports {
			if _, err := db.QueueReport(t.Context(), kind, fmt.Sprint("all:", kind, ":", i), body); err != nil {
				t.Fatal(err)
			}
		}
	}
	same(t, "published", s.publish(t, db), Summary{Reports: 12})
	for _, kind := range Reports {
		if got := len(s.documents(t, names(s.prefix).reportWrite(kind))); got != 4 {
			t.Errorf("%d %s reports", got, kind)
		}
	}
}

// naughty are the texts of the big list of naughty strings, where it is.
func naughty(t testing.TB) (texts []string) {
	data, err := os.ReadFile("../../../shared/data/hostile/blns.base64.json")
	if err != nil {
		t.Logf("the big list of naughty strings is not there: %v", err)
		return nil
	}
	var list [][]byte
	if err := json.Unmarshal(data, &list); err != nil {
		t.Fatal(err)
	}
	for _, text := range list {
		texts = append(texts, string(text))
	}
	return texts
}

func clipped(s string, n int) string {
	if len(s) > n {
		return s[:n]
	}
	return s
}

// TestFaults: whatever goes wrong, everything is there in the end, once, and no request is larger than it may be.
func TestFaults(t *testing.T) {
	t.Parallel()
	for name, faults := range map[string][]elastictest.Fault{
		"too much to do":  {{Status: 429}, {Status: 429}},
		"some items":      {{Items: 429, Every: 2}, {Items: 429, Every: 3}, {Items: 503, Every: 1}},
		"a proxy's error": {{Status: 502}, {Status: 503}, {Status: 504}},
		"an answer cut":   {{Cut: true}, {Cut: true}, {Short: true}},
		"no answer":       {{Silent: true}},
		"too large":       {{Status: 413}, {Status: 413}},
		"all":             {{Status: 413}, {Cut: true}, {Items: 429, Every: 2}, {Silent: true}, {Status: 502}, {Items: 500, Every: 4}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fake := elastictest.NewFake(t, false)
			c, err := NewClient(Options{URLs: []string{fake.URL}, Timeout: time.Second, Gzip: true})
			if err != nil {
				t.Fatal(err)
			}
			s := &server{name, c, DefaultPrefix, fake}
			s.install(t)
			db := newDatabaseWith(t, 40)
			p := s.publisher(t, db)
			p.Batch = 8 << 10
			fake.Next(faults...)
			fake.Next(elastictest.Fault{Then: func() { fake.Rollover(names(s.prefix).sightings()) }})
			sum, err := p.Run(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			sum.Requests, sum.Bytes = 0, 0
			same(t, "published", sum, Summary{Sightings: 40, Files: 40})
			s.holds(t, 40, 40, 0)
			if most := slices.Max(fake.Bulks()); most > 8<<10 {
				t.Errorf("a request of %d bytes", most)
			}
		})
	}
}

// TestTooLarge: requests become as small as the server takes them; a document that is
// larger alone is refused, and the others are not.
func TestTooLarge(t *testing.T) {
	t.Parallel()
	onFakes(t, func(t *testing.T, s *server) {
		s.install(t)
		db := newDatabaseWith(t, 30)
		long := sighting(30)
		long.Destfile = strings.Repeat("x", 4000)
		db.see(long)
		s.fake.MaxBody = 5000
		same(t, "published", s.publish(t, db), Summary{Sightings: 30, Files: 31, Refused: 1})
		s.holds(t, 30, 31, 0)
		s.fake.MaxBody = 0
		if n, err := db.RetryRefused(t.Context()); n != 1 || err != nil {
			t.Error(n, err)
		}
		same(t, "again", s.publish(t, db), Summary{Sightings: 1})
	})
}

// TestUnknownOutcome: a request that was done but not answered, and a rollover before it is
// repeated: nothing is there twice.
func TestUnknownOutcome(t *testing.T) {
	t.Parallel()
	onFakes(t, func(t *testing.T, s *server) {
		s.install(t)
		db := newDatabase(t)
		db.see(sighting(0))
		s.publish(t, db)
		db.see(sighting(1), sighting(2))
		s.fake.Next(elastictest.Fault{Cut: true, Then: func() { s.fake.Rollover(names(s.prefix).sightings()) }})
		same(t, "published", s.publish(t, db), Summary{Sightings: 2, Files: 2})
		s.holds(t, 3, 3, 0)
	})
}

// TestGiveUp: a cluster that never answers is given up after a while, but not by one
// who follows; what fails for good is at once.
func TestGiveUp(t *testing.T) {
	t.Parallel()
	fake := elastictest.NewFake(t, false)
	s := &server{"", connect(t, fake.URL), DefaultPrefix, fake}
	s.install(t)
	db := newDatabase(t)
	db.see(sighting(1))
	waited := time.Duration(0)
	down := make([]elastictest.Fault, 1000)
	for i := range down {
		down[i].Status = 503
	}
	fake.Next(down...)
	p := s.publisher(t, db)
	p.Sleep = func(ctx context.Context, d time.Duration) error {
		waited += d
		return ctx.Err()
	}
	if _, err := p.Run(t.Context()); !IsPassing(err) || waited < patience || waited > patience+2*longestWait {
		t.Errorf("after %v: %v", waited, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	p = s.publisher(t, db)
	p.Follow = true
	p.Sleep = func(ctx context.Context, d time.Duration) error {
		if waited += d; waited > 20*patience {
			cancel()
		}
		return ctx.Err()
	}
	if _, err := p.Run(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("who follows gave up: %v", err)
	}
	refusing := elastictest.NewFake(t, false)
	s = &server{"", connect(t, refusing.URL), DefaultPrefix, refusing}
	s.install(t)
	refusing.Next(elastictest.Fault{Status: 401})
	p = s.publisher(t, newDatabaseWith(t, 1))
	p.Sleep = func(context.Context, time.Duration) error {
		t.Error("it waits for another password")
		return nil
	}
	if _, err := p.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "refuses user, password or key") {
		t.Errorf("refused: %v", err)
	}
}

func newDatabaseWith(t testing.TB, n int) *database {
	db := newDatabase(t)
	var list []cowrie.Sighting
	for i := range n {
		list = append(list, sighting(i))
	}
	db.see(list...)
	return db
}

// TestFollow: changes are told as they come.
func TestFollow(t *testing.T) {
	t.Parallel()
	onFakes(t, func(t *testing.T, s *server) {
		s.install(t)
		db := newDatabaseWith(t, 1)
		p := s.publisher(t, db)
		p.Follow = true
		ctx, cancel := context.WithCancel(t.Context())
		turn := 0
		p.Sleep = func(ctx context.Context, _ time.Duration) error {
			if turn++; turn == 4 {
				cancel()
			}
			s.holds(t, turn, turn, 0)
			db.see(sighting(turn))
			return ctx.Err()
		}
		if _, err := p.Run(ctx); !errors.Is(err, context.Canceled) || turn != 4 {
			t.Error(turn, err)
		}
	})
}

// TestNotMeant: what was published to one cluster is not gone on with in another, nor
// under another prefix, nor among the files of another database, nor where nothing is installed, nor where a
// data stream has become an index.
func TestNotMeant(t *testing.T) {
	t.Parallel()
	onFakes(t, func(t *testing.T, s *server) {
		db := newDatabaseWith(t, 2)
		fails := func(db *database, want error) {
			t.Helper()
			if _, err := s.publisher(t, db).Run(t.Context()); !errors.Is(err, want) {
				t.Errorf("got %v, want %v", err, want)
			}
		}
		fails(db, ErrNotInstalled)
		s.install(t)
		s.publish(t, db)
		fails(newDatabaseWith(t, 1), ErrOthersFiles)
		s.prefix = "other"
		s.install(t)
		fails(db, ErrOtherPrefix)
		s.prefix = DefaultPrefix
		s.fake.Wipe()
		fails(db, ErrNotInstalled)
		s.install(t)
		fails(db, ErrOtherCluster)
		same(t, "rebuilt", s.rebuild(t, db), Summary{Sightings: 2, Files: 2})
		s.holds(t, 2, 2, 0)

		// Wiped under its feet: the server makes an index of the name.
		p := s.publisher(t, db)
		db.see(sighting(3))
		p.Observe = nil
		n := names(s.prefix)
		wiped := &wiping{Store: p.Store, wipe: func() {
			s.fake.Wipe()
			s.put(t, "/"+n.filesIndex(1), map[string]any{"aliases": map[string]any{n.files(): map[string]any{}}})
		}}
		p.Store = wiped
		if _, err := p.Run(t.Context()); !errors.Is(err, errLost) {
			t.Errorf("wiped: %v", err)
		}
	})
}

// wiping wipes the cluster before the outbox is read.
type wiping struct {
	Store
	wipe func()
}

func (w *wiping) Outbox(ctx context.Context, through int64, max int) ([]*cowrie.Change, error) {
	w.wipe()
	return w.Store.Outbox(ctx, through, max)
}
