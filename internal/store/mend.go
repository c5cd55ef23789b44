package store

import (
	"context"
	"database/sql"
	"errors"

	"midden/internal/cowrie"
)

// Mend puts right what a verification found, in one transaction.
func (s *Store) Mend(ctx context.Context, m *cowrie.Mend) error {
	return s.adding(ctx, func(a *appending) error {
		touched := map[string]bool{}
		for _, shasum := range m.Files {
			touched[shasum] = true
		}
		for i := range m.Wrong {
			w := &m.Wrong[i]
			touched[w.Shasum] = true
			var key []byte
			err := a.row(`DELETE FROM file_sightings WHERE session_id = $1 AND id = $2 RETURNING sighting_key`, []any{w.Session, w.ID}, &key)
			if errors.Is(err, sql.ErrNoRows) {
				continue
			}
			if err == nil {
				err = a.changedSighting(w.Session, key)
			}
			if err != nil {
				return err
			}
		}
		if err := a.missing(m.Missing); err != nil {
			return err
		}
		for i := range m.Missing {
			touched[m.Missing[i].Shasum] = true
		}
		if err := a.flushSightings(); err != nil {
			return err
		}
		for _, shasum := range sortedKeys(touched) {
			if err := a.remakeFile(shasum); err != nil {
				return err
			}
		}
		for _, day := range m.Days {
			if err := a.remakeDay(day); err != nil {
				return err
			}
		}
		for _, day := range m.Sums {
			a.forgetDay(day)
		}
		a.verdicts = m.Verdicts
		return a.flushVerdicts()
	})
}

// missing adds sightings that are missing. Where an event does not name its
// sensor, that of the session is taken; in a segment's it was part of the key.
func (a *appending) missing(list []cowrie.StoredSighting) error {
	sightings := make([]*cowrie.Sighting, len(list))
	for i := range list {
		sightings[i] = &list[i].Sighting
	}
	sensors, err := a.sensorsOf(sightings)
	if err != nil {
		return err
	}
	for i := range sightings {
		s, p := sightings[i], list[i].Place
		row := sightingRow{Sighting: s, segment: p.Segment, raw: p.Raw, key: sightingKey(s)}
		if s.Event = p.Index; s.Sensor == "" {
			if s.Sensor = sensors[s.Session]; p.Segment != 0 {
				row.key = sightingKey(s)
			}
		}
		a.sightings = append(a.sightings, row)
	}
	return nil
}

// remakeFile makes the row of a file anew out of its sightings.
func (a *appending) remakeFile(shasum string) error {
	var file *cowrie.File
	if err := a.each(storedSighting+` WHERE shasum = $1`, []any{shasum}, func(scan func(...any) error) error {
		row := &cowrie.StoredSighting{}
		if err := scanStored(scan, row); err != nil {
			return err
		}
		if one := cowrie.NewFile(&row.Sighting); file == nil {
			file = one
		} else {
			file.Add(one)
		}
		return nil
	}); err != nil {
		return err
	}
	delete(a.files, shasum)
	if file == nil {
		for _, table := range []string{"files", "file_sums"} {
			if err := a.exec(`DELETE FROM `+table+` WHERE shasum = $1`, shasum); err != nil {
				return err
			}
		}
		return a.changedFile(shasum)
	}
	a.files[shasum] = file // so that its verdicts are shown
	if err := a.writeFiles(file); err != nil {
		return err
	}
	return a.remakeFileSums(file)
}
