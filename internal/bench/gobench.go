package bench

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Metrics are what benchmarks of "go test -bench" report: name, or name and unit, to value. The
// name is without "Benchmark" and the number of processors.
type Metrics map[string]float64

// goBench runs benchmarks of a package of the checkout.
func (b *bench) goBench(ctx context.Context, pkg, name, times string, env ...string) (Metrics, error) {
	p := program{name: "go", args: []string{"test", pkg, "-run", "^$", "-bench", name, "-benchtime", times}, dir: b.Checkout, env: env}
	out, _, err := p.output(ctx)
	if err != nil {
		return nil, fmt.Errorf("%w\n%s", err, out)
	}
	return parseMetrics(out)
}

// parseMetrics reads "BenchmarkName-2  5  1234 ns/op  5 pages" and passes over all other lines.
func parseMetrics(out string) (Metrics, error) {
	m := Metrics{}
	for line := range strings.Lines(out) {
		fields := strings.Fields(line)
		if len(fields) < 4 || !strings.HasPrefix(fields[0], "Benchmark") {
			continue
		}
		name := strings.TrimPrefix(fields[0], "Benchmark")
		if i := strings.LastIndexByte(name, '-'); i >= 0 {
			name = name[:i]
		}
		for i := 2; i+1 < len(fields); i += 2 {
			value, err := strconv.ParseFloat(fields[i], 64)
			if err != nil {
				return nil, fmt.Errorf("%q: %w", line, err)
			}
			m[name+" "+fields[i+1]] = value
		}
	}
	if len(m) == 0 {
		return nil, fmt.Errorf("no benchmark ran:\n%s", out)
	}
	return m, nil
}

// Of returns a value; of one that is not there a page cannot be made.
func (m Metrics) Of(name string) (float64, error) {
	v, ok := m[name]
	if !ok {
		return 0, fmt.Errorf("no benchmark has told %q", name)
	}
	return v, nil
}

// Time returns how long one time took.
func (m Metrics) Time(name string) (time.Duration, error) {
	v, err := m.Of(name + " ns/op")
	return time.Duration(v), err
}
