package cli

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"midden/internal/synth/cowrieprocessor/cowrieprocessortest"
)

// realData returns a file or directory of the collection of real logs that may
// lie beside the project. A test that needs it is skipped where it does not.
func realData(t testing.TB, elem ...string) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(append([]string{"shared", "data"}, elem...)...)
	for {
		path := filepath.Join(dir, name)
		if _, err := os.Stat(path); err == nil {
			return path
		}
		if dir == filepath.Dir(dir) {
			t.Skipf("SKIPPED: %s was not found in any directory above this package", name)
		}
		dir = filepath.Dir(dir)
	}
}

// TestRealTakeOver takes over a database that cowrieprocessor itself wrote, and
// loads the logs that it was made of.
func TestRealTakeOver(t *testing.T) {
	t.Parallel()
	logs := realData(t, "logs")
	path := filepath.Join(t.TempDir(), "cowrieprocessor.sqlite")
	unpack(t, realData(t, "v3", "cowrieprocessor-v3.sqlite.zst"), path)
	db := cowrieprocessortest.Open(t, path)
	before, given := rawDigest(t, db, 1<<62), size(t, path)
	midden := func(codes []int, args ...string) ended {
		t.Helper()
		return call(t, "USE_NEW_ENRICHMENT=true", append([]string{"--db", path}, args...)...).with(codes...)
	}
	holds := func(files, sightings, pairs int) {
		t.Helper()
		for query, want := range map[string]int{
			`SELECT count(*) FROM files`:                                                    files,
			`SELECT count(*) FROM file_sightings`:                                           sightings,
			`SELECT count(*) FROM (SELECT DISTINCT session_id, shasum FROM file_sightings)`: pairs,
		} {
			if got := value[int](t, db, query); got != want {
				t.Errorf("%s is %d, want %d", query, got, want)
			}
		}
	}
	midden([]int{0}, "migrate")
	for range 2 {
		midden([]int{0, 3}, "backfill", "run")
		holds(40, 219, 197)
	}
	midden([]int{0}, "verify")

	// The logs that it was made of, under other names, packed and not.
	var sum struct{ Lines, Events, Sightings, Files, Sessions int64 }
	for _, sensor := range []string{"sensor-2021", "sensor-2026-04", "sensor-2020", "sensor-2022"} {
		dir := t.TempDir()
		copies(t, filepath.Join(logs, sensor), dir)
		decode(t, midden([]int{0, 3}, "load", "-o", "json", filepath.Join(dir, "plain"), filepath.Join(dir, "packed")).out, &sum)
		if sum.Events != 0 || sum.Sightings != 0 || sum.Files != 0 || sum.Sessions != 0 || sum.Lines == 0 {
			t.Errorf("loading %s is no news, but adds %+v", sensor, sum)
		}
	}
	holds(40, 219, 197)

	// All logs there are. One event is none: cowrieprocessor made it of a line that
	// was cut off.
	midden([]int{3}, "load", "-q", logs)
	events := midden([]int{0}, "events").out
	if n, malformed := strings.Count(events, "\n"), strings.Count(events, `{"malformed"`); n != 47288+malformed || malformed != 1 {
		t.Errorf("there are %d events, and %d of them malformed", n, malformed)
	}
	holds(51, 233, value[int](t, db, `SELECT sum(n) FROM (SELECT count(DISTINCT session_id) n FROM file_sightings GROUP BY shasum)`))
	if after := rawDigest(t, db, 1<<62); after != before {
		t.Error("the raw events are others now")
	}

	// Moved into segments, it is as if the logs had been loaded from the beginning.
	was := value[int64](t, db, `SELECT page_count * page_size FROM pragma_page_count, pragma_page_size`)
	midden([]int{0}, "compact", "--yes")
	db.Close()
	native := filepath.Join(t.TempDir(), "native.db")
	run(t, []int{3}, "-q", "--db", native, "load", logs)
	same(t, dumpOf(canonical(t, native), comparable...), dumpOf(canonical(t, path), comparable...))
	well(t, path)
	// Half of the events were loaded; of the room that the others took four fifths
	// are free.
	if is := size(t, path); was-is < given*4/5 {
		t.Errorf("the database takes %d bytes, it took %d, of which cowrieprocessor had written %d", is, was, given)
	}
}

// unpack decompresses a file.
func unpack(t testing.TB, from, to string) {
	t.Helper()
	f, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := zstd.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	data, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// copies writes the logs of a directory into two others under other names, as
// they are and gzipped once more.
func copies(t testing.TB, from, to string) {
	t.Helper()
	for _, dir := range []string{"plain", "packed"} {
		if err := os.Mkdir(filepath.Join(to, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	paths, err := filepath.Glob(filepath.Join(from, "*"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("there are no logs in %s: %v", from, err)
	}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		name := "another." + filepath.Base(path)
		if err := os.WriteFile(filepath.Join(to, "plain", name), data, 0o644); err != nil {
			t.Fatal(err)
		}
		if filepath.Ext(path) != ".gz" {
			if err := os.WriteFile(filepath.Join(to, "packed", name+".gz"), gzipped(data), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}
