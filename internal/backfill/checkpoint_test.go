package backfill_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"midden/internal/backfill"
	"midden/internal/cowrie"
	"midden/internal/synth/cowrieprocessor"
)

// checkpointBatch is how many events go into a transaction at the most.
const checkpointBatch = 15

// flaky is a store that fails once.
type flaky struct {
	*database
	at     int // the how many-th transaction
	after  bool
	killed bool               // nothing can be written any more
	cancel context.CancelFunc // instead of an error, if not nil
	turns  int
}

var errFlaky = errors.New("the disk is tired")

func (f *flaky) Backfill(ctx context.Context, b *cowrie.FilesOfRaw, j *cowrie.Job) (cowrie.Turn, error) {
	f.turns++
	if f.turns != f.at {
		return f.database.Backfill(ctx, b, j)
	}
	if f.after {
		turn, err := f.database.Backfill(ctx, b, j)
		if f.cancel != nil || err != nil {
			if f.cancel != nil {
				f.cancel()
			}
			return turn, err
		}
		return cowrie.Turn{}, errFlaky
	}
	if f.cancel != nil {
		f.cancel()
		return f.database.Backfill(ctx, b, j)
	}
	return cowrie.Turn{}, errFlaky
}

func (f *flaky) SaveJob(ctx context.Context, j *cowrie.Job) error {
	if f.killed && f.turns >= f.at {
		return errFlaky
	}
	return f.database.SaveJob(ctx, j)
}

// undisturbed is what a backfill of faulty leaves that nobody disturbs.
var undisturbed struct {
	sync.Once
	tables []string
	dump   string
	job    cowrie.Job
	turns  int // at the least
}

// TestDisturbed disturbs a backfill in several ways at several transactions. The
// run after it must leave what one run leaves that nobody disturbs.
func TestDisturbed(t *testing.T) {
	t.Parallel()
	u := &undisturbed
	u.Do(func() {
		db := open(t, faulty.copy(t))
		f := &flaky{database: db}
		if _, err := backfill.Run(t.Context(), f, backfill.Options{Batch: checkpointBatch, Pace: backfill.Pace{Full: true}, Log: quiet}); err != nil {
			t.Fatal(err)
		}
		u.tables, u.dump, u.job = db.tables(t), db.dump(t), db.job(t)
		// On a slow machine it takes more than there must be.
		u.turns = int(u.job.RowsSeen+checkpointBatch-1) / checkpointBatch
		if f.turns < u.turns {
			t.Errorf("%d transactions of %d at the most for %d events", f.turns, checkpointBatch, u.job.RowsSeen)
		}
	})
	if u.turns < 6 || u.job.Known == 0 || u.job.Rejected == 0 || u.job.State != cowrie.JobDone {
		t.Fatalf("%d transactions tell little: %+v", u.turns, u.job)
	}
	for _, how := range []flaky{
		{after: false}, {after: true}, // an error, which can still be noted
		{after: false, killed: true}, {after: true, killed: true}, // one after which nothing can be noted
		{after: false, cancel: func() {}}, {after: true, cancel: func() {}},
	} {
		for _, at := range []int{1, u.turns / 2, u.turns} {
			name := fmt.Sprintf("at %d, after %v, killed %v, cancelled %v", at, how.after, how.killed, how.cancel != nil)
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				db := open(t, faulty.copy(t))
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				f := how
				f.database, f.at = db, at
				want := errFlaky
				if f.cancel != nil {
					f.cancel, want = cancel, context.Canceled
				}
				o := backfill.Options{Batch: checkpointBatch, Pace: backfill.Pace{Full: true}, Log: quiet}
				sum, err := backfill.Run(ctx, &f, o)
				if !errors.Is(err, want) {
					t.Fatalf("got %v, want %v", err, want)
				}
				accounted(t, sum)
				stopped := db.job(t)
				done := int64(at - 1)
				if f.after && f.cancel != nil {
					done++ // it was told that this one is stored
				}
				// Where the machine is slow a transaction is not filled.
				if (sum.Rows == 0) != (done == 0) || sum.Rows > done*checkpointBatch && sum.Rows != u.job.RowsSeen {
					t.Errorf("%d events in %d transactions of %d", sum.Rows, done, checkpointBatch)
				}
				if !f.killed && (stopped.State != cowrie.JobStopped || stopped.Owner != "" || stopped.RowsSeen != sum.Rows || stopped.Position != sum.Position) {
					t.Errorf("the run did %+v and noted %+v", sum, stopped)
				}
				if wantError := ""; !f.killed {
					if f.cancel == nil {
						wantError = errFlaky.Error()
					}
					if stopped.Error != wantError {
						t.Errorf("noted the error %q, want %q", stopped.Error, wantError)
					}
				}

				rest, err := backfill.Run(t.Context(), db, o)
				if err != nil {
					t.Fatal(err)
				}
				accounted(t, rest)
				got, want2 := db.job(t), u.job
				if f.after && f.cancel == nil && !f.killed {
					// It was not told that they are stored, and did them again: known by then.
					if got.Inserted+got.Known != want2.Inserted+want2.Known || got.Inserted > want2.Inserted {
						t.Errorf("inserted %d and known %d, want %d and %d", got.Inserted, got.Known, want2.Inserted, want2.Known)
					}
					got.Inserted, got.Known = want2.Inserted, want2.Known
				}
				if diff := cmp.Diff(want2, got); diff != "" {
					t.Errorf("job: %s", diff)
				}
				if diff := cmp.Diff(u.tables, db.tables(t)); diff != "" {
					t.Errorf("%.2000s", diff)
				}
				if at == 1 { // once for each way
					if diff := cmp.Diff(u.dump, db.dump(t)); diff != "" {
						t.Errorf("%.2000s", diff)
					}
				}
			})
		}
	}
}

// blind is a store that cannot read some raw event.
type blind struct {
	*database
	id int64
}

func (b *blind) FileEvents(ctx context.Context, after, through int64, f func(*cowrie.RawEvent) error) error {
	return b.database.FileEvents(ctx, after, through, func(e *cowrie.RawEvent) error {
		if e.ID >= b.id {
			return errFlaky
		}
		return f(e)
	})
}

// TestReadError: what stands before a place that cannot be read is done, and
// nothing behind it; nobody takes it for the end.
func TestReadError(t *testing.T) {
	t.Parallel()
	want := open(t, plain.copy(t))
	want.backfill(t, backfill.Options{})
	last := want.int(t, `SELECT max(id) FROM raw_events`)
	for _, id := range []int64{1, last / 2, last - 5} {
		db := open(t, plain.copy(t))
		sum, err := backfill.Run(t.Context(), &blind{db, id}, backfill.Options{Pace: backfill.Pace{Full: true}, Log: quiet})
		if !errors.Is(err, errFlaky) || sum.Position >= id {
			t.Errorf("at %d: it came to %d, and %v", id, sum.Position, err)
		}
		if j := db.job(t); j.State != cowrie.JobStopped || j.Error != errFlaky.Error() || j.Position != sum.Position {
			t.Errorf("at %d: noted %+v", id, j)
		}
		db.backfill(t, backfill.Options{})
		if diff := cmp.Diff(want.tables(t), db.tables(t)); diff != "" {
			t.Errorf("at %d: %.2000s", id, diff)
		}
	}
}

// TestPositionMoved has somebody else do a stretch in spite of the lock.
func TestPositionMoved(t *testing.T) {
	t.Parallel()
	db := open(t, plain.copy(t))
	n := 0
	o := backfill.Options{Batch: checkpointBatch, Pace: backfill.Pace{Full: true}, Log: quiet, Observe: func(*cowrie.Job) {
		if n++; n == 2 {
			db.exec(t, `UPDATE maintenance SET position = position + 1`)
		}
	}}
	if _, err := backfill.Run(t.Context(), db, o); err == nil {
		t.Error("nobody noticed")
	}
	if n != 2 {
		t.Errorf("%d transactions were stored", n)
	}
	db.backfill(t, backfill.Options{})
	if gaps := db.gaps(t); gaps != nil {
		t.Errorf("afterwards: %v", gaps)
	}
}

// TestDryRun reads everything, and writes nothing.
func TestDryRun(t *testing.T) {
	t.Parallel()
	db := open(t, plain.copy(t))
	before := db.tables(t)
	dry := db.backfill(t, backfill.Options{DryRun: true, Batch: checkpointBatch})
	if n := db.int(t, `SELECT count(*) FROM maintenance`); n != 0 {
		t.Error("a job was noted")
	}
	if diff := cmp.Diff(before, db.tables(t)); diff != "" {
		t.Errorf("it wrote %.1000s", diff)
	}
	wet := db.backfill(t, backfill.Options{})
	// The same event twice is counted twice, and files are not counted.
	dry.Sightings, dry.Verdicts, dry.Known, dry.Files = wet.Sightings, dry.Verdicts-wet.Known, wet.Known, wet.Files
	dry.Elapsed, wet.Elapsed = 0, 0
	if diff := cmp.Diff(wet, dry); diff != "" {
		t.Error(diff)
	}
}

// TestHeld has two runs at once.
func TestHeld(t *testing.T) {
	t.Parallel()
	db := open(t, plain.copy(t))
	tried := false
	o := backfill.Options{Pace: backfill.Pace{Full: true}, Log: quiet, Observe: func(*cowrie.Job) {
		if tried {
			return
		}
		tried = true
		second := open(t, db.path)
		if _, err := backfill.Run(t.Context(), second, backfill.Options{Log: quiet}); !isHeld(err) {
			t.Errorf("a second run: %v", err)
		}
	}}
	if _, err := backfill.Run(t.Context(), db, o); err != nil {
		t.Fatal(err)
	}
	if !tried {
		t.Error("there was no second run")
	}
	db.backfill(t, backfill.Options{}) // it let go
}

// TestNewEvents has raw events come in after a run, and during one.
func TestNewEvents(t *testing.T) {
	t.Parallel()
	want := open(t, faulty.copy(t))
	more := lines(logOf(t, 1))[:150]
	load := func(db *database, from, to int) {
		t.Helper()
		if err := cowrieprocessor.Load(t.Context(), db.sql, "more", more[from:to], cowrieprocessor.LoadOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	load(want, 0, len(more))
	want.backfill(t, backfill.Options{})

	db := open(t, faulty.copy(t))
	db.backfill(t, backfill.Options{})
	load(db, 0, 60)
	first := db.job(t)
	sum := db.backfill(t, backfill.Options{})
	if j := db.job(t); j.RowsSeen != first.RowsSeen+sum.Rows || j.Position != first.Position+60 || sum.Rows == 0 {
		t.Errorf("after %+v came %+v by %+v", first, j, sum)
	}
	// While it runs on the next ones, the rest comes.
	load(db, 60, 120)
	late := false
	db.backfill(t, backfill.Options{Batch: 1, Observe: func(j *cowrie.Job) {
		if j.Target == first.Position+120 && db.int(t, `SELECT max(id) FROM raw_events`) == j.Target {
			late = true
			load(db, 120, len(more))
		}
	}})
	if !late {
		t.Error("nothing came while it ran")
	}
	if diff := cmp.Diff(want.dump(t), db.dump(t)); diff != "" {
		t.Errorf("%.3000s", diff)
	}
	j, w := db.job(t), want.job(t)
	if diff := cmp.Diff(w, j); diff != "" {
		t.Errorf("job: %s", diff)
	}
}

// TestTailDeleted deletes the last raw events, whose ids are given out again.
func TestTailDeleted(t *testing.T) {
	t.Parallel()
	for _, seen := range []bool{true, false} {
		t.Run(fmt.Sprintf("a run in between %v", seen), func(t *testing.T) {
			t.Parallel()
			db := open(t, plain.copy(t))
			for i := range 40 {
				addRaw(t, db.sql, strings.Replace(goodRow(1000+i), "good", "tail", 1))
			}
			db.backfill(t, backfill.Options{})
			last := db.int(t, `SELECT max(id) FROM raw_events`)
			lost := db.int(t, `SELECT count(*) FROM file_sightings WHERE raw_event_id > ?`, last-40)
			db.exec(t, `DELETE FROM raw_events WHERE id > ?`, last-40)
			if lost == 0 {
				t.Fatal("no sighting is among them")
			}
			before := db.tables(t)
			if seen {
				if sum := db.backfill(t, backfill.Options{}); sum.Rows != 0 || sum.Position != last-40 {
					t.Errorf("with nothing new: %+v", sum)
				}
				if diff := cmp.Diff(before, db.tables(t)); diff != "" {
					t.Errorf("what was derived is not what it was: %.2000s", diff)
				}
				if gaps := db.gaps(t); gaps != nil {
					t.Errorf("orphans are no gaps, but %v", gaps)
				}
			}
			for i := range 50 {
				if id := addRaw(t, db.sql, goodRow(i)); id != last-39+int64(i) {
					t.Fatalf("the id is %d", id)
				}
			}
			sum := db.backfill(t, backfill.Options{})
			fresh := db.int(t, `SELECT count(*) FROM file_sightings WHERE session_id GLOB 'good*'`)
			if seen && (sum.Sightings != 50 || fresh != 50) {
				t.Errorf("%d sightings of 50 events, most with ids of old, by %+v", fresh, sum)
			}
			if !seen && (sum.Sightings != 10 || fresh != 10) {
				t.Errorf("%d sightings of the 10 events behind the position, by %+v", fresh, sum)
			}
			if seen {
				return
			}
			// Nothing tells that the first 40 are others than those that were done,
			// but that they bear out no sighting.
			if gaps := db.gaps(t); len(gaps) == 0 {
				t.Error("verify did not notice")
			}
			db.repair(t)
			if n := db.int(t, `SELECT count(*) FROM file_sightings WHERE session_id GLOB 'good*'`); n != 50 {
				t.Errorf("after a repair: %d sightings of 50 events", n)
			}
		})
	}
}
