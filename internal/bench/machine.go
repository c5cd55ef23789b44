package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	sqlite "modernc.org/sqlite/lib"

	"midden/internal/store/postgres/pgtest"
)

// Fact is a row of the table that says what was measured on what.
type Fact struct{ What, Value string }

// machine notes the machine and all versions. It tells no names of hosts and no paths.
func (b *bench) machine(ctx context.Context) error {
	fact := func(what, value string) { b.page.Machine = append(b.page.Machine, Fact{what, value}) }
	said := func(name string, args ...string) (string, error) {
		out, _, err := program{name: name, args: args, dir: b.Checkout}.output(ctx)
		first, _, _ := strings.Cut(out, "\n")
		return strings.TrimSpace(first), err
	}
	var failed error
	says := func(what, before, name string, args ...string) {
		value, err := said(name, args...)
		if err != nil && failed == nil {
			failed = err
		}
		fact(what, strings.TrimPrefix(value, before))
	}

	fact("date", time.Now().UTC().Format(time.DateOnly))
	fact("processor", processor())
	fact("cores", strconv.Itoa(runtime.NumCPU()))
	memory, err := memory()
	if err != nil {
		return err
	}
	fact("memory", memory)
	out, _, err := program{name: "df", args: []string{"--output=fstype", b.dir}}.output(ctx)
	if err != nil {
		return err
	}
	fact("file system", strings.TrimSpace(strings.TrimPrefix(out, "Type")))
	says("system", "", "uname", "-sr")
	fact("Go", strings.TrimPrefix(runtime.Version(), "go"))

	var version struct{ Version string }
	text, _, err := program{name: b.Midden, args: []string{"version", "-o", "json"}}.output(ctx)
	if err != nil {
		return err
	}
	if err := json.Unmarshal([]byte(text), &version); err != nil {
		return err
	}
	fact("midden", version.Version)
	// A version of a tag does not say the commit, and there may be no git.
	if commit, err := said("git", "rev-parse", "--short", "HEAD"); err == nil && !strings.Contains(version.Version, commit) {
		fact("commit", commit)
	}

	fact("SQLite in midden", sqlite.SQLITE_VERSION)
	shell, err := said("sqlite3", "--version")
	if err != nil {
		return err
	}
	fact("SQLite's shell", strings.Fields(shell)[0])
	if b.measures("postgres") || b.measures("reports") {
		programs, err := pgtest.Programs()
		if err != nil {
			return fmt.Errorf("PostgreSQL: %w", err)
		}
		says("PostgreSQL", "postgres (PostgreSQL) ", filepath.Join(programs, "postgres"), "--version")
	}
	if b.measures("questions") {
		duckdb, err := b.buildDuckDB(ctx)
		if err != nil {
			return err
		}
		if duckdb == "" {
			duckdb = "left out: it could not be built"
		}
		fact("DuckDB", strings.TrimPrefix(duckdb, "v"))
		says("jq", "jq-", "jq", "--version")
		says("grep", "grep (GNU grep) ", "grep", "--version")
	}
	if b.measures("scan") {
		sums, err := sha256sum(ctx)
		if err != nil {
			return err
		}
		fact("sha256sum", sums)
	}
	return failed
}

func (b *bench) measures(part string) bool { return slices.Contains(b.Parts, part) }

// processor is what the system calls the processor.
func processor() string {
	found := runtime.GOARCH
	_ = linesOf("/proc/cpuinfo", func(line []byte) error { // some do not say
		if name, value, ok := strings.Cut(string(line), ":"); ok && strings.TrimSpace(name) == "model name" {
			found = strings.TrimSpace(value)
		}
		return nil
	})
	return found
}

// memory is how much there is in all.
func memory() (found string, err error) {
	err = linesOf("/proc/meminfo", func(line []byte) error {
		var kb float64
		if n, _ := fmt.Sscanf(string(line), "MemTotal: %f kB", &kb); n == 1 {
			found = fmt.Sprintf("%.0f GB", kb*1024/1e9)
		}
		return nil
	})
	return found, err
}

// sha256sum tells its version, and whether it computes by OpenSSL, which uses the
// processor's instructions for it.
func sha256sum(ctx context.Context) (string, error) {
	out, _, err := program{name: "sha256sum", args: []string{"--version"}}.output(ctx)
	if err != nil {
		return "", err
	}
	first, _, _ := strings.Cut(strings.TrimPrefix(out, "sha256sum ("), "\n") // GNU coreutils) 9.1
	first = strings.Replace(first, ")", "", 1)
	path, err := exec.LookPath("sha256sum")
	if err != nil {
		return "", err
	}
	libraries, _, err := program{name: "ldd", args: []string{path}}.output(ctx)
	switch {
	case err != nil: // linked statically
		return first, nil
	case strings.Contains(libraries, "libcrypto"):
		return first + ", with OpenSSL", nil
	}
	return first + ", without OpenSSL", nil
}
