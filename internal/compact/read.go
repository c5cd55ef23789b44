package compact

import (
	"bytes"
	"context"
	"runtime"
	"runtime/debug"
	"sort"
	"sync"

	"midden/internal/cowrie"
)

// How much is read ahead.
const (
	stretchBytes = 1 << 20 // of payload in a stretch; one event may be more
	stretchIDs   = 1 << 14 // ids in a stretch at the most
	ahead        = 4       // stretches that wait
	// A stretch of this size is one event that is out of all proportion. It
	// travels alone.
	giant = 8 << 20
)

// stretch is some raw events on their way into a segment.
type stretch struct {
	moved *cowrie.Moved
	ends  []int
	data  []byte
	bytes int64
	err   error
	ready chan struct{} // closed when moved is gathered and sealed
	taken chan struct{} // closed when it is stored
}

// read reads the raw events with after < id <= through in stretches, in order.
// The channel is closed behind the last, or behind an error. wait returns when
// nothing is read any more; the context must have ended or the channel be closed.
func read(ctx context.Context, db Store, after, through int64) (stretches <-chan *stretch, wait func()) {
	var running sync.WaitGroup
	work, order := make(chan *stretch), make(chan *stretch, ahead)
	for range max(1, runtime.GOMAXPROCS(0)-1) {
		running.Go(func() {
			for st := range work {
				st.gather(db)
			}
		})
	}
	running.Go(func() {
		defer close(order)
		defer close(work)
		send := func(st *stretch) error {
			select {
			case work <- st:
			case <-ctx.Done():
				return ctx.Err()
			}
			alone := st.bytes >= giant
			select {
			case order <- st:
			case <-ctx.Done():
				return ctx.Err()
			}
			if !alone {
				return nil
			}
			select {
			case <-st.taken:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		st := newStretch(after)
		err := db.RawEvents(ctx, after, through, func(e *cowrie.RawEvent) error {
			if len(st.data) > 0 && (len(st.data)+len(e.Payload) > stretchBytes || len(st.moved.IDs) == stretchIDs) {
				next := newStretch(st.moved.Through)
				if err := send(st); err != nil {
					return err
				}
				st = next
			}
			st.add(e)
			return nil
		})
		st.moved.Through = max(st.moved.Through, through)
		if err != nil {
			st = &stretch{err: err, ready: make(chan struct{})}
			close(st.ready)
			select {
			case order <- st:
			case <-ctx.Done():
			}
			return
		}
		if st.moved.Through > st.moved.From {
			send(st)
		}
	})
	return order, running.Wait
}

func newStretch(after int64) *stretch {
	return &stretch{moved: &cowrie.Moved{From: after, Through: after}, ready: make(chan struct{}), taken: make(chan struct{})}
}

// add adds a raw event. Each is a record, whatever is in it.
func (st *stretch) add(e *cowrie.RawEvent) {
	m := st.moved
	m.Through = e.ID
	m.IDs = append(m.IDs, e.ID)
	m.Offsets = append(m.Offsets, int64(len(st.data)))
	st.data = append(st.data, e.Payload...)
	st.ends = append(st.ends, len(st.data))
	st.bytes += int64(len(e.Payload))
	if n := len(m.Origins); n > 0 {
		last := &m.Origins[n-1]
		next := last.Origin
		next.Line += last.Count
		if next == e.Origin {
			last.Count++
			return
		}
	}
	m.Origins = append(m.Origins, cowrie.OriginRun{Origin: e.Origin, Count: 1})
}

// gather makes sense of a stretch and compresses it.
func (st *stretch) gather(db Store) {
	defer close(st.ready)
	m := st.moved
	m.Gathered = cowrie.Gather(cowrie.Lines{Data: st.data, Ends: st.ends}, "", nil)
	for i := range m.Gathered.DeadLetters {
		d := &m.Gathered.DeadLetters[i]
		// The record that it stands in, whole.
		n := sort.Search(len(m.Offsets), func(n int) bool { return m.Offsets[n] > d.Offset }) - 1
		m.Broken = append(m.Broken, cowrie.BrokenRaw{ID: m.IDs[n], Reason: d.Reason, Payload: bytes.Clone(st.data[m.Offsets[n]:st.ends[n]])})
	}
	db.Seal(&m.Chunk)
	st.data, st.ends = nil, nil
	if st.bytes >= giant {
		debug.FreeOSMemory()
	}
}
