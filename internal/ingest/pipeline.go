package ingest

import (
	"context"
	"runtime/debug"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"midden/internal/cowrie"
	"midden/internal/logs"
)

// How much may be on its way at once.
const (
	maxRaw     = logs.MaxRecord + 2*logs.BlockSize // bytes read and not yet compressed
	maxWaiting = 24                                // chunks between the reader and the writer
	// A chunk of this size is one record that is out of all proportion. It
	// travels alone.
	giant = 8 << 20
)

// When a batch is committed: as soon as one of these is reached.
const (
	batchEvents = 50_000
	batchBytes  = 64 << 20               // of text
	batchAge    = 500 * time.Millisecond // since its first chunk, when no other is waiting
)

// pipeline carries chunks from the reader over the workers to the writer, who
// gets them in the order in which they were sent.
type pipeline struct {
	log     EventLog
	observe func()

	work  chan *item
	order chan *item
	raw   *semaphore.Weighted
	ended sync.WaitGroup

	mu      sync.Mutex
	tally   cowrie.Tally
	batches int64
	err     error
}

// item is a chunk on its way; or, with no chunk, a wish to be told when all
// before it is stored.
type item struct {
	chunk  *cowrie.Chunk
	block  *logs.Block
	rd     *reading
	size   int64
	ready  chan struct{} // closed when the chunk is gathered and sealed
	stored chan struct{}
}

func newPipeline(log EventLog, observe func()) *pipeline {
	p := &pipeline{log: log, observe: observe, work: make(chan *item, maxWaiting), order: make(chan *item, maxWaiting),
		raw: semaphore.NewWeighted(maxRaw)}
	for range workers() {
		p.ended.Go(func() {
			for it := range p.work {
				p.gather(it)
			}
		})
	}
	p.ended.Go(p.write)
	return p
}

// sendBlock sends a block as a chunk, to be gathered on the way.
func (p *pipeline) sendBlock(ctx context.Context, c *cowrie.Chunk, b *logs.Block, rd *reading) error {
	it := &item{chunk: c, block: b, rd: rd, size: int64(len(b.Lines.Data)), ready: make(chan struct{})}
	if err := p.raw.Acquire(ctx, it.size); err != nil {
		return err
	}
	p.work <- it
	if err := p.enqueue(it); err != nil || it.size < giant {
		return err
	}
	return p.drain()
}

// send sends a chunk that needs no gathering.
func (p *pipeline) send(c *cowrie.Chunk, rd *reading) error {
	it := &item{chunk: c, rd: rd, ready: make(chan struct{})}
	close(it.ready)
	return p.enqueue(it)
}

// enqueue never waits for a writer that has failed: that one goes on taking
// items, and throws them away.
func (p *pipeline) enqueue(it *item) error {
	p.order <- it
	return p.failure()
}

// drain waits until all that was sent is stored.
func (p *pipeline) drain() error {
	it := &item{stored: make(chan struct{})}
	p.order <- it
	<-it.stored
	return p.failure()
}

// close stores what was sent and ends the pipeline.
func (p *pipeline) close() error {
	err := p.drain()
	close(p.work)
	close(p.order)
	p.ended.Wait()
	return err
}

func (p *pipeline) failure() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

func (p *pipeline) totals() (cowrie.Tally, int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.tally, p.batches
}

// gather does the work of a worker on one chunk.
func (p *pipeline) gather(it *item) {
	defer close(it.ready)
	g := cowrie.Gather(it.block.Lines, it.chunk.Sensor, nil)
	if it.block.TooLong != nil {
		g.Lines++
		g.DeadLetters = append(g.DeadLetters, *it.block.TooLong)
	}
	it.chunk.Gathered = g
	if it.size >= giant {
		debug.FreeOSMemory()
	}
	p.log.Seal(it.chunk)
	it.block = nil
	if it.size >= giant {
		debug.FreeOSMemory()
	}
	p.raw.Release(it.size)
}

// batch is what will be stored in one transaction.
type batch struct {
	chunks  []*cowrie.Chunk
	reads   map[*cowrie.Source]*reading
	waiting []chan struct{}
	events  int
	bytes   int64
}

// write takes chunks in order and stores them in batches.
func (p *pipeline) write() {
	b := &batch{reads: map[*cowrie.Source]*reading{}}
	timer := time.NewTimer(batchAge)
	timer.Stop()
	for {
		select {
		case it, ok := <-p.order:
			if !ok {
				return
			}
			if it.chunk == nil {
				b.waiting = append(b.waiting, it.stored)
				b = p.store(b)
				timer.Stop()
				continue
			}
			<-it.ready
			if len(b.chunks) == 0 {
				timer.Reset(batchAge)
			}
			b.add(it)
			if b.events >= batchEvents || b.bytes >= batchBytes {
				b = p.store(b)
				timer.Stop()
			}
		case <-timer.C:
			b = p.store(b)
		}
	}
}

func (b *batch) add(it *item) {
	b.chunks = append(b.chunks, it.chunk)
	b.bytes += it.size
	if it.chunk.Gathered != nil {
		b.events += it.chunk.Gathered.Events
	}
	if it.rd != nil {
		b.reads[it.chunk.Source] = it.rd
	}
}

// store stores a batch and returns an empty one. What was read is stored even
// when the run is being stopped: it ends at a clean position. After a failure
// nothing is stored any more, so that no gap comes about.
func (p *pipeline) store(b *batch) *batch {
	if p.failure() == nil && len(b.chunks) > 0 {
		tally, moved, err := p.log.Append(context.Background(), b.chunks)
		for _, src := range moved {
			if rd := b.reads[src]; rd != nil {
				rd.moved.Store(true)
			}
		}
		p.mu.Lock()
		p.tally.Add(tally)
		p.batches++
		p.err = err
		p.mu.Unlock()
		p.observe()
	}
	for _, w := range b.waiting {
		close(w)
	}
	return &batch{reads: map[*cowrie.Source]*reading{}}
}
