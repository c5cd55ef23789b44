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
		out, _, err := program{name: "go", args: []string{"tool", "pprof", "-traces", "-unit", "ms", test, samples}}.output(ctx)
		if err != nil {
			return err
		}
		shares, err := parseTraces(out)
		if err != nil {
			return err
		}
		b.page.Profile = &Profile{Logs: l.Synthetic, Shares: shares}
		return nil
	})
}

// rooms are what functions belong to, by the beginnings of their names; the first that fits counts.
// All others work for those that call them.
var rooms = []struct{ beginning, what string }{
	{"modernc.org/", "SQLite"},
	{"github.com/klauspost/compress/", "zstd"},
	{"crypto/", "SHA-256"},
	{"syscall.", "system calls"},
	{"midden/internal/cowrie.", "making sense of events (`internal/cowrie`)"},
	{"midden/internal/store", "making rows and segments (`internal/store`)"},
	{"midden/", "finding, reading and cutting logs (`internal/logs`, `internal/ingest`)"},
}

const noRoom = "Go's runtime: memory, goroutines"

// parseTraces reads what "go tool pprof -traces -unit ms" prints: behind a line of dashes the time of a sample and the
// function itself, and then a line for each that called.
func parseTraces(out string) ([]Share, error) {
	took := map[string]float64{}
	var all, sample float64
	settled := true // whose the sample is
	settle := func(what string) {
		if !settled {
			took[what] += sample
			settled = true
		}
	}
	for line := range strings.Lines(out) {
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		if strings.HasPrefix(fields[0], "-----") {
			settle(noRoom)
			sample = 0
			continue
		}
		if ms, ok := strings.CutSuffix(fields[0], "ms"); ok && sample == 0 {
			if v, err := strconv.ParseFloat(ms, 64); err == nil && len(fields) > 1 {
				all, sample, settled = all+v, v, false
				fields = fields[1:]
			}
		}
		for _, room := range rooms {
			if strings.HasPrefix(fields[0], room.beginning) {
				settle(room.what)
				break
			}
		}
	}
	settle(noRoom)
	if all == 0 {
		return nil, fmt.Errorf("the profile has no samples:\n%s", out)
	}
	var shares []Share
	for what, ms := range took {
		shares = append(shares, Share{what, 100 * ms / all})
	}
	slices.SortFunc(shares, func(a, b Share) int { return cmp.Or(cmp.Compare(b.Percent, a.Percent), cmp.Compare(a.What, b.What)) })
	return shares, nil
}
