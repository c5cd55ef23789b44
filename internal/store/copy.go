package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"midden/internal/cowrie"
)

// copyKey is the job that fills a database with what stands in another one.
const copyKey = "copy"

// UnfinishedError says that a database is being filled with a copy, or was when
// that was interrupted: half of it is there.
type UnfinishedError struct{ Database string }

func (e *UnfinishedError) Error() string {
	return fmt.Sprintf("%s holds a copy of another database that is not finished: run the same \"midden copy --to %[1]s\" again, it goes on where it was", e.Database)
}

// Finished returns an *UnfinishedError if a database of the latest version holds a
// copy that is not finished.
func Finished(ctx context.Context, db *sql.DB, name string) error {
	var unfinished bool
	err := db.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM maintenance WHERE job = '`+copyKey+`' AND state <> '`+cowrie.JobDone+`')`).Scan(&unfinished)
	if err == nil && unfinished {
		err = &UnfinishedError{name}
	}
	return err
}

// ErrNotEmpty says that a database holds something already.
var ErrNotEmpty = errors.New("it is not empty: a copy goes into a new database")

// BeginCopy notes that this database is being filled with another one: with one of
// cowrieprocessor, if its version is not "". The error is ErrNotEmpty if there is
// anything in it.
func (s *Store) BeginCopy(ctx context.Context, takenOver string, j *cowrie.Job) error {
	if s.engine.Raw != nil {
		return ErrNotEmpty
	}
	return s.adding(ctx, func(a *appending) error {
		// That a day has no sessions is nothing to keep.
		if err := a.exec(`DELETE FROM report_days`); err != nil {
			return err
		}
		for _, t := range append(slices.Clone(tables), table{name: "maintenance"}) {
			var where conditions
			if t.where != "" {
				where.add(t.where)
			}
			var any bool
			if err := a.row(`SELECT EXISTS (SELECT 1 FROM `+t.name+where.clause()+`)`, nil, &any); err != nil {
				return err
			}
			if any {
				return ErrNotEmpty
			}
		}
		if takenOver != "" {
			if err := a.exec(`INSERT INTO schema_state ("key", value) VALUES ($1, $2)`, TakenOverKey, takenOver); err != nil {
				return err
			}
		}
		return a.saveJob(ctx, j)
	})
}

// AddRows stores rows that are not there, and the job, in one transaction.
func (s *Store) AddRows(ctx context.Context, r *cowrie.Rows, j *cowrie.Job) error {
	err := s.adding(ctx, func(a *appending) error {
		var names []string
		for _, c := range r.Columns {
			names = append(names, c.Name)
		}
		latest := -1
		if r.Name == "event_segments" && s.engine.Month != nil {
			latest = slices.Index(names, "last_event_at")
			names = append(names, "month")
		}
		insert := a.insert(r.Name, names...)
		for _, row := range r.Rows {
			insert.values(values(r.Columns, row.Values)...)
			var last []any
			if latest >= 0 {
				at, ok := row.Values[latest].(cowrie.Time)
				if !ok {
					at = cowrie.NoTime
				}
				month, err := a.month(at)
				if err != nil {
					return err
				}
				last = []any{month}
			}
			insert.row(last...)
		}
		insert.done()
		if err := a.settle(); err != nil {
			return err
		}
		Reached("copy: before commit")
		return a.saveJob(ctx, j)
	})
	if err == nil {
		Reached("copy: after commit")
	}
	return err
}

// Clear empties a table that is to be copied anew, and notes that with the job.
func (s *Store) Clear(ctx context.Context, table string, j *cowrie.Job) error {
	return s.adding(ctx, func(a *appending) error {
		query := s.engine.Empty + ` ` + table
		if where := tableOf(table).where; where != "" {
			query = `DELETE FROM ` + table + ` WHERE ` + where
		}
		if err := a.exec(query); err != nil {
			return err
		}
		return a.saveJob(ctx, j)
	})
}

// ContinueIDs sees to it that ids go on behind those that were copied.
func (s *Store) ContinueIDs(ctx context.Context) error {
	if s.engine.Continue == nil {
		return nil
	}
	return s.adding(ctx, func(a *appending) error {
		for _, t := range tables {
			columns, err := s.Columns(ctx, t.name)
			if err != nil {
				return err
			}
			if !slices.ContainsFunc(columns, func(c cowrie.Column) bool { return c.Name == "id" }) {
				continue
			}
			if err := a.exec(s.engine.Continue(t.name)); err != nil {
				return fmt.Errorf("continue the ids of %s: %w", t.name, err)
			}
		}
		return nil
	})
}

// LeaveRaw lets go of the raw events of another database, all of which were moved
// into segments of this one, and of the jobs that did it; and notes the job.
func (s *Store) LeaveRaw(ctx context.Context, jobs []string, j *cowrie.Job) error {
	return s.adding(ctx, func(a *appending) error {
		var left int64
		if err := a.row(`SELECT count(*) FROM file_sightings WHERE raw_event_id IS NOT NULL`, nil, &left); err != nil {
			return err
		}
		if left > 0 {
			return fmt.Errorf("%d sightings stand at raw events that are no such sighting; please report this", left)
		}
		tx, err := a.settled()
		if err == nil {
			err = leaveRaw(ctx, tx)
		}
		if err != nil {
			return err
		}
		for _, name := range jobs {
			if err := a.exec(`DELETE FROM maintenance WHERE job = $1`, name); err != nil {
				return err
			}
		}
		return a.saveJob(ctx, j)
	})
}

// Damaged calls f for each segment that does not hold what it should.
func (s *Store) Damaged(ctx context.Context, f func(id int64, damage error) error) error {
	sn, err := s.Snapshot(ctx)
	if err != nil {
		return err
	}
	defer sn.Close()
	return sn.Segments(ctx, 0, func(seg *cowrie.Segment) error {
		if seg.Damage == nil {
			return nil
		}
		return f(seg.ID, seg.Damage)
	})
}
