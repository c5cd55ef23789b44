package copy_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"midden/internal/copy"
	"midden/internal/cowrie"
	"midden/internal/store"
	"midden/internal/store/postgres"
	"midden/internal/store/postgres/pgtest"
	"midden/internal/store/storetest"
)

// TestEveryColumn copies rows that have something in every column, and what is at
// the end of what a type takes.
func TestEveryColumn(t *testing.T) {
	t.Parallel()
	from := storetest.Name(t)
	s := storetest.Open(t, from)
	typed := fill(t, pgtest.Shared(t).Empty(t)) // PostgreSQL says which texts are times
	db := storetest.Connect(t, from)
	// What CHECK allows.
	words := map[string]string{"outbox.kind": "file", "day": "2026-01-02", "kind": "disk", "state": "failed", "period": "month", "enrichment_status": "ignored"}
	for _, table := range store.Tables(false) {
		own, err := s.Columns(t.Context(), table)
		if err != nil {
			t.Fatal(err)
		}
		types, keys := map[string]cowrie.Type{}, map[string]bool{"value": true}
		told, err := typed.Columns(t.Context(), table)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range told {
			types[c.Name] = c.Own
			keys[c.Name] = keys[c.Name] || c.Key > 0
		}
		for n, text := range odd {
			var names []string
			var values []any
			for _, c := range own {
				if c.Generated {
					continue
				}
				var v any
				switch at := cowrie.Time(int64(n) * 1e15); types[c.Name] {
				case cowrie.Integer:
					if c.Name == "text_size" || c.Name == "checksum" {
						v = int64(n)
						break
					}
					v = []int64{math.MaxInt64, math.MinInt64, 0, int64(n)}[min(n, 3)]
				case cowrie.Number:
					v = []float64{math.MaxFloat64, -math.SmallestNonzeroFloat64, 0.1, float64(n)}[min(n, 3)]
				case cowrie.Truth:
					v = n%2 == 0
				case cowrie.Bytes:
					v = []byte(text)
				case cowrie.Moment:
					if v = at.String(); c.Own == cowrie.Moment {
						v = at.SQL()
					}
				default:
					switch v = text; {
					case words[table+"."+c.Name] != "":
						v = words[table+"."+c.Name]
					case words[c.Name] != "":
						v = words[c.Name]
					case keys[c.Name]: // an index does not take a long one
						v = text[:min(len(text), 50)]
					}
				}
				names, values = append(names, c.Name), append(values, v)
			}
			if table == "event_segments" && postgres.Is(from) {
				names, values = append(names, "month"), append(values, "9999-12-01")
			}
			query := fmt.Sprintf(`INSERT INTO %s (%s) VALUES (?%s)`, table, strings.Join(names, ", "), strings.Repeat(", ?", len(names)-1))
			if _, err := db.Exec(query, values...); err != nil && !strings.Contains(err.Error(), "nique constraint") && !strings.Contains(err.Error(), "UNIQUE constraint") {
				t.Fatalf("%s, row %d: %v", table, n, err)
			}
		}
	}
	for _, to := range targets(t) {
		copied(t, from, to)
		same(t, from, to)
	}
}

// TestOddValues: SQLite holds in a column what is not of its type. What means the
// same is copied, what means nothing is named.
func TestOddValues(t *testing.T) {
	t.Parallel()
	storetest.OnSQLite(t)
	from := storetest.Name(t)
	storetest.Open(t, from)
	db := storetest.Connect(t, from)
	exec := func(statement string) {
		t.Helper()
		if _, err := db.Exec(statement); err != nil {
			t.Fatal(err)
		}
	}
	exec(`INSERT INTO dead_letter_events (reason, payload, source, created_at) VALUES ('a', 17, x'00ff', '2026-01-01 00:00:00'), ('b', '1.5', 'x', '2026-01-01T00:00:00.5Z')`)
	for _, to := range targets(t) {
		copied(t, from, to)
		db := storetest.Connect(t, to)
		got := fmt.Sprint(storetest.Rows(t, db, `SELECT id, payload, source, created_at FROM dead_letter_events ORDER BY id`))
		if want := "[[1 17 \x00\xff 2026-01-01T00:00:00.000000Z] [2 1.5 x 2026-01-01T00:00:00.500000Z]]"; got != want {
			t.Errorf("got %q", got)
		}
	}
	exec(`UPDATE dead_letter_events SET source = 'x'`)
	for _, c := range []struct{ bad, says, good string }{
		{`UPDATE dead_letter_events SET created_at = 'yesterday' WHERE id = 2`, `copy dead_letter_events: dead_letter_events, row "2": created_at is "yesterday", which is no time`,
			`UPDATE dead_letter_events SET created_at = '2026-01-01 00:00:00'`},
		{`UPDATE dead_letter_events SET length = 'long' WHERE id = 1`, `row "1": length is "long", which is no integer`, `UPDATE dead_letter_events SET length = 1`},
		{`UPDATE dead_letter_events SET resolved = 7 WHERE id = 1`, `row "1": resolved is "7", which is no truth`, `UPDATE dead_letter_events SET resolved = 0`},
	} {
		exec(c.bad)
		for _, to := range targets(t) {
			if _, err := try(t.Context(), t, from, to); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%s: %v", c.bad, err)
			}
			exec(c.good)
			copied(t, from, to) // it goes on
			same(t, from, to)
			exec(c.bad)
		}
		exec(c.good)
	}
}

// half copies a part of a database: so many transactions.
func half(t testing.TB, from, to string, transactions int) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	n := 0
	store.Point = func(name string) {
		if name != "copy: before commit" {
			return
		}
		if n++; n > transactions {
			cancel()
		}
	}
	defer func() { store.Point = nil }()
	if _, err := try(ctx, t, from, to); !errors.Is(err, context.Canceled) {
		t.Fatalf("it was not stopped: %v", err)
	}
}

// TestChanged changes the source between two runs: rows that were copied are changed
// or gone, and others are new.
func TestChanged(t *testing.T) {
	defer copy.SetBatch(50_000)()
	base, _ := source(t)
	for _, transactions := range []int{3, 12} {
		for _, to := range targets(t) {
			from := storetest.Copy(t, base)
			half(t, from, to, transactions)
			s := storetest.Open(t, from)
			load(t, s, sensorLogs(t, 2))
			enrich(t, s, 10)
			s.Close()
			db := storetest.Connect(t, from)
			for _, statement := range []string{
				`DELETE FROM command_stats WHERE session_id LIKE '%a%'`,
				`UPDATE sources SET updated_at = '2027-01-01T00:00:00.000000Z'`,
				`UPDATE schema_state SET value = '2' WHERE "key" = 'taken_over_from'`,
			} {
				if res, err := db.Exec(statement); err != nil {
					t.Fatal(err)
				} else if n, _ := res.RowsAffected(); n == 0 {
					t.Errorf("%s changes nothing", statement)
				}
			}
			db.Close()
			copied(t, from, to)
			same(t, from, to)
			db = storetest.Connect(t, to)
			if v := storetest.Rows(t, db, `SELECT value FROM schema_state WHERE "key" = 'schema_version'`); len(v) != 1 {
				t.Error("the version of the tables is gone")
			}
		}
	}
}

// TestRefused: what a copy cannot go into.
func TestRefused(t *testing.T) {
	defer copy.SetBatch(50_000)()
	from, logs := source(t)
	other := storetest.Copy(t, from)
	for _, to := range targets(t) {
		s := fill(t, to)
		// A job alone is something, too.
		for _, statement := range []string{`INSERT INTO maintenance (job, state) VALUES ('compact', 'running')`, `INSERT INTO depots (path, sensor) VALUES ('a', 'b')`} {
			db := storetest.Connect(t, to)
			if _, err := db.Exec(statement); err != nil {
				t.Fatal(err)
			}
			if _, err := try(t.Context(), t, from, to); !errors.Is(err, store.ErrNotEmpty) {
				t.Errorf("%s: %v", statement, err)
			}
			for _, table := range []string{"maintenance", "depots"} {
				db.Exec(`DELETE FROM ` + table)
			}
			db.Close()
		}
		s.Close()
		half(t, from, to, 5)
		if _, err := try(t.Context(), t, other, to); err == nil || !strings.Contains(err.Error(), "it holds a part of "+from+", not of "+other) {
			t.Errorf("of another source: %v", err)
		}
		held := fill(t, to)
		release, err := held.Hold("test")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := try(t.Context(), t, from, to); !errors.Is(err, store.ErrLocked) {
			t.Errorf("two at once: %v", err)
		}
		release()
		held.Close()
		copied(t, from, to)
		if _, err := try(t.Context(), t, from, to); err == nil || !strings.Contains(err.Error(), "it holds a copy of another database already") {
			t.Errorf("again: %v", err)
		}
		s = storetest.Open(t, to)
		load(t, s, logs)
		s.Close()
	}
	loaded := storetest.Name(t)
	s := storetest.Open(t, loaded)
	load(t, s, logs)
	if _, err := try(t.Context(), t, from, loaded); !errors.Is(err, store.ErrNotEmpty) {
		t.Errorf("into a database that holds something: %v", err)
	}
}

// TestCompare changes one thing at a time in a copy.
func TestCompare(t *testing.T) {
	t.Parallel()
	from, _ := source(t)
	a := storetest.Open(t, from)
	to := filepath.Join(t.TempDir(), "copy.db")
	copied(t, from, to)
	db := storetest.Connect(t, to)
	compare := func() error {
		t.Helper()
		snapshot, err := a.Snapshot(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer snapshot.Close()
		b := storetest.Open(t, to)
		defer b.Close()
		_, err = copy.Compare(t.Context(), snapshot, b, copy.Options{Tables: store.Tables(false), Log: quiet})
		return err
	}
	if err := compare(); err != nil {
		t.Error(err)
	}
	for _, c := range []struct{ change, undo, table string }{
		{`UPDATE files SET md5 = '' WHERE shasum = (SELECT max(shasum) FROM files WHERE md5 IS NULL)`, `UPDATE files SET md5 = NULL WHERE md5 = '' AND file_size IS NULL`, "files"},
		{`UPDATE session_summaries SET hassh = 'x' WHERE session_id = 'odd1-8'`, `UPDATE session_summaries SET hassh = NULL WHERE hassh = 'x'`, "session_summaries"},
		{`UPDATE event_segments SET events = CAST(events || 'a' AS BLOB) WHERE id = 1`, `UPDATE event_segments SET events = substr(events, 1, length(events) - 1) WHERE id = 1`, "event_segments"},
		{`INSERT INTO quota_requests VALUES ('x', '2026-01-01T00:00:00.000000Z', 1)`, `DELETE FROM quota_requests WHERE account = 'x'`, "quota_requests"},
		{`UPDATE file_sightings SET id = -id WHERE id = 1`, `UPDATE file_sightings SET id = 1 WHERE id = -1`, "file_sightings"},
		// The sum of what is in a column is the same.
		{`UPDATE file_verdicts SET malicious = 1 - malicious WHERE malicious IN (0, 1)`, `UPDATE file_verdicts SET malicious = 1 - malicious WHERE malicious IN (0, 1)`, "file_verdicts"},
	} {
		if res, err := db.Exec(c.change); err != nil {
			t.Fatal(err)
		} else if n, _ := res.RowsAffected(); n == 0 {
			t.Errorf("%s changes nothing", c.change)
		}
		if err := compare(); !errors.Is(err, copy.ErrDiffers) || !strings.HasSuffix(err.Error(), ": "+c.table) {
			t.Errorf("%s: %v", c.change, err)
		}
		if _, err := db.Exec(c.undo); err != nil {
			t.Fatal(err)
		}
		if err := compare(); err != nil {
			t.Errorf("%s: %v", c.undo, err)
		}
	}
}

// TestDamaged copies a segment that is damaged: it is as good as before, and said.
func TestDamaged(t *testing.T) {
	t.Parallel()
	from, _ := source(t)
	db := storetest.Connect(t, from)
	if _, err := db.Exec(`UPDATE event_segments SET checksum = checksum + 1 WHERE id = (SELECT max(id) FROM event_segments)`); err != nil {
		t.Fatal(err)
	}
	for _, to := range targets(t) {
		if sum := copied(t, from, to); sum.Damaged != 1 {
			t.Errorf("%d segments are damaged, of 1", sum.Damaged)
		}
		same(t, from, to)
	}
}
