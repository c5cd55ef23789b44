package store

import (
	"context"
	"crypto/rand"
	"database/sql"

	"midden/internal/cowrie"
)

// What a report made of a day is kept as long as it is true. Whoever stores sessions deletes
// what was kept of their days (forgetDays). So a day is claimed before it is looked at, and
// what was made of it is stored only if the claim is still there.

// ClaimDays claims those of some days of which nothing of a version is kept. They are to be
// looked at in a View that is made afterwards. The claim is nil if nothing can be kept: the
// database cannot be written, or another program may write to it that knows nothing of this.
func (s *Store) ClaimDays(ctx context.Context, days []cowrie.Time, version int) (claim []byte, err error) {
	if s.engine.Raw != nil {
		return nil, nil // cowrieprocessor may still be at work
	}
	var list []any
	kept := map[cowrie.Time]bool{}
	for _, day := range days {
		list = append(list, dayText(day))
	}
	err = inLists(list, func(list string, args []any) error {
		return s.each(ctx, `SELECT day FROM report_days WHERE day IN (`+list+`) AND sensor = '' AND body IS NOT NULL AND version = ?`,
			append(args, version), func(scan func(...any) error) error {
				var day cowrie.Time
				err := scan(scanDay{&day})
				kept[day] = true
				return err
			})
	})
	if err != nil || len(kept) == len(days) {
		return nil, err
	}
	claim = make([]byte, 16)
	rand.Read(claim)
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return nil, ctx.Err()
	}
	defer tx.Rollback()
	for _, day := range days {
		if kept[day] {
			continue
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM report_days WHERE day = $1`, dayText(day)); err != nil {
			return nil, ctx.Err()
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO report_days (day, sensor, version, maker) VALUES ($1, '', $2, $3)`,
			dayText(day), version, claim); err != nil {
			return nil, ctx.Err()
		}
	}
	if err := tx.Commit(); err != nil {
		return nil, ctx.Err()
	}
	return claim, nil
}

// KeepDay keeps what was made of a day that was claimed: of each sensor, and under "" of all
// of them together. If the day has changed meanwhile nothing happens.
func (s *Store) KeepDay(ctx context.Context, claim []byte, day cowrie.Time, version int, bodies map[string][]byte) error {
	packed := map[string][]byte{}
	for sensor, body := range bodies {
		packed[sensor] = s.seal.seal(body).blob
	}
	return s.inTx(ctx, func(tx *sql.Tx) error {
		r, err := tx.ExecContext(ctx, `DELETE FROM report_days WHERE day = $1 AND sensor = '' AND maker = $2`, dayText(day), claim)
		if err != nil {
			return err
		}
		if n, err := r.RowsAffected(); err != nil || n == 0 {
			return err
		}
		for _, sensor := range sortedKeys(packed) {
			if _, err := tx.ExecContext(ctx, `INSERT INTO report_days (day, sensor, version, body) VALUES ($1, $2, $3, $4)`,
				dayText(day), sensor, version, packed[sensor]); err != nil {
				return err
			}
		}
		return nil
	})
}
