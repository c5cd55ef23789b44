package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"midden/internal/cowrie"
)

// Dropped is what was dropped of the event log, or would be.
type Dropped struct {
	Segments, Events int64
	Bytes            int64       // that the segments take, compressed; 0 of what was dropped long ago
	Last             cowrie.Time // the latest of the events
}

// ErrRawEvents says that there are events which cowrieprocessor stored.
var ErrRawEvents = errors.New("cowrieprocessor's events are still in raw_events")

// segmentsAtOnce is how many segments are dropped in a transaction, where they are
// not dropped by month.
const segmentsAtOnce = 64

// ToDrop returns what Retain would drop.
func (s *Store) ToDrop(ctx context.Context, before cowrie.Time) (d Dropped, err error) {
	if err := s.noRawEvents(ctx); err != nil {
		return d, err
	}
	err = s.eachOf(ctx, s.db, weighSegments+`last_event_at < $1`, []any{bound(cowrie.Time.String, before)}, d.scan)
	return d, err
}

// weighSegments asks for what segments take that fit a condition.
const weighSegments = `SELECT count(*), coalesce(sum(event_count), 0), coalesce(sum(length(events)), 0), max(last_event_at) FROM event_segments WHERE `

func (d *Dropped) scan(scan func(...any) error) error {
	return scan(&d.Segments, &d.Events, &d.Bytes, scanTime{&d.Last})
}

func (s *Store) noRawEvents(ctx context.Context) error {
	last, err := s.LastRawEvent(ctx)
	if err == nil && last > 0 {
		err = ErrRawEvents
	}
	return err
}

// Retain drops the segments whose events are all older than a time; where there are
// months, a month at once. Sessions, files, sightings and verdicts stay, and it is noted
// where the events were: they count as known ever after. It calls f after each
// transaction, with what was dropped in it. It can be ended at any time.
func (s *Store) Retain(ctx context.Context, before cowrie.Time, f func(Dropped)) error {
	if err := s.noRawEvents(ctx); err != nil {
		return err
	}
	if s.engine.Ended != nil {
		months, err := s.engine.Ended(ctx, before)
		if err != nil {
			return s.explain(err)
		}
		for _, month := range months {
			if err := s.dropMonth(ctx, month, f); err != nil {
				return err
			}
		}
	}
	for {
		var ids []any
		err := s.each(ctx, `SELECT id FROM event_segments WHERE last_event_at < $1 ORDER BY last_event_at LIMIT $2`,
			[]any{bound(cowrie.Time.String, before), segmentsAtOnce}, func(scan func(...any) error) error {
				var id int64
				err := scan(&id)
				ids = append(ids, id)
				return err
			})
		if err != nil || len(ids) == 0 {
			return err
		}
		which := `id IN (` + placeholders(len(ids)) + `)`
		if err := s.drop(ctx, which, ids, f, func(tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, `DELETE FROM event_segments WHERE `+which, ids...)
			return err
		}); err != nil {
			return err
		}
	}
}

func (s *Store) dropMonth(ctx context.Context, month any, f func(Dropped)) error {
	err := s.drop(ctx, `month = ?`, []any{month}, f, func(tx *sql.Tx) error { return s.engine.DropMonth(ctx, tx, month) })
	if errors.Is(err, ErrLocked) {
		return fmt.Errorf("somebody has been reading events for long; what was dropped so far stays dropped, run it again: %w", err)
	}
	return err
}

// drop notes segments as dropped and drops them, in one transaction.
func (s *Store) drop(ctx context.Context, which string, args []any, f func(Dropped), drop func(*sql.Tx) error) error {
	var d Dropped
	err := s.inTx(ctx, func(tx *sql.Tx) error {
		if err := s.eachOf(ctx, tx, weighSegments+which, args, d.scan); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO dropped_segments (id, source_id, event_count, first_event_at, last_event_at, dropped_at)
			SELECT id, source_id, event_count, first_event_at, last_event_at, '`+cowrie.FromStd(time.Now()).String()+`' FROM event_segments WHERE `+which, args...)
		if err != nil {
			return err
		}
		Reached("retain: noted")
		return drop(tx)
	})
	if err == nil && d.Segments > 0 {
		f(d)
	}
	return err
}

// Dropped returns what was dropped of the events that a filter may fit. Of a session,
// or a file, it is those segments in which events of it stood, among others.
func (s *Store) Dropped(ctx context.Context, q EventFilter) (d Dropped, err error) {
	var where conditions
	switch {
	case q.Shasum != "":
		where.add("id IN (SELECT segment_id FROM file_sightings WHERE shasum = ?)", q.Shasum)
	case q.Session != "":
		_, set, err := s.session(ctx, q.Session)
		if err != nil || len(set) == 0 {
			return d, err
		}
		ranges := make([]string, len(set))
		args := make([]any, 0, 2*len(set))
		for i, r := range set {
			ranges[i] = "id BETWEEN ? AND ?"
			args = append(args, r[0], r[1])
		}
		where.add("("+strings.Join(ranges, " OR ")+")", args...)
	default:
		where.times("last_event_at", cowrie.Time.String, q.Since, cowrie.NoTime)
		where.times("first_event_at", cowrie.Time.String, cowrie.NoTime, q.Until)
	}
	err = s.db.QueryRowContext(ctx, `SELECT count(*), coalesce(sum(event_count), 0), max(last_event_at) FROM dropped_segments`+where.clause(),
		where.args...).Scan(&d.Segments, &d.Events, scanTime{&d.Last})
	return d, s.explain(err)
}

// isDropped reports whether a segment was dropped.
func (s *Store) isDropped(ctx context.Context, id int64) (bool, error) {
	return s.counts(ctx, `SELECT count(*) FROM dropped_segments WHERE id = $1`, id)
}

// droppedParts are what was dropped of sessions.
type droppedParts map[string]*droppedPart

// droppedPart is what was dropped of a session: its events between two times, and
// those that do not say when they were.
type droppedPart struct {
	spans       [][2]cowrie.Time // of the segments
	first, last cowrie.Time      // of the session
}

// add notes that a segment of a session was dropped.
func (p droppedParts) add(s *cowrie.Session, span *segmentSpan) {
	if p[s.ID] == nil {
		p[s.ID] = &droppedPart{first: s.First, last: s.Last}
	}
	p[s.ID].spans = append(p[s.ID].spans, [2]cowrie.Time{span.first, span.last})
}

// has reports whether an event is taken for one that was stored and dropped: of a
// session, some of whose events were dropped, and between two of its events in time.
// That nothing is counted twice matters more than an event that somebody might have held
// back until those around it were dropped.
func (p droppedParts) has(session string, text []byte) bool {
	part := p[session]
	if part == nil {
		return false
	}
	e, err := cowrie.Parse(text)
	if err != nil || e.Time == cowrie.NoTime {
		return true
	}
	if e.Time < part.first || e.Time > part.last {
		return false
	}
	for _, span := range part.spans {
		if e.Time >= span[0] && e.Time <= span[1] {
			return true
		}
	}
	return false
}
