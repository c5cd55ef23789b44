package cli

import (
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"midden/internal/store/postgres/pgtest"
	"midden/internal/synth"
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

// TestKillCopyAtRandom kills a copy at random moments.
func TestKillCopyAtRandom(t *testing.T) {
	t.Parallel()
	trials(t, func(t *testing.T, rng *rand.Rand) (kills int) {
		dir := t.TempDir()
		logs, from := filepath.Join(dir, "logs"), filepath.Join(dir, "from.db")
		if _, err := (synth.Options{Seed: rng.Uint64(), Events: 20000}).WriteTree(t.Context(), logs, "none"); err != nil {
			t.Fatal(err)
		}
		run(t, []int{0}, "-q", "--db", from, "load", logs)
		want := dump(t, from)
		for _, to := range []string{pgtest.Shared(t).Empty(t), filepath.Join(dir, "back.db")} {
			start := time.Now()
			run(t, []int{0}, "-q", "copy", "--from", from, "--to", filepath.Join(t.TempDir(), "calm.db"))
			took := time.Since(start)
			for n := 0; n < 5; n++ {
				cmd := midden(t, "-q", "copy", "--from", from, "--to", to)
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				timer := time.AfterFunc(time.Duration(rng.Int64N(int64(took))), func() { cmd.Process.Kill() })
				err := cmd.Wait()
				timer.Stop()
				if err == nil {
					break // it was quicker
				}
				kills++
			}
			call(t, "", "-q", "copy", "--from", from, "--to", to).with(0, 1) // 1: it was done
			same(t, want, dump(t, to))
			from = to
		}
		return kills
	})
}
