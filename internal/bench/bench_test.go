package bench

import (
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"midden/internal/ingest"
	"midden/internal/store/sqlite"
)

// BenchmarkLoad loads the logs that MIDDEN_BENCH_LOGS names, to be profiled.
func BenchmarkLoad(b *testing.B) {
	logs := os.Getenv("MIDDEN_BENCH_LOGS")
	if logs == "" {
		b.Skip("MIDDEN_BENCH_LOGS names no logs")
	}
	for b.Loop() {
		db, err := sqlite.Open(b.Context(), filepath.Join(b.TempDir(), "midden.db"), sqlite.Options{Create: true, Write: true})
		if err != nil {
			b.Fatal(err)
		}
		if _, err := ingest.Load(b.Context(), db, []string{logs}, ingest.Options{Log: slog.New(slog.NewTextHandler(io.Discard, nil))}); err != nil {
			b.Fatal(err)
		}
		if err := db.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
