package store

import (
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"

	"midden/internal/cowrie"
)

// EventFilter says which events. The zero value of a field asks for nothing.
type EventFilter struct {
	Since, Until cowrie.Time // NoTime asks for nothing
	Session      string
	Type         string // the eventid; it may end in *
	Sensor       string
	Shasum       string // only events of sightings of this file
}

// Event is a stored event.
type Event struct {
	cowrie.Event
	Text    []byte // the line, exactly; valid until the next one
	Segment int64
	Index   int   // its place in the segment
	Raw     int64 // if it stands in raw_events: its id; then it is in no segment
}

// Events calls f for each event that fits: those of a session in order of
// time, those of a file in order of sighting, all others in the order in which
// they were stored; what cowrieprocessor left behind comes last. What was dropped
// is left out: Dropped tells of it.
func (s *Store) Events(ctx context.Context, q EventFilter, f func(*Event) error) error {
	switch {
	case q.Shasum != "":
		return s.eventsOfFile(ctx, q, f)
	case q.Session != "":
		return s.eventsOfSession(ctx, q, f)
	}
	// Without a filter nothing needs to be understood.
	whole := q == EventFilter{Since: cowrie.NoTime, Until: cowrie.NoTime}
	var where conditions
	where.times("last_event_at", cowrie.Time.String, q.Since, cowrie.NoTime)
	where.times("first_event_at", cowrie.Time.String, cowrie.NoTime, q.Until)
	after := int64(0)
	for {
		page := where
		page.add("id > ?", after)
		var ids []int64
		err := s.each(ctx, `SELECT id FROM event_segments`+page.clause()+` ORDER BY id LIMIT 1000`, page.args,
			func(scan func(...any) error) error {
				err := scan(&after)
				ids = append(ids, after)
				return err
			})
		if err != nil {
			return err
		}
		if len(ids) == 0 {
			return s.rawEventsThat(ctx, q, f)
		}
		for _, id := range ids {
			text, err := s.segment(ctx, id)
			if err == nil {
				err = q.eventsIn(id, text, whole, f)
			}
			done(&text)
			if err != nil {
				return err
			}
		}
	}
}

// eventsIn calls f for each event of a segment that fits; for all of them if that is
// what is asked for.
func (q *EventFilter) eventsIn(id int64, text []byte, all bool, f func(*Event) error) error {
	session := []byte(strings.TrimSuffix(q.Session, "…")) // it may have been cut
	return eachLine(text, func(index int, line []byte) (err error) {
		e := &Event{Text: line, Segment: id, Index: index}
		if !all {
			// Where nothing is escaped a session's id stands as it is.
			if !bytes.Contains(line, session) && bytes.IndexByte(line, '\\') < 0 {
				return nil
			}
			if e.Event, err = cowrie.Parse(line); err != nil {
				return fmt.Errorf("event %d of segment %d: %w", index, id, err)
			}
			if !q.fits(&e.Event) {
				return nil
			}
		}
		return f(e)
	})
}

func (q *EventFilter) fits(e *cowrie.Event) bool {
	switch {
	case q.Session != "" && e.Session != q.Session,
		q.Sensor != "" && e.Sensor != q.Sensor,
		q.Since != cowrie.NoTime && e.Time < q.Since,
		q.Until != cowrie.NoTime && (e.Time >= q.Until || e.Time == cowrie.NoTime):
		return false
	case q.Type == "":
		return true
	}
	if prefix, ok := strings.CutSuffix(q.Type, "*"); ok {
		return strings.HasPrefix(e.ID, prefix)
	}
	return e.ID == q.Type
}

func (s *Store) eventsOfSession(ctx context.Context, q EventFilter, f func(*Event) error) error {
	session, set, err := s.session(ctx, q.Session)
	if err != nil {
		return err
	}
	var events []*Event
	err = set.each(func(id int64) error {
		text, err := s.segmentOf(ctx, id, session.First, session.Last)
		if err != nil {
			return err
		}
		defer done(&text)
		return q.eventsIn(id, text, false, func(e *Event) error {
			events = append(events, e)
			return nil
		})
	})
	if err != nil {
		return err
	}
	err = s.rawEventsThat(ctx, q, func(e *Event) error {
		e.Text = bytes.Clone(e.Text)
		events = append(events, e)
		return nil
	})
	if err != nil {
		return err
	}
	slices.SortStableFunc(events, func(a, b *Event) int { return cmp.Compare(a.Time, b.Time) })
	for _, e := range events {
		if err := f(e); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) eventsOfFile(ctx context.Context, q EventFilter, f func(*Event) error) error {
	type place struct {
		segment int64
		index   int
		raw     int64
		at      cowrie.Time
	}
	var places []place
	err := s.Sightings(ctx, q.Shasum, q.Session, 0, func(row *Sighting) error {
		if row.SegmentID != 0 || row.RawEventID != 0 {
			places = append(places, place{row.SegmentID, row.Event, row.RawEventID, row.SeenAt})
		}
		return nil
	})
	if err != nil {
		return err
	}
	var cache segmentCache
	for _, p := range places {
		if p.raw != 0 {
			if err := s.rawEvent(ctx, p.raw, q, f); err != nil {
				return err
			}
			continue
		}
		text := cache.get(p.segment)
		if text == nil {
			if text, err = s.segmentOf(ctx, p.segment, p.at, p.at); err != nil {
				return err
			}
			if text == nil {
				continue
			}
			cache.put(p.segment, text)
		}
		err := eachLine(text, func(index int, line []byte) error {
			if index != p.index {
				return nil
			}
			e, err := cowrie.Parse(line)
			if err != nil {
				return fmt.Errorf("event %d of segment %d: %w", index, p.segment, err)
			}
			if !q.fits(&e) {
				return nil
			}
			return f(&Event{Event: e, Text: line, Segment: p.segment, Index: index})
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// segmentOf is segment, of events between two times. It mostly stands under the month of
// these, and need not be looked for in others.
func (s *Store) segmentOf(ctx context.Context, id int64, first, last cowrie.Time) ([]byte, error) {
	if s.engine.Month != nil {
		text, found, err := s.textOf(ctx, s.each, id, ` AND month BETWEEN $2 AND $3`, s.engine.Month(first), s.engine.Month(last))
		if err != nil || found {
			return text, err
		}
	}
	return s.segment(ctx, id)
}

// segment returns the text of a segment, checked against its checksum; nil if it was
// dropped.
func (s *Store) segment(ctx context.Context, id int64) ([]byte, error) {
	text, found, err := s.textOf(ctx, s.each, id, "")
	if err != nil || found {
		return text, err
	}
	dropped, err := s.isDropped(ctx, id)
	if err == nil && !dropped {
		err = fmt.Errorf("%w: event segment %d is gone", ErrNotFound, id)
	}
	return nil, err
}

// textOf returns the text of a segment, if there is one that fits a further condition.
func (s *Store) textOf(ctx context.Context, ask asking, id int64, condition string, args ...any) (text []byte, found bool, err error) {
	err = ask(ctx, `SELECT text_size, checksum, events FROM event_segments WHERE id = $1`+condition, append([]any{id}, args...), func(scan func(...any) error) error {
		found = true
		var seg sealed
		if err := scan(&seg.size, &seg.checksum, (*sql.RawBytes)(&seg.blob)); err != nil {
			return err
		}
		text, err = s.seal.open(id, &seg)
		return err
	})
	return text, found, err
}
