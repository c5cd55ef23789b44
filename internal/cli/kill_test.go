package cli

import (
	"bytes"
	"compress/gzip"
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
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

// trials calls f with new seeds, once, or for as long as MIDDEN_SOAK says. f
// returns how many times it killed.
func trials(t *testing.T, f func(t *testing.T, rng *rand.Rand) (kills int)) {
	t.Helper()
	soak, _ := time.ParseDuration(os.Getenv("MIDDEN_SOAK"))
	start, kills := time.Now(), 0
	for seed := uint64(1); seed == 1 || time.Since(start) < soak && !t.Failed(); seed++ {
		kills += f(t, rand.New(rand.NewPCG(seed, 1)))
	}
	t.Logf("%d kills", kills)
}

// TestKillLoad is promise 3: a load is killed at random moments, again and
// again, and ends where an undisturbed one ends.
func TestKillLoad(t *testing.T) {
	t.Parallel()
	trials(t, func(t *testing.T, rng *rand.Rand) (kills int) {
		dir := t.TempDir()
		logs := filepath.Join(dir, "logs")
		if _, err := (synth.Options{Seed: rng.Uint64(), Events: 15000}).WriteTree(t.Context(), logs, "mixed"); err != nil {
			t.Fatal(err)
		}
		calm, db := filepath.Join(dir, "calm.db"), filepath.Join(dir, "killed.db")
		start := time.Now()
		run(t, []int{0}, "-q", "--db", calm, "load", logs)
		took := time.Since(start)
		for kills < 12 {
			cmd := midden(t, "-q", "--db", db, "load", logs)
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
		run(t, []int{0}, "-q", "--db", db, "load", logs)
		same(t, dump(t, calm), dump(t, db))
		return kills
	})
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

func follow(t testing.TB, db string, paths ...string) *follower {
	f := &follower{t: t, db: db, args: append([]string{"--db", db, "load", "--follow"}, paths...)}
	f.start()
	t.Cleanup(func() { f.cmd.Process.Kill() })
	return f
}

func (f *follower) start() {
	f.cmd = midden(f.t, f.args...)
	f.errs = &bytes.Buffer{}
	f.cmd.Stderr = f.errs
	if err := f.cmd.Start(); err != nil {
		f.t.Fatal(err)
	}
}

func (f *follower) kill() {
	f.cmd.Process.Kill()
	f.cmd.Wait()
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

// sensor writes a live log and rotates it.
type sensor struct {
	t    testing.TB
	path string
	file *os.File
	n    int
}

func newSensorLog(t testing.TB, path string) *sensor {
	s := &sensor{t: t, path: path}
	s.open()
	t.Cleanup(func() { s.file.Close() })
	return s
}

func (s *sensor) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *sensor) open() {
	var err error
	s.file, err = os.OpenFile(s.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	s.must(err)
}

func (s *sensor) write(data ...[]byte) {
	s.t.Helper()
	for _, d := range data {
		_, err := s.file.Write(d)
		s.must(err)
	}
}

func (s *sensor) rotated() string {
	s.n++
	return fmt.Sprintf("%s.%03d", s.path, s.n)
}

// rename rotates as Cowrie does. Some lines are still written into the old file.
func (s *sensor) rename(late ...[]byte) {
	old := s.file
	s.must(os.Rename(s.path, s.rotated()))
	s.open()
	for _, d := range late {
		_, err := old.Write(d)
		s.must(err)
	}
	s.must(old.Close())
}

// copytruncate rotates as logrotate does where it is told to.
func (s *sensor) copytruncate() {
	data, err := os.ReadFile(s.path)
	s.must(err)
	s.must(os.WriteFile(s.rotated(), data, 0o644))
	s.must(s.file.Truncate(0))
}

// pack compresses a rotated log and removes it.
func (s *sensor) pack(n int) {
	path := fmt.Sprintf("%s.%03d", s.path, n)
	data, err := os.ReadFile(path)
	if err != nil {
		return // packed already
	}
	s.must(os.WriteFile(path+".gz", gzipped(data), 0o644))
	s.must(os.Remove(path))
}

func gzipped(data []byte) []byte {
	var buf bytes.Buffer
	z := gzip.NewWriter(&buf)
	z.Write(data)
	z.Close()
	return buf.Bytes()
}

// TestKillFollow kills a follower while the logs that it follows are written,
// rotated in every way, and packed.
func TestKillFollow(t *testing.T) {
	t.Parallel()
	trials(t, func(t *testing.T, rng *rand.Rand) (kills int) {
		dir := t.TempDir()
		logs := filepath.Join(dir, "logs")
		if err := os.Mkdir(logs, 0o755); err != nil {
			t.Fatal(err)
		}
		lines := madeLog(t, rng.Uint64(), 4000)
		f := follow(t, filepath.Join(dir, "midden.db"), logs)
		s := newSensorLog(t, filepath.Join(logs, "cowrie.json"))
		for from := 0; from < len(lines); {
			to := min(len(lines), from+1+rng.IntN(200))
			part := lines[from:to]
			from = to
			cut := len(part[0]) / 2 // a line comes in two writes
			s.write(part[0][:cut])
			s.write(part[0][cut:])
			switch rng.IntN(6) {
			case 0:
				s.write(part[1:]...)
				s.copytruncate()
			case 1:
				s.rename(part[1:]...)
			case 2:
				s.write(part[1:]...)
				s.pack(1 + rng.IntN(s.n+1))
			case 3:
				f.kill()
				kills++
				s.write(part[1:]...)
				f.start()
			default:
				s.write(part[1:]...)
			}
			time.Sleep(time.Duration(rng.IntN(30)) * time.Millisecond) // the sensor's own pace
		}
		f.wait(len(lines))
		f.stop(syscall.SIGTERM, 143)
		same(t, expect(t, lines), dump(t, f.db))
		return kills
	})
}

// TestFollow follows without being disturbed, and looks what stays open.
func TestFollow(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	logs := filepath.Join(dir, "logs")
	if err := os.Mkdir(logs, 0o755); err != nil {
		t.Fatal(err)
	}
	lines := madeLog(t, 77, 1000)
	s := newSensorLog(t, filepath.Join(logs, "cowrie.json"))
	f := follow(t, filepath.Join(dir, "midden.db"), logs)
	g := follow(t, f.db, logs) // a second one at the same work
	s.write(lines[:100]...)
	f.wait(100)
	s.write(lines[100][:20]) // not complete
	s.write(lines[100][20:])
	s.rename(lines[101:150]...)
	f.wait(150)
	if err := os.WriteFile(filepath.Join(logs, "another.json"), bytes.Join(lines[150:200], nil), 0o644); err != nil {
		t.Fatal(err)
	}
	f.wait(200)
	var most int
	for i := 200; i < 1000; i += 8 {
		s.write(lines[i : i+8]...)
		s.rename()
		if i%80 == 0 {
			f.wait(i + 8)
			open, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", f.cmd.Process.Pid))
			most = max(most, len(open))
		}
	}
	f.wait(1000)
	if most > 150 {
		t.Errorf("%d files were open at once", most)
	}
	f.stop(syscall.SIGINT, 130)
	g.stop(syscall.SIGTERM, 143)
	same(t, expect(t, lines), dump(t, f.db))
}

// TestFollowNamedFile reads on in a file that has lost its name.
func TestFollowNamedFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	lines := madeLog(t, 78, 300)
	s := newSensorLog(t, filepath.Join(dir, "cowrie.json"))
	f := follow(t, filepath.Join(t.TempDir(), "midden.db"), s.path)
	s.write(lines[:100]...)
	f.wait(100)
	s.rename(lines[100:200]...)
	s.write(lines[200:]...)
	f.wait(300)
	f.stop(syscall.SIGTERM, 143)
	same(t, expect(t, lines), dump(t, f.db))
}

// TestDiskFull limits how large a file may become.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	logs, db := filepath.Join(dir, "logs"), filepath.Join(dir, "midden.db")
	if _, err := (synth.Options{Seed: 79, Events: 20000}).WriteTree(t.Context(), logs, "none"); err != nil {
		t.Fatal(err)
	}
	run(t, []int{0}, "-q", "--db", filepath.Join(dir, "calm.db"), "load", logs)
	name := midden(t).Path
	for _, blocks := range []int{300, 1500, 4000} { // of 512 bytes
		cmd := exec.Command("sh", "-c", fmt.Sprintf(`ulimit -f %d; exec "$0" "$@"`, blocks), name, "--db", db, "load", logs)
		out, err := cmd.CombinedOutput()
		if err == nil {
			t.Fatalf("with %d blocks of disk it should have failed", blocks)
		}
		if code := cmd.ProcessState.ExitCode(); code != 1 || bytes.Contains(out, []byte("goroutine")) {
			t.Errorf("with %d blocks of disk it ended with %d: %s", blocks, code, out)
		}
	}
	run(t, []int{0}, "-q", "--db", db, "load", logs)
	same(t, dump(t, filepath.Join(dir, "calm.db")), dump(t, db))
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
