package store

import (
	"bytes"
	"context"
	"crypto/rand"
	"database/sql"
	"fmt"

	"midden/internal/cowrie"
)

// What a report made of a day is kept as long as it is true. Whoever stores sessions deletes
// what was kept of their days (forgetDays). So a day is claimed before it is looked at, and
// what was made of it is stored only if the claim is still there.

// ErrCannotKeep says that nothing can be kept: the database cannot be written, or another
// program may write to it that knows nothing of this.
var ErrCannotKeep = fmt.Errorf("nothing can be kept")

// ClaimDays claims those of some days of which nothing is kept. The days are looked at in
// a View that is made afterwards.
func (s *Store) ClaimDays(ctx context.Context, days []cowrie.Time) (claim []byte, err error) {
	if s.engine.Raw != nil {
		return nil, ErrCannotKeep // cowrieprocessor may still be at work
	}
	claim = make([]byte, 16)
	rand.Read(claim)
	tx, err := s.db.BeginTx(ctx, nil)
	if err == nil {
		defer tx.Rollback()
		for _, day := range days {
			if _, err = tx.ExecContext(ctx, `INSERT INTO report_days (day, sensor, maker) VALUES ($1, '', $2)
				ON CONFLICT (day, sensor) DO UPDATE SET maker = excluded.maker WHERE report_days.body IS NULL`, dayText(day), claim); err != nil {
				break
			}
		}
		if err == nil {
			err = tx.Commit()
		}
	}
	if err != nil && ctx.Err() == nil {
		err = fmt.Errorf("%w: %w", ErrCannotKeep, s.explain(err))
	}
	return claim, err
}

// KeepDay keeps what was made of a day that was claimed, unless it changed meanwhile: of
// all sensors together, and of each of them.
func (s *Store) KeepDay(ctx context.Context, claim []byte, all cowrie.KeptDay, each []cowrie.KeptDay) error {
	return s.inTx(ctx, func(tx *sql.Tx) error {
		r, err := tx.ExecContext(ctx, `UPDATE report_days SET body = $1, maker = NULL WHERE day = $2 AND sensor = '' AND maker = $3`,
			all.Body, dayText(all.Day), bytes.Clone(claim))
		if err != nil {
			return err
		}
		if n, err := r.RowsAffected(); err != nil || n == 0 {
			return err
		}
		for _, kept := range each {
			if _, err := tx.ExecContext(ctx, `INSERT INTO report_days (day, sensor, body) VALUES ($1, $2, $3)
				ON CONFLICT (day, sensor) DO UPDATE SET body = excluded.body`, dayText(kept.Day), kept.Sensor, kept.Body); err != nil {
				return err
			}
		}
		return nil
	})
}
