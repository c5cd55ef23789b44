package sqlite_test

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"midden/internal/backfill"
	"midden/internal/ingest"
	"midden/internal/store/migrate"
	"midden/internal/store/sqlite"
	"midden/internal/synth"
	"midden/internal/synth/cowrieprocessor"
	"midden/internal/synth/cowrieprocessor/cowrieprocessortest"
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

// old makes a database of cowrieprocessor with the lines of a log.
func old(t *testing.T, version int, lines [][]byte, pragmas ...string) (path string, db *sql.DB) {
	t.Helper()
	path, db = cowrieprocessortest.Create(t, version, pragmas...)
	loadOld(t, db, lines)
	return path, db
}

// loadOld loads what is new of the log.
func loadOld(t *testing.T, db *sql.DB, lines [][]byte) {
	t.Helper()
	if lines != nil {
		cowrieprocessortest.Load(t, db, "/log/cowrie.json", lines, cowrieprocessor.LoadOptions{Inode: "1", Delta: true})
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
