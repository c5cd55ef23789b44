package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"unicode/utf8"

	"midden/internal/cowrie"
)

// errMoved says that a job's position is not where it was left: somebody
// else works at it, in spite of the lock.
func errMoved(job string, at, want int64) error {
	return fmt.Errorf("the position of the %s is %d, not %d: is another one running?", job, at, want)
}

// jobPosition returns where a job is, and whether it is asked to pause.
func jobPosition(a *appending, job string) (position int64, pause bool, err error) {
	err = a.row(`SELECT position, pause FROM maintenance WHERE job = $1`, []any{job}, &position, &pause)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return position, pause, err
}

// Backfill stores what a stretch of raw events says of files, and the job with
// its new position, in one transaction. It counts the sightings and verdicts
// into j, and notes in j whether somebody asked it to pause.
func (s *Store) Backfill(ctx context.Context, b *cowrie.FilesOfRaw, j *cowrie.Job) (turn cowrie.Turn, err error) {
	done := *j
	var added *appending
	turn, err = s.turn(ctx, j.Name, func(tx *sql.Tx) error {
		err := s.addingTo(ctx, tx, func(a *appending) error {
			added, a.kept = a, s.job.files
			position, pause, err := jobPosition(a, j.Name)
			if err != nil {
				return err
			}
			if position != b.From {
				return errMoved(j.Name, position, b.From)
			}
			done.Pause, done.Position = pause, b.Through
			return a.filesOfRaw(b)
		})
		if err != nil {
			return err
		}
		n := added.tally.Sightings + added.verdictsAdded
		done.Inserted += n
		done.Known += int64(len(b.Sightings)+len(b.Verdicts)) - n
		if s.job.files == nil || len(s.job.files) > maxJobFiles {
			s.job.files = map[string]*cowrie.File{}
		}
		maps.Copy(s.job.files, added.files) // forgotten if the turn fails
		return saveJob(ctx, tx, &done)
	})
	if err != nil {
		return turn, err
	}
	turn.Sightings, turn.Files, turn.Verdicts, turn.Known = added.tally.Sightings, added.tally.Files, added.verdictsAdded, done.Known-j.Known
	*j = done
	return turn, nil
}

// filesOfRaw adds what raw events say of files.
func (a *appending) filesOfRaw(b *cowrie.FilesOfRaw) error {
	sensors, err := a.sensorsOf(b.Sightings)
	if err != nil {
		return err
	}
	a.sightings = slices.Grow(a.sightings, len(b.Sightings))
	for i, s := range b.Sightings {
		// The key says what the event says; the column may know more.
		row := sightingRow{Sighting: s, raw: b.RawIDs[i], key: sightingKey(s)}
		if s.Sensor == "" {
			s.Sensor = sensors[s.Session]
		}
		a.sightings = append(a.sightings, row)
	}
	a.verdicts = b.Verdicts
	for _, d := range b.Broken {
		if _, err := a.brokenRaw(nil, &d); err != nil {
			return err
		}
	}
	for _, flush := range []func() error{a.flushSightings, a.flushFiles, a.flushVerdicts} {
		if err := flush(); err != nil {
			return err
		}
	}
	return nil
}

// sensorsOf returns the sensors of the sessions of those sightings that name
// none: cowrieprocessor noted them with the session.
func (a *appending) sensorsOf(sightings []*cowrie.Sighting) (map[string]string, error) {
	sensors := map[string]string{}
	var ids []any
	for i := range sightings {
		id := sightings[i].Session
		if _, asked := sensors[id]; sightings[i].Sensor == "" && !asked {
			sensors[id] = ""
			ids = append(ids, id)
		}
	}
	err := a.s.inLists(ids, func(list string, args []any) error {
		return a.each(`SELECT session_id, sensor FROM session_summaries WHERE session_id `+list, args, func(scan func(...any) error) error {
			var id, sensor string
			if err := scan(&id, scanText{&sensor}); err != nil {
				return err
			}
			sensors[id] = sensor
			return nil
		})
	})
	return sensors, err
}

// brokenRaw keeps a raw event that cannot be read as a dead letter, whole. It
// reports false if it is one already. source is that of moved events, or nil.
func (a *appending) brokenRaw(source any, d *cowrie.BrokenRaw) (fresh bool, err error) {
	letter := cowrie.DeadLetter{Length: int64(len(d.Payload)), Digest: payloadDigest(d.Payload), Reason: d.Reason, Line: d.Payload}
	payload, err := deadPayload(&letter, utf8.Valid(d.Payload))
	if err != nil {
		return false, err
	}
	n, err := a.changed(`INSERT INTO dead_letter_events (source, source_id, source_offset, length, digest, reason, payload, created_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING`,
		"raw_events", source, d.ID, letter.Length, letter.Digest, letter.Reason, payload, cowrie.FromStd(a.now).SQL())
	return n > 0, err
}

func payloadDigest(payload []byte) string {
	sum := sha256.Sum256(payload)
	return hex.EncodeToString(sum[:])
}
