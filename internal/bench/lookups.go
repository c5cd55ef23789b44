package bench

import (
	"context"
	"fmt"
	"maps"
)

// Lookups are benchmarks of asking VirusTotal about so many files, and of finding what is due
// among, and storing a verdict on one that was seen in, so many.
type Lookups struct {
	Asked, Due int
	Metrics
}

func (b *bench) lookups(ctx context.Context) error {
	b.say("lookups: benchmarks of internal/enrich")
	page := Lookups{Asked: max(b.Events/100, 100), Due: max(b.Events/2, 100), Metrics: Metrics{}}
	for name, files := range map[string]int{"Ask": page.Asked, "Due|VerdictOfFrequentFile": page.Due} {
		m, err := b.goBench(ctx, "./internal/enrich", name, fmt.Sprintf("%dx", b.Rounds), "MIDDEN_TEST_ENGINE=sqlite",
			fmt.Sprintf("MIDDEN_BENCH_FILES=%d", files))
		if err != nil {
			return err
		}
		maps.Copy(page.Metrics, m)
	}
	b.page.Lookups = &page
	return nil
}
