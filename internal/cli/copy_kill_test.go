package cli

import (
	"path/filepath"
	"testing"

	"midden/internal/store/postgres/pgtest"
)

// TestKillCopy kills a copy around its commits, again and again, so that it hardly
// gets on: to PostgreSQL and back.
func TestKillCopy(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	from := filepath.Join(dir, "from.db")
	oddLog(t, dir)
	run(t, []int{0, 3}, "-q", "--db", from, "load", dir)
	want := dump(t, from)
	points := []string{"after commit#1", "before commit#1", "before commit#2", "after commit#2"}
	for _, to := range []string{pgtest.Shared(t).Empty(t), filepath.Join(dir, "back.db")} {
		args := []string{"-q", "copy", "--from", from, "--to", to}
		kills := 0
		for killed(t, "copy: "+points[kills%len(points)], args...) {
			if kills++; kills > 100 {
				t.Fatal("it does not get on")
			}
			call(t, "", "--db", to, "load", dir).with(1)
		}
		if kills < 6 {
			t.Errorf("it was killed %d times only", kills)
		}
		same(t, want, dump(t, to))
		run(t, []int{0}, "--db", to, "load", dir)
		from = to
	}
}

// TestKillCopyOfOld kills the copy of a database of cowrieprocessor.
func TestKillCopyOfOld(t *testing.T) {
	t.Parallel()
	from := bulky(t, 95)
	dir := t.TempDir()
	calm, to := filepath.Join(dir, "calm.db"), filepath.Join(dir, "killed.db")
	run(t, []int{0}, "-q", "copy", "--from", from, "--to", calm)
	want := canonical(t, calm)
	well(t, calm)
	points := []string{"copy: before commit#2", "copy: after commit", "backfill: before commit", "backfill: after commit", "compact: before commit", "compact: after commit#2"}
	for _, point := range points {
		if !killed(t, point, "-q", "copy", "--from", from, "--to", to) {
			t.Errorf("%s was not reached", point)
		}
		call(t, "", "--db", to, "files", "list").with(1)
	}
	run(t, []int{0}, "-q", "copy", "--from", from, "--to", to)
	same(t, want, canonical(t, to))
	call(t, "", "--db", to, "verify").with(0)
}
