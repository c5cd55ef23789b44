package store

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"strconv"
	"strings"

	"midden/internal/cowrie"
)

// View is the database as it is at one moment, for several goroutines that ask it at the
// same time while others write.
type View struct {
	s    *Store
	all  []*sql.Tx
	free chan *sql.Tx
}

// readers is how many can ask a view at the same time.
const readers = 2

// View returns the database as it is now. It is to be closed.
func (s *Store) View(ctx context.Context) (*View, error) {
	v := &View{s: s, free: make(chan *sql.Tx, readers)}
	// Nobody writes between the beginning of the first reader and that of the last. Who
	// may not write himself has one reader only.
	n := readers
	hold, err := s.db.BeginTx(ctx, nil)
	if err == nil {
		defer hold.Rollback()
	} else {
		n = 1
	}
	for range n {
		tx, err := s.engine.Scan.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
		if err != nil {
			v.Close()
			return nil, s.explain(err)
		}
		v.all = append(v.all, tx)
		// A reader sees the moment of its first question.
		var version string
		if err := tx.QueryRowContext(ctx, `SELECT value FROM schema_state WHERE "key" = 'schema_version'`).Scan(&version); err != nil {
			v.Close()
			return nil, s.explain(err)
		}
		v.free <- tx
	}
	return v, nil
}

// Readers returns how many can ask at the same time.
func (v *View) Readers() int { return len(v.all) }

// Close lets go of the view.
func (v *View) Close() {
	for _, tx := range v.all {
		tx.Rollback()
	}
}

// each calls f for each row of a query. It waits for a reader that is free: f must not
// ask the view for anything.
func (v *View) each(ctx context.Context, query string, args []any, f func(scan func(...any) error) error) error {
	tx := <-v.free
	defer func() { v.free <- tx }()
	return v.s.eachOf(ctx, tx, query, args, f)
}

// one reads the only row of a query.
func (v *View) one(ctx context.Context, query string, args []any, into ...any) error {
	return v.each(ctx, query, args, func(scan func(...any) error) error { return scan(into...) })
}

// within are the conditions for rows whose time is in a span, and whose sensor is its.
func within(column, sensor string, text func(cowrie.Time) string, span cowrie.Span) *conditions {
	var where conditions
	where.times(column, text, span.From, span.To)
	if span.Sensor != "" {
		where.add(sensor+" = ?", span.Sensor)
	}
	return &where
}

// SessionsOf calls f for those of some sessions that there are.
func (v *View) SessionsOf(ctx context.Context, ids []string, f func(*cowrie.Session) error) error {
	return v.s.inLists(anys(ids), func(list string, args []any) error {
		return v.each(ctx, `SELECT `+sessionColumns+` FROM session_summaries s WHERE s.session_id `+list, args,
			func(scan func(...any) error) error {
				s, _, _, err := scanSession(scan)
				if err != nil {
					return err
				}
				return f(s)
			})
	})
}

func anys(texts []string) []any {
	list := make([]any, len(texts))
	for i, s := range texts {
		list[i] = s
	}
	return list
}

// SensorDays calls f for what each sensor logged on each day of a span, but for its
// logins. It is valid until the next.
func (v *View) SensorDays(ctx context.Context, span cowrie.Span, f func(*cowrie.SensorDay) error) error {
	where := within("day", "sensor", dayText, span)
	return v.each(ctx, sensorDays+where.clause(), where.args, func(scan func(...any) error) error {
		d, err := scanSensorDay(scan)
		if err != nil {
			return err
		}
		return f(d)
	})
}

// LastEvents calls f with the last event of each sensor before a day.
func (v *View) LastEvents(ctx context.Context, day cowrie.Time, f func(sensor string, last cowrie.Time) error) error {
	var sensor string
	var last cowrie.Time
	return v.each(ctx, `SELECT sensor, max(last_event_at) FROM sensor_days WHERE day < $1 GROUP BY sensor`, []any{bound(dayText, day)},
		func(scan func(...any) error) error {
			if err := scan(&sensor, scanTime{&last}); err != nil {
				return err
			}
			return f(sensor, last)
		})
}

// Logins calls f for the logins of each sensor and day of a span. One is valid until the
// next.
func (v *View) Logins(ctx context.Context, span cowrie.Span, f func(*cowrie.Login) error) error {
	where := within("day", "sensor", dayText, span)
	l := &cowrie.Login{}
	into := []any{&l.Username, &l.Password, &l.Attempts, &l.Successes}
	return v.each(ctx, `SELECT username, password, attempts, successes FROM login_stats`+where.clause(), where.args,
		func(scan func(...any) error) error {
			if err := scan(into...); err != nil {
				return err
			}
			return f(l)
		})
}

// SumLogins returns how many logins there were on the days of a span.
func (v *View) SumLogins(ctx context.Context, span cowrie.Span) (attempts, successes int64, err error) {
	where := within("day", "sensor", dayText, span)
	err = v.one(ctx, `SELECT coalesce(sum(attempts), 0), coalesce(sum(successes), 0) FROM login_stats`+where.clause(), where.args,
		&attempts, &successes)
	return attempts, successes, err
}

// DayParts returns what the stored events of a span say that SensorDays tell of whole
// days.
func (v *View) DayParts(ctx context.Context, span cowrie.Span) (map[cowrie.DayKey]*cowrie.SensorDay, error) {
	tx := <-v.free
	defer func() { v.free <- tx }()
	return v.s.dayParts(ctx, tx, span)
}

// dayParts is View.DayParts, of what a transaction sees.
func (s *Store) dayParts(ctx context.Context, tx *sql.Tx, span cowrie.Span) (map[cowrie.DayKey]*cowrie.SensorDay, error) {
	var ids []int64
	err := s.eachOf(ctx, tx, `SELECT id FROM event_segments WHERE last_event_at >= $1 AND first_event_at < $2`,
		bounds(span), func(scan func(...any) error) error {
			var id int64
			err := scan(&id)
			ids = append(ids, id)
			return err
		})
	days := map[cowrie.DayKey]*cowrie.SensorDay{}
	for i := 0; err == nil && i < len(ids); i++ {
		err = s.addDayParts(ctx, tx, ids[i], span, days)
	}
	for key := range days {
		if span.Sensor != "" && key.Sensor != span.Sensor {
			delete(days, key)
		}
	}
	return days, err
}

func (s *Store) addDayParts(ctx context.Context, tx *sql.Tx, id int64, span cowrie.Span, days map[cowrie.DayKey]*cowrie.SensorDay) error {
	var seg sealed
	if err := tx.QueryRowContext(ctx, `SELECT text_size, checksum, events FROM event_segments WHERE id = $1`, id).
		Scan(&seg.size, &seg.checksum, &seg.blob); err != nil {
		return s.explain(err)
	}
	text, err := s.seal.open(id, &seg)
	if err != nil {
		return err
	}
	defer done(&text)
	// Where events do not name their sensor the loader was told it, and its sessions know.
	sensor := ""
	first, _, _ := bytes.Cut(text, []byte("\n"))
	if e, err := cowrie.Parse(first); err == nil && e.Sensor == "" {
		err := tx.QueryRowContext(ctx, `SELECT coalesce(sensor, '') FROM session_summaries WHERE session_id = $1`, e.Session).Scan(&sensor)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return s.explain(err)
		}
	}
	cowrie.DaysBetween(cowrie.Lines{Data: text}, sensor, span.From, span.To, days)
	return nil
}

// thatCount are the sightings that reports count: those of events, and on disk of files
// of which no event speaks.
const thatCount = `(x.kind <> 'disk' OR x.shasum IN (SELECT shasum FROM files WHERE disk_only))`

// Seen calls f for the sightings of a span. One is valid until the next.
func (v *View) Seen(ctx context.Context, span cowrie.Span, f func(*cowrie.Sighting) error) error {
	where := within("x.seen_at", "x.sensor", cowrie.Time.String, span)
	where.add(thatCount)
	s := &cowrie.Sighting{}
	// There may be millions, and SQLite takes as long to hand over a column as to find a row: what
	// is never NULL comes as one text.
	var text string
	into := []any{&text, scanTime{&s.SeenAt}, scanText{&s.Filename}, scanText{&s.Destfile}, scanText{&s.URL}}
	return v.each(ctx, `SELECT x.kind || ' ' || x.shasum || ' ' || x.session_id, x.seen_at, x.filename, x.destfile, x.download_url
		FROM file_sightings x`+where.clause(), where.args, func(scan func(...any) error) error {
		if err := scan(into...); err != nil {
			return err
		}
		kind, rest, _ := strings.Cut(text, " ")
		s.Kind = cowrie.Kind(kind)
		s.Shasum, s.Session, _ = strings.Cut(rest, " ")
		return f(s)
	})
}

// CountSeen calls f with how often each file was seen in a span, of each kind.
func (v *View) CountSeen(ctx context.Context, span cowrie.Span, f func(shasum string, kind cowrie.Kind, n int64) error) error {
	where := within("x.seen_at", "x.sensor", cowrie.Time.String, span)
	where.add(thatCount)
	var shasum, kind string
	var n int64
	return v.each(ctx, `SELECT x.shasum, x.kind, count(*) FROM file_sightings x`+where.clause()+` GROUP BY x.shasum, x.kind`, where.args,
		func(scan func(...any) error) error {
			if err := scan(&shasum, &kind, &n); err != nil {
				return err
			}
			return f(shasum, cowrie.Kind(kind), n)
		})
}

// SightingsOf calls f for the sightings of some sessions. One is valid until the next.
func (v *View) SightingsOf(ctx context.Context, sessions []string, f func(*cowrie.Sighting) error) error {
	s := &cowrie.Sighting{}
	return v.s.inLists(anys(sessions), func(list string, args []any) error {
		return v.each(ctx, `SELECT session_id, shasum, seen_at FROM file_sightings WHERE session_id `+list, args,
			func(scan func(...any) error) error {
				if err := scan(&s.Session, &s.Shasum, scanTime{&s.SeenAt}); err != nil {
					return err
				}
				return f(s)
			})
	})
}

// seenFiles are the files that can have been seen in a span, and some others: parameters
// $1 and $2.
const seenFiles = `FROM files WHERE last_seen >= $1 AND first_seen < $2`

// SeenFiles calls f for the files that were seen in a span, and some others.
func (v *View) SeenFiles(ctx context.Context, span cowrie.Span, f func(*cowrie.SeenFile) error) error {
	return v.files(ctx, seenFiles, bounds(span), f)
}

// FilesOf calls f for those of some files that there are, and that a sensor saw; "" is any.
func (v *View) FilesOf(ctx context.Context, shasums []string, sensor string, f func(*cowrie.SeenFile) error) error {
	return v.s.inLists(anys(shasums), func(list string, args []any) error {
		clause := `FROM files WHERE shasum ` + list
		if sensor != "" {
			clause += ` AND EXISTS (SELECT 1 FROM file_sightings x WHERE x.shasum = files.shasum AND x.sensor = ?)`
			args = append(args, sensor)
		}
		return v.files(ctx, clause, args, f)
	})
}

func (v *View) files(ctx context.Context, clause string, args []any, f func(*cowrie.SeenFile) error) error {
	return v.each(ctx, `SELECT shasum, coalesce(filename, ''), coalesce(mime_type, ''), file_size, first_seen `+clause, args,
		func(scan func(...any) error) error {
			file := &cowrie.SeenFile{}
			if err := scan(&file.Shasum, &file.Name, &file.Type, &file.Size, scanTime{&file.First}); err != nil {
				return err
			}
			return f(file)
		})
}

// Verdicts calls f for what VirusTotal said, before the end of a span, of the files that
// were seen in it, some others, and those of which it said something in it: file by file, in
// order of time. While enrichment is in the shadow that is nothing.
func (v *View) Verdicts(ctx context.Context, span cowrie.Span, f func(*cowrie.Verdict) error) error {
	if shadow, err := v.Shadow(ctx); err != nil || shadow {
		return err
	}
	return v.each(ctx, `SELECT v.shasum, v.source, v.observed_at, v.known, v.analysed_at, v.first_submission_at,
		coalesce(v.malicious, -1), coalesce(v.total, -1), coalesce(v.classification, '') FROM file_verdicts v
		WHERE v.observed_at < $2 AND `+ofVirusTotal+` AND v.shasum IN (SELECT shasum `+seenFiles+`
			UNION SELECT shasum FROM file_verdicts WHERE observed_at >= $1 AND observed_at < $2)
		ORDER BY v.shasum, v.observed_at, v.source`, bounds(span),
		func(scan func(...any) error) error {
			verdict := cowrie.NewVerdict("", "", cowrie.NoTime)
			if err := scan(&verdict.Shasum, &verdict.Source, scanTime{&verdict.ObservedAt}, &verdict.Listed, scanTime{&verdict.AnalysedAt},
				scanTime{&verdict.FirstSubmission}, &verdict.Malicious, &verdict.Total, &verdict.Classification); err != nil {
				return err
			}
			return f(&verdict)
		})
}

// FailedLookups calls f for each file of which VirusTotal could not be asked, up to a
// time.
func (v *View) FailedLookups(ctx context.Context, until cowrie.Time, f func(shasum string) error) error {
	var shasum string
	return v.each(ctx, `SELECT shasum FROM lookups WHERE source = $1 AND (failures > 0 OR state IN ('failed', 'dropped'))
		AND state <> 'dropped' AND updated_at <= $2`, []any{cowrie.SourceVirusTotal, bound(cowrie.Time.String, until)}, func(scan func(...any) error) error {
		if err := scan(&shasum); err != nil {
			return err
		}
		return f(shasum)
	})
}

// Shadow reports whether enrichment is in the shadow, where reports do not see it.
func (v *View) Shadow(ctx context.Context) (shadow bool, err error) {
	err = v.one(ctx, `SELECT EXISTS (SELECT 1 FROM schema_state WHERE "key" = $1)`, []any{shadowKey}, &shadow)
	return shadow, err
}

// RawLeft returns about how many events are in raw_events alone, where nothing was counted.
func (v *View) RawLeft(ctx context.Context) (n int64, err error) {
	if v.s.engine.Raw == nil {
		return 0, nil
	}
	err = v.one(ctx, `SELECT max(0, coalesce(max(id), 0) - (SELECT coalesce(max(position), 0) FROM maintenance
		WHERE job = '`+movedKey+`')) FROM raw_events`, nil, &n)
	return n, err
}

// SessionSums calls f for each sensor of a day, or for one, with what its sessions add up to, in
// pieces. It reports false if that is not kept.
func (v *View) SessionSums(ctx context.Context, day cowrie.DayKey, f func(sensor string, pieces [][]byte) error) (kept bool, err error) {
	return v.s.keptSums(ctx, v.each, day, f)
}

// CountSessions returns what the sessions of each sensor add up to that began in a span, packed.
func (v *View) CountSessions(ctx context.Context, span cowrie.Span) (map[string][]byte, error) {
	return countSessions(ctx, v.each, span)
}

// Busiest calls f for the sessions with the most commands of those that began in a span and ran
// more than so many, at the most limit of them.
func (v *View) Busiest(ctx context.Context, span cowrie.Span, more int64, limit int, f func(id string, commands int64) error) error {
	where := within("first_event_at", "sensor", cowrie.Time.SQL, span)
	// By these words the database knows that the index of busy sessions will do.
	where.add(`command_count >= ` + strconv.Itoa(cowrie.ManyCommands))
	where.add(`command_count > ?`, more)
	var id string
	var n int64
	return v.each(ctx, `SELECT session_id, command_count FROM session_summaries`+where.clause()+
		` ORDER BY command_count DESC, session_id LIMIT `+strconv.Itoa(limit), where.args, func(scan func(...any) error) error {
		if err := scan(&id, &n); err != nil {
			return err
		}
		return f(id, n)
	})
}
