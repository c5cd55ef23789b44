package sqlite_test

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"midden/internal/store"
	"midden/internal/store/sqlite"
)

func open(t *testing.T, path string, create bool) (*store.Store, error) {
	t.Helper()
	s, err := sqlite.Open(t.Context(), path, sqlite.Options{Create: create})
	if err == nil {
		t.Cleanup(func() { s.Close() })
	}
	return s, err
}

func execute(t *testing.T, path string, statements ...string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, st := range statements {
		if _, err := db.Exec(st); err != nil {
			t.Fatal(err)
		}
	}
}

func TestCreate(t *testing.T) {
	for _, name := range []string{"midden.db", "with space.db", "50%.db", "a?b#c&d.db", "ümlaut.db"} {
		path := filepath.Join(t.TempDir(), name)
		if _, err := open(t, path, true); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s may be read by others: mode %o", name, info.Mode().Perm())
		}
		if _, err := open(t, path, false); err != nil {
			t.Errorf("again: %v", err)
		}
		left, err := filepath.Glob(filepath.Join(filepath.Dir(path), ".midden-new-*"))
		if err != nil || len(left) > 0 {
			t.Errorf("%v was left over (%v)", left, err)
		}
	}
}

func TestCreateInAnEmptyFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "midden.db")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := open(t, path, true); err != nil {
		t.Fatal(err)
	}
}

func TestCreateAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "midden.db")
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			s, err := sqlite.Open(t.Context(), path, sqlite.Options{Create: true})
			if err != nil {
				t.Error(err)
				return
			}
			s.Close()
		})
	}
	wg.Wait()
}

func TestNoDatabase(t *testing.T) {
	path := filepath.Join(t.TempDir(), "midden.db")
	if _, err := open(t, path, false); err == nil || !strings.Contains(err.Error(), "midden load") {
		t.Errorf("got %v", err)
	}
	if _, err := open(t, t.TempDir(), true); err == nil {
		t.Error("a directory was taken for a database")
	}
	if _, err := open(t, filepath.Join(t.TempDir(), "no", "such", "dir.db"), true); err == nil {
		t.Error("a database was made in a directory that is not there")
	}
}

// TestWrongSchema opens what cannot be used, and looks that it is untouched.
func TestWrongSchema(t *testing.T) {
	state := func(version string) []string {
		return []string{`CREATE TABLE schema_state ("key" VARCHAR(128) PRIMARY KEY, value VARCHAR(256) NOT NULL)`,
			fmt.Sprintf(`INSERT INTO schema_state VALUES ('schema_version', '%s')`, version),
			`CREATE TABLE raw_events (id INTEGER PRIMARY KEY)`}
	}
	for _, c := range []struct {
		name       string
		statements []string
		version    int
		says       string
	}{
		{"old", state("3"), 3, "midden migrate --db"},
		{"new", state("17"), 17, "use a newer midden"},
		{"foreign", []string{`CREATE TABLE contacts (name TEXT)`}, -1, "not a database of midden"},
		{"stateless", []string{`CREATE TABLE schema_state ("key" TEXT, value TEXT)`, `CREATE TABLE a (b)`}, -1, "not a database of midden"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "x.db")
			execute(t, path, c.statements...)
			before, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			_, err = open(t, path, true)
			var schema *store.SchemaError
			if !errors.As(err, &schema) || schema.Version != c.version || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v", err)
			}
			after, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(before, after) {
				t.Error("the file was changed")
			}
		})
	}
	path := filepath.Join(t.TempDir(), "notes.txt")
	if err := os.WriteFile(path, bytes.Repeat([]byte("this is a text\n"), 1000), 0o600); err != nil {
		t.Fatal(err)
	}
	var schema *store.SchemaError
	if _, err := open(t, path, true); !errors.As(err, &schema) {
		t.Errorf("a text was taken for a database: %v", err)
	}
}

// TestOpenBesideJournal: a new database is not made beside the journal of one that is gone.
func TestOpenBesideJournal(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "midden.db")
	if err := os.WriteFile(path+"-wal", []byte("of another one"), 0o600); err != nil {
		t.Fatal(err)
	}
	if s, err := sqlite.Open(t.Context(), path, sqlite.Options{Create: true, Write: true}); err == nil || !strings.Contains(err.Error(), "without its database") {
		t.Errorf("it is opened: %v, %v", s, err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("there is a database")
	}
}
