package store

import (
	"database/sql"
	"maps"
	"slices"
	"strconv"
	"strings"

	"midden/internal/cowrie"
)

// What appending asks of the raw events that cowrieprocessor left. Its rows of
// sessions count what was loaded twice twice, and know little of what midden
// knows of a session; so as soon as an event is added to one of them, it is made
// anew out of all of its events.

// takenOver reports whether there may be events that cowrieprocessor had before,
// as raw events or in segments.
func (a *appending) takenOver() (bool, error) {
	if a.old == nil {
		var old bool
		if err := a.row(`SELECT EXISTS (SELECT 1 FROM schema_state WHERE "key" = $1)`, []any{TakenOverKey}, &old); err != nil {
			return false, err
		}
		a.old = &old
	}
	return *a.old, nil
}

// anyRaw reports whether there are raw events.
func (a *appending) anyRaw() (bool, error) {
	if a.s.engine.Raw == nil {
		return false, nil
	}
	if a.raw == nil {
		exists, err := a.s.oldAtWork(a.ctx, a.ask)
		if err != nil {
			return false, err
		}
		if err := a.row(`SELECT coalesce(max(position), 0) FROM maintenance WHERE job = '`+movedKey+`'`, nil, &a.moved); err != nil {
			return false, err
		}
		a.raw = &exists
	}
	return *a.raw, nil
}

// sessionsWithRaw adds those sessions of g that have raw events.
func (a *appending) sessionsWithRaw(g *cowrie.Gathered, into map[string]bool) error {
	if any, err := a.anyRaw(); err != nil || !any || a.moving {
		return err
	}
	var ids []any
	for id := range g.Sessions {
		switch {
		case into[id]:
		case isClipped(id):
			has, err := a.hasRaw(id)
			if err != nil {
				return err
			}
			into[id] = has
		default:
			ids = append(ids, id)
		}
	}
	return padded(ids, func(args []any) error {
		return a.each(`SELECT column1 FROM (VALUES `+listOfRows+`) WHERE EXISTS
			(SELECT 1 FROM raw_events WHERE `+a.s.engine.Raw.Session+` = column1)`, args, func(scan func(...any) error) error {
			var id string
			if err := scan(&id); err != nil {
				return err
			}
			into[id] = true
			return nil
		})
	})
}

var listOfRows = strings.Repeat("(?), ", listSize-1) + "(?)"

// isClipped reports whether raw events know a session under another id: one that
// is longer than midden's columns, or that ends where SQLite found a NUL in it.
func isClipped(session string) bool {
	return len(session) > 100 && strings.HasSuffix(session, "…") || strings.ContainsRune(session, 0)
}

// rawOf is the condition for raw events of a session, and its parameters.
func (a *appending) rawOf(session string) (where string, args []any) {
	expr := a.s.engine.Raw.Session
	session, _, _ = strings.Cut(session, "\x00")
	if begin, clipped := strings.CutSuffix(session, "…"); clipped && len(session) > 100 {
		return expr + " >= $1 AND " + expr + " < $2", []any{begin, begin + "\U0010ffff"}
	}
	return expr + " = $1", []any{session}
}

// eachRaw calls f for the raw events of a session that are not in segments.
func (a *appending) eachRaw(session string, f func(text []byte) error) error {
	if any, err := a.anyRaw(); err != nil || !any {
		return err
	}
	where, args := a.rawOf(session)
	var text sql.RawBytes
	return a.each(`SELECT payload FROM raw_events WHERE `+where+` AND id > `+strconv.FormatInt(a.moved, 10), args, func(scan func(...any) error) error {
		if err := scan(&text); err != nil {
			return err
		}
		trimmed := cowrie.Trim(text)
		if isClipped(session) {
			if e, err := cowrie.Parse(trimmed); err != nil || e.Session != session {
				return nil
			}
		}
		return f(trimmed)
	})
}

// hasRaw reports whether a session has raw events that are not in segments.
func (a *appending) hasRaw(session string) (has bool, err error) {
	if any, err := a.anyRaw(); err != nil || !any {
		return false, err
	}
	where, args := a.rawOf(session)
	err = a.row(`SELECT EXISTS (SELECT 1 FROM raw_events WHERE `+where+` AND id > `+strconv.FormatInt(a.moved, 10)+`)`, args, &has)
	return has, err
}

// rawSessionless returns how many raw events are an event without a session.
func (a *appending) rawSessionless(e *cowrie.Sessionless) (n int, err error) {
	if any, err := a.anyRaw(); err != nil || !any || a.moving {
		return 0, err
	}
	// Of a damaged row, which the index knows without a time, SQLite can compute
	// no column: nothing but the payload is asked for.
	where := a.s.engine.Raw.Time + ` IS $1`
	if e.Timestamp == "" {
		where = `(` + where + ` OR ` + a.s.engine.Raw.Time + ` = '')`
	}
	var text sql.RawBytes
	err = a.each(`SELECT payload FROM raw_events WHERE `+where, []any{orNull(e.Timestamp)}, func(scan func(...any) error) error {
		if err := scan(&text); err != nil {
			return err
		}
		if cowrie.Identity(cowrie.Trim(text)) == e.Digest {
			n++
		}
		return nil
	})
	return n, err
}

// derive makes the row of a session anew, if it has raw events, out of those
// and of its events in segments. Of the segment that is being written the
// events from place base on are left out: they are still to be added.
func (a *appending) derive(row *sessionRow, segment int64, base int) error {
	if !row.known || row.derived {
		return nil
	}
	if raw, err := a.hasRaw(row.session.ID); err != nil || !raw {
		return err
	}
	id := row.session.ID
	return a.gatherSessions(map[string]*sessionEvents{id: newSessionEvents(id)}, segment, base)
}

// gatherSessions makes rows of sessions anew out of some events, those in their
// segments, and their raw events. Of one segment the events from place base on
// are left out.
func (a *appending) gatherSessions(all map[string]*sessionEvents, segment int64, base int) error {
	segments := map[int64]bool{}
	for id := range all {
		a.sessions[id].segments.each(func(n int64) error {
			segments[n] = true
			return nil
		})
	}
	for _, n := range slices.Sorted(maps.Keys(segments)) {
		var foreign bool
		if err := a.row(`SELECT origins IS NOT NULL FROM event_segments WHERE id = $1`, []any{n}, &foreign); err != nil {
			return err
		}
		text, err := a.text(n)
		if err != nil {
			return err
		}
		err = eachEventOf(text, func(session string, index int, line []byte) {
			if e := all[session]; e != nil && (n != segment || index < base) {
				e.addStored(line, foreign)
			}
		})
		if err != nil {
			return err
		}
	}
	for _, id := range sortedKeys(all) {
		e, row := all[id], a.sessions[id]
		if err := a.eachRaw(id, func(text []byte) error {
			e.addRaw(text)
			return nil
		}); err != nil {
			return err
		}
		if s := e.session(row.session.Sensor); s != nil {
			row.session, row.derived = s, true
		}
	}
	return nil
}

// eachEventOf calls f for each event of a segment's text, with its session.
func eachEventOf(text []byte, f func(session string, index int, line []byte)) error {
	return eachLine(text, func(index int, line []byte) error {
		e, err := cowrie.Parse(line)
		if err == nil {
			f(e.Session, index, line)
		}
		return err
	})
}

// sessionEvents adds up all events of a session, each once. It holds about
// portionBytes of their text at a time.
type sessionEvents struct {
	id            string
	data          []byte
	ends          []int
	stored, alike map[identity]bool
	sum           *cowrie.Session
}

const portionBytes = 1 << 20

func newSessionEvents(id string) *sessionEvents {
	return &sessionEvents{id: id, stored: map[identity]bool{}, alike: map[identity]bool{}}
}

// addStored adds a line of a segment. foreign tells that cowrieprocessor had it
// before.
func (e *sessionEvents) addStored(line []byte, foreign bool) {
	e.stored[cowrie.Identity(line)] = true
	if !foreign {
		e.alike[cowrie.Likeness(line)] = true
	}
	e.add(line)
}

// addRaw adds a raw event, unless it is known.
func (e *sessionEvents) addRaw(text []byte) {
	if e.alike[cowrie.Likeness(text)] || seen(e.stored, text) {
		return
	}
	e.add(text)
}

func (e *sessionEvents) add(text []byte) {
	e.data = append(e.data, text...)
	e.ends = append(e.ends, len(e.data))
	if len(e.data) >= portionBytes {
		e.gather()
	}
}

func (e *sessionEvents) gather() {
	s := cowrie.Gather(cowrie.Lines{Data: e.data, Ends: e.ends}, "", nil).Sessions[e.id]
	e.data, e.ends = nil, nil
	switch {
	case s == nil:
	case e.sum == nil:
		e.sum = s
	default:
		e.sum.Add(s)
	}
}

// session returns what the events add up to; nil if there is none. sensor is
// that of a session whose events name none.
func (e *sessionEvents) session(sensor string) *cowrie.Session {
	e.gather()
	if e.sum != nil && e.sum.Sensor == "" {
		e.sum.Sensor = sensor
	}
	return e.sum
}
