package store

import (
	"context"
	"database/sql"

	"midden/internal/cowrie"
)

// Snapshot is the database as it is at one moment, for looking at all of it
// while others write. It is not to be used by several goroutines.
type Snapshot struct {
	s  *Store
	tx *sql.Tx
}

// Snapshot returns the database as it is now. It is to be closed.
func (s *Store) Snapshot(ctx context.Context) (*Snapshot, error) {
	tx, err := s.engine.Scan.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	return &Snapshot{s, tx}, s.explain(err)
}

// Close lets go of the snapshot.
func (sn *Snapshot) Close() { sn.tx.Rollback() }

func (sn *Snapshot) each(ctx context.Context, query string, args []any, f func(scan func(...any) error) error) error {
	return sn.s.eachOf(ctx, sn.tx, query, args, f)
}

const storedSighting = `SELECT id, shasum, session_id, sensor, src_ip, kind, seen_at, filename, destfile, download_url, outfile,
	duplicate, coalesce(segment_id, 0), coalesce(event_index, 0), coalesce(raw_event_id, 0), sighting_key FROM file_sightings`

func scanStored(scan func(...any) error, row *cowrie.StoredSighting) error {
	*row = cowrie.StoredSighting{}
	var kept *string
	var key sql.RawBytes
	if err := scan(&row.ID, &row.Shasum, &row.Session, scanText{&row.Sensor}, scanText{&row.SrcIP}, &row.Kind, scanTime{&row.SeenAt},
		scanText{&row.Filename}, scanText{&row.Destfile}, scanText{&row.URL}, &kept, &row.Duplicate, &row.Place.Segment,
		&row.Place.Index, &row.Place.Raw, &key); err != nil {
		return err
	}
	row.Outfile = outfile(kept, row.Shasum)
	want := sightingKey(&row.Sighting)
	if row.Sound = string(key) == string(want[:]); !row.Sound {
		// The sensor may be known from the session alone.
		plain := row.Sighting
		plain.Sensor = ""
		want = sightingKey(&plain)
		row.Sound = string(key) == string(want[:])
	}
	return nil
}

// Sightings calls f for every sighting, in no order. It is valid until the next.
func (sn *Snapshot) Sightings(ctx context.Context, f func(*cowrie.StoredSighting) error) error {
	row := &cowrie.StoredSighting{}
	return sn.each(ctx, storedSighting, nil, func(scan func(...any) error) error {
		if err := scanStored(scan, row); err != nil {
			return err
		}
		return f(row)
	})
}

// SameSighting returns the stored sighting that is this one, wherever its event
// stands; nil if there is none. raw says that it comes from a raw event, of which
// the log may have had another text.
func (sn *Snapshot) SameSighting(ctx context.Context, s *cowrie.Sighting, raw bool) (found *cowrie.StoredSighting, err error) {
	key := sightingKey(s)
	err = sn.each(ctx, storedSighting+` WHERE shasum = $1 AND seen_at IS NOT DISTINCT FROM $2 AND session_id = $3`,
		[]any{s.Shasum, timeText(s.SeenAt), s.Session}, func(scan func(...any) error) error {
			row := &cowrie.StoredSighting{}
			if err := scanStored(scan, row); err != nil {
				return err
			}
			told := *s
			if told.Sensor == "" {
				told.Sensor = row.Sensor // the loader was told the sensor
			}
			have := sightingKey(&row.Sighting)
			same := row.Sound && (have == key || have == sightingKey(&told))
			alike := raw && row.Segment != 0 && s.SeenAt != cowrie.NoTime && row.Kind == s.Kind
			if same || alike {
				found = row
			}
			return nil
		})
	return found, err
}

// HasVerdict reports whether a verdict is stored.
func (sn *Snapshot) HasVerdict(ctx context.Context, v *cowrie.Verdict) (found bool, err error) {
	err = sn.tx.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM file_verdicts WHERE shasum = $1 AND source = $2 AND observed_at = $3)`,
		v.Shasum, v.Source, v.ObservedAt.String()).Scan(&found)
	return found, sn.s.explain(err)
}

// Job returns how far a job is.
func (sn *Snapshot) Job(ctx context.Context, name string) (*cowrie.Job, error) {
	return sn.s.jobOf(ctx, sn.tx, name)
}

// LastRawEvent returns the highest id of a raw event; 0 if there is none.
func (sn *Snapshot) LastRawEvent(ctx context.Context) (id int64, err error) {
	if sn.s.engine.Raw == nil {
		return 0, nil
	}
	err = sn.tx.QueryRowContext(ctx, `SELECT coalesce(max(id), 0) FROM raw_events`).Scan(&id)
	return id, sn.s.explain(err)
}

// Bytes returns about how many bytes of events there are, raw events with
// after < id <= through among them: reckoned from a sample of the latter.
func (sn *Snapshot) Bytes(ctx context.Context, after, through int64) (n int64, err error) {
	err = sn.tx.QueryRowContext(ctx, `SELECT coalesce(sum(text_size), 0) FROM event_segments`).Scan(&n)
	if err != nil || sn.s.engine.Raw == nil || through <= after {
		return n, sn.s.explain(err)
	}
	var mean sql.NullFloat64
	err = sn.tx.QueryRowContext(ctx, `SELECT avg(length(payload)) FROM raw_events WHERE id IN
		(SELECT * FROM (SELECT id FROM raw_events WHERE id > ?1 ORDER BY id LIMIT 500)) OR id IN
		(SELECT * FROM (SELECT id FROM raw_events WHERE id <= ?2 ORDER BY id DESC LIMIT 500))`, after, through).Scan(&mean)
	return n + int64(mean.Float64*float64(through-after)), sn.s.explain(err)
}

// RawEvents calls f for each raw event with after < id <= through, in order of
// id: all of them, whatever an index says of them.
func (sn *Snapshot) RawEvents(ctx context.Context, after, through int64, f func(*cowrie.RawEvent) error) error {
	if sn.s.engine.Raw == nil {
		return nil
	}
	e := &cowrie.RawEvent{}
	return sn.each(ctx, `SELECT id, payload FROM raw_events NOT INDEXED WHERE id > ?1 AND id <= ?2 ORDER BY id`, []any{after, through},
		func(scan func(...any) error) error {
			if err := scan(&e.ID, (*sql.RawBytes)(&e.Payload)); err != nil {
				return err
			}
			defer done(&e.Payload)
			return f(e)
		})
}

// Segments calls f for one segment, or if id is 0 for each, in order of id.
func (sn *Snapshot) Segments(ctx context.Context, id int64, f func(*cowrie.Segment) error) error {
	if id != 0 {
		return sn.segment(ctx, id, f)
	}
	// One at a time: f may ask the snapshot for more.
	for {
		var ids []int64
		err := sn.each(ctx, `SELECT id FROM event_segments WHERE id > $1 ORDER BY id LIMIT 1000`, []any{id}, func(scan func(...any) error) error {
			err := scan(&id)
			ids = append(ids, id)
			return err
		})
		if err != nil || len(ids) == 0 {
			return err
		}
		for _, one := range ids {
			if err := sn.segment(ctx, one, f); err != nil {
				return err
			}
		}
	}
}

// segment calls f for a segment, if there is one.
func (sn *Snapshot) segment(ctx context.Context, id int64, f func(*cowrie.Segment) error) error {
	var seg *cowrie.Segment
	err := sn.each(ctx, `SELECT id, source_id, event_count, first_event_at, last_event_at, text_size, checksum, events
		FROM event_segments WHERE id = $1`, []any{id}, func(scan func(...any) error) error {
		seg = &cowrie.Segment{}
		var packed sealed
		if err := scan(&seg.ID, &seg.Source, &seg.Events, scanTime{&seg.First}, scanTime{&seg.Last}, &packed.size,
			&packed.checksum, (*sql.RawBytes)(&packed.blob)); err != nil {
			return err
		}
		seg.Text, seg.Damage = sn.s.seal.open(seg.ID, &packed)
		return nil
	})
	if err != nil || seg == nil {
		return err
	}
	defer done(&seg.Text)
	return f(seg)
}

// Dropped returns the segments that were dropped, and from when to when their events were.
func (sn *Snapshot) Dropped(ctx context.Context) (segments map[int64]cowrie.Span, err error) {
	segments = map[int64]cowrie.Span{}
	err = sn.each(ctx, `SELECT id, first_event_at, last_event_at FROM dropped_segments`, nil, func(scan func(...any) error) error {
		var id int64
		var span cowrie.Span
		err := scan(&id, scanTime{&span.From}, scanTime{&span.To})
		segments[id] = span
		return err
	})
	return segments, err
}

// Days calls day for what is counted of each day and sensor, but for its logins, and
// login for those. What they are given is valid until the next.
func (sn *Snapshot) Days(ctx context.Context, day func(*cowrie.SensorDay) error, login func(cowrie.DayKey, *cowrie.Login) error) error {
	if err := sn.each(ctx, sensorDays, nil, func(scan func(...any) error) error {
		d, err := scanSensorDay(scan)
		if err != nil {
			return err
		}
		return day(d)
	}); err != nil {
		return err
	}
	var key cowrie.DayKey
	l := &cowrie.Login{}
	return sn.each(ctx, `SELECT day, sensor, username, password, attempts, successes FROM login_stats`, nil,
		func(scan func(...any) error) error {
			if err := scan(scanDay{&key.Day}, &key.Sensor, &l.Username, &l.Password, &l.Attempts, &l.Successes); err != nil {
				return err
			}
			return login(key, l)
		})
}

// Sources calls f for what is noted of each source.
func (sn *Snapshot) Sources(ctx context.Context, f func(*cowrie.SourceCount) error) error {
	return sn.each(ctx, `SELECT s.id, lines, events, duplicates, dead_letters, blank, coalesce(n, 0), coalesce(dropped, 0) FROM sources s
		LEFT JOIN (SELECT source_id, count(*) AS n FROM dead_letter_events GROUP BY source_id) d ON d.source_id = s.id
		LEFT JOIN (SELECT source_id, sum(event_count) AS dropped FROM dropped_segments GROUP BY source_id) e ON e.source_id = s.id ORDER BY s.id`, nil,
		func(scan func(...any) error) error {
			c := &cowrie.SourceCount{}
			if err := scan(&c.ID, &c.Lines, &c.Events, &c.Duplicates, &c.DeadLetters, &c.Blank, &c.Letters, &c.Dropped); err != nil {
				return err
			}
			return f(c)
		})
}

// filesAtOnce is how many rows of files are held at once.
const filesAtOnce = 2000

// Files calls f for each file, in order of hash: as it is stored, and as its
// sightings say that it should be. Either is nil where there is none.
func (sn *Snapshot) Files(ctx context.Context, f func(stored, derived *cowrie.File) error) error {
	after, more := "", true
	for more {
		var stored []*cowrie.File
		err := sn.each(ctx, `SELECT `+derivedColumns+` FROM files WHERE shasum > $1 ORDER BY shasum LIMIT $2`, []any{after, filesAtOnce},
			func(scan func(...any) error) error {
				file, err := scanDerived(scan)
				stored = append(stored, file)
				return err
			})
		if err != nil {
			return err
		}
		where, args := `shasum > $1`, []any{after}
		if more = len(stored) == filesAtOnce; more {
			after = stored[len(stored)-1].Shasum
			where, args = where+` AND shasum <= $2`, append(args, after)
		}
		if err := sn.filesOf(ctx, stored, where, args, f); err != nil {
			return err
		}
	}
	return nil
}

// filesOf calls f for some files, in order of hash, and for those that sightings
// name which fit a condition.
func (sn *Snapshot) filesOf(ctx context.Context, stored []*cowrie.File, where string, args []any, f func(stored, derived *cowrie.File) error) error {
	// Those before a hash have no sightings.
	upTo := func(shasum string) error {
		for len(stored) > 0 && stored[0].Shasum < shasum {
			if err := f(stored[0], nil); err != nil {
				return err
			}
			stored = stored[1:]
		}
		return nil
	}
	end := func(derived *cowrie.File) error {
		if derived == nil {
			return nil
		}
		if err := upTo(derived.Shasum); err != nil {
			return err
		}
		if len(stored) == 0 || stored[0].Shasum != derived.Shasum {
			return f(nil, derived)
		}
		err := f(stored[0], derived)
		stored = stored[1:]
		return err
	}
	var file *cowrie.File
	row := &cowrie.StoredSighting{}
	err := sn.each(ctx, storedSighting+` WHERE `+where+` ORDER BY shasum`, args, func(scan func(...any) error) error {
		if err := scanStored(scan, row); err != nil {
			return err
		}
		one := cowrie.NewFile(&row.Sighting)
		if file != nil && file.Shasum == one.Shasum {
			file.Add(one)
			return nil
		}
		err := end(file)
		file = one
		return err
	})
	if err == nil {
		err = end(file)
	}
	for err == nil && len(stored) > 0 { // behind all that have sightings
		err = f(stored[0], nil)
		stored = stored[1:]
	}
	return err
}

// derivedColumns are the columns of files that follow from sightings.
const derivedColumns = `shasum, session_id, filename, filename_at, download_url, download_url_at, first_seen, last_seen,
	sighting_count, disk_only`

func scanDerived(scan func(...any) error) (*cowrie.File, error) {
	f := &cowrie.File{}
	err := scan(&f.Shasum, scanText{&f.Session}, scanText{&f.Name}, scanTime{&f.NameAt},
		scanText{&f.URL}, scanTime{&f.URLAt}, scanTime{&f.First}, scanTime{&f.Last}, &f.Sightings, &f.DiskOnly)
	return f, err
}
