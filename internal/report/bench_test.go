package report_test

import (
	"os"
	"strconv"
	"testing"
	"time"

	"midden/internal/report"
	"midden/internal/synth"
)

// BenchmarkMonth makes reports of a month with MIDDEN_BENCH_EVENTS events (1,000,000 if it is
// not set): of days of which nothing is kept, of which a report has kept all, and of which loaders have.
func BenchmarkMonth(b *testing.B) {
	events := 1_000_000
	if text := os.Getenv("MIDDEN_BENCH_EVENTS"); text != "" {
		var err error
		if events, err = strconv.Atoi(text); err != nil {
			b.Fatal(err)
		}
	}
	dir := b.TempDir()
	o := synth.Options{Seed: 1, Events: events, Sensors: 4, Span: 31 * 24 * time.Hour}
	if _, err := o.WriteTree(b.Context(), dir, "gzip"); err != nil {
		b.Fatal(err)
	}
	db := newDatabase(b)
	db.loadPaths(b, dir)
	r := named(b, report.Monthly, "2026-01", "UTC")
	b.Run("loaded", func(b *testing.B) {
		for b.Loop() {
			db.report(b, r)
		}
		b.ReportMetric(float64(events), "events")
	})
	b.Run("cold", func(b *testing.B) {
		for b.Loop() {
			b.StopTimer()
			db.forget(b)
			b.StartTimer()
			db.report(b, r)
		}
		b.ReportMetric(float64(events), "events")
	})
	b.Run("warm", func(b *testing.B) {
		for b.Loop() {
			db.report(b, r)
		}
	})
}
