package postgres

import (
	"context"
	"database/sql"
	"time"

	"midden/internal/cowrie"
)

// Under these months stand segments that name no month, or one that cannot be: no
// sensor is that old, and none knows the year after the next.
const (
	early = "0001-01-01"
	late  = "9999-12-01"
)

// firstYear is the first year of which a month has a partition of its own.
const firstYear = 2015

// month returns the month under which a segment is kept whose latest event is of
// a time.
func month(latest cowrie.Time) any {
	at := cowrie.Month(latest).Std()
	switch {
	case latest == cowrie.NoTime || at.Year() < firstYear:
		return early
	case at.Year() > time.Now().UTC().Year()+1:
		return late
	}
	return at.Format(time.DateOnly)
}

// makeMonth gives a month a partition, if it has none.
func makeMonth(ctx context.Context, tx *sql.Tx, of any) error {
	month := of.(string)
	if month == early || month == late {
		return nil
	}
	var there bool
	err := tx.QueryRowContext(ctx, `SELECT to_regclass($1) IS NOT NULL`, partition(month)).Scan(&there)
	if err == nil && !there {
		_, err = tx.ExecContext(ctx, `SELECT midden_make_month($1::date)`, month)
	}
	return err
}

// partition is the name of the partition of a month.
func partition(month string) string { return "event_segments_" + month[:4] + "_" + month[5:7] }

// ended returns the months with a partition of their own that ended before a time.
func ended(ctx context.Context, db *sql.DB, before cowrie.Time) (months []any, err error) {
	rows, err := db.QueryContext(ctx, `SELECT translate(substr(c.relname, length('event_segments_') + 1), '_', '-') || '-01'
		FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
		WHERE i.inhparent = to_regclass('event_segments') AND c.relname ~ '^event_segments_\d{4}_\d{2}$' ORDER BY 1`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var month string
		if err := rows.Scan(&month); err != nil {
			return nil, err
		}
		begins, err := time.Parse(time.DateOnly, month)
		if err == nil && cowrie.FromStd(begins.AddDate(0, 1, 0)) <= before {
			months = append(months, month)
		}
	}
	return months, rows.Err()
}

// dropMonth drops the partition of a month. It waits a moment for those who read, and
// they wait for it; where somebody reads for long it gives up, rather than to keep all
// others waiting behind it.
func dropMonth(ctx context.Context, tx *sql.Tx, month any) error {
	for _, st := range []string{`SET LOCAL lock_timeout = '2s'`, `DROP TABLE ` + partition(month.(string))} {
		if _, err := tx.ExecContext(ctx, st); err != nil {
			return err
		}
	}
	return nil
}
