package cowrieprocessor

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"time"
)

// LoadOptions say how a log is loaded.
type LoadOptions struct {
	Inode string    // of the file; "" is stored as NULL
	Delta bool      // only what is new since the last delta load; otherwise all of it
	At    time.Time // when; the zero time is now
}

// Load loads the lines of a log as the tool did, faults included.
//
// A bulk load stores all lines; those that are stored under the same source,
// inode and line number are not stored again, but the counters of their
// sessions are added to all the same. A delta load stores what the cursor of
// the source has not seen, leaves the sensor of new sessions NULL, and puts
// events that are quarantined among the dead letters as well. A line that is
// no event is stored as one by a bulk load, and is a dead letter in a delta
// load. The sensor is what the lines say.
func Load(ctx context.Context, db *sql.DB, source string, lines [][]byte, o LoadOptions) error {
	if err := load(ctx, db, source, lines, o); err != nil {
		return fmt.Errorf("load %s: %w", source, err)
	}
	return nil
}

func load(ctx context.Context, db *sql.DB, name string, lines [][]byte, o LoadOptions) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if o.At.IsZero() {
		o.At = time.Now()
	}
	var id [16]byte
	rand.Read(id[:])
	s, err := newStore(ctx, tx, hex.EncodeToString(id[:]))
	if err != nil {
		return err
	}
	src, size := &source{name, o.Inode}, bulkBatch
	if o.Delta {
		size = deltaBatch
	}
	at := o.At.UTC().Format(sqlTime)
	c := newCollector(size, "", func(b *batch) error { return s.write(b, at) })
	add := func(offset int, e event) error { return c.add(src, offset, e) }
	if o.Delta {
		known, err := s.cursor(src, at)
		if err != nil {
			return err
		}
		c.open(src, known)
		add = c.addNew
	}
	for offset, line := range lines {
		if e, ok := c.read(line); ok {
			if err := add(offset, e); err != nil {
				return err
			}
		}
	}
	if err := c.close(); err != nil {
		return err
	}
	return tx.Commit()
}

// cursor returns how far the source was read: what a delta load remembered,
// or what its raw events tell, which is then remembered. It returns nil for a
// new source.
func (s *store) cursor(src *source, at string) (*cursor, error) {
	c := &cursor{source: src}
	err := s.tx.QueryRowContext(s.ctx, `
		SELECT coalesce(inode, ''), last_offset, json_extract(metadata_json, '$.generation'),
			coalesce(json_extract(metadata_json, '$.first_hash'), '')
		FROM ingest_cursors WHERE source = ?`, src.name).Scan(&c.inode, &c.last, &c.generation, &c.firstHash)
	if !errors.Is(err, sql.ErrNoRows) {
		return c, err
	}
	generation := "source_generation"
	if !s.generations {
		generation = "0"
	}
	err = s.tx.QueryRowContext(s.ctx, `
		SELECT coalesce(source_inode, ''), `+generation+` AS generation, coalesce(max(source_offset), -1)
		FROM raw_events WHERE source = ?
		GROUP BY source_inode, generation ORDER BY generation DESC LIMIT 1`,
		src.name).Scan(&c.inode, &c.generation, &c.last)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	err = s.tx.QueryRowContext(s.ctx, `
		SELECT payload_hash FROM raw_events
		WHERE source = ? AND source_offset = 0 AND `+generation+` = ? LIMIT 1`,
		src.name, c.generation).Scan(&c.firstHash)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return nil, err
	}
	return c, s.write(&batch{cursor: c}, at)
}
