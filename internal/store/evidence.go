package store

import (
	"context"
	"errors"
	"slices"

	"midden/internal/cowrie"
)

// evidence looks for events in segments. It remembers what stands in the last
// ones that it looked into: who asks for one event of a log asks for the next.
type evidence struct {
	segments map[int64]*standing
	order    []int64 // of the segments, the latest last
}

// standing is what stands in a segment.
type standing struct {
	events, alike map[identity]bool
}

// maxEvidence is how many segments are remembered.
const maxEvidence = 32

// IsStored reports whether a raw event stands somewhere else: in a segment, as
// it is or as the log had it, or as a dead letter. It is not to be called by
// several goroutines.
func (s *Store) IsStored(ctx context.Context, payload []byte) (bool, error) {
	whole := payload
	payload = cowrie.Trim(payload)
	e, err := cowrie.Parse(payload)
	if err != nil {
		return s.counts(ctx, `SELECT count(*) FROM dead_letter_events WHERE digest = $1`, payloadDigest(whole))
	}
	id, like := cowrie.Identity(payload), cowrie.Likeness(payload)
	if e.Session == "" {
		return s.counts(ctx, `SELECT count(*) FROM sessionless_events WHERE digest = $1`, id[:])
	}
	_, set, err := s.session(ctx, e.Session)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	for _, r := range set {
		var ids []int64
		err := s.each(ctx, `SELECT id FROM event_segments WHERE id BETWEEN $1 AND $2
			AND ($3 OR first_event_at IS NULL OR first_event_at <= $4 AND last_event_at >= $4)`,
			[]any{r[0], r[1], e.Time == cowrie.NoTime, timeText(e.Time)}, func(scan func(...any) error) error {
				var n int64
				err := scan(&n)
				ids = append(ids, n)
				return err
			})
		if err != nil {
			return false, err
		}
		for _, n := range ids {
			in, err := s.standingIn(ctx, n)
			if err != nil {
				return false, err
			}
			if in.events[id] || in.alike[like] {
				return true, nil
			}
		}
	}
	return false, nil
}

func (s *Store) counts(ctx context.Context, query string, arg any) (bool, error) {
	var n int64
	err := s.db.QueryRowContext(ctx, query, arg).Scan(&n)
	return n > 0, s.explain(err)
}

// standingIn returns what stands in a segment.
func (s *Store) standingIn(ctx context.Context, segment int64) (*standing, error) {
	ev := &s.evidence
	if in := ev.segments[segment]; in != nil {
		return in, nil
	}
	text, err := s.segment(ctx, segment)
	if err != nil {
		return nil, err
	}
	var foreign bool
	if err := s.db.QueryRowContext(ctx, `SELECT origins IS NOT NULL FROM event_segments WHERE id = $1`, segment).Scan(&foreign); err != nil {
		return nil, s.explain(err)
	}
	in := &standing{map[identity]bool{}, map[identity]bool{}}
	eachLine(text, func(_ int, line []byte) error {
		in.events[cowrie.Identity(line)] = true
		if !foreign { // the log's text, of which this is a copy
			in.alike[cowrie.Likeness(line)] = true
		}
		return nil
	})
	if len(ev.order) >= maxEvidence {
		delete(ev.segments, ev.order[0])
		ev.order = slices.Delete(ev.order, 0, 1)
	}
	if ev.segments == nil {
		ev.segments = map[int64]*standing{}
	}
	ev.segments[segment] = in
	ev.order = append(ev.order, segment)
	return in, nil
}
