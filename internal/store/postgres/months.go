package postgres

import (
	"context"
	"database/sql"
	"sync"
	"time"

	"midden/internal/cowrie"
)

// months are the months of which it is known that there is a partition for them.
type months struct {
	mu    sync.Mutex
	known map[string]bool
}

// Under these months stand segments that name no month, or one that cannot be: no
// sensor is that old, and none knows the year after the next.
const (
	early = "0001-01-01"
	late  = "9999-12-01"
)

// firstYear is the first year of which a month has a partition of its own.
const firstYear = 2015

// of returns the month under which a segment is kept whose latest event is of
// a time. If that month has no partition, it gets one.
func (m *months) of(ctx context.Context, tx *sql.Tx, latest cowrie.Time) (any, error) {
	at := cowrie.Month(latest).Std()
	switch {
	case latest == cowrie.NoTime || at.Year() < firstYear:
		return early, nil
	case at.Year() > time.Now().UTC().Year()+1:
		return late, nil
	}
	month := at.Format(time.DateOnly)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.known[month] {
		return month, nil
	}
	var there bool
	err := tx.QueryRowContext(ctx, `SELECT to_regclass('event_segments_' || to_char($1::date, 'YYYY_MM')) IS NOT NULL`, month).Scan(&there)
	if err != nil {
		return nil, err
	}
	if !there {
		// It is not noted as known: the transaction may be undone.
		_, err := tx.ExecContext(ctx, `SELECT midden_make_month($1::date)`, month)
		return month, err
	}
	if m.known == nil {
		m.known = map[string]bool{}
	}
	m.known[month] = true
	return month, nil
}
