package enrich

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"midden/internal/cowrie"
)

// Verdicts is where verdicts are kept.
type Verdicts interface {
	// AddVerdicts stores, in one transaction, those that it does not have yet:
	// file, source and time of observation make a verdict that verdict. It
	// returns how many these were.
	AddVerdicts(ctx context.Context, verdicts []cowrie.Verdict) (added int64, err error)
}

// When a batch of verdicts is stored: as soon as one of these is reached.
const (
	batchVerdicts = 500
	batchBytes    = 8 << 20 // of bodies
)

// maxBodies is how many bytes of bodies may be in memory. A batch that waits
// for more must leave room for the largest entry, or both would wait for ever.
const maxBodies = batchBytes + maxEntry + 8<<20

// Caches are directories in which cowrieprocessor kept answers of VirusTotal.
type Caches struct{ list []cache }

// cache is one of them.
type cache struct {
	root  *os.Root
	above []string // the parts of its absolute path
}

// OpenCaches opens directories. It fails if one of them is none.
func OpenCaches(dirs []string) (*Caches, error) {
	c := &Caches{}
	for _, dir := range dirs {
		if err := c.open(dir); err != nil {
			c.Close()
			return nil, fmt.Errorf("open the cache %s: %w", dir, reason(err))
		}
	}
	return c, nil
}

func (c *Caches) open(dir string) error {
	// A named pipe would make OpenRoot wait.
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return errors.New("not a directory")
	}
	path, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	c.list = append(c.list, cache{root, strings.Split(filepath.ToSlash(path), "/")})
	return nil
}

// Close closes the directories.
func (c *Caches) Close() {
	for _, one := range c.list {
		one.root.Close()
	}
}

// CacheOptions say how to import.
type CacheOptions struct {
	Log *slog.Logger // gets each entry that is passed over; nil for none
	// Observe, if not nil, is called after every batch and every entry that is
	// passed over, from any goroutine but never from two at once.
	Observe func(CacheSummary)
}

// CacheSummary tells what an import did. Entries = Read + PassedOver.
type CacheSummary struct {
	Entries    int64 // what was found, directories aside
	Bytes      int64 // of those that were read
	Read       int64 // entries that held a verdict that is stored now
	Added      int64 // verdicts that were not known
	PassedOver int64
	Reasons    map[Reason]int64 // of PassedOver; nil for Observe
	Elapsed    time.Duration
}

// Known is how many of the verdicts were stored already.
func (s *CacheSummary) Known() int64 { return s.Read - s.Added }

// Import stores the verdicts of all entries. It may be repeated: what is known
// is not added again. When the context ends it stores what was read and
// returns the context's error with the summary.
func (c *Caches) Import(ctx context.Context, db Verdicts, o CacheOptions) (CacheSummary, error) {
	start := time.Now()
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	im := &importing{CacheOptions: o, db: db, entries: make(chan entry, 64), found: make(chan finding, 64),
		bodies: semaphore.NewWeighted(maxBodies), reasons: map[Reason]int64{}}

	var readers sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), 8) {
		readers.Go(func() { im.read(ctx) })
	}
	go func() {
		defer close(im.found)
		for _, one := range c.list {
			im.walk(ctx, one, ".", 0)
		}
		close(im.entries)
		readers.Wait()
	}()
	err := im.store(ctx, stop)

	sum := im.sum
	sum.Reasons, sum.Elapsed = im.reasons, time.Since(start)
	return sum, err
}

// importing is an import that is under way: one goroutine walks, several read
// and parse, one stores.
type importing struct {
	CacheOptions
	db      Verdicts
	entries chan entry
	found   chan finding
	bodies  *semaphore.Weighted

	mu      sync.Mutex
	sum     CacheSummary
	reasons map[Reason]int64
}

// finding is the verdict of an entry, or why there is none.
type finding struct {
	verdict cowrie.Verdict
	size    int64 // acquired from importing.bodies
}

// read reads entries until there are no more.
func (im *importing) read(ctx context.Context) {
	for e := range im.entries {
		if ctx.Err() != nil {
			continue
		}
		f, err := e.open()
		if err != nil {
			im.passOver(e.shown(), err)
			continue
		}
		if im.bodies.Acquire(ctx, f.size) != nil {
			f.Close()
			continue
		}
		verdict, err := f.verdict()
		f.Close()
		if err != nil {
			im.bodies.Release(f.size)
			im.passOver(e.shown(), err)
			continue
		}
		im.found <- finding{verdict, f.size}
	}
}

// store stores what is found, in batches, until nothing more can come. What
// was read is stored even when the import is being stopped. After a failure
// nothing is stored any more, and stop ends the rest.
func (im *importing) store(ctx context.Context, stop func()) (err error) {
	batch, size := make([]cowrie.Verdict, 0, batchVerdicts), int64(0)
	flush := func() {
		if err == nil && len(batch) > 0 {
			var added int64
			if added, err = im.db.AddVerdicts(context.WithoutCancel(ctx), batch); err != nil {
				stop()
			} else {
				im.stored(int64(len(batch)), added, size)
			}
		}
		clear(batch)
		im.bodies.Release(size)
		batch, size = batch[:0], 0
	}
	for f := range im.found {
		batch, size = append(batch, f.verdict), size+f.size
		if len(batch) == batchVerdicts || size >= batchBytes {
			flush()
		}
	}
	flush()
	if err == nil {
		err = ctx.Err()
	}
	return err
}

func (im *importing) stored(read, added, size int64) {
	im.count(func(s *CacheSummary) {
		s.Entries, s.Read, s.Added, s.Bytes = s.Entries+read, s.Read+read, s.Added+added, s.Bytes+size
	})
}

// passOver counts an entry that holds no verdict. What cannot be read is worth
// a warning: the user may be able to mend it. What is gone by now is nothing.
func (im *importing) passOver(path string, err error) {
	why := reasonOf(err)
	switch why {
	case gone:
		return
	case ReasonUnreadable:
		im.Log.Warn("cannot be read", "file", path, "reason", reason(err))
	default:
		im.Log.Debug("passed over", "file", path, "reason", err)
	}
	im.count(func(s *CacheSummary) {
		s.Entries++
		s.PassedOver++
		im.reasons[why]++
	})
}

func (im *importing) count(f func(*CacheSummary)) {
	im.mu.Lock()
	defer im.mu.Unlock()
	f(&im.sum)
	if im.Observe != nil {
		im.Observe(im.sum)
	}
}
