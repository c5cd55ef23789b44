// Package cowrieprocessor writes databases as cowrieprocessor left them, the
// Python tool that midden succeeds: for tests and benchmarks of the take-over.
//
// Options or the lines of logs come in; a SQLite database with the tool's
// tables goes out, in the forms it used and with what it did wrong. Everything
// in it is invented, as package synth invents logs. It knows nothing of
// midden's own tables, and never writes into a file that is already there.
package cowrieprocessor

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	_ "modernc.org/sqlite" // the driver

	"midden/internal/synth"
)

// Options say what to write. The zero value of a field means its default.
type Options struct {
	Logs    synth.Options // the logs that the tool read
	Version int           // of the tables: 1, 2 or 3 (default 3)

	// Files is the files table that another release left in the database, with
	// rows for the sightings, not all of whose values are of their column's
	// type: "later" for the releases after version 3, whose migration stops
	// half-way and leaves 3 as the version; "oldest" for the scripts before
	// version 1; "" for none.
	Files string

	// Faults has each sensor's first log loaded again, as a copy under another
	// inode, so that its raw events are there twice and the counters of its
	// sessions are too high; and has the last log of a bulk load end in a line
	// that is cut off, which became a raw event.
	Faults bool
}

// Tally counts what was written.
type Tally struct {
	synth.Stats     // of the logs
	Rows        int // raw events: Events + Repeated + Malformed
	Repeated    int // raw events that are there for the second time
	Malformed   int // raw events that are no event
	Quarantined int // raw events that are quarantined
	Doubled     int // sessions that have repeated events
	DeadLetters int // each is the payload of a quarantined raw event
	Cursors     int // sources that were read by delta loads
}

// Write writes a whole database: the tool's tables and a files table if asked
// for, filled from all sensors' logs. A sensor's logs of the days before were
// loaded in bulk, its live one by delta loads; of a single day there is a bulk
// load only. The same options give the same content. If it fails or ctx ends,
// no file is left.
func Write(ctx context.Context, path string, o Options) (Tally, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		return Tally{}, fmt.Errorf("write a database: %w", err)
	}
	tally, err := o.write(ctx, path)
	if err != nil {
		for _, end := range []string{"", "-wal", "-shm"} {
			os.Remove(path + end)
		}
		return Tally{}, fmt.Errorf("write %s: %w", path, err)
	}
	return tally, nil
}

func (o Options) write(ctx context.Context, path string) (Tally, error) {
	o = o.settled()
	if o.Logs.Sensors < 0 {
		return Tally{}, fmt.Errorf("%w: a number below zero", synth.ErrOptions)
	}
	parts, err := o.schema(ctx)
	if err != nil {
		return Tally{}, err
	}
	// Nobody waits for this file: if the machine stops, it is written again.
	db, err := open(path, "page_size(4096)", "journal_mode(OFF)", "synchronous(OFF)", "locking_mode(EXCLUSIVE)",
		"cache_size(-32768)")
	if err != nil {
		return Tally{}, err
	}
	defer db.Close()
	for _, p := range parts {
		if p.kind == "table" {
			if _, err := db.ExecContext(ctx, withoutGenerated(p.sql)); err != nil {
				return Tally{}, fmt.Errorf("create %s: %w", p.name, err)
			}
		}
	}
	if _, err := db.ExecContext(ctx, `INSERT INTO schema_state VALUES ('schema_version', ?)`, fmt.Sprint(o.Version)); err != nil {
		return Tally{}, err
	}
	if _, err := db.ExecContext(ctx, keys); err != nil {
		return Tally{}, err
	}
	tally, err := o.fill(ctx, db)
	if err != nil {
		return Tally{}, err
	}
	if err := finish(ctx, db, parts); err != nil {
		return Tally{}, err
	}
	if err := db.Close(); err != nil {
		return Tally{}, err
	}
	return tally, useLog(ctx, path)
}

// settled returns the options with the defaults filled in that count here.
func (o Options) settled() Options {
	if o.Version == 0 {
		o.Version = Latest
	}
	if o.Logs.Sensors == 0 {
		o.Logs.Sensors = 3
	}
	if o.Logs.Start.IsZero() {
		o.Logs.Start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	if o.Logs.Span == 0 {
		o.Logs.Span = 7 * 24 * time.Hour
	}
	return o
}

// part is a table or an index.
type part struct{ kind, name, sql string }

// schema returns the definitions of a whole database.
func (o Options) schema(ctx context.Context) ([]part, error) {
	db, err := open(":memory:")
	if err != nil {
		return nil, err
	}
	defer db.Close()
	if err := Create(ctx, db, o.Version); err != nil {
		return nil, err
	}
	if o.Files != "" {
		if err := CreateFiles(ctx, db, o.Files); err != nil {
			return nil, err
		}
	}
	rows, err := db.QueryContext(ctx, `SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY rowid`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var parts []part
	for rows.Next() {
		var p part
		if err := rows.Scan(&p.kind, &p.name, &p.sql); err != nil {
			return nil, err
		}
		parts = append(parts, p)
	}
	return parts, rows.Err()
}

// What an index of a generated column holds, keys holds while the database is
// filled. To compute it from the payloads takes as long as all the rest.
const keys = `CREATE TABLE keys (id INTEGER PRIMARY KEY, session_id TEXT, event_type TEXT, event_timestamp TEXT)`

// finish gives the table of raw events its generated columns, which would have
// cost time at every insert, and makes the indexes.
func finish(ctx context.Context, db *sql.DB, parts []part) error {
	var ofKeys, change, rest []string
	for _, p := range parts {
		switch {
		case p.name == "raw_events":
			change = append(change, `UPDATE sqlite_schema SET sql = `+quote(p.sql)+` WHERE name = 'raw_events'`)
		case p.kind == "index" && ofGenerated.MatchString(p.sql):
			ofKeys = append(ofKeys, strings.Replace(p.sql, " ON raw_events ", " ON keys ", 1))
			change = append(change, `UPDATE sqlite_schema SET tbl_name = 'raw_events', sql = `+quote(p.sql)+
				` WHERE name = `+quote(p.name))
		case p.kind == "index":
			rest = append(rest, p.sql)
		}
	}
	// An index of keys is one of raw_events: it has the same values and ids.
	change = append(append([]string{`PRAGMA writable_schema = ON`}, change...), `PRAGMA writable_schema = RESET`, `DROP TABLE keys`)
	for _, s := range slices.Concat(ofKeys, change, rest) {
		if _, err := db.ExecContext(ctx, s); err != nil {
			return fmt.Errorf("%.60s: %w", s, err)
		}
	}
	return nil
}

// useLog turns on the write-ahead log, which the file then remembers.
func useLog(ctx context.Context, path string) error {
	db, err := open(path)
	if err != nil {
		return err
	}
	defer db.Close()
	for _, s := range []string{`PRAGMA journal_mode = WAL`, `PRAGMA wal_checkpoint(TRUNCATE)`} {
		if _, err := db.ExecContext(ctx, s); err != nil {
			return err
		}
	}
	return db.Close()
}

// open opens a database with one connection.
func open(path string, pragmas ...string) (*sql.DB, error) {
	name := path
	if path != ":memory:" {
		name = "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + url.Values{"_pragma": pragmas}.Encode()
	}
	db, err := sql.Open("sqlite", name)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	return db, nil
}

func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
