package backfill

import (
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"midden/internal/cowrie"
	"midden/internal/store/sqlite"
)

// BenchmarkReading reads the events of files of the database that MIDDEN_BENCH_DB
// names: as the sqlite3 shell selects their payloads, as the backfill's readers
// do, and with making sense of them. It prints ratios within one run.
func BenchmarkReading(b *testing.B) {
	path := os.Getenv("MIDDEN_BENCH_DB")
	if path == "" {
		b.Skip("MIDDEN_BENCH_DB names no database")
	}
	db, err := sqlite.Open(b.Context(), path, sqlite.Options{Write: true})
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	last, err := db.LastRawEvent(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	var shell, reading, sense time.Duration
	for b.Loop() {
		start := time.Now()
		if err := exec.Command("sqlite3", path, `SELECT payload FROM raw_events WHERE event_type IN
			('`+strings.Join(cowrie.FileEvents, "', '")+`')`).Run(); err != nil { // its output goes to /dev/null
			b.Fatal(err)
		}
		shell += time.Since(start)
		start = time.Now()
		var running sync.WaitGroup
		work := make(chan int64)
		for range readers {
			running.Go(func() {
				for from := range work {
					err := db.FileEvents(b.Context(), from, from+width, func(*cowrie.RawEvent) error { return nil })
					if err != nil {
						b.Error(err)
					}
				}
			})
		}
		for from := int64(0); from < last; from += width {
			work <- from
		}
		close(work)
		running.Wait()
		reading += time.Since(start)
		start = time.Now()
		parts, wait := read(b.Context(), db, 0, last)
		for p := range parts {
			if p.err != nil {
				b.Fatal(p.err)
			}
		}
		wait()
		sense += time.Since(start)
	}
	n := float64(b.N)
	b.ReportMetric(shell.Seconds()/n, "shell-s")
	b.ReportMetric(reading.Seconds()/n, "reading-s")
	b.ReportMetric(sense.Seconds()/n, "sense-s")
	b.ReportMetric(float64(reading)/float64(shell), "reading/shell")
	b.ReportMetric(float64(sense)/float64(shell), "sense/shell")
	b.ReportMetric(0, "ns/op")
}
