package cli

import (
	"bytes"
	"compress/gzip"
	"context"
	"database/sql"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"midden/internal/store"
	"midden/internal/store/storetest"
	"midden/internal/synth"
)

// midden returns a command that runs the real program.
func midden(t testing.TB, args ...string) *exec.Cmd {
	t.Helper()
	name, err := exec.LookPath("midden") // testscript.Main has put it there
	if err != nil {
		t.Fatal(err)
	}
	return exec.Command(name, args...)
}

// run runs the program to its end; it must end with one of the codes.
func run(t testing.TB, codes []int, args ...string) (stdout string) {
	t.Helper()
	var out, errs bytes.Buffer
	cmd := midden(t, args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	cmd.Run()
	for _, code := range codes {
		if cmd.ProcessState.ExitCode() == code {
			return out.String()
		}
	}
	t.Fatalf("midden %v ended with %d: %s", args, cmd.ProcessState.ExitCode(), errs.String())
	return ""
}

// dump checks a database, of a path or a URL, and returns its canonical text.
func dump(t testing.TB, path string) string {
	t.Helper()
	s, err := storetest.TryOpen(t, path, false)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	err = s.Doctor(t.Context(), true, store.Staging{On: true}, func(c store.Check) error {
		if c.State == store.CheckFailure {
			t.Errorf("doctor: %s: %s", c.Name, c.Detail)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	db := storetest.Connect(t, path)
	defer db.Close()
	return storetest.Dump(t, s, db)
}

// same fails the test if two dumps differ.
func same(t testing.TB, want, got string) {
	t.Helper()
	if want != got {
		t.Errorf("the databases differ:\n%.3000s", cmp.Diff(strings.Split(want, "\n"), strings.Split(got, "\n")))
	}
}

// follower is "midden load --follow" on a directory, which can be killed and
// started again.
type follower struct {
	t    testing.TB
	db   string
	args []string
	cmd  *exec.Cmd
	errs *bytes.Buffer
}

func (f *follower) start() {
	f.cmd = midden(f.t, f.args...)
	f.errs = &bytes.Buffer{}
	f.cmd.Stderr = f.errs
	if err := f.cmd.Start(); err != nil {
		f.t.Fatal(err)
	}
}

// stop ends the follower as a person would.
func (f *follower) stop(signal syscall.Signal, code int) {
	f.t.Helper()
	f.cmd.Process.Signal(signal)
	f.cmd.Wait()
	if got := f.cmd.ProcessState.ExitCode(); got != code {
		f.t.Errorf("after %v it ended with %d, want %d: %s", signal, got, code, f.errs)
	}
}

// wait waits until as many different events are stored.
func (f *follower) wait(events int) {
	f.t.Helper()
	deadline := time.Now().Add(time.Minute)
	for n := -1; ; {
		if db, err := sql.Open("sqlite", "file:"+f.db+"?mode=ro"); err == nil {
			db.QueryRow(`SELECT coalesce(sum(event_count), 0) FROM event_segments`).Scan(&n)
			db.Close()
		}
		if n == events {
			return
		}
		if time.Now().After(deadline) {
			f.t.Fatalf("%d events are stored after a minute, want %d: %s", n, events, f.errs)
		}
		time.Sleep(20 * time.Millisecond) // between two looks
	}
}

// madeLog returns the lines of a made-up log.
func madeLog(t testing.TB, seed uint64, events int) [][]byte {
	t.Helper()
	var buf bytes.Buffer
	if _, err := (synth.Options{Seed: seed, Events: events, Sensors: 1}).Generate(t.Context(), &buf, 0); err != nil {
		t.Fatal(err)
	}
	lines := bytes.SplitAfter(buf.Bytes(), []byte("\n"))
	return lines[:len(lines)-1]
}

// expect is the dump of a database into which the lines were loaded at once.
func expect(t testing.TB, lines [][]byte) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "all.json"), bytes.Join(lines, nil), 0o644); err != nil {
		t.Fatal(err)
	}
	run(t, []int{0}, "-q", "--db", filepath.Join(dir, "all.db"), "load", filepath.Join(dir, "all.json"))
	return dump(t, filepath.Join(dir, "all.db"))
}

func gzipped(data []byte) []byte {
	var buf bytes.Buffer
	z := gzip.NewWriter(&buf)
	z.Write(data)
	z.Close()
	return buf.Bytes()
}

// TestLockedDatabase keeps the database locked while a load wants to write.
func TestLockedDatabase(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	lines := madeLog(t, 80, 200)
	log, file := filepath.Join(dir, "log.json"), filepath.Join(dir, "midden.db")
	if err := os.WriteFile(log, lines[0], 0o644); err != nil {
		t.Fatal(err)
	}
	run(t, []int{0}, "-q", "--db", file, "load", log)
	db, err := sql.Open("sqlite", file)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	if _, err := db.Exec(`BEGIN IMMEDIATE`); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(log, bytes.Join(lines, nil), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := midden(t, "--db", file, "load", log)
	said := &teller{when: "waiting", seen: make(chan struct{})}
	cmd.Stderr = said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	<-said.seen
	// Reading goes on meanwhile.
	run(t, []int{0}, "-q", "--db", file, "files", "list")
	if _, err := db.Exec(`COMMIT`); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v: %s", err, said.text)
	}
	same(t, expect(t, lines), dump(t, file))
}

// teller is a writer that tells when a word was written to it.
type teller struct {
	when string
	text string
	seen chan struct{}
}

func (s *teller) Write(p []byte) (int, error) {
	before := strings.Contains(s.text, s.when)
	s.text += string(p)
	if !before && strings.Contains(s.text, s.when) {
		close(s.seen)
	}
	return len(p), nil
}

// TestManyProcesses loads with several processes at once, while others read.
func TestManyProcesses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	logs, db := filepath.Join(dir, "logs"), filepath.Join(dir, "midden.db")
	if _, err := (synth.Options{Seed: 81, Events: 10000}).WriteTree(t.Context(), logs, "mixed"); err != nil {
		t.Fatal(err)
	}
	run(t, []int{0}, "-q", "--db", filepath.Join(dir, "calm.db"), "load", logs)
	ctx, cancel := context.WithCancel(t.Context())
	var readers, loaders sync.WaitGroup
	for range 3 {
		loaders.Go(func() {
			if out, err := midden(t, "-q", "--db", db, "load", logs).CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
	readers.Go(func() {
		for ctx.Err() == nil {
			if _, err := os.Stat(db); err != nil {
				continue
			}
			if out, err := midden(t, "-q", "--db", db, "files", "list").CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, out)
			}
		}
	})
	loaders.Wait()
	cancel()
	readers.Wait()
	same(t, dump(t, filepath.Join(dir, "calm.db")), dump(t, db))
}
