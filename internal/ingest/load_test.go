package ingest_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"

	"midden/internal/cowrie"
	"midden/internal/ingest"
	"midden/internal/logs"
	"midden/internal/store"
	"midden/internal/store/postgres"
	"midden/internal/store/storetest"
	"midden/internal/synth"
)

// TestMain runs the tests on both engines.
func TestMain(m *testing.M) { os.Exit(storetest.Main(m)) }

// database is a new database of the test's own.
type database struct {
	*store.Store
	path string
	sql  *sql.DB
}

func newDatabase(t *testing.T) *database {
	t.Helper()
	return openDatabase(t, storetest.Name(t))
}

func openDatabase(t *testing.T, path string) *database {
	t.Helper()
	return &database{storetest.Open(t, path), path, storetest.Connect(t, path)}
}

func (db *database) dump(t *testing.T) string {
	t.Helper()
	return storetest.Dump(t, db.Store, db.sql)
}

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

func (db *database) load(t *testing.T, paths ...string) ingest.Summary {
	t.Helper()
	return db.loadWith(t, ingest.Options{Log: quiet}, paths...)
}

// loadWith loads, and checks what holds after every load.
func (db *database) loadWith(t *testing.T, o ingest.Options, paths ...string) ingest.Summary {
	t.Helper()
	sum, err := ingest.Load(t.Context(), db, paths, o)
	if err != nil {
		t.Fatal(err)
	}
	accounted(t, sum)
	db.healthy(t)
	return sum
}

func accounted(t *testing.T, sum ingest.Summary) {
	t.Helper()
	if sum.Lines != sum.Events+sum.Duplicates+sum.DeadLetters+sum.Blank {
		t.Errorf("lines are not accounted for: %+v", sum.Tally)
	}
}

func (db *database) healthy(t *testing.T) {
	t.Helper()
	err := db.Doctor(t.Context(), true, store.Staging{On: true}, func(c store.Check) error {
		if c.State == store.CheckFailure {
			t.Errorf("doctor: %s: %s", c.Name, c.Detail)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, path string, data []byte) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func gzipped(data []byte) []byte {
	var buf bytes.Buffer
	z := gzip.NewWriter(&buf)
	z.Write(data)
	z.Close()
	return buf.Bytes()
}

func zstandard(data []byte) []byte {
	z, _ := zstd.NewWriter(nil)
	return z.EncodeAll(data, nil)
}

// sensorLog is the log of one made-up sensor.
func sensorLog(t *testing.T, seed uint64, events int) ([]byte, synth.Stats) {
	t.Helper()
	var buf bytes.Buffer
	stats, err := synth.Options{Seed: seed, Events: events, Sensors: 1}.Generate(t.Context(), &buf, 0)
	if err != nil {
		t.Fatal(err)
	}
	return buf.Bytes(), stats
}

func TestLoadCounts(t *testing.T) {
	log, want := sensorLog(t, 1, 5000)
	db := newDatabase(t)
	sum := db.load(t, write(t, filepath.Join(t.TempDir(), "cowrie.json"), log))
	got := cowrie.Tally{Lines: sum.Lines, Events: sum.Events, Sessions: sum.Sessions, Files: sum.Files, Sightings: sum.Sightings}
	if diff := cmp.Diff(cowrie.Tally{Lines: int64(want.Events), Events: int64(want.Events), Sessions: int64(want.Sessions),
		Files: int64(want.Files), Sightings: int64(want.Sightings)}, got); diff != "" {
		t.Error(diff)
	}
	var sums [6]int64
	err := db.sql.QueryRow(`SELECT sum(file_downloads), sum(file_uploads), sum(failed_transfers), sum(command_count),
		sum(login_attempts), (SELECT sum(occurrences) FROM command_stats) FROM session_summaries`).
		Scan(&sums[0], &sums[1], &sums[2], &sums[3], &sums[4], &sums[5])
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([6]int64{int64(want.Downloads), int64(want.Uploads), int64(want.FailedTransfers),
		int64(want.Commands), int64(want.Logins), int64(want.Commands)}, sums); diff != "" {
		t.Error(diff)
	}
}

func TestEventsComeBackExactly(t *testing.T) {
	log, _ := sensorLog(t, 2, 3000)
	db := newDatabase(t)
	db.load(t, write(t, filepath.Join(t.TempDir(), "cowrie.json"), log))
	var back bytes.Buffer
	err := db.Events(t.Context(), store.EventFilter{Since: cowrie.NoTime, Until: cowrie.NoTime}, func(e *store.Event) error {
		back.Write(e.Text)
		back.WriteByte('\n')
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(back.Bytes(), log) {
		t.Error("the lines that come back are not the lines that were loaded")
	}
}

// TestSameEventsAnyName is promise 2: whatever the files are called, however
// they are packed, cut, copied and overlapping, and in whatever order they are
// loaded, the database is the same.
func TestSameEventsAnyName(t *testing.T) {
	log, _ := sensorLog(t, 3, 2500)
	other, _ := sensorLog(t, 4, 1500)
	lines := bytes.SplitAfter(log, []byte("\n"))
	third := len(lines) / 3
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	merged := func(a, b [][]byte) []byte { // line by line in turn
		var out []byte
		for i := range max(len(a), len(b)) {
			if i < len(a) {
				out = append(out, a[i]...)
			}
			if i < len(b) {
				out = append(out, b[i]...)
			}
		}
		return out
	}
	var pretty []byte
	for _, l := range lines[:200] {
		if len(l) > 0 {
			pretty = append(append(pretty, indent(t, l)...), '\n')
		}
	}
	forms := map[string][]byte{
		"cowrie.json":            log,
		"cowrie.json.2026-01-01": log,
		"cowrie.json.1.gz":       gzipped(log),
		"copy.zst":               zstandard(log),
		"older-copy":             log[:len(log)/2], // cut inside of a line
		"first-third":            join(lines[:third]...),
		"overlap":                join(lines[third/2 : 2*third]...),
		"last-part":              join(lines[third:]...),
		"crlf":                   bytes.ReplaceAll(log, []byte("\n"), []byte("\r\n")),
		"merged":                 merged(lines, bytes.SplitAfter(other, []byte("\n"))),
		"twice":                  join(log, log),
		"backwards":              reversed(lines),
		"other":                  other,
		"pretty":                 pretty,
		"array":                  join([]byte("["), bytes.Join(lines[:300], []byte(",")), []byte("]")),
	}
	dir := t.TempDir()
	var paths []string
	for name, data := range forms {
		paths = append(paths, write(t, filepath.Join(dir, name), data))
	}
	plain := newDatabase(t)
	plain.load(t, filepath.Join(dir, "cowrie.json"), filepath.Join(dir, "other"))
	want := plain.dump(t)

	rng := rand.New(rand.NewPCG(5, 5))
	for round := range 6 {
		rng.Shuffle(len(paths), func(i, j int) { paths[i], paths[j] = paths[j], paths[i] })
		db := newDatabase(t)
		if round == 0 {
			db.load(t, paths...) // all in one run, oldest first
		} else {
			for _, path := range paths {
				db.load(t, path)
			}
		}
		if diff := cmp.Diff(strings.Split(want, "\n"), strings.Split(db.dump(t), "\n")); diff != "" {
			t.Fatalf("loaded in the order %v:\n%.3000s", names(paths), diff)
		}
		if sum := db.load(t, paths...); sum.Lines != 0 {
			t.Errorf("nothing was new, but %+v", sum.Tally)
		}
	}
}

func names(paths []string) (n []string) {
	for _, p := range paths {
		n = append(n, filepath.Base(p))
	}
	return n
}

func reversed(lines [][]byte) (out []byte) {
	for i := len(lines) - 1; i >= 0; i-- {
		out = append(out, lines[i]...)
	}
	return out
}

// counting counts the lines that come in, whether they are stored or not.
type counting struct {
	*store.Store
	lines *atomic.Int64
}

func (c *counting) Seal(chunk *cowrie.Chunk) {
	c.lines.Add(chunk.Gathered.Lines)
	c.Store.Seal(chunk)
}

// TestClaims: a source belongs to one loader, until that has stored it or is gone;
// one that comes later waits for it, and then does what is left.
func TestClaims(t *testing.T) {
	dir := t.TempDir()
	if _, err := (synth.Options{Seed: 6, Events: 2000}).WriteTree(t.Context(), dir, "none"); err != nil {
		t.Fatal(err)
	}
	path := storetest.Name(t)
	if !postgres.Is(path) {
		t.Skip("SQLite serves one machine")
	}
	holder, other := storetest.Open(t, path), openDatabase(t, path)
	first := claims(t, dir)
	for range 2 { // it is held, and let go
		for _, fingerprint := range first {
			if ok, err := holder.ClaimSource(t.Context(), fingerprint); !ok || err != nil {
				t.Fatal(ok, err)
			}
			if ok, err := other.ClaimSource(t.Context(), fingerprint); ok || err != nil {
				t.Fatal(ok, err)
			}
		}
		holder.ReleaseSources()
		for _, fingerprint := range first {
			if ok, err := other.ClaimSource(t.Context(), fingerprint); !ok || err != nil {
				t.Fatal(ok, err)
			}
		}
		other.ReleaseSources()
	}
	for _, fingerprint := range first {
		if ok, err := holder.ClaimSource(t.Context(), fingerprint); !ok || err != nil {
			t.Fatal(ok, err)
		}
	}
	done := make(chan ingest.Summary)
	go func() {
		sum, err := ingest.Load(t.Context(), other, []string{dir}, ingest.Options{Log: quiet})
		if err != nil {
			t.Error(err)
		}
		done <- sum
	}()
	select {
	case sum := <-done:
		t.Fatalf("it did not wait: %+v", sum)
	case <-time.After(500 * time.Millisecond):
	}
	// Its server process ends, as it does when the program is killed.
	var ended bool
	if err := other.sql.QueryRowContext(t.Context(), `SELECT bool_and(pg_terminate_backend(pid)) FROM (SELECT DISTINCT pid FROM pg_locks
		WHERE locktype = 'advisory' AND objsubid = 1 AND database = (SELECT oid FROM pg_database WHERE datname = current_database())) p`).Scan(&ended); err != nil || !ended {
		t.Fatal(ended, err)
	}
	if sum := <-done; sum.Events != 2000 {
		t.Errorf("%+v", sum.Tally)
	}
	if _, err := holder.ClaimSource(t.Context(), first[0]); err == nil {
		t.Error("the loader whose connection broke is not told")
	}
	if ok, err := holder.ClaimSource(t.Context(), first[0]); !ok || err != nil {
		t.Errorf("afterwards: %v, %v", ok, err)
	}
}

// claims are the fingerprints of the logs in a directory.
func claims(t *testing.T, dir string) (list []string) {
	t.Helper()
	files, _, err := logs.Find(t.Context(), []string{dir}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for f := range files.All() {
		file, err := logs.Open(f.Path)
		if err != nil {
			t.Fatal(err)
		}
		r, err := logs.NewReader(file)
		if err != nil {
			t.Fatal(err)
		}
		if r.Fingerprint() != "" {
			list = append(list, r.Fingerprint())
		}
		file.Close()
	}
	return list
}

// TestTwoLoaders is promise 2 with loaders that work on the same files at once.
func TestTwoLoaders(t *testing.T) {
	dir := t.TempDir()
	stats, err := synth.Options{Seed: 6, Events: 12000}.WriteTree(t.Context(), dir, "mixed")
	if err != nil {
		t.Fatal(err)
	}
	alone := newDatabase(t)
	lines := alone.load(t, dir).Lines

	path := storetest.Name(t)
	var wg sync.WaitGroup
	var sealed atomic.Int64
	sums := make([]ingest.Summary, 3)
	for i := range sums {
		db := &counting{openDatabase(t, path).Store, &sealed}
		wg.Go(func() {
			sum, err := ingest.Load(t.Context(), db, []string{dir}, ingest.Options{Log: quiet})
			if err != nil {
				t.Error(err)
			}
			sums[i] = sum
		})
	}
	wg.Wait()
	var events int64
	for _, sum := range sums {
		accounted(t, sum)
		events += sum.Events
	}
	if events != int64(stats.Events) {
		t.Errorf("the loaders stored %d events together, of %d", events, stats.Events)
	}
	if postgres.Is(path) && sealed.Load() != lines {
		t.Errorf("the loaders read %d lines together, of %d", sealed.Load(), lines)
	}
	shared := openDatabase(t, path)
	shared.healthy(t)
	if diff := cmp.Diff(alone.dump(t), shared.dump(t)); diff != "" {
		t.Errorf("%.3000s", diff)
	}
}

// TestGrowingFile reads a log that grows by random portions, as a delta load
// finds it.
func TestGrowingFile(t *testing.T) {
	log, _ := sensorLog(t, 7, 2000)
	whole := newDatabase(t)
	whole.load(t, write(t, filepath.Join(t.TempDir(), "whole"), log))
	want := whole.dump(t)
	rng := rand.New(rand.NewPCG(7, 7))
	for _, packed := range []bool{false, true} {
		db := newDatabase(t)
		path := filepath.Join(t.TempDir(), "cowrie.json")
		var events int64
		for have := 0; have < len(log); {
			have = min(len(log), have+1+rng.IntN(len(log)/20))
			data := log[:have]
			if packed {
				data = gzipped(data)
			}
			write(t, path, data)
			sum := db.load(t, path)
			events += sum.Events
			if end := bytes.LastIndexByte(log[:have], '\n') + 1; sum.PendingBytes != int64(have-end) && sum.PendingBytes != 0 {
				t.Errorf("%d bytes are pending of %d behind the last line", sum.PendingBytes, have-end)
			}
			if sum.Duplicates > 0 {
				t.Errorf("%d duplicates in a file that only grew", sum.Duplicates)
			}
		}
		if got := db.dump(t); got != want {
			t.Errorf("packed %v: %.3000s", packed, cmp.Diff(want, got))
		}
		var sources int
		if err := db.sql.QueryRow(`SELECT count(*) FROM sources`).Scan(&sources); err != nil || sources != 1 {
			t.Errorf("one log became %d sources (%v)", sources, err)
		}
	}
}

// TestCopytruncate loads a log that was copied away and begun again with the
// same first line, and has grown beyond where it was.
func TestCopytruncate(t *testing.T) {
	log, _ := sensorLog(t, 8, 1000)
	more, _ := sensorLog(t, 9, 2000)
	first := log[:bytes.IndexByte(log, '\n')+1]
	db := newDatabase(t)
	dir := t.TempDir()
	path := write(t, filepath.Join(dir, "cowrie.json"), log)
	db.load(t, dir)
	write(t, filepath.Join(dir, "cowrie.json.1"), log)
	write(t, path, append(bytes.Clone(first), more...)) // the same inode
	sum := db.load(t, dir)
	if sum.Duplicates != 1 || sum.Events != 2000 {
		t.Errorf("got %+v, want the first line known and 2,000 events", sum.Tally)
	}
	plain := newDatabase(t)
	plain.load(t, write(t, filepath.Join(t.TempDir(), "a"), log), write(t, filepath.Join(t.TempDir(), "b"), more))
	if diff := cmp.Diff(plain.dump(t), db.dump(t)); diff != "" {
		t.Errorf("%.3000s", diff)
	}
}

func TestBadInput(t *testing.T) {
	log, stats := sensorLog(t, 10, 500)
	dir := t.TempDir()
	packed := gzipped(log)
	write(t, filepath.Join(dir, "good.json"), log)
	write(t, filepath.Join(dir, "cut.gz"), packed[:len(packed)*2/3])
	write(t, filepath.Join(dir, "trailing.gz"), append(gzipped(append(bytes.Clone(log), "{\"a\":1}\n"...)), "garbage"...))
	write(t, filepath.Join(dir, "notes.txt"), []byte("no log\n"))
	write(t, filepath.Join(dir, "empty.json"), nil)
	db := newDatabase(t)
	sum := db.load(t, dir, filepath.Join(dir, "gone"), "/dev/null", dir+"/../"+filepath.Base(dir))
	if sum.Events != int64(stats.Events)+1 {
		t.Errorf("%d events, want %d", sum.Events, stats.Events+1)
	}
	var bad []string
	for _, p := range sum.Unreadable {
		bad = append(bad, filepath.Base(p.Path))
	}
	if diff := cmp.Diff([]string{"null", "cut.gz", "gone", "trailing.gz"}, bad); diff != "" {
		t.Error(diff)
	}
	if sum.FilesPassed != 2 {
		t.Errorf("%d files passed over, want notes.txt and empty.json", sum.FilesPassed)
	}
	// What is as it was is not looked at again; what has changed is.
	if sum := db.load(t, dir); len(sum.Unreadable) != 0 || sum.Lines != 0 {
		t.Errorf("again: %+v", sum)
	}
	write(t, filepath.Join(dir, "cut.gz"), packed)
	if sum := db.load(t, dir); sum.Lines == 0 || sum.Events != 0 || len(sum.Unreadable) != 0 {
		t.Errorf("mended: %+v", sum)
	}
}

func TestDeadLetters(t *testing.T) {
	bad := "not json\n[1]\n{\"cut\":\n\n  \n{\"a\":1}{\"b\":2}\n\xff\xfe\x00\nnot json\n{\"eventid\":5}\n"
	db := newDatabase(t)
	path := write(t, filepath.Join(t.TempDir(), "a"), []byte(bad))
	sum := db.load(t, path)
	want := cowrie.Tally{Lines: 9, Events: 1, Duplicates: 1, DeadLetters: 5, Blank: 2}
	if diff := cmp.Diff(want, sum.Tally); diff != "" {
		t.Error(diff)
	}
	lines := map[string]int64{}
	err := db.DeadLetters(t.Context(), store.DeadLetterFilter{}, func(d *store.DeadLetter) error {
		lines[string(d.Line)] = d.Offset
		if got := bad[d.Offset:][:d.Length]; got != string(d.Line) {
			t.Errorf("at %d stands %q, not %q", d.Offset, got, d.Line)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]int64{"not json": 0, "[1]": 9, `{"cut":`: 13, `{"a":1}{"b":2}`: 25, "\xff\xfe\x00": 40}, lines); diff != "" {
		t.Error(diff)
	}
	// The same again, elsewhere.
	before := db.dump(t)
	if sum := db.load(t, write(t, filepath.Join(t.TempDir(), "b"), []byte("x\n"+bad))); sum.DeadLetters != 1 || sum.Events != 0 {
		t.Errorf("%+v", sum.Tally)
	}
	if got := db.dump(t); strings.Count(got, "\n") != strings.Count(before, "\n")+1 {
		t.Error("a dead letter was stored twice")
	}
}

// TestFault: of a batch of which one row cannot be stored nothing is, whichever row it is, and
// however many others come behind it.
func TestFault(t *testing.T) {
	t.Parallel()
	data, _ := sensorLog(t, 5, 3000)
	path := write(t, filepath.Join(t.TempDir(), "cowrie.json"), data)
	db := newDatabase(t)
	before := db.dump(t)
	for _, fault := range []struct{ event, table string }{
		{"INSERT", "event_segments"}, {"INSERT", "session_summaries"}, {"INSERT", "command_stats"}, {"INSERT", "login_stats"},
		{"INSERT", "file_sightings"}, {"INSERT", "files"}, {"INSERT", "lookups"}, {"INSERT", "session_sums"}, {"UPDATE", "sources"},
	} {
		on := "BEFORE " + fault.event + " ON " + fault.table
		exec := func(sqlite, postgres string) {
			t.Helper()
			if _, err := db.sql.Exec(storetest.Dialect(sqlite, postgres)); err != nil {
				t.Fatal(err)
			}
		}
		exec(`CREATE TRIGGER fault `+on+` BEGIN SELECT RAISE(ROLLBACK, 'a fault'); END`,
			`DO $$ BEGIN
				CREATE OR REPLACE FUNCTION fault() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''a fault''; END';
				CREATE TRIGGER fault `+on+` FOR EACH ROW EXECUTE FUNCTION fault();
			END $$`)
		_, err := ingest.Load(t.Context(), db, []string{path}, ingest.Options{Log: quiet})
		if err == nil || !strings.Contains(err.Error(), "a fault") {
			t.Errorf("%s: %v", on, err)
		}
		exec(`DROP TRIGGER fault`, `DROP TRIGGER fault ON `+fault.table)
		if diff := cmp.Diff(before, db.dump(t)); diff != "" {
			t.Fatalf("%s: half of it is stored:\n%s", on, diff)
		}
	}
	if sum := db.load(t, path); sum.Events != 3000 {
		t.Errorf("%d events", sum.Events)
	}
	db.healthy(t)
}

func TestStopsAtACleanPosition(t *testing.T) {
	dir := t.TempDir()
	if _, err := (synth.Options{Seed: 11, Events: 8000}).WriteTree(t.Context(), dir, "none"); err != nil {
		t.Fatal(err)
	}
	whole := newDatabase(t)
	whole.load(t, dir)
	db := newDatabase(t)
	for stop := int64(1); ; stop += 7 {
		ctx, cancel := context.WithCancel(t.Context())
		var n atomic.Int64
		sum, err := ingest.Load(ctx, db, []string{dir}, ingest.Options{Log: quiet, Observe: func(ingest.Progress) {
			if n.Add(1) == stop {
				cancel()
			}
		}})
		cancel()
		accounted(t, sum)
		db.healthy(t)
		if err == nil {
			break
		}
		if err != context.Canceled {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(whole.dump(t), db.dump(t)); diff != "" {
		t.Errorf("%.3000s", diff)
	}
}

// TestRealLogs runs on a collection of real logs where there is one.
func TestRealLogs(t *testing.T) {
	logs := filepath.Join("..", "..", "..", "shared", "data", "logs")
	if _, err := os.Stat(logs); err != nil {
		t.Skip("there is no collection of real logs beside the checkout: not run")
	}
	db := newDatabase(t)
	sum := db.load(t, logs)
	want := cowrie.Tally{Lines: 47291, Events: 47288, DeadLetters: 3, Sessions: 7422, Files: 51, Sightings: 233}
	if diff := cmp.Diff(want, sum.Tally); diff != "" {
		t.Error(diff)
	}
	before := db.dump(t)
	copies := t.TempDir()
	n := 0
	filepath.WalkDir(logs, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if n++; n%2 == 0 {
			data = gzipped(data)
			if bytes.HasPrefix(data, []byte{0x1f, 0x8b}) && strings.HasSuffix(path, "z") || strings.HasSuffix(path, "bz2") {
				return nil // packed twice is no log
			}
		}
		write(t, filepath.Join(copies, fmt.Sprint(n)), data)
		return nil
	})
	if sum := db.load(t, logs, copies); sum.Events != 0 || sum.Lines != 0 {
		t.Errorf("again, and as copies: %+v", sum.Tally)
	}
	if db.dump(t) != before {
		t.Error("loading copies has changed the database")
	}
}

func indent(t *testing.T, line []byte) []byte {
	t.Helper()
	var buf bytes.Buffer
	if err := json.Indent(&buf, line, "", "  "); err != nil {
		t.Fatal(err)
	}
	return bytes.TrimSpace(buf.Bytes())
}
