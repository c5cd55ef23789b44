package sqlite_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"midden/internal/backfill"
	"midden/internal/ingest"
	"midden/internal/store"
	"midden/internal/store/migrate"
	"midden/internal/store/sqlite"
	"midden/internal/synth"
	"midden/internal/synth/cowrieprocessor"
)

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

// logLines are the lines of a made-up log.
var logLines = sync.OnceValue(func() [][]byte {
	var buf bytes.Buffer
	o := synth.Options{Seed: 9, Events: 100, Sensors: 1, Span: time.Hour, FileShare: 0.3}
	if _, err := o.Generate(context.Background(), &buf, 0); err != nil {
		panic(err)
	}
	return bytes.Split(bytes.TrimSpace(buf.Bytes()), []byte("\n"))
})

func connect(t *testing.T, path string, pragmas ...string) *sql.DB {
	t.Helper()
	name := path + "?_pragma=busy_timeout(10000)&_pragma=synchronous(0)"
	for _, p := range pragmas {
		name += "&_pragma=" + p
	}
	db, err := sql.Open("sqlite", name)
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	t.Cleanup(func() { db.Close() })
	return db
}

// old makes a database of cowrieprocessor. The connection to it stays open, as
// the program's would.
func old(t *testing.T, version int, lines [][]byte, pragmas ...string) (path string, db *sql.DB) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "old.sqlite")
	db = connect(t, path, pragmas...)
	if err := cowrieprocessor.Create(t.Context(), db, version); err != nil {
		t.Fatal(err)
	}
	loadOld(t, db, "/log/cowrie.json", lines)
	return path, db
}

func loadOld(t *testing.T, db *sql.DB, source string, lines [][]byte) {
	t.Helper()
	if lines == nil {
		return
	}
	if err := cowrieprocessor.Load(t.Context(), db, source, lines, cowrieprocessor.LoadOptions{Inode: "1", Delta: true}); err != nil {
		t.Fatal(err)
	}
}

func run(t *testing.T, db *sql.DB, statements ...string) {
	t.Helper()
	for _, st := range statements {
		if _, err := db.ExecContext(t.Context(), st); err != nil {
			t.Fatalf("%s: %v", st, err)
		}
	}
}

// rowsOf returns the rows of a query, their values quoted as SQL.
func rowsOf(t *testing.T, db *sql.DB, query string, args ...any) (list []string) {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), query, args...)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	for rows.Next() {
		values, into := make([]any, len(columns)), make([]any, len(columns))
		for i := range values {
			into[i] = &values[i]
		}
		if err := rows.Scan(into...); err != nil {
			t.Fatal(err)
		}
		text := make([]string, len(values))
		for i, v := range values {
			text[i] = fmt.Sprintf("%T %v", v, v)
		}
		list = append(list, strings.Join(text, " | "))
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return list
}

// schema is what tables, indexes and triggers there are.
func schema(t *testing.T, db *sql.DB) []string {
	t.Helper()
	return rowsOf(t, db, `SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name`)
}

// upgrade upgrades and returns the names of the steps.
func upgrade(t *testing.T, path string) (steps []string) {
	t.Helper()
	steps, err := tryUpgrade(t, path)
	if err != nil {
		t.Fatal(err)
	}
	return steps
}

func tryUpgrade(t *testing.T, path string) (steps []string, err error) {
	t.Helper()
	var plan *migrate.Plan
	err = sqlite.Upgrade(t.Context(), path, func(p *migrate.Plan) error {
		plan = p
		return nil
	}, func(i int) { steps = append(steps, plan.Steps[i].Name) })
	return steps, err
}

// use opens a database that was taken over, loads what it has, and something
// new, and backfills it. It returns how many events were new.
func use(t *testing.T, path string, lines ...[]byte) (events int64, sum backfill.Summary) {
	t.Helper()
	s, err := open(t, path, false)
	if err != nil {
		t.Fatal(err)
	}
	log := filepath.Join(t.TempDir(), "cowrie.json")
	if err := os.WriteFile(log, append(bytes.Join(lines, []byte("\n")), '\n'), 0o600); err != nil {
		t.Fatal(err)
	}
	loaded, err := ingest.Load(t.Context(), s, []string{log}, ingest.Options{Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	sum, err = backfill.Run(t.Context(), s, backfill.Options{Pace: backfill.Pace{Full: true}, Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	snapshot, err := s.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer snapshot.Close()
	if _, err := backfill.Verify(t.Context(), snapshot, backfill.VerifyOptions{}, func(g backfill.Gap) error {
		t.Errorf("a gap: %+v", g)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return loaded.Events, sum
}

func TestUpgrade(t *testing.T) {
	t.Parallel()
	const tables = "tables of version 4"
	for _, c := range []struct {
		version int
		steps   []string
	}{
		{1, []string{"version 2", "version 3", "index of version 2", tables, "version"}},
		{2, []string{"version 3", tables, "version"}},
		{3, []string{tables, "redundant index", "version"}},
	} {
		for _, form := range []struct {
			data    bool
			journal string
			page    int
		}{{true, "wal", 4096}, {true, "delete", 1024}, {false, "delete", 1024}} {
			t.Run(fmt.Sprintf("version %d, data %v, %s, %d", c.version, form.data, form.journal, form.page), func(t *testing.T) {
				t.Parallel()
				lines := logLines()
				half := lines[:len(lines)/2]
				if !form.data {
					half = nil
				}
				path, db := old(t, c.version, half, fmt.Sprintf("page_size(%d)", form.page))
				run(t, db, `PRAGMA journal_mode = `+form.journal)
				raw := rowsOf(t, db, `SELECT id, ingest_id, source, source_offset, source_inode, payload, payload_hash, quarantined, session_id, event_type, event_timestamp FROM raw_events ORDER BY id`)
				if got := rowsOf(t, db, `PRAGMA page_size`)[0]; got != fmt.Sprint("int64 ", form.page) || (len(raw) > 0) != form.data {
					t.Fatalf("it has pages of %s and %d rows", got, len(raw))
				}
				db.Close()

				want := c.steps
				if form.journal != "wal" {
					want = append([]string{"journal"}, want...)
				}
				if diff := cmp.Diff(want, upgrade(t, path)); diff != "" {
					t.Error(diff)
				}
				db = connect(t, path)
				if diff := cmp.Diff([]string{"string 4"}, rowsOf(t, db, `SELECT value FROM schema_state WHERE "key" = 'schema_version'`)); diff != "" {
					t.Errorf("version: %s", diff)
				}
				if diff := cmp.Diff([]string{fmt.Sprint("string ", c.version)}, rowsOf(t, db, `SELECT value FROM schema_state WHERE "key" = 'taken_over_from'`)); diff != "" {
					t.Errorf("taken over from: %s", diff)
				}
				if diff := cmp.Diff([]string{"string ok"}, rowsOf(t, db, `PRAGMA integrity_check`)); diff != "" {
					t.Errorf("integrity: %s", diff)
				}
				if diff := cmp.Diff(raw, rowsOf(t, db, `SELECT id, ingest_id, source, source_offset, source_inode, payload, payload_hash, quarantined, session_id, event_type, event_timestamp FROM raw_events ORDER BY id`)); diff != "" {
					t.Errorf("raw events: %.1000s", diff)
				}
				// The old program's inserts name four columns as what conflicts.
				uniques := rowsOf(t, db, `SELECT DISTINCT (SELECT group_concat(name) FROM (SELECT name FROM pragma_index_info(l.name) ORDER BY seqno))
					FROM pragma_index_list('raw_events') l WHERE "unique" ORDER BY 1`)
				if !slices.Contains(uniques, "string source,source_inode,source_generation,source_offset") {
					t.Errorf("unique are %q only", uniques)
				}
				// Twice.
				before := schema(t, db)
				if steps := upgrade(t, path); steps != nil {
					t.Errorf("again: %v", steps)
				}
				if diff := cmp.Diff(before, schema(t, db)); diff != "" {
					t.Errorf("again: %s", diff)
				}
				// The old program goes on, and midden knows what it has loaded.
				loadOld(t, db, "/log/cowrie.json", lines[:len(lines)/2+20])
				known := len(rowsOf(t, db, `SELECT id FROM raw_events`))
				if known != len(lines)/2+20 {
					t.Errorf("the old program has %d events, of %d", known, len(lines)/2+20)
				}
				events, sum := use(t, path, lines...)
				if events != int64(len(lines)-known) || sum.Rows == 0 || sum.Sightings == 0 {
					t.Errorf("%d events are new, of %d but %d; %+v", events, len(lines), known, sum)
				}
				loadOld(t, db, "/log/cowrie.json", lines)
			})
		}
	}
}

// TestNewAndUpgradedAlike: an upgraded database has every table, column and index
// that a new one has.
func TestNewAndUpgradedAlike(t *testing.T) {
	t.Parallel()
	fresh := filepath.Join(t.TempDir(), "new.db")
	if _, err := open(t, fresh, true); err != nil {
		t.Fatal(err)
	}
	const columns = `SELECT m.name, x.name, x.type FROM sqlite_schema m, pragma_table_xinfo(m.name) x WHERE m.type = 'table' ORDER BY 1, 2`
	want := rowsOf(t, connect(t, fresh), columns)
	for version := 1; version <= 3; version++ {
		path, db := old(t, version, nil)
		db.Close()
		upgrade(t, path)
		got := rowsOf(t, connect(t, path), columns)
		for _, column := range want {
			name, _, _ := strings.Cut(column, " | ")
			// Tables of the old program's keep its types.
			if !slices.ContainsFunc(got, func(g string) bool {
				return g == column || (name == "string session_summaries" || name == "string schema_state" || name == "string command_stats") && strings.HasPrefix(g, column[:strings.LastIndex(column, " | ")])
			}) {
				t.Errorf("version %d: there is no %s", version, column)
			}
		}
	}
}

// untouched upgrades in vain, and looks that the file is as it was.
func untouched(t *testing.T, path string) error {
	t.Helper()
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	_, planned := sqlite.Plan(t.Context(), path)
	steps, err := tryUpgrade(t, path)
	if err == nil {
		t.Errorf("it was upgraded by %v", steps)
	}
	if steps != nil {
		t.Errorf("%v was begun", steps)
	}
	if fmt.Sprint(planned) != fmt.Sprint(err) {
		t.Errorf("a plan says %v, the upgrade %v", planned, err)
	}
	after, readErr := os.ReadFile(path)
	if readErr != nil {
		t.Fatal(readErr)
	}
	if !bytes.Equal(before, after) {
		t.Error("the file was changed")
	}
	entries, readErr := os.ReadDir(filepath.Dir(path))
	if readErr != nil {
		t.Fatal(readErr)
	}
	for _, e := range entries {
		if name := e.Name(); name != filepath.Base(path) && !strings.HasSuffix(name, "-shm") && !strings.HasSuffix(name, "-wal") {
			t.Errorf("%s was left", name)
		}
	}
	return err
}

func TestUpgradeRefuses(t *testing.T) {
	t.Parallel()
	version := func(v string) func(t *testing.T) string {
		return func(t *testing.T) string {
			path, db := old(t, 3, logLines()[:20])
			run(t, db, `UPDATE schema_state SET value = '`+v+`' WHERE "key" = 'schema_version'`)
			db.Close()
			return path
		}
	}
	without := func(statements ...string) func(t *testing.T) string {
		return func(t *testing.T) string {
			path, db := old(t, 3, logLines()[:20])
			run(t, db, statements...)
			db.Close()
			return path
		}
	}
	file := func(content string) func(t *testing.T) string {
		return func(t *testing.T) string {
			path := filepath.Join(t.TempDir(), "x.sqlite")
			if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			return path
		}
	}
	for _, c := range []struct {
		name    string
		make    func(t *testing.T) string
		version int // of the *store.SchemaError
		says    string
	}{
		{"version 5", version("5"), 5, "use a newer midden"},
		{"version 17", version("17"), 17, "use a newer midden"},
		{"version 0", version("0"), -1, "not a database of"},
		{"version -1", version("-1"), -1, "not a database of"},
		{"version -3", version("-3"), -1, "not a database of"},
		{"version three", version("three"), -1, "three"},
		{"version 3.5", version("3.5"), -1, "3.5"},
		{"no version", without(`DELETE FROM schema_state`), -1, "not a database of"},
		{"no schema_state", without(`DROP TABLE schema_state`), -1, "not a database of"},
		{"no raw_events", without(`DROP TABLE raw_events`), -1, "no table raw_events"},
		{"no session_summaries", without(`DROP TABLE session_summaries`), -1, "no table session_summaries"},
		{"no command_stats", without(`DROP TABLE command_stats`), -1, "no table command_stats"},
		{"no ingest_cursors", without(`DROP TABLE ingest_cursors`), -1, "no table ingest_cursors"},
		{"no dead_letter_events", without(`DROP TABLE dead_letter_events`), -1, "no table dead_letter_events"},
		{"a text", file(strings.Repeat("a text\n", 1000)), -1, "not a database of"},
		{"an empty file", file(""), -1, "not a database of"},
		{"foreign sources", without(`CREATE TABLE sources (a)`), -1, "a table sources"},
		{"foreign log_files", without(`CREATE TABLE log_files (a)`), -1, "a table log_files"},
		{"foreign event_segments", without(`CREATE TABLE event_segments (a)`), -1, "a table event_segments"},
		{"foreign sessionless_events", without(`CREATE TABLE sessionless_events (a)`), -1, "a table sessionless_events"},
		{"foreign file_sightings", without(`CREATE TABLE file_sightings (a)`), -1, "a table file_sightings"},
		{"foreign file_verdicts", without(`CREATE TABLE file_verdicts (a)`), -1, "a table file_verdicts"},
		{"foreign maintenance", without(`CREATE TABLE maintenance (a)`), -1, "a table maintenance"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			err := untouched(t, c.make(t))
			var wrong *store.SchemaError
			if !errors.As(err, &wrong) || wrong.Version != c.version || wrong.Latest != migrate.Latest {
				t.Errorf("got %#v", err)
			}
			if !strings.Contains(fmt.Sprint(err), c.says) {
				t.Errorf("%v does not say %q", err, c.says)
			}
		})
	}
	t.Run("a file that is cut off", func(t *testing.T) {
		t.Parallel()
		path := without()(t)
		if err := os.Truncate(path, 5000); err != nil {
			t.Fatal(err)
		}
		untouched(t, path)
	})
	t.Run("two old tables of files", func(t *testing.T) {
		t.Parallel()
		path, db := old(t, 3, nil)
		if err := cowrieprocessor.CreateFiles(t.Context(), db, "later"); err != nil {
			t.Fatal(err)
		}
		run(t, db, `CREATE TABLE files_cowrieprocessor (hash)`)
		db.Close()
		if err := untouched(t, path); !strings.Contains(fmt.Sprint(err), "two old tables of files") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("nothing", func(t *testing.T) {
		t.Parallel()
		for _, path := range []string{filepath.Join(t.TempDir(), "none"), t.TempDir()} {
			if _, err := tryUpgrade(t, path); err == nil {
				t.Errorf("%s was upgraded", path)
			}
			if _, err := sqlite.Plan(t.Context(), path); err == nil {
				t.Errorf("there is a plan for %s", path)
			}
		}
	})
}

// TestPlanChangesNothing: whatever is to be done, looking does none of it.
func TestPlanChangesNothing(t *testing.T) {
	t.Parallel()
	for version := 1; version <= 3; version++ {
		for _, journal := range []string{"wal", "delete"} {
			path, db := old(t, version, logLines())
			if err := cowrieprocessor.CreateFiles(t.Context(), db, "oldest"); err != nil {
				t.Fatal(err)
			}
			run(t, db, `DROP INDEX ix_raw_events_session_id`, `PRAGMA journal_mode = `+journal)
			db.Close()
			before, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			p, err := sqlite.Plan(t.Context(), path)
			if err != nil {
				t.Fatal(err)
			}
			after, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(before, after) {
				t.Errorf("version %d, %s: looking changed the file", version, journal)
			}
			f := p.Found
			if f.Version != version || f.Journal != journal || f.Bytes != int64(len(before)) || f.RawEvents != int64(len(logLines())) ||
				f.FileEvents <= 0 || f.Sessions == 0 || f.OldFiles != "of the oldest scripts" || f.OldFileRows != 0 || f.PageSize != 4096 {
				t.Errorf("found %+v", f)
			}
			for _, s := range p.Steps {
				if s.Name == "" || s.What == "" || s.Disk < 0 || s.Seconds < 0 {
					t.Errorf("a step %+v", s)
				}
			}
			// And an upgrade that the user does not want after all.
			stop := errors.New("no, thanks")
			if err := sqlite.Upgrade(t.Context(), path, func(*migrate.Plan) error { return stop }, func(int) { t.Error("a step was begun") }); !errors.Is(err, stop) {
				t.Errorf("got %v", err)
			}
			if after, err := os.ReadFile(path); err != nil || !bytes.Equal(before, after) {
				t.Errorf("version %d, %s: it was changed (%v)", version, journal, err)
			}
		}
	}
}

// TestStepFails plants something that makes a step fail, takes it away, and goes on.
func TestStepFails(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		step        string // that fails
		version     int
		plant, undo []string
	}{
		{"tables of version 4", 3, []string{`CREATE INDEX ix_file_sightings_shasum ON raw_events (ingest_id)`}, []string{`DROP INDEX ix_file_sightings_shasum`}},
		{"tables of version 4", 3, []string{`CREATE INDEX ix_files_last_seen ON raw_events (ingest_id)`}, []string{`DROP INDEX ix_files_last_seen`}},
		{"tables of version 4", 2, []string{`CREATE VIEW log_files AS SELECT 1`}, []string{`DROP VIEW log_files`}},
		{"tables of version 4", 1, []string{`CREATE VIEW maintenance AS SELECT 1`}, []string{`DROP VIEW maintenance`}},
		{"index of version 2", 1, []string{`CREATE VIEW uq_raw_events_source_gen AS SELECT 1`}, []string{`DROP VIEW uq_raw_events_source_gen`}},
		{"version", 3, []string{`CREATE TRIGGER no BEFORE UPDATE ON schema_state BEGIN SELECT RAISE(ABORT, 'not today'); END`}, []string{`DROP TRIGGER no`}},
		{"old files table", 3, []string{`CREATE VIEW files AS SELECT 1 AS a`}, []string{`DROP VIEW files`}},
	} {
		t.Run(c.step+" "+c.plant[0], func(t *testing.T) {
			t.Parallel()
			path, db := old(t, c.version, logLines())
			run(t, db, c.plant...)
			steps, err := tryUpgrade(t, path)
			if err == nil || !strings.HasPrefix(err.Error(), c.step+": ") || len(steps) == 0 || steps[len(steps)-1] != c.step {
				t.Errorf("%v failed by %v", steps, err)
			}
			if v := rowsOf(t, db, `SELECT value FROM schema_state WHERE "key" = 'schema_version'`); !slices.Equal(v, []string{fmt.Sprint("string ", c.version)}) {
				t.Errorf("the version is %v", v)
			}
			if _, err := open(t, path, false); err == nil {
				t.Error("it can be opened half-way")
			}
			run(t, db, c.undo...)
			more := upgrade(t, path)
			for _, s := range steps[:len(steps)-1] {
				if slices.Contains(more, s) && s != "old verdicts" {
					t.Errorf("%s was done again", s)
				}
			}
			if events, sum := use(t, path, logLines()...); events != 0 || sum.Sightings == 0 {
				t.Errorf("%d events are new, %+v", events, sum)
			}
		})
	}
}

// TestUpgradeStopped ends the context before each step.
func TestUpgradeStopped(t *testing.T) {
	t.Parallel()
	path, db := old(t, 1, logLines())
	if err := cowrieprocessor.CreateFiles(t.Context(), db, "later"); err != nil {
		t.Fatal(err)
	}
	run(t, db, `PRAGMA journal_mode = delete`, `INSERT INTO files (session_id, shasum, vt_positives, vt_total) VALUES ('s', '`+strings.Repeat("ab", 32)+`', 3, 60)`)
	db.Close()
	var begun []string
	for {
		ctx, cancel := context.WithCancel(t.Context())
		var plan *migrate.Plan
		n := 0
		err := sqlite.Upgrade(ctx, path, func(p *migrate.Plan) error {
			plan = p
			return nil
		}, func(i int) {
			if n++; n == 2 && plan.Steps[i].Name != "version" {
				cancel() // within the second step; old verdicts are noted every time
				return
			}
			begun = append(begun, plan.Steps[i].Name)
		})
		cancel()
		if err == nil {
			break
		}
		if !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		if v := rowsOf(t, connect(t, path), `SELECT value FROM schema_state WHERE "key" = 'schema_version'`); !slices.Equal(v, []string{"string 1"}) {
			t.Errorf("after %v the version is %v", begun, v)
		}
	}
	want := []string{"journal", "version 2", "version 3", "index of version 2", "old files table", "tables of version 4", "old verdicts", "version"}
	if diff := cmp.Diff(want, begun); diff != "" {
		t.Error(diff)
	}
	if got := rowsOf(t, connect(t, path), `SELECT malicious, total FROM file_verdicts`); !slices.Equal(got, []string{"int64 3 | int64 60"}) {
		t.Errorf("verdicts: %v", got)
	}
	if events, sum := use(t, path, logLines()...); events != 0 || sum.Sightings == 0 {
		t.Errorf("%d events are new, %+v", events, sum)
	}
}

// TestWayBack goes back from version 4 as docs/migrating.md says, and takes the
// database over again.
func TestWayBack(t *testing.T) {
	t.Parallel()
	for version := 2; version <= 3; version++ {
		lines := logLines()
		path, db := old(t, version, lines[:50])
		if err := cowrieprocessor.CreateFiles(t.Context(), db, "later"); err != nil {
			t.Fatal(err)
		}
		run(t, db, `INSERT INTO files (session_id, shasum, vt_positives, vt_total) VALUES ('s', '`+strings.Repeat("ab", 32)+`', 3, 60)`)
		for _, payload := range []string{"garbage", "[1]"} {
			if _, err := cowrieprocessor.AddRaw(t.Context(), db, payload); err != nil {
				t.Fatal(err)
			}
		}
		before := rowsOf(t, db, `SELECT * FROM files`)
		upgrade(t, path)
		_, first := use(t, path, lines[:50]...)
		for range 2 {
			for _, table := range []string{"files", "file_sightings", "file_verdicts", "event_segments", "sources", "log_files", "sessionless_events", "maintenance",
				"depots", "depot_entries", "lookups", "quota", "quota_limits", "quota_requests", "sensor_days", "login_stats", "report_days"} {
				run(t, db, `DROP TABLE `+table)
			}
			run(t, db, fmt.Sprintf(`UPDATE schema_state SET value = '%d' WHERE key = 'schema_version'`, version),
				`DELETE FROM schema_state WHERE key IN ('taken_over_from', 'verdicts_in_shadow')`, `ALTER TABLE files_cowrieprocessor RENAME TO files`)
			if diff := cmp.Diff(before, rowsOf(t, db, `SELECT * FROM files`)); diff != "" {
				t.Errorf("the old files: %s", diff)
			}
			loadOld(t, db, "/log/cowrie.json", lines[:50])
			upgrade(t, path)
			first.Elapsed = 0
			events, again := use(t, path, lines[:50]...)
			again.Elapsed = 0
			if diff := cmp.Diff(first, again); diff != "" || events != 0 || again.Broken != 2 || again.Sightings == 0 {
				t.Errorf("again %d events are new: %s", events, diff)
			}
			if n := rowsOf(t, db, `SELECT count(*) FROM file_verdicts WHERE source = 'cowrieprocessor.files'`)[0]; n != "int64 1" {
				t.Errorf("%s verdicts of the old table", n)
			}
		}
	}
}

// TestLostIndexes takes over databases that have lost their indexes.
func TestLostIndexes(t *testing.T) {
	t.Parallel()
	garbage := []any{"no JSON", "", 5, []byte{0xff, 0x00, 0x01}, "[1", "{\"a\x00\":1}", `{"eventid": "cowrie.session.file_download", "session": 7}`, `{"session": {"a": 1}}`, strings.Repeat("[", 2000)}
	for _, c := range []struct {
		name    string
		drop    []string
		garbage bool
		steps   []string
	}{
		{"session_id", []string{"ix_raw_events_session_id"}, false, []string{"index of sessions"}},
		{"session_id, with garbage", []string{"ix_raw_events_session_id"}, true, []string{"index of sessions"}},
		{"event_type", []string{"ix_raw_events_event_type"}, false, nil},
		{"event_type, with garbage", []string{"ix_raw_events_event_type"}, true, nil},
		{"event_timestamp, with garbage", []string{"ix_raw_events_event_timestamp"}, true, nil},
		{"all", []string{"ix_raw_events_session_id", "ix_raw_events_event_type", "ix_raw_events_event_timestamp"}, false, []string{"index of sessions"}},
		{"all, with garbage", []string{"ix_raw_events_session_id", "ix_raw_events_event_type", "ix_raw_events_event_timestamp"}, true, []string{"index of sessions"}},
		{"none, with garbage", nil, true, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			lines := logLines()
			path, db := old(t, 3, lines)
			if c.garbage {
				for _, payload := range garbage {
					if _, err := cowrieprocessor.AddRaw(t.Context(), db, payload); err != nil {
						t.Fatal(err)
					}
				}
			}
			for _, index := range c.drop {
				run(t, db, `DROP INDEX `+index)
			}
			db.Close()
			want := append(slices.Clone(c.steps), "tables of version 4", "redundant index", "version")
			if diff := cmp.Diff(want, upgrade(t, path)); diff != "" {
				t.Error(diff)
			}
			p, err := sqlite.Plan(t.Context(), path)
			if err != nil || len(p.Steps) > 0 {
				t.Errorf("again: %+v, %v", p, err)
			}
			// What is known is known; new are an event of a session that is known, one
			// of another session, and two of none, with and without a time.
			fresh := [][]byte{
				bytes.Replace(lines[10], []byte(`"timestamp":"2026-01-01T0`), []byte(`"timestamp":"2026-01-01T2`), 1),
				[]byte(`{"eventid":"cowrie.session.connect","session":"new","timestamp":"2026-01-01T00:00:00Z"}`),
				[]byte(`{"eventid":"cowrie.log.closed","timestamp":"2026-01-01T00:00:00Z"}`),
				[]byte(`{"eventid":"cowrie.log.closed"}`),
			}
			if bytes.Equal(fresh[0], lines[10]) {
				t.Fatalf("no other event: %s", lines[10])
			}
			events, sum := use(t, path, append(slices.Clone(lines), fresh...)...)
			if events != int64(len(fresh)) || sum.Sightings == 0 {
				t.Errorf("%d events are new, want %d; %+v", events, len(fresh), sum)
			}
			if c.garbage && sum.Broken != 7 {
				t.Errorf("%d are broken, of 7", sum.Broken)
			}
			if events, _ := use(t, path, append(slices.Clone(fresh), lines...)...); events != 0 {
				t.Errorf("again %d events are new", events)
			}
		})
	}
}

// TestRedundantIndex: one of two indexes that say the same is dropped, and none
// that is needed.
func TestRedundantIndex(t *testing.T) {
	t.Parallel()
	const name = "uq_raw_events_source_gen"
	for _, c := range []struct {
		version int
		change  []string
		dropped bool
		there   bool // afterwards
	}{
		{1, nil, false, true},
		{2, nil, false, true},
		{3, nil, true, false},
		{3, []string{`DROP INDEX ` + name}, false, false},
		{3, []string{`DROP INDEX ` + name, `CREATE UNIQUE INDEX ` + name + ` ON raw_events (source, source_inode, source_offset)`}, true, false},
		{3, []string{`DROP INDEX ` + name, `CREATE UNIQUE INDEX twin ON raw_events (source, source_inode, source_generation, source_offset)`}, false, false},
	} {
		path, db := old(t, c.version, logLines()[:30])
		run(t, db, c.change...)
		steps := upgrade(t, path)
		if got := slices.Contains(steps, "redundant index"); got != c.dropped {
			t.Errorf("version %d, %v: the steps are %v", c.version, c.change, steps)
		}
		if there := len(rowsOf(t, db, `SELECT 1 FROM sqlite_schema WHERE name = ?`, name)) > 0; there != c.there {
			t.Errorf("version %d, %v: the index is there: %v", c.version, c.change, there)
		}
		loadOld(t, db, "/log/cowrie.json", logLines()[:60]) // it names the four columns
		if n := len(rowsOf(t, db, `SELECT 1 FROM raw_events`)); n != 60 {
			t.Errorf("version %d, %v: the old program has %d events, of 60", c.version, c.change, n)
		}
	}
}

// TestVersion3From1 has a version 3 that began as version 1: its unique constraint
// is another, so that the index is needed.
func TestVersion3From1(t *testing.T) {
	t.Parallel()
	path, db := old(t, 1, logLines()[:30])
	if err := cowrieprocessor.Upgrade(t.Context(), db, 3); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"tables of version 4", "version"}, upgrade(t, path)); diff != "" {
		t.Error(diff)
	}
	loadOld(t, db, "/log/cowrie.json", logLines()[:60])
}

func TestUpgradeHeld(t *testing.T) {
	t.Parallel()
	path, db := old(t, 3, logLines()[:10])
	db.Close()
	entered, leave := make(chan struct{}), make(chan struct{})
	first := make(chan error)
	go func() {
		first <- sqlite.Upgrade(t.Context(), path, func(*migrate.Plan) error {
			close(entered)
			<-leave
			return nil
		}, func(int) {})
	}()
	<-entered
	_, err := tryUpgrade(t, path)
	var held *store.HeldError
	if !errors.As(err, &held) || !errors.Is(err, store.ErrLocked) || !strings.Contains(held.By, fmt.Sprintf("midden migrate, process %d ", os.Getpid())) {
		t.Errorf("the second one got %v", err)
	}
	if _, err := sqlite.Plan(t.Context(), path); err != nil {
		t.Errorf("a plan is nobody's business: %v", err)
	}
	close(leave)
	if err := <-first; err != nil {
		t.Error(err)
	}
	if steps := upgrade(t, path); steps != nil {
		t.Errorf("afterwards: %v", steps)
	}
	if left, err := filepath.Glob(path + "-maintenance"); err != nil || left != nil {
		t.Errorf("%v is left (%v)", left, err)
	}
}

// TestUpgradeAtOnce has several goroutines and processes upgrade at once: one
// does, the others say that they are held off or find it done.
func TestUpgradeAtOnce(t *testing.T) {
	t.Parallel()
	path, db := old(t, 1, logLines())
	run(t, db, `PRAGMA journal_mode = delete`)
	db.Close()
	var wg sync.WaitGroup
	var mu sync.Mutex
	worked := 0
	for range 4 {
		wg.Go(func() {
			steps := 0
			err := sqlite.Upgrade(t.Context(), path, func(*migrate.Plan) error { return nil }, func(int) { steps++ })
			mu.Lock()
			defer mu.Unlock()
			var held *store.HeldError
			switch {
			case err == nil && steps > 0:
				worked++
			case err != nil && !errors.As(err, &held):
				t.Error(err)
			}
		})
	}
	for range 2 {
		wg.Go(func() {
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestUpgradeHelper$", "-test.v")
			cmd.Env = append(os.Environ(), "MIDDEN_TEST_UPGRADE="+path)
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Errorf("%v: %s", err, out)
			}
			mu.Lock()
			defer mu.Unlock()
			if bytes.Contains(out, []byte("upgraded by 5 steps")) || bytes.Contains(out, []byte("upgraded by 6 steps")) {
				worked++
			}
		})
	}
	wg.Wait()
	if worked != 1 {
		t.Errorf("%d of them did it", worked)
	}
	if events, _ := use(t, path, logLines()...); events != 0 {
		t.Errorf("%d events are new", events)
	}
}

// TestUpgradeHelper is a process of TestUpgradeAtOnce.
func TestUpgradeHelper(t *testing.T) {
	path := os.Getenv("MIDDEN_TEST_UPGRADE")
	if path == "" {
		t.Skip("it is run by TestUpgradeAtOnce")
	}
	steps, err := tryUpgrade(t, path)
	var held *store.HeldError
	if err != nil && !errors.As(err, &held) {
		t.Fatal(err)
	}
	t.Logf("upgraded by %d steps", len(steps))
}

func TestHoldOfStore(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "m.db")
	a, err := open(t, path, true)
	if err != nil {
		t.Fatal(err)
	}
	b, err := open(t, path, false)
	if err != nil {
		t.Fatal(err)
	}
	release, err := a.Hold("backfill run")
	if err != nil {
		t.Fatal(err)
	}
	var held *store.HeldError
	if _, err := b.Hold("compact"); !errors.As(err, &held) || !strings.Contains(err.Error(), "midden backfill run, process") {
		t.Errorf("got %v", err)
	}
	if _, err := a.Hold("compact"); !errors.As(err, &held) { // nor can the same one have it twice
		t.Errorf("got %v", err)
	}
	release()
	again, err := b.Hold("compact")
	if err != nil {
		t.Fatal(err)
	}
	again()
	// Many at once: never two have it.
	var wg sync.WaitGroup
	var inside, most, times int
	var mu sync.Mutex
	for i := range 4 {
		s := a
		if i%2 == 1 {
			s = b
		}
		wg.Go(func() {
			for range 15 {
				release, err := s.Hold("test")
				if err != nil {
					if !errors.Is(err, store.ErrLocked) {
						t.Error(err)
					}
					continue
				}
				mu.Lock()
				inside++
				times++
				most = max(most, inside)
				mu.Unlock()
				mu.Lock()
				inside--
				mu.Unlock()
				release()
			}
		})
	}
	wg.Wait()
	if most != 1 || times == 0 {
		t.Errorf("%d had it at once, %d times in all", most, times)
	}
}
