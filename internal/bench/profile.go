package bench

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Profile tells what a load spends its time in.
type Profile struct {
	Logs   Synthetic
	Shares []Share
}

// Share is how much of the processors' time something took.
type Share struct {
	What    string
	Percent float64
}

// profile loads the shared logs once more, in a test of this package that is profiled.
func (b *bench) profile(ctx context.Context) error {
	l, err := b.shared(ctx)
	if err != nil {
		return err
	}
	return b.within("profile", func(dir string) error {
		b.say("profile: a load")
		test, samples := filepath.Join(dir, "bench.test"), filepath.Join(dir, "cpu")
		run := program{name: "go", args: []string{"test", "./internal/bench", "-run", "^$", "-bench", "Load$", "-benchtime", "1x",
			"-o", test, "-cpuprofile", samples}, dir: b.Checkout, env: []string{"MIDDEN_BENCH_LOGS=" + l.dir}}
		if out, _, err := run.output(ctx); err != nil {
			return fmt.Errorf("%w\n%s", err, out)
		}
		out, _, err := program{name: "go", args: []string{"tool", "pprof", "-top", "-nodecount", "100000", "-nodefraction", "0", test, samples}}.output(ctx)
		if err != nil {
			return err
		}
		b.page.Profile = &Profile{Logs: l.Synthetic, Shares: shares(out)}
		return nil
	})
}

// rooms are what functions belong to, by the beginnings of their names; the first that fits counts.
var rooms = []struct{ beginning, what string }{
	{"modernc.org/", "SQLite"},
	{"github.com/klauspost/compress/", "zstd"},
	{"crypto/", "SHA-256"},
	{"midden/internal/cowrie", "making sense of events (`internal/cowrie`)"},
	{"midden/internal/logs", "finding and reading logs (`internal/logs`)"},
	{"midden/internal/store", "rows and segments (`internal/store`)"},
	{"midden/", "the rest of midden"},
	{"syscall.", "system calls"},
	{"internal/runtime/syscall.", "system calls"},
	{"runtime.", "Go's runtime: copying, memory, goroutines"},
	{"internal/runtime/", "Go's runtime: copying, memory, goroutines"},
}

// shares adds up what "go tool pprof -top" says of functions themselves, the largest first.
func shares(top string) []Share {
	sums := map[string]float64{}
	for line := range strings.Lines(top) {
		fields := strings.Fields(line) // flat flat% sum% cum cum% name
		if len(fields) < 6 {
			continue
		}
		percent, err := strconv.ParseFloat(strings.TrimSuffix(fields[1], "%"), 64)
		if err != nil {
			continue
		}
		what := "other libraries"
		for _, room := range rooms {
			if strings.HasPrefix(fields[5], room.beginning) {
				what = room.what
				break
			}
		}
		sums[what] += percent
	}
	var all []Share
	for what, percent := range sums {
		all = append(all, Share{what, percent})
	}
	slices.SortFunc(all, func(a, b Share) int { return cmp.Or(cmp.Compare(b.Percent, a.Percent), cmp.Compare(a.What, b.What)) })
	return all
}
