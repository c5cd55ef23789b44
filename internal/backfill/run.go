package backfill

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"time"

	"midden/internal/cowrie"
)

// JobName is the name under which the backfill is noted in the database.
const JobName = "backfill"

// Store is where raw events are read and files are written.
type Store interface {
	// Hold lets one process at a time do this.
	Hold(what string) (release func(), err error)
	// HasRawEvents reports whether the database was taken over.
	HasRawEvents() bool
	// LastRawEvent returns the highest id of a raw event, 0 if there is none.
	LastRawEvent(context.Context) (int64, error)
	// CountFileEvents returns how many events of files there are behind an id,
	// and how many bytes each has, both about.
	CountFileEvents(ctx context.Context, after int64) (rows, bytesEach int64, err error)
	// FileEvents calls f, in order of id, for the raw events with after < id <=
	// through that can say something of files; any goroutine may call it.
	FileEvents(ctx context.Context, after, through int64, f func(*cowrie.RawEvent) error) error
	// Backfill stores what a stretch says, and the job, in one transaction.
	Backfill(context.Context, *cowrie.FilesOfRaw, *cowrie.Job) (cowrie.Turn, error)
	// WriteBack does what the database has put off, while others can write.
	WriteBack(context.Context) error
	// Job returns how far a job is, SaveJob notes it.
	Job(ctx context.Context, name string) (*cowrie.Job, error)
	SaveJob(context.Context, *cowrie.Job) error
}

// Options say how to backfill.
type Options struct {
	// Batch is how many events of files go into a transaction at the most; 0
	// leaves it to how long transactions take.
	Batch int
	Pace  Pace
	// Window, if not nil, is when to work; the run waits for it.
	Window *Window
	// DryRun: read everything, write nothing.
	DryRun bool
	Log    *slog.Logger
	// Observe, if not nil, is told of every transaction.
	Observe func(*cowrie.Job)
}

// Summary tells what a run did.
type Summary struct {
	Rows                              int64 // events of files that were read
	Sightings, Files, Verdicts, Known int64 // that were added, and that were there
	Rejected                          int64
	Rejections                        map[string]int64 // why events said nothing of a file
	Broken                            int64            // events that cannot be read; they are dead letters now
	Position                          int64            // all raw events up to this id are done
	Elapsed                           time.Duration
}

// ErrNothing says that a database has no raw events.
var ErrNothing = errors.New("there are no raw events in this database: it was not taken over from cowrieprocessor")

// Run derives the files of all raw events that no run has done yet. When the
// context ends it returns the context's error with the summary; what was done is
// stored, and the next run goes on behind it.
func Run(ctx context.Context, db Store, o Options) (Summary, error) {
	start := time.Now()
	sum := Summary{Rejections: map[string]int64{}}
	if !db.HasRawEvents() {
		return sum, ErrNothing
	}
	if !o.DryRun { // to look disturbs nobody
		release, err := db.Hold("backfill run")
		if err != nil {
			return sum, err
		}
		defer release()
	}
	r := &run{Options: o, db: db, sum: &sum, wait: sleep, now: time.Now}
	err := r.run(ctx)
	sum.Elapsed = time.Since(start)
	return sum, err
}

// run is one run. Its fields belong to the goroutine that writes.
type run struct {
	Options
	db   Store
	job  *cowrie.Job
	sum  *Summary
	rate meter
	// What the clock says, and how to let it pass.
	now  func() time.Time
	wait func(context.Context, time.Duration) error

	batch   *cowrie.FilesOfRaw
	pending counts // of batch
	size    int    // how many rows a batch may have
	written time.Time
	others  time.Time // when somebody else was last seen to write
	breath  time.Time // when others were last given time to get in
}

// counts are of events that were read; they count when the batch is stored.
type counts struct {
	rows, bytes, broken int64
	rejections          map[string]int64
}

func (c *counts) reject(why string) {
	if c.rejections == nil {
		c.rejections = map[string]int64{}
	}
	c.rejections[why]++
}

// add counts into a job and a summary.
func (c *counts) add(j *cowrie.Job, sum *Summary) {
	j.RowsSeen += c.rows
	j.BytesSeen += c.bytes
	sum.Rows += c.rows
	sum.Broken += c.broken
	for why, n := range c.rejections {
		j.Rejected += n
		j.Rejections[why] += n
		sum.Rejected += n
		sum.Rejections[why] += n
	}
}

// Sizes of a batch, in events of files.
const (
	firstBatch = 512
	minBatch   = 16
	maxBatch   = 32768
	maxAge     = 500 * time.Millisecond // of a batch that does not fill
)

func (r *run) run(ctx context.Context) error {
	if err := r.begin(ctx); err != nil {
		return err
	}
	err := r.all(ctx)
	r.job.State, r.job.Error, r.job.PaceReason = cowrie.JobDone, "", ""
	r.job.ETARows, r.job.ETABytes = 0, 0
	r.job.FinishedAt = cowrie.FromStd(r.now())
	if err != nil {
		r.job.State, r.job.FinishedAt = cowrie.JobStopped, cowrie.NoTime
		r.job.ETARows, r.job.ETABytes = -1, -1
		if ctx.Err() == nil {
			r.job.Error = err.Error()
		}
	}
	r.job.Owner = ""
	if !r.DryRun {
		// The context may have ended, but how it went is still to be noted.
		err = errors.Join(err, r.db.SaveJob(context.WithoutCancel(ctx), r.job))
	}
	r.sum.Position = r.job.Position
	return err
}

// begin notes that this run is at work, and what there is to do.
func (r *run) begin(ctx context.Context) (err error) {
	if r.job, err = r.db.Job(ctx, JobName); err != nil {
		return err
	}
	last, err := r.db.LastRawEvent(ctx)
	if err != nil {
		return err
	}
	// Where the last raw events were deleted, their ids are given out again.
	r.job.Position = min(r.job.Position, last)
	rows, each, err := r.db.CountFileEvents(ctx, r.job.Position)
	if err != nil {
		return err
	}
	host, _ := os.Hostname()
	j := r.job
	j.State, j.Target, j.Error = cowrie.JobRunning, last, ""
	j.Owner = fmt.Sprintf("process %d on %s", os.Getpid(), host)
	j.RowsTotal, j.BytesTotal = j.RowsSeen+rows, j.BytesSeen+rows*each
	j.FinishedAt = cowrie.NoTime
	if j.StartedAt == cowrie.NoTime {
		j.StartedAt = cowrie.FromStd(r.now())
	}
	r.size = r.allowed(firstBatch)
	r.written, r.breath = r.now(), r.now()
	r.rate.start(r.now(), j.RowsSeen, j.BytesSeen)
	if r.DryRun {
		return nil
	}
	return r.db.SaveJob(ctx, j)
}

// all does what there is, and what comes in meanwhile.
func (r *run) all(ctx context.Context) error {
	if err := r.hold(ctx); err != nil {
		return err
	}
	for r.job.Position < r.job.Target {
		if err := r.through(ctx, r.job.Target); err != nil {
			return err
		}
		last, err := r.db.LastRawEvent(ctx)
		if err != nil {
			return err
		}
		if last > r.job.Target {
			rows, each, err := r.db.CountFileEvents(ctx, r.job.Target)
			if err != nil {
				return err
			}
			r.job.RowsTotal += rows
			r.job.BytesTotal += rows * each
			r.job.Target = last
		}
	}
	return nil
}

// through does the raw events up to an id.
func (r *run) through(ctx context.Context, target int64) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r.batch = &cowrie.FilesOfRaw{From: r.job.Position}
	parts, wait := read(ctx, r.db, r.job.Position, target)
	defer wait()
	defer cancel()
	for p := range parts {
		if p.err != nil {
			return p.err
		}
		for i := range p.items {
			if err := r.item(ctx, &p.items[i]); err != nil {
				return err
			}
		}
		r.batch.Through = p.through
		if r.now().Sub(r.written) > maxAge {
			if err := r.commit(ctx); err != nil {
				return err
			}
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return r.commit(ctx)
}

// item adds an event to the batch.
func (r *run) item(ctx context.Context, it *item) error {
	r.batch.Through = it.id
	r.pending.rows++
	r.pending.bytes += int64(it.size)
	switch {
	case it.sighting != nil:
		r.batch.Sightings = append(r.batch.Sightings, it.sighting)
		r.batch.RawIDs = append(r.batch.RawIDs, it.id)
	case it.verdict != nil:
		r.batch.Verdicts = append(r.batch.Verdicts, *it.verdict)
	case it.broken != nil:
		r.batch.Broken = append(r.batch.Broken, *it.broken)
		r.pending.broken++
		r.pending.reject(it.broken.Reason)
	default:
		r.pending.reject(it.why)
	}
	if r.pending.rows < int64(r.size) {
		return nil
	}
	return r.commit(ctx)
}

// commit stores the batch and then keeps the pace.
func (r *run) commit(ctx context.Context) error {
	b, read := r.batch, r.pending
	if b.Through <= b.From {
		return ctx.Err()
	}
	r.batch, r.pending = &cowrie.FilesOfRaw{From: b.Through}, counts{}
	next, sum := r.job.Clone(), *r.sum
	sum.Rejections = maps.Clone(sum.Rejections)
	read.add(next, &sum)
	r.rate.note(r.now(), next)
	if r.DryRun {
		sum.Sightings += int64(len(b.Sightings))
		sum.Verdicts += int64(len(b.Verdicts))
		next.Position = b.Through
		r.job, *r.sum = next, sum
		r.observe()
		return ctx.Err()
	}
	turn, err := r.db.Backfill(ctx, b, next)
	if err != nil {
		return err
	}
	sum.Sightings += turn.Sightings
	sum.Files += turn.Files
	sum.Verdicts += turn.Verdicts
	sum.Known += turn.Known
	r.job, *r.sum = next, sum
	r.written = r.now()
	if turn.Others {
		r.others = r.written
	}
	r.observe()
	if err := r.keepPace(ctx, turn.Held, int(read.rows)); err != nil {
		return err
	}
	return r.hold(ctx)
}

func (r *run) observe() {
	if r.Observe != nil {
		r.Observe(r.job)
	}
}

// hold waits while the run is paused or it is not its time.
func (r *run) hold(ctx context.Context) error {
	if r.DryRun {
		return nil
	}
	state := r.job.State
	for {
		now := r.now()
		switch {
		case r.job.Pause:
			r.job.State, r.job.PaceReason = cowrie.JobPaused, "paused by hand"
		case r.Window != nil && !r.Window.open(now):
			r.job.State, r.job.PaceReason = cowrie.JobWaiting, "waits for its hours, "+r.Window.String()
		default:
			if r.job.State == cowrie.JobRunning {
				return nil
			}
			r.job.State, r.job.PaceReason = cowrie.JobRunning, ""
			r.Log.Info("the backfill goes on")
			r.rate.start(now, r.job.RowsSeen, r.job.BytesSeen)
			return r.db.SaveJob(ctx, r.job)
		}
		if r.job.State != state {
			state = r.job.State
			r.job.RowsPerSecond, r.job.BytesPerSecond, r.job.ETARows, r.job.ETABytes = -1, -1, -1, -1
			r.Log.Info("the backfill "+string(state), "because", r.job.PaceReason)
			if err := r.db.SaveJob(ctx, r.job); err != nil {
				return err
			}
		}
		if err := r.wait(ctx, time.Second); err != nil {
			return err
		}
		j, err := r.db.Job(ctx, JobName)
		if err != nil {
			return err
		}
		r.job.Pause = j.Pause
	}
}

// sleep waits for a while, or for the end of the context.
func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
