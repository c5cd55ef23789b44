package store

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"

	"midden/internal/cowrie"
)

// withoutDuplicates returns what a chunk says without the events that are
// stored already, and without those that stand in it twice.
//
// Nearly always there is nothing to do: an event that is later than all that
// is known of its session is new. The others are compared, text with text,
// with the events of their sessions.
func (a *appending) withoutDuplicates(c *cowrie.Chunk, seg *sealed) (*cowrie.Gathered, *sealed, error) {
	g := c.Gathered
	suspects, err := a.suspects(g)
	if err != nil {
		return nil, nil, err
	}
	known, repeated, err := a.knownSessionless(g)
	if err != nil {
		return nil, nil, err
	}
	if len(suspects) == 0 && !repeated {
		return g, seg, nil
	}
	// The text may be large: it is not held while others are looked through.
	gather := func(skip func(session string, text []byte) bool) (*cowrie.Gathered, error) {
		text, err := a.s.seal.open(0, seg)
		if err != nil {
			return nil, err
		}
		defer done(&text)
		return cowrie.Gather(cowrie.Lines{Data: text}, c.Sensor, skip), nil
	}
	takenOver, err := a.takenOver()
	if err != nil {
		return nil, nil, err
	}
	wanted := newWanted(takenOver)
	_, err = gather(func(session string, text []byte) bool {
		if suspects[session] {
			wanted.add(text)
		}
		return true
	})
	if err != nil {
		return nil, nil, err
	}
	segments, dropped, err := a.standing(suspects, g)
	if err != nil {
		return nil, nil, err
	}
	if err := a.find(wanted, suspects, segments); err != nil {
		return nil, nil, err
	}
	fresh, err := gather(func(session string, text []byte) bool {
		switch {
		case session == "":
			return seen(known, text)
		case suspects[session]:
			return wanted.found(text) || dropped.has(session, text)
		}
		return false
	})
	if err != nil {
		return nil, nil, err
	}
	if fresh.Events == g.Events {
		return g, seg, nil
	}
	seg = a.s.seal.seal(fresh.Text)
	fresh.Text = nil
	return fresh, seg, nil
}

type identity = [sha256.Size]byte

// seen reports whether an event was seen; from now on it was.
func seen(events map[identity]bool, text []byte) bool {
	id := cowrie.Identity(text)
	was := events[id]
	events[id] = true
	return was
}

// wanted are events that are looked for, by their identity and, in a database
// that was taken over, by their likeness to what cowrieprocessor made of them.
// One that was found is true.
type wanted struct {
	events, alike map[identity]bool
}

func newWanted(takenOver bool) *wanted {
	w := &wanted{events: map[identity]bool{}}
	if takenOver {
		w.alike = map[identity]bool{}
	}
	return w
}

func (w *wanted) add(text []byte) {
	w.events[cowrie.Identity(text)] = false
	if w.alike != nil {
		w.alike[cowrie.Likeness(text)] = false
	}
}

// is notes an event that is stored as it was.
func (w *wanted) is(text []byte) {
	if id := cowrie.Identity(text); w.wants(w.events, id) {
		w.events[id] = true
	}
}

// isLike notes an event that cowrieprocessor stored.
func (w *wanted) isLike(text []byte) {
	if id := cowrie.Likeness(text); w.wants(w.alike, id) {
		w.alike[id] = true
	}
}

func (w *wanted) wants(events map[identity]bool, id identity) bool {
	_, wants := events[id]
	return wants
}

// found reports whether an event was found, or comes a second time.
func (w *wanted) found(text []byte) bool {
	return w.alike != nil && w.alike[cowrie.Likeness(text)] || seen(w.events, text)
}

// suspects are the sessions of g that may hold an event that is known.
func (a *appending) suspects(g *cowrie.Gathered) (map[string]bool, error) {
	suspects := map[string]bool{}
	for id, s := range g.Sessions {
		suspect := s.Suspect
		if row := a.sessions[id]; row != nil && a.moving {
			// Its row counts these events already; only its segments tell.
			suspect = suspect || len(row.segments) > 0
		} else if row != nil && !suspect {
			have := row.session
			suspect = have.First != cowrie.NoTime && s.First <= have.Last && s.Last >= have.First
		}
		if suspect {
			suspects[id] = true
		}
	}
	return suspects, a.sessionsWithRaw(g, suspects)
}

// find looks for events where those of their sessions stand, in segments and among raw
// events.
func (a *appending) find(events *wanted, suspects map[string]bool, segments map[int64]bool) error {
	for id := range suspects {
		if a.moving {
			break
		}
		err := a.eachRaw(id, func(text []byte) error {
			events.isLike(text)
			return nil
		})
		if err != nil {
			return err
		}
	}
	for id, foreign := range segments {
		text, err := a.text(id)
		if err != nil {
			return err
		}
		eachLine(text, func(_ int, line []byte) error {
			if foreign != a.moving { // one of the two is cowrieprocessor's text
				events.isLike(line)
			} else {
				events.is(line)
			}
			return nil
		})
		done(&text)
	}
	return nil
}

// standing returns where events that g says of some sessions may stand: the segments of
// each session whose time overlaps with that of its events, which are true if
// cowrieprocessor had their events before; and what was dropped.
func (a *appending) standing(suspects map[string]bool, g *cowrie.Gathered) (segments map[int64]bool, dropped droppedParts, err error) {
	spans, err := a.spansOf(suspects)
	if err != nil {
		return nil, nil, err
	}
	segments, dropped = map[int64]bool{}, droppedParts{}
	for id := range suspects {
		row, s := a.sessions[id], g.Sessions[id]
		if row == nil {
			continue
		}
		for _, r := range row.segments {
			i, _ := slices.BinarySearchFunc(spans, r[0], func(s segmentSpan, id int64) int { return cmp.Compare(s.id, id) })
			for ; i < len(spans) && spans[i].id <= r[1]; i++ {
				span := &spans[i]
				switch {
				case span.dropped:
					dropped.add(row.session, span)
				case s.Timeless, s.First == cowrie.NoTime, span.last != cowrie.NoTime && span.first <= s.Last && span.last >= s.First:
					segments[span.id] = span.foreign
				}
			}
		}
	}
	return segments, dropped, nil
}

// segmentSpan is what of a segment tells whether an event may stand in it.
type segmentSpan struct {
	id          int64
	first, last cowrie.Time // of its events
	foreign     bool        // cowrieprocessor had them before
	dropped     bool
}

// spansOf returns the segments of sessions, in order.
func (a *appending) spansOf(sessions map[string]bool) (spans []segmentSpan, err error) {
	var all segmentSet
	for id := range sessions {
		if row := a.sessions[id]; row != nil {
			all = append(all, row.segments...)
		}
	}
	for _, r := range all.joined() {
		err := a.each(`SELECT id, first_event_at, last_event_at, origins IS NOT NULL, FALSE FROM event_segments WHERE id BETWEEN $1 AND $2
			UNION ALL SELECT id, first_event_at, last_event_at, FALSE, TRUE FROM dropped_segments WHERE id BETWEEN $1 AND $2 ORDER BY 1`,
			[]any{r[0], r[1]}, func(scan func(...any) error) error {
				var s segmentSpan
				err := scan(&s.id, scanTime{&s.first}, scanTime{&s.last}, &s.foreign, &s.dropped)
				spans = append(spans, s)
				return err
			})
		if err != nil {
			return nil, err
		}
	}
	return spans, nil
}

// knownSessionless returns which events without a session are stored already,
// and whether there is any such, or one that stands in g twice.
func (a *appending) knownSessionless(g *cowrie.Gathered) (known map[identity]bool, repeated bool, err error) {
	known = map[identity]bool{}
	for _, e := range g.Sessionless {
		if _, twice := known[e.Digest]; twice {
			repeated = true
			continue
		}
		n := 0
		if err := a.row(`SELECT count(*) FROM sessionless_events WHERE digest = $1`, []any{e.Digest[:]}, &n); err != nil {
			return nil, false, err
		}
		if n == 0 {
			if n, err = a.rawSessionless(&e); err != nil {
				return nil, false, err
			}
		}
		known[e.Digest] = n > 0
		repeated = repeated || n > 0
	}
	return known, repeated, nil
}

// lookup is what is stored of the sessions of chunks, which is asked for aside.
type lookup struct {
	rows  []*sessionRow
	asked <-chan struct{} // closed when it was
	done  bool            // it could be
}

// lookUp asks what is stored of the sessions of what was gathered.
func (a *appending) lookUp(of ...*cowrie.Gathered) *lookup {
	l := &lookup{}
	met := map[string]bool{}
	for _, g := range of {
		for id := range g.Sessions {
			met[id] = true
		}
	}
	ids := anys(sortedKeys(met)) // in the order of their index
	l.asked = a.aside.run(func() error {
		err := a.s.inLists(ids, func(list string, args []any) error {
			return a.read(`SELECT s.dshield_flagged, `+sessionColumns+` FROM session_summaries s WHERE s.session_id `+list, args, func(scan func(...any) error) error {
				row := &sessionRow{known: true}
				var err error
				row.session, row.segments, row.inSegments, err = scanSession(func(into ...any) error {
					return scan(append([]any{&row.flagged}, into...)...)
				})
				if err != nil {
					return err
				}
				was := *row.session
				row.was = &was
				l.rows = append(l.rows, row)
				return nil
			})
		})
		l.done = err == nil
		return err
	})
	return l
}

// lookedUp takes note of what is stored of sessions that the batch did not meet before.
func (a *appending) lookedUp(l *lookup) error {
	if l == nil {
		return nil
	}
	if <-l.asked; !l.done {
		return a.settle()
	}
	for _, row := range l.rows {
		if id := row.session.ID; a.sessions[id] == nil {
			a.sessions[id] = row
		}
	}
	return nil
}

// listSize is how many parameters an IN list has. Lists are padded to it, so
// that they share one prepared statement.
const listSize = 256

// arraySize is how many values an array has at the most.
const arraySize = 4096

// inLists calls f with portions of values: with the end of a condition, that what stands before
// it is one of them, and its parameters.
func (s *Store) inLists(values []any, f func(list string, args []any) error) error {
	if s.engine.Array == nil {
		return padded(values, func(args []any) error { return f("IN ("+listPlaceholders+")", args) })
	}
	for some := range slices.Chunk(values, arraySize) {
		if err := f("= ANY(?)", []any{s.engine.Array(some)}); err != nil {
			return err
		}
	}
	return nil
}

// padded calls f with portions of values that are all of one size: some have one of them again
// and again.
func padded(values []any, f func(args []any) error) error {
	for some := range slices.Chunk(values, listSize) {
		args := slices.Grow(slices.Clone(some), listSize-len(some))
		for len(args) < listSize {
			args = append(args, some[0])
		}
		if err := f(args); err != nil {
			return err
		}
	}
	return nil
}

var listPlaceholders = placeholders(listSize)

// placeholders returns n parameters without names: SQLite looks a name up in
// a list of all names, for every parameter of every row.
func placeholders(n int) string {
	return strings.Repeat("?, ", n-1) + "?"
}

// segmentCache holds the text of the segments that were last looked into.
type segmentCache struct {
	ids   []int64
	texts [][]byte
	size  int
}

func (c *segmentCache) get(id int64) []byte {
	for i, have := range c.ids {
		if have == id {
			return c.texts[i]
		}
	}
	return nil
}

// cacheSize is how many bytes of text a segmentCache holds at the most.
const cacheSize = 8 * segmentSize

func (c *segmentCache) put(id int64, text []byte) {
	c.ids, c.texts = append(c.ids, id), append(c.texts, text)
	for c.size += len(text); c.size > cacheSize && len(c.ids) > 0; {
		c.drop(c.ids[0])
	}
}

func (c *segmentCache) drop(id int64) {
	for i, have := range c.ids {
		if have == id {
			c.size -= len(c.texts[i])
			c.ids = append(c.ids[:i:i], c.ids[i+1:]...)
			c.texts = append(c.texts[:i:i], c.texts[i+1:]...)
			return
		}
	}
}

// text returns the text of a segment.
func (a *appending) text(id int64) ([]byte, error) {
	if text := a.cache.get(id); text != nil {
		return text, nil
	}
	text, found, err := a.s.textOf(a.ctx, a.ask, id, "")
	if err == nil && !found {
		err = fmt.Errorf("event segment %d is gone", id)
	}
	if err == nil {
		a.cache.put(id, text)
	}
	return text, err
}
