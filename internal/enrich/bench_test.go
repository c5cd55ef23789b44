package enrich_test

import (
	"database/sql"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"midden/internal/cowrie"
	"midden/internal/enrich"
	"midden/internal/enrich/source"
	"midden/internal/enrich/virustotal"
	"midden/internal/enrich/virustotal/vttest"
	"midden/internal/store"
	"midden/internal/store/sqlite"
)

// many is how many files a benchmark has.
func many(b *testing.B, otherwise int) int {
	n, err := strconv.Atoi(os.Getenv("MIDDEN_BENCH_FILES"))
	if err != nil {
		return otherwise
	}
	return n
}

// fill makes files, each seen once, and lookups in a state.
func fill(b *testing.B, path string, n int, state string, due time.Time) {
	db, err := sql.Open("sqlite", path)
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	tx, err := db.Begin()
	if err != nil {
		b.Fatal(err)
	}
	defer tx.Rollback()
	for i := range n {
		shasum := hashOf(fmt.Sprint(i))
		at := time.Date(2026, 1, 1, 0, 0, i%5_000_000, 0, time.UTC).Format("2006-01-02T15:04:05.000000Z")
		if _, err := tx.Exec(`INSERT INTO files (shasum, first_seen, last_seen, sighting_count, created_at, updated_at) VALUES (?, ?, ?, 1, ?, ?)`,
			shasum, at, at, at, at); err != nil {
			b.Fatal(err)
		}
		if _, err := tx.Exec(`INSERT INTO lookups (source, shasum, state, due_at, updated_at) VALUES ('virustotal', ?, ?, ?, ?)`,
			shasum, state, cowrie.FromStd(due.Add(time.Duration(i)*time.Millisecond)).String(), at); err != nil {
			b.Fatal(err)
		}
	}
	if err := tx.Commit(); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkDue finds what is due among files (1,000,000, or MIDDEN_BENCH_FILES)
// whose answers are fresh but for ten.
func BenchmarkDue(b *testing.B) {
	path := b.TempDir() + "/midden.db"
	db, err := sqlite.Open(b.Context(), path, sqlite.Options{Create: true, Write: true})
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	now := time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
	fill(b, path, many(b, 1_000_000), cowrie.LookupWaiting, now.Add(-9*time.Millisecond))
	found := 0
	for b.Loop() {
		found = 0
		count := func(cowrie.Lookup) error { found++; return nil }
		q := cowrie.LookupQuery{Source: cowrie.SourceVirusTotal, Now: now, Since: cowrie.NoTime, Limit: 2048}
		if err := db.NewLookups(b.Context(), q, count); err != nil {
			b.Fatal(err)
		}
		if err := db.DueLookups(b.Context(), q, count); err != nil {
			b.Fatal(err)
		}
	}
	if found != 10 {
		b.Errorf("%d are due", found)
	}
}

// BenchmarkAsk asks a VirusTotal of its own, without a quota, about 20,000 files,
// or MIDDEN_BENCH_FILES.
func BenchmarkAsk(b *testing.B) {
	for b.Loop() {
		n := many(b, 20_000)
		path := b.TempDir() + "/midden.db"
		db, err := sqlite.Open(b.Context(), path, sqlite.Options{Create: true, Write: true})
		if err != nil {
			b.Fatal(err)
		}
		fill(b, path, n, cowrie.LookupNew, time.Now())
		vt := vttest.New(b)
		vt.AddAccount(vttest.Account{Key: key, User: "u"})
		client, err := virustotal.NewClient(source.Options{BaseURL: vt.URL, Key: source.NewKey(key)})
		if err != nil {
			b.Fatal(err)
		}
		start := time.Now()
		sum, err := enrich.Run(b.Context(), db, client, enrich.Options{Account: "virustotal bench", Policy: enrich.DefaultPolicy(),
			Since: cowrie.NoTime, Log: quiet, Now: time.Now, Limits: cowrie.Limits{Minute: 1 << 30}})
		if err != nil || sum.Asked != int64(n) {
			b.Fatalf("%+v, %v", sum, err)
		}
		b.ReportMetric(float64(n)/time.Since(start).Seconds(), "lookups/s")
		db.Close()
	}
}

// BenchmarkVerdictOfFrequentFile stores a verdict on a file with 1,000,000 sightings
// in as many sessions, or MIDDEN_BENCH_FILES, and tells how many rows that changes.
func BenchmarkVerdictOfFrequentFile(b *testing.B) {
	path := b.TempDir() + "/midden.db"
	db, err := sqlite.Open(b.Context(), path, sqlite.Options{Create: true, Write: true})
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	now := time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
	fill(b, path, 1, cowrie.LookupNew, now)
	other, err := sql.Open("sqlite", path)
	if err != nil {
		b.Fatal(err)
	}
	defer other.Close()
	n := many(b, 1_000_000)
	for _, statement := range []string{
		`INSERT INTO session_summaries (session_id, first_event_at, last_event_at, event_count, matcher) SELECT printf('%012x', i), '2026-01-01 00:00:00.000000', '2026-01-01 00:00:00.000000', 1, 'a' FROM n`,
		`INSERT INTO file_sightings (shasum, session_id, sensor, kind, seen_at, sighting_key) SELECT f.shasum, printf('%012x', i), 'a', 'download', '2026-01-01T00:00:00.000000Z', randomblob(16) FROM n, files f`,
		`UPDATE files SET sighting_count = (SELECT count(*) FROM file_sightings)`,
	} {
		if strings.HasPrefix(statement, "INSERT") {
			statement = `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ` + strconv.Itoa(n) + `) ` + statement
		}
		if _, err := other.Exec(statement); err != nil {
			b.Fatal(err)
		}
	}
	pages := func() int64 { // in the journal
		info, err := os.Stat(path + "-wal")
		if err != nil {
			b.Fatal(err)
		}
		return info.Size() / 16384
	}
	if _, err := other.Exec(`PRAGMA wal_checkpoint(TRUNCATE)`); err != nil {
		b.Fatal(err)
	}
	var written int64
	verdicts := 0
	for b.Loop() {
		before := pages()
		v := cowrie.NewVerdict(hashOf("0"), cowrie.SourceVirusTotal, cowrie.FromStd(now.Add(time.Duration(verdicts)*time.Hour)))
		v.Malicious, v.Total, v.Classification = 40+verdicts%20, 60, "trojan.made/up"
		if err := db.Answered(b.Context(), v, cowrie.FromStd(now.AddDate(0, 1, 0)), nil); err != nil {
			b.Fatal(err)
		}
		written = pages() - before
		verdicts++
	}
	b.ReportMetric(float64(written), "pages")
	flagged := 0
	q := store.SessionFilter{Flagged: true, Limit: 10, Since: cowrie.NoTime, Until: cowrie.NoTime}
	if err := db.Sessions(b.Context(), q, func(*store.Session) error { flagged++; return nil }); err != nil || flagged != 10 {
		b.Errorf("%d sessions are flagged, %v", flagged, err)
	}
}
