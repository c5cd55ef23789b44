package bench

import (
	"context"
	"fmt"
)

// Reports are benchmarks of a month's report, on both engines.
type Reports struct {
	Events           int
	SQLite, Postgres Metrics
}

func (b *bench) reports(ctx context.Context) error {
	page := Reports{Events: b.Events / 2}
	for engine, into := range map[string]*Metrics{"sqlite": &page.SQLite, "postgres": &page.Postgres} {
		b.say("reports: benchmark of internal/report on %s", engine)
		var err error
		if *into, err = b.goBench(ctx, "./internal/report", "Month", fmt.Sprintf("%dx", b.Rounds), "MIDDEN_TEST_ENGINE="+engine,
			fmt.Sprintf("MIDDEN_BENCH_EVENTS=%d", page.Events)); err != nil {
			return err
		}
	}
	b.page.Reports = &page
	return nil
}
