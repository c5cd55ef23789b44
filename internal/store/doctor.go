package store

import (
	"context"
	"fmt"
	"strings"

	"midden/internal/cowrie"
)

// Check is the result of one look at the database.
type Check struct {
	Name   string
	State  CheckState
	Detail string
}

// CheckState says how a check went.
type CheckState string

// The states of a check.
const (
	CheckOK      CheckState = "ok"
	CheckNotice  CheckState = "notice" // something a person may want to know
	CheckFailure CheckState = "failure"
)

// Doctor looks whether the tables agree with each other and with themselves,
// and calls f with each result. deep decompresses every segment, too. st is how
// enrichment is staged. A check that damage keeps from being made is a failure
// like others.
func (s *Store) Doctor(ctx context.Context, deep bool, st Staging, f func(Check) error) error {
	type check struct {
		name string
		run  func(context.Context) (CheckState, string, error)
	}
	checks := []check{
		{"database file", s.checkFile},
		{"lines are accounted for", s.checkSources},
		{"sightings agree with files", s.checkFiles},
		{"sessions agree with events", s.checkSessions},
		{"dropped events", s.checkDropped},
		{"dead letters", s.checkDeadLetters},
		{"unreadable inputs", s.checkProblems},
		{"verdicts", func(ctx context.Context) (CheckState, string, error) { return s.checkVerdicts(ctx, st) }},
	}
	if s.engine.Raw != nil {
		checks = append(checks, check{"raw events", s.checkRaw})
	}
	if deep {
		checks = append(checks, check{"event segments", s.checkSegments})
	}
	for _, c := range checks {
		state, detail, err := c.run(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			state, detail = CheckFailure, s.explain(err).Error()
		}
		if err := f(Check{c.name, state, detail}); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) checkFile(ctx context.Context) (CheckState, string, error) {
	found, err := s.engine.Damage(ctx)
	if len(found) > 0 { // that says more than why there is no more
		return CheckFailure, strings.Join(found, "; "), nil
	}
	return CheckOK, "no damage found", err
}

// none returns ok if a count of things that should not be is 0.
func (s *Store) none(ctx context.Context, good, bad, query string) (CheckState, string, error) {
	var n int64
	err := s.db.QueryRowContext(ctx, query).Scan(&n)
	if n > 0 {
		return CheckFailure, fmt.Sprintf(bad, n), err
	}
	return CheckOK, good, err
}

func (s *Store) checkSources(ctx context.Context) (CheckState, string, error) {
	return s.none(ctx, "lines = events + duplicates + dead letters + blank, in every source",
		"%d sources whose lines are not accounted for",
		`SELECT count(*) FROM sources WHERE lines <> events + duplicates + dead_letters + blank
			OR events <> (SELECT coalesce(sum(event_count), 0) FROM event_segments WHERE source_id = sources.id)
				+ (SELECT coalesce(sum(event_count), 0) FROM dropped_segments WHERE source_id = sources.id)`)
}

func (s *Store) checkFiles(ctx context.Context) (CheckState, string, error) {
	return s.none(ctx, "every file has the sightings that it counts, and every sighting its file",
		"%d files that do not have the sightings they count, or sightings without a file",
		`SELECT (SELECT count(*) FROM files f WHERE sighting_count <> (SELECT count(*) FROM file_sightings
				WHERE shasum = f.shasum AND (kind = 'disk') = f.disk_only))
			+ (SELECT count(*) FROM file_sightings s WHERE NOT EXISTS (SELECT 1 FROM files WHERE shasum = s.shasum))`)
}

func (s *Store) checkSessions(ctx context.Context) (CheckState, string, error) {
	return s.none(ctx, "sessions count as many events as were stored",
		"the counts of sessions and events differ by %d",
		`SELECT abs((SELECT coalesce(sum(event_count), 0) FROM event_segments)
			+ (SELECT coalesce(sum(event_count), 0) FROM dropped_segments)
			- (SELECT coalesce(sum(segment_events), 0) FROM session_summaries)
			- (SELECT count(*) FROM sessionless_events))`)
}

func (s *Store) checkDropped(ctx context.Context) (CheckState, string, error) {
	d, err := s.Dropped(ctx, EventFilter{Since: cowrie.NoTime, Until: cowrie.NoTime})
	if d.Segments == 0 {
		return CheckOK, "none", err
	}
	return CheckNotice, fmt.Sprintf("%d events up to %s were dropped by \"midden retain\"", d.Events, d.Last), err
}

func (s *Store) checkDeadLetters(ctx context.Context) (CheckState, string, error) {
	var ours, theirs int64
	err := s.db.QueryRowContext(ctx, `SELECT count(digest), count(*) - count(digest) FROM dead_letter_events
		WHERE NOT resolved`).Scan(&ours, &theirs)
	var found []string
	if ours > 0 {
		found = append(found, fmt.Sprintf("%d lines that are no events", ours))
	}
	if theirs > 0 {
		found = append(found, fmt.Sprintf("%d events that cowrieprocessor set aside", theirs))
	}
	if len(found) > 0 {
		return CheckNotice, strings.Join(found, ", ") + ": \"midden dead-letters list\" shows them", err
	}
	return CheckOK, "none", err
}

func (s *Store) checkProblems(ctx context.Context) (CheckState, string, error) {
	var n int64
	var first string
	err := s.db.QueryRowContext(ctx, `SELECT count(*), min(path || ': ' || problem) FROM log_files
		WHERE problem IS NOT NULL`).Scan(&n, scanText{&first})
	if n > 0 {
		return CheckNotice, fmt.Sprintf("%d files could not be read to their end, such as %s", n, first), err
	}
	return CheckOK, "none", err
}

func (s *Store) checkVerdicts(ctx context.Context, st Staging) (CheckState, string, error) {
	switch {
	case !st.On:
		return CheckNotice, "enrichment is in the shadow: files do not show what verdicts say", nil
	case st.Behind:
		return CheckNotice, "enrichment came out of the shadow: the next command that writes shows in files what verdicts say", nil
	}
	return s.none(ctx, "every file says what was last said of it",
		"%d files do not say what was last said of them",
		`SELECT count(*) FROM files f WHERE enrichment_status <> 'ignored' AND EXISTS
			(SELECT 1 FROM file_verdicts v WHERE v.shasum = f.shasum AND `+ofVirusTotal+`
			AND (f.vt_checked_at IS NULL OR v.observed_at > f.vt_checked_at))`)
}

// checkRaw looks how far the backfill is.
func (s *Store) checkRaw(ctx context.Context) (CheckState, string, error) {
	last, err := s.LastRawEvent(ctx)
	if err != nil {
		return "", "", err
	}
	j, err := s.Job(ctx, "backfill")
	if err != nil {
		return "", "", err
	}
	if n := last - j.Position; n > 0 {
		return CheckNotice, fmt.Sprintf("about %d are not backfilled yet: \"midden backfill run\" derives their files", n), nil
	}
	return CheckOK, "all are backfilled", nil
}

func (s *Store) checkSegments(ctx context.Context) (CheckState, string, error) {
	var ids []int64
	err := s.each(ctx, `SELECT id FROM event_segments ORDER BY id`, nil, func(scan func(...any) error) error {
		var id int64
		err := scan(&id)
		ids = append(ids, id)
		return err
	})
	if err != nil {
		return "", "", err
	}
	var broken []string
	for _, id := range ids {
		if err := ctx.Err(); err != nil {
			return "", "", err
		}
		text, err := s.segment(ctx, id)
		if err != nil { // one that was dropped meanwhile is whole
			broken = append(broken, err.Error())
		}
		done(&text)
	}
	if len(broken) > 0 {
		return CheckFailure, fmt.Sprintf("%d of %d: %s", len(broken), len(ids), strings.Join(broken[:min(3, len(broken))], "; ")), nil
	}
	return CheckOK, fmt.Sprintf("%d segments, all whole", len(ids)), nil
}
