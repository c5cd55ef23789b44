package cli

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"midden/internal/store/migrate"
	"midden/internal/store/sqlite"
	"midden/internal/synth"
	"midden/internal/synth/cowrieprocessor"
	"midden/internal/synth/cowrieprocessor/cowrieprocessortest"
)

// oldLog is a log that cowrieprocessor loads, a part at a time.
type oldLog struct {
	path  string
	lines [][]byte
	delta bool
}

// oldLogs writes the logs of some sensors below dir, and returns them. Every
// other one is for delta loads.
func oldLogs(t testing.TB, dir string, o synth.Options) []oldLog {
	t.Helper()
	if _, err := o.WriteTree(t.Context(), dir, "none"); err != nil {
		t.Fatal(err)
	}
	paths, err := filepath.Glob(filepath.Join(dir, "*", "*"))
	if err != nil {
		t.Fatal(err)
	}
	var logs []oldLog
	for i, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		logs = append(logs, oldLog{path, bytes.Split(bytes.TrimSuffix(data, []byte("\n")), []byte("\n")), i%2 == 1})
	}
	return logs
}

// load loads the log, as far as it was written by then, in one of so many parts.
// The program knew logs by other names than those that they have now.
func (l *oldLog) load(t testing.TB, db *sql.DB, part, parts int) {
	t.Helper()
	from, to := len(l.lines)*part/parts, len(l.lines)*(part+1)/parts
	if l.delta { // it finds out itself what it knows
		cowrieprocessortest.Load(t, db, "/old"+l.path, l.lines[:to], cowrieprocessor.LoadOptions{Inode: "1", Delta: true})
		return
	}
	cowrieprocessortest.Load(t, db, fmt.Sprintf("/old%s.%d", l.path, part), l.lines[from:to], cowrieprocessor.LoadOptions{Inode: "1"})
}

// TestBackfillBesideLoaders has a backfill, a load, and cowrieprocessor write
// into one database at once. What comes of it is what comes of one after the
// other: no event, session, file or sighting depends on who was first.
//
// The logs that midden loads begin with what cowrieprocessor had already, and
// go on with sessions that it had a part of.
func TestBackfillBesideLoaders(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	logs := oldLogs(t, filepath.Join(dir, "logs"), synth.Options{Seed: 111, Events: 1200, Sensors: 2, FileShare: 0.2})
	others := oldLogs(t, filepath.Join(dir, "others"), synth.Options{Seed: 112, Events: 600, Sensors: 1, FileShare: 0.2})
	base, db := cowrieprocessortest.Create(t, cowrieprocessor.Latest)
	for i := range logs {
		logs[i].load(t, db, 0, 2) // half of each
	}
	others[0].load(t, db, 0, 1)
	db.Close()
	run(t, []int{0}, "-q", "--db", base, "migrate")

	backfill := []string{"backfill", "run", "--batch", "16"}
	load := []string{"load", filepath.Join(dir, "logs")}
	const parts = 4
	calm := copyDatabase(t, base)
	func() {
		db := cowrieprocessortest.Open(t, calm)
		defer db.Close()
		run(t, []int{0}, append([]string{"--db", calm}, load...)...)
		for i := range others[1:] {
			for part := range parts {
				others[1+i].load(t, db, part, parts)
			}
		}
		run(t, []int{0}, append([]string{"--db", calm}, backfill...)...)
	}()

	// A session that both had a part of is what it would be if midden alone had
	// had it.
	native := filepath.Join(dir, "native.db")
	run(t, []int{0}, append([]string{"--db", native}, load...)...)
	alone := map[string]bool{}
	for line := range strings.Lines(dumpOf(canonical(t, native), "session", "command")) {
		alone[line] = true
	}
	both := sessionsOf(t, calm, `segments IS NOT NULL AND EXISTS (SELECT 1 FROM raw_events r WHERE r.session_id = s.session_id)`)
	if len(both) == 0 {
		t.Error("no session is in both")
	}
	all := sessionsOf(t, calm, `segments IS NOT NULL`)
	for line := range strings.Lines(dumpOf(takenOver(t, calm), "session", "command")) {
		if id := strings.Split(line, " | ")[1]; all[id] && !alone[line] {
			t.Errorf("loaded by midden alone this is another: %s", line)
		}
	}

	path := copyDatabase(t, base)
	db = cowrieprocessortest.Open(t, path)
	var running, loaders sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	midden := func(args []string) {
		if e := call(t, "", append([]string{"--db", path}, args...)...); e.code != 0 {
			t.Errorf("%v ended with %d: %s", args, e.code, e.errs)
		}
	}
	loaders.Go(func() { midden(load) })
	loaders.Go(func() {
		for i := range others[1:] {
			for part := range parts {
				others[1+i].load(t, db, part, parts)
			}
		}
	})
	running.Go(func() { // again and again: there is always something new
		for n := 0; n < 8 && ctx.Err() == nil; n++ {
			midden(backfill)
		}
	})
	loaders.Wait()
	cancel()
	running.Wait()
	midden(backfill)
	db.Close()
	same(t, unordered(takenOver(t, calm)), unordered(takenOver(t, path)))
	well(t, path)
}

// sessionsOf returns the ids of the sessions for which something holds.
func sessionsOf(t testing.TB, path, where string) map[string]bool {
	t.Helper()
	db := cowrieprocessortest.Open(t, path)
	defer db.Close()
	ids := map[string]bool{}
	for _, row := range table(t, db, `SELECT session_id FROM session_summaries s WHERE `+where) {
		ids[strings.Trim(row, `["]`)] = true
	}
	return ids
}

// TestSameLogsAtOnce has midden and cowrieprocessor load the same logs at the same
// time, with a backfill beside them. Whoever had an event first, compacting makes
// of both what loading alone would have made.
func TestSameLogsAtOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	logs := oldLogs(t, filepath.Join(dir, "logs"), synth.Options{Seed: 115, Events: 600, Sensors: 2, FileShare: 0.2})
	path, db := cowrieprocessortest.Create(t, cowrieprocessor.Latest)
	midden := func(args ...string) {
		if e := call(t, "USE_NEW_ENRICHMENT=true", append([]string{"--db", path}, args...)...); e.code != 0 {
			t.Errorf("%v ended with %d: %s", args, e.code, e.errs)
		}
	}
	midden("migrate")
	var all sync.WaitGroup
	all.Go(func() {
		paths, _ := filepath.Glob(filepath.Join(dir, "logs", "*", "*"))
		for _, path := range paths {
			midden("load", path)
		}
	})
	all.Go(func() {
		for i := range logs { // from the other end
			for part := range 2 {
				logs[len(logs)-1-i].load(t, db, part, 2)
			}
			midden("backfill", "run")
		}
	})
	all.Wait()
	db.Close()
	midden("verify")
	midden("compact", "--yes")
	native := filepath.Join(dir, "native.db")
	run(t, []int{0}, "-q", "--db", native, "load", filepath.Join(dir, "logs"))
	same(t, dumpOf(canonical(t, native), comparable...), dumpOf(canonical(t, path), comparable...))
	well(t, path)
}

// unordered is the part of takenOver that does not tell in which order things
// came.
func unordered(text string) string {
	dump, _, _ := strings.Cut(text, `["schema"`)
	return dump
}

// TestOldToolGoesOn has cowrieprocessor read and write while its database is
// migrated, and afterwards.
func TestOldToolGoesOn(t *testing.T) {
	t.Parallel()
	path := oldDatabase(t, cowrieprocessor.Options{Logs: synth.Options{Seed: 121, Events: 800, FileShare: 0.3}, Files: "later", Faults: true})
	db := cowrieprocessortest.Open(t, path)
	lines := madeLog(t, 122, 900)
	steps := 0
	part := func() [][]byte { // a hundred lines more
		steps++
		return lines[:100*steps]
	}
	const source = "/srv/cowrie/late/cowrie.json"
	last := value[int64](t, db, `SELECT max(id) FROM raw_events`)
	before := rawDigest(t, db, last)
	columns := table(t, db, `SELECT name FROM pragma_table_xinfo('raw_events')`)

	// Somebody reads all the time, and between two steps somebody writes.
	reader := cowrieprocessortest.Open(t, path)
	reading, err := reader.BeginTx(t.Context(), &sql.TxOptions{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	count := func() (n int) {
		if err := reading.QueryRow(`SELECT count(*) FROM raw_events`).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	was := count()
	err = sqlite.Upgrade(t.Context(), path, func(p *migrate.Plan) error {
		if len(p.Steps) != 5 {
			t.Errorf("there are %d steps", len(p.Steps))
		}
		return nil
	}, func(int) {
		cowrieprocessortest.Load(t, db, source, part(), cowrieprocessor.LoadOptions{Inode: "9", Delta: true})
	})
	if err != nil {
		t.Fatal(err)
	}
	if is := count(); is != was {
		t.Errorf("who read saw %d raw events first and then %d", was, is)
	}
	reading.Rollback()
	reader.Close()
	if got := value[int](t, db, `SELECT count(*) FROM raw_events WHERE source = ?`, source); got != 500 {
		t.Errorf("%d events were written during the migration", got)
	}

	// The backfill takes all there is, and then exactly what is new, in delta
	// loads and in bulk.
	fileEvents := func(after int64) int64 {
		return value[int64](t, db, `SELECT count(*) FROM raw_events WHERE event_type IN
			('cowrie.session.file_download', 'cowrie.session.file_upload') AND id > ?`, after)
	}
	var sum struct{ Rows, Sightings, Known, Rejected, Position int64 }
	backfill := func() {
		t.Helper()
		e := call(t, "", "--db", path, "backfill", "run", "-o", "json").with(0, 3)
		decode(t, e.out, &sum)
	}
	backfill()
	for _, delta := range []bool{true, false, true} {
		from := value[int64](t, db, `SELECT max(id) FROM raw_events`)
		if delta {
			cowrieprocessortest.Load(t, db, source, part(), cowrieprocessor.LoadOptions{Inode: "9", Delta: true})
		} else {
			cowrieprocessortest.Load(t, db, source+".1", madeLog(t, 123, 100), cowrieprocessor.LoadOptions{Inode: "10"})
		}
		want := fileEvents(from)
		sightings := value[int64](t, db, `SELECT count(*) FROM file_sightings`)
		backfill()
		if sum.Rows != want || want == 0 || sum.Sightings+sum.Rejected != want || sum.Known != 0 ||
			sum.Position != value[int64](t, db, `SELECT max(id) FROM raw_events`) {
			t.Errorf("of %d new events of files it did %+v", want, sum)
		}
		if now := value[int64](t, db, `SELECT count(*) FROM file_sightings`); now != sightings+sum.Sightings {
			t.Errorf("there are %d sightings, there were %d, and %d were added", now, sightings, sum.Sightings)
		}
	}
	backfill()
	if sum.Rows != 0 {
		t.Errorf("nothing is new, but it did %+v", sum)
	}
	if after := rawDigest(t, db, last); after != before {
		t.Error("the raw events that were there are others now")
	}
	if got := table(t, db, `SELECT name FROM pragma_table_xinfo('raw_events')`); !slices.Equal(got, columns) {
		t.Errorf("the columns of the raw events were %q and are %q", columns, got)
	}
	db.Close()
	well(t, path)
}

// comparable are the rows that are the same whether cowrieprocessor or midden had
// the events. Three kinds differ. Events stand in the form that cowrieprocessor
// gave them (its JSON is laid out otherwise, and commands are altered), and so do
// those without a session, of which a digest is kept; and it had dead letters of
// its own.
var comparable = []string{"session", "command", "file", "sighting", "verdict"}

// TestAlteredSighting has cowrieprocessor load what midden had before, and alter it:
// bytes that are no UTF-8 are others in its copy. It is the same sighting all the
// same, whether the backfill or a load comes upon it.
func TestAlteredSighting(t *testing.T) {
	t.Parallel()
	line := []byte(`{"eventid":"cowrie.session.file_upload","session":"aaaa00000001","sensor":"one","timestamp":"2026-01-01T00:00:00Z",` +
		`"shasum":"aaaa000000000000000000000000000000000000000000000000000000000000","filename":"caf` + "\xe9" + `.sh"}`)
	log := filepath.Join(t.TempDir(), "cowrie.json")
	if err := os.WriteFile(log, append(line, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, order := range [][]string{{"load", "old", "backfill", "compact"}, {"old", "backfill", "load", "compact"}, {"old", "load", "backfill", "compact", "load"}} {
		path, db := cowrieprocessortest.Create(t, cowrieprocessor.Latest)
		do := func(args ...string) { call(t, "", append([]string{"--db", path}, args...)...).with(0) }
		do("migrate")
		for _, step := range order {
			switch step {
			case "old":
				cowrieprocessortest.Load(t, db, "cowrie.json", [][]byte{line}, cowrieprocessor.LoadOptions{})
			case "load":
				do("load", log)
			case "backfill":
				do("backfill", "run")
			case "compact":
				do("verify")
				do("compact", "--yes")
			}
		}
		do("verify")
		for query, want := range map[string]int{
			`SELECT count(*) FROM file_sightings`:                  1,
			`SELECT sighting_count FROM files`:                     1,
			`SELECT event_count FROM session_summaries`:            1,
			`SELECT sum(event_count) FROM event_segments`:          1,
			`SELECT count(*) FROM raw_events`:                      0,
			`SELECT count(*) FROM file_sightings WHERE segment_id`: 1,
		} {
			if got := value[int](t, db, query); got != want {
				t.Errorf("%v: %s is %d, want %d", order, query, got, want)
			}
		}
	}
}

// TestOldToolKnowsItsCursors has midden load a log that cowrieprocessor had loaded
// in bulk, and that one load it again, by delta: what it had it does not take
// again, as if midden had not been there.
func TestOldToolKnowsItsCursors(t *testing.T) {
	t.Parallel()
	lines := madeLog(t, 125, 200)
	log := filepath.Join(t.TempDir(), "cowrie.json")
	if err := os.WriteFile(log, bytes.Join(lines[:150], nil), 0o644); err != nil {
		t.Fatal(err)
	}
	inode := fmt.Sprint(inodeOf(t, log))
	path, db := cowrieprocessortest.Create(t, cowrieprocessor.Latest)
	cowrieprocessortest.Load(t, db, log, lines[:150], cowrieprocessor.LoadOptions{Inode: inode})
	run(t, []int{0}, "-q", "--db", path, "migrate")
	run(t, []int{0}, "-q", "--db", path, "load", log)
	cowrieprocessortest.Load(t, db, log, lines, cowrieprocessor.LoadOptions{Inode: inode, Delta: true})
	if n := value[int](t, db, `SELECT count(*) FROM raw_events`); n != 200 {
		t.Errorf("there are %d raw events", n)
	}
	if n := value[int](t, db, `SELECT sum(event_count) FROM session_summaries`); n != 200 {
		t.Errorf("sessions count %d events", n)
	}
}

func inodeOf(t testing.TB, path string) uint64 {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Sys().(*syscall.Stat_t).Ino
}

// TestCompactIsLoading takes over what cowrieprocessor made of logs, in every
// order in which that and loading may come, and compares what it has in the
// end with what loading the logs gives.
func TestCompactIsLoading(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	logs := oldLogs(t, filepath.Join(dir, "logs"), synth.Options{Seed: 131, Events: 600, Sensors: 2, FileShare: 0.2})
	half := filepath.Join(dir, "logs", synth.SensorName(0))
	native := filepath.Join(dir, "native.db")
	run(t, []int{0}, "-q", "--db", native, "load", filepath.Join(dir, "logs"))
	want := dumpOf(canonical(t, native), comparable...)

	steps := map[string]func(t *testing.T, path string, db *sql.DB){}
	midden := func(args ...string) func(t *testing.T, path string, db *sql.DB) {
		return func(t *testing.T, path string, _ *sql.DB) {
			t.Helper()
			call(t, "USE_NEW_ENRICHMENT=true", append([]string{"--db", path}, args...)...).with(0)
		}
	}
	steps["migrate"] = midden("migrate")
	steps["backfill"] = midden("backfill", "run")
	steps["compact"] = midden("compact", "--yes")
	steps["move"] = func(t *testing.T, path string, _ *sql.DB) {
		t.Helper()
		if !killed(t, "delete: before commit", "--db", path, "compact", "--yes") {
			t.Error("nothing was moved")
		}
	}
	steps["load half"] = midden("load", half)
	steps["load"] = midden("load", filepath.Join(dir, "logs"))
	old := func(logs []oldLog) func(t *testing.T, path string, db *sql.DB) {
		return func(t *testing.T, _ string, db *sql.DB) {
			t.Helper()
			for i := range logs {
				for part := range 2 {
					logs[i].load(t, db, part, 2)
				}
			}
			// One of them is loaded again, in full, as a copy under another inode.
			cowrieprocessortest.Load(t, db, "/old"+logs[0].path, logs[0].lines, cowrieprocessor.LoadOptions{Inode: "copied"})
		}
	}
	steps["old"] = old(logs)
	first := slices.IndexFunc(logs, func(l oldLog) bool { return filepath.Dir(l.path) != half })
	steps["old half"] = old(logs[:first])
	steps["old other half"] = old(logs[first:])
	// Loading the logs adds nothing any more.
	again := func(logs string) func(t *testing.T, path string, db *sql.DB) {
		return func(t *testing.T, path string, _ *sql.DB) {
			t.Helper()
			var sum struct{ Events, Duplicates, Sightings, Sessions, Files int64 }
			decode(t, call(t, "USE_NEW_ENRICHMENT=true", "--db", path, "load", "-o", "json", logs).with(0).out, &sum)
			if sum.Duplicates == 0 || sum.Events != 0 || sum.Sightings != 0 || sum.Sessions != 0 || sum.Files != 0 {
				t.Errorf("loading the logs again: %+v", sum)
			}
		}
	}
	steps["load again"], steps["load half again"] = again(filepath.Join(dir, "logs")), again(half)
	for name, order := range map[string]string{
		"afterwards":   "old, migrate, backfill, compact, load again",
		"before":       "old, migrate, load again, backfill, compact",
		"native first": "migrate, load half, old, backfill, compact, load again",
		"moved":        "old half, migrate, backfill, move, load half again, old other half, backfill, compact, load again",
		"twice":        "old half, migrate, backfill, compact, old other half, old half, backfill, load, compact",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path, db := cowrieprocessortest.Create(t, cowrieprocessor.Latest)
			for step := range strings.SplitSeq(order, ", ") {
				steps[step](t, path, db)
			}
			same(t, want, dumpOf(canonical(t, path), comparable...))
			db.Close()
			well(t, path)
		})
	}
}
