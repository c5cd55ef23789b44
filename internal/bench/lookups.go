package bench

import (
	"context"
	"fmt"
)

// Lookups are benchmarks of asking VirusTotal.
type Lookups struct{ Metrics }

func (b *bench) lookups(ctx context.Context) error {
	b.say("lookups: benchmarks of internal/enrich")
	m, err := b.goBench(ctx, "./internal/enrich", ".", fmt.Sprintf("%dx", b.Rounds), "MIDDEN_TEST_ENGINE=sqlite")
	if err != nil {
		return err
	}
	b.page.Lookups = &Lookups{m}
	return nil
}
