package ingest

import (
	"context"
	"errors"
	"hash/maphash"
	"io"
	"iter"
	"log/slog"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"midden/internal/cowrie"
	"midden/internal/logs"
)

// EventLog is where events are kept.
type EventLog interface {
	// Seal prepares a chunk for Append; any goroutine may call it.
	Seal(*cowrie.Chunk)
	// Append stores chunks in one transaction. It leaves out those of sources
	// that somebody else has read on meanwhile, and returns these sources.
	Append(context.Context, []*cowrie.Chunk) (cowrie.Tally, []*cowrie.Source, error)
	// Sources returns what is known under a fingerprint, least read first.
	Sources(ctx context.Context, fingerprint string) ([]cowrie.Source, error)
	// ClaimSource takes a source for this loader; false if another one has it.
	ClaimSource(ctx context.Context, fingerprint string) (bool, error)
	// ReleaseSources lets go of all sources that were claimed.
	ReleaseSources()
	// File returns what a path held when it was last looked at, or nil.
	File(ctx context.Context, path string) (*cowrie.FileState, error)
}

// Options say how to load.
type Options struct {
	Sensor string // of events that do not name one
	// Follow: when all is read, wait for more until the context ends.
	Follow bool
	// Patience is how long to wait, once the event log is not available, until it is.
	Patience time.Duration
	Remote   bool // the event log is on a server
	Log      *slog.Logger
	// Observe, if not nil, is called after every batch and now and then while
	// reading, from any goroutine.
	Observe func(Progress)
}

// Progress tells how far a load is.
type Progress struct {
	Tally                 cowrie.Tally
	Batches               int64
	FilesDone, FilesTotal int64
	BytesDone, BytesTotal int64 // as they lie on disk
	Source                string
	Position              int64
}

// Summary tells what a load did.
type Summary struct {
	cowrie.Tally
	FilesRead    int64 // that had something new
	FilesKnown   int64 // that had nothing new
	FilesPassed  int64 // in directories, that do not look like logs
	PendingBytes int64 // at the ends of files, that are no whole line yet
	// FilesUnreadable is how many files and directories could not be read, or
	// not to the end, and Unreadable are a thousand of them at the most.
	FilesUnreadable int64
	Unreadable      []logs.Problem
	Passed          []string // the first few of FilesPassed
	Batches         int64
	Elapsed         time.Duration
}

// maxProblems is how many problems a summary names.
const maxProblems = 1000

// Load reads what is new in the files that paths lead to. When the context
// ends it commits what was read and returns the context's error with the
// summary.
func Load(ctx context.Context, log EventLog, paths []string, o Options) (Summary, error) {
	start := time.Now()
	l := newLoader(log, o)
	if o.Patience > 0 {
		log = &patient{log, o.Patience, ctx.Done(), o.Log}
		l.log = log
	}
	if o.Remote {
		defer listen()()
	}
	l.pipe = newPipeline(log, l.observe)
	defer leaveRoom(room, 0)
	err := l.run(ctx, paths)
	l.release()
	if e := l.pipe.close(); e != nil && !errors.Is(e, context.Canceled) {
		err = e
	}
	l.summary.Tally, l.summary.Batches = l.pipe.totals()
	l.summarise()
	l.summary.Elapsed = time.Since(start)
	return l.summary, err
}

// loader is the reading end of a load. All of its fields but the counters
// belong to one goroutine.
type loader struct {
	Options
	log     EventLog
	pipe    *pipeline
	summary Summary

	// A load that does not follow forgets a file as soon as it need not be
	// looked at again.
	seen       seenFiles
	unreadable map[string]problem

	round map[string]bool      // fingerprints met since all was stored, and whether what is known of them is changing
	mine  int                  // sources that are claimed
	taken int                  // files of this round whose source another loader has
	look  uint32               // the number of a follower's look
	held  map[string]*heldFile // files that are followed
	gone  []*heldFile          // followed files that have lost their name

	filesDone, filesTotal atomic.Int64
	bytesDone, bytesTotal atomic.Int64
}

func newLoader(log EventLog, o Options) *loader {
	return &loader{Options: o, log: log, unreadable: map[string]problem{},
		seen: seenFiles{seed: maphash.MakeSeed()}, round: map[string]bool{}, held: map[string]*heldFile{}}
}

// run reads all there is or, if asked to, follows.
func (l *loader) run(ctx context.Context, paths []string) error {
	if l.Follow {
		return l.follow(ctx, paths)
	}
	files, err := l.find(ctx, paths, nil)
	if err != nil {
		return err
	}
	next, n := files.All(), files.Len()
	pause := minPause
	for n > 0 {
		again, err := l.readAll(ctx, next)
		if err != nil {
			return err
		}
		before := n
		next, n = slices.Values(again), len(again)
		switch {
		case l.taken == 0 || n < before:
			pause = minPause
			continue
		case pause == minPause:
			l.Log.Info("another loader reads what is left", "files", n)
		}
		// It may be killed: then the rest of its work is ours.
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
		pause = min(2*pause, maxPause)
	}
	return nil
}

// find lists those files that are to be kept, and notes what cannot be read.
func (l *loader) find(ctx context.Context, paths []string, keep func(logs.Found) bool) (*logs.Files, error) {
	files, problems, err := logs.Find(ctx, paths, keep)
	if err != nil {
		return nil, err
	}
	l.seen.order()
	for _, p := range problems {
		l.fail(p.Path, p.Err)
	}
	if l.look <= 1 { // what comes later to a follower is not foreseen
		l.bytesTotal.Store(files.Size())
		l.filesTotal.Store(int64(files.Len()))
	}
	percent := int64(room)
	if l.Remote {
		percent = roomRemote
	}
	leaveRoom(percent, files.Memory()+l.seen.memory())
	return files, nil
}

// readAll reads files one after the other, and waits until all is stored. It
// returns those that must be looked at again: whose source was read on by
// somebody else, or is the same as that of another file.
func (l *loader) readAll(ctx context.Context, files iter.Seq[logs.Found]) (again []logs.Found, err error) {
	l.taken = 0
	var reads []*reading
	// What is stored is forgotten, however many files there are.
	store := func() error {
		if err := l.store(); err != nil {
			return err
		}
		for _, rd := range reads {
			if rd.moved.Load() {
				again = append(again, rd.found)
				l.filesDone.Add(-1)
			} else {
				l.settled(rd.found)
			}
		}
		reads = nil
		return nil
	}
	for f := range files {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if l.mine >= maxClaims {
			if err := store(); err != nil {
				return nil, err
			}
		}
		if err := l.pipe.failure(); err != nil {
			return nil, err
		}
		rd, err := l.readFile(ctx, f)
		switch {
		case errors.Is(err, errAgain):
			again = append(again, f)
		case err != nil:
			return nil, err
		case rd != nil:
			reads = append(reads, rd)
		default:
			l.settled(f)
		}
	}
	return again, store()
}

// maxClaims is how many sources are claimed at a time: each costs the event log
// something.
const maxClaims = 256

// store waits until all that was read is stored, and lets others have its sources.
func (l *loader) store() error {
	err := l.pipe.drain()
	l.log.ReleaseSources()
	l.round, l.mine = map[string]bool{}, 0
	return err
}

// errAgain says that a file must be looked at again when what was read so far
// is stored.
var errAgain = errors.New("look again")

// reading is one file being read.
type reading struct {
	found  logs.Found
	source *cowrie.Source
	moved  atomic.Bool // somebody else has read its source on
}

// readFile reads what is new in a file. It returns nil if nothing is.
func (l *loader) readFile(ctx context.Context, f logs.Found) (*reading, error) {
	state, err := l.log.File(ctx, f.Path)
	if err != nil {
		return nil, err
	}
	if state != nil && state.Size == f.Size && state.ModTime == f.ModTime && state.Inode == f.Inode {
		l.noted(f.Path, false, state.Pending)
		l.done(f.Size)
		return nil, nil
	}
	file, err := logs.Open(f.Path)
	if err != nil {
		l.fail(f.Path, err)
		l.done(f.Size)
		if l.Follow {
			return nil, errAgain
		}
		return nil, nil
	}
	l.readable(f.Path)
	rd, err := l.readOpen(ctx, file, f, state)
	if l.Follow && file.Compression == "" && rd != nil {
		l.hold(file, f, rd.source)
	} else {
		file.Close()
	}
	if err == nil {
		l.done(f.Size)
	}
	return rd, err
}

// readOpen reads what is new in an open file.
func (l *loader) readOpen(ctx context.Context, file *logs.File, f logs.Found, state *cowrie.FileState) (*reading, error) {
	now := file.Found()
	if l.Follow && file.Compression != "" && l.inTheMaking(now) {
		return nil, errAgain
	}
	next := &cowrie.FileState{Path: f.Path, Size: now.Size, ModTime: now.ModTime, Inode: now.Inode}
	r, err := logs.NewReader(file)
	switch {
	case err != nil:
		return nil, l.broken(ctx, next, err)
	case !f.Named && !r.LooksLikeLog():
		l.passOver(f)
		return nil, nil
	case r.Fingerprint() == "":
		next.Pending = r.Pending()
		l.noted(f.Path, false, next.Pending)
		return nil, l.pipe.send(&cowrie.Chunk{File: next}, nil)
	}
	rd := &reading{found: f}
	if rd.source, err = l.identify(ctx, r, now, state); err != nil {
		if ctx.Err() != nil || errors.Is(err, errAgain) || errors.Is(err, cowrie.ErrUnavailable) {
			return nil, err
		}
		return nil, l.broken(ctx, next, err)
	}
	return rd, l.readSource(ctx, r, rd, next)
}

// broken notes a file of which nothing can be read.
func (l *loader) broken(ctx context.Context, f *cowrie.FileState, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	f.Problem = err.Error()
	l.fail(f.Path, err)
	return l.pipe.send(&cowrie.Chunk{File: f}, nil)
}

// maxTurn is how many bytes of one file a follower reads before it looks at
// the others.
const maxTurn = 64 << 20

// readSource reads the records behind a source's position. next, if not nil,
// is what will then be known of the file.
func (l *loader) readSource(ctx context.Context, r *logs.Reader, rd *reading, next *cowrie.FileState) error {
	start, before := r.Position(), l.bytesDone.Load()
	path := rd.found.Path
	var problem error
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		block, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			problem = err
			break
		}
		if rd.moved.Load() {
			return nil
		}
		c := &cowrie.Chunk{Source: rd.source, Path: path, Sensor: l.Sensor, From: block.From, Start: block.Start, Mark: block.Mark}
		if err := l.pipe.sendBlock(ctx, c, block, rd); err != nil {
			return err
		}
		l.observeFile(path, before+r.BytesRead(), r.Position())
		if l.Follow && r.Position()-start > maxTurn {
			rd.moved.Store(true) // there is more
			return nil
		}
	}
	if r.Position() == start { // what is known of its source stays as it is
		l.round[r.Fingerprint()] = false
	}
	l.noted(path, r.Position() > start, r.Pending())
	if problem != nil && ctx.Err() == nil {
		l.fail(path, problem)
	}
	if next == nil {
		return nil
	}
	if problem != nil {
		next.Problem = problem.Error()
	}
	next.Pending = r.Pending()
	if r.Position() > 0 { // else there is no source yet
		next.Source = rd.source
	}
	return l.pipe.send(&cowrie.Chunk{Source: next.Source, File: next}, rd)
}

// identify finds out which source a file holds, and goes to the position that
// the source was read to. A position counts only if what stands before it is
// what was read then.
func (l *loader) identify(ctx context.Context, r *logs.Reader, now logs.Found, state *cowrie.FileState) (*cowrie.Source, error) {
	changing, mine := l.round[r.Fingerprint()]
	if changing {
		return nil, errAgain // what is known of it is about to change
	}
	l.round[r.Fingerprint()] = true
	if !mine {
		switch claimed, err := l.log.ClaimSource(ctx, r.Fingerprint()); {
		case err != nil:
			return nil, err
		case !claimed:
			l.taken++
			return nil, errAgain
		}
		l.mine++
	}
	known, err := l.log.Sources(ctx, r.Fingerprint())
	if err != nil {
		return nil, err
	}
	fresh := &cowrie.Source{Fingerprint: r.Fingerprint()}
	if len(known) == 0 {
		return fresh, nil
	}
	fresh.Newest = known[0].Newest
	// Plainly the file that was read last: the same inode, only longer.
	if state != nil && state.Inode == now.Inode && state.Source != nil {
		for i := range known {
			if known[i].ID == state.Source.ID && r.Resume(known[i].Mark) {
				return &known[i], nil
			}
		}
	}
	best := -1
	for i := range known {
		digest, err := r.Advance(known[i].Mark.Position)
		if err == io.ErrUnexpectedEOF {
			if l.Follow && l.inTheMaking(now) {
				return nil, errAgain
			}
			break
		}
		if err != nil {
			break // what can be read is shorter; reading will tell why
		}
		if digest == known[i].Mark.Digest {
			best = i
		}
	}
	if best >= 0 && r.Position() == known[best].Mark.Position {
		return &known[best], nil
	}
	if err := r.Rewind(); err != nil {
		return nil, err
	}
	if best < 0 {
		return fresh, nil
	}
	_, err = r.Advance(known[best].Mark.Position)
	return &known[best], err
}

func (l *loader) summarise() {
	for path := range l.unreadable {
		l.report(path)
	}
	slices.SortFunc(l.summary.Unreadable, func(a, b logs.Problem) int { return strings.Compare(a.Path, b.Path) })
}

const passedNamed = 5

func (l *loader) passOver(f logs.Found) {
	l.summary.FilesPassed++
	if len(l.summary.Passed) < passedNamed {
		l.summary.Passed = append(l.summary.Passed, f.Path)
	}
	l.Log.Debug("passed over: does not begin like a log", "file", f.Path)
}

func (l *loader) done(size int64) {
	l.filesDone.Add(1)
	l.bytesDone.Add(size)
	l.observe()
}

func (l *loader) observe() { l.observeFile("", l.bytesDone.Load(), 0) }

func (l *loader) observeFile(path string, bytes, position int64) {
	if l.Observe == nil {
		return
	}
	tally, batches := l.pipe.totals()
	l.Observe(Progress{Tally: tally, Batches: batches, FilesDone: l.filesDone.Load(), FilesTotal: l.filesTotal.Load(),
		BytesDone: bytes, BytesTotal: l.bytesTotal.Load(), Source: path, Position: position})
}

// cores is how many of them may be used.
var cores = runtime.GOMAXPROCS(0)

// workers is how many goroutines make sense of what was read: all cores but
// the one that writes.
func workers() int { return max(1, cores-1) }

// listen has Go run some threads more than there are cores, until it is undone. Where all are busy,
// who waits for a server learns of its answer only when one has nothing to do, or after 10 ms.
func listen() (undo func()) {
	if os.Getenv("GOMAXPROCS") != "" {
		return func() {}
	}
	runtime.GOMAXPROCS(cores + 2)
	return func() { runtime.GOMAXPROCS(cores) }
}
