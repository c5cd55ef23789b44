package crashtest

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"midden/internal/backfill"
	"midden/internal/cowrie"
	"midden/internal/elastic/elastictest"
	"midden/internal/enrich/virustotal/vttest"
	"midden/internal/store"
	"midden/internal/store/postgres/pgtest"
	"midden/internal/store/storetest"
	"midden/internal/synth"
	"midden/internal/synth/cowrieprocessor"
)

// The kinds of databases.
const (
	onSQLite   = "SQLite"
	onPostgres = "PostgreSQL"
	takenOver  = "taken over"
)

// world is a database that grows, and all that it is about: a sensor, and a VirusTotal.
type world struct {
	t          testing.TB
	rng        *rand.Rand
	kind       string
	dir        string
	db         string         // a path or a URL
	server     *pgtest.Server // nil on SQLite
	sensor     *sensor
	vt         *virusTotal
	files      []string // that VirusTotal may know
	cluster    *elastictest.Fake
	publishing bool   // the cluster is told of changes
	target     string // what is being copied to; "" if nothing is
	targets    int
	news       int
	fresh      string // a database that was being made
	// Of a database that was taken over.
	base       string // a copy of it as it was
	migrated   bool
	compacting bool // the events are being moved
}

func newWorld(t testing.TB, kind string, server *pgtest.Server, rng *rand.Rand) *world {
	t.Helper()
	w := &world{t: t, rng: rng, kind: kind, dir: t.TempDir(), cluster: elastictest.NewFake(t, true)}
	w.vt = newVirusTotal(t, filepath.Join(w.dir, "config"), vttest.Account{Key: vtKey, User: "u", Minute: 30, Day: 100000, Month: 1000000}, 30,
		fmt.Sprintf("[elastic]\nurl = [%q]\n", w.cluster.URL))
	w.sensor = newSensor(t, rng, w.dir, w.learn)
	w.db = filepath.Join(w.dir, "midden.db")
	switch kind {
	case onSQLite:
		w.run("load", w.sensor.logs()).with(0)
		w.migrated = true
	case onPostgres:
		w.server, w.db = server, server.Empty(t)
		w.run("migrate").with(0)
		w.migrated = true
	case takenOver:
		o := cowrieprocessor.Options{Logs: synth.Options{Seed: rng.Uint64(), Events: 300, FileShare: 0.3}, Version: 1 + rng.IntN(cowrieprocessor.Latest),
			Files: []string{"later", "oldest", ""}[rng.IntN(3)], Faults: true}
		if _, err := cowrieprocessor.Write(t.Context(), w.db, o); err != nil {
			t.Fatal(err)
		}
		db := storetest.Connect(t, w.db)
		for _, row := range storetest.Rows(t, db, `SELECT payload FROM raw_events`) {
			w.learn([]byte(row[0]))
		}
		db.Close()
		w.base = filepath.Join(t.TempDir(), "base.db")
		copyFile(t, w.db, w.base)
	}
	return w
}

func copyFile(t testing.TB, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, data, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// run starts the program on the database.
func (w *world) run(args ...string) *process {
	w.t.Helper()
	return start(w.t, w.vt.environment(), append([]string{"--db", w.db, "-q"}, args...)...)
}

// do starts an operation, with more in its environment.
func (w *world) do(o *operation, env ...string) *process {
	w.t.Helper()
	db := w.db
	if o.db != nil {
		db = o.db(w)
	}
	return start(w.t, append(w.vt.environment(), env...), append([]string{"--db", db, "-q"}, o.args(w)...)...)
}

const vtKey = "c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00c0ffee42"

// virusTotal is a VirusTotal and the configuration that leads to it.
type virusTotal struct {
	*vttest.Server
	dir string
	mu  sync.Mutex
	now time.Time
}

func newVirusTotal(t testing.TB, dir string, a vttest.Account, perMinute int, more string) *virusTotal {
	t.Helper()
	v := &virusTotal{Server: vttest.New(t), dir: dir, now: time.Now().UTC().Truncate(24 * time.Hour)}
	v.SetClock(v.clock)
	v.AddAccount(a)
	text := fmt.Sprintf("[virustotal]\nbase_url = %q\nkey = \"file:key\"\nper_minute = %d\n%s", v.URL, perMinute, more)
	for name, text := range map[string]string{"midden.toml": text, "key": vtKey} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return v
}

func (v *virusTotal) environment() []string {
	return []string{"MIDDEN_CONFIG=" + filepath.Join(v.dir, "midden.toml"), "USE_NEW_ENRICHMENT=true", "VT_API_KEY="}
}

func (v *virusTotal) clock() time.Time {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.now
}

func (v *virusTotal) pass(d time.Duration) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.now = v.now.Add(d)
}

// learn makes two of three files known, by their hashes.
func (v *virusTotal) learn(shasums []string) {
	then := time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, f := range shasums {
		if n := strings.Index("0123456789abcdef", f[:1]); n%3 > 0 {
			v.Add(vttest.File{SHA256: f, Stats: &vttest.Stats{Malicious: n, Undetected: 60 - n}, Label: "trojan.made/up", LastAnalysis: then, FirstSubmission: then})
		}
	}
}

var hashForm = regexp.MustCompile(`\b[0-9a-fA-F]{64}\b`)

// learn has VirusTotal know what text names.
func (w *world) learn(text ...[]byte) {
	for _, line := range text {
		for _, f := range hashForm.FindAll(line, -1) {
			w.files = append(w.files, strings.ToLower(string(f)))
			w.vt.learn(w.files[len(w.files)-1:])
		}
	}
}

// store opens the database in this process, to look at it.
func (w *world) store(path string, f func(*store.Store, *sql.DB)) {
	w.t.Helper()
	s, err := storetest.TryOpen(w.t, path, false)
	if err != nil {
		w.t.Fatal(err)
	}
	defer s.Close()
	db := storetest.Connect(w.t, path)
	defer db.Close()
	f(s, db)
}

// check looks whether the promises are kept, whatever happened.
func (w *world) check() {
	w.t.Helper()
	if w.fresh != "" {
		start(w.t, w.vt.environment(), "--db", w.fresh, "-q", "load", w.sensor.logs()).with(0, 3)
		w.store(w.fresh, func(s *store.Store, _ *sql.DB) { w.well(s) })
		w.fresh = ""
	}
	if !w.migrated {
		w.checkOld()
		return
	}
	w.store(w.db, func(s *store.Store, db *sql.DB) {
		w.well(s)
		w.events(s)
		w.quota(db)
	})
}

// checkOld looks at a database that may be taken over or not yet.
func (w *world) checkOld() {
	w.t.Helper()
	db := storetest.Connect(w.t, w.db)
	defer db.Close()
	if got := storetest.Rows(w.t, db, `PRAGMA quick_check`); len(got) != 1 || got[0][0] != "ok" {
		w.t.Fatalf("quick check: %v", got)
	}
	version := storetest.Rows(w.t, db, `SELECT value FROM schema_state WHERE "key" = 'schema_version'`)
	w.migrated = version[0][0] == "4"
	if w.migrated {
		w.check()
	}
}

// well fails the test if the engine or midden itself finds anything wrong.
func (w *world) well(s *store.Store) {
	w.t.Helper()
	err := s.Doctor(w.t.Context(), true, store.Staging{On: true}, func(c store.Check) error {
		if c.State == store.CheckFailure {
			w.t.Errorf("doctor: %s: %s", c.Name, c.Detail)
		}
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	snapshot, err := s.Snapshot(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	defer snapshot.Close()
	if _, err := backfill.Verify(w.t.Context(), snapshot, backfill.VerifyOptions{}, func(g backfill.Gap) error {
		w.t.Errorf("verify: %+v", g)
		return nil
	}); err != nil {
		w.t.Fatal(err)
	}
}

// events fails the test if an event is there twice, or was never written.
func (w *world) events(s *store.Store) {
	w.t.Helper()
	if w.kind == takenOver {
		return // what was taken over holds duplicates
	}
	wrote := map[string]bool{}
	for _, line := range w.sensor.written {
		wrote[string(cowrie.Compact(nil, line))] = true
	}
	seen := map[string]bool{}
	err := s.Events(w.t.Context(), store.EventFilter{Since: cowrie.FromStd(thisMonth), Until: cowrie.NoTime}, func(e *store.Event) error {
		text := string(cowrie.Compact(nil, e.Text))
		switch {
		case seen[text]:
			w.t.Errorf("an event is there twice: %s", text)
		case !wrote[text]:
			w.t.Errorf("an event was never written: %s", text)
		}
		seen[text] = true
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// quota fails the test unless the ledger holds all requests, and none was refused.
func (w *world) quota(db *sql.DB) {
	w.t.Helper()
	used := 0
	for _, row := range storetest.Rows(w.t, db, `SELECT coalesce(sum(used), 0) FROM quota WHERE period = 'month'`) {
		fmt.Sscan(row[0], &used)
	}
	if saw := w.vt.LookUps(); used < saw {
		w.t.Errorf("the ledger has %d requests, and %d were made", used, saw)
	}
	for _, r := range w.vt.Requests() {
		if r.Status == 429 {
			w.t.Errorf("the quota was exceeded: %+v", r)
		}
	}
}

// What has to pass until a file can be asked about again whose run was killed, and until
// the minute's quota is there again.
const (
	lease       = 5*time.Minute + time.Second
	quotaMinute = 63 * time.Second
)

// enrichAll asks until all is answered.
func enrichAll(t testing.TB, vt *virusTotal, db string) {
	t.Helper()
	vt.pass(lease)
	for range 200 {
		vt.pass(quotaMinute)
		if start(t, vt.environment(), "--db", db, "-q", "enrich", "--max-wait", "0s").with(0, 6).code == 0 {
			return
		}
	}
	t.Fatal("it never has all answers")
}

// finish does all work that is left, undisturbed. The last time, the events of a
// database that was taken over are moved, too.
func (w *world) finish(last bool) {
	w.t.Helper()
	w.sensor.complete()
	w.compacting = w.compacting || last && w.kind == takenOver
	if !w.migrated {
		w.run("migrate").with(0)
		w.migrated = true
	}
	w.run("load", w.sensor.logs()).with(0, 3)
	w.finishOn(w.db, w.vt)
	w.check()
}

// finishOn does what comes after loading.
func (w *world) finishOn(db string, vt *virusTotal) {
	w.t.Helper()
	run := func(args ...string) *process {
		return start(w.t, vt.environment(), append([]string{"--db", db, "-q"}, args...)...)
	}
	if w.kind == takenOver {
		run("backfill", "run").with(0, 3)
	}
	run("scan", "--sensor", "one", w.sensor.downloads()).with(0)
	enrichAll(w.t, vt, db)
	switch {
	case w.compacting:
		run("compact", "--yes").with(0)
	case w.kind != takenOver:
		run("retain", "--events", "12mo").with(0)
	}
}

// compare finishes all work and compares the database with one into which the same
// came without any disturbance.
func (w *world) compare(last bool) {
	w.t.Helper()
	w.finish(last)
	dir := w.t.TempDir()
	defer os.RemoveAll(dir)
	calm, all := filepath.Join(dir, "calm.db"), filepath.Join(dir, "all.json")
	if err := os.WriteFile(all, bytes.Join(w.sensor.written, nil), 0o644); err != nil {
		w.t.Fatal(err)
	}
	vt := newVirusTotal(w.t, filepath.Join(dir, "config"), vttest.Account{Key: vtKey, User: "u", Minute: 1e6, Day: 1e6, Month: 1e6}, 1e6, "")
	vt.learn(w.files)
	if w.kind == takenOver {
		copyFile(w.t, w.base, calm)
		start(w.t, vt.environment(), "--db", calm, "-q", "migrate").with(0)
	}
	old, err := filepath.Glob(filepath.Join(w.sensor.logs(), "old-*"))
	if err != nil {
		w.t.Fatal(err)
	}
	start(w.t, vt.environment(), append([]string{"--db", calm, "-q", "load", all}, old...)...).with(0, 3)
	w.finishOn(calm, vt)
	w.positions()
	got := w.dump(w.db)
	w.same(w.dump(calm), got)
	if w.kind == takenOver {
		return
	}
	told := func(db string) string {
		return start(w.t, vt.environment(), append([]string{"--db", db, "-q"}, report...)...).with(0).out.String()
	}
	w.same(told(calm), told(w.db))
	if w.publishing {
		w.run("elastic", "publish").with(0)
		once := w.told()
		w.run("elastic", "publish", "--rebuild").with(0)
		w.same(w.told(), once)
	}
	if w.target != "" {
		w.renewTarget()
		w.run("copy", "--to", w.target).with(0)
		w.same(got, w.dump(w.target))
	}
}

// positions fails the test unless every source was read as far as it says, and each of its
// lines counted once.
func (w *world) positions() {
	w.t.Helper()
	var contents [][]byte
	err := filepath.WalkDir(w.sensor.logs(), func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if z, packed := gzip.NewReader(bytes.NewReader(data)); packed == nil {
			data, err = io.ReadAll(z)
		}
		contents = append(contents, data)
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.store(w.db, func(_ *store.Store, db *sql.DB) {
		for _, row := range storetest.Rows(w.t, db, `SELECT position, digest, lines FROM sources WHERE digest <> ''`) {
			var position, lines int
			fmt.Sscan(row[0], &position)
			fmt.Sscan(row[2], &lines)
			read := slices.IndexFunc(contents, func(c []byte) bool {
				return len(c) >= position && fmt.Sprintf("%x", sha256.Sum256(c[:position])) == row[1]
			})
			if read < 0 {
				w.t.Errorf("no log has what was read up to %d", position)
				continue
			}
			part := contents[read][:position]
			want := bytes.Count(part, []byte("\n"))
			if part[position-1] != '\n' {
				want++
			}
			if lines != want {
				w.t.Errorf("of %d lines up to %d, %d are counted", want, position, lines)
			}
		}
	})
}

// same fails the test if two texts differ.
func (w *world) same(want, got string) {
	w.t.Helper()
	if want != got {
		w.t.Errorf("they differ:\n%.5000s", cmp.Diff(strings.Split(want, "\n"), strings.Split(got, "\n")))
	}
}

// publish has changes told to the cluster from now on.
func (w *world) publish() {
	w.t.Helper()
	if !w.publishing {
		w.run("elastic", "install").with(0)
		w.publishing = true
	}
}

// told is what the cluster was told, without when.
func (w *world) told() string {
	w.t.Helper()
	var lines []string
	for _, name := range []string{"cowrie.sightings", "cowrie.files", "cowrie.verdicts"} {
		for id, d := range w.cluster.Documents(name) {
			delete(d["event"].(map[string]any), "ingested")
			text, err := json.Marshal(d)
			if err != nil {
				w.t.Fatal(err)
			}
			lines = append(lines, fmt.Sprintf("%s %s %s", name, id, text))
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// renewTarget sees to it that there is something to copy to, which is not done: nothing
// yet, or what was left by a copy that was disturbed.
func (w *world) renewTarget() {
	w.t.Helper()
	if w.target != "" {
		p := start(w.t, w.vt.environment(), "--db", w.target, "-q", "files", "list", "--limit", "1")
		if p.wait(); p.code != 0 {
			return
		}
	}
	if w.target = filepath.Join(w.dir, fmt.Sprintf("copy-%d.db", w.targets)); w.targets%2 == 0 {
		w.target = w.newDatabase()
	}
	w.targets++
}

// newDatabase returns the name of a database that is not there yet, or has no tables.
func (w *world) newDatabase() string {
	w.t.Helper()
	if w.server != nil {
		return w.server.Empty(w.t)
	}
	w.news++
	return filepath.Join(w.dir, fmt.Sprintf("new-%d.db", w.news))
}

// unknown is the end of a verdict that says nothing.
var unknown = strings.Repeat(" | NULL", 9)

// dump is the canonical text of a database, without the times at which VirusTotal was
// asked.
func (w *world) dump(path string) (text string) {
	w.t.Helper()
	w.store(path, func(s *store.Store, db *sql.DB) {
		lines := strings.Split(storetest.Dump(w.t, s, db), "\n")
		for i, line := range lines {
			fields := strings.Split(line, " | ")
			switch {
			case fields[0] == "verdict" && fields[2] == cowrie.SourceVirusTotal:
				fields[3] = "then"
			case fields[0] == "file" && fields[len(fields)-2] != "NULL":
				fields[len(fields)-2] = "then"
			default:
				continue
			}
			lines[i] = strings.Join(fields, " | ")
		}
		slices.Sort(lines)
		// That VirusTotal does not know a file, it is asked again within hours.
		lines = slices.CompactFunc(lines, func(a, b string) bool { return a == b && strings.HasSuffix(a, unknown) })
		text = strings.Join(lines, "\n")
	})
	return text
}

// backfilled reports whether no raw event waits for its backfill.
func (w *world) backfilled() bool {
	db := storetest.Connect(w.t, w.db)
	defer db.Close()
	return storetest.Rows(w.t, db, `SELECT coalesce((SELECT max(id) FROM raw_events), 0)
		<= coalesce((SELECT position FROM maintenance WHERE job = 'backfill'), 0)`)[0][0] == "1"
}
