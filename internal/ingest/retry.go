package ingest

import (
	"context"

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
func Retry(ctx context.Context, log EventLog, letters []DeadLetter) (RetrySummary, error) {
	var sum RetrySummary
	known, err := log.Sources(ctx, retried)
	if err != nil {
		return sum, err
	}
	src := &cowrie.Source{Fingerprint: retried}
	if len(known) > 0 {
		src = &known[len(known)-1]
	}
	position := src.Mark.Position
	var chunks []*cowrie.Chunk
	store := func() error {
		tally, moved, err := log.Append(ctx, chunks)
		if err != nil {
			return err
		}
		if len(moved) == 0 { // else another retry is at work, and does the same
			sum.Tally.Add(tally)
			sum.Resolved += int64(len(chunks))
		}
		chunks = nil
		return nil
	}
	for _, d := range letters {
		g := cowrie.Gather(cowrie.Lines{Data: d.Line, Ends: []int{len(d.Line)}}, "", nil)
		if g.Events != 1 {
			sum.Kept++
			continue
		}
		from := position
		position += int64(len(d.Line))
		c := &cowrie.Chunk{Source: src, From: from, Start: from, Gathered: g, Resolves: d.ID,
			Mark: cowrie.Mark{Position: position, State: []byte{}, Tail: []byte{}}}
		log.Seal(c)
		if chunks = append(chunks, c); len(chunks) == 1000 {
			if err := store(); err != nil {
				return sum, err
			}
		}
	}
	if len(chunks) == 0 {
		return sum, nil
	}
	return sum, store()
}
