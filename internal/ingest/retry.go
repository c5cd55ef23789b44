package ingest

import (
	"context"
	"errors"
	"iter"

	"midden/internal/cowrie"
)

// retried is the fingerprint of the source that dead letters become part of
// when they turn out to be events after all.
const retried = "dead letters"

// DeadLetter is a line that was no event when it was read.
type DeadLetter struct {
	ID   int64
	Line []byte
}

// RetrySummary tells what a retry did.
type RetrySummary struct {
	cowrie.Tally
	Resolved int64 // dead letters that are events
	Kept     int64 // dead letters that are none
}

// Retry reads dead letters again. Those that this version understands become
// events and are marked as resolved, in one transaction each batch.
func Retry(ctx context.Context, log EventLog, letters iter.Seq2[DeadLetter, error]) (RetrySummary, error) {
	r := &retry{ctx: ctx, log: log}
	if err := r.begin(); err != nil {
		return r.sum, err
	}
	for d, err := range letters {
		if err != nil {
			return r.sum, err
		}
		if err := r.letter(d); err != nil {
			return r.sum, err
		}
	}
	return r.sum, r.store()
}

type retry struct {
	ctx      context.Context
	log      EventLog
	src      *cowrie.Source
	position int64
	chunks   []*cowrie.Chunk
	sum      RetrySummary
}

func (r *retry) begin() error {
	known, err := r.log.Sources(r.ctx, retried)
	if err != nil {
		return err
	}
	r.src = &cowrie.Source{Fingerprint: retried}
	if len(known) > 0 {
		r.src = &known[len(known)-1]
	}
	r.position = r.src.Mark.Position
	return nil
}

func (r *retry) letter(d DeadLetter) error {
	g := cowrie.Gather(cowrie.Lines{Data: d.Line, Ends: []int{len(d.Line)}}, "", nil)
	if g.Events != 1 {
		r.sum.Kept++
		return nil
	}
	c := &cowrie.Chunk{Source: r.src, From: r.position, Start: r.position, Gathered: g, Resolves: d.ID}
	r.position += int64(len(d.Line))
	c.Mark = cowrie.Mark{Position: r.position, State: []byte{}, Tail: []byte{}}
	r.log.Seal(c)
	if r.chunks = append(r.chunks, c); len(r.chunks) < 100 {
		return nil
	}
	return r.store()
}

func (r *retry) store() error {
	if len(r.chunks) == 0 {
		return nil
	}
	tally, moved, err := r.log.Append(r.ctx, r.chunks)
	if err != nil {
		return err
	}
	if len(moved) > 0 {
		return errors.New("another retry is at work on the same dead letters")
	}
	r.sum.Tally.Add(tally)
	r.sum.Resolved += int64(len(r.chunks))
	r.chunks = nil
	return nil
}
