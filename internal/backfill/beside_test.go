package backfill_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"midden/internal/backfill"
	"midden/internal/cowrie"
	"midden/internal/ingest"
	"midden/internal/store"
	"midden/internal/store/sqlite"
	"midden/internal/synth"
)

// timed is an event log that measures how long its transactions take, the
// waiting for the lock included.
type timed struct {
	*store.Store
	took []time.Duration
}

func (l *timed) Append(ctx context.Context, chunks []*cowrie.Chunk) (cowrie.Tally, []*cowrie.Source, error) {
	start := time.Now()
	defer func() { l.took = append(l.took, time.Since(start)) }()
	return l.Store.Append(ctx, chunks)
}

// BenchmarkBeside measures how long a loader's commits take in the database that
// MIDDEN_BENCH_DB names (migrated, and not backfilled), alone and beside a
// backfill, and how fast the backfill is then.
func BenchmarkBeside(b *testing.B) {
	path := os.Getenv("MIDDEN_BENCH_DB")
	if path == "" {
		b.Skip("MIDDEN_BENCH_DB names no database")
	}
	open := func() *store.Store {
		db, err := sqlite.Open(b.Context(), path, sqlite.Options{Write: true})
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { db.Close() })
		return db
	}
	loads := 0
	load := func(log *timed, n int) {
		for range n {
			loads++
			dir := filepath.Join(b.TempDir(), fmt.Sprint(loads))
			o := synth.Options{Seed: uint64(1000 + loads), Events: 1000, Sensors: 1}
			if _, err := o.WriteTree(b.Context(), dir, "none"); err != nil {
				b.Fatal(err)
			}
			if _, err := ingest.Load(b.Context(), log, []string{dir}, ingest.Options{Log: slog.New(slog.DiscardHandler)}); err != nil {
				b.Fatal(err)
			}
		}
	}
	const commits = 60
	loader := &timed{Store: open()}
	load(loader, commits)
	alone := loader.took
	ctx, stop := context.WithCancel(b.Context())
	ended := make(chan backfill.Summary)
	go func() {
		sum, _ := backfill.Run(ctx, open(), backfill.Options{Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
		ended <- sum
	}()
	time.Sleep(time.Second) // it is at full speed when the loader comes
	loader.took = nil
	start := time.Now()
	for b.Loop() {
		load(loader, commits)
	}
	seconds := time.Since(start).Seconds()
	stop()
	sum := <-ended
	report := func(name string, took []time.Duration) (median float64) {
		slices.Sort(took)
		median = took[len(took)/2].Seconds() * 1000
		b.ReportMetric(median, name+"-median-ms")
		b.ReportMetric(took[len(took)*95/100].Seconds()*1000, name+"-p95-ms")
		b.ReportMetric(took[len(took)-1].Seconds()*1000, name+"-max-ms")
		return median
	}
	first := loader.took[0]
	a, c := report("alone", alone), report("beside", loader.took)
	b.ReportMetric(c/a, "beside/alone")
	b.ReportMetric(first.Seconds()*1000, "first-ms")
	b.ReportMetric(float64(sum.Sightings)/(seconds+1), "sightings/s")
	b.ReportMetric(0, "ns/op")
}
