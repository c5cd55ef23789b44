package sqlite_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"midden/internal/store/migrate"
	"midden/internal/store/sqlite"
	"midden/internal/synth/cowrieprocessor"
	"midden/internal/synth/cowrieprocessor/cowrieprocessortest"
)

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
		if v := rowsOf(t, cowrieprocessortest.Open(t, path), `SELECT value FROM schema_state WHERE "key" = 'schema_version'`); !slices.Equal(v, []string{"string 1"}) {
			t.Errorf("after %v the version is %v", begun, v)
		}
	}
	want := []string{"journal", "version 2", "version 3", "index of version 2", "old files table", "tables of version 4", "old verdicts", "version"}
	if diff := cmp.Diff(want, begun); diff != "" {
		t.Error(diff)
	}
	if got := rowsOf(t, cowrieprocessortest.Open(t, path), `SELECT malicious, total FROM file_verdicts`); !slices.Equal(got, []string{"int64 3 | int64 60"}) {
		t.Errorf("verdicts: %v", got)
	}
	if events, sum := use(t, path, logLines()...); events != 0 || sum.Sightings == 0 {
		t.Errorf("%d events are new, %+v", events, sum)
	}
}

// wayBack is what docs/migrating.md says.
func wayBack(t *testing.T) string {
	t.Helper()
	doc, err := os.ReadFile("../../../docs/migrating.md")
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(doc), "**The way back**")
	_, after, _ = strings.Cut(after, "```sql\n")
	statements, _, found := strings.Cut(after, "```")
	if !found {
		t.Fatal("docs/migrating.md tells no way back")
	}
	return statements
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
			run(t, db, strings.Replace(wayBack(t), "'3'", fmt.Sprintf("'%d'", version), 1), `ALTER TABLE files_cowrieprocessor RENAME TO files`)
			if diff := cmp.Diff(before, rowsOf(t, db, `SELECT * FROM files`)); diff != "" {
				t.Errorf("the old files: %s", diff)
			}
			loadOld(t, db, lines[:50])
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
