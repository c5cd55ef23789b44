package bench

import (
	"context"
	"path/filepath"
	"strings"
)

// buildDuckDB builds the program that runs SQL in DuckDB, and returns the version of DuckDB, or
// "" if it cannot be had here.
func (b *bench) buildDuckDB(ctx context.Context) (version string, err error) {
	b.say("building DuckDB's program")
	path := filepath.Join(b.dir, "duckdb")
	build := program{name: "go", args: []string{"build", "-o", path, "."}, dir: filepath.Join(b.Checkout, "internal/bench/duckdb"),
		env: []string{"CGO_ENABLED=1"}}
	if _, err := build.run(ctx); err != nil {
		if ctx.Err() != nil {
			return "", err
		}
		b.say("DuckDB is left out, since its module cannot be built here: %v", err)
		return "", nil
	}
	b.duckdb = path
	out, _, err := program{name: path, args: []string{"", "SELECT version()"}}.output(ctx)
	return strings.TrimSpace(out), err
}
