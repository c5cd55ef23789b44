package store

import (
	"context"

	"midden/internal/cowrie"
)

// History calls f for what was said of a file, the first first.
func (s *Store) History(ctx context.Context, shasum string, f func(*cowrie.Verdict) error) error {
	return s.verdicts(ctx, verdictColumns+` WHERE shasum = $1 ORDER BY observed_at, source`, []any{shasum}, f)
}

// Changes calls f for what was said of files since a time, and for what the same
// source had said of the file before; nil if it had said nothing.
func (s *Store) Changes(ctx context.Context, since cowrie.Time, f func(before, now *cowrie.Verdict) error) error {
	var where conditions
	where.times("observed_at", cowrie.Time.String, since, cowrie.NoTime)
	return s.verdicts(ctx, verdictColumns+where.clause()+` ORDER BY observed_at, shasum, source`, where.args,
		func(now *cowrie.Verdict) error {
			before, err := s.before(ctx, now)
			if err != nil {
				return err
			}
			return f(before, now)
		})
}

// before returns what the source of a verdict had said of the file before; nil if nothing.
func (s *Store) before(ctx context.Context, now *cowrie.Verdict) (before *cowrie.Verdict, err error) {
	err = s.verdicts(ctx, verdictColumns+` WHERE shasum = $1 AND source = $2 AND observed_at < $3
		ORDER BY observed_at DESC LIMIT 1`, []any{now.Shasum, now.Source, now.ObservedAt.String()},
		func(v *cowrie.Verdict) error {
			before = v
			return nil
		})
	return before, err
}

// EachReport calls f for the last report of VirusTotal on each file.
func (s *Store) EachReport(ctx context.Context, f func(*cowrie.Verdict) error) error {
	return s.verdicts(ctx, verdictColumns+` v WHERE source = 'virustotal' AND total IS NOT NULL AND NOT EXISTS (SELECT 1 FROM file_verdicts w
		WHERE w.shasum = v.shasum AND w.source = v.source AND w.total IS NOT NULL AND w.observed_at > v.observed_at)`, nil, f)
}

// Report returns the report of VirusTotal on a file of a time; nil if there is none.
func (s *Store) Report(ctx context.Context, shasum string, at cowrie.Time) (found *cowrie.Verdict, err error) {
	err = s.verdicts(ctx, verdictColumns+` WHERE shasum = $1 AND source = 'virustotal' AND observed_at = $2`, []any{shasum, at.String()},
		func(v *cowrie.Verdict) error {
			found = v
			return nil
		})
	return found, err
}

const verdictColumns = `SELECT shasum, source, observed_at, analysed_at, first_submission_at, coalesce(malicious, -1),
	coalesce(suspicious, -1), coalesce(undetected, -1), coalesce(harmless, -1), coalesce(total, -1), classification, description, known
	FROM file_verdicts`

func (s *Store) verdicts(ctx context.Context, query string, args []any, f func(*cowrie.Verdict) error) error {
	return s.each(ctx, query, args, func(scan func(...any) error) error {
		v := &cowrie.Verdict{}
		if err := scan(&v.Shasum, &v.Source, scanTime{&v.ObservedAt}, scanTime{&v.AnalysedAt}, scanTime{&v.FirstSubmission}, &v.Malicious,
			&v.Suspicious, &v.Undetected, &v.Harmless, &v.Total, scanText{&v.Classification}, scanText{&v.Description}, &v.Listed); err != nil {
			return err
		}
		return f(v)
	})
}
