package store

import (
	"context"
	"database/sql"
	"strings"
	"time"

	"midden/internal/cowrie"
)

// lookups returns the query for some lookups, with what was said of their files:
// that is asked only of those that are wanted. The answers that count one after the
// other are those of VirusTotal.
func lookups(where, order string, max int) string {
	return `SELECT l.shasum, l.state, l.due_at, l.failures, l.error, l.first_seen, l.last_seen, l.sighting_count,
	(SELECT max(observed_at) FROM file_verdicts v WHERE v.shasum = l.shasum),
	(SELECT coalesce(malicious, -1) FROM file_verdicts v WHERE v.shasum = l.shasum ORDER BY observed_at DESC, source LIMIT 1),
	(SELECT ` + knownFile + `
		FROM file_verdicts v WHERE v.shasum = l.shasum ORDER BY observed_at DESC, source LIMIT 1),
	(SELECT count(*) FROM file_verdicts v WHERE v.shasum = l.shasum AND v.source = 'virustotal' AND v.total IS NULL
		AND NOT EXISTS (SELECT 1 FROM file_verdicts w WHERE w.shasum = l.shasum
			AND w.source = 'virustotal' AND w.total IS NOT NULL AND w.observed_at >= v.observed_at)),
	(SELECT min(observed_at) FROM file_verdicts v WHERE v.shasum = l.shasum AND v.malicious > 0)
	FROM (SELECT l.shasum, l.state, l.due_at, l.failures, l.error, l.updated_at, f.first_seen, f.last_seen, f.sighting_count
		FROM lookups l JOIN files f ON f.shasum = l.shasum` + where + order + limit(max) + `) l` + order
}

func scanLookup(scan func(...any) error) (cowrie.Lookup, error) {
	var l cowrie.Lookup
	var known sql.NullBool
	var malicious sql.NullInt64
	err := scan(&l.Shasum, &l.State, scanTime{&l.DueAt}, &l.Failures, scanText{&l.Error}, scanTime{&l.FirstSeen}, scanTime{&l.LastSeen},
		&l.Sightings, scanTime{&l.AnsweredAt}, &malicious, &known, &l.Unknowns, scanTime{&l.FlaggedAt})
	l.Known, l.Malicious = known.Bool, -1
	if malicious.Valid {
		l.Malicious = int(malicious.Int64)
	}
	return l, err
}

// A lease that ends far in the future was given by a clock that was wrong.
const (
	notLeased    = `(leased_until IS NULL OR leased_until <= ? OR leased_until > ?)`
	longestLease = time.Hour
)

func leaseArgs(now time.Time) []any {
	return []any{cowrie.FromStd(now).String(), cowrie.FromStd(now.Add(longestLease)).String()}
}

// lookupsOf adds to a condition what a query asks for.
func lookupsOf(q cowrie.LookupQuery, part string, args ...any) *conditions {
	var where conditions
	where.add(part, args...)
	where.add(notLeased, leaseArgs(q.Now)...)
	if q.Since != cowrie.NoTime {
		where.add("f.last_seen >= ?", q.Since.String())
	}
	return &where
}

// Unscheduled calls f for the lookups that are new though something was said of
// their files: nobody has reckoned yet when to ask.
func (s *Store) Unscheduled(ctx context.Context, f func(cowrie.Lookup) error) error {
	return s.lookups(ctx, lookups(` WHERE l.state = 'new' AND l.leased_until IS NULL AND EXISTS (SELECT 1 FROM file_verdicts v WHERE v.shasum = l.shasum)`, "", 0), nil, f)
}

// NewLookups calls f for files of which nothing was ever said, the newest and
// most frequent first.
func (s *Store) NewLookups(ctx context.Context, q cowrie.LookupQuery, f func(cowrie.Lookup) error) error {
	where := lookupsOf(q, `l.state = 'new'`)
	return s.lookups(ctx, lookups(where.clause(), ` ORDER BY last_seen DESC NULLS LAST, sighting_count DESC, l.shasum`, q.Limit), where.args, f)
}

// DueLookups calls f for files that are to be asked about again by now, the
// longest due first.
func (s *Store) DueLookups(ctx context.Context, q cowrie.LookupQuery, f func(cowrie.Lookup) error) error {
	where := lookupsOf(q, `l.state = 'waiting' AND l.due_at <= ?`, cowrie.FromStd(q.Now).String())
	return s.lookups(ctx, lookups(where.clause(), ` ORDER BY l.due_at`, q.Limit), where.args, f)
}

func (s *Store) lookups(ctx context.Context, query string, args []any, f func(cowrie.Lookup) error) error {
	return s.each(ctx, query, args, func(scan func(...any) error) error {
		l, err := scanLookup(scan)
		if err != nil {
			return err
		}
		return f(l)
	})
}

// Claim takes a file to be asked about, until a time. It reports false if
// another process has it, or has had an answer meanwhile.
func (s *Store) Claim(ctx context.Context, l *cowrie.Lookup, now, until time.Time) (claimed bool, err error) {
	err = s.inTx(ctx, func(tx *sql.Tx) error {
		a := newAppend(ctx, s, tx)
		n, err := a.changed(`UPDATE lookups SET leased_until = ? WHERE shasum = ? AND state = ? AND due_at IS NOT DISTINCT FROM ? AND `+notLeased,
			append([]any{cowrie.FromStd(until).String(), l.Shasum, l.State, timeText(l.DueAt)}, leaseArgs(now)...)...)
		claimed = n > 0
		return err
	})
	return claimed, err
}

// Release gives back files that were claimed and not asked about.
func (s *Store) Release(ctx context.Context, shasums ...string) error {
	return s.inTx(ctx, func(tx *sql.Tx) error {
		a := newAppend(ctx, s, tx)
		for _, shasum := range shasums {
			if err := a.exec(`UPDATE lookups SET leased_until = NULL WHERE shasum = $1`, shasum); err != nil {
				return err
			}
		}
		return nil
	})
}

// Schedule notes when to ask about files of which others said something, unless
// that is noted by now.
func (s *Store) Schedule(ctx context.Context, due map[string]cowrie.Time) error {
	return s.inTx(ctx, func(tx *sql.Tx) error {
		a := newAppend(ctx, s, tx)
		for _, shasum := range sortedKeys(due) {
			if err := a.scheduled(shasum, due[shasum], ` AND state = 'new'`); err != nil {
				return err
			}
		}
		return nil
	})
}

// Postpone notes when to ask about a file, whatever is noted.
func (s *Store) Postpone(ctx context.Context, shasum string, due cowrie.Time) error {
	return s.inTx(ctx, func(tx *sql.Tx) error { return newAppend(ctx, s, tx).scheduled(shasum, due, "") })
}

func (a *appending) scheduled(shasum string, due cowrie.Time, where string) error {
	return a.exec(`UPDATE lookups SET state = 'waiting', due_at = $1, failures = 0, error = NULL, leased_until = NULL, updated_at = $2
		WHERE shasum = $3 AND state <> 'dropped'`+where, due.String(), cowrie.FromStd(a.now).String(), shasum)
}

// Answered stores an answer about a file, what it changes, and when to ask
// again, in one transaction.
func (s *Store) Answered(ctx context.Context, v cowrie.Verdict, due cowrie.Time) error {
	err := s.inTx(ctx, func(tx *sql.Tx) error {
		a := newAppend(ctx, s, tx)
		a.verdicts, a.answered = []cowrie.Verdict{v}, true
		if err := a.flushVerdicts(); err != nil {
			return err
		}
		if err := a.scheduled(v.Shasum, due, ""); err != nil {
			return err
		}
		Reached("enrich: before commit")
		return nil
	})
	if err == nil {
		Reached("enrich: after commit")
	}
	return err
}

// Failed notes that there was no answer about a file: it is asked about again at
// a time, or, if that is NoTime, not any more.
func (s *Store) Failed(ctx context.Context, shasum, reason string, again cowrie.Time) error {
	return s.inTx(ctx, func(tx *sql.Tx) error {
		a := newAppend(ctx, s, tx)
		state := cowrie.LookupWaiting
		if again == cowrie.NoTime {
			state = cowrie.LookupFailed
			if !s.shadow {
				if err := a.exec(`UPDATE files SET enrichment_status = 'failed', updated_at = $1 WHERE shasum = $2 AND enrichment_status = 'pending'`,
					cowrie.FromStd(a.now).String(), shasum); err != nil {
					return err
				}
			}
		}
		return a.exec(`UPDATE lookups SET state = $1, due_at = $2, failures = failures + 1, error = $3, leased_until = NULL, updated_at = $4
			WHERE shasum = $5 AND state <> 'dropped'`, state, timeText(again), reason, cowrie.FromStd(a.now).String(), shasum)
	})
}

// Queue calls f for lookups that failed, the last first.
func (s *Store) Queue(ctx context.Context, max int, f func(cowrie.Lookup) error) error {
	return s.lookups(ctx, lookups(` WHERE l.failures > 0 OR l.state = 'failed'`, ` ORDER BY l.updated_at DESC, l.shasum`, max), nil, f)
}

// SetLookups makes lookups whose hash begins with one of the prefixes, or all that
// failed if there is none, wait until a time, or dropped, and returns how many.
func (s *Store) SetLookups(ctx context.Context, state string, due cowrie.Time, prefixes []string) (n int64, err error) {
	where := []string{`failures > 0 OR state = 'failed'`}
	var args []any
	if len(prefixes) > 0 {
		where = nil
		for _, p := range prefixes {
			where = append(where, `shasum >= ? AND shasum < ?`)
			args = append(args, p, p+"g")
		}
	}
	err = s.inTx(ctx, func(tx *sql.Tx) error {
		a := newAppend(ctx, s, tx)
		n, err = a.changed(`UPDATE lookups SET state = ?, due_at = ?, failures = 0, error = NULL, leased_until = NULL, updated_at = ?
			WHERE `+strings.Join(where, " OR "), append([]any{state, timeText(due), cowrie.FromStd(a.now).String()}, args...)...)
		return err
	})
	return n, err
}

// Backlog returns how many files were never asked about, how many are due again,
// and how many wait to be asked once more since there was no answer.
func (s *Store) Backlog(ctx context.Context, now time.Time) (fresh, due, retries int64, err error) {
	err = s.db.QueryRowContext(ctx, `SELECT (SELECT count(*) FROM lookups WHERE state = 'new'),
		(SELECT count(*) FROM lookups WHERE state = 'waiting' AND due_at <= $1),
		(SELECT count(*) FROM lookups WHERE state = 'waiting' AND failures > 0)`, cowrie.FromStd(now).String()).Scan(&fresh, &due, &retries)
	return fresh, due, retries, s.explain(err)
}
