package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"midden/internal/cowrie"
)

const jobColumns = `job, state, pause, position, target, rows_seen, rows_total, bytes_seen, bytes_total, inserted, known,
	rejected, rejections, rows_per_second, bytes_per_second, eta_rows, eta_bytes, pace_reason, owner, error,
	detail, started_at, updated_at, finished_at`

// Job returns a job as it was last noted. One that was never begun has no state.
func (s *Store) Job(ctx context.Context, name string) (*cowrie.Job, error) {
	return s.jobOf(ctx, s.db, name)
}

// jobOf is Job, by way of a database or a transaction.
func (s *Store) jobOf(ctx context.Context, db interface {
	QueryRowContext(context.Context, string, ...any) *sql.Row
}, name string) (*cowrie.Job, error) {
	j := cowrie.NewJob(name)
	row := db.QueryRowContext(ctx, `SELECT `+jobColumns+` FROM maintenance WHERE job = $1`, name)
	err := row.Scan(&j.Name, &j.State, &j.Pause, &j.Position, &j.Target, &j.RowsSeen, &j.RowsTotal, &j.BytesSeen, &j.BytesTotal,
		&j.Inserted, &j.Known, &j.Rejected, scanJSON{&j.Rejections}, scanFloat{&j.RowsPerSecond}, scanFloat{&j.BytesPerSecond},
		scanFloat{&j.ETARows}, scanFloat{&j.ETABytes}, scanText{&j.PaceReason}, scanText{&j.Owner}, scanText{&j.Error},
		scanText{&j.Detail}, scanTime{&j.StartedAt}, scanTime{&j.UpdatedAt}, scanTime{&j.FinishedAt})
	if errors.Is(err, sql.ErrNoRows) {
		return j, nil
	}
	if err != nil {
		return nil, fmt.Errorf("the job %s: %w", name, s.explain(err))
	}
	return j, nil
}

// SaveJob notes a job. Whether it is to pause is left as it is.
func (s *Store) SaveJob(ctx context.Context, j *cowrie.Job) error {
	return s.inTx(ctx, func(tx *sql.Tx) error { return saveJob(ctx, tx, j) })
}

func saveJob(ctx context.Context, tx *sql.Tx, j *cowrie.Job) error {
	j.UpdatedAt = cowrie.FromStd(time.Now())
	reasons, err := jsonText(j.Rejections)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO maintenance (`+jobColumns+`)
		VALUES ($1, $2, FALSE, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23)
		ON CONFLICT (job) DO UPDATE SET state = excluded.state, position = excluded.position, target = excluded.target,
			rows_seen = excluded.rows_seen, rows_total = excluded.rows_total, bytes_seen = excluded.bytes_seen,
			bytes_total = excluded.bytes_total, inserted = excluded.inserted, known = excluded.known,
			rejected = excluded.rejected, rejections = excluded.rejections, rows_per_second = excluded.rows_per_second,
			bytes_per_second = excluded.bytes_per_second, eta_rows = excluded.eta_rows, eta_bytes = excluded.eta_bytes,
			pace_reason = excluded.pace_reason, owner = excluded.owner, error = excluded.error,
			detail = excluded.detail, started_at = excluded.started_at, updated_at = excluded.updated_at, finished_at = excluded.finished_at`,
		j.Name, j.State, j.Position, j.Target, j.RowsSeen, j.RowsTotal, j.BytesSeen, j.BytesTotal, j.Inserted, j.Known,
		j.Rejected, reasons, known(j.RowsPerSecond), known(j.BytesPerSecond), known(j.ETARows), known(j.ETABytes),
		orNull(j.PaceReason), orNull(j.Owner), orNull(j.Error), orNull(j.Detail), timeText(j.StartedAt), timeText(j.UpdatedAt), timeText(j.FinishedAt))
	return err
}

// saveJob stores a job with what a batch adds.
func (a *appending) saveJob(ctx context.Context, j *cowrie.Job) error {
	tx, err := a.settled()
	if err != nil {
		return err
	}
	return saveJob(ctx, tx, j)
}

// known is NULL for a negative number.
func known(f float64) any {
	if f < 0 {
		return nil
	}
	return f
}

// PauseJob asks a job to wait, or to go on.
func (s *Store) PauseJob(ctx context.Context, name string, pause bool) error {
	return s.inTx(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO maintenance (job, state, pause) VALUES ($1, '', $2)
			ON CONFLICT (job) DO UPDATE SET pause = excluded.pause`, name, pause)
		return err
	})
}

// turn runs f in a transaction of a job: on a connection that is the job's
// own, so that SQLite's counter of changes tells those of others.
func (s *Store) turn(ctx context.Context, what string, f func(*sql.Tx) error) (t cowrie.Turn, err error) {
	if s.job.conn == nil {
		if s.job.conn, err = s.db.Conn(ctx); err != nil {
			return t, s.explain(err)
		}
	}
	tx, err := s.begin(ctx, s.job.conn)
	if err != nil {
		return t, err
	}
	defer tx.Rollback()
	start := time.Now()
	var version int64
	if s.engine.Changes != "" {
		if err := tx.QueryRowContext(ctx, s.engine.Changes).Scan(&version); err != nil {
			return t, s.explain(err)
		}
	}
	t.Others = s.job.version != 0 && version != s.job.version
	if s.job.version = version; t.Others {
		s.job.files = nil
	}
	if err := f(tx); err != nil {
		s.job.files = nil
		return t, s.failed(ctx, err)
	}
	Reached(what + ": before commit")
	err = tx.Commit()
	t.Held = time.Since(start)
	if err != nil {
		s.job.files = nil
	}
	Reached(what + ": after commit")
	return t, s.failed(ctx, err)
}

// WriteBack writes the journal back into the database file, as far as nobody
// reads in it. Others can write meanwhile. It is a job's pause for breath.
func (s *Store) WriteBack(ctx context.Context) error {
	if s.job.conn == nil || s.engine.WriteBack == "" {
		return nil
	}
	_, err := s.job.conn.ExecContext(ctx, s.engine.WriteBack)
	return s.explain(err)
}

// jobState is what a store keeps between the turns of a job.
type jobState struct {
	conn    *sql.Conn
	version int64 // SQLite's counter of changes by others
	// files are rows that the last turns wrote, as long as nobody else has
	// written since: most files are seen again soon.
	files map[string]*cowrie.File
}

// maxJobFiles is about how many rows are kept.
const maxJobFiles = 20_000

// Point, if not nil, is called at named points of what changes a database.
// Tests set it, to kill the program there.
var Point func(name string)

// Reached tells Point that a point was reached.
func Reached(name string) {
	if Point != nil {
		Point(name)
	}
}
