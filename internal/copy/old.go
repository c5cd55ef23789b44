package copy

import (
	"context"
	"fmt"

	"midden/internal/backfill"
	"midden/internal/compact"
	"midden/internal/cowrie"
)

// Old is a database of cowrieprocessor. Its tables are copied like others; its raw
// events become in the target what a backfill and a compaction would make of them
// in the source.
type Old struct {
	Raw
	Version string // of its tables
	// Stage has the target show what verdicts say, or not, as it is wanted.
	Stage func(context.Context) error
}

// Raw are the events of a database of cowrieprocessor.
type Raw interface {
	LastRawEvent(context.Context) (int64, error)
	CountFileEvents(ctx context.Context, after int64) (rows, bytesEach int64, err error)
	FileEvents(ctx context.Context, after, through int64, f func(*cowrie.RawEvent) error) error
	RawEvents(ctx context.Context, after, through int64, f func(*cowrie.RawEvent) error) error
	// OldVerdicts calls f for what a files table of an old release says.
	OldVerdicts(ctx context.Context, f func([]cowrie.Verdict) error) error
}

// deriver is where raw events become files and segments.
type deriver interface {
	AddVerdicts(context.Context, []cowrie.Verdict) (int64, error)
	Backfill(context.Context, *cowrie.FilesOfRaw, *cowrie.Job) (cowrie.Turn, error)
	WriteBack(context.Context) error
	Seal(*cowrie.Chunk)
	Move(context.Context, *cowrie.Moved, *cowrie.Job) (cowrie.Turn, error)
	MovedSegments(ctx context.Context, after, through int64, f func(from, through int64, text []byte) error) error
	IsStored(ctx context.Context, payload []byte) (bool, error)
	// LeaveRaw lets go of the raw events, and of the jobs, and notes the job.
	LeaveRaw(ctx context.Context, jobs []string, j *cowrie.Job) error
}

// between is what backfill and compact work on: raw events of one database, and
// another one for what comes of them. There are no more raw events than there were
// when the run began.
type between struct {
	Raw
	Target
	last int64
}

func (b between) HasRawEvents() bool                          { return true }
func (b between) LastRawEvent(context.Context) (int64, error) { return b.last, nil }

// Hold lets in those who work for the copy, which holds the target already.
func (b between) Hold(string) (release func(), err error) { return func() {}, nil }

// DropMoved leaves the raw events to their database.
func (b between) DropMoved(context.Context, *cowrie.Job) (bool, error) { return true, nil }

// takeOver makes files and segments of the raw events.
func (r *run) takeOver(ctx context.Context) error {
	if err := r.Old.Stage(ctx); err != nil {
		return err
	}
	if r.at.Compared {
		if err := r.noLetters(ctx); err != nil {
			return err
		}
	} else {
		if err := r.Old.OldVerdicts(ctx, func(list []cowrie.Verdict) error {
			_, err := r.to.AddVerdicts(ctx, list)
			return err
		}); err != nil {
			return fmt.Errorf("verdicts of an old table of files: %w", err)
		}
		// From now on what was copied changes.
		r.at.Compared = true
		if err := r.save(ctx, r.to.SaveJob); err != nil {
			return err
		}
	}
	last, err := r.Old.LastRawEvent(ctx)
	if err != nil {
		return err
	}
	db := between{r.Old, r.to, last}
	r.Log.Info("deriving files from raw events")
	if _, err := backfill.Run(ctx, db, backfill.Options{Pace: backfill.Pace{Full: true}, Log: r.Log, Observe: r.phase()}); err != nil {
		return err
	}
	r.Log.Info("making segments of raw events")
	if _, err := compact.Run(ctx, db, backfill.JobName, compact.Options{Observe: r.phase()}); err != nil {
		return err
	}
	moved, err := r.to.Job(ctx, compact.JobName)
	if err != nil {
		return err
	}
	r.sum.Tables, r.sum.Rows = len(r.at.Tables), 0
	for _, at := range r.at.Tables {
		r.sum.Rows += at.Rows
	}
	r.sum.RawEvents, r.sum.Events = moved.RowsSeen, moved.Inserted
	r.at.Moved = true
	return r.save(ctx, func(ctx context.Context, j *cowrie.Job) error {
		return r.to.LeaveRaw(ctx, []string{backfill.JobName, compact.JobName}, j)
	})
}

// noLetters returns an error if lines were set aside since the tables were copied.
// What else cowrieprocessor adds follows from its events, or is of use to it alone.
func (r *run) noLetters(ctx context.Context) error {
	const letters = "dead_letter_events"
	rows, _, err := r.from.Weight(ctx, []string{letters})
	if at := r.at.Tables[letters]; err == nil && rows != at.Rows {
		err = fmt.Errorf("the source has %d rows in %s now and had %d when they were copied: copy it into a new database, and let cowrieprocessor rest meanwhile", rows, letters, at.Rows)
	}
	return err
}

// save notes how far the copy is.
func (r *run) save(ctx context.Context, how func(context.Context, *cowrie.Job) error) error {
	if err := r.note(r.job); err != nil {
		return err
	}
	return how(ctx, r.job)
}

// phase returns what counts the work of a job into that of the copy.
func (r *run) phase() func(*cowrie.Job) {
	bytes := r.job.BytesSeen
	return func(j *cowrie.Job) {
		r.job.RowsSeen, r.job.BytesSeen = max(r.job.RowsSeen, j.RowsSeen), bytes+j.BytesSeen
		r.job.BytesTotal = max(r.job.BytesTotal, bytes+j.BytesTotal)
		r.observe("raw_events")
	}
}
