package cli

import (
	"bytes"
	"crypto/sha256"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"midden/internal/store/sqlite"
	"midden/internal/store/storetest"
	"midden/internal/synth/cowrieprocessor"
	"midden/internal/synth/cowrieprocessor/cowrieprocessortest"
)

// ended is how a run of the program ended.
type ended struct {
	t         testing.TB
	args      []string
	code      int
	killed    bool
	out, errs string
}

// call runs the program to its end, with something more in its environment.
func call(t testing.TB, env string, args ...string) ended {
	t.Helper()
	var out, errs bytes.Buffer
	cmd := midden(t, args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	cmd.Env = append(os.Environ(), "USE_NEW_ENRICHMENT=", env)
	cmd.Run()
	e := ended{t: t, args: args, code: cmd.ProcessState.ExitCode(), out: out.String(), errs: errs.String()}
	if e.killed = e.code < 0; !e.killed && strings.Contains(e.errs, "goroutine") {
		t.Errorf("midden %v: %s", args, e.errs)
	}
	return e
}

// with fails the test if the run did not end with one of the codes.
func (e ended) with(codes ...int) ended {
	e.t.Helper()
	if !slices.Contains(codes, e.code) {
		e.t.Fatalf("midden %v ended with %d, want %v:\n%s%s", e.args, e.code, codes, e.out, e.errs)
	}
	return e
}

// oldDatabase writes a database as cowrieprocessor left it.
func oldDatabase(t testing.TB, o cowrieprocessor.Options) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "old.sqlite")
	if _, err := cowrieprocessor.Write(t.Context(), path, o); err != nil {
		t.Fatal(err)
	}
	return path
}

// copyDatabase copies a database that nobody has open, into a directory of its own.
func copyDatabase(t testing.TB, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(t.TempDir(), filepath.Base(path))
	if err := os.WriteFile(to, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return to
}

// value returns the only value of a query.
func value[T any](t testing.TB, db *sql.DB, query string, args ...any) (v T) {
	t.Helper()
	if err := db.QueryRowContext(t.Context(), query, args...).Scan(&v); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return v
}

// table returns the rows of a query, in its order.
func table(t testing.TB, db *sql.DB, query string, args ...any) (lines []string) {
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
			t.Fatalf("%s: %v", query, err)
		}
		lines = append(lines, fmt.Sprintf("%q", values))
	}
	if err := rows.Err(); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return lines
}

// rawDigest stands for all that is stored of the raw events up to an id. (Their
// generated columns follow from that, and from the definition of the table.)
func rawDigest(t testing.TB, db *sql.DB, through int64) string {
	t.Helper()
	names := value[string](t, db, `SELECT group_concat(name) FROM pragma_table_info('raw_events')`)
	rows, err := db.QueryContext(t.Context(), `SELECT `+names+` FROM raw_events WHERE id <= ? ORDER BY id`, through)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	values := make([]sql.RawBytes, strings.Count(names, ",")+1)
	into := make([]any, len(values))
	for i := range values {
		into[i] = &values[i]
	}
	h := sha256.New()
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			t.Fatal(err)
		}
		for _, v := range values {
			fmt.Fprintf(h, "%d ", len(v))
			h.Write(v)
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%x", h.Sum(nil))
}

// canonical returns the canonical dump of a database, of which well looks whether
// it is well.
func canonical(t testing.TB, path string) string {
	t.Helper()
	s, err := sqlite.Open(t.Context(), path, sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	db := cowrieprocessortest.Open(t, path)
	defer db.Close()
	return storetest.Dump(t, s, db)
}

// takenOver returns what is to be the same in a database that was taken over,
// however often that was disturbed: the canonical dump, the definitions of all
// tables, how far the jobs are and what they counted, what the sources add up
// to, and the raw events.
func takenOver(t testing.TB, path string) string {
	t.Helper()
	text := canonical(t, path)
	db := cowrieprocessortest.Open(t, path)
	defer db.Close()
	for _, query := range []string{
		`SELECT 'schema', type, name, sql FROM sqlite_master ORDER BY sql, name`,
		`SELECT 'state', "key", value FROM schema_state ORDER BY "key"`,
		`SELECT 'job', job, state, pause, position, target, rows_seen, bytes_seen, inserted, known, rejected, rejections,
			owner, error FROM maintenance ORDER BY job`,
		`SELECT 'source', fingerprint, position, lines, events, duplicates, dead_letters, blank FROM sources ORDER BY fingerprint`,
	} {
		text += strings.Join(table(t, db, query), "\n") + "\n"
	}
	return text + "raw events " + rawDigest(t, db, 1<<62) + "\n"
}

// well fails the test if SQLite or midden itself finds anything wrong with a
// database, or something was left behind beside it.
func well(t testing.TB, path string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if got := table(t, db, `PRAGMA integrity_check`); !slices.Equal(got, []string{`["ok"]`}) {
		t.Errorf("integrity check: %q", got)
	}
	db.Close()
	call(t, "", "--db", path, "verify").with(0)
	call(t, "", "--db", path, "doctor", "--deep").with(0)
	beside, err := filepath.Glob(filepath.Join(filepath.Dir(path), "*"))
	if err != nil || len(beside) != 1 {
		t.Errorf("beside the database there are %q, %v", beside, err)
	}
}

// dumpOf returns those lines of a dump that begin with one of the words.
func dumpOf(dump string, words ...string) string {
	var kept []string
	for line := range strings.Lines(dump) {
		if word, _, _ := strings.Cut(line, " | "); slices.Contains(words, word) {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "")
}

// await looks until something is so.
func await(t testing.TB, what string, so func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !so(); {
		if time.Now().After(deadline) {
			t.Fatalf("a minute has passed, and still not: %s", what)
		}
		time.Sleep(10 * time.Millisecond) // between two looks
	}
}
