package cli

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"midden/internal/synth"
	"midden/internal/synth/cowrieprocessor"
	"midden/internal/synth/cowrieprocessor/cowrieprocessortest"
)

// job is a row of the table maintenance, as monitoring reads it.
type job struct {
	state, reason, owner                      string
	position, seen, inserted, known, rejected int64
	rate, etaRows, etaBytes                   sql.NullFloat64
}

// look reads how far the backfill is with plain SQL, from a connection of its
// own.
func look(t testing.TB, db *sql.DB) (j job) {
	t.Helper()
	err := db.QueryRowContext(t.Context(), `SELECT state, coalesce(pace_reason, ''), coalesce(owner, ''), position, rows_seen, inserted,
		known, rejected, rows_per_second, eta_rows, eta_bytes FROM maintenance WHERE job = 'backfill'`).Scan(
		&j.state, &j.reason, &j.owner, &j.position, &j.seen, &j.inserted, &j.known, &j.rejected, &j.rate, &j.etaRows, &j.etaBytes)
	if err != nil && err != sql.ErrNoRows {
		t.Fatal(err)
	}
	return j
}

// working is a run of the program that goes on.
type working struct {
	t    testing.TB
	cmd  *exec.Cmd
	errs bytes.Buffer
}

func start(t testing.TB, args ...string) *working {
	t.Helper()
	w := &working{t: t, cmd: midden(t, args...)}
	w.cmd.Stderr = &w.errs
	if err := w.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.cmd.Process.Kill() })
	return w
}

// end waits for the end of the run, which must be with this code; -1 is that of
// one that was killed.
func (w *working) end(code int) {
	w.t.Helper()
	w.cmd.Wait()
	if got := w.cmd.ProcessState.ExitCode(); got != code {
		w.t.Errorf("%v ended with %d, want %d: %s", w.cmd.Args, got, code, &w.errs)
	}
}

func (w *working) signal(s syscall.Signal, code int) {
	w.t.Helper()
	w.cmd.Process.Signal(s)
	w.end(code)
}

// migrated returns a database that was taken over, with many events of files,
// and a connection to it.
func migrated(t testing.TB, seed uint64) (string, *sql.DB) {
	t.Helper()
	path := oldDatabase(t, cowrieprocessor.Options{Logs: synth.Options{Seed: seed, Events: 1000, FileShare: 0.4}})
	run(t, []int{0}, "-q", "--db", path, "migrate")
	return path, cowrieprocessortest.Open(t, path)
}

// slowly are the arguments of a backfill that takes its time.
func slowly(path string) []string {
	return []string{"--db", path, "backfill", "run", "--batch", "16", "--pace", "20/s"}
}

// TestTwoAtOnce has two processes at the work of which one may be done at a
// time: the second one says in a line who is at it, and ends with 4.
func TestTwoAtOnce(t *testing.T) {
	t.Parallel()
	path, db := migrated(t, 101)
	refused := func(by string, args ...string) {
		t.Helper()
		e := call(t, "", append([]string{"--db", path}, args...)...).with(4)
		if !strings.HasPrefix(e.errs, "midden: the database is being worked on: ") || !strings.Contains(e.errs, by) ||
			strings.Count(e.errs, "\n") != 1 || e.out != "" {
			t.Errorf("midden %v said: %s%s", args, e.out, e.errs)
		}
	}
	first := start(t, slowly(path)...)
	await(t, "the backfill runs", func() bool { return look(t, db).seen > 0 })
	by := fmt.Sprintf("midden backfill run, process %d on ", first.cmd.Process.Pid)
	for _, args := range [][]string{{"backfill", "run"}, {"verify", "--repair"}, {"migrate"}} {
		refused(by, args...)
	}
	// Killed, it is in nobody's way, and is not said to run.
	first.signal(syscall.SIGKILL, -1)
	if j := look(t, db); j.state != "running" || j.owner == "" {
		t.Errorf("it was killed while it was %+v", j)
	}
	var status struct {
		State string
		Owner *string
	}
	decode(t, call(t, "", "--db", path, "backfill", "status", "-o", "json").with(0).out, &status)
	if status.State != "stopped" || status.Owner != nil {
		t.Errorf("after it was killed its status is %+v", status)
	}
	run(t, []int{0}, "--db", path, "backfill", "run")
	if j := look(t, db); j.state != "done" || j.owner != "" {
		t.Errorf("in the end it is %+v", j)
	}

	// The lock itself, held by somebody else.
	hold := func(path string) *os.File {
		f, err := os.Create(path + "-maintenance")
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintln(f, "midden something, process 17 on elsewhere")
		if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
			t.Fatal(err)
		}
		return f
	}
	lock := hold(path)
	for _, args := range [][]string{{"backfill", "run"}, {"verify", "--repair"}, {"migrate"}} {
		refused("midden something, process 17 on elsewhere", args...)
	}
	e := call(t, "", "--db", path, "compact", "--yes").with(4)
	if !strings.Contains(e.errs, "midden: the database is being worked on: midden something, process 17 on elsewhere\n") {
		t.Errorf("compact said: %s", e.errs)
	}
	// Others are not kept from what changes nothing, or is no such work.
	for _, args := range [][]string{{"verify"}, {"doctor"}, {"backfill", "status"}, {"files", "list"}, {"migrate", "--dry-run"},
		{"compact", "--dry-run"}, {"backfill", "pause"}, {"backfill", "resume"}} {
		call(t, "", append([]string{"--db", path}, args...)...).with(0)
	}
	lock.Close() // as the end of its process does
	run(t, []int{0}, "--db", path, "compact", "--yes")
	db.Close()
	well(t, path)

	// Two migrations.
	path = oldDatabase(t, cowrieprocessor.Options{Logs: synth.Options{Seed: 102, Events: 50}})
	lock = hold(path)
	refused("midden something, process 17 on elsewhere", "migrate")
	lock.Close()
	run(t, []int{0}, "--db", path, "migrate")
}

func decode(t testing.TB, text string, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), into); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
}

// TestPauseResume stops a backfill in every way there is and lets it go on.
func TestPauseResume(t *testing.T) {
	t.Parallel()
	path, db := migrated(t, 103)
	calm := copyDatabase(t, path)
	run(t, []int{0}, "--db", calm, "backfill", "run", "--batch", "16")
	want := takenOver(t, calm)
	do := func(args ...string) string {
		t.Helper()
		return call(t, "", append([]string{"--db", path}, args...)...).with(0).out
	}

	// It runs, and anyone can see how far it is.
	w := start(t, slowly(path)...)
	var j job
	await(t, "it runs", func() bool { j = look(t, db); return j.state == "running" && j.seen > 0 })
	if j.owner == "" || !strings.HasPrefix(j.owner, fmt.Sprintf("process %d on ", w.cmd.Process.Pid)) ||
		j.position == 0 || j.inserted == 0 || j.rate.Float64 <= 0 || !j.etaRows.Valid || !j.etaBytes.Valid {
		t.Errorf("while it runs it is %+v", j)
	}
	await(t, "it says what keeps its pace", func() bool { return look(t, db).reason == "20 events a second at the most, as asked for" })

	// Paused, it stays where it is.
	do("backfill", "pause")
	await(t, "it is paused", func() bool { j = look(t, db); return j.state == "paused" })
	if j.reason != "paused by hand" || j.rate.Valid || j.etaRows.Valid || j.owner == "" || j.position >= 1000 {
		t.Errorf("while it is paused it is %+v", j)
	}
	if text := do("backfill", "status"); !strings.Contains(text, "paused") || strings.Contains(text, "to be paused") {
		t.Errorf("while it is paused its status is %s", text)
	}
	w.signal(syscall.SIGTERM, 143)
	after := look(t, db)
	if after.state != "stopped" || after.owner != "" || after.seen != j.seen || after.position != j.position {
		t.Errorf("it was paused at %+v, and stopped at %+v", j, after)
	}

	// Begun while it is paused, it waits.
	w = start(t, slowly(path)...)
	await(t, "it is paused again", func() bool { return look(t, db).state == "paused" })
	if now := look(t, db); now.seen != j.seen || now.owner == "" {
		t.Errorf("it was to wait at %+v and is at %+v", j, now)
	}
	do("backfill", "resume")
	await(t, "it goes on", func() bool { return look(t, db).seen > j.seen })
	w.signal(syscall.SIGINT, 130)
	if now := look(t, db); now.state != "stopped" || now.owner != "" {
		t.Errorf("after it was stopped it is %+v", now)
	}

	// It keeps to its hours.
	now := time.Now()
	window := now.Add(2*time.Hour).Format("15:04") + "-" + now.Add(3*time.Hour).Format("15:04")
	j = look(t, db)
	w = start(t, "--db", path, "backfill", "run", "--window", window)
	await(t, "it waits", func() bool { return look(t, db).state == "waiting" })
	if got := look(t, db); got.reason != "waits for its hours, "+window || got.seen != j.seen {
		t.Errorf("while it waits it is %+v", got)
	}
	w.signal(syscall.SIGTERM, 143)

	// A dry run changes nothing, wherever the backfill is.
	before := takenOver(t, path)
	var sum struct{ Rows, Sightings, Position int64 }
	decode(t, do("backfill", "run", "--dry-run", "-o", "json"), &sum)
	same(t, before, takenOver(t, path))
	if left := look(t, db); sum.Rows != value[int64](t, db, `SELECT rows_total FROM maintenance WHERE job = 'backfill'`)-left.seen ||
		sum.Rows == 0 || sum.Position != 1000 {
		t.Errorf("the dry run found %+v; it is at %+v", sum, left)
	}

	// And in the end nothing is missing or twice.
	window = now.Add(-time.Hour).Format("15:04") + "-" + now.Add(2*time.Hour).Format("15:04")
	do("backfill", "run", "--batch", "16", "--window", window)
	same(t, want, takenOver(t, path))
	db.Close()
	well(t, path)
}

// TestDryRunTouchesNothing compares every byte of a database before and after
// what is said to change nothing.
func TestDryRunTouchesNothing(t *testing.T) {
	t.Parallel()
	path := oldDatabase(t, cowrieprocessor.Options{Logs: synth.Options{Seed: 104, Events: 200}, Files: "oldest"})
	untouched := func(args ...string) {
		t.Helper()
		before, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		call(t, "", append([]string{"--db", path}, args...)...).with(0)
		after, err := os.ReadFile(path)
		if err != nil || !bytes.Equal(before, after) {
			t.Errorf("%v changed the database", args)
		}
		if info, err := os.Stat(path + "-wal"); err == nil && info.Size() > 0 {
			t.Errorf("%v wrote into the journal", args)
		}
	}
	untouched("migrate", "--dry-run")
	run(t, []int{0}, "-q", "--db", path, "migrate")
	untouched("migrate", "--dry-run")
	untouched("migrate")
	untouched("backfill", "run", "--dry-run")
	run(t, []int{0}, "-q", "--db", path, "backfill", "run")
	untouched("backfill", "status")
	untouched("verify")
	untouched("compact", "--dry-run")
}
