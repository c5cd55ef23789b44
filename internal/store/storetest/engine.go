package storetest

import (
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"midden/internal/store"
	"midden/internal/store/postgres"
	"midden/internal/store/postgres/pgtest"
	"midden/internal/store/sqlite"
)

// engine is the engine that tests run on now.
var engine = "sqlite"

// Main runs the tests of a package on each engine in turn: what a test is told by
// Name, Open and Connect is a database of that engine. A package's TestMain calls it.
// With MIDDEN_TEST_ENGINE=postgres, or sqlite, they run on that one only.
func Main(m *testing.M) (code int) {
	only := os.Getenv("MIDDEN_TEST_ENGINE")
	for _, engine = range []string{"sqlite", "postgres"} {
		if only != "" && only != engine {
			continue
		}
		if code = m.Run(); code != 0 {
			fmt.Println("these were the tests on", engine)
			return code
		}
	}
	return code
}

// OnSQLite skips a test on other engines, since what it is about is SQLite's alone.
func OnSQLite(t testing.TB) {
	t.Helper()
	if engine != "sqlite" {
		t.Skip("of SQLite alone")
	}
}

// Dialect returns one of two texts: for SQLite, or for PostgreSQL.
func Dialect(sqlite, postgres string) string {
	if engine == "postgres" {
		return postgres
	}
	return sqlite
}

// Name returns the name of a new database, as Open and Connect take it: of a file
// that is not there yet, or the URL of a database that has its tables.
func Name(t testing.TB) string {
	t.Helper()
	if engine == "postgres" {
		return pgtest.Shared(t).Database(t)
	}
	return filepath.Join(t.TempDir(), "midden.db")
}

// Copy returns the name of a copy of a database that was closed.
func Copy(t testing.TB, name string) string {
	t.Helper()
	if postgres.Is(name) {
		return pgtest.Shared(t).Copy(t, name)
	}
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "copy.db")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// Open opens a database, to write; it is closed with the test.
func Open(t testing.TB, name string) *store.Store {
	t.Helper()
	s, err := TryOpen(t, name, true)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// TryOpen opens a database, to write or to read.
func TryOpen(t testing.TB, name string, write bool) (*store.Store, error) {
	if postgres.Is(name) {
		return postgres.Open(t.Context(), name, postgres.Options{Create: write, Write: write})
	}
	return sqlite.Open(t.Context(), name, sqlite.Options{Create: write, Write: write})
}

// Connect returns a connection of its own to a database, on which texts are as the
// store has them and parameters may be written ?.
func Connect(t testing.TB, name string) *sql.DB {
	t.Helper()
	var db *sql.DB
	var err error
	if postgres.Is(name) {
		db, err = postgres.Connect(name)
	} else {
		db, err = sql.Open("sqlite", name+"?_pragma=busy_timeout(10000)&_pragma=synchronous(0)")
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// Texts returns a connection that only reads, on which every value is a text as
// SQLite has it, so that tests can look at tables in one way.
func Texts(t testing.TB, name string) *sql.DB {
	t.Helper()
	db := Connect(t, name)
	if !postgres.Is(name) {
		return db
	}
	for _, statement := range []string{
		`DO $$
		DECLARE tab TEXT; columns TEXT;
		BEGIN
			PERFORM pg_advisory_xact_lock(1);
			IF to_regnamespace('texts') IS NOT NULL THEN RETURN; END IF;
			CREATE SCHEMA texts;
			CREATE FUNCTION texts.joined(a TEXT, b TEXT, sep TEXT) RETURNS TEXT IMMUTABLE LANGUAGE sql
				AS 'SELECT CASE WHEN b IS NULL THEN a WHEN a IS NULL THEN b ELSE a || sep || b END';
			CREATE FUNCTION texts.joined(a TEXT, b TEXT) RETURNS TEXT IMMUTABLE LANGUAGE sql AS $f$ SELECT texts.joined(a, b, ',') $f$;
			CREATE AGGREGATE texts.group_concat(TEXT, TEXT) (SFUNC = texts.joined, STYPE = TEXT);
			CREATE AGGREGATE texts.group_concat(TEXT) (SFUNC = texts.joined, STYPE = TEXT);
			FOR tab, columns IN SELECT table_name, string_agg(CASE data_type
					WHEN 'timestamp with time zone' THEN format($f$to_char(%1$I AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS %1$I$f$, column_name)
					WHEN 'boolean' THEN format('%1$I::int::text AS %1$I', column_name)
					WHEN 'bytea' THEN format('%1$I', column_name)
					ELSE format('%1$I::text AS %1$I', column_name) END, ', ')
				FROM information_schema.columns JOIN information_schema.tables USING (table_schema, table_name)
				WHERE table_schema = 'public' AND table_type = 'BASE TABLE' AND table_name NOT LIKE 'event\_segments\_%' GROUP BY table_name
			LOOP
				EXECUTE format('CREATE VIEW texts.%I AS SELECT %s FROM public.%1$I', tab, columns);
			END LOOP;
		END $$`,
		`SET search_path = texts, public`,
	} {
		if _, err := db.Exec(statement); err != nil {
			t.Fatal(err)
		}
	}
	db.SetMaxOpenConns(1) // search_path is the connection's
	return db
}
