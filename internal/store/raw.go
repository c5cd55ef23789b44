package store

import (
	"context"
	"database/sql"
	"strings"

	"midden/internal/cowrie"
)

// Raw says how the raw events of a database that was taken over are found.
type Raw struct {
	ByType  bool   // there is an index on event_type
	Session string // the expression of an event's session on which there is an index
	Time    string // the expression of its timestamp, the same if it can be
	// Generation is the expression of how often the log had been begun anew.
	Generation string
}

// HasRawEvents reports whether there is a table of raw events at all.
func (s *Store) HasRawEvents() bool { return s.engine.Raw != nil }

// LastRawEvent returns the highest id of a raw event; 0 if there is none.
func (s *Store) LastRawEvent(ctx context.Context) (id int64, err error) {
	if s.engine.Raw == nil {
		return 0, nil
	}
	err = s.db.QueryRowContext(ctx, `SELECT coalesce(max(id), 0) FROM raw_events`).Scan(&id)
	return id, s.explain(err)
}

// fileEventQuery asks for the events of files among a range of ids, in order
// of id: for each type in turn by the index, merged. What has no type at all is
// looked at, too.
var fileEventQuery = func() string {
	var parts []string
	for _, id := range cowrie.FileEvents {
		parts = append(parts, `SELECT id, payload FROM raw_events WHERE event_type = '`+id+`' AND id > ?1 AND id <= ?2`)
	}
	parts = append(parts, `SELECT id, payload FROM raw_events WHERE event_type IS NULL AND id > ?1 AND id <= ?2`)
	return strings.Join(parts, " UNION ALL ") + ` ORDER BY 1`
}()

// FileEvents calls f, in order of id, for the raw events with after < id <=
// through that can say something of files. If there is no index by which they
// are found, that is all of them.
func (s *Store) FileEvents(ctx context.Context, after, through int64, f func(*cowrie.RawEvent) error) error {
	query := fileEventQuery
	if !s.engine.Raw.ByType {
		query = `SELECT id, payload FROM raw_events WHERE id > ?1 AND id <= ?2 ORDER BY id`
	}
	e := &cowrie.RawEvent{}
	return s.scan(ctx, query, []any{after, through}, func(scan func(...any) error) error {
		if err := scan(&e.ID, (*sql.RawBytes)(&e.Payload)); err != nil {
			return err
		}
		return f(e)
	})
}

// RawEvents calls f for each raw event with after < id <= through, in order of id.
func (s *Store) RawEvents(ctx context.Context, after, through int64, f func(*cowrie.RawEvent) error) error {
	e := &cowrie.RawEvent{}
	return s.scan(ctx, `SELECT id, payload, source, source_inode, `+s.engine.Raw.Generation+`, coalesce(source_offset, -1) FROM raw_events
		WHERE id > ?1 AND id <= ?2 ORDER BY id`, []any{after, through}, func(scan func(...any) error) error {
		if err := scan(&e.ID, (*sql.RawBytes)(&e.Payload), scanText{&e.Source}, scanText{&e.Inode}, &e.Generation, &e.Line); err != nil {
			return err
		}
		defer done(&e.Payload)
		return f(e)
	})
}

// CountFileEvents returns how many raw events of files there are behind an id,
// and about how many bytes each has. Where there is no index the answer is
// reckoned: all raw events are read then.
func (s *Store) CountFileEvents(ctx context.Context, after int64) (rows, bytesEach int64, err error) {
	if s.engine.Raw == nil {
		return 0, 0, nil
	}
	count, sample := `SELECT max(id) - ?1 FROM raw_events`, `SELECT id FROM raw_events WHERE id > ?1`
	if s.engine.Raw.ByType {
		where := ` FROM raw_events WHERE event_type IN ('` + strings.Join(cowrie.FileEvents, "', '") + `') AND id > ?1`
		count, sample = `SELECT count(*)`+where, `SELECT id`+where
	}
	var n sql.NullInt64
	if err = s.engine.Scan.QueryRowContext(ctx, count, after).Scan(&n); err != nil || n.Int64 <= 0 {
		return 0, 0, s.explain(err)
	}
	// The mean over some hundred rows from the beginning and the end.
	var mean sql.NullFloat64
	err = s.engine.Scan.QueryRowContext(ctx, `SELECT avg(length(payload)) FROM raw_events WHERE id IN
		(SELECT * FROM (`+sample+` ORDER BY id LIMIT 200)) OR id IN
		(SELECT * FROM (`+sample+` ORDER BY id DESC LIMIT 200))`, after).Scan(&mean)
	return n.Int64, int64(mean.Float64), s.explain(err)
}

// movedKey is the job that moves raw events into segments. Those up to its
// position are in segments: where they still stand in raw_events, too, they do
// not count any more.
const movedKey = "compact"

// eachRaw calls f for the raw events that fit a condition and a filter and are
// not moved. What is no event is left out; the backfill has counted it.
func (s *Store) eachRaw(ctx context.Context, where conditions, order string, q EventFilter, f func(*Event) error) error {
	where.add(`id > (SELECT coalesce(max(position), 0) FROM maintenance WHERE job = '` + movedKey + `')`)
	return s.each(ctx, `SELECT id, payload FROM raw_events`+where.clause()+` ORDER BY `+order, where.args,
		func(scan func(...any) error) error {
			e := &Event{}
			var payload sql.RawBytes
			if err := scan(&e.Raw, &payload); err != nil {
				return err
			}
			payload = cowrie.Trim(payload)
			var err error
			if e.Event, err = cowrie.Parse(payload); err != nil || !q.fits(&e.Event) {
				return nil
			}
			e.Text = oneLine(payload)
			return f(e)
		})
}

// rawEventsThat calls f for each raw event that fits a filter.
func (s *Store) rawEventsThat(ctx context.Context, q EventFilter, f func(*Event) error) error {
	if s.engine.Raw == nil {
		return nil
	}
	var where conditions
	order := "id"
	switch {
	case q.Session != "":
		where.add(s.engine.Raw.Session+" = ?", q.Session)
	case q.Since != cowrie.NoTime || q.Until != cowrie.NoTime:
		// Whatever its form and its zone, a time begins with a date that is no
		// more than a day off.
		if q.Since != cowrie.NoTime {
			where.add(s.engine.Raw.Time+" >= ?", bound(dayText, q.Since-cowrie.DayLength))
		}
		if q.Until != cowrie.NoTime {
			where.add(s.engine.Raw.Time+" < ?", bound(dayText, q.Until+2*cowrie.DayLength))
		}
		order = s.engine.Raw.Time + ", id"
	case q.Type != "" && !strings.HasSuffix(q.Type, "*") && s.engine.Raw.ByType:
		where.add("event_type = ?", q.Type)
	}
	return s.eachRaw(ctx, where, order, q, f)
}

// rawEvent calls f for one raw event, if it fits.
func (s *Store) rawEvent(ctx context.Context, id int64, q EventFilter, f func(*Event) error) error {
	var where conditions
	where.add("id = ?", id)
	return s.eachRaw(ctx, where, "id", q, f)
}

// oneLine returns a payload as a line; it nearly always is one.
func oneLine(payload []byte) []byte {
	for _, c := range payload {
		if c == '\n' {
			return cowrie.Compact(nil, payload)
		}
	}
	return payload
}
