package migrate_test

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"midden/internal/cowrie"
	"midden/internal/store/migrate"
	"midden/internal/synth"
	"midden/internal/synth/cowrieprocessor"
	"midden/internal/synth/cowrieprocessor/cowrieprocessortest"
)

// emptyV3 makes a database of cowrieprocessor.
func emptyV3(t *testing.T) *sql.DB {
	t.Helper()
	_, db := cowrieprocessortest.Create(t, cowrieprocessor.Latest)
	return db
}

// upgrade does what a plan says, and returns it.
func upgrade(t *testing.T, db *sql.DB) *migrate.Plan {
	t.Helper()
	p, err := migrate.Look(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Run(t.Context(), db, func(int) {}); err != nil {
		t.Fatal(err)
	}
	return p
}

func exec(t *testing.T, db *sql.DB, query string, args ...any) {
	t.Helper()
	if _, err := db.ExecContext(t.Context(), query, args...); err != nil {
		t.Fatalf("%.200s: %v", query, err)
	}
}

// rows are the rows of a query of one column.
func rows(t *testing.T, db *sql.DB, query string, args ...any) (list []string) {
	t.Helper()
	rs, err := db.QueryContext(t.Context(), query, args...)
	if err != nil {
		t.Fatalf("%.200s: %v", query, err)
	}
	defer rs.Close()
	for rs.Next() {
		var s string
		if err := rs.Scan(&s); err != nil {
			t.Fatal(err)
		}
		list = append(list, s)
	}
	if err := rs.Err(); err != nil {
		t.Fatal(err)
	}
	return list
}

// content is all of a table, its values as they are stored.
func content(t *testing.T, db *sql.DB, table string) []string {
	t.Helper()
	columns := rows(t, db, `SELECT name FROM pragma_table_info(?)`, table)
	for i, c := range columns {
		columns[i] = `typeof("` + c + `") || quote("` + c + `")`
	}
	return rows(t, db, `SELECT rowid || ' ' || `+strings.Join(columns, " || ' ' || ")+` FROM `+table+` ORDER BY rowid`)
}

const verdictColumns = `substr(shasum, 1, 2) || ' at ' || observed_at || ' analysed ' || coalesce(analysed_at, '-') || ' first ' || coalesce(first_submission_at, '-') ||
	' ' || coalesce(malicious, '-') || '/' || coalesce(total, '-') || ' ' || coalesce(classification, '-') || ' ' || coalesce(description, '-')`

// sha is a hash of which the first two digits tell.
func sha(n int) string { return strings.Repeat(fmt.Sprintf("%02x", n), 32) }

// verdict is what verdictColumns say of one.
func verdict(n int, at, analysed, first, counts, classification, description string) string {
	return fmt.Sprintf("%02x at %s analysed %s first %s %s %s %s", n, at, analysed, first, counts, classification, description)
}

const (
	epoch = "1970-01-01T00:00:00.000000Z"
	jan2  = "2026-01-02T03:04:05.000000Z"
	jan3  = "2026-01-03T00:00:00.000000Z"
)

func TestFilesOfALaterRelease(t *testing.T) {
	t.Parallel()
	type row struct {
		name string
		// In the order of columns below.
		values []any
		want   string // but for the hash; "" if nothing was said
	}
	columns := []string{"vt_classification", "vt_description", "vt_malicious", "vt_first_seen", "vt_last_analysis", "vt_positives", "vt_total", "vt_scan_date", "first_seen", "last_updated"}
	const updated, seen = "2026-01-02 03:04:05", "2025-12-31 00:00:00"
	list := []row{
		{"never asked", []any{nil, nil, false, nil, nil, nil, nil, nil, seen, updated}, ""},
		{"nobody knows it", []any{nil, nil, 0, nil, nil, nil, nil, nil, seen, updated}, ""},
		{"a type alone", []any{nil, "ELF", 0, nil, nil, nil, nil, nil, seen, updated}, ""},
		{"all of it", []any{"trojan.mirai/gafgyt", "ELF", true, "2023-07-22 04:26:40", "2026-01-03 00:00:00.000000", 41, 63, "2026-01-01 00:00:00", seen, updated},
			verdict(0, jan2, jan3, "2023-07-22T04:26:40.000000Z", "41/63", "trojan.mirai/gafgyt", "ELF")},
		{"harmless", []any{"", "Text", false, nil, "2026-01-03", 0, 58, nil, seen, updated}, verdict(0, jan2, jan3, "-", "0/58", "-", "Text")},
		{"41 in the boolean", []any{"x", nil, 41, nil, nil, nil, 63, nil, seen, updated}, verdict(0, jan2, "-", "-", "41/63", "x", "-")},
		{"true in the boolean, no count", []any{"x", nil, true, nil, nil, nil, nil, nil, seen, updated}, verdict(0, jan2, "-", "-", "1/-", "x", "-")},
		{"false in the boolean, no count", []any{"x", nil, false, nil, nil, nil, nil, nil, seen, updated}, verdict(0, jan2, "-", "-", "-/-", "x", "-")},
		{"text in the boolean", []any{"x", nil, "true", nil, nil, nil, nil, nil, seen, updated}, verdict(0, jan2, "-", "-", "-/-", "x", "-")},
		{"a number as text in the boolean", []any{"x", nil, "7", nil, nil, nil, 60, nil, seen, updated}, verdict(0, jan2, "-", "-", "7/60", "x", "-")},
		{"a count goes before the boolean", []any{nil, nil, 41, nil, nil, 3, 60, nil, seen, updated}, verdict(0, jan2, "-", "-", "3/60", "-", "-")},
		{"seconds in the dates", []any{nil, nil, 0, 1690000000, 1767398400, 3, 60, 1767225600, seen, 1767323045}, verdict(0, jan2, jan3, "2023-07-22T04:26:40.000000Z", "3/60", "-", "-")},
		{"seconds as text", []any{nil, nil, 0, "1690000000", "1767398400", 3, 60, nil, seen, "1767323045"}, verdict(0, jan2, jan3, "2023-07-22T04:26:40.000000Z", "3/60", "-", "-")},
		{"seconds with a fraction", []any{nil, nil, 0, 1690000000.75, nil, 3, 60, nil, seen, 1767323045.5}, verdict(0, jan2, "-", "2023-07-22T04:26:40.000000Z", "3/60", "-", "-")},
		{"times with zones", []any{nil, nil, 0, "2026-01-03T02:00:00+02:00", "2026-01-02T23:00:00-0100", 3, 60, nil, seen, "2026-01-02T03:04:05Z"}, verdict(0, jan2, jan3, jan3, "3/60", "-", "-")},
		{"numbers as texts", []any{nil, nil, 0, nil, nil, "7", "60", nil, seen, updated}, verdict(0, jan2, "-", "-", "7/60", "-", "-")},
		{"numbers with spaces", []any{nil, nil, 0, nil, nil, " 7 ", "60\n", nil, seen, updated}, verdict(0, jan2, "-", "-", "7/60", "-", "-")},
		{"both in one", []any{nil, nil, 0, nil, nil, "41/63", "unknown", nil, seen, updated}, ""},
		{"numbers that are not whole", []any{nil, nil, 0, nil, nil, 3.9, 60.5, nil, seen, updated}, verdict(0, jan2, "-", "-", "3/60", "-", "-")},
		{"a BLOB", []any{[]byte("blob"), []byte("ELF"), 0, nil, nil, []byte("5"), nil, nil, seen, updated}, verdict(0, jan2, "-", "-", "5/-", "blob", "ELF")},
		{"negative", []any{"x", nil, -1, -5, -1690000000, -3, -60, nil, seen, updated}, verdict(0, jan2, "-", "-", "-/-", "x", "-")},
		{"absurd", []any{"x", nil, 1 << 40, int64(1) << 60, 1e300, int64(1) << 62, 1e30, nil, seen, updated}, verdict(0, jan2, "-", "-", "-/-", "x", "-")},
		{"more than there are", []any{nil, nil, 0, nil, nil, 63, 41, nil, seen, updated}, verdict(0, jan2, "-", "-", "63/-", "-", "-")},
		{"a total alone", []any{"x", nil, 0, nil, nil, nil, 60, nil, seen, updated}, verdict(0, jan2, "-", "-", "0/60", "x", "-")},
		{"a first submission alone", []any{nil, nil, 0, "2026-01-03", nil, nil, nil, nil, seen, updated}, verdict(0, jan2, "-", jan3, "-/-", "-", "-")},
		{"no date of this world", []any{nil, nil, 0, "0000-00-00 00:00:00", "never", 3, 60, "", seen, "2026-13-45 99:99:99"}, verdict(0, "2025-12-31T00:00:00.000000Z", "-", "-", "3/60", "-", "-")},
		{"the date of the scan", []any{nil, nil, 0, nil, nil, 3, 60, "2026-01-02 03:04:05", seen, ""}, verdict(0, jan2, "-", "-", "3/60", "-", "-")},
		{"the date of the analysis", []any{nil, nil, 0, nil, "2026-01-03", 3, 60, nil, seen, ""}, verdict(0, jan3, jan3, "-", "3/60", "-", "-")},
		{"no date at all", []any{nil, nil, 0, nil, nil, 3, 60, nil, "", ""}, verdict(0, epoch, "-", "-", "3/60", "-", "-")},
		{"a number as classification", []any{17, 5, 0, nil, nil, 3, 60, nil, seen, updated}, verdict(0, jan2, "-", "-", "3/60", "17", "5")},
		{"a long text", []any{strings.Repeat("é", 500), nil, 0, nil, nil, 3, 60, nil, seen, updated}, verdict(0, jan2, "-", "-", "3/60", strings.Repeat("é", 126)+"…", "-")},
	}
	db := emptyV3(t)
	if err := cowrieprocessor.CreateFiles(t.Context(), db, "later"); err != nil {
		t.Fatal(err)
	}
	insert := `INSERT INTO files (session_id, shasum, ` + strings.Join(columns, ", ") + `) VALUES (?, ?` + strings.Repeat(", ?", len(columns)) + `)`
	for i, r := range list {
		exec(t, db, insert, append([]any{"s", sha(i)}, r.values...)...)
	}
	good := list[3].values
	for _, bad := range []any{"", "short", sha(1)[1:], sha(1) + "0", strings.Repeat("xy", 32), 5, []byte{0xff}} {
		exec(t, db, insert, append([]any{fmt.Sprint("bad", bad), bad}, good...)...)
	}
	// The same file in another session, later; and once more as it was.
	exec(t, db, insert, append([]any{"t", strings.ToUpper(sha(3)), "worm"}, append(good[1:9:9], "2026-01-04 00:00:00")...)...)
	exec(t, db, insert, append([]any{"u", sha(3)}, good...)...)
	before := content(t, db, "files")

	p := upgrade(t, db)
	if p.Found.OldFiles != "of a later release" || p.Found.OldFileRows != int64(len(before)) {
		t.Errorf("found %+v", p.Found)
	}
	if diff := cmp.Diff(before, content(t, db, "files_cowrieprocessor")); diff != "" {
		t.Errorf("rows of the old table: %s", diff)
	}
	if n := rows(t, db, `SELECT count(*) FROM files`); n[0] != "0" {
		t.Errorf("there are %s files", n[0])
	}
	for i, r := range list {
		want := []string{}
		if r.want != "" {
			want = append(want, fmt.Sprintf("%02x", i)+r.want[2:])
		}
		if i == 3 {
			want = append(want, "03 at 2026-01-04T00:00:00.000000Z"+strings.Replace(r.want[len("00 at ")+len(jan2):], "trojan.mirai/gafgyt", "worm", 1))
		}
		got := rows(t, db, `SELECT `+verdictColumns+` FROM file_verdicts WHERE shasum = ? AND source = ? ORDER BY observed_at`, sha(i), cowrie.SourceFiles)
		if diff := cmp.Diff(want, append([]string{}, got...)); diff != "" {
			t.Errorf("%s: %s", r.name, diff)
		}
	}
	if got := rows(t, db, `SELECT shasum FROM file_verdicts WHERE length(shasum) <> 64 OR shasum <> lower(shasum)`); got != nil {
		t.Errorf("verdicts on %q", got)
	}
	if p, err := migrate.Look(t.Context(), db); err != nil || len(p.Steps) > 0 {
		t.Errorf("again: %+v (%v)", p, err)
	}
}

func TestFilesOfTheOldestScripts(t *testing.T) {
	t.Parallel()
	list := []struct {
		name                                           string
		description, classification, first, hits, when any
		want                                           string
	}{
		{"never asked", nil, nil, nil, nil, nil, ""},
		{"not known", "", "", 0, 0, 1767323045, verdict(0, jan2, "-", "-", "0/-", "-", "-")},
		{"all of it", "ELF", "trojan.mirai", 1690000000, 41, 1767323045.25, verdict(0, jan2, "-", "2023-07-22T04:26:40.000000Z", "41/-", "trojan.mirai", "ELF")},
		{"texts", "ELF", "trojan.mirai", "2023-07-22 04:26:40", "41", "1767323045", verdict(0, jan2, "-", "2023-07-22T04:26:40.000000Z", "41/-", "trojan.mirai", "ELF")},
		{"no hits", "Text", "", "2026-01-03", "", nil, verdict(0, jan3, "-", jan3, "-/-", "-", "Text")},
		{"hits of all", "ELF", "x", "", "41/63", 1767323045, verdict(0, jan2, "-", "-", "-/-", "x", "ELF")},
		{"no time", "ELF", "x", nil, 3, "yesterday", verdict(0, epoch, "-", "-", "3/-", "x", "ELF")},
	}
	db := emptyV3(t)
	if err := cowrieprocessor.CreateFiles(t.Context(), db, "oldest"); err != nil {
		t.Fatal(err)
	}
	for i, r := range list {
		exec(t, db, `INSERT INTO files (session, hash, download_url, vt_description, vt_threat_classification, vt_first_submission, vt_hits, added) VALUES ('s', ?, 'hxxp', ?, ?, ?, ?, ?)`,
			sha(i), r.description, r.classification, r.first, r.hits, r.when)
	}
	exec(t, db, `INSERT INTO files (hash, vt_hits) VALUES (NULL, 5), ('', 5), ('n/a', 5)`)
	before := content(t, db, "files")
	if p := upgrade(t, db); p.Found.OldFiles != "of the oldest scripts" {
		t.Errorf("found %+v", p.Found)
	}
	if diff := cmp.Diff(before, content(t, db, "files_cowrieprocessor")); diff != "" {
		t.Errorf("rows of the old table: %s", diff)
	}
	var want []string
	for i, r := range list {
		if r.want != "" {
			want = append(want, fmt.Sprintf("%02x", i)+r.want[2:])
		}
	}
	if diff := cmp.Diff(want, rows(t, db, `SELECT `+verdictColumns+` FROM file_verdicts ORDER BY shasum`)); diff != "" {
		t.Error(diff)
	}
}

// TestGeneratedFiles takes over the generator's foreign tables, of which it is
// known how many rows say something, and one with more rows than go into a
// transaction.
func TestGeneratedFiles(t *testing.T) {
	t.Parallel()
	for kind, name := range map[string]string{"later": "of a later release", "oldest": "of the oldest scripts"} {
		path := filepath.Join(t.TempDir(), "v3.sqlite")
		logs := synth.Options{Seed: 3, Events: 400, Sensors: 1, Span: time.Hour, FileShare: 0.4, Hashes: 60}
		if _, err := cowrieprocessor.Write(t.Context(), path, cowrieprocessor.Options{Logs: logs, Files: kind}); err != nil {
			t.Fatal(err)
		}
		db, err := sql.Open("sqlite", path+"?_pragma=synchronous(0)&_txlock=immediate")
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		said := map[string]string{
			"later":  `SELECT DISTINCT shasum FROM files WHERE enrichment_status = 'enriched' ORDER BY 1`,
			"oldest": `SELECT DISTINCT hash FROM files WHERE coalesce(vt_hits, vt_threat_classification) IS NOT NULL ORDER BY 1`,
		}[kind]
		want := rows(t, db, said)
		before := content(t, db, "files")
		p := upgrade(t, db)
		if p.Found.OldFiles != name || len(want) < 5 {
			t.Errorf("%s: %d hashes, %+v", kind, len(want), p.Found)
		}
		if diff := cmp.Diff(before, content(t, db, "files_cowrieprocessor")); diff != "" {
			t.Errorf("%s: %s", kind, diff)
		}
		if diff := cmp.Diff(want, rows(t, db, `SELECT DISTINCT shasum FROM file_verdicts ORDER BY 1`)); diff != "" {
			t.Errorf("%s: %s", kind, diff)
		}
		if got := rows(t, db, `SELECT count(*) FROM file_verdicts WHERE source <> 'cowrieprocessor.files' OR malicious > total OR malicious < 0`); got[0] != "0" {
			t.Errorf("%s: %s verdicts are absurd", kind, got[0])
		}
	}
}

// TestManyOldFiles has more rows than go into a transaction, with gaps and
// negative row ids.
func TestManyOldFiles(t *testing.T) {
	t.Parallel()
	db := emptyV3(t)
	if err := cowrieprocessor.CreateFiles(t.Context(), db, "later"); err != nil {
		t.Fatal(err)
	}
	exec(t, db, `WITH RECURSIVE n(n) AS (SELECT -1001 UNION ALL SELECT n + 1 FROM n WHERE n < 1001)
		INSERT INTO files (id, session_id, shasum, vt_positives, vt_total) SELECT n * 3, 's' || n, printf('%064x', n + 2000), 1, 60 FROM n`)
	upgrade(t, db)
	if n := rows(t, db, `SELECT count(*) FROM file_verdicts`); n[0] != "2003" {
		t.Errorf("%s verdicts of 2003", n[0])
	}
}

// TestUnknownFiles sets tables aside that nobody knows, and some that look alike.
func TestUnknownFiles(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		table    string
		insert   string
		shape    string
		verdicts string
	}{
		{`CREATE TABLE files (name TEXT, size INTEGER)`, `INSERT INTO files VALUES ('a', 1), (NULL, 'x')`, "of an unknown kind", "0"},
		{`CREATE TABLE files (shasum TEXT, vt_positives INTEGER)`, `INSERT INTO files VALUES ('` + sha(1) + `', 1)`, "of an unknown kind", "0"},
		{`CREATE TABLE Files (hash TEXT, vt_hits TEXT)`, `INSERT INTO files VALUES ('` + sha(1) + `', '1')`, "of an unknown kind", "0"},
		// Not every release has every column.
		{`CREATE TABLE files (shasum TEXT, vt_positives, vt_classification)`, `INSERT INTO files VALUES ('` + sha(1) + `', 5, 'x')`, "of a later release", "1"},
		{`CREATE TABLE files (hash TEXT, vt_hits, vt_description)`, `INSERT INTO files VALUES ('` + sha(1) + `', 5, 'x')`, "of the oldest scripts", "1"},
		{`CREATE TABLE files (shasum TEXT, vt_positives, vt_classification, more BLOB)`, `INSERT INTO files VALUES ('` + sha(1) + `', 5, 'x', x'00ff')`, "of a later release", "1"},
	} {
		db := emptyV3(t)
		exec(t, db, c.table)
		exec(t, db, c.insert)
		exec(t, db, `CREATE INDEX ix_files_first_seen ON files (`+rows(t, db, `SELECT name FROM pragma_table_info('files')`)[0]+`)`)
		before := content(t, db, "files")
		p := upgrade(t, db)
		if p.Found.OldFiles != c.shape {
			t.Errorf("%s is %q", c.table, p.Found.OldFiles)
		}
		if diff := cmp.Diff(before, content(t, db, "files_cowrieprocessor")); diff != "" {
			t.Errorf("%s: %s", c.table, diff)
		}
		if n := rows(t, db, `SELECT count(*) FROM file_verdicts`); n[0] != c.verdicts {
			t.Errorf("%s: %s verdicts", c.table, n[0])
		}
	}
}

// TestIndexNameClash: an old table's index has the name of one that is needed.
func TestIndexNameClash(t *testing.T) {
	t.Parallel()
	db := emptyV3(t)
	if err := cowrieprocessor.CreateFiles(t.Context(), db, "later"); err != nil {
		t.Fatal(err)
	}
	exec(t, db, `CREATE INDEX ix_files_last_seen ON files (last_updated)`)
	exec(t, db, `INSERT INTO files (session_id, shasum, vt_positives) VALUES ('s', ?, 5)`, sha(1))
	before := content(t, db, "files")
	upgrade(t, db)
	if diff := cmp.Diff(before, content(t, db, "files_cowrieprocessor")); diff != "" {
		t.Error(diff)
	}
	if got := rows(t, db, `SELECT tbl_name FROM sqlite_schema WHERE name = 'ix_files_last_seen'`); got[0] != "files" {
		t.Errorf("the index is one of %s", got[0])
	}
	if got := rows(t, db, `PRAGMA integrity_check`); got[0] != "ok" {
		t.Errorf("%v", got)
	}
}

// TestStepByStep stops behind every step, and makes a new plan.
func TestStepByStep(t *testing.T) {
	t.Parallel()
	db := emptyV3(t)
	if err := cowrieprocessor.CreateFiles(t.Context(), db, "later"); err != nil {
		t.Fatal(err)
	}
	exec(t, db, `INSERT INTO files (session_id, shasum, vt_positives) VALUES ('s', ?, 5)`, sha(1))
	var names []string
	for {
		p, err := migrate.Look(t.Context(), db)
		if err != nil {
			t.Fatal(err)
		}
		if len(p.Steps) == 0 {
			break
		}
		one := *p
		one.Steps = p.Steps[:1]
		if p.Steps[0].Name == "old verdicts" { // which is done every time
			one.Steps = p.Steps[:2]
		}
		if err := one.Run(t.Context(), db, func(i int) { names = append(names, one.Steps[i].Name) }); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{"old files table", "tables of version 4", "old verdicts", "redundant index", "old verdicts", "version"}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Error(diff)
	}
	if got := rows(t, db, `SELECT `+verdictColumns+` FROM file_verdicts`); len(got) != 1 || !strings.Contains(got[0], " 5/- ") {
		t.Errorf("%q", got)
	}
}

// TestSaidAtTheSameTime: of two sessions of a file different things were said at
// the same time. Both count, and are the same however often they are noted.
func TestSaidAtTheSameTime(t *testing.T) {
	t.Parallel()
	db := emptyV3(t)
	if err := cowrieprocessor.CreateFiles(t.Context(), db, "later"); err != nil {
		t.Fatal(err)
	}
	for i, label := range []any{"a", "b", "a", nil, "c"} {
		exec(t, db, `INSERT INTO files (session_id, shasum, vt_positives, vt_classification, last_updated) VALUES (?, ?, 3, ?, '2026-01-02 03:04:05')`, fmt.Sprint(i), sha(1), label)
		exec(t, db, `INSERT INTO files (session_id, shasum, vt_positives, vt_classification, last_updated) VALUES (?, ?, 3, 'x', '2026-01-02 03:04:05')`, fmt.Sprint(i), sha(i+2))
	}
	p, err := migrate.Look(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	for n := range p.Steps {
		if p.Steps[n].Name == "version" { // it stops before the last step, time and again
			p.Steps = p.Steps[:n]
			break
		}
	}
	if err := p.Run(t.Context(), db, func(int) {}); err != nil {
		t.Fatal(err)
	}
	upgrade(t, db)
	if diff := cmp.Diff([]string{"", "a", "b", "c"}, rows(t, db, `SELECT coalesce(classification, '') FROM file_verdicts WHERE shasum = ? ORDER BY 1`, sha(1))); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{jan2}, rows(t, db, `SELECT DISTINCT observed_at FROM file_verdicts WHERE shasum <> ?`, sha(1))); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"2026-01-02T03:04:05"}, rows(t, db, `SELECT DISTINCT substr(observed_at, 1, 19) FROM file_verdicts`)); diff != "" {
		t.Error(diff)
	}
}
