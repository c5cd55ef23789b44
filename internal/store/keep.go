package store

import (
	"context"
	"crypto/rand"
	"database/sql"

	"midden/internal/cowrie"
)

// A report that has counted the sessions of a day leaves that to the next one, unless they have
// changed meanwhile: it claims the day before it looks at it, and whoever stores one of its
// sessions deletes the claim (forgetDay).

// oldAtWork reports whether cowrieprocessor may be at work: there are raw events. It changes
// sessions and knows nothing of sums, so that nothing that is kept of them counts.
func (s *Store) oldAtWork(ctx context.Context, ask asking) (old bool, err error) {
	if s.engine.Raw == nil {
		return false, nil
	}
	err = ask(ctx, `SELECT 1 FROM raw_events LIMIT 1`, nil, func(func(...any) error) error {
		old = true
		return nil
	})
	return old, err
}

// ClaimDays claims those of some days of which nothing is kept. They are to be counted in a View
// that is made afterwards. The claim is nil if nothing can be kept, or needs to be: the database
// cannot be written, or another program may write to it that knows nothing of this. Days without
// sessions are kept at once.
func (s *Store) ClaimDays(ctx context.Context, days []cowrie.Time) (claim []byte, err error) {
	if old, err := s.oldAtWork(ctx, s.each); old || err != nil {
		return nil, err
	}
	var list []any
	kept := map[cowrie.Time]bool{}
	for _, day := range days {
		list = append(list, dayText(day))
	}
	err = s.inLists(list, func(list string, args []any) error {
		return s.each(ctx, `SELECT day FROM report_days WHERE day `+list+` AND maker IS NULL AND version = ?`,
			append(args, cowrie.SumsVersion), func(scan func(...any) error) error {
				var day cowrie.Time
				err := scan(scanDay{&day})
				kept[day] = true
				return err
			})
	})
	if err != nil || len(kept) == len(days) {
		return nil, err
	}
	maker := make([]byte, 16)
	rand.Read(maker)
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return nil, ctx.Err()
	}
	defer tx.Rollback()
	for _, day := range days {
		if kept[day] {
			continue
		}
		var empty bool
		if err := tx.QueryRowContext(ctx, noSessions, whenBegun(day)...).Scan(&empty); err != nil {
			return nil, ctx.Err()
		}
		by := any(nil)
		if !empty {
			claim, by = maker, maker
		}
		// Meanwhile somebody may have begun to keep it.
		r, err := tx.ExecContext(ctx, `INSERT INTO report_days (day, version, maker) VALUES ($1, $2, $3) ON CONFLICT (day) DO UPDATE
			SET version = excluded.version, maker = excluded.maker WHERE report_days.maker IS NOT NULL OR report_days.version <> excluded.version`,
			dayText(day), cowrie.SumsVersion, by)
		if err != nil {
			return nil, ctx.Err()
		}
		if n, err := r.RowsAffected(); err != nil || n == 0 {
			continue
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM session_sums WHERE day = $1`, dayText(day)); err != nil {
			return nil, ctx.Err()
		}
	}
	if err := tx.Commit(); err != nil {
		return nil, ctx.Err()
	}
	return claim, nil
}

// reportLevel is the level of pieces that reports make: they are not to be written again with
// the next few.
const reportLevel = 2

// KeepDay keeps what the sessions of a day add up to, which was claimed: packed, of each sensor.
// If the day has changed meanwhile, or cowrieprocessor has begun to work, nothing happens.
func (s *Store) KeepDay(ctx context.Context, claim []byte, day cowrie.Time, sums map[string][]byte) error {
	packed := map[string][]byte{}
	for sensor, body := range sums {
		packed[sensor] = s.sealSums(body)
	}
	return s.inTx(ctx, func(tx *sql.Tx) error {
		old, err := s.oldAtWork(ctx, func(ctx context.Context, query string, args []any, f func(scan func(...any) error) error) error {
			return s.eachOf(ctx, tx, query, args, f)
		})
		if old || err != nil {
			return err
		}
		r, err := tx.ExecContext(ctx, `UPDATE report_days SET maker = NULL WHERE day = $1 AND maker = $2`, dayText(day), claim)
		if err != nil {
			return err
		}
		if n, err := r.RowsAffected(); err != nil || n == 0 {
			return err
		}
		for _, sensor := range sortedKeys(packed) {
			if _, err := tx.ExecContext(ctx, `INSERT INTO session_sums (day, sensor, level, piece, body) VALUES ($1, $2, $3, 0, $4)`,
				dayText(day), sensor, reportLevel, packed[sensor]); err != nil {
				return err
			}
		}
		return nil
	})
}
