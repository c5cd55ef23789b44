package downloads

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"math"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"sync"
	"sync/atomic"
	"time"

	"midden/internal/cowrie"
)

// Store is where contents are noted.
type Store interface {
	// Depot returns what is noted of a directory or an archive.
	Depot(ctx context.Context, path, sensor string) (*cowrie.Depot, error)
	// DepotEntries returns those of some entries that are noted, by name.
	DepotEntries(ctx context.Context, d *cowrie.Depot, names []string) (map[string]cowrie.DepotEntry, error)
	// EachDepotEntry calls f for all of them.
	EachDepotEntry(ctx context.Context, d *cowrie.Depot, f func(*cowrie.DepotEntry) error) error
	// AddFound stores entries, and what their contents are, in one transaction.
	AddFound(ctx context.Context, d *cowrie.Depot, found []cowrie.Found) (cowrie.ScanTally, error)
	// Forget forgets entries that are gone.
	Forget(ctx context.Context, d *cowrie.Depot, names []string) error
	// Scanned notes that a depot was read to its end.
	Scanned(ctx context.Context, d *cowrie.Depot, archive cowrie.FileID) error
}

// Place is a path to scan: a directory, an archive, or a single captured file.
type Place struct {
	Path   string
	Sensor string // that captured what is there; "" if nobody says
}

// Options say how to scan.
type Options struct {
	// MaxSize is how many bytes a file may have; larger ones are passed over.
	MaxSize int64
	Log     *slog.Logger
	// Observe, if not nil, is told how far the scan is, from any goroutine.
	Observe func(Progress)
}

// DefaultMaxSize is larger than what attackers leave, and smaller than what a
// disk cannot really hold: a file may claim to have a terabyte of zeros.
const DefaultMaxSize = 8 << 30

// Progress tells how far a scan is.
type Progress struct {
	FilesDone, FilesTotal int64
	BytesDone, BytesTotal int64
	Tally                 cowrie.ScanTally
	Batches               int64
	Place                 string
}

// Summary tells what a scan did.
type Summary struct {
	cowrie.ScanTally
	Entries   int64            // files that were there, those passed over left out
	Unchanged int64            // of them, that were not read again; and archives that were not
	Read      int64            // of them, that were read
	Bytes     int64            // that were read
	Archives  int64            // archives that were read or known; their files count as entries when they are read
	Misnamed  int64            // files with the name of another content
	Gone      int64            // entries that are there no more
	Passed    map[string]int64 // what was passed over, by reason
	// Unreadable are the first of the files and places that could not be read,
	// and Failed is how many there are.
	Unreadable []Problem
	Failed     int64
	Batches    int64
	Elapsed    time.Duration
}

// Problem is something that could not be read, and why.
type Problem struct {
	Path string
	Err  error
}

// maxProblems is how many problems a summary names.
const maxProblems = 1000

// Scan reads what is new at places. What cannot be read is told and stops
// nothing else. When the context ends, what was read is stored, and the
// context's error is returned with the summary.
func Scan(ctx context.Context, db Store, places []Place, o Options) (Summary, error) {
	s := newScanner(db, o)
	err := s.scan(ctx, places)
	return s.sum, err
}

// Pauses between two looks of Watch.
const (
	minPause = 10 * time.Second
	maxPause = 5 * time.Minute
)

// Watch scans places again and again until the context ends.
func Watch(ctx context.Context, db Store, places []Place, o Options) error {
	s := newScanner(db, o)
	for {
		start := time.Now()
		s.sum = Summary{Passed: map[string]int64{}}
		if err := s.scan(ctx, places); err != nil {
			return err
		}
		if s.sum.Read > 0 {
			s.Log.Info("captured files were read", "files", s.sum.Read, "new", s.sum.Files, "facts", s.sum.Facts)
		}
		select { // a twentieth of the time at the most is spent on looking
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(min(max(minPause, 20*time.Since(start)), maxPause)):
		}
	}
}

// scanner is a scan. Its summary belongs to mu while a place is being scanned.
type scanner struct {
	Options
	db     Store
	mu     sync.Mutex
	sum    Summary
	told   map[string]string // problems that were logged, by path
	place  string
	totals [2]atomic.Int64 // files and bytes that there are
	done   [2]atomic.Int64 // and that were looked at
}

func newScanner(db Store, o Options) *scanner {
	if o.MaxSize <= 0 {
		o.MaxSize = DefaultMaxSize
	}
	return &scanner{Options: o, db: db, sum: Summary{Passed: map[string]int64{}}, told: map[string]string{}}
}

func (s *scanner) scan(ctx context.Context, places []Place) error {
	start := time.Now()
	defer func() {
		s.sum.Elapsed = time.Since(start)
		s.observe()
	}()
	seen := map[Place]bool{}
	for _, p := range places {
		path, err := filepath.Abs(p.Path)
		if err != nil {
			s.problem(p.Path, err)
			continue
		}
		p.Path = path
		if seen[p] {
			continue
		}
		seen[p] = true
		s.place = path
		if err := s.one(ctx, p); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// one scans one place. The error is of the database or the context.
func (s *scanner) one(ctx context.Context, p Place) error {
	info, err := os.Stat(p.Path)
	link := false
	if named, err := os.Lstat(p.Path); err == nil {
		link = named.Mode()&fs.ModeSymlink != 0
	}
	switch {
	case err != nil:
		s.problem(p.Path, err)
		return nil
	case link && !info.IsDir(): // "downloads/*" names such ones
		s.pass(symlink)
		s.tell("passed over", p.Path, "because", "it is a symbolic link: name the file that it leads to")
		return nil
	case info.IsDir():
		return s.directory(ctx, p)
	case !info.Mode().IsRegular():
		s.problem(p.Path, errors.New("neither a directory nor a regular file"))
		return nil
	}
	// A capture may be an archive itself: then it bears its hash as a name.
	if promised(p.Path) == "" {
		done, err := s.tryArchive(ctx, p)
		if done || err != nil {
			return err
		}
	}
	return s.single(ctx, p, info)
}

// pass counts an entry that is passed over.
func (s *scanner) pass(reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sum.Passed[reason]++
}

// problem notes that something could not be read. While watching, a problem is
// told once.
func (s *scanner) problem(path string, err error) {
	err = cause(err)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sum.Failed++
	if len(s.sum.Unreadable) < maxProblems {
		s.sum.Unreadable = append(s.sum.Unreadable, Problem{path, err})
	}
	s.tellLocked("not read", path, "error", err.Error())
}

// tell logs something of a path, once while watching.
func (s *scanner) tell(message, path, key, what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tellLocked(message, path, key, what)
}

func (s *scanner) tellLocked(message, path, key, what string) {
	if s.told[path] == what {
		return
	}
	if len(s.told) > maxProblems {
		clear(s.told)
	}
	s.told[path] = what
	s.Log.Warn(message, "path", path, key, what)
}

func (s *scanner) observe() {
	if s.Observe == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	done, total := s.done[0].Load(), s.totals[0].Load()
	bytes, of := s.done[1].Load(), s.totals[1].Load()
	s.Observe(Progress{FilesDone: done, FilesTotal: max(done, total), BytesDone: bytes, BytesTotal: max(bytes, of),
		Tally: s.sum.ScanTally, Batches: s.sum.Batches, Place: s.place})
}

func (s *scanner) step(bytes int64) {
	s.done[0].Add(1)
	s.done[1].Add(bytes)
}

// single scans one captured file.
func (s *scanner) single(ctx context.Context, p Place, info fs.FileInfo) error {
	dir, name := filepath.Split(p.Path)
	root, err := os.OpenRoot(dir)
	if err != nil {
		s.problem(p.Path, err)
		return nil
	}
	defer root.Close()
	d, err := s.db.Depot(ctx, filepath.Clean(dir), p.Sensor)
	if err != nil {
		return err
	}
	s.totals[0].Add(1)
	s.totals[1].Add(info.Size())
	return s.work(ctx, d, root, func(w *workers) error {
		_, err := w.entries(ctx, []entry{{name, info}})
		return err
	})
}

// directory scans a directory, with all that is below it.
func (s *scanner) directory(ctx context.Context, p Place) error {
	root, err := os.OpenRoot(p.Path)
	if err != nil {
		s.problem(p.Path, err)
		return nil
	}
	defer root.Close()
	d, err := s.db.Depot(ctx, p.Path, p.Sensor)
	if err != nil {
		return err
	}
	counting, stop := context.WithCancel(ctx)
	var counted sync.WaitGroup
	counted.Go(func() { s.count(counting, root) })
	defer counted.Wait()
	defer stop()
	known := int64(0)
	err = s.work(ctx, d, root, func(w *workers) error {
		return walk(ctx, root, func(batch []entry) error {
			n, err := w.entries(ctx, batch)
			known += n
			return err
		}, s.pass, func(name string, err error) { s.problem(filepath.Join(p.Path, name), err) })
	})
	if err != nil {
		return err
	}
	if err := s.forget(ctx, d, root, known); err != nil {
		return err
	}
	return s.db.Scanned(ctx, d, cowrie.FileID{})
}

// count finds out how much there is, so that the end can be foretold.
func (s *scanner) count(ctx context.Context, root *os.Root) {
	ignore := func(string) {}
	_ = walk(ctx, root, func(batch []entry) error {
		for _, e := range batch {
			if passedOver(e.name, e.info.Mode(), e.info.Size(), s.MaxSize) == "" {
				s.totals[0].Add(1)
				s.totals[1].Add(e.info.Size())
			}
		}
		return nil
	}, ignore, func(string, error) {})
}

// forget forgets the entries of a directory that are gone from it. known is how
// many of those that are noted were seen.
func (s *scanner) forget(ctx context.Context, d *cowrie.Depot, root *os.Root, known int64) error {
	if known >= d.Entries {
		return nil
	}
	var gone []string
	flush := func() error {
		s.sum.Gone += int64(len(gone))
		err := s.db.Forget(ctx, d, gone)
		gone = gone[:0]
		return err
	}
	err := s.db.EachDepotEntry(ctx, d, func(e *cowrie.DepotEntry) error {
		if s.stands(root, e.Name) {
			return nil
		}
		if gone = append(gone, e.Name); len(gone) < batchEntries {
			return nil
		}
		return flush()
	})
	if err != nil {
		return err
	}
	return flush()
}

// stands reports whether there may be a captured file under a name still.
func (s *scanner) stands(root *os.Root, name string) bool {
	info, err := root.Lstat(name)
	if err == nil {
		return passedOver(name, info.Mode(), info.Size(), math.MaxInt64) == ""
	}
	if isGone(err) {
		return false
	}
	for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
		if info, err := root.Lstat(dir); err == nil && !info.IsDir() {
			return false // a link, say, where a directory was
		}
	}
	return true // it cannot be told
}

// forgetAll forgets what is noted of an archive.
func (s *scanner) forgetAll(ctx context.Context, d *cowrie.Depot) error {
	var names []string
	err := s.db.EachDepotEntry(ctx, d, func(e *cowrie.DepotEntry) error {
		names = append(names, e.Name)
		return nil
	})
	if err != nil {
		return err
	}
	return s.db.Forget(ctx, d, names)
}

// archiveName is what archives are called.
var archiveName = regexp.MustCompile(`(?i)\.(tar|t[gbx]z2?|tar\.[a-z0-9]+|tzst|zip)$`)

// tryArchive scans an archive. It reports false if the file is none.
func (s *scanner) tryArchive(ctx context.Context, p Place) (done bool, err error) {
	f, err := os.Open(p.Path)
	if err != nil {
		s.problem(p.Path, err)
		return true, nil
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		s.problem(p.Path, err)
		return true, nil
	}
	switch is, err := isArchive(f); {
	case err != nil:
		s.problem(p.Path, err)
		return true, nil
	case !is && archiveName.MatchString(p.Path):
		s.problem(p.Path, errors.New("its name is an archive's, but it is none that can be read: tar, plain or packed by gzip, bzip2 or zstd, or zip"))
		return true, nil
	case !is:
		return false, nil
	}
	d, err := s.db.Depot(ctx, p.Path, p.Sensor)
	if err != nil {
		return true, err
	}
	s.sum.Archives++
	s.totals[0].Add(1)
	s.totals[1].Add(info.Size())
	defer s.done[0].Add(1)
	if d.Archive == fileID(info) {
		s.sum.Unchanged++
		s.done[1].Add(info.Size())
		return true, nil
	}
	// What was odd in it is found again, if it is still there.
	if err := s.forgetAll(ctx, d); err != nil {
		return true, err
	}
	var broken error
	failed := s.sum.Failed
	before := s.done[1].Load()
	err = s.work(ctx, d, nil, func(w *workers) error {
		broken = readArchive(ctx, f, defaultLimits, func(m *member) error {
			if at, err := f.Seek(0, 1); err == nil {
				s.done[1].Store(before + at)
			}
			return w.member(ctx, m)
		})
		if errors.Is(broken, errStore) || ctx.Err() != nil {
			return errStore
		}
		return nil
	})
	s.done[1].Store(before + info.Size())
	if err != nil {
		return true, err
	}
	if broken != nil {
		// Where it broke off within a member, that was told of.
		if s.sum.Failed == failed || errors.Is(broken, errLimit) {
			s.problem(p.Path, broken)
		}
		return true, nil
	}
	if s.sum.Failed > failed {
		return true, nil // what could not be read is tried again
	}
	return true, s.db.Scanned(ctx, d, fileID(info))
}
