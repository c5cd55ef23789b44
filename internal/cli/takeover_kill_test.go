package cli

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"midden/internal/synth"
	"midden/internal/synth/cowrieprocessor"
	"midden/internal/synth/cowrieprocessor/cowrieprocessortest"
)

// killed runs the program until it reaches a named point, where it kills
// itself. It reports false if the program came to its end.
func killed(t testing.TB, point string, args ...string) bool {
	t.Helper()
	e := call(t, "MIDDEN_TEST_KILL_AT="+point, args...)
	if !e.killed {
		e.with(0, 3)
	}
	return e.killed
}

// TestKillTakeOver kills every step of a take-over at every named point of it:
// before and after each commit, and around what is not a transaction.
func TestKillTakeOver(t *testing.T) {
	t.Parallel()
	t.Run("migrate", func(t *testing.T) {
		t.Parallel()
		killMigrate(t)
	})
	base := bulky(t, 93)
	run(t, []int{0}, "-q", "--db", base, "migrate")
	t.Run("backfill", func(t *testing.T) {
		t.Parallel()
		killBackfill(t, base)
	})
	t.Run("compact", func(t *testing.T) {
		t.Parallel()
		killCompact(t, base)
	})
}

// bulky makes a database of cowrieprocessor with all that it did wrong, and so
// large events among the others that these make several segments, over which
// sessions are scattered.
func bulky(t testing.TB, seed uint64) string {
	t.Helper()
	path := oldDatabase(t, cowrieprocessor.Options{Logs: synth.Options{Seed: seed, Events: 600, FileShare: 0.3}, Files: "later", Faults: true})
	db := cowrieprocessortest.Open(t, path)
	defer db.Close()
	lines := madeLog(t, seed, 400)
	large := strings.Repeat("all work and no play makes jack a dull boy ", 3500)
	for i := range 4 {
		part := lines[i*len(lines)/4 : (i+1)*len(lines)/4]
		for n := range 2 {
			var session struct{ Session string }
			if err := json.Unmarshal(part[n], &session); err != nil {
				t.Fatal(err)
			}
			payload := fmt.Sprintf(`{"eventid": "cowrie.command.input", "session": %q, "timestamp": "2026-01-01T00:00:%02d.000000Z", "input": "%d %s"}`,
				session.Session, i, n, large)
			if _, err := cowrieprocessor.AddRaw(t.Context(), db, payload); err != nil {
				t.Fatal(err)
			}
		}
		cowrieprocessortest.Load(t, db, fmt.Sprint("cowrie.json.", i), part, cowrieprocessor.LoadOptions{Inode: "7"})
	}
	return path
}

// killMigrate kills a migration that takes all steps there are: before its
// first commit, before its second, and so on. What it leaves is that of the
// steps before; a soak goes through all points all the same.
func killMigrate(t *testing.T) {
	base := oldDatabase(t, cowrieprocessor.Options{Logs: synth.Options{Seed: 91, Events: 150, FileShare: 0.3}, Version: 1, Files: "later", Faults: true})
	func() {
		db := cowrieprocessortest.Open(t, base)
		defer db.Close()
		for _, statement := range []string{`DROP INDEX ix_raw_events_session_id`, `PRAGMA journal_mode = DELETE`} {
			if _, err := db.Exec(statement); err != nil {
				t.Fatal(err)
			}
		}
	}()
	calm := copyDatabase(t, base)
	run(t, []int{0}, "--db", calm, "migrate")
	want := takenOver(t, calm)
	well(t, calm)
	point, least := "migrate: before commit", 8
	if os.Getenv("MIDDEN_SOAK") != "" {
		point, least = "migrate", 25
	}
	for n := 1; ; n++ {
		db := copyDatabase(t, base)
		if !killed(t, fmt.Sprintf("%s#%d", point, n), "--db", db, "migrate") {
			if n <= least {
				t.Errorf("there were %d points only", n-1)
			}
			break
		}
		run(t, []int{0}, "--db", db, "migrate")
		if same(t, want, takenOver(t, db)); t.Failed() {
			t.Fatalf("killed at point %d", n)
		}
	}
}

// killBackfill kills a backfill again and again, so that it hardly gets on.
func killBackfill(t *testing.T, base string) {
	calm, db := copyDatabase(t, base), copyDatabase(t, base)
	backfill := func(db string) []string { return []string{"--db", db, "backfill", "run", "--batch", "16"} }
	run(t, []int{0, 3}, backfill(calm)...)
	want := takenOver(t, calm)
	points := []string{"after commit#1", "before commit#1", "before commit#3", "after commit#2"}
	kills := 0
	for killed(t, "backfill: "+points[kills%len(points)], backfill(db)...) {
		if kills++; kills > 100 {
			t.Fatal("it does not get on")
		}
		if kills == 5 { // at no time is there a gap
			call(t, "", "--db", db, "verify").with(0)
		}
	}
	if kills < 8 {
		t.Errorf("it was killed %d times only", kills)
	}
	same(t, want, takenOver(t, db))

	// Nothing is left to do.
	run(t, []int{0}, backfill(db)...)
	same(t, want, takenOver(t, db))
	well(t, db)
}

// killCompact kills a compaction at each of its points, one after the other. At
// all times every event is there.
func killCompact(t *testing.T, base string) {
	calm := copyDatabase(t, base)
	run(t, []int{0, 3}, "--db", calm, "backfill", "run")
	before, was := takenOver(t, calm), size(t, calm)
	db := copyDatabase(t, calm)
	compact := func(db string) []string { return []string{"--db", db, "compact", "--yes"} }
	run(t, []int{0}, compact(calm)...)
	want := takenOver(t, calm)
	facts := []string{"file", "sighting", "verdict"}
	for _, point := range []string{
		"compact: before commit", "compact: after commit", "compact: before commit", "compact: after commit",
		"delete: before commit", "delete: after commit",
		"give back: PRAGMA temp_store", "give back: VACUUM", "give back: PRAGMA wal_checkpoint",
	} {
		if !killed(t, point, compact(db)...) {
			t.Fatalf("%s was not reached", point)
		}
		got := takenOver(t, db)
		same(t, dumpOf(before, facts...), dumpOf(got, facts...))
		same(t, events(before), events(got))
		if point == "compact: after commit" {
			call(t, "", "--db", db, "verify").with(0)
		}
		if t.Failed() {
			t.Fatalf("killed at %s", point)
		}
	}
	run(t, []int{0}, compact(db)...)
	same(t, want, takenOver(t, db))
	well(t, db)
	if is := size(t, db); is > was/3 {
		t.Errorf("the database takes %d bytes, it took %d", is, was)
	}
}

// events returns the events of a dump, each once.
func events(dump string) string {
	var b strings.Builder
	last := ""
	for line := range strings.Lines(dump) {
		if strings.HasPrefix(line, "event ") && line != last {
			b.WriteString(line)
			last = line
		}
	}
	return b.String()
}

func size(t testing.TB, path string) int64 {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}
