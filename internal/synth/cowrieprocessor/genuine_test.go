package cowrieprocessor

import (
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"database/sql"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
)

// sharedData returns a file or folder of the collection of real logs that may
// lie beside the project; a test that needs it is skipped where it does not.
func sharedData(t testing.TB, elem ...string) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(append([]string{"shared", "data"}, elem...)...)
	for {
		path := filepath.Join(dir, name)
		if _, err := os.Stat(path); err == nil {
			return path
		}
		if dir == filepath.Dir(dir) {
			t.Skipf("SKIPPED: %s was not found in any folder above this package", name)
		}
		dir = filepath.Dir(dir)
	}
}

// genuine opens a copy of a database that the tool itself wrote.
func genuine(t testing.TB) *sql.DB {
	t.Helper()
	packed, err := os.ReadFile(sharedData(t, "v3", "cowrieprocessor-v3.sqlite.zst"))
	if err != nil {
		t.Fatal(err)
	}
	z, err := zstd.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	path := filepath.Join(t.TempDir(), "genuine.sqlite")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(f, z); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return openFile(t, path)
}

func TestGenuineSchema(t *testing.T) {
	real, made := genuine(t), create(t, Latest)
	const objects = `SELECT type, name, tbl_name, coalesce(sql, '') FROM sqlite_schema ORDER BY 1, 2`
	if diff := cmp.Diff(dump(t, real, objects), dump(t, made, objects)); diff != "" {
		t.Errorf("the tables differ: %s", diff)
	}
	for _, p := range []string{"page_size", "user_version", "encoding", "auto_vacuum", "application_id", "journal_mode"} {
		if diff := cmp.Diff(dump(t, real, "PRAGMA "+p), dump(t, made, "PRAGMA "+p)); diff != "" {
			t.Errorf("%s: %s", p, diff)
		}
	}
}

// TestGenuineRows loads the logs that the genuine database was made of, and
// compares all rows.
func TestGenuineRows(t *testing.T) {
	real, made := genuine(t), create(t, Latest)
	logs := map[string]string{
		"cowrie.json.2021-02-12":    "sensor-2021/cowrie.json",
		"cowrie.json.2026-04-26.gz": "sensor-2026-04/cowrie.json.gz",
		"cowrie.json.2026-08.gz":    "sensor-2026-07/cowrie.json.gz",
		"cowrie.json.2020-03-19":    "sensor-2020/cowrie.json.2020-03-19",
		"cowrie.json.2022-11-14.gz": "sensor-2022/cowrie.json.2022-11-14.gz",
		"cowrie.2024-01-10.json":    "sensor-2023-dshield/cowrie.2024-01-10.json",
	}
	for _, day := range []string{"08.bz2", "09.bz2", "14.gz", "15.gz"} {
		logs["cowrie.json.2018-05-"+day] = "sensor-2018/cowrie.json.2018-05-" + day
	}
	for _, r := range dump(t, real, `
		SELECT r.source, source_inode, c.source IS NOT NULL, min(ingest_at) FROM raw_events r
		LEFT JOIN ingest_cursors c USING (source) GROUP BY 1, 2 ORDER BY min(r.id)`) {
		f := strings.Split(r, "|")
		at, err := time.Parse(sqlTime, f[3])
		if err != nil {
			t.Fatal(err)
		}
		name := logs[filepath.Base(f[0])]
		lines := readLines(t, sharedData(t, "logs", filepath.FromSlash(name)))
		if err := Load(t.Context(), made, f[0], lines, LoadOptions{Inode: f[1], Delta: f[2] == "1", At: at}); err != nil {
			t.Fatal(err)
		}
	}
	for _, query := range []string{
		`SELECT id, source, source_offset, source_inode, source_generation, payload, payload_hash, risk_score, quarantined,
			session_id, event_type, event_timestamp FROM raw_events ORDER BY id`,
		`SELECT session_id, CAST(first_event_at AS TEXT), CAST(last_event_at AS TEXT), event_count, command_count,
			file_downloads, login_attempts, vt_flagged, dshield_flagged, risk_score, matcher, source_files, enrichment
			FROM session_summaries ORDER BY rowid`,
		`SELECT source, inode, last_offset, metadata_json FROM ingest_cursors ORDER BY 1`,
		`SELECT id, source, source_offset, reason, payload, metadata_json, resolved, resolved_at FROM dead_letter_events ORDER BY 1`,
		`SELECT count(*) FROM command_stats`,
		`SELECT * FROM schema_state`,
	} {
		want, got := dump(t, real, query), dump(t, made, query)
		if len(want) == 0 {
			t.Errorf("there is nothing to compare in %s", query)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %.2000s", query, diff)
		}
	}
}

func readLines(t *testing.T, path string) [][]byte {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var in io.Reader = f
	switch filepath.Ext(path) {
	case ".gz":
		if in, err = gzip.NewReader(f); err != nil {
			t.Fatal(err)
		}
	case ".bz2":
		in = bzip2.NewReader(f)
	}
	data, err := io.ReadAll(in)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Split(bytes.TrimSuffix(data, []byte("\n")), []byte("\n"))
}

func openFile(t testing.TB, path string) *sql.DB {
	t.Helper()
	db, err := open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// create makes a database of a version.
func create(t testing.TB, version int) *sql.DB {
	t.Helper()
	db := openFile(t, filepath.Join(t.TempDir(), "made.sqlite"))
	if err := Create(t.Context(), db, version); err != nil {
		t.Fatal(err)
	}
	return db
}

// dump returns the rows of a query, their values separated by |.
func dump(t testing.TB, db *sql.DB, query string) []string {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), query)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	defer rows.Close()
	names, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	values := make([]any, len(names))
	for i := range values {
		values[i] = new(any)
	}
	var all []string
	for rows.Next() {
		if err := rows.Scan(values...); err != nil {
			t.Fatalf("%s: %v", query, err)
		}
		var b strings.Builder
		for i, v := range values {
			if i > 0 {
				b.WriteByte('|')
			}
			switch v := (*v.(*any)).(type) {
			case nil:
				b.WriteString("NULL")
			case []byte:
				fmt.Fprintf(&b, "x'%x'", v)
			default:
				fmt.Fprint(&b, v)
			}
		}
		all = append(all, b.String())
	}
	if err := rows.Err(); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return all
}
