package backfill

import (
	"bytes"
	"context"
	"errors"
	"sync"

	"midden/internal/cowrie"
)

// item is what one event says of a file: one of sighting, verdict, broken and
// why.
type item struct {
	id       int64
	size     int // bytes of its payload
	sighting *cowrie.Sighting
	verdict  *cowrie.Verdict
	broken   *cowrie.BrokenRaw
	why      string
}

// part is what a stretch of the raw events says: all up to the id through.
type part struct {
	items   []item
	through int64
	err     error
}

// How much is read ahead.
const (
	readers   = 2
	width     = 1 << 15   // ids in a stretch that one reader takes
	ahead     = 8         // stretches that wait
	partItems = 512       // items in a part at the most
	partBytes = 512 << 10 // bytes of text in a part at the most, about
	// So many parts of a stretch wait, that a reader is done with a usual one
	// while an earlier stretch is still being written.
	partsAhead = 8
)

// stretch is a range of ids, read by one reader.
type stretch struct {
	after, through int64
	parts          chan part
}

// read reads the raw events with after < id <= through and sends what they say,
// in order of id. The channel is closed behind the last of them, or behind an
// error. wait returns when nothing is read any more; the context must have ended
// or the channel be closed.
func read(ctx context.Context, db Store, after, through int64) (parts <-chan part, wait func()) {
	var running sync.WaitGroup
	work := make(chan *stretch)
	order := make(chan *stretch, ahead)
	out := make(chan part)
	running.Go(func() {
		defer close(order)
		defer close(work)
		for from := after; from < through; {
			st := &stretch{from, min(from+width, through), make(chan part, partsAhead)}
			from = st.through
			select {
			case order <- st:
			case <-ctx.Done():
				return
			}
			select {
			case work <- st:
			case <-ctx.Done():
				close(st.parts)
				return
			}
		}
	})
	for range readers {
		running.Go(func() {
			for st := range work {
				st.read(ctx, db)
			}
		})
	}
	running.Go(func() {
		defer close(out)
		for st := range order {
			for p := range st.parts {
				select {
				case out <- p:
				case <-ctx.Done():
				}
			}
		}
	})
	return out, running.Wait
}

// read reads a stretch and sends its parts. While a part waits for the writer
// nothing is being read: an open query would keep the journal from being written
// back for as long as the writer is paused.
func (st *stretch) read(ctx context.Context, db Store) {
	defer close(st.parts)
	finder := cowrie.NewFinder()
	for from := st.after; from < st.through; {
		p := part{through: st.through}
		size := 0
		err := db.FileEvents(ctx, from, st.through, func(e *cowrie.RawEvent) error {
			it := find(finder, e)
			if it == nil {
				return nil
			}
			p.items = append(p.items, *it)
			if size += it.held(); len(p.items) < partItems && size < partBytes {
				return nil
			}
			p.through = e.ID
			return errFull
		})
		if err != nil && err != errFull {
			p = part{err: err}
		}
		from = p.through
		select {
		case st.parts <- p:
		case <-ctx.Done():
			return
		}
		if p.err != nil {
			return
		}
	}
}

// errFull ends a query: the part has all that it may have.
var errFull = errors.New("the part is full")

// find reads an event; nil if it is none of a file.
func find(f *cowrie.Finder, e *cowrie.RawEvent) *item {
	it := &item{id: e.ID, size: len(e.Payload)}
	found, err := f.Find(e.Payload, "")
	switch {
	case err != nil:
		it.broken = &cowrie.BrokenRaw{ID: e.ID, Reason: err.Error(), Payload: bytes.Clone(e.Payload)}
	case found.Why == cowrie.NotAFile:
		return nil
	default:
		it.sighting, it.verdict, it.why = found.Sighting, found.Verdict, found.Why
	}
	return it
}

// held is about how many bytes of text an item keeps.
func (it *item) held() int {
	switch {
	case it.broken != nil:
		return len(it.broken.Payload)
	case it.sighting != nil:
		s := it.sighting
		return 256 + len(s.Filename) + len(s.Destfile) + len(s.URL) + len(s.Outfile)
	}
	return 256
}
