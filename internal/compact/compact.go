// Package compact moves the raw events of a database that was taken over into
// segments, where they take a tenth of the room.
//
// Raw events come in, in order; segments go out, one in each transaction, with
// the position that they reach to. Only when every one of them was found again
// in what was stored are they deleted, all at once. A run that is killed goes on
// where it was.
//
// The package never deletes an event that it has not found again, and moves none
// that the backfill has not done.
package compact

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"midden/internal/cowrie"
)

// JobName is the name under which the work is noted in the database.
const JobName = "compact"

// Store is where raw events become segments.
type Store interface {
	Hold(what string) (release func(), err error)
	HasRawEvents() bool
	LastRawEvent(context.Context) (int64, error)
	Job(ctx context.Context, name string) (*cowrie.Job, error)
	SaveJob(context.Context, *cowrie.Job) error
	// RawEvents calls f, in order of id, for the raw events with after < id <= through.
	RawEvents(ctx context.Context, after, through int64, f func(*cowrie.RawEvent) error) error
	// Seal prepares a chunk for Move; any goroutine may call it.
	Seal(*cowrie.Chunk)
	// Move stores a stretch of raw events, and the job, in one transaction.
	Move(context.Context, *cowrie.Moved, *cowrie.Job) (cowrie.Turn, error)
	// MovedSegments calls f for what was stored of the raw events with after <
	// id <= through.
	MovedSegments(ctx context.Context, after, through int64, f func(from, through int64, text []byte) error) error
	// IsStored reports whether a raw event stands elsewhere.
	IsStored(ctx context.Context, payload []byte) (bool, error)
	// DropMoved deletes all raw events if all were moved; false if there are others.
	DropMoved(context.Context, *cowrie.Job) (bool, error)
}

// Options say how to work.
type Options struct {
	// Observe, if not nil, is told of every transaction.
	Observe func(*cowrie.Job)
	// Checking, if not nil, is told how many of so many raw events were found again.
	Checking func(done, of int64)
}

// Summary tells what was done.
type Summary struct {
	Events, Duplicates, DeadLetters int64 // that raw events have become
	Checked                         int64 // raw events that were found again
	Deleted                         bool
	Elapsed                         time.Duration
}

// ErrNothing says that a database has no raw events.
var ErrNothing = errors.New("there are no raw events in this database")

// ErrBackfill says that there are raw events whose files were not derived yet.
var ErrBackfill = errors.New("there are raw events that are not backfilled yet: run \"midden backfill run\" first")

// Run moves all raw events, looks that they are there, and deletes them.
func Run(ctx context.Context, db Store, backfill string, o Options) (Summary, error) {
	start := time.Now()
	r := &run{Options: o, db: db, backfill: backfill}
	if !db.HasRawEvents() {
		return r.sum, ErrNothing
	}
	release, err := db.Hold("compact")
	if err != nil {
		return r.sum, err
	}
	defer release()
	err = r.run(ctx)
	r.sum.Elapsed = time.Since(start)
	return r.sum, err
}

type run struct {
	Options
	db       Store
	backfill string // the name of the job that must have done what is moved
	job      *cowrie.Job
	checked  int64 // raw events up to this id were found again
	sum      Summary
}

func (r *run) run(ctx context.Context) (err error) {
	if r.job, err = r.db.Job(ctx, JobName); err != nil {
		return err
	}
	host, _ := os.Hostname()
	r.job.State, r.job.Error, r.job.FinishedAt = cowrie.JobRunning, "", cowrie.NoTime
	r.job.Owner = fmt.Sprintf("process %d on %s", os.Getpid(), host)
	if r.job.StartedAt == cowrie.NoTime {
		r.job.StartedAt = cowrie.FromStd(time.Now())
	}
	err = r.all(ctx)
	r.job.State, r.job.Owner, r.job.FinishedAt = cowrie.JobDone, "", cowrie.FromStd(time.Now())
	if err != nil {
		r.job.State, r.job.FinishedAt = cowrie.JobStopped, cowrie.NoTime
		if ctx.Err() == nil {
			r.job.Error = err.Error()
		}
	}
	return errors.Join(err, r.db.SaveJob(context.WithoutCancel(ctx), r.job))
}

// all goes on until there is nothing left: others may add raw events meanwhile.
func (r *run) all(ctx context.Context) error {
	for {
		last, err := r.db.LastRawEvent(ctx)
		if err != nil || last == 0 {
			return err
		}
		done, err := r.db.Job(ctx, r.backfill)
		if err != nil {
			return err
		}
		if done.Position < last {
			return ErrBackfill
		}
		r.job.Target = last
		if err := r.db.SaveJob(ctx, r.job); err != nil {
			return err
		}
		if err := r.move(ctx); err != nil {
			return err
		}
		if err := r.check(ctx); err != nil {
			return err
		}
		if r.sum.Deleted, err = r.db.DropMoved(ctx, r.job); err != nil || r.sum.Deleted {
			return err
		}
	}
}

func (r *run) move(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stretches, wait := read(ctx, r.db, r.job.Position, r.job.Target)
	defer wait()
	defer cancel()
	for st := range stretches {
		<-st.ready
		if st.err != nil {
			return st.err
		}
		before := r.job.Clone()
		r.job.RowsSeen += int64(len(st.moved.IDs))
		r.job.BytesSeen += st.bytes
		left := r.job.Target - st.moved.Through
		r.job.RowsTotal = r.job.RowsSeen + left
		r.job.BytesTotal = r.job.BytesSeen + left*r.job.BytesSeen/max(1, r.job.RowsSeen)
		if _, err := r.db.Move(ctx, st.moved, r.job); err != nil {
			r.job = before
			return err
		}
		close(st.taken)
		r.sum.Events += r.job.Inserted - before.Inserted
		r.sum.Duplicates += r.job.Known - before.Known
		r.sum.DeadLetters += r.job.Rejected - before.Rejected
		if r.Observe != nil {
			r.Observe(r.job)
		}
	}
	return ctx.Err()
}

// check looks for every raw event that was moved in what is stored: line by line
// in the segment that was made of it, and elsewhere if it is not there.
func (r *run) check(ctx context.Context) error {
	at := r.checked
	err := r.db.MovedSegments(ctx, r.checked, r.job.Position, func(from, through int64, text []byte) error {
		if err := r.elsewhere(ctx, at, from); err != nil {
			return err
		}
		rest := text
		err := r.db.RawEvents(ctx, from, through, func(e *cowrie.RawEvent) error {
			line, after, ok := bytes.Cut(rest, []byte("\n"))
			if ok && sameEvent(line, e.Payload) {
				rest = after
				r.sum.Checked++
				return nil
			}
			return r.isStored(ctx, e)
		})
		if err == nil && len(rest) > 0 {
			err = fmt.Errorf("the segment of raw events %d to %d holds more than those: nothing was deleted", from+1, through)
		}
		at = through
		if r.Checking != nil {
			r.Checking(at, r.job.Position)
		}
		return err
	})
	if err == nil {
		err = r.elsewhere(ctx, at, r.job.Position)
	}
	if err == nil {
		r.checked = r.job.Position
	}
	return err
}

// elsewhere looks for raw events of which no segment was made: all of them were
// known, or are no events.
func (r *run) elsewhere(ctx context.Context, after, through int64) error {
	if after >= through {
		return nil
	}
	return r.db.RawEvents(ctx, after, through, func(e *cowrie.RawEvent) error { return r.isStored(ctx, e) })
}

func (r *run) isStored(ctx context.Context, e *cowrie.RawEvent) error {
	found, err := r.db.IsStored(ctx, e.Payload)
	if err == nil && !found {
		err = fmt.Errorf("raw event %d is not in what was stored: nothing was deleted; please report this", e.ID)
	}
	r.sum.Checked++
	return err
}

// sameEvent reports whether a line of a segment is a payload.
func sameEvent(line, payload []byte) bool {
	payload = cowrie.Trim(payload)
	return bytes.Equal(line, payload) || cowrie.Identity(line) == cowrie.Identity(payload)
}
