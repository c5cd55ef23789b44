package ingest_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"midden/internal/cowrie"
	"midden/internal/ingest"
	"midden/internal/store"
)

// counts are what a summary says of files.
type counts struct {
	Read, Known, Passed, Unreadable int64
	Pending                         int64
}

func countsOf(s ingest.Summary) counts {
	return counts{s.FilesRead, s.FilesKnown, s.FilesPassed, s.FilesUnreadable, s.PendingBytes}
}

// manyLogs writes logs of some kinds, the oldest first, and returns what a first load is to count.
func manyLogs(t *testing.T, dir string) (first counts) {
	t.Helper()
	one, _ := sensorLog(t, 21, 300)
	two, _ := sensorLog(t, 22, 300)
	three, _ := sensorLog(t, 23, 300)
	for i, file := range []struct {
		name string
		data []byte
	}{
		{"one.json", one},
		{"one.gz", gzipped(one)},
		{"part-of-one", one[:bytes.IndexByte(one, '\n')+1]},
		{"two.json", append(bytes.Clone(two), `{"eventid":`...)},
		{"copy-of-two", two},
		{"cut.gz", append(gzipped(three), "garbage"...)},
		{"begun.json", []byte(`{"eventid":"cowrie.log`)},
		{"notes.txt", []byte("no log\n")},
		{"dir/notes.txt", []byte("no log\n")},
	} {
		path := write(t, filepath.Join(dir, file.name), file.data)
		at := time.Unix(1_700_000_000+int64(i), 0)
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
	}
	return counts{Read: 4, Known: 3, Passed: 2, Unreadable: 1, Pending: int64(len(`{"eventid":` + `{"eventid":"cowrie.log`))}
}

// disturbed is an event log with other loaders at work: it says of each source once that
// another one has it, and then of some that another one has read it on.
type disturbed struct {
	*store.Store
	mu    sync.Mutex
	taken map[string]bool
	moved map[string]bool
}

func (d *disturbed) ClaimSource(ctx context.Context, fingerprint string) (bool, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.taken[fingerprint] {
		d.taken[fingerprint] = true
		return false, nil
	}
	return d.Store.ClaimSource(ctx, fingerprint)
}

func (d *disturbed) Append(ctx context.Context, chunks []*cowrie.Chunk) (cowrie.Tally, []*cowrie.Source, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var kept []*cowrie.Chunk
	moved := map[*cowrie.Source]bool{}
	for _, c := range chunks {
		switch {
		case c.Source != nil && (moved[c.Source] || !d.moved[c.Source.Fingerprint]):
			d.moved[c.Source.Fingerprint], moved[c.Source] = true, true
		default:
			kept = append(kept, c)
		}
	}
	tally, list, err := d.Store.Append(ctx, kept)
	for src := range moved {
		list = append(list, src)
	}
	return tally, list, err
}

// TestSummary: each file counts once, however often it must be looked at.
func TestSummary(t *testing.T) {
	dir := t.TempDir()
	first := manyLogs(t, dir)
	again := first
	again.Read, again.Known, again.Unreadable = 0, first.Read+first.Known, 0
	// Of what was read in vain another copy is read first.
	inVain := first
	inVain.Read, inVain.Known = first.Read+2, first.Known-2
	quietly, loud := newDatabase(t), newDatabase(t)
	for _, c := range []struct {
		log  ingest.EventLog
		want counts
	}{
		{quietly, first},
		{quietly, again},
		{&disturbed{Store: loud.Store, taken: map[string]bool{}, moved: map[string]bool{}}, inVain},
		{loud, again},
	} {
		var last ingest.Progress
		sum, err := ingest.Load(t.Context(), c.log, []string{dir, filepath.Join(dir, "dir"), filepath.Join(dir, "one.json")},
			ingest.Options{Log: quiet, Observe: func(p ingest.Progress) { last = p }})
		if err != nil {
			t.Fatal(err)
		}
		accounted(t, sum)
		if diff := cmp.Diff(c.want, countsOf(sum)); diff != "" {
			t.Errorf("%T: %s", c.log, diff)
		}
		if last.FilesDone != 9 || last.FilesTotal != 9 {
			t.Errorf("%T: %d files of %d are done", c.log, last.FilesDone, last.FilesTotal)
		}
	}
	if diff := cmp.Diff(quietly.dump(t), loud.dump(t)); diff != "" {
		t.Errorf("%.3000s", diff)
	}
}

// TestSettled: a load that does not follow remembers no file that it need not look
// at again.
func TestSettled(t *testing.T) {
	dir := t.TempDir()
	manyLogs(t, dir)
	db := &disturbed{Store: newDatabase(t).Store, taken: map[string]bool{}, moved: map[string]bool{}}
	for _, what := range []string{"first", "again"} {
		if n, err := ingest.Remembered(t.Context(), db, ingest.Options{Log: quiet}, dir); err != nil || n != 0 {
			t.Errorf("%s: %d files are remembered, %v", what, n, err)
		}
	}
}

// TestManyUnreadable: all count, and some are named.
func TestManyUnreadable(t *testing.T) {
	dir := t.TempDir()
	for i := range 1100 {
		write(t, filepath.Join(dir, fmt.Sprint(i)), []byte("\x1f\x8b no gzip"))
	}
	sum := newDatabase(t).load(t, dir, filepath.Join(dir, "gone"))
	if sum.FilesUnreadable != 1101 || len(sum.Unreadable) != 1000 {
		t.Errorf("%d are unreadable, %d of them named", sum.FilesUnreadable, len(sum.Unreadable))
	}
}

// TestFollowSummary: a follower's files count once, whatever comes to them; those
// that are gone stay counted, and what was left of them does not.
func TestFollowSummary(t *testing.T) {
	dir := t.TempDir()
	log, _ := sensorLog(t, 24, 1000)
	lines := bytes.SplitAfter(bytes.TrimSpace(log), []byte("\n"))
	next := func(n int) (part []byte) {
		part = bytes.Join(lines[:n], nil)
		lines = lines[n:]
		return part
	}
	add := func(name string, data []byte) {
		f, err := os.OpenFile(filepath.Join(dir, name), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
		if err != nil {
			t.Fatal(err)
		}
		f.Write(data)
		f.Close()
	}
	db := newDatabase(t)
	add("known", next(10))
	add("grows", next(10))
	db.load(t, dir)
	add("b", next(10))
	add("rotated", next(10))
	a := next(10)
	add("a", a)
	add("copy", a)
	add("begun", []byte(`{"eventid"`))
	add("begun and gone", []byte(`{"event`))
	stored := make(chan int64)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan ingest.Summary)
	go func() {
		last := int64(0)
		sum, _ := ingest.Load(ctx, db, []string{dir}, ingest.Options{Log: quiet, Follow: true, Observe: func(p ingest.Progress) {
			if p.Tally.Events > last {
				last = p.Tally.Events
				select {
				case stored <- last:
				case <-ctx.Done():
				}
			}
		}})
		done <- sum
	}()
	wait := func(events int64) {
		t.Helper()
		for {
			select {
			case n := <-stored:
				if n == events {
					return
				}
			case sum := <-done:
				t.Fatalf("it has ended: %+v", sum)
			}
		}
	}
	wait(30)
	add("grows", next(5))
	wait(35)
	add("grows", next(5))
	wait(40)
	if err := os.Rename(filepath.Join(dir, "rotated"), filepath.Join(dir, "rotated.1")); err != nil {
		t.Fatal(err)
	}
	add("rotated.1", next(5))
	add("rotated", next(10))
	wait(55)
	for _, name := range []string{"begun and gone", "a"} {
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	add("b", next(5))
	wait(60)
	cancel()
	sum := <-done
	accounted(t, sum)
	// Read: grows, a, b, rotated; rotated.1 is the source that is known, whichever name is looked at first.
	got := countsOf(sum)
	if all := got.Read + got.Known; all != 9 || got.Read < 4 || got.Read > 5 || got.Pending != int64(len(`{"eventid"`)) {
		t.Errorf("%+v", got)
	}
	db.healthy(t)
}

// looks counts how often files are looked at.
type looks struct {
	*store.Store
	n int
}

func (l *looks) File(ctx context.Context, path string) (*cowrie.FileState, error) {
	l.n++
	return l.Store.File(ctx, path)
}

// TestManyCopies: copies of a log wait for the first, and not for one another.
func TestManyCopies(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	const copies = 50
	for i := range copies {
		text := `{"eventid":"cowrie.session.connect","session":"a","timestamp":"2026-01-01T00:00:00Z"}` + "\n"
		if i == copies-1 { // one of them goes on
			text += `{"eventid":"cowrie.session.closed","session":"a","timestamp":"2026-01-01T00:00:01Z"}` + "\n"
		}
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%03d.json", i)), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	db := &looks{Store: newDatabase(t).Store}
	sum, err := ingest.Load(t.Context(), db, []string{dir}, ingest.Options{Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	if sum.Events != 2 || sum.FilesRead != 2 || sum.FilesKnown != copies-2 || sum.Duplicates != 0 {
		t.Errorf("%+v", sum)
	}
	if db.n > 2*copies {
		t.Errorf("%d logs were looked at %d times", copies, db.n)
	}
}
