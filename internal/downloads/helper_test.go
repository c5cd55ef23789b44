package downloads_test

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"midden/internal/cowrie"
	"midden/internal/downloads"
	"midden/internal/store"
	"midden/internal/store/sqlite"
	"midden/internal/store/storetest"
)

var quiet = slog.New(slog.DiscardHandler)

// database is a database in a folder of the test's own.
type database struct {
	*store.Store
	t    testing.TB
	path string
	sql  *sql.DB // a connection of its own
}

// emptyDatabase is a new database. To make one takes longer than most scans here.
var emptyDatabase = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "midden")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "midden.db")
	s, err := sqlite.Open(context.Background(), path, sqlite.Options{Create: true, Write: true})
	if err != nil {
		return nil, err
	}
	if err := s.Close(); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
})

func newDatabase(t testing.TB) *database {
	t.Helper()
	path := filepath.Join(t.TempDir(), "midden.db")
	data, err := emptyDatabase()
	must(t, err)
	must(t, os.WriteFile(path, data, 0o600))
	s, err := sqlite.Open(t.Context(), path, sqlite.Options{Create: true, Write: true})
	must(t, err)
	db, err := sql.Open("sqlite", path+"?_pragma=busy_timeout(10000)")
	must(t, err)
	t.Cleanup(func() { db.Close(); s.Close() })
	return &database{s, t, path, db}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (db *database) dump() string {
	db.t.Helper()
	return storetest.Dump(db.t, db.Store, db.sql)
}

// value returns what a query says, in one text.
func (db *database) value(query string, args ...any) string {
	db.t.Helper()
	var text sql.NullString
	if err := db.sql.QueryRow(query, args...).Scan(&text); err != nil && !errors.Is(err, sql.ErrNoRows) {
		db.t.Fatal(err)
	}
	return text.String
}

// problems returns what is noted of entries that could not be read, by name.
func (db *database) problems() map[string]string {
	db.t.Helper()
	found := map[string]string{}
	must(db.t, db.Depots(db.t.Context(), func(d *cowrie.Depot) error {
		return db.EachDepotEntry(db.t.Context(), d, func(e *cowrie.DepotEntry) error {
			if e.Problem != "" {
				found[e.Name] = e.Problem
			}
			return nil
		})
	}))
	return found
}

// misnamed returns the names of other contents, as they are noted.
func (db *database) misnamed() (names []string) {
	db.t.Helper()
	must(db.t, db.Depots(db.t.Context(), func(d *cowrie.Depot) error {
		return db.EachDepotEntry(db.t.Context(), d, func(e *cowrie.DepotEntry) error {
			if downloads.Misnamed(e.Name, e.Shasum) {
				names = append(names, e.Name)
			}
			return nil
		})
	}))
	return names
}

// sum is a summary without what depends on the hour and the machine.
type sum struct {
	Files, Sightings, Facts, Entries, Unchanged, Read, Archives, Misnamed, Gone, Failed int64
}

func sumOf(s downloads.Summary) sum {
	return sum{s.Files, s.Sightings, s.Facts, s.Entries, s.Unchanged, s.Read, s.Archives, s.Misnamed, s.Gone, s.Failed}
}

// scan scans a place of sensor one, which must give this summary.
func (db *database) scan(path string, want sum) downloads.Summary {
	db.t.Helper()
	return db.scanOf("one", path, want)
}

func (db *database) scanOf(sensor, path string, want sum) downloads.Summary {
	db.t.Helper()
	s, err := downloads.Scan(db.t.Context(), db, []downloads.Place{{Path: path, Sensor: sensor}}, downloads.Options{Log: quiet, MaxSize: maxSize})
	must(db.t, err)
	if got := sumOf(s); got != want {
		db.t.Errorf("the scan of %s (-want +got):\n%s%v", path, cmp.Diff(want, got), s.Unreadable)
	}
	return s
}

func hashOf(content string) string {
	sum := sha256.Sum256([]byte(content))
	return hex.EncodeToString(sum[:])
}

func write(t testing.TB, path, content string, at time.Time) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(path), 0o755))
	must(t, os.WriteFile(path, []byte(content), 0o644))
	must(t, os.Chtimes(path, time.Time{}, at))
}

// day is a day of January 2026.
func day(n int) time.Time { return time.Date(2026, 1, n, 12, 30, 45, 0, time.UTC) }

func seen(n int) string { return cowrie.FromStd(day(n)).String() }
