package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"midden/internal/cowrie"
)

// movedSource is the fingerprint of the source that raw events become part of
// when they are moved into segments.
const movedSource = "raw events"

// Move stores raw events in a segment, and the job with its new position, in
// one transaction. The raw events stay where they are, but do not count any
// more. Their sessions are made anew out of all of their events.
func (s *Store) Move(ctx context.Context, m *cowrie.Moved, j *cowrie.Job) (cowrie.Turn, error) {
	done := j.Clone()
	turn, err := s.turn(ctx, j.Name, func(tx *sql.Tx) error {
		err := s.addingTo(ctx, tx, func(a *appending) error {
			position, pause, err := jobPosition(a, j.Name)
			if err != nil {
				return err
			}
			if position != m.From {
				return errMoved(j.Name, position, m.From)
			}
			if err := a.move(m); err != nil {
				return err
			}
			done.Pause, done.Position = pause, m.Through
			done.Inserted += a.tally.Events
			done.Known += a.tally.Duplicates
			done.Rejected += a.tally.DeadLetters
			return nil
		})
		if err != nil {
			return err
		}
		return saveJob(ctx, tx, done)
	})
	if err == nil {
		*j = *done
	}
	return turn, err
}

// move adds a stretch of raw events.
func (a *appending) move(m *cowrie.Moved) error {
	yes := true
	a.moving, a.raw, a.moved = true, &yes, m.Through
	g, seg := m.Gathered, m.Sealed.(*sealed)
	tally := cowrie.Tally{Lines: g.Lines, Blank: g.Blank}
	source, err := a.movedSource()
	if err != nil {
		return err
	}
	for i := range m.Broken {
		fresh, err := a.brokenRaw(source, &m.Broken[i])
		if err != nil {
			return err
		}
		if fresh {
			tally.DeadLetters++
		}
	}
	if err := a.lookedUp(a.lookUp(g)); err != nil {
		return err
	}
	g, seg, err = a.withoutDuplicates(&m.Chunk, seg)
	if err != nil {
		return err
	}
	tally.Events = int64(g.Events)
	tally.Duplicates = tally.Lines - tally.Events - tally.DeadLetters - tally.Blank
	a.tally = tally
	if err := a.countMoved(source, tally, m.Through); err != nil {
		return err
	}
	var segment int64
	if g.Events > 0 {
		if segment, err = a.movedSegment(source, m, g, seg); err != nil {
			return err
		}
	}
	if err := a.movedSessions(m.Gathered, g, seg, segment); err != nil {
		return err
	}
	a.sessionless(g, segment)
	for i := range g.Sightings {
		sighting := &g.Sightings[i]
		key := sightingKey(sighting)
		if err := a.exec(`UPDATE file_sightings SET segment_id = $1, event_index = $2, raw_event_id = NULL
			WHERE session_id = $3 AND sighting_key = $4 AND raw_event_id IS NOT NULL`,
			segment, sighting.Event, sighting.Session, key[:]); err != nil {
			return err
		}
	}
	a.addDays(g)
	if err := a.flushDays(); err != nil {
		return err
	}
	return a.flushSessions()
}

func (a *appending) movedSegment(source int64, m *cowrie.Moved, g *cowrie.Gathered, seg *sealed) (id int64, err error) {
	origins, err := originsText(m.Origins)
	if err != nil {
		return 0, err
	}
	return a.newSegment(source, m.From, m.Through, origins, g, seg)
}

// movedSource returns the id of the source of moved events.
func (a *appending) movedSource() (id int64, err error) {
	err = a.row(`SELECT id FROM sources WHERE fingerprint = $1`, []any{movedSource}, &id)
	if errors.Is(err, sql.ErrNoRows) {
		err = a.row(`INSERT INTO sources (fingerprint, position, digest, digest_state, tail, created_at, updated_at)
			VALUES ($1, 0, '', $2, $2, $3, $3) RETURNING id`, []any{movedSource, []byte{}, cowrie.FromStd(a.now).String()}, &id)
	}
	return id, err
}

// countMoved counts lines into a source.
func (a *appending) countMoved(source int64, t cowrie.Tally, position int64) error {
	return a.exec(`UPDATE sources SET position = $1, lines = lines + $2, events = events + $3, duplicates = duplicates + $4,
		dead_letters = dead_letters + $5, blank = blank + $6, updated_at = $7 WHERE id = $8`,
		position, t.Lines, t.Events, t.Duplicates, t.DeadLetters, t.Blank, cowrie.FromStd(a.now).String(), source)
}

// originsText is where events were had from, as JSON: an array for each run of
// [source, inode, generation, line, count].
func originsText(runs []cowrie.OriginRun) (string, error) {
	list := make([][]any, len(runs))
	for i, r := range runs {
		list[i] = []any{r.Source, r.Inode, r.Generation, r.Line, r.Count}
	}
	return jsonText(list)
}

// movedSessions makes the sessions of moved events anew: of all of them, and of
// those that were not known.
func (a *appending) movedSessions(all, fresh *cowrie.Gathered, seg *sealed, segment int64) error {
	// Nearly always all events of a session come at once.
	scattered := map[string]*sessionEvents{}
	for id := range all.Sessions {
		session, row := fresh.Sessions[id], a.sessions[id]
		if row == nil {
			row = &sessionRow{session: all.Sessions[id]}
			a.sessions[id] = row
		}
		rest, err := a.hasRaw(id)
		switch {
		case err != nil:
			return err
		case session == nil || rest || len(row.segments) > 0:
			scattered[id] = newSessionEvents(id)
		case session.Sensor == "":
			session.Sensor = row.session.Sensor
			fallthrough
		default:
			row.session = session
		}
		row.derived = true
		if session != nil {
			row.fresh = session.Events
			row.inSegments += session.Events
		}
	}
	if len(scattered) > 0 {
		text, err := a.s.seal.open(segment, seg)
		if err != nil {
			return err
		}
		defer done(&text)
		if err := eachEventOf(text, func(session string, _ int, line []byte) {
			if e := scattered[session]; e != nil {
				e.addStored(line, true)
			}
		}); err != nil {
			return err
		}
		if err := a.gatherSessions(scattered, 0, 0); err != nil {
			return err
		}
	}
	for id := range fresh.Sessions {
		row := a.sessions[id]
		row.segments = row.segments.add(segment)
	}
	return nil
}

// DropMoved deletes all raw events, if all of them were moved into segments; it
// reports false if there are others.
func (s *Store) DropMoved(ctx context.Context, j *cowrie.Job) (dropped bool, err error) {
	done := j.Clone()
	_, err = s.turn(ctx, "delete", func(tx *sql.Tx) error {
		var last, left int64
		if err := tx.QueryRowContext(ctx, `SELECT coalesce(max(id), 0) FROM raw_events`).Scan(&last); err != nil {
			return err
		}
		if dropped = last <= j.Position; !dropped {
			return nil
		}
		err := tx.QueryRowContext(ctx, `SELECT count(*) FROM file_sightings WHERE raw_event_id IN (SELECT id FROM raw_events)`).Scan(&left)
		if err != nil {
			return err
		}
		if left > 0 {
			return fmt.Errorf("%d sightings stand at raw events that are no such sighting: run \"midden verify --repair\" first", left)
		}
		// Ids are given out again from 1 in an empty table.
		// As long as there were any, nothing was kept of days that could be relied on.
		for _, st := range []string{`DELETE FROM raw_events`, `UPDATE maintenance SET position = 0, target = 0`,
			`DELETE FROM session_sums`, `DELETE FROM report_days`} {
			if _, err := tx.ExecContext(ctx, st); err != nil {
				return err
			}
		}
		if err := leaveRaw(ctx, tx); err != nil {
			return err
		}
		done.Position, done.Target = 0, 0
		return saveJob(ctx, tx, done)
	})
	if err == nil && dropped {
		*j = *done
	}
	return dropped, err
}

// leaveRaw lets go of raw events that were moved and are there no more.
func leaveRaw(ctx context.Context, tx *sql.Tx) error {
	// Sightings whose event was deleted by somebody stay, but stand nowhere.
	if _, err := tx.ExecContext(ctx, `UPDATE file_sightings SET raw_event_id = NULL WHERE raw_event_id IS NOT NULL`); err != nil {
		return err
	}
	// What is moved later is another source, whose positions begin anew.
	_, err := tx.ExecContext(ctx, `UPDATE sources SET fingerprint = $1 WHERE fingerprint = $2`, movedSource+", deleted", movedSource)
	return err
}

// MovedSegments calls f, in order of id, for each segment that holds moved
// events of a raw event behind after, with the stretch that it was made of.
func (s *Store) MovedSegments(ctx context.Context, after, through int64, f func(from, through int64, text []byte) error) error {
	var source int64
	err := s.db.QueryRowContext(ctx, `SELECT id FROM sources WHERE fingerprint = $1`, movedSource).Scan(&source)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return s.explain(err)
	}
	return s.scan(ctx, `SELECT id, source_offset, source_length, text_size, checksum, events FROM event_segments
		WHERE source_id = $1 AND source_offset >= $2 AND source_offset < $3 ORDER BY source_offset`,
		[]any{source, after, through}, func(scan func(...any) error) error {
			var id, from, length int64
			var packed sealed
			if err := scan(&id, &from, &length, &packed.size, &packed.checksum, (*sql.RawBytes)(&packed.blob)); err != nil {
				return err
			}
			text, err := s.seal.open(id, &packed)
			if err != nil {
				return err
			}
			defer done(&text)
			return f(from, from+length, text)
		})
}

// Room is how large a database is, in bytes.
type Room struct {
	Bytes, Free int64 // of the file, and of pages in it that hold nothing
	Raw, Packed int64 // that raw events take, and would take in segments; both reckoned
}

// Room returns how large the database is, and about how large its raw events
// are, out of a sample of them.
func (s *Store) Room(ctx context.Context) (r Room, err error) {
	err = s.db.QueryRowContext(ctx, `SELECT page_count * page_size, freelist_count * page_size
		FROM pragma_page_count, pragma_page_size, pragma_freelist_count`).Scan(&r.Bytes, &r.Free)
	if err != nil || s.engine.Raw == nil {
		return r, s.explain(err)
	}
	last, err := s.LastRawEvent(ctx)
	if err != nil || last == 0 {
		return r, err
	}
	const samples, size = 16, 2000
	var rows, raw, packed int64
	for i := range int64(samples) {
		from := last * i / samples
		var text []byte
		err := s.each(ctx, `SELECT payload, length(payload) + 2 * (length(source) + coalesce(length(source_inode), 0)) + 260 FROM raw_events
			WHERE id > $1 AND id <= $2 ORDER BY id LIMIT $3`, []any{from, last * (i + 1) / samples, size},
			func(scan func(...any) error) error {
				var payload sql.RawBytes
				var bytes int64
				if err := scan(&payload, &bytes); err != nil {
					return err
				}
				rows++
				raw += bytes
				if text = append(append(text, payload...), '\n'); len(text) > segmentSize {
					return errEnough
				}
				return nil
			})
		if err != nil && err != errEnough {
			return r, err
		}
		packed += int64(len(s.seal.seal(text).blob))
	}
	if rows > 0 {
		r.Raw = min(r.Bytes-r.Free, last*raw/rows)
		r.Packed = last * packed / rows
	}
	return r, nil
}

var errEnough = errors.New("enough")

// GiveBack makes the database file as small as what is in it. Meanwhile nobody
// can write, and room for twice what will be left is needed: dir is where
// temporary files go. It reports false if others who read keep the file from
// being cut: the small database stands in the journal then.
func (s *Store) GiveBack(ctx context.Context, dir string) (cut bool, err error) {
	conn, err := s.db.Conn(ctx)
	if err != nil {
		return false, s.explain(err)
	}
	defer conn.Close()
	for _, st := range []string{
		`PRAGMA temp_store = file`,
		`PRAGMA temp_store_directory = '` + strings.ReplaceAll(filepath.Clean(dir), "'", "''") + `'`,
		`VACUUM`,
	} {
		Reached("give back: " + st)
		if _, err := conn.ExecContext(ctx, st); err != nil {
			return false, fmt.Errorf("give back space: %w", s.explain(err))
		}
	}
	const checkpoint = `PRAGMA wal_checkpoint(TRUNCATE)`
	Reached("give back: " + checkpoint)
	var busy, frames, done int64
	err = conn.QueryRowContext(ctx, checkpoint).Scan(&busy, &frames, &done)
	return busy == 0, s.explain(err)
}
