package downloads_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"midden/internal/cowrie"
	"midden/internal/downloads"
	"midden/internal/store/sqlite"
)

// asNobody runs f with the rights of a user who owns nothing, where the test is
// run by root, who may read everything.
func asNobody(t testing.TB, db *database, f func()) {
	t.Helper()
	if os.Geteuid() != 0 {
		f()
		return
	}
	const nobody = 65534
	for _, path := range []string{db.path, db.path + "-wal", db.path + "-shm", filepath.Dir(db.path)} {
		if err := os.Chown(path, nobody, nobody); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
	}
	must(t, os.Chmod(filepath.Dir(filepath.Dir(db.path)), 0o755))
	if err := syscall.Seteuid(nobody); err != nil {
		t.Skipf("SKIPPED: root reads everything, and cannot become nobody: %v", err)
	}
	defer func() { must(t, syscall.Seteuid(0)) }()
	f()
}

// TestScanUnreadable meets files and directories that it may not read. It is run
// by itself: as whom, counts for the whole process.
func TestScanUnreadable(t *testing.T) {
	db := newDatabase(t)
	dir := t.TempDir()
	must(t, os.Chmod(filepath.Dir(dir), 0o755))
	at := func(name string) string { return filepath.Join(dir, name) }
	for _, name := range []string{"good", "bad", "removed", "closed/a", "closed/b", "listed/c"} {
		write(t, at(name), "content of "+name, day(10))
	}
	db.scan(at("good"), sum{Files: 1, Sightings: 1, Facts: 1, Entries: 1, Read: 1})
	db.scan(at("removed"), sum{Files: 1, Sightings: 1, Facts: 1, Entries: 1, Read: 1})
	for name, mode := range map[string]fs.FileMode{"bad": 0, "closed": 0, "listed": 0o744} { // neither to be opened; nothing in it to be looked at
		must(t, os.Chmod(at(name), mode))
		defer os.Chmod(at(name), 0o755)
	}
	asNobody(t, db, func() {
		s := db.scan(dir, sum{Entries: 3, Unchanged: 2, Failed: 3})
		said := map[string]string{}
		for _, p := range s.Unreadable {
			said[p.Path] = p.Err.Error()
		}
		want := map[string]string{at("bad"): "permission denied", at("closed"): "permission denied", at("listed"): "permission denied"}
		if diff := cmp.Diff(want, said); diff != "" {
			t.Errorf("unreadable (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(map[string]string{"bad": "permission denied"}, db.problems()); diff != "" {
			t.Errorf("problems (-want +got):\n%s", diff)
		}
		db.scan(dir, sum{Entries: 3, Unchanged: 2, Failed: 3}) // tried again
	})
	must(t, os.Remove(at("removed")))
	asNobody(t, db, func() {
		// That some entries cannot be read does not keep others from being forgotten.
		db.scan(dir, sum{Entries: 2, Unchanged: 1, Failed: 3, Gone: 1})
	})

	// A problem that went away is read then, whatever the file is.
	for name, mode := range map[string]fs.FileMode{"bad": 0o644, "closed": 0o755, "listed": 0o755} {
		must(t, os.Chmod(at(name), mode))
	}
	asNobody(t, db, func() {
		db.scan(dir, sum{Files: 4, Sightings: 4, Facts: 4, Entries: 5, Unchanged: 1, Read: 4})
		if got := db.problems(); len(got) > 0 {
			t.Errorf("problems that went away: %q", got)
		}
		db.scan(dir, sum{Entries: 5, Unchanged: 5})
	})
	// What is known and cannot be looked at is not forgotten.
	must(t, os.Chmod(at("closed"), 0))
	asNobody(t, db, func() { db.scan(dir, sum{Entries: 3, Unchanged: 3, Failed: 1}) })
	must(t, os.Chmod(at("closed"), 0o755))
	asNobody(t, db, func() { db.scan(dir, sum{Entries: 5, Unchanged: 5}) })
}

// between is a store that is told when entries were listed and are not yet read.
type between struct {
	downloads.Store
	do func(names []string)
}

func (b between) DepotEntries(ctx context.Context, d *cowrie.Depot, names []string) (map[string]cowrie.DepotEntry, error) {
	noted, err := b.Store.DepotEntries(ctx, d, names)
	b.do(names)
	return noted, err
}

// TestScanSwapped changes what was listed before it is read. Nothing outside is
// read, whatever comes; what is left is scanned.
func TestScanSwapped(t *testing.T) {
	t.Parallel()
	top := t.TempDir()
	write(t, filepath.Join(top, "outside", "x"), secret, day(1))
	outside := filepath.Join(top, "outside")
	change := func(f func(dir string) error) func(dir string) error { return f }
	for name, c := range map[string]struct {
		swap func(dir string) error
		want sum // with what is read and what fails
	}{
		"file, a link out": {change(func(dir string) error {
			return errors.Join(os.Remove(dir+"/sub/x"), os.Symlink(outside+"/x", dir+"/sub/x"))
		}), sum{Files: 1, Sightings: 1, Facts: 1, Entries: 2, Read: 1, Failed: 1}},
		"file, a link up": {change(func(dir string) error {
			return errors.Join(os.Remove(dir+"/sub/x"), os.Symlink("../../outside/x", dir+"/sub/x"))
		}), sum{Files: 1, Sightings: 1, Facts: 1, Entries: 2, Read: 1, Failed: 1}},
		"file, a FIFO": {change(func(dir string) error {
			return errors.Join(os.Remove(dir+"/sub/x"), syscall.Mkfifo(dir+"/sub/x", 0o644))
		}), sum{Files: 1, Sightings: 1, Facts: 1, Entries: 2, Read: 1, Failed: 1}},
		"file, a directory": {change(func(dir string) error {
			return errors.Join(os.Remove(dir+"/sub/x"), os.Mkdir(dir+"/sub/x", 0o755))
		}), sum{Files: 1, Sightings: 1, Facts: 1, Entries: 2, Read: 1, Failed: 1}},
		"file, another": {change(func(dir string) error {
			return errors.Join(os.WriteFile(dir+"/new", []byte("new"), 0o644), os.Rename(dir+"/new", dir+"/sub/x"))
		}), sum{Files: 2, Sightings: 2, Facts: 2, Entries: 2, Read: 2}},
		// What is gone by the time it is looked at was never there.
		"file, gone": {change(func(dir string) error {
			return os.Remove(dir + "/sub/x")
		}), sum{Files: 1, Sightings: 1, Facts: 1, Entries: 2, Read: 1}},
		"directory, a link out": {change(func(dir string) error {
			return errors.Join(os.RemoveAll(dir+"/sub"), os.Symlink(outside, dir+"/sub"))
		}), sum{Files: 1, Sightings: 1, Facts: 1, Entries: 2, Read: 1, Failed: 1}},
		"directory, a link up": {change(func(dir string) error {
			return errors.Join(os.RemoveAll(dir+"/sub"), os.Symlink("../outside", dir+"/sub"))
		}), sum{Files: 1, Sightings: 1, Facts: 1, Entries: 2, Read: 1, Failed: 1}},
		"directory, gone": {change(func(dir string) error {
			return os.RemoveAll(dir + "/sub")
		}), sum{Files: 1, Sightings: 1, Facts: 1, Entries: 2, Read: 1}},
		"grown beyond what is read": {change(func(dir string) error {
			return os.Truncate(dir+"/sub/x", 1<<40)
		}), sum{Files: 1, Sightings: 1, Facts: 1, Entries: 2, Read: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, err := os.MkdirTemp(top, "downloads")
			must(t, err)
			write(t, dir+"/a", "a", day(1))
			write(t, dir+"/sub/x", "inside", day(2))
			db := newDatabase(t)
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second) // for what would read a terabyte
			defer cancel()
			// Whoever waits for a FIFO's writer is let go in the end.
			hung := time.AfterFunc(10*time.Second, func() {
				if fd, err := syscall.Open(dir+"/sub/x", syscall.O_RDWR|syscall.O_NONBLOCK, 0); err == nil {
					t.Error("it hangs")
					syscall.Close(fd)
				}
			})
			defer hung.Stop()
			s, err := downloads.Scan(ctx, between{db, func(names []string) {
				if slices.Contains(names, "sub/x") {
					must(t, c.swap(dir))
				}
			}}, []downloads.Place{{Path: dir, Sensor: "one"}}, downloads.Options{Log: quiet})
			must(t, err)
			if got := sumOf(s); got != c.want {
				t.Errorf("(-want +got):\n%s%v", cmp.Diff(c.want, got), s.Unreadable)
			}
			if dump := db.dump(); strings.Contains(dump, hashOf(secret)) {
				t.Errorf("the file outside was read:\n%s", dump)
			}
			if n := int64(len(db.problems())); n != c.want.Failed {
				t.Errorf("%q are noted as problems", db.problems())
			}
			// Whatever it was, the next scan is content with what there is.
			next := sum{Entries: 1, Unchanged: 1, Gone: c.want.Failed}
			if name == "file, another" {
				next = sum{Entries: 2, Unchanged: 2}
			}
			if name == "grown beyond what is read" {
				must(t, os.Truncate(dir+"/sub/x", 3))
				next = sum{Files: 1, Sightings: 1, Facts: 1, Entries: 2, Unchanged: 1, Read: 1}
			}
			db.scan(dir, next)
		})
	}
}

// TestScanChanging: files that never hold still are reported, all others read,
// and the next scan reads them if they do by then.
func TestScanChanging(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "calm"), "calm", day(1))
	// It takes a while to read, so that it is written to meanwhile.
	path := filepath.Join(dir, "restless")
	write(t, path, strings.Repeat("0123456789abcdef", 1<<19), day(1))
	db := newDatabase(t)
	ctx, stop := context.WithCancel(t.Context())
	var writers sync.WaitGroup
	for range 2 * runtime.GOMAXPROCS(0) {
		writers.Go(func() {
			f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
			if err != nil {
				t.Error(err)
				return
			}
			defer f.Close()
			for ctx.Err() == nil {
				f.Write([]byte("x"))
			}
		})
	}
	s, err := downloads.Scan(t.Context(), db, []downloads.Place{{Path: dir, Sensor: "one"}}, downloads.Options{Log: quiet})
	stop()
	writers.Wait()
	must(t, err)
	if want := (sum{Files: 1, Sightings: 1, Facts: 1, Entries: 2, Read: 1, Failed: 1}); sumOf(s) != want {
		t.Errorf("%+v, want %+v", sumOf(s), want)
	}
	if len(s.Unreadable) != 1 || s.Unreadable[0].Path != path || !strings.Contains(s.Unreadable[0].Err.Error(), "changed while it was read") {
		t.Errorf("unreadable are %v", s.Unreadable)
	}
	if got := db.problems(); len(got) != 1 || !strings.Contains(got["restless"], "changed") {
		t.Errorf("problems are %q", got)
	}
	s, err = downloads.Scan(t.Context(), db, []downloads.Place{{Path: dir, Sensor: "one"}}, downloads.Options{Log: quiet})
	must(t, err)
	if want := (sum{Files: 1, Sightings: 1, Facts: 1, Entries: 2, Unchanged: 1, Read: 1}); sumOf(s) != want || len(db.problems()) > 0 {
		t.Errorf("when it holds still: %+v, want %+v; problems are %q", sumOf(s), want, db.problems())
	}
}

// stopping is a store that holds the scan up until the first entries are stored,
// and does something then.
type stopping struct {
	downloads.Store
	looked  int           // how often entries were looked up
	first   chan struct{} // closed when the first are stored
	stored  int
	after   func()
	failure error // of all that is stored later
}

func (s *stopping) DepotEntries(ctx context.Context, d *cowrie.Depot, names []string) (map[string]cowrie.DepotEntry, error) {
	if s.looked++; s.looked == 2 {
		<-s.first
		s.after()
	}
	return s.Store.DepotEntries(ctx, d, names)
}

func (s *stopping) AddFound(ctx context.Context, d *cowrie.Depot, found []cowrie.Found) (cowrie.ScanTally, error) {
	if s.stored > 0 && s.failure != nil {
		return cowrie.ScanTally{}, s.failure
	}
	tally, err := s.Store.AddFound(ctx, d, found)
	if s.stored += len(found); s.stored == len(found) {
		close(s.first)
	}
	return tally, err
}

// many is a directory of many files.
func many(t testing.TB, n int) string {
	t.Helper()
	dir := t.TempDir()
	for i := range n {
		write(t, filepath.Join(dir, fmt.Sprintf("f%04d", i)), fmt.Sprint("content ", i), day(1+i%28))
	}
	return dir
}

// TestScanStopped ends the context, and lets the database fail, in the middle:
// what was read is stored, nothing hangs, and the next scan does the rest.
func TestScanStopped(t *testing.T) {
	t.Parallel()
	const n = 600 // more than a walk hands over at once
	dir := many(t, n)
	calm := newDatabase(t)
	calm.scan(dir, sum{Files: n, Sightings: n, Facts: n, Entries: n, Read: n})
	want := calm.dump()
	broken := errors.New("the database is broken")
	for name, fault := range map[string]error{"context": context.Canceled, "database": broken} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := newDatabase(t)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			s := &stopping{Store: db, first: make(chan struct{}), after: cancel}
			if fault == broken {
				s.after, s.failure = func() {}, broken
			}
			sum1, err := downloads.Scan(ctx, s, []downloads.Place{{Path: dir, Sensor: "one"}}, downloads.Options{Log: quiet})
			if !errors.Is(err, fault) {
				t.Fatalf("it ended with %v, want %v", err, fault)
			}
			if s.stored == 0 || s.stored >= n || sum1.Files != int64(s.stored) || sum1.Failed > 0 {
				t.Errorf("%d of %d were stored, the summary says %+v %v", s.stored, n, sumOf(sum1), sum1.Unreadable)
			}
			if got := db.value(`SELECT count(*) FROM files WHERE md5 IS NOT NULL`); got != fmt.Sprint(s.stored) {
				t.Errorf("%s files with facts, want %d", got, s.stored)
			}
			left := int64(n - s.stored)
			db.scan(dir, sum{Files: left, Sightings: left, Facts: left, Entries: n, Unchanged: int64(s.stored), Read: left})
			if got := db.dump(); got != want {
				t.Errorf("it does not end the same:\n%.2000s", cmp.Diff(want, got))
			}
		})
	}
}

// TestScanAtOnce scans the same directory twice at once, each with a connection
// of its own.
func TestScanAtOnce(t *testing.T) {
	t.Parallel()
	const n = 400
	dir := many(t, n)
	calm, db := newDatabase(t), newDatabase(t)
	calm.scan(dir, sum{Files: n, Sightings: n, Facts: n, Entries: n, Read: n})
	var scans sync.WaitGroup
	var files [3]int64
	for i := range files {
		scans.Go(func() {
			s, err := sqlite.Open(t.Context(), db.path, sqlite.Options{Write: true})
			if err != nil {
				t.Error(err)
				return
			}
			defer s.Close()
			sum, err := downloads.Scan(t.Context(), s, []downloads.Place{{Path: dir, Sensor: "one"}}, downloads.Options{Log: quiet})
			if err != nil || sum.Failed > 0 || sum.Gone > 0 {
				t.Errorf("%v, %+v", err, sumOf(sum))
			}
			files[i] = sum.Files
		})
	}
	scans.Wait()
	if files[0]+files[1]+files[2] != n {
		t.Errorf("%v files were new, of %d", files, n)
	}
	if want, got := calm.dump(), db.dump(); want != got {
		t.Errorf("they do not end the same:\n%.2000s", cmp.Diff(want, got))
	}
	db.scan(dir, sum{Entries: n, Unchanged: n})
}
