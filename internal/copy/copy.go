// Package copy fills a database with what stands in another one, whatever engine
// either is of.
//
// The rows of one database come in, table by table, in order of their keys; they go
// out in batches, each in a transaction with the position that it reaches to. A run
// that is killed goes on where it was. In the end all that was copied is read
// again, on both sides, and compared; what the source has changed since it was
// copied is copied anew.
//
// The package never writes to the source, and looks at it as it was at one moment.
package copy

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"midden/internal/cowrie"
)

// JobName is the name under which the work is noted in the target.
const JobName = "copy"

// Source is a database at one moment.
type Source interface {
	// Columns returns the columns of a table; none if there is no such table.
	Columns(ctx context.Context, table string) ([]cowrie.Column, error)
	// Rows calls f for each row of a table behind a key, in order of its key.
	Rows(ctx context.Context, t *cowrie.Table, after []any, f func(cowrie.Row) error) error
	// Weight returns how many rows tables have, and about how many bytes.
	Weight(ctx context.Context, tables []string) (rows, bytes int64, err error)
}

// Target is a database that is being filled.
type Target interface {
	Hold(what string) (release func(), err error)
	Job(ctx context.Context, name string) (*cowrie.Job, error)
	SaveJob(context.Context, *cowrie.Job) error
	// BeginCopy notes the job if the database is empty, and from which version of
	// cowrieprocessor's tables it is filled, or "".
	BeginCopy(ctx context.Context, takenOver string, j *cowrie.Job) error
	Columns(ctx context.Context, table string) ([]cowrie.Column, error)
	// AddRows stores rows, and the job, in one transaction.
	AddRows(context.Context, *cowrie.Rows, *cowrie.Job) error
	// Clear empties a table, and notes the job.
	Clear(ctx context.Context, table string, j *cowrie.Job) error
	// Rows calls f for each row of a table.
	Rows(ctx context.Context, t *cowrie.Table, f func(cowrie.Row) error) error
	// Damaged calls f for each segment that does not hold what it should.
	Damaged(ctx context.Context, f func(id int64, damage error) error) error
	// ContinueIDs has ids go on behind those that were copied.
	ContinueIDs(context.Context) error
	deriver
}

// Options say how to work.
type Options struct {
	From   string   // the name of the source, without a password
	Tables []string // in order
	// Old, if not nil, is the source as a database of cowrieprocessor.
	Old *Old
	Log *slog.Logger
	// Observe, if not nil, is told of every transaction, and which table it is of.
	Observe func(j *cowrie.Job, table string)
}

// Summary tells what was done.
type Summary struct {
	Tables      int
	Rows, Bytes int64 // that are the same in both databases
	Copied      int64 // rows that this run copied
	Damaged     int64 // segments whose text is not what it was, in both
	// Of a database of cowrieprocessor: its raw events, and how many of them are
	// events that stand in it once. The others are duplicates or dead letters.
	RawEvents, Events int64
	Elapsed           time.Duration
}

// Run fills a database with another one, or goes on doing so.
func Run(ctx context.Context, from Source, to Target, o Options) (Summary, error) {
	start := time.Now()
	release, err := to.Hold("copy")
	if err != nil {
		return Summary{}, err
	}
	defer release()
	r := &run{Options: o, from: from, to: to}
	if err := r.begin(ctx); err != nil {
		return Summary{}, err
	}
	if err = r.all(ctx); err != nil && !errors.Is(err, cowrie.ErrUnavailable) {
		r.job.State, r.job.Owner = cowrie.JobStopped, ""
		if ctx.Err() == nil {
			r.job.Error = err.Error()
		}
		err = errors.Join(err, to.SaveJob(context.WithoutCancel(ctx), r.job))
	}
	r.sum.Elapsed = time.Since(start)
	return r.sum, err
}

type run struct {
	Options
	from Source
	to   Target
	job  *cowrie.Job
	at   progress
	sum  Summary
}

// progress is how far a copy is, as the job's detail.
type progress struct {
	From   string           `json:"from"`
	Tables map[string]*part `json:"tables"`
	// Of a database of cowrieprocessor: its tables are copied, and so are its events.
	Compared bool `json:"compared,omitempty"`
	Moved    bool `json:"moved,omitempty"`
}

// part is how far a table is.
type part struct {
	Rows int64    `json:"rows"`
	Key  position `json:"key,omitempty"` // all rows up to this key are copied
	Done bool     `json:"done,omitempty"`
}

// begin notes that the target is being filled, or looks how far that is.
func (r *run) begin(ctx context.Context) (err error) {
	if r.job, err = r.to.Job(ctx, JobName); err != nil {
		return err
	}
	fresh := r.job.State == ""
	switch {
	case fresh:
		r.at = progress{From: r.From, Tables: map[string]*part{}}
		r.job.StartedAt = cowrie.FromStd(time.Now())
	case r.job.State == cowrie.JobDone:
		return fmt.Errorf("it holds a copy of another database already, finished at %s: a copy goes into a new database", r.job.FinishedAt)
	default:
		if err := json.Unmarshal([]byte(r.job.Detail), &r.at); err != nil {
			return fmt.Errorf("how far the copy is cannot be read: %w", err)
		}
		if r.at.From != r.From {
			return fmt.Errorf("it holds a part of %s, not of %s: finish that copy, or take a new database", r.at.From, r.From)
		}
	}
	host, _ := os.Hostname()
	r.job.State, r.job.Error, r.job.FinishedAt = cowrie.JobRunning, "", cowrie.NoTime
	r.job.Owner = fmt.Sprintf("process %d on %s", os.Getpid(), host)
	rows, bytes, err := r.from.Weight(ctx, r.Tables)
	if err != nil {
		return err
	}
	// All of it is read a second time, to compare.
	r.job.RowsTotal, r.job.BytesTotal = 2*rows, 2*bytes
	if !fresh {
		r.Log.Info("going on", "rows", r.job.Inserted)
		return r.save(ctx, r.to.SaveJob)
	}
	takenOver := ""
	if r.Old != nil {
		takenOver = r.Old.Version
	}
	return r.save(ctx, func(ctx context.Context, j *cowrie.Job) error { return r.to.BeginCopy(ctx, takenOver, j) })
}

// note writes into a job how far the copy is.
func (r *run) note(j *cowrie.Job) error {
	text, err := json.Marshal(r.at)
	j.Detail = string(text)
	return err
}

func (r *run) all(ctx context.Context) error {
	if !r.at.Compared {
		if err := r.tables(ctx); err != nil {
			return err
		}
	}
	if err := r.to.ContinueIDs(ctx); err != nil {
		return err
	}
	if r.Old != nil && !r.at.Moved {
		if err := r.takeOver(ctx); err != nil {
			return err
		}
	}
	r.job.State, r.job.Owner, r.job.FinishedAt = cowrie.JobDone, "", cowrie.FromStd(time.Now())
	return r.save(ctx, r.to.SaveJob)
}

// tables copies the tables, until they are the same.
func (r *run) tables(ctx context.Context) error {
	tables, err := r.shapes(ctx)
	if err != nil {
		return err
	}
	var before []string
	for {
		for _, t := range tables {
			if err := r.table(ctx, t); err != nil {
				return fmt.Errorf("copy %s: %w", t.Name, err)
			}
		}
		r.Log.Info("comparing what was copied")
		differ, err := r.compare(ctx, tables)
		if err != nil {
			return err
		}
		if len(differ) == 0 {
			return nil
		}
		if before != nil {
			return fmt.Errorf("%s: even when it was copied a second time, the copy is not the same; please report this", strings.Join(differ, ", "))
		}
		r.Log.Warn("the source was written to since it was copied: what differs is copied anew", "tables", strings.Join(differ, ", "))
		if err := r.anew(ctx, differ); err != nil {
			return err
		}
		before = differ
	}
}

// shapes returns what both databases have of each table.
func (r *run) shapes(ctx context.Context) (tables []*cowrie.Table, err error) {
	for _, name := range r.Tables {
		from, err := r.from.Columns(ctx, name)
		if err != nil {
			return nil, err
		}
		to, err := r.to.Columns(ctx, name)
		if err != nil {
			return nil, err
		}
		t, err := shape(name, from, to, r.Old != nil)
		if err != nil {
			return nil, err
		}
		tables = append(tables, t)
	}
	return tables, nil
}

// shape returns what two databases have in common of a table: the columns of the
// target that follow from no others. A source that is old lacks some.
func shape(name string, from, to []cowrie.Column, old bool) (*cowrie.Table, error) {
	t := &cowrie.Table{Name: name}
	for _, c := range to {
		if c.Generated {
			continue
		}
		i := slices.IndexFunc(from, func(f cowrie.Column) bool { return f.Name == c.Name })
		if i < 0 && old {
			continue
		}
		if i < 0 {
			return nil, fmt.Errorf("the source has no column %s.%s: was it made by another release of midden?", name, c.Name)
		}
		if c.Type = c.Own; from[i].Own == cowrie.Moment {
			c.Type = cowrie.Moment
		}
		t.Columns = append(t.Columns, c)
	}
	for _, c := range from {
		if c.Key > 0 {
			c.Type = c.Own
			t.Key = append(t.Key, c)
		}
	}
	slices.SortFunc(t.Key, func(a, b cowrie.Column) int { return a.Key - b.Key })
	return t, nil
}

// batchBytes is how large a batch may be, as sizes of rows add up. One row may be more.
var batchBytes int64 = 4 << 20

// A row of this size is an event that is out of all proportion. It travels alone.
const giant = 8 << 20

// batch is some rows on their way.
type batch struct {
	cowrie.Rows
	stored chan struct{} // closed when they are stored
}

// table copies the rows of a table that are not copied yet.
func (r *run) table(ctx context.Context, t *cowrie.Table) error {
	at := r.at.Tables[t.Name]
	if at == nil {
		at = &part{}
		r.at.Tables[t.Name] = at
	}
	if at.Done {
		return nil
	}
	both, ctx := errgroup.WithContext(ctx)
	batches := make(chan *batch)
	both.Go(func() error {
		defer close(batches)
		return r.read(ctx, t, at.Key, batches)
	})
	both.Go(func() error {
		for b := range batches {
			if err := r.write(ctx, &b.Rows, at); err != nil {
				return err
			}
			close(b.stored)
		}
		return nil
	})
	if err := both.Wait(); err != nil {
		return err
	}
	at.Done = true
	return nil
}

// read sends the rows of a table behind a key, in batches.
func (r *run) read(ctx context.Context, t *cowrie.Table, after position, batches chan<- *batch) error {
	b := newBatch(t)
	send := func() error {
		sent := b
		b = newBatch(t)
		select {
		case batches <- sent:
		case <-ctx.Done():
			return ctx.Err()
		}
		if sent.Bytes < giant {
			return nil
		}
		select {
		case <-sent.stored:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	err := r.from.Rows(ctx, t, after, func(row cowrie.Row) error {
		if len(b.Rows.Rows) > 0 && b.Bytes+row.Size > batchBytes {
			if err := send(); err != nil {
				return err
			}
		}
		for _, list := range [][]any{row.Values, row.Key} {
			for i, v := range list {
				if v, ok := v.([]byte); ok {
					list[i] = bytes.Clone(v)
				}
			}
		}
		b.Rows.Rows = append(b.Rows.Rows, row)
		if b.Bytes += row.Size; row.Size >= giant {
			return send()
		}
		return nil
	})
	if err == nil && len(b.Rows.Rows) > 0 {
		err = send()
	}
	return err
}

func newBatch(t *cowrie.Table) *batch {
	return &batch{cowrie.Rows{Table: t}, make(chan struct{})}
}

// write stores rows.
func (r *run) write(ctx context.Context, b *cowrie.Rows, at *part) error {
	before, job := *at, r.job.Clone()
	at.Rows += int64(len(b.Rows))
	at.Key = b.Rows[len(b.Rows)-1].Key
	job.Inserted += int64(len(b.Rows))
	r.seen(job, int64(len(b.Rows)), b.Bytes)
	err := r.note(job)
	if err == nil {
		err = r.to.AddRows(ctx, b, job)
	}
	if err != nil {
		*at = before
		return err
	}
	r.job = job
	r.sum.Copied += int64(len(b.Rows))
	r.observe(b.Name)
	return nil
}

// seen counts rows that were copied or compared.
func (r *run) seen(j *cowrie.Job, rows, bytes int64) {
	j.RowsSeen += rows
	j.BytesSeen += bytes
	j.RowsTotal, j.BytesTotal = max(j.RowsTotal, j.RowsSeen), max(j.BytesTotal, j.BytesSeen)
}

func (r *run) observe(table string) {
	if r.Observe != nil {
		r.Observe(r.job, table)
	}
}

// anew empties tables, to be copied once more.
func (r *run) anew(ctx context.Context, tables []string) error {
	for _, name := range tables {
		job := r.job.Clone()
		job.Inserted -= r.at.Tables[name].Rows
		delete(r.at.Tables, name)
		if err := r.note(job); err != nil {
			return err
		}
		if err := r.to.Clear(ctx, name, job); err != nil {
			return err
		}
		r.job = job
	}
	return nil
}
