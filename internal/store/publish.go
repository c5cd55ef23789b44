package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"midden/internal/cowrie"
)

// Publishing returns how far others were told of what is here; nil if they are not.
func (s *Store) Publishing(ctx context.Context) (*cowrie.Publishing, error) {
	p := &cowrie.Publishing{}
	err := s.db.QueryRowContext(ctx, `SELECT cluster, prefix, revision, in_flight, scan, scan_after, scan_index, started_at FROM publishing`).Scan(
		&p.Cluster, &p.Prefix, &p.Revision, &p.InFlight, scanText{&p.Scan}, scanText{&p.After}, scanText{&p.Index}, scanTime{&p.StartedAt})
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return p, s.explain(err)
}

// SetPublishing notes how far others were told, but for the revision, which only
// changes of what is here raise. The first time, it has changes noted from now on.
func (s *Store) SetPublishing(ctx context.Context, p *cowrie.Publishing) error {
	return s.adding(ctx, func(a *appending) error { return a.setPublishing(p) })
}

func (a *appending) setPublishing(p *cowrie.Publishing) error {
	n, err := a.changed(`UPDATE publishing SET cluster = $1, prefix = $2, in_flight = $3, scan = $4, scan_after = $5, scan_index = $6, started_at = $7`,
		p.Cluster, p.Prefix, p.InFlight, orNull(p.Scan), orNull(p.After), orNull(p.Index), p.StartedAt.String())
	if err != nil || n > 0 {
		return err
	}
	return a.exec(`INSERT INTO publishing (cluster, prefix, revision, in_flight, scan, scan_after, scan_index, started_at)
		VALUES ($1, $2, 1, $3, $4, $5, $6, $7)`,
		p.Cluster, p.Prefix, p.InFlight, orNull(p.Scan), orNull(p.After), orNull(p.Index), p.StartedAt.String())
}

// StopPublishing forgets that anything was published: nothing is noted any more.
func (s *Store) StopPublishing(ctx context.Context) error {
	return s.adding(ctx, func(a *appending) error {
		if err := a.exec(`DELETE FROM publishing`); err != nil {
			return err
		}
		return a.exec(`DELETE FROM outbox`)
	})
}

// changesBytes is how much text of changes is read at once, about.
const changesBytes = 8 << 20

// Outbox returns the first changes in the outbox that were not refused, up to a
// revision, no more than max and than a few megabytes: as they are now, which may be
// later.
func (s *Store) Outbox(ctx context.Context, through int64, max int) ([]*cowrie.Change, error) {
	var list []*cowrie.Change
	err := s.each(ctx, `SELECT kind, "key", revision, body FROM outbox WHERE problem IS NULL AND revision <= $1
		ORDER BY revision, kind, "key" LIMIT $2`, []any{through, max}, func(scan func(...any) error) error {
		c := &cowrie.Change{}
		var body string
		err := scan(&c.Kind, &c.Key, &c.Revision, scanText{&body})
		c.Body = []byte(body)
		list = append(list, c)
		return err
	})
	size := 0
	for i := 0; err == nil && i < len(list); i++ {
		err = s.now(ctx, list[i])
		if size += list[i].Size(); size > changesBytes {
			list = list[:i+1]
		}
	}
	return list, err
}

// now fills in how a thing is now.
func (s *Store) now(ctx context.Context, c *cowrie.Change) error {
	switch c.Kind {
	case cowrie.KindSighting:
		session, key, err := parseSightingName(c.Key)
		if err != nil {
			return err
		}
		return s.publishedSightings(ctx, ` WHERE session_id = $1 AND sighting_key = $2`, []any{session, key},
			func(_ string, sighting *cowrie.Sighting) error {
				c.Sighting = sighting
				return nil
			})
	case cowrie.KindFile:
		return s.publishedFiles(ctx, ` WHERE f.shasum = $1`, []any{c.Key}, func(f *cowrie.PublishedFile) { c.File = f })
	case cowrie.KindVerdict:
		shasum, at, source, err := parseVerdictName(c.Key)
		if err != nil {
			return err
		}
		return s.publishedVerdicts(ctx, ` WHERE shasum = $1 AND observed_at = $2 AND source = $3`, []any{shasum, at, source},
			func(v *cowrie.PublishedVerdict) { c.Verdict = v })
	}
	return nil
}

// Scan returns things of a kind in order of their keys, those behind a key, no more
// than max and than a few megabytes, with the revision that was the last one before.
func (s *Store) Scan(ctx context.Context, kind, after string, max int) (list []*cowrie.Change, err error) {
	var revision int64
	if err := s.db.QueryRowContext(ctx, `SELECT revision FROM publishing`).Scan(&revision); err != nil {
		return nil, s.explain(err)
	}
	size := 0
	add := func(key string) *cowrie.Change {
		c := &cowrie.Change{Kind: kind, Key: key, Revision: revision}
		list = append(list, c)
		return c
	}
	switch kind {
	case cowrie.KindSighting:
		session, key := "", []byte{}
		if after != "" {
			if session, key, err = parseSightingName(after); err != nil {
				return nil, err
			}
		}
		err = s.publishedSightings(ctx, ` WHERE (session_id, sighting_key) > ($1, $2) ORDER BY session_id, sighting_key LIMIT $3`,
			[]any{session, key, max}, func(name string, sighting *cowrie.Sighting) error {
				c := add(name)
				c.Sighting = sighting
				if size += c.Size(); size > changesBytes {
					return errEnough
				}
				return nil
			})
		if err == errEnough {
			err = nil
		}
	case cowrie.KindFile:
		err = s.publishedFiles(ctx, ` WHERE f.shasum > $1 ORDER BY f.shasum LIMIT $2`, []any{after, max},
			func(f *cowrie.PublishedFile) { add(f.Shasum).File = f })
	case cowrie.KindVerdict:
		where, args := ` ORDER BY shasum, observed_at, source LIMIT $1`, []any{max}
		if after != "" {
			shasum, at, source, err := parseVerdictName(after)
			if err != nil {
				return nil, err
			}
			where, args = ` WHERE (shasum, observed_at, source) > ($1, $2, $3) ORDER BY shasum, observed_at, source LIMIT $4`, []any{shasum, at, source, max}
		}
		err = s.publishedVerdicts(ctx, where, args, func(v *cowrie.PublishedVerdict) {
			add(verdictName(v.Shasum, v.ObservedAt, v.Source)).Verdict = v
		})
	default:
		err = fmt.Errorf("nothing of the kind %q can be read", kind)
	}
	return list, err
}

// publishedSightings calls f for sightings, each with its name.
func (s *Store) publishedSightings(ctx context.Context, where string, args []any, f func(name string, sighting *cowrie.Sighting) error) error {
	return s.each(ctx, `SELECT sighting_key, shasum, session_id, sensor, src_ip, kind, seen_at, filename, destfile, download_url,
		outfile, duplicate FROM file_sightings`+where, args, func(scan func(...any) error) error {
		var key []byte
		var kept *string
		row := &cowrie.Sighting{}
		err := scan(&key, &row.Shasum, &row.Session, scanText{&row.Sensor}, scanText{&row.SrcIP}, &row.Kind, scanTime{&row.SeenAt},
			scanText{&row.Filename}, scanText{&row.Destfile}, scanText{&row.URL}, &kept, &row.Duplicate)
		if err != nil {
			return err
		}
		row.Outfile = outfile(kept, row.Shasum)
		return f(sightingName(row.Session, key), row)
	})
}

// publishedFiles calls f for files with what VirusTotal said of them last, where that
// is shown.
func (s *Store) publishedFiles(ctx context.Context, where string, args []any, f func(*cowrie.PublishedFile)) error {
	var list []*cowrie.PublishedFile
	err := s.each(ctx, `SELECT `+fileColumns+` FROM files f`+where, args, func(scan func(...any) error) error {
		file, err := scanFile(scan)
		if err == nil {
			list = append(list, &cowrie.PublishedFile{KnownFile: *file})
		}
		return err
	})
	for i := 0; err == nil && i < len(list); i++ {
		file := list[i]
		if file.VTCheckedAt != cowrie.NoTime {
			err = s.verdicts(ctx, verdictColumns+` v WHERE v.shasum = $1 AND `+ofVirusTotal+` AND known
				ORDER BY coalesce(analysed_at, observed_at) DESC, observed_at DESC, source LIMIT 1`, []any{file.Shasum},
				func(v *cowrie.Verdict) error {
					file.Verdict = v
					return nil
				})
		}
		if err == nil && file.Verdict != nil {
			file.TimesSubmitted, err = s.timesSubmitted(ctx, file.Verdict)
		}
		if err == nil {
			f(file)
		}
	}
	return err
}

// publishedVerdicts calls f for verdicts and what was said before.
func (s *Store) publishedVerdicts(ctx context.Context, where string, args []any, f func(*cowrie.PublishedVerdict)) error {
	var list []*cowrie.PublishedVerdict
	err := s.verdicts(ctx, verdictColumns+where, args, func(v *cowrie.Verdict) error {
		list = append(list, &cowrie.PublishedVerdict{Verdict: *v})
		return nil
	})
	for i := 0; err == nil && i < len(list); i++ {
		v := list[i]
		if v.Before, err = s.before(ctx, &v.Verdict); err == nil {
			if v.TimesSubmitted, err = s.timesSubmitted(ctx, &v.Verdict); err == nil {
				f(v)
			}
		}
	}
	return err
}

// timesSubmitted reads it in the answer behind a verdict, if that was kept.
func (s *Store) timesSubmitted(ctx context.Context, v *cowrie.Verdict) (*int64, error) {
	var packed []byte
	err := s.db.QueryRowContext(ctx, `SELECT coalesce(v.body, (SELECT b.body FROM file_verdicts b WHERE b.shasum = v.shasum AND b.id = v.body_of))
		FROM file_verdicts v WHERE v.shasum = $1 AND v.observed_at = $2 AND v.source = $3`,
		v.Shasum, v.ObservedAt.String(), v.Source).Scan(&packed)
	if err != nil || packed == nil {
		return nil, s.explain(err)
	}
	body, err := s.seal.dec.DecodeAll(packed, nil)
	if err != nil {
		return nil, fmt.Errorf("the verdict on %s of %s is damaged: %w", v.Shasum, v.ObservedAt, err)
	}
	return cowrie.TimesSubmitted(body), nil
}

// Published notes, in one transaction, what came of changes: what was answered leaves
// the outbox unless it has changed meanwhile, and what was refused is put there, with
// the reason. How far others were told is p, if that is not nil.
func (s *Store) Published(ctx context.Context, p *cowrie.Publishing, answers []cowrie.Answer) error {
	err := s.adding(ctx, func(a *appending) error {
		refused := a.insert("outbox", "kind", `"key"`, "revision", "problem")
		refused.tail = ` ON CONFLICT (kind, "key") DO UPDATE SET problem = excluded.problem WHERE outbox.revision <= excluded.revision`
		for i := range answers {
			r := &answers[i]
			if r.Problem != "" {
				refused.row(r.Kind, r.Key, r.Revision, r.Problem)
			} else {
				a.later(`DELETE FROM outbox WHERE kind = $1 AND "key" = $2 AND revision <= $3`, r.Kind, r.Key, r.Revision)
			}
		}
		refused.done()
		Reached("publish: before commit")
		if p == nil {
			return nil
		}
		return a.setPublishing(p)
	})
	if err == nil {
		Reached("publish: after commit")
	}
	return err
}

// Refused calls f for the changes that were refused.
func (s *Store) Refused(ctx context.Context, max int, f func(*cowrie.Refused) error) error {
	return s.each(ctx, `SELECT kind, "key", problem FROM outbox WHERE problem IS NOT NULL ORDER BY kind, "key"`+limit(max), nil,
		func(scan func(...any) error) error {
			r := &cowrie.Refused{}
			if err := scan(&r.Kind, &r.Key, &r.Problem); err != nil {
				return err
			}
			return f(r)
		})
}

// RetryRefused has all changes that were refused sent again.
func (s *Store) RetryRefused(ctx context.Context) (n int64, err error) {
	err = s.adding(ctx, func(a *appending) error {
		n, err = a.changed(`UPDATE outbox SET problem = NULL WHERE problem IS NOT NULL`)
		return err
	})
	return n, err
}

// InOutbox returns how many changes wait in the outbox, and how many were refused.
func (s *Store) InOutbox(ctx context.Context) (waiting, refused int64, err error) {
	err = s.db.QueryRowContext(ctx, `SELECT (SELECT count(*) FROM outbox WHERE problem IS NULL), (SELECT count(*) FROM outbox WHERE problem IS NOT NULL)`).
		Scan(&waiting, &refused)
	return waiting, refused, s.explain(err)
}
