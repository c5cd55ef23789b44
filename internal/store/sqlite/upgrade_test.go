package sqlite_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"midden/internal/store"
	"midden/internal/store/migrate"
	"midden/internal/store/sqlite"
	"midden/internal/synth/cowrieprocessor"
	"midden/internal/synth/cowrieprocessor/cowrieprocessortest"
)

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
				db = cowrieprocessortest.Open(t, path)
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
				loadOld(t, db, lines[:len(lines)/2+20])
				known := len(rowsOf(t, db, `SELECT id FROM raw_events`))
				if known != len(lines)/2+20 {
					t.Errorf("the old program has %d events, of %d", known, len(lines)/2+20)
				}
				events, sum := use(t, path, lines...)
				if events != int64(len(lines)-known) || sum.Rows == 0 || sum.Sightings == 0 {
					t.Errorf("%d events are new, of %d but %d; %+v", events, len(lines), known, sum)
				}
				loadOld(t, db, lines)
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
	want := rowsOf(t, cowrieprocessortest.Open(t, fresh), columns)
	for version := 1; version <= 3; version++ {
		path, db := old(t, version, nil)
		db.Close()
		upgrade(t, path)
		got := rowsOf(t, cowrieprocessortest.Open(t, path), columns)
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
	loadOld(t, db, logLines()[:60])
}
