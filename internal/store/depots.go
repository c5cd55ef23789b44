package store

import (
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"math"
	"strconv"

	"midden/internal/cowrie"
)

// Depot returns what is noted of a depot, and notes it if it is new.
func (s *Store) Depot(ctx context.Context, path, sensor string) (*cowrie.Depot, error) {
	d, err := s.depot(ctx, path, sensor)
	if !errors.Is(err, sql.ErrNoRows) {
		return d, err
	}
	err = s.inTx(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO depots (path, sensor) VALUES ($1, $2) ON CONFLICT DO NOTHING`, path, sensor)
		return err
	})
	if err != nil {
		return nil, err
	}
	return s.depot(ctx, path, sensor)
}

func (s *Store) depot(ctx context.Context, path, sensor string) (*cowrie.Depot, error) {
	d := &cowrie.Depot{Path: path, Sensor: sensor}
	var inode sql.NullString
	var size, modTime sql.NullInt64
	err := s.db.QueryRowContext(ctx, `SELECT id, inode, size, mod_time, (SELECT count(*) FROM depot_entries WHERE depot_id = d.id)
		FROM depots d WHERE path = $1 AND sensor = $2`, path, sensor).Scan(&d.ID, &inode, &size, &modTime, &d.Entries)
	if inode.Valid {
		d.Archive = cowrie.FileID{Inode: inodeOf(inode.String), Size: size.Int64, ModTime: modTime.Int64}
	}
	return d, s.explain(err)
}

func inodeOf(text string) uint64 {
	n, _ := strconv.ParseUint(text, 10, 64)
	return n
}

// Depots calls f for each depot.
func (s *Store) Depots(ctx context.Context, f func(*cowrie.Depot) error) error {
	return s.each(ctx, `SELECT id, path, sensor FROM depots ORDER BY path, sensor`, nil, func(scan func(...any) error) error {
		d := &cowrie.Depot{}
		if err := scan(&d.ID, &d.Path, &d.Sensor); err != nil {
			return err
		}
		return f(d)
	})
}

const depotEntry = `SELECT name, inode, size, mod_time, shasum, problem FROM depot_entries`

func scanDepotEntry(scan func(...any) error) (e cowrie.DepotEntry, err error) {
	var name []byte
	var inode string
	err = scan(&name, &inode, &e.Size, &e.ModTime, scanText{&e.Shasum}, scanText{&e.Problem})
	e.Name, e.Inode = string(name), inodeOf(inode)
	return e, err
}

// DepotEntries returns those of the named entries that are noted, by name.
func (s *Store) DepotEntries(ctx context.Context, d *cowrie.Depot, names []string) (map[string]cowrie.DepotEntry, error) {
	noted := make(map[string]cowrie.DepotEntry, len(names))
	if d.Entries == 0 {
		return noted, nil
	}
	ids := make([]any, len(names))
	for i, name := range names {
		ids[i] = []byte(name)
	}
	err := s.inLists(ids, func(list string, args []any) error {
		return s.each(ctx, depotEntry+` WHERE depot_id = ? AND name `+list, append([]any{d.ID}, args...), func(scan func(...any) error) error {
			e, err := scanDepotEntry(scan)
			noted[e.Name] = e
			return err
		})
	})
	return noted, err
}

// EachDepotEntry calls f for each entry of a depot that is noted, in order of name.
func (s *Store) EachDepotEntry(ctx context.Context, d *cowrie.Depot, f func(*cowrie.DepotEntry) error) error {
	return s.each(ctx, depotEntry+` WHERE depot_id = $1 ORDER BY name`, []any{d.ID}, func(scan func(...any) error) error {
		e, err := scanDepotEntry(scan)
		if err != nil {
			return err
		}
		return f(&e)
	})
}

// AddFound stores what was found in a depot, in one transaction: the entries,
// sightings on disk, files that nobody knew, and the facts of contents.
func (s *Store) AddFound(ctx context.Context, d *cowrie.Depot, found []cowrie.Found) (tally cowrie.ScanTally, err error) {
	err = s.adding(ctx, func(a *appending) error {
		if err := a.diskSightings(d.Sensor, found); err != nil {
			return err
		}
		if err := a.flushFiles(); err != nil {
			return err
		}
		facts, err := a.contents(found)
		if err != nil {
			return err
		}
		a.depotEntries(d, found)
		tally = cowrie.ScanTally{Files: a.tally.Files, Sightings: a.tally.Sightings, Facts: facts}
		Reached("scan: before commit")
		return nil
	})
	if err != nil {
		return cowrie.ScanTally{}, err
	}
	Reached("scan: after commit")
	return tally, nil
}

// diskSightings stores that contents lie on the disk of a sensor. A content that
// lies there more than once was seen at the earliest time of them.
func (a *appending) diskSightings(sensor string, found []cowrie.Found) error {
	earliest := map[string]*cowrie.Sighting{}
	for i := range found {
		f := &found[i]
		if f.Content == nil {
			continue
		}
		if have := earliest[f.Content.Shasum]; have != nil {
			have.SeenAt = cowrie.Earliest(have.SeenAt, f.SeenAt)
			continue
		}
		earliest[f.Content.Shasum] = &cowrie.Sighting{Shasum: f.Content.Shasum, Kind: cowrie.Disk, SeenAt: f.SeenAt, Sensor: sensor}
	}
	stored, err := a.storedOnDisk(earliest)
	if err != nil {
		return err
	}
	insert := a.insert("file_sightings", "shasum", "session_id", "sensor", "kind", "seen_at", "sighting_key")
	for _, shasum := range sortedKeys(earliest) {
		sighting := earliest[shasum]
		have, known := stored[shasum]
		switch {
		case !known:
			a.tally.Sightings++
			a.added = append(a.added, addedSighting{Sighting: sighting})
			a.files[shasum] = cowrie.NewFile(sighting)
			key := sightingKey(sighting)
			insert.row(shasum, "", orNull(sensor), string(cowrie.Disk), timeText(sighting.SeenAt), key[:])
			if err := a.changedSighting("", key[:]); err != nil {
				return err
			}
		case have.SeenAt != sighting.SeenAt && cowrie.Earliest(have.SeenAt, sighting.SeenAt) == sighting.SeenAt:
			if err := a.exec(`UPDATE file_sightings SET seen_at = $1 WHERE session_id = '' AND id = $2`, timeText(sighting.SeenAt), have.ID); err != nil {
				return err
			}
			var diskOnly bool
			if err := a.row(`SELECT disk_only FROM files WHERE shasum = $1`, []any{shasum}, &diskOnly); err != nil {
				return err
			}
			if !diskOnly {
				continue // its times are those of events
			}
			if err := a.remakeFile(shasum); err != nil {
				return err
			}
			delete(a.files, shasum) // it is written
		}
	}
	insert.done()
	return nil
}

// storedOnDisk returns which of some sightings on disk are stored, by hash.
func (a *appending) storedOnDisk(sightings map[string]*cowrie.Sighting) (map[string]cowrie.StoredSighting, error) {
	stored := map[string]cowrie.StoredSighting{}
	var keys []any
	for _, s := range sightings {
		key := sightingKey(s)
		keys = append(keys, key[:])
	}
	err := a.s.inLists(keys, func(list string, args []any) error {
		return a.each(`SELECT id, shasum, seen_at FROM file_sightings WHERE session_id = '' AND sighting_key `+list, args, func(scan func(...any) error) error {
			var row cowrie.StoredSighting
			if err := scan(&row.ID, &row.Shasum, scanTime{&row.SeenAt}); err != nil {
				return err
			}
			stored[row.Shasum] = row
			return nil
		})
	})
	return stored, err
}

// contents stores what contents are, of files that lack it, and returns of how many.
func (a *appending) contents(found []cowrie.Found) (n int64, err error) {
	contents := map[string]*cowrie.Content{}
	for i := range found {
		if c := found[i].Content; c != nil {
			contents[c.Shasum] = c
		}
	}
	var ids []any
	for shasum := range contents {
		ids = append(ids, shasum)
	}
	var lacking []string
	err = a.s.inLists(ids, func(list string, args []any) error {
		return a.each(`SELECT shasum FROM files WHERE md5 IS NULL AND shasum `+list, args, func(scan func(...any) error) error {
			var shasum string
			if err := scan(&shasum); err != nil {
				return err
			}
			lacking = append(lacking, shasum)
			return nil
		})
	})
	if err != nil {
		return 0, err
	}
	now := cowrie.FromStd(a.now).String()
	for _, shasum := range lacking {
		c := contents[shasum]
		if err := a.exec(`UPDATE files SET file_size = $1, mime_type = $2, sha1 = $3, md5 = $4, entropy = $5, head = $6,
			interpreter = $7, elf_class = $8, elf_byte_order = $9, elf_machine = $10, elf_linkage = $11, elf_stripped = $12,
			updated_at = $13 WHERE shasum = $14`,
			c.Size, orNull(c.MimeType), c.SHA1, c.MD5, math.Round(c.Entropy*1e4)/1e4, hex.EncodeToString(c.Head), orNull(c.Interpreter),
			orNull64(int64(c.ELFClass), c.ELFClass == 0), orNull(c.ELFOrder), orNull(c.ELFMachine), orNull(c.ELFLinkage),
			c.ELFStripped, now, shasum); err != nil {
			return 0, err
		}
		if err := a.changedFile(shasum); err != nil {
			return 0, err
		}
	}
	return int64(len(lacking)), nil
}

// depotEntries notes entries, so that they need not be read again.
func (a *appending) depotEntries(d *cowrie.Depot, found []cowrie.Found) {
	insert := a.insert("depot_entries", "depot_id", "name", "inode", "size", "mod_time", "shasum", "problem")
	insert.tail = ` ON CONFLICT (depot_id, ` + a.s.engine.Key("name") + `) DO UPDATE SET inode = excluded.inode, size = excluded.size,
		mod_time = excluded.mod_time, shasum = excluded.shasum, problem = excluded.problem`
	for i := range found {
		f := &found[i]
		if f.Unnoted {
			continue
		}
		insert.row(d.ID, []byte(f.Name), strconv.FormatUint(f.Inode, 10), f.Size, f.ModTime,
			orNull(f.Shasum), orNull(f.Problem))
	}
	insert.done()
}

// Forget forgets entries of a depot that are gone.
func (s *Store) Forget(ctx context.Context, d *cowrie.Depot, names []string) error {
	if len(names) == 0 {
		return nil
	}
	return s.adding(ctx, func(a *appending) error {
		for _, name := range names {
			if err := a.exec(`DELETE FROM depot_entries WHERE depot_id = $1 AND name = $2`, d.ID, []byte(name)); err != nil {
				return err
			}
		}
		return nil
	})
}

// Scanned notes that a depot was looked at to its end. archive is what the file
// is, if it is one.
func (s *Store) Scanned(ctx context.Context, d *cowrie.Depot, archive cowrie.FileID) error {
	return s.adding(ctx, func(a *appending) error {
		var inode, size, modTime any
		if archive != (cowrie.FileID{}) {
			inode, size, modTime = strconv.FormatUint(archive.Inode, 10), archive.Size, archive.ModTime
		}
		return a.exec(`UPDATE depots SET inode = $1, size = $2, mod_time = $3, scanned_at = $4 WHERE id = $5`,
			inode, size, modTime, cowrie.FromStd(a.now).String(), d.ID)
	})
}

// Capture is a file of which logs and disks do not say the same.
type Capture struct {
	Shasum, Sensor string
	First, Last    cowrie.Time
	Sightings      int64
	Size           *int64
	MimeType       string
}

// Missing calls f for each file that a sensor's log names and its disk does not
// have. Sensors of which no depot was scanned to its end are left out; a depot of no sensor
// may be any's.
func (s *Store) Missing(ctx context.Context, sensor string, f func(*Capture) error) error {
	return s.captures(ctx, `SELECT s.shasum, s.sensor, min(s.seen_at), max(s.seen_at), count(*), NULL, NULL FROM file_sightings s
		WHERE s.kind <> 'disk' AND s.shasum <> $1 AND ($2 = '' OR s.sensor = $2)
			AND EXISTS (SELECT 1 FROM depots p WHERE p.scanned_at IS NOT NULL AND (p.sensor = '' OR s.sensor IS NULL OR p.sensor = s.sensor))
			AND NOT EXISTS (SELECT 1 FROM file_sightings d WHERE d.shasum = s.shasum AND d.kind = 'disk'
				AND (d.sensor IS NULL OR s.sensor IS NULL OR d.sensor = s.sensor))
		GROUP BY s.shasum, s.sensor ORDER BY max(s.seen_at) DESC NULLS LAST, s.shasum, s.sensor NULLS FIRST`, []any{cowrie.EmptyShasum, sensor}, f)
}

// Unlogged calls f for each file that was found on a disk and that no log names.
func (s *Store) Unlogged(ctx context.Context, sensor string, f func(*Capture) error) error {
	return s.captures(ctx, `SELECT s.shasum, s.sensor, s.seen_at, s.seen_at, 1, f.file_size, f.mime_type
		FROM files f JOIN file_sightings s ON s.shasum = f.shasum
		WHERE f.disk_only AND ($1 = '' OR s.sensor = $1) ORDER BY s.seen_at DESC NULLS LAST, s.shasum, s.sensor NULLS FIRST`, []any{sensor}, f)
}

func (s *Store) captures(ctx context.Context, query string, args []any, f func(*Capture) error) error {
	return s.each(ctx, query, args, func(scan func(...any) error) error {
		c := &Capture{}
		if err := scan(&c.Shasum, scanText{&c.Sensor}, scanTime{&c.First}, scanTime{&c.Last}, &c.Sightings, &c.Size,
			scanText{&c.MimeType}); err != nil {
			return err
		}
		return f(c)
	})
}
