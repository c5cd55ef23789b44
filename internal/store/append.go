package store

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"midden/internal/cowrie"
)

// Append stores chunks, in order, in one transaction: their events, what the
// events add up to, the dead letters, and the position each source was read
// to. Afterwards either all of it is there or nothing. After an ErrUnavailable it
// can be called again with the same chunks; if they were stored after all, their
// sources are returned in moved.
//
// The chunks of a source that somebody else has read on meanwhile are left
// out, and the source is returned in moved: look it up again and go on from
// where it is now.
func (s *Store) Append(ctx context.Context, chunks []*cowrie.Chunk) (tally cowrie.Tally, moved []*cowrie.Source, err error) {
	var order []*sourceRow
	err = s.adding(ctx, func(a *appending) error {
		lookups, err := a.lookAhead(chunks)
		if err != nil {
			return err
		}
		for i, c := range chunks {
			if err := a.lookedUp(lookups[i]); err != nil {
				return err
			}
			if err := a.chunk(c); err != nil {
				return err
			}
		}
		if err := a.flush(); err != nil {
			return err
		}
		tally = a.tally
		for _, src := range a.order {
			if src.moved {
				moved = append(moved, src.source)
			}
		}
		order = a.order
		return nil
	})
	if err != nil {
		if errors.Is(err, ErrUnavailable) {
			err = errors.Join(err, s.renew(chunks))
		}
		return cowrie.Tally{}, nil, err
	}
	for _, row := range order {
		if !row.moved {
			row.source.ID, row.source.Mark = row.id, row.mark
		}
	}
	return tally, moved, nil
}

// renew undoes what an attempt to append has done to chunks: what sessions have in
// common was added up in them. Their events tell it anew.
func (s *Store) renew(chunks []*cowrie.Chunk) error {
	for _, c := range chunks {
		if c.Gathered == nil {
			continue
		}
		text, err := s.seal.open(0, c.Sealed.(*sealed))
		if err != nil {
			return err
		}
		fresh := cowrie.Gather(cowrie.Lines{Data: text}, c.Sensor, nil)
		fresh.Text = nil
		fresh.Lines, fresh.Blank, fresh.DeadLetters = c.Gathered.Lines, c.Gathered.Blank, c.Gathered.DeadLetters
		c.Gathered = fresh
		done(&text)
	}
	return nil
}

// appending is one batch on its way into the database.
type appending struct {
	// ctx never ends: for one that can, the driver starts a goroutine with every
	// statement. ended is asked before each instead.
	ctx    context.Context
	ended  func() error
	s      *Store
	tx     *sql.Tx
	now    time.Time
	stmt   map[string]*sql.Stmt
	aside  aside
	queued []Statement // to be run aside
	bytes  int         // in these
	ids    segmentIDs
	months map[any]bool // under which segments can be kept

	sources       map[*cowrie.Source]*sourceRow
	order         []*sourceRow
	sessions      map[string]*sessionRow
	files         map[string]*cowrie.File
	kept          map[string]*cowrie.File // rows of files that are known without asking
	sightings     []sightingRow
	added         []addedSighting // those that are new
	days          map[cowrie.DayKey]*cowrie.SensorDay
	verdicts      []cowrie.Verdict
	answered      bool // the verdicts are answers: when to ask again is reckoned already
	verdictsAdded int64
	raw           *bool // whether there are raw events at all
	old           *bool // whether there are events that cowrieprocessor had before
	moved         int64 // raw events up to this id were moved into segments
	moving        bool  // this batch moves raw events
	cache         segmentCache
	outbox        outbox
	tally         cowrie.Tally
}

// sourceRow is a source as this batch leaves it.
type sourceRow struct {
	source      *cowrie.Source
	id          int64
	mark        cowrie.Mark
	added       cowrie.Tally
	first, last cowrie.Time
	moved       bool
	open        *openSegment // its last segment
}

// openSegment is the last segment of a source, which may still take events.
type openSegment struct {
	id, offset  int64
	count, size int
	last        cowrie.Time // of its events
}

// takes reports whether text of a size can be added whose latest event is of
// a time. What is later than the month of the segment cannot, so that the events
// of a month can be dropped without those of the next.
func (o *openSegment) takes(size int, last cowrie.Time) bool {
	return o.size+size <= segmentSize && cowrie.Month(last) <= cowrie.Month(o.last)
}

// sessionRow is a session that this batch adds to.
type sessionRow struct {
	session    *cowrie.Session
	known      bool            // it was there before the batch
	was        *cowrie.Session // as it was then, without its commands
	flagged    bool            // cowrieprocessor says that it is one of DShield's
	fresh      int64           // events that this batch adds
	segments   segmentSet
	inSegments int64 // events that are in segments, those of this batch too
	delta      map[string]*cowrie.CommandStat
	// derived: session was made anew out of all of its events, and takes the
	// place of what is stored.
	derived bool
}

type sightingRow struct {
	*cowrie.Sighting
	segment, raw int64 // where its event stands: one of the two
	key          [16]byte
}

// adding runs f in a transaction of its own.
func (s *Store) adding(ctx context.Context, f func(*appending) error) error {
	return s.inTx(ctx, func(tx *sql.Tx) error { return s.addingTo(ctx, tx, f) })
}

// addingTo runs f in a transaction, and then what f left to be run.
func (s *Store) addingTo(ctx context.Context, tx *sql.Tx, f func(*appending) error) error {
	a := &appending{ctx: context.WithoutCancel(ctx), ended: ctx.Err, s: s, tx: tx, now: time.Now().UTC(), stmt: map[string]*sql.Stmt{},
		sources: map[*cowrie.Source]*sourceRow{}, sessions: map[string]*sessionRow{}, files: map[string]*cowrie.File{},
		days: map[cowrie.DayKey]*cowrie.SensorDay{}, months: map[any]bool{}}
	defer a.aside.end()
	if err := f(a); err != nil {
		return err
	}
	if a.outbox.insert != nil {
		a.outbox.insert.done()
	}
	return a.settle()
}

// lookAhead asks what chunks need to know, as far as it can be told before the first of them is
// added: then each finds its answer there, or soon.
func (a *appending) lookAhead(chunks []*cowrie.Chunk) ([]*lookup, error) {
	lookups := make([]*lookup, len(chunks))
	for _, c := range chunks {
		if c.Source == nil {
			continue
		}
		row, err := a.source(c.Source)
		if err != nil {
			return nil, err
		}
		if row.moved || c.Gathered == nil || c.Gathered.Events == 0 {
			continue // it adds nothing to a segment
		}
		if err := a.openSegment(row); err != nil {
			return nil, err
		}
		a.ids.wanted++
		if a.s.engine.Month != nil {
			if _, err := a.month(c.Gathered.Last); err != nil {
				return nil, err
			}
		}
	}
	if a.ids.wanted > 0 {
		if err := a.askSegmentIDs(); err != nil {
			return nil, err
		}
	}
	var some []*cowrie.Gathered
	first, sessions := 0, 0
	for i, c := range chunks {
		if c.Gathered != nil {
			some = append(some, c.Gathered)
			sessions += len(c.Gathered.Sessions)
		}
		if sessions >= manySessions || i == len(chunks)-1 && sessions > 0 {
			lookups[first] = a.lookUp(some...)
			some, first, sessions = nil, i+1, 0
		}
	}
	return lookups, nil
}

// manySessions is from how many on they are looked up, while those of more chunks are being collected.
const manySessions = 2000

func (a *appending) chunk(c *cowrie.Chunk) error {
	var row *sourceRow
	if c.Source != nil {
		var err error
		if row, err = a.source(c.Source); err != nil {
			return err
		}
		if row.moved || c.Gathered != nil && row.mark.Position != c.From {
			row.moved = true
			return nil
		}
	}
	if c.Gathered != nil {
		if err := a.gathered(row, c); err != nil {
			return err
		}
		row.mark = c.Mark
	}
	if c.Resolves != 0 {
		a.later(`UPDATE dead_letter_events SET resolved = $1, resolved_at = $2 WHERE id = $3`,
			true, cowrie.FromStd(a.now).SQL(), c.Resolves)
	}
	if c.File != nil {
		a.logFile(c.File, row)
	}
	return nil
}

// gathered adds what a chunk says.
func (a *appending) gathered(row *sourceRow, c *cowrie.Chunk) error {
	g, seg := c.Gathered, c.Sealed.(*sealed)
	tally := cowrie.Tally{Lines: g.Lines, Blank: g.Blank}
	for i := range g.DeadLetters {
		fresh, err := a.deadLetter(row, c, &g.DeadLetters[i])
		if err != nil {
			return err
		}
		if fresh {
			tally.DeadLetters++
		}
	}
	g, seg, err := a.withoutDuplicates(c, seg)
	if err != nil {
		return err
	}
	tally.Events = int64(g.Events)
	tally.Duplicates = tally.Lines - tally.Events - tally.DeadLetters - tally.Blank
	if g.Events > 0 {
		segment, base, err := a.segment(row, c, g, seg)
		if err != nil {
			return err
		}
		if err := a.facts(g, segment, base); err != nil {
			return err
		}
	}
	row.first, row.last = cowrie.Earliest(row.first, g.First), max(row.last, g.Last)
	row.added.Add(tally)
	a.tally.Add(tally)
	return nil
}

// facts adds what events say that stand in a segment from place base on.
func (a *appending) facts(g *cowrie.Gathered, segment int64, base int) error {
	for id, session := range g.Sessions {
		row := a.sessions[id]
		events := session.Events
		if row == nil {
			row = &sessionRow{session: session}
			a.sessions[id] = row
		} else {
			if err := a.derive(row, segment, base); err != nil {
				return err
			}
			row.add(session)
		}
		row.fresh += events
		row.inSegments += events
		row.segments = row.segments.add(segment)
	}
	for i := range g.Sightings {
		sighting := &g.Sightings[i]
		sighting.Event += base
		a.sightings = append(a.sightings, sightingRow{Sighting: sighting, segment: segment, key: sightingKey(sighting)})
	}
	a.verdicts = append(a.verdicts, g.Verdicts...)
	a.addDays(g)
	a.sessionless(g, segment)
	return nil
}

func (r *sessionRow) add(session *cowrie.Session) {
	if r.known && !r.derived { // its commands are added to where they are
		if r.delta == nil {
			r.delta = map[string]*cowrie.CommandStat{}
		}
		for text, c := range session.CommandStats {
			if have := r.delta[text]; have != nil {
				have.Add(*c)
			} else {
				r.delta[text] = c
			}
		}
		session.CommandStats = nil
	}
	r.session.Add(session)
}

// segment stores the text of events, in the last segment of the source if
// there is room for it, and returns the segment and the place of the first of
// the events in it.
func (a *appending) segment(row *sourceRow, c *cowrie.Chunk, g *cowrie.Gathered, seg *sealed) (id int64, base int, err error) {
	if err := a.openSegment(row); err != nil {
		return 0, 0, err
	}
	if open := row.open; open != nil && open.takes(seg.size, g.Last) {
		return a.extend(row, c, g, seg)
	}
	id, err = a.newSegment(row.id, c.From, c.Mark.Position, nil, g, seg)
	row.open = &openSegment{id: id, offset: c.From, count: g.Events, size: seg.size, last: g.Last}
	return id, 0, err
}

// newSegment stores events in a segment of their own. origins are nil but for events
// that cowrieprocessor had before.
func (a *appending) newSegment(source, from, through int64, origins any, g *cowrie.Gathered, seg *sealed) (id int64, err error) {
	if id, err = a.segmentID(); err != nil {
		return 0, err
	}
	columns := []string{"id", "source_id", "source_offset", "source_length", "event_count", "first_event_at", "last_event_at",
		"text_size", "checksum", "origins", "events"}
	values := []any{id, source, from, through - from, g.Events, timeText(g.First), timeText(g.Last),
		seg.size, int64(seg.checksum), origins, seg.blob}
	if a.s.engine.Month != nil {
		month, err := a.month(g.Last)
		if err != nil {
			return 0, err
		}
		columns, values = append(columns, "month"), append(values, month)
	}
	a.later(`INSERT INTO event_segments (`+strings.Join(columns, ", ")+`) VALUES (`+placeholders(len(columns))+`)`, values...)
	return id, nil
}

// segmentIDs are ids of segments that are to be stored.
type segmentIDs struct {
	next   int64
	left   int
	wanted int // how many will be, at the most
}

func (a *appending) askSegmentIDs() error {
	a.ids.left = max(a.ids.wanted, 1)
	return a.row(a.s.engine.NextSegments, []any{a.ids.left}, &a.ids.next)
}

func (a *appending) segmentID() (int64, error) {
	if a.ids.left == 0 {
		if err := a.askSegmentIDs(); err != nil {
			return 0, err
		}
	}
	a.ids.left--
	a.ids.next++
	return a.ids.next - 1, nil
}

// month returns the month under which a segment is to be kept, and sees to it that it can be.
func (a *appending) month(latest cowrie.Time) (any, error) {
	month := a.s.engine.Month(latest)
	if !a.months[month] {
		tx, err := a.settled()
		if err == nil {
			err = a.s.engine.MakeMonth(a.ctx, tx, month)
		}
		if err != nil {
			return nil, err
		}
		a.months[month] = true
	}
	return month, nil
}

// extend adds events to the open segment of a source.
func (a *appending) extend(row *sourceRow, c *cowrie.Chunk, g *cowrie.Gathered, seg *sealed) (id int64, base int, err error) {
	open := row.open
	have, err := a.text(open.id)
	if err != nil {
		return 0, 0, err
	}
	more, err := a.s.seal.open(0, seg)
	if err != nil {
		return 0, 0, err
	}
	joined := a.s.seal.seal(append(bytes.Clone(have), more...))
	a.cache.drop(open.id)
	base = open.count
	open.count += g.Events
	open.last = max(open.last, g.Last)
	open.size = joined.size
	return open.id, base, a.exec(`UPDATE event_segments SET source_length = $1, event_count = $2,
		first_event_at = `+earlier("first_event_at", "$3")+`, last_event_at = `+later("last_event_at", "$4")+`,
		text_size = $5, checksum = $6, events = $7 WHERE id = $8`,
		c.Mark.Position-open.offset, open.count, timeText(g.First), timeText(g.Last),
		joined.size, int64(joined.checksum), joined.blob, open.id)
}

func (a *appending) openSegment(row *sourceRow) error {
	if row.open != nil || row.source.ID == 0 {
		return nil
	}
	var open openSegment
	err := a.row(`SELECT id, source_offset, event_count, text_size, last_event_at FROM event_segments
		WHERE source_id = $1 ORDER BY source_offset DESC LIMIT 1`, []any{row.id},
		&open.id, &open.offset, &open.count, &open.size, scanTime{&open.last})
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	row.open = &open
	return err
}

// source returns the row of a source, made if it is new. It finds out whether
// somebody else has read the source on.
func (a *appending) source(src *cowrie.Source) (*sourceRow, error) {
	if row := a.sources[src]; row != nil {
		return row, nil
	}
	row := &sourceRow{source: src, id: src.ID, first: cowrie.NoTime, last: cowrie.NoTime}
	a.sources[src] = row
	a.order = append(a.order, row)
	if src.ID != 0 {
		err := a.row(`SELECT position FROM sources WHERE id = $1`, []any{src.ID}, &row.mark.Position)
		if errors.Is(err, sql.ErrNoRows) {
			row.moved = true
			return row, nil
		}
		return row, err
	}
	var newest int64
	if err := a.row(`SELECT coalesce(max(id), 0) FROM sources WHERE fingerprint = $1`, []any{src.Fingerprint}, &newest); err != nil {
		return nil, err
	}
	if newest > src.Newest {
		row.moved = true
		return row, nil
	}
	now := cowrie.FromStd(a.now).String()
	return row, a.row(`INSERT INTO sources (fingerprint, position, digest, digest_state, tail, created_at, updated_at)
		VALUES ($1, 0, '', $2, $2, $3, $3) RETURNING id`, []any{src.Fingerprint, []byte{}, now}, &row.id)
}

// deadLetter stores a line that is not an event. It reports false if the same
// line is a dead letter already.
func (a *appending) deadLetter(row *sourceRow, c *cowrie.Chunk, d *cowrie.DeadLetter) (fresh bool, err error) {
	payload, err := deadPayload(d, utf8.Valid(d.Line))
	if err != nil {
		return false, err
	}
	n, err := a.changed(`INSERT INTO dead_letter_events (source, source_id, source_offset, length, digest, reason, payload, created_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING`,
		orNull(c.Path), row.id, c.Start+d.Offset, d.Length, d.Digest, d.Reason, payload, cowrie.FromStd(a.now).SQL())
	return n > 0, err
}

// sessionless stores the digests of events without a session: nothing else
// would tell that they are known.
func (a *appending) sessionless(g *cowrie.Gathered, segment int64) {
	for _, e := range g.Sessionless {
		a.later(`INSERT INTO sessionless_events (digest, segment_id) VALUES ($1, $2)`, e.Digest[:], segment)
	}
}

// logFile notes what a file holds, so that it need not be opened again.
func (a *appending) logFile(f *cowrie.FileState, row *sourceRow) {
	var source any
	if row != nil {
		source = row.id
	}
	a.later(`INSERT INTO log_files (path, inode, size, mod_time, source_id, pending_bytes, problem, updated_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
		ON CONFLICT (`+a.s.engine.Key("path")+`) DO UPDATE SET inode = excluded.inode, size = excluded.size, mod_time = excluded.mod_time,
			source_id = excluded.source_id, pending_bytes = excluded.pending_bytes, problem = excluded.problem,
			updated_at = excluded.updated_at`,
		f.Path, fmt.Sprint(f.Inode), f.Size, f.ModTime, source, f.Pending, orNull(f.Problem), cowrie.FromStd(a.now).String())
}
