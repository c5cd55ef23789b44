package downloads

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"runtime"
	"sync"
	"time"

	"midden/internal/cowrie"
)

// How much waits, and how much goes into a transaction: hashes go to random
// places in their indexes, so that a large one writes each page but once.
const (
	queued       = 256
	batchEntries = 8192
	batchTime    = 500 * time.Millisecond
	// A member of an archive up to this size is held in memory, so that several
	// are read at once; a larger one is read as it comes.
	heldMember = 4 << 20
)

// errStore says that the database failed, or the context ended: there is no use
// in reading on.
var errStore = errors.New("nothing can be stored")

// job is a file to read: under a name below the root, or a member of an archive
// that is in memory.
type job struct {
	name string
	id   cowrie.FileID
	seen cowrie.Time
	data []byte // nil: it is below the root
}

// workers read the files of a depot and store what they are.
type workers struct {
	s       *scanner
	ctx     context.Context // ends, too, when the database fails
	depot   *cowrie.Depot
	root    *os.Root // nil for an archive
	jobs    chan job
	found   chan cowrie.Found
	buffers chan []byte // for members
	inline  *inspector  // for large members
}

// work runs feed, which hands out what there is, and reads and stores that
// meanwhile.
func (s *scanner) work(ctx context.Context, d *cowrie.Depot, root *os.Root, feed func(*workers) error) error {
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	readers := runtime.GOMAXPROCS(0)
	w := &workers{s: s, ctx: inner, depot: d, root: root, jobs: make(chan job, queued),
		found: make(chan cowrie.Found, queued), buffers: make(chan []byte, readers+1)}
	for range cap(w.buffers) {
		w.buffers <- nil
	}
	var stored error
	var storing, reading sync.WaitGroup
	storing.Go(func() {
		if stored = w.store(ctx); stored != nil {
			cancel()
			for range w.found { // whoever waits with something is let go
			}
		}
	})
	for range readers {
		reading.Go(func() {
			in := newInspector()
			in.limit = s.MaxSize
			for j := range w.jobs {
				w.read(in, j)
			}
		})
	}
	fed := feed(w)
	close(w.jobs)
	reading.Wait()
	close(w.found)
	storing.Wait()
	switch {
	case stored != nil:
		return stored
	case errors.Is(fed, errStore):
		return ctx.Err()
	}
	return fed
}

// store stores what is found, in batches. What was found before the context
// ended is stored, too.
func (w *workers) store(ctx context.Context) error {
	ctx = context.WithoutCancel(ctx)
	var batch []cowrie.Found
	since := time.Now()
	flush := func() error {
		if len(batch) == 0 {
			return nil
		}
		tally, err := w.s.db.AddFound(ctx, w.depot, batch)
		if err != nil {
			return err
		}
		w.s.stored(tally)
		batch, since = batch[:0], time.Now()
		return nil
	}
	tick := time.NewTicker(batchTime)
	defer tick.Stop()
	for {
		select {
		case f, ok := <-w.found:
			if !ok {
				return flush()
			}
			if batch = append(batch, f); len(batch) < batchEntries {
				continue
			}
		case <-tick.C:
			w.s.observe()
			if time.Since(since) < batchTime {
				continue
			}
		}
		if err := flush(); err != nil {
			return err
		}
	}
}

func (s *scanner) stored(t cowrie.ScanTally) {
	s.mu.Lock()
	s.sum.Files += t.Files
	s.sum.Sightings += t.Sightings
	s.sum.Facts += t.Facts
	s.sum.Batches++
	s.mu.Unlock()
	s.observe()
}

// entries hands out those entries of a directory that are new, and returns how
// many of them were noted before.
func (w *workers) entries(ctx context.Context, list []entry) (known int64, err error) {
	files := list[:0:0]
	var names []string
	for _, e := range list {
		if why := passedOver(e.name, e.info.Mode(), e.info.Size(), w.s.MaxSize); why != "" {
			w.pass(e.name, why)
			continue
		}
		files = append(files, e)
		names = append(names, e.name)
	}
	noted, err := w.s.db.DepotEntries(ctx, w.depot, names)
	if err != nil {
		return 0, err
	}
	unchanged := int64(0)
	for _, e := range files {
		id := fileID(e.info)
		have, known := noted[e.name]
		if known && have.FileID == id && have.Problem == "" {
			unchanged++
			w.s.step(id.Size)
			continue
		}
		if err := w.add(job{name: e.name, id: id, seen: cowrie.FromStd(e.info.ModTime())}); err != nil {
			return 0, err
		}
	}
	w.s.mu.Lock()
	w.s.sum.Entries += int64(len(files))
	w.s.sum.Unchanged += unchanged
	w.s.mu.Unlock()
	return int64(len(noted)), nil
}

// member takes a file of an archive, which is gone when member returns.
func (w *workers) member(ctx context.Context, m *member) error {
	why := passedOver(m.name, m.mode, m.size, w.s.MaxSize)
	if m.link {
		why = hardLink
	}
	if why != "" {
		if !m.mode.IsDir() {
			w.pass(m.name, why)
		}
		return nil
	}
	w.s.mu.Lock()
	w.s.sum.Entries++
	w.s.mu.Unlock()
	j := job{name: m.name, id: cowrie.FileID{Size: m.size}, seen: cowrie.NoTime}
	if !m.modTime.IsZero() {
		j.id.ModTime, j.seen = m.modTime.UnixNano(), cowrie.FromStd(m.modTime)
	}
	if m.size < 0 || m.size > heldMember {
		if w.inline == nil {
			w.inline = newInspector()
		}
		c, err := w.inline.inspect(ctx, io.LimitReader(m.r, w.s.MaxSize+1), nil)
		if errors.Is(err, errLimit) || ctx.Err() != nil {
			return errors.Join(err, ctx.Err())
		}
		if err == nil && c.Size > w.s.MaxSize { // the archive did not say so
			w.pass(m.name, tooLarge(w.s.MaxSize))
			return nil
		}
		w.done(j, c, err)
		return w.stopped()
	}
	var buf []byte
	select {
	case buf = <-w.buffers:
	case <-w.ctx.Done():
		return errStore
	}
	if int64(cap(buf)) < m.size {
		buf = make([]byte, m.size, max(m.size, 64<<10))
	}
	n, err := io.ReadFull(m.r, buf[:m.size])
	if err != nil {
		w.buffers <- buf
		if errors.Is(err, errLimit) || ctx.Err() != nil {
			return errors.Join(err, ctx.Err())
		}
		w.done(j, nil, err)
		return nil
	}
	j.data = buf[:n]
	return w.add(j)
}

// pass counts a file that is passed over. That it was too large is said, since it
// may be a capture.
func (w *workers) pass(name, why string) {
	w.s.pass(why)
	if why == tooLarge(w.s.MaxSize) {
		w.s.tell("passed over", w.depot.Path+"/"+name, "because", why)
	}
}

func (w *workers) stopped() error {
	if w.ctx.Err() != nil {
		return errStore
	}
	return nil
}

// add hands out a job.
func (w *workers) add(j job) error {
	select {
	case w.jobs <- j:
		return nil
	case <-w.ctx.Done():
		return errStore
	}
}

// read does a job.
func (w *workers) read(in *inspector, j job) {
	if w.ctx.Err() != nil {
		return
	}
	var c *cowrie.Content
	var err error
	if j.data != nil {
		r := bytes.NewReader(j.data)
		c, err = in.inspect(w.ctx, r, r)
		w.buffers <- j.data
	} else {
		var info fs.FileInfo
		info, c, err = readFile(w.ctx, in, w.root, j.name)
		if isGone(err) {
			w.s.step(j.id.Size)
			return // it is gone since it was listed
		}
		if errors.Is(err, errTooLarge) {
			w.pass(j.name, tooLarge(w.s.MaxSize))
			w.s.step(j.id.Size)
			return
		}
		if info != nil {
			j.id, j.seen = fileID(info), cowrie.FromStd(info.ModTime())
		}
	}
	if w.ctx.Err() != nil {
		return // it was not read to its end
	}
	w.done(j, c, err)
}

// done tells what a file is, or why that cannot be told.
func (w *workers) done(j job, c *cowrie.Content, err error) {
	s := w.s
	found := cowrie.Found{DepotEntry: cowrie.DepotEntry{Name: j.name, FileID: j.id}, SeenAt: j.seen, Content: c}
	path := w.depot.Path + "/" + j.name // which may lead anywhere, and is only shown
	if err != nil {
		found.Problem, found.Content = cause(err).Error(), nil
		s.problem(path, err)
	} else {
		found.Shasum = c.Shasum
		misnamed := Misnamed(j.name, c.Shasum)
		s.mu.Lock()
		s.sum.Read++
		s.sum.Bytes += c.Size
		if misnamed {
			s.sum.Misnamed++
		}
		s.mu.Unlock()
		if misnamed {
			s.Log.Warn("the name is of another content", "path", path, "shasum", c.Shasum)
		}
		// An archive is known as a whole: of its files only what is odd is noted.
		found.Unnoted = w.root == nil && !misnamed
	}
	if w.root != nil {
		s.step(j.id.Size)
	}
	w.found <- found
}
