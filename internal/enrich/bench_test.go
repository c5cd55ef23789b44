package enrich_test

import (
	"database/sql"
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"midden/internal/cowrie"
	"midden/internal/enrich"
	"midden/internal/enrich/virustotal"
	"midden/internal/enrich/virustotal/vttest"
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
		if _, err := tx.Exec(`INSERT INTO lookups (shasum, state, due_at, updated_at) VALUES (?, ?, ?, ?)`,
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
		q := cowrie.LookupQuery{Now: now, Since: cowrie.NoTime, Limit: 2048}
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
		client, err := virustotal.NewClient(virustotal.Options{BaseURL: vt.URL, Key: virustotal.NewKey(key)})
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
