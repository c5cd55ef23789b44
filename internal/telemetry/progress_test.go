package telemetry

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/vbauerster/mpb/v8"
)

// withoutTime drops the time of day from lines of a log.
func withoutTime(t *testing.T, log string) []string {
	t.Helper()
	var lines []string
	for l := range strings.Lines(log) {
		_, rest, ok := strings.Cut(strings.TrimSuffix(l, "\n"), " ")
		if !ok {
			t.Errorf("no line of a log: %q", l)
		}
		lines = append(lines, rest)
	}
	return lines
}

// wire hands each write on to the test.
type wire chan string

func (w wire) Write(b []byte) (int, error) {
	w <- string(b)
	return len(b), nil
}

func TestProgressLines(t *testing.T) {
	out := make(wire)
	c := newClock()
	p := newProgress(out, NewLogger(out, slog.LevelInfo, false), "load", c.now)
	ticks := make(chan time.Time)
	stopped := false
	p.logLines(ticks, func() { stopped = true })

	c.pass(5 * time.Second)
	p.Update(Counts{FilesDone: 1, FilesTotal: 4, BytesDone: 10 << 20, BytesTotal: 40 << 20, Lines: 1000, Events: 900, Duplicates: 90, DeadLetters: 10})
	ticks <- start
	got := <-out
	c.pass(10 * time.Second) // and nothing was done
	ticks <- start
	got += <-out
	p.Close()
	p.Close()
	if !stopped {
		t.Error("Close did not wait for the goroutine")
	}

	want := []string{
		`info progress phase=load percent=25 files=1 files_total=4 bytes="10 MiB" bytes_total="40 MiB" bytes_per_second="2.0 MiB/s" eta=15s lines=1000 events=900 duplicates=90 dead_letters=10`,
		`info progress phase=load percent=25 files=1 files_total=4 bytes="10 MiB" bytes_total="40 MiB" bytes_per_second="0 B/s" lines=1000 events=900 duplicates=90 dead_letters=10`,
	}
	if diff := cmp.Diff(want, withoutTime(t, got)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestProgressToFile(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	p := NewProgress(f, nil, "load")
	log := NewLogger(p, slog.LevelInfo, false)
	p.Update(Counts{Lines: 5})
	p.Printf("read %s\n", "a\x1b[2J\nb http://a.b/")
	log.Info("hello")
	p.Close()
	p.Printf("late")
	got, err := os.ReadFile(f.Name())
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(got), "\n")
	if len(lines) != 4 || lines[0] != `read a\x1b[2J\x0ab hxxp://a[.]b/` || !strings.HasSuffix(lines[1], " info hello") || lines[2] != "late" {
		t.Errorf("got %q", got)
	}
}

func TestNilProgress(t *testing.T) {
	var p *Progress
	p.Update(Counts{})
	p.Printf("x")
	if n, err := p.Write([]byte("x")); n != 1 || err != nil {
		t.Error(n, err)
	}
	p.Close()
}

// screen is a terminal that keeps what is written to it.
type screen struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *screen) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(b)
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// shows plays what was written to a terminal, as far as a bar needs it: line
// ends, cursor up and erase down.
func shows(t *testing.T, s string) []string {
	t.Helper()
	lines := []string{""}
	for s != "" {
		i := strings.IndexAny(s, "\n\x1b\r")
		if i < 0 {
			lines[len(lines)-1] += s
			break
		}
		lines[len(lines)-1] += s[:i]
		switch s[i] {
		case '\r':
			s = s[i+1:]
		case '\n':
			lines = append(lines, "")
			s = s[i+1:]
		default:
			const up = "\x1b[1A\x1b[J"
			if !strings.HasPrefix(s[i:], up) {
				t.Fatalf("an unknown escape: %q", s[i:])
			}
			lines = append(lines[:len(lines)-2], "")
			s = s[i+len(up):]
		}
	}
	return lines
}

func TestProgressBar(t *testing.T) {
	var out screen
	c := newClock()
	log := NewLogger(&out, slog.LevelInfo, false)
	p := newProgress(&out, log, "load", c.now)
	refresh := make(chan any)
	p.showBar(mpb.WithManualRefresh(refresh), mpb.ForceTTY(), mpb.WithWidth(80))

	c.pass(time.Second)
	p.Update(Counts{BytesDone: 5 << 20, BytesTotal: 10 << 20})
	refresh <- start
	log.Info("from a logger")
	log.With("a", 1).Warn("from one made of it")
	p.Printf("a line")
	if _, err := p.Write([]byte("no line end")); err != nil {
		t.Error(err)
	}
	refresh <- start
	refresh <- start // accepted when the first one is drawn

	bar := "load  [==============>             ]   50%  5.0 MiB/10 MiB  5.0 MiB/s  ETA 1s\n"
	if !strings.Contains(out.String(), bar) {
		t.Errorf("no bar: %q", out.String())
	}
	p.Printf("just before the end")
	p.Close()
	p.Close()
	log.Info("after")
	p.Printf("last")

	var got []string
	for _, l := range shows(t, out.String()) {
		if len(l) > 9 && l[2] == ':' && l[5] == ':' {
			l = l[9:]
		}
		got = append(got, l)
	}
	want := []string{
		"info from a logger", "warn from one made of it a=1", "a line", "no line end",
		"just before the end", "info after", "last", "",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("what is left on the screen, -want +got:\n%s\n%q", diff, out.String())
	}
}

// Lines, updates and Close come from many goroutines; no line is lost and
// nothing waits for itself.
func TestProgressFromManyGoroutines(t *testing.T) {
	var out screen
	log := NewLogger(&out, slog.LevelInfo, false)
	p := newProgress(&out, log, "load", time.Now)
	p.showBar(mpb.WithAutoRefresh(), mpb.WithRefreshRate(time.Millisecond), mpb.ForceTTY(), mpb.WithWidth(80))
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for n := range int64(50) {
				p.Update(Counts{BytesDone: n, BytesTotal: 50})
				p.Printf("printed")
				log.Info("logged")
			}
			if i%4 == 0 {
				p.Close()
			}
		})
	}
	wg.Wait()
	p.Close()
	if a, b := strings.Count(out.String(), "printed\n"), strings.Count(out.String(), "logged\n"); a != 400 || b != 400 {
		t.Errorf("%d and %d lines of 400", a, b)
	}
}

// A logger with a writer of its own keeps it.
func TestProgressLeavesOtherLogsAlone(t *testing.T) {
	var file bytes.Buffer
	log := NewLogger(&file, slog.LevelInfo, true)
	p := newProgress(&screen{}, log, "load", newClock().now)
	p.showBar(mpb.ForceTTY(), mpb.WithAutoRefresh(), mpb.WithWidth(80))
	log.Info("x")
	p.Close()
	if !strings.Contains(file.String(), `"msg":"x"`) {
		t.Errorf("got %q", file.String())
	}
}
