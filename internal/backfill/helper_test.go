package backfill_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
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
	"midden/internal/cowrie"
	"midden/internal/ingest"
	"midden/internal/store"
	"midden/internal/store/migrate"
	"midden/internal/store/sqlite"
	"midden/internal/store/storetest"
	"midden/internal/synth"
	"midden/internal/synth/cowrieprocessor"
)

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

// database is a database that was taken over, in a folder of the test's own.
type database struct {
	*store.Store
	path string
	sql  *sql.DB // a connection of its own
}

func upgrade(ctx context.Context, path string) error {
	return sqlite.Upgrade(ctx, path, func(*migrate.Plan) error { return nil }, func(int) {})
}

// open opens a database that was taken over, with enrichment in the open.
func open(t testing.TB, path string) *database {
	t.Helper()
	s, err := sqlite.Open(t.Context(), path, sqlite.Options{Write: true})
	if err != nil {
		t.Fatal(err)
	}
	db := &database{s, path, connect(t, path)}
	t.Cleanup(func() { s.Close() })
	if err := s.Stage(t.Context(), true, true); err != nil {
		t.Fatal(err)
	}
	return db
}

func connect(t testing.TB, path string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", path+"?_pragma=busy_timeout(10000)&_pragma=synchronous(0)")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func addRaw(t testing.TB, db *sql.DB, payload any) int64 {
	t.Helper()
	id, err := cowrieprocessor.AddRaw(t.Context(), db, payload)
	if err != nil {
		t.Fatalf("%.100v: %v", payload, err)
	}
	return id
}

// logs are the logs of two made-up sensors, a third of whose events are of
// files. The first sensor's have been loaded by cowrieprocessor.
var logs = synth.Options{Seed: 42, Events: 300, Sensors: 2, Span: 40 * time.Hour, FileShare: 0.3}

func logOf(t testing.TB, sensor int) []byte {
	t.Helper()
	var buf bytes.Buffer
	if _, err := logs.Generate(t.Context(), &buf, sensor); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// template is a file that is made once and copied for every test.
type template func() ([]byte, error)

// made makes a template by what make leaves at a path.
func made(make func(ctx context.Context, path string) error) template {
	return sync.OnceValues(func() ([]byte, error) {
		dir, err := os.MkdirTemp("", "midden-template-")
		if err != nil {
			return nil, err
		}
		defer os.RemoveAll(dir)
		path := filepath.Join(dir, "x.sqlite")
		if err := make(context.Background(), path); err != nil {
			return nil, err
		}
		return os.ReadFile(path)
	})
}

func (tm template) copy(t testing.TB) (path string) {
	t.Helper()
	data, err := tm()
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(t.TempDir(), "x.sqlite")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// plain and faulty are databases of cowrieprocessor that were just taken over; in
// the second the logs of a day were loaded twice. Both hold what Cowrie's
// VirusTotal plugin was told, and events that say nothing of a file, too.
var (
	plain  = made(func(ctx context.Context, path string) error { return writeV3(ctx, path, logs, false) })
	faulty = made(func(ctx context.Context, path string) error { return writeV3(ctx, path, logs, true) })
)

func writeV3(ctx context.Context, path string, logs synth.Options, faults bool) error {
	if _, err := cowrieprocessor.Write(ctx, path, cowrieprocessor.Options{Logs: logs, Faults: faults}); err != nil {
		return err
	}
	db, err := sql.Open("sqlite", path)
	if err != nil {
		return err
	}
	defer db.Close()
	for i := range 6 {
		for _, payload := range []any{scanfileEvent(i), scanfileEvent(i), event(`"session": "none"`), "garbage"}[i%2 : 3+i%2] { // half of the scans twice
			if _, err := cowrieprocessor.AddRaw(ctx, db, payload); err != nil {
				return err
			}
		}
	}
	return errors.Join(db.Close(), upgrade(ctx, path))
}

// scanfileEvent is what the VirusTotal plugin wrote of some file.
func scanfileEvent(n int) string {
	return fmt.Sprintf(`{"eventid": "cowrie.virustotal.scanfile", "session": "scan%d", "timestamp": "2026-01-02T03:04:%02d.000000Z", `+
		`"sha256": "%064x", "positives": %d, "total": 60, "is_new": "false", "sensor": "sensor-01"}`, n, n%60, n, n%60)
}

func (db *database) backfill(t testing.TB, o backfill.Options) backfill.Summary {
	t.Helper()
	o.Log, o.Pace = quiet, backfill.Pace{Full: true} // no test waits
	sum, err := backfill.Run(t.Context(), db, o)
	if err != nil {
		t.Fatal(err)
	}
	accounted(t, sum)
	return sum
}

// accounted: every event that was read has become something, or was counted.
func accounted(t testing.TB, sum backfill.Summary) {
	t.Helper()
	if sum.Rows != sum.Sightings+sum.Verdicts+sum.Known+sum.Rejected {
		t.Errorf("events are not accounted for: %+v", sum)
	}
	n := int64(0)
	for _, c := range sum.Rejections {
		n += c
	}
	if n != sum.Rejected {
		t.Errorf("%d were rejected, but the reasons add up to %d: %v", sum.Rejected, n, sum.Rejections)
	}
}

// load loads a log as midden does.
func (db *database) load(t testing.TB, name string, log []byte) ingest.Summary {
	t.Helper()
	return db.loadAs(t, name, "", log)
}

// loadAs loads a log of a sensor that its events do not name.
func (db *database) loadAs(t testing.TB, name, sensor string, log []byte) ingest.Summary {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, log, 0o600); err != nil {
		t.Fatal(err)
	}
	sum, err := ingest.Load(t.Context(), db, []string{path}, ingest.Options{Log: quiet, Sensor: sensor})
	if err != nil {
		t.Fatal(err)
	}
	return sum
}

func (db *database) dump(t testing.TB) string {
	t.Helper()
	return storetest.Dump(t, db.Store, db.sql)
}

// job is the backfill's row, without what depends on when and how fast it was.
func (db *database) job(t testing.TB) cowrie.Job {
	t.Helper()
	j, err := db.Job(t.Context(), backfill.JobName)
	if err != nil {
		t.Fatal(err)
	}
	return cowrie.Job{State: j.State, Position: j.Position, Target: j.Target, RowsSeen: j.RowsSeen, BytesSeen: j.BytesSeen,
		Inserted: j.Inserted, Known: j.Known, Rejected: j.Rejected, Rejections: j.Rejections, Owner: j.Owner, Error: j.Error}
}

func (db *database) exec(t testing.TB, query string, args ...any) {
	t.Helper()
	res, err := db.sql.ExecContext(t.Context(), query, args...)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	if n, err := res.RowsAffected(); err == nil && n == 0 && !strings.HasPrefix(query, "DROP") && !strings.HasPrefix(query, "CREATE") {
		t.Fatalf("%s: it changed nothing", query)
	}
}

func (db *database) int(t testing.TB, query string, args ...any) (n int64) {
	t.Helper()
	if err := db.sql.QueryRowContext(t.Context(), query, args...).Scan(&n); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return n
}

func (db *database) text(t testing.TB, query string, args ...any) (s string) {
	t.Helper()
	if err := db.sql.QueryRowContext(t.Context(), query, args...).Scan(&s); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return s
}

// lines are the rows of a query, their values quoted as SQL.
func (db *database) lines(t testing.TB, table, where string, columns ...string) (list []string) {
	t.Helper()
	quoted := make([]string, len(columns))
	for i, c := range columns {
		quoted[i] = "quote(" + c + ")"
	}
	rows, err := db.sql.QueryContext(t.Context(), `SELECT `+strings.Join(quoted, " || ' ' || ")+` FROM `+table+` WHERE `+where+` ORDER BY 1`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			t.Fatal(err)
		}
		list = append(list, s)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return list
}

// gaps verifies, and returns the gaps as texts.
func (db *database) gaps(t testing.TB) []string {
	t.Helper()
	var list []string
	_, err := db.verify(t, nil, func(g backfill.Gap) { list = append(list, g.What+" "+g.Where) })
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func (db *database) verify(t testing.TB, mend func(context.Context, *cowrie.Mend) error, f func(backfill.Gap)) (*backfill.Verification, error) {
	t.Helper()
	snapshot, err := db.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer snapshot.Close()
	return backfill.Verify(t.Context(), snapshot, backfill.VerifyOptions{Mend: mend}, func(g backfill.Gap) error {
		f(g)
		return nil
	})
}

// repair verifies and mends until nothing more is mended. It returns the gaps
// that were found at first, and those that are left.
func (db *database) repair(t testing.TB) (found, left []string) {
	t.Helper()
	for round := range 5 {
		left = nil
		v, err := db.verify(t, db.Mend, func(g backfill.Gap) {
			if round == 0 {
				found = append(found, g.What+" "+g.Where)
			}
			if !g.Mended {
				left = append(left, g.What+" "+g.Where)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		if v.Mended == 0 {
			return found, left
		}
	}
	t.Error("there is no end to what is to be mended")
	return found, left
}

func isHeld(err error) bool {
	var held *store.HeldError
	return errors.As(err, &held) && errors.Is(err, store.ErrLocked)
}

// lines are the lines of a log, but for the last, which may be cut.
func lines(log []byte) [][]byte {
	list := bytes.Split(log, []byte("\n"))
	return list[:len(list)-1]
}
