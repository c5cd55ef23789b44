package report_test

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"midden/internal/cowrie"
	"midden/internal/ingest"
	"midden/internal/report"
	"midden/internal/store"
	"midden/internal/store/storetest"
	"midden/internal/synth"
)

// TestMain runs the tests on both engines.
func TestMain(m *testing.M) { os.Exit(storetest.Main(m)) }

// database is a new database of the test's own.
type database struct {
	*store.Store
	name string
	sql  *sql.DB
}

func newDatabase(t testing.TB) *database {
	t.Helper()
	name := storetest.Name(t)
	return &database{storetest.Open(t, name), name, storetest.Connect(t, name)}
}

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

// load loads lines as one log.
func (db *database) load(t testing.TB, lines ...[]byte) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "cowrie.json")
	if err := os.WriteFile(path, append(bytes.Join(lines, []byte("\n")), '\n'), 0o600); err != nil {
		t.Fatal(err)
	}
	db.loadPaths(t, path)
}

func (db *database) loadPaths(t testing.TB, paths ...string) {
	t.Helper()
	if _, err := ingest.Load(t.Context(), db, paths, ingest.Options{Log: quiet}); err != nil {
		t.Fatal(err)
	}
}

// exec runs a statement in the database, beside the store.
func (db *database) exec(t testing.TB, statement string, args ...any) {
	t.Helper()
	if _, err := db.sql.ExecContext(t.Context(), statement, args...); err != nil {
		t.Fatal(err)
	}
}

func (db *database) report(t testing.TB, r report.Request) *report.Document {
	t.Helper()
	d, err := report.Build(t.Context(), db, r)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// text is the report as JSON.
func (db *database) text(t testing.TB, r report.Request) string {
	t.Helper()
	text, err := json.MarshalIndent(db.report(t, r), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// madeUp are the lines of made-up sensors.
func madeUp(t testing.TB, seed uint64, events, sensors int, span time.Duration) (lines [][]byte) {
	t.Helper()
	o := synth.Options{Seed: seed, Events: events, Sensors: sensors, Span: span}
	for sensor := range sensors {
		var log bytes.Buffer
		if _, err := o.Generate(t.Context(), &log, sensor); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, bytes.Split(bytes.TrimSuffix(log.Bytes(), []byte("\n")), []byte("\n"))...)
	}
	return lines
}

func at(t testing.TB, text string) cowrie.Time {
	t.Helper()
	when, ok := cowrie.ParseTime([]byte(text))
	if !ok {
		t.Fatalf("%q is no time", text)
	}
	return when
}

// named is the request for a period, at a moment long after it.
func named(t testing.TB, kind, date, zone string) report.Request {
	t.Helper()
	where, err := time.LoadLocation(zone)
	if err != nil {
		t.Fatal(err)
	}
	r, err := report.Named(kind, date, where)
	if err != nil {
		t.Fatal(err)
	}
	r.AsOf = at(t, "2030-01-01T00:00:00Z")
	return r
}

// readOnly is a store that can keep nothing.
type readOnly struct{ *store.Store }

func (readOnly) ClaimDays(context.Context, []cowrie.Time) ([]byte, error) { return nil, nil }

// forget deletes what is kept of days.
func (db *database) forget(t testing.TB) {
	t.Helper()
	db.exec(t, `DELETE FROM report_days`)
}
