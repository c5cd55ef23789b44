package crashtest

import (
	"bytes"
	"compress/gzip"
	"database/sql"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"midden/internal/logs"
	"midden/internal/synth"
)

// What is to stay below: promise 6.
const (
	mostMemory = 256 << 20 // bytes, of the program
	mostFiles  = 400       // open at one time: a follower holds 256 logs
)

// longer is one number in a soak and another in a short run.
func longer(short, long int) int {
	if soak > 0 {
		return long
	}
	return short
}

// memory returns how many bytes the program takes or, with VmHWM, took at the most.
func (p *process) memory(what string) int64 {
	p.t.Helper()
	if _, err := os.Stat("/proc/self/status"); err != nil {
		p.t.Skip("NOT TRIED: there is no /proc to read memory from")
	}
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, what+":"); ok {
			kb, err := strconv.ParseInt(strings.Fields(value)[0], 10, 64)
			if err != nil {
				p.t.Fatal(err)
			}
			return kb << 10
		}
	}
	return 0 // it has just ended
}

// files returns how many files the program has open.
func (p *process) files() int {
	open, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.cmd.Process.Pid))
	return len(open)
}

// watched waits for the end, and returns what it took of memory at the most.
func (p *process) watched() (most int64) {
	for p.alive() {
		most = max(most, p.memory("VmHWM"))
		select {
		case <-p.ended:
		case <-time.After(20 * time.Millisecond):
		}
	}
	return most
}

// shortUnderRace skips what is long in a short run with the race detector, in which
// memory cannot be measured.
func shortUnderRace(t testing.TB) {
	t.Helper()
	if raceDetector && soak == 0 {
		t.Skip("without the race detector, or in a soak")
	}
}

// flat fails the test if it took more memory than is promised; a race detector takes
// some for itself.
func flat(t testing.TB, most int64) {
	t.Helper()
	t.Logf("%d MB of memory", most>>20)
	if !raceDetector && most > mostMemory {
		t.Errorf("it took %d MB of memory", most>>20)
	}
}

// TestBomb loads a few megabytes that become gigabytes.
func TestBomb(t *testing.T) {
	t.Parallel()
	shortUnderRace(t)
	dir := t.TempDir()
	lines := made(t, synth.Options{Seed: 1, Events: 200})
	log := gzipped(bytes.Join(lines[:100], nil))
	member := gzippedZeros(100 << 20)
	for range longer(5, 100) {
		log = append(log, member...)
	}
	log = append(log, gzipped(bytes.Join(append([][]byte{[]byte("\n")}, lines[100:]...), nil))...)
	if err := os.WriteFile(filepath.Join(dir, "cowrie.json.gz"), log, 0o644); err != nil {
		t.Fatal(err)
	}
	db := filepath.Join(t.TempDir(), "midden.db")
	p := start(t, nil, "--db", db, "-q", "load", dir)
	most := p.watched()
	p.with(3) // what is no event is a dead letter
	flat(t, most)
	if n := storedEvents(t, db); n != len(lines) {
		t.Errorf("%d events are stored, of %d around the bomb", n, len(lines))
	}
	start(t, nil, "--db", db, "-q", "verify").with(0)
}

func gzippedZeros(n int64) []byte {
	var buf bytes.Buffer
	z, _ := gzip.NewWriterLevel(&buf, gzip.BestCompression)
	io.CopyN(z, zeros{}, n)
	z.Close()
	return buf.Bytes()
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// storedEvents returns how many events a database has.
func storedEvents(t testing.TB, path string) (n int) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path+"?mode=ro&_pragma=busy_timeout(10000)")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.QueryRow(`SELECT coalesce(sum(event_count), 0) FROM event_segments`).Scan(&n)
	return n
}

// TestLongLine loads a line of 256 MB that is a whole event, between others.
func TestLongLine(t *testing.T) {
	t.Parallel()
	shortUnderRace(t)
	dir := t.TempDir()
	lines := made(t, synth.Options{Seed: 2, Events: 20})
	f, err := os.Create(filepath.Join(dir, "cowrie.json"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	f.Write(bytes.Join(lines[:10], nil))
	f.WriteString(`{"eventid":"cowrie.command.input","session":"long","timestamp":"2026-01-01T00:00:00.000000Z","input":"`)
	part := bytes.Repeat([]byte("all work and no play makes jack a dull boy. "), 1<<16)
	for n := 0; n < 256<<20; n += len(part) {
		f.Write(part)
	}
	f.WriteString("\"}\n")
	f.Write(bytes.Join(lines[10:], nil))
	db := filepath.Join(t.TempDir(), "midden.db")
	p := start(t, nil, "--db", db, "-q", "load", dir)
	most := p.watched()
	p.with(3) // longer than what is kept of a line
	flat(t, most)
	if n := storedEvents(t, db); n != len(lines) {
		t.Errorf("%d events are stored, of %d around the long line", n, len(lines))
	}
}

// TestGiantLines takes lines that are just not too long, and that nothing makes shorter, to
// wherever events go.
func TestGiantLines(t *testing.T) {
	t.Parallel()
	shortUnderRace(t)
	lines := made(t, synth.Options{Seed: 3, Events: 20})
	dir, again := t.TempDir(), t.TempDir()
	noise := rand.NewChaCha8([32]byte{1})
	giant := func(session string) []byte {
		line := fmt.Appendf(nil, `{"eventid":"cowrie.command.input","session":%q,"timestamp":"2026-01-01T00:00:00.000000Z","input":"`, session)
		text := make([]byte, logs.MaxRecord-len(line)-4)
		noise.Read(text)
		for i := range text {
			text[i] |= 0x80
		}
		return append(append(line, text...), "\"}\n"...)
	}
	first, second, third := giant("one"), giant("two"), giant("one")
	for path, parts := range map[string][][]byte{
		filepath.Join(dir, "cowrie.json"):   {lines[0], first, lines[1], second, lines[2]},
		filepath.Join(again, "merged.json"): {lines[3], lines[0], first, lines[1], second, third},
	} {
		if err := os.WriteFile(path, bytes.Join(parts, nil), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	db, copied := filepath.Join(t.TempDir(), "midden.db"), filepath.Join(t.TempDir(), "copied.db")
	for _, args := range [][]string{{"load", dir}, {"load", again}, {"verify"}, {"doctor", "--deep"}, {"events", "--type", "cowrie.session.connect"},
		{"copy", "--to", copied}} {
		p := start(t, nil, append([]string{"--db", db, "-q"}, args...)...)
		most := p.watched()
		p.with(0)
		t.Log(args[0])
		flat(t, most)
	}
	if n := storedEvents(t, copied); n != 7 {
		t.Errorf("%d events are stored, of 7", n)
	}
}

// TestTinyFiles loads and scans a great number of tiny files.
func TestTinyFiles(t *testing.T) {
	t.Parallel()
	shortUnderRace(t)
	top := t.TempDir()
	n := longer(3000, 1_000_000)
	logs, captured := filepath.Join(top, "logs"), filepath.Join(top, "downloads")
	for i := range n {
		sub := fmt.Sprintf("%03d", i/1000)
		if i%1000 == 0 {
			for _, dir := range []string{filepath.Join(logs, sub), filepath.Join(captured, sub)} {
				if err := os.MkdirAll(dir, 0o755); err != nil {
					t.Fatal(err)
				}
			}
		}
		line := fmt.Sprintf(`{"eventid":"cowrie.session.connect","session":"t%d","timestamp":"2026-01-01T00:00:00.000000Z"}`+"\n", i)
		for path, text := range map[string]string{
			filepath.Join(logs, sub, fmt.Sprint(i, ".json")): line,
			filepath.Join(captured, sub, fmt.Sprint("f", i)): fmt.Sprint("content ", i),
		} {
			if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	db := filepath.Join(t.TempDir(), "midden.db")
	for _, args := range [][]string{{"load", logs}, {"load", logs}, {"scan", captured}, {"scan", captured}} {
		p := start(t, nil, append([]string{"--db", db, "-q"}, args...)...)
		most := p.watched()
		p.with(0)
		t.Logf("%s: %v", args[0], p.took.Round(time.Millisecond))
		flat(t, most)
	}
	if got := storedEvents(t, db); got != n {
		t.Errorf("%d events are stored, of %d", got, n)
	}
}

// TestFastLog follows logs that are written faster than they can be read.
func TestFastLog(t *testing.T) {
	t.Parallel()
	shortUnderRace(t)
	dir := t.TempDir()
	db := filepath.Join(t.TempDir(), "midden.db")
	events := longer(20_000, 3_000_000)
	p := start(t, nil, "--db", db, "-q", "load", "--follow", dir)
	var most int64
	sum := 0
	o := synth.Options{Seed: 3, Events: events, Sensors: 4, Span: 24 * time.Hour}
	for sensor := range o.Sensors {
		f, err := os.Create(filepath.Join(dir, fmt.Sprintf("cowrie-%d.json", sensor)))
		if err != nil {
			t.Fatal(err)
		}
		stats, err := o.Generate(t.Context(), f, sensor)
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
		sum += stats.Events
	}
	written := time.Now()
	await(t, "all is stored", func() bool {
		most = max(most, p.memory("VmHWM"))
		return storedEvents(t, db) == sum
	})
	t.Logf("%d events; %v behind the end of writing", sum, time.Since(written).Round(time.Millisecond))
	flat(t, most)
	p.stop()
}

// TestRotations follows a log that is rotated thousands of times, in every way; by a
// second follower at the same work, too.
func TestRotations(t *testing.T) {
	t.Parallel()
	w := newWorld(t, onSQLite, nil, rand.New(rand.NewPCG(3, 5)))
	p, second := w.run("load", "--follow", w.sensor.logs()), w.run("load", "--follow", w.sensor.logs())
	rotations := longer(60, 10_000)
	var first, most int64
	open := 0
	for i := range rotations {
		w.sensor.write(w.sensor.next(2)...)
		switch i % 3 {
		case 0:
			w.sensor.copytruncate()
		case 1:
			w.sensor.rename(w.sensor.next(1)...)
		case 2:
			w.sensor.rename()
			w.sensor.pack(w.sensor.rotated - 1)
		}
		if i%30 == 29 {
			open = max(open, p.files())
			await(t, "it keeps up", func() bool { return storedEvents(t, w.db) >= len(w.sensor.written)-60-deadLetters(w) })
		}
		if i == rotations/10 {
			first = p.memory("VmRSS")
		}
	}
	await(t, "all is stored", func() bool { return storedEvents(t, w.db) == len(w.sensor.written)-deadLetters(w) })
	most = p.memory("VmHWM")
	open = max(open, p.files())
	t.Logf("%d files open at the most, %d MB of memory after a tenth and %d MB at the most", open, first>>20, most>>20)
	if open > mostFiles {
		t.Errorf("%d files were open at once", open)
	}
	flat(t, most)
	p.stop()
	second.stop()
	w.compare(true)
}

// deadLetters returns how many of the lines that were written are no events.
func deadLetters(w *world) (n int) {
	for _, line := range w.sensor.written {
		if line[0] != '{' {
			n++
		}
	}
	return n
}

// TestNamedFile reads on in a file that was named and has lost its name.
func TestNamedFile(t *testing.T) {
	t.Parallel()
	w := newWorld(t, onSQLite, nil, rand.New(rand.NewPCG(4, 5)))
	p := w.run("load", "--follow", w.sensor.live())
	all := func() bool { return storedEvents(t, w.db) == len(w.sensor.written)-deadLetters(w) }
	for range 3 {
		w.sensor.write(w.sensor.next(20)...)
		await(t, "the log is read", all)
		w.sensor.rename(w.sensor.next(20)...)
		await(t, "what was written to the file without its name is read", all)
	}
	p.stop()
	w.check()
}

// TestTimesOfFiles follows a log whose file says that it is of 1970, and then of 2099, and
// between events that do.
func TestTimesOfFiles(t *testing.T) {
	t.Parallel()
	w := newWorld(t, onSQLite, nil, rand.New(rand.NewPCG(5, 5)))
	p := w.run("load", "--follow", w.sensor.logs())
	years := []int{1970, 2099, 2016, 2036}
	for i := range 12 {
		at := time.Date(years[i%len(years)], 12, 31, 23, 59, 59, 0, time.UTC)
		w.sensor.write(w.sensor.next(3)...)
		line := fmt.Appendf(nil, `{"eventid":"cowrie.session.connect","session":"clock%d","sensor":"one","timestamp":"%s"}`+"\n", i, at.Format("2006-01-02T15:04:05.000000Z"))
		w.sensor.written = append(w.sensor.written, line)
		w.sensor.write(line)
		if i%3 == 2 {
			w.sensor.rename()
		}
		if err := os.Chtimes(w.sensor.live(), at, at); err != nil {
			t.Fatal(err)
		}
	}
	await(t, "all is stored", func() bool { return storedEvents(t, w.db) == len(w.sensor.written)-deadLetters(w) })
	p.stop()
	w.check()
}

// stop ends a follower as a person would.
func (p *process) stop() {
	p.t.Helper()
	p.cmd.Process.Signal(os.Interrupt)
	p.with(130)
}

// await looks until something is so.
func await(t testing.TB, what string, so func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Duration(longer(2, 20)) * time.Minute); !so(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("minutes have passed, and still not: %s", what)
		}
	}
}
