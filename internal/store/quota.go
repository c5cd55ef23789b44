package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"midden/internal/cowrie"
)

// The minute of a quota is a sliding one: no 60 seconds see more requests than it
// allows. They are counted by the second, so that a second is added, and another
// one for the way to the source.
const quotaMinute = 62 * time.Second

// clockSkew is how far the clocks of two machines may be apart. What is said to
// have been asked later than that was noted by a clock that was wrong.
const clockSkew = 5 * time.Second

// Reserve counts a request that is about to be made, if the limits allow it at
// this moment. keep is how many requests of each day are left for others.
func (s *Store) Reserve(ctx context.Context, account string, now time.Time, lim cowrie.Limits, keep int64) (g cowrie.Grant, err error) {
	err = s.adding(ctx, func(a *appending) error {
		second := secondOf(now)
		if err := a.exec(`DELETE FROM quota_requests WHERE account = $1 AND second <= $2`,
			account, cowrie.FromStd(now.Add(-quotaMinute)).String()); err != nil {
			return err
		}
		if err := a.fromTheFuture(account, now, second); err != nil {
			return err
		}
		tx, err := a.settled()
		if err != nil {
			return err
		}
		u, err := s.usage(ctx, tx, account, cowrie.FromStd(now), lim)
		if err != nil {
			return err
		}
		g = grant(u, keep)
		if !g.OK {
			return nil
		}
		for _, p := range periods(now) {
			if err := a.countPeriod(account, p, 1); err != nil {
				return err
			}
		}
		return a.countRequests(account, second, 1)
	})
	return g, err
}

// Arrived counts a request that was reserved at a time as made now: it may have
// been long on its way, and the source counts it when it arrives. Where a day or a
// month began meanwhile, it counts for both.
func (s *Store) Arrived(ctx context.Context, account string, reserved, now time.Time) error {
	return s.adding(ctx, func(a *appending) error {
		if err := a.exec(`UPDATE quota_requests SET requests = requests - 1 WHERE account = $1 AND second = $2 AND requests > 0`,
			account, secondOf(reserved)); err != nil {
			return err
		}
		if err := a.countRequests(account, secondOf(now), 1); err != nil {
			return err
		}
		for _, p := range periods(now) {
			if !p.start.After(reserved) {
				continue
			}
			if err := a.countPeriod(account, p, 1); err != nil {
				return err
			}
		}
		return nil
	})
}

// Refund takes back a request that was reserved at a time: the source never heard
// of it.
func (s *Store) Refund(ctx context.Context, account string, reserved time.Time) error {
	return s.adding(ctx, func(a *appending) error {
		if err := a.exec(`UPDATE quota_requests SET requests = requests - 1 WHERE account = $1 AND second = $2 AND requests > 0`,
			account, secondOf(reserved)); err != nil {
			return err
		}
		for _, p := range periods(reserved) {
			if err := a.exec(`UPDATE quota SET used = used - 1 WHERE account = $1 AND period = $2 AND starts_at = $3 AND used > 0`,
				account, string(p.name), cowrie.FromStd(p.start).String()); err != nil {
				return err
			}
		}
		return nil
	})
}

// period is a day or a month.
type period struct {
	name  cowrie.QuotaPeriod
	start time.Time
}

func periods(t time.Time) []period {
	return []period{{cowrie.PerDay, dayOf(t)}, {cowrie.PerMonth, monthOf(t)}}
}

func (a *appending) countPeriod(account string, p period, n int64) error {
	return a.exec(`INSERT INTO quota (account, period, starts_at, used) VALUES ($1, $2, $3, $4)
		ON CONFLICT (account, period, starts_at) DO UPDATE SET used = quota.used + excluded.used`,
		account, string(p.name), cowrie.FromStd(p.start).String(), n)
}

func secondOf(t time.Time) string { return cowrie.FromStd(t.UTC().Truncate(time.Second)).String() }

func (a *appending) countRequests(account, second string, n int64) error {
	return a.exec(`INSERT INTO quota_requests (account, second, requests) VALUES ($1, $2, $3)
		ON CONFLICT (account, second) DO UPDATE SET requests = quota_requests.requests + excluded.requests`, account, second, n)
}

// fromTheFuture counts requests as made now that a clock has noted which was
// wrong, so that no minute sees too many, and none waits for years.
func (a *appending) fromTheFuture(account string, now time.Time, second string) error {
	limit := cowrie.FromStd(now.Add(clockSkew)).String()
	var n int64
	if err := a.row(`SELECT coalesce(sum(requests), 0) FROM quota_requests WHERE account = $1 AND second > $2`, []any{account, limit}, &n); err != nil || n == 0 {
		return err
	}
	if err := a.exec(`DELETE FROM quota_requests WHERE account = $1 AND second > $2`, account, limit); err != nil {
		return err
	}
	return a.countRequests(account, second, n)
}

// grant says whether a request fits.
func grant(u *cowrie.Usage, keep int64) cowrie.Grant {
	switch {
	case u.Month > 0 && u.UsedMonth >= u.Month:
		return cowrie.Grant{Until: u.MonthReset, Period: cowrie.PerMonth}
	case u.Day > 0 && u.UsedDay >= max(0, u.Day-keep):
		return cowrie.Grant{Until: u.DayReset, Period: cowrie.PerDay}
	case u.MinuteFree != cowrie.NoTime:
		return cowrie.Grant{Until: u.MinuteFree, Period: cowrie.PerMinute}
	}
	return cowrie.Grant{OK: true, Until: cowrie.NoTime}
}

func dayOf(t time.Time) time.Time {
	y, m, d := t.UTC().Date()
	return time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
}

func monthOf(t time.Time) time.Time {
	y, m, _ := t.UTC().Date()
	return time.Date(y, m, 1, 0, 0, 0, 0, time.UTC)
}

// Usage returns how much of a quota is used at a moment.
func (s *Store) Usage(ctx context.Context, account string, now time.Time, lim cowrie.Limits) (*cowrie.Usage, error) {
	return s.usage(ctx, s.db, account, cowrie.FromStd(now), lim)
}

// usage is Usage, by way of a database or a transaction.
func (s *Store) usage(ctx context.Context, db querier, account string, now cowrie.Time, lim cowrie.Limits) (*cowrie.Usage, error) {
	std := now.Std()
	u := &cowrie.Usage{Limits: lim, MinuteFree: cowrie.NoTime, DayReset: cowrie.FromStd(dayOf(std).AddDate(0, 0, 1)),
		MonthReset: cowrie.FromStd(monthOf(std).AddDate(0, 1, 0))}
	err := s.eachOf(ctx, db, `SELECT coalesce(sum(CASE WHEN period = 'day' AND starts_at = $1 THEN used END), 0),
			coalesce(sum(CASE WHEN period = 'month' AND starts_at = $2 THEN used END), 0) FROM quota WHERE account = $3`,
		[]any{cowrie.FromStd(dayOf(std)).String(), cowrie.FromStd(monthOf(std)).String(), account},
		func(scan func(...any) error) error { return scan(&u.UsedDay, &u.UsedMonth) })
	if err != nil {
		return nil, err
	}
	err = s.eachOf(ctx, db, `SELECT second, requests FROM quota_requests WHERE account = $1 AND second > $2 ORDER BY second DESC`,
		[]any{account, cowrie.FromStd(std.Add(-quotaMinute)).String()}, func(scan func(...any) error) error {
			var second cowrie.Time
			var n int64
			if err := scan(scanTime{&second}, &n); err != nil {
				return err
			}
			if second.Std().After(std.Add(clockSkew)) {
				second = now // noted by a clock that was wrong
			}
			// One fits when this second, and all before it, are out of the minute.
			if u.UsedMinute += n; lim.Minute > 0 && u.UsedMinute >= lim.Minute && u.MinuteFree == cowrie.NoTime {
				u.MinuteFree = cowrie.FromStd(second.Std().Add(quotaMinute))
			}
			return nil
		})
	return u, err
}

// Told notes what a source says of a quota: its limits, and how much of the day
// and of the month is used, by others, too. What midden counted itself stays if
// it is more.
func (s *Store) Told(ctx context.Context, account string, now time.Time, lim cowrie.Limits, usedDay, usedMonth int64) error {
	return s.adding(ctx, func(a *appending) error {
		if err := a.exec(`INSERT INTO quota_limits (account, per_minute, per_day, per_month, told_at) VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT (account) DO UPDATE SET per_minute = excluded.per_minute, per_day = excluded.per_day,
			per_month = excluded.per_month, told_at = excluded.told_at`,
			account, lim.Minute, lim.Day, lim.Month, cowrie.FromStd(now).String()); err != nil {
			return err
		}
		used := map[cowrie.QuotaPeriod]int64{cowrie.PerDay: usedDay, cowrie.PerMonth: usedMonth}
		for _, p := range periods(now) {
			if err := a.exec(`INSERT INTO quota (account, period, starts_at, used) VALUES ($1, $2, $3, $4)
				ON CONFLICT (account, period, starts_at) DO UPDATE SET used = CASE WHEN quota.used > excluded.used THEN quota.used ELSE excluded.used END`,
				account, string(p.name), cowrie.FromStd(p.start).String(), used[p.name]); err != nil {
				return err
			}
		}
		return nil
	})
}

// Limits returns what a source said last of a quota; ok is false if it never did.
func (s *Store) Limits(ctx context.Context, account string) (lim cowrie.Limits, toldAt cowrie.Time, ok bool, err error) {
	err = s.db.QueryRowContext(ctx, `SELECT coalesce(per_minute, 0), coalesce(per_day, 0), coalesce(per_month, 0), told_at
		FROM quota_limits WHERE account = $1`, account).Scan(&lim.Minute, &lim.Day, &lim.Month, scanTime{&toldAt})
	if errors.Is(err, sql.ErrNoRows) {
		return lim, cowrie.NoTime, false, nil
	}
	return lim, toldAt, err == nil, s.explain(err)
}
