package store

import (
	"context"
	"database/sql"
	"strconv"
	"strings"
	"time"

	"midden/internal/cowrie"
)

// lookups returns the query for some lookups, with what their sources said of the
// files: that is asked only of those that are wanted. The answers that count one
// after the other are those that the source itself gave.
func lookups(where, order string, max int) string {
	return `SELECT l.source, l.shasum, l.state, l.due_at, l.failures, l.error, l.first_seen, l.last_seen, l.sighting_count,
	(SELECT max(observed_at) ` + saidBySource + `),
	(SELECT malicious ` + saidBySource + ` ORDER BY observed_at DESC, source LIMIT 1),
	(SELECT known ` + saidBySource + ` ORDER BY observed_at DESC, source LIMIT 1),
	(SELECT count(*) FROM file_verdicts v WHERE v.shasum = l.shasum AND v.source = l.source AND NOT v.known
		AND NOT EXISTS (SELECT 1 FROM file_verdicts w WHERE w.shasum = l.shasum
			AND w.source = l.source AND w.known AND w.observed_at >= v.observed_at)),
	(SELECT min(observed_at) ` + saidBySource + ` AND v.malicious > 0)
	FROM (SELECT l.source, l.shasum, l.state, l.due_at, l.failures, l.error, l.updated_at, f.first_seen, f.last_seen, f.sighting_count
		FROM lookups l JOIN files f ON f.shasum = l.shasum` + where + order + limit(max) + `) l` + order
}

// saidBySource are the verdicts that tell what the source of a lookup says.
var saidBySource = `FROM file_verdicts v WHERE v.shasum = l.shasum
	AND (v.source = l.source OR l.source = '` + cowrie.SourceVirusTotal + `' AND ` + ofVirusTotal + `)`

func scanLookup(scan func(...any) error) (cowrie.Lookup, error) {
	var l cowrie.Lookup
	var known sql.NullBool
	var malicious sql.NullInt64
	err := scan(&l.Source, &l.Shasum, &l.State, scanTime{&l.DueAt}, &l.Failures, scanText{&l.Error}, scanTime{&l.FirstSeen},
		scanTime{&l.LastSeen}, &l.Sightings, scanTime{&l.AnsweredAt}, &malicious, &known, &l.Unknowns, scanTime{&l.FlaggedAt})
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
	where.add(`l.source = ?`, q.Source)
	where.add(part, args...)
	where.add(notLeased, leaseArgs(q.Now)...)
	for _, source := range q.After {
		where.add(`EXISTS (SELECT 1 FROM lookups b WHERE b.source = ? AND b.shasum = l.shasum AND b.state <> 'new')`, source)
	}
	where.times("f.last_seen", cowrie.Time.String, q.Since, cowrie.NoTime)
	return &where
}

// seeded is how many lookups are made in a transaction.
const seeded = 5000

// Seed makes lookups for a further source, of all files that VirusTotal is asked
// about: those that are loaded get theirs when it is next called.
func (s *Store) Seed(ctx context.Context, source string) error {
	for {
		var missing int64
		err := s.db.QueryRowContext(ctx, `SELECT (SELECT count(*) FROM lookups WHERE source = $1) - (SELECT count(*) FROM lookups WHERE source = $2)`,
			cowrie.SourceVirusTotal, source).Scan(&missing)
		if err != nil || missing <= 0 {
			return s.explain(err)
		}
		added := int64(0)
		err = s.adding(ctx, func(a *appending) (err error) {
			added, err = a.changed(`INSERT INTO lookups (source, shasum, state, updated_at)
				SELECT $1, l.shasum, CASE l.state WHEN 'dropped' THEN 'dropped' ELSE 'new' END, $2 FROM lookups l
				WHERE l.source = $3 AND NOT EXISTS (SELECT 1 FROM lookups h WHERE h.source = $1 AND h.shasum = l.shasum)
				LIMIT `+strconv.Itoa(seeded), source, cowrie.FromStd(a.now).String(), cowrie.SourceVirusTotal)
			return err
		})
		if err != nil || added < seeded {
			return err
		}
	}
}

// Unscheduled calls f for the lookups of a source that are new though it is known
// what the source says of their files: nobody has reckoned yet when to ask.
func (s *Store) Unscheduled(ctx context.Context, source string, f func(cowrie.Lookup) error) error {
	return s.lookups(ctx, lookups(` WHERE l.source = $1 AND l.state = 'new' AND l.leased_until IS NULL AND EXISTS (SELECT 1 `+saidBySource+`)`, "", 0),
		[]any{source}, f)
}

// NewLookups calls f for files that a source was never asked about, the newest
// and most frequent first.
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
	err = s.adding(ctx, func(a *appending) error {
		n, err := a.changed(`UPDATE lookups SET leased_until = ? WHERE source = ? AND shasum = ? AND state = ? AND due_at IS NOT DISTINCT FROM ? AND `+notLeased,
			append([]any{cowrie.FromStd(until).String(), l.Source, l.Shasum, l.State, timeText(l.DueAt)}, leaseArgs(now)...)...)
		claimed = n > 0
		return err
	})
	return claimed, err
}

// Release gives back a file that was claimed and not asked about.
func (s *Store) Release(ctx context.Context, source, shasum string) error {
	return s.adding(ctx, func(a *appending) error {
		return a.exec(`UPDATE lookups SET leased_until = NULL WHERE source = $1 AND shasum = $2`, source, shasum)
	})
}

// Schedule notes when to ask a source about files of which it is known what it
// says, unless that is noted by now.
func (s *Store) Schedule(ctx context.Context, source string, due map[string]cowrie.Time) error {
	return s.adding(ctx, func(a *appending) error {
		for _, shasum := range sortedKeys(due) {
			if err := a.scheduled(source, shasum, due[shasum], ` AND state = 'new'`); err != nil {
				return err
			}
		}
		return nil
	})
}

// Postpone notes when to ask a source about a file, whatever is noted.
func (s *Store) Postpone(ctx context.Context, source, shasum string, due cowrie.Time) error {
	return s.adding(ctx, func(a *appending) error { return a.scheduled(source, shasum, due, "") })
}

func (a *appending) scheduled(source, shasum string, due cowrie.Time, where string) error {
	return a.exec(`UPDATE lookups SET state = 'waiting', due_at = $1, failures = 0, error = NULL, leased_until = NULL, updated_at = $2
		WHERE source = $3 AND shasum = $4 AND state <> 'dropped'`+where, due.String(), cowrie.FromStd(a.now).String(), source, shasum)
}

// Answered stores an answer about a file, what it changes, and when to ask again,
// in one transaction. also is when to ask other sources, where these
// were never asked.
func (s *Store) Answered(ctx context.Context, v cowrie.Verdict, due cowrie.Time, also map[string]cowrie.Time) error {
	err := s.adding(ctx, func(a *appending) error {
		a.verdicts, a.answered = []cowrie.Verdict{v}, true
		if err := a.flushVerdicts(); err != nil {
			return err
		}
		if err := a.scheduled(cowrie.Asked(v.Source), v.Shasum, due, ""); err != nil {
			return err
		}
		for _, source := range sortedKeys(also) {
			if err := a.scheduled(source, v.Shasum, also[source], ` AND state = 'new'`); err != nil {
				return err
			}
		}
		Reached("enrich: before commit")
		return nil
	})
	if err == nil {
		Reached("enrich: after commit")
	}
	return err
}

// Failed notes that a source gave no answer about a file: it is asked again at a
// time, or, if that is NoTime, not any more.
func (s *Store) Failed(ctx context.Context, source, shasum, reason string, again cowrie.Time) error {
	return s.adding(ctx, func(a *appending) error {
		state := cowrie.LookupWaiting
		if again == cowrie.NoTime {
			state = cowrie.LookupFailed
			if !s.shadow && source == cowrie.SourceVirusTotal {
				if err := a.exec(`UPDATE files SET enrichment_status = 'failed', updated_at = $1 WHERE shasum = $2 AND enrichment_status = 'pending'`,
					cowrie.FromStd(a.now).String(), shasum); err != nil {
					return err
				}
				if err := a.changedFile(shasum); err != nil {
					return err
				}
			}
		}
		return a.exec(`UPDATE lookups SET state = $1, due_at = $2, failures = failures + 1, error = $3, leased_until = NULL, updated_at = $4
			WHERE source = $5 AND shasum = $6 AND state <> 'dropped'`, state, timeText(again), reason, cowrie.FromStd(a.now).String(), source, shasum)
	})
}

// stuck holds for lookups that brought no answer.
const stuck = `(failures > 0 OR state = 'failed')`

// Queue calls f for lookups that brought no answer or are not wanted, the last
// first.
func (s *Store) Queue(ctx context.Context, max int, f func(cowrie.Lookup) error) error {
	return s.lookups(ctx, lookups(` WHERE l.failures > 0 OR l.state IN ('failed', 'dropped')`, ` ORDER BY l.updated_at DESC, l.shasum, l.source`, max), nil, f)
}

// SetLookups makes lookups whose hash begins with one of the prefixes, or all that
// brought no answer if there is none, wait until a time, or dropped. It returns how
// many files these are.
func (s *Store) SetLookups(ctx context.Context, state string, due cowrie.Time, prefixes []string) (n int64, err error) {
	where := []string{stuck}
	var args []any
	if len(prefixes) > 0 {
		where = nil
		for _, p := range prefixes {
			where = append(where, `shasum >= ? AND shasum < ?`)
			args = append(args, p, p+"g")
		}
	}
	matching := `(` + strings.Join(where, " OR ") + `)`
	err = s.adding(ctx, func(a *appending) error {
		if err := a.row(`SELECT count(DISTINCT shasum) FROM lookups WHERE `+matching, args, &n); err != nil {
			return err
		}
		return a.exec(`UPDATE lookups SET state = ?, due_at = ?, failures = 0, error = NULL, leased_until = NULL, updated_at = ?
			WHERE `+matching, append([]any{state, timeText(due), cowrie.FromStd(a.now).String()}, args...)...)
	})
	return n, err
}

// Backlog returns how many files a source was never asked about, how many are due
// again, and how many wait to be asked once more since there was no answer.
func (s *Store) Backlog(ctx context.Context, source string, now time.Time) (fresh, due, retries int64, err error) {
	err = s.db.QueryRowContext(ctx, `SELECT (SELECT count(*) FROM lookups WHERE source = $1 AND state = 'new'),
		(SELECT count(*) FROM lookups WHERE source = $1 AND state = 'waiting' AND due_at <= $2),
		(SELECT count(*) FROM lookups WHERE source = $1 AND state = 'waiting' AND failures > 0)`, source, cowrie.FromStd(now).String()).Scan(&fresh, &due, &retries)
	return fresh, due, retries, s.explain(err)
}
