// Package cowrieprocessortest makes databases of cowrieprocessor for tests, and uses them
// as that program did.
package cowrieprocessortest

import (
	"database/sql"
	"net/url"
	"path/filepath"
	"testing"

	"midden/internal/synth/cowrieprocessor"
)

// Open opens a database as cowrieprocessor did: its driver began a transaction with
// the first statement that writes, and waited 5 seconds for others.
func Open(t testing.TB, path string, pragmas ...string) *sql.DB {
	t.Helper()
	q := url.Values{"_txlock": {"immediate"}, "_pragma": append(pragmas, "busy_timeout(5000)")}
	db, err := sql.Open("sqlite", "file:"+path+"?"+q.Encode())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// Create makes an empty database with the tables of a version. It stays open, as it
// was while the program ran.
func Create(t testing.TB, version int, pragmas ...string) (path string, db *sql.DB) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "old.sqlite")
	db = Open(t, path, pragmas...)
	if err := cowrieprocessor.Create(t.Context(), db, version); err != nil {
		t.Fatal(err)
	}
	return path, db
}

// Load loads lines as cowrieprocessor did; any goroutine may call it. A database that
// is locked for more than 5 seconds fails the test.
func Load(t testing.TB, db *sql.DB, source string, lines [][]byte, o cowrieprocessor.LoadOptions) {
	t.Helper()
	if err := cowrieprocessor.Load(t.Context(), db, source, lines, o); err != nil {
		t.Error(err)
	}
}
