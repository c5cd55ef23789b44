// Package sqlite opens a database that is a file.
//
// A path comes in, a store goes out. What SQLite needs to be told stands here:
// how a new file is made, how connections are set up, what its errors mean.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"midden/internal/store"
	"midden/internal/store/migrate"
)

// Options say how to open a database.
type Options struct {
	Create bool // if there is none, make one
	Write  bool // what is opened for is to write
	Copy   bool // it is to be filled with another one, and may be half full
}

// Open opens the database at path. The error is a *store.SchemaError if it
// is of a version that this program cannot use.
func Open(ctx context.Context, path string, o Options) (*store.Store, error) {
	journal := hasJournal(path) // asked first: somebody may be making the database now
	info, err := os.Stat(path)
	isNew := errors.Is(err, fs.ErrNotExist) || err == nil && info.Size() == 0
	if isNew && o.Create && journal {
		return nil, fmt.Errorf("there is a journal %s-wal without its database, and SQLite would write it into a new one: put the database back, or move the journal away", path)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist) && o.Create:
		if err := create(ctx, path); err != nil {
			return nil, fmt.Errorf("create database %s: %w", path, explain(err))
		}
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("there is no database %s: \"midden load\" makes one, --db names another", path)
	case err != nil:
		return nil, fmt.Errorf("open database: %w", err)
	case info.IsDir():
		return nil, fmt.Errorf("open database %s: it is a directory", path)
	case info.Size() == 0 && o.Create:
		if err := migrateAt(ctx, path); err != nil {
			return nil, fmt.Errorf("create database %s: %w", path, explain(err))
		}
	}
	pageSize, err := usable(ctx, path, o.Copy)
	if err != nil {
		return nil, explain(err)
	}
	if o.Write && onReadOnly(path) {
		return nil, fmt.Errorf("open database %s: its file system is read-only, so nothing can be stored", path)
	}
	q := maps.Clone(settings)
	still := unchanging(path)
	q["_pragma"] = append(slices.Clone(q["_pragma"]), fmt.Sprintf("wal_autocheckpoint(%d)", checkpointBytes/pageSize))
	if !o.Write {
		// Reading through a map of the file is nearly twice as fast. Who writes
		// gains nothing by it, and the map counts as memory.
		q["_pragma"] = append(slices.Clone(q["_pragma"]), "mmap_size(1073741824)")
		maps.Copy(q, still)
	}
	db, err := connect(path, q)
	if err != nil {
		return nil, err
	}
	raw, err := rawEvents(ctx, db)
	if err != nil {
		db.Close()
		return nil, explain(err)
	}
	toScan := url.Values{"mode": {"ro"}, "_pragma": {"busy_timeout(10000)", "cache_size(-1024)"}}
	maps.Copy(toScan, still)
	scan, err := connect(path, toScan)
	if err != nil {
		db.Close()
		return nil, err
	}
	return store.New(db, store.Engine{
		Explain: explain,
		Insert:  "INSERT OR ROLLBACK",
		// For ASCII letters case does not count in SQLite.
		Like:         "LIKE",
		NextSegments: `SELECT 1 + max((SELECT coalesce(max(id), 0) FROM event_segments), (SELECT coalesce(max(id), 0) FROM dropped_segments)) WHERE $1 > 0`,
		Key:          func(column string) string { return column },
		Columns:      columns,
		Empty:        "DELETE FROM",
		Changes:      `PRAGMA data_version`,
		WriteBack:    `PRAGMA wal_checkpoint(PASSIVE)`,
		LoginKey:     "username, password",
		Damage:       func(ctx context.Context) ([]string, error) { return damage(ctx, db) },
		Scan:         scan,
		Hold:         func(l store.Lock, what string) (func(), error) { return hold(path, l, what) },
		Raw:          raw,
	})
}

// columns asks for the columns of a table.
const columns = `SELECT name, type, pk, hidden <> 0 FROM pragma_table_xinfo($1) ORDER BY cid`

// unchanging returns the settings for a database that nobody can change, since its file
// system is read-only. SQLite writes beside others even to read them: who reads is noted
// there. What stands in a journal it could not read.
func unchanging(path string) url.Values {
	if !onReadOnly(path) {
		return nil
	}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	if hasJournal(path) {
		return nil
	}
	return url.Values{"immutable": {"1"}}
}

// hasJournal reports whether something stands in the journal of a database.
func hasJournal(path string) bool {
	info, err := os.Stat(path + "-wal")
	return err == nil && info.Size() > 0
}

func onReadOnly(path string) bool { return unix.Access(path, unix.W_OK) == unix.EROFS }

// damage returns what SQLite finds damaged.
func damage(ctx context.Context, db *sql.DB) (found []string, err error) {
	rows, err := db.QueryContext(ctx, `PRAGMA quick_check(10)`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			return found, err
		}
		if line != "ok" {
			found = append(found, line)
		}
	}
	return found, rows.Err()
}

// rawEvents says how the raw events of a database that was taken over are
// found; nil if there is no such table.
func rawEvents(ctx context.Context, db *sql.DB) (*store.Raw, error) {
	rows, err := db.QueryContext(ctx, `SELECT coalesce(i.name, '') FROM sqlite_master t
		LEFT JOIN pragma_index_list('raw_events') l ON l.partial = 0
		LEFT JOIN pragma_index_info(l.name) i ON i.seqno = 0
		WHERE t.type = 'table' AND t.name = 'raw_events'`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var raw *store.Raw
	for rows.Next() {
		if raw == nil {
			raw = &store.Raw{Session: migrate.SessionExpression, Time: migrate.TimeExpression, Generation: "source_generation"}
		}
		var column string
		if err := rows.Scan(&column); err != nil {
			return nil, err
		}
		switch column {
		case "event_type":
			raw.ByType = true
		case "session_id":
			raw.Session = column
		case "event_timestamp":
			raw.Time = column
		}
	}
	return raw, rows.Err()
}

// checkpointBytes is how long the journal may become before it is written back.
// Pages that change often are written back once; shorter, and a load over a
// database of small pages would do little else.
const checkpointBytes = 128 << 20

// usable looks at the version of a database without changing anything in it:
// even a setting could. It returns the size of its pages, in bytes. unfinished
// allows for a copy that is not finished.
func usable(ctx context.Context, path string, unfinished bool) (pageSize int, err error) {
	q := url.Values{"mode": {"ro"}, "_pragma": {"busy_timeout(10000)"}}
	maps.Copy(q, unchanging(path))
	db, err := connect(path, q)
	if err != nil {
		return 0, err
	}
	defer db.Close()
	version, err := migrate.Version(ctx, db)
	switch {
	case errors.Is(err, migrate.ErrForeign) || isCode(err, sqlite3.SQLITE_NOTADB):
		return 0, &store.SchemaError{Database: path, Version: -1, Latest: migrate.Latest}
	case err != nil:
		return 0, err
	case version != migrate.Latest:
		return 0, &store.SchemaError{Database: path, Version: version, Latest: migrate.Latest}
	}
	if !unfinished {
		if err := store.Finished(ctx, db, path); err != nil {
			return 0, err
		}
	}
	err = db.QueryRowContext(ctx, `PRAGMA page_size`).Scan(&pageSize)
	return pageSize, err
}

// create makes a database under another name and gives it its own when it is
// whole: nobody ever sees half of one, and of two that do so at once one wins.
func create(ctx context.Context, path string) error {
	dir, err := os.MkdirTemp(filepath.Dir(path), ".midden-new-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	made := filepath.Join(dir, "new.db")
	if err := migrateAt(ctx, made); err != nil {
		return err
	}
	if err := os.Link(made, path); err == nil || errors.Is(err, fs.ErrExist) {
		return nil
	}
	// Some file systems have no links.
	return os.Rename(made, path)
}

// migrateAt makes the tables in a new or empty file that only its owner may
// read: it holds attackers' passwords and what they did.
func migrateAt(ctx context.Context, path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	db, err := connect(path, settings)
	if err != nil {
		return err
	}
	defer db.Close()
	if err := migrate.Create(ctx, db); err != nil {
		return err
	}
	// Closing would write the journal back as well, and say nothing if it cannot.
	var busy, frames, done int64
	err = db.QueryRowContext(ctx, `PRAGMA wal_checkpoint(TRUNCATE)`).Scan(&busy, &frames, &done)
	if err == nil && busy != 0 {
		err = errors.New("another process has it open already")
	}
	return err
}

// Settings of every connection. The page size counts only where a file is
// made, and only before the journal mode is set: the driver sorts what stands
// under _pragma, and sets _journal_mode after it. With NORMAL a power cut may
// take the last transactions with it, but never a part of one.
var settings = url.Values{"_txlock": {"immediate"}, "_journal_mode": {"WAL"}, "_pragma": {
	"page_size(16384)",
	"busy_timeout(10000)",
	"synchronous(normal)",
	"cache_size(2048)",
	"journal_size_limit(67108864)",
	"temp_store(memory)",
	"foreign_keys(off)",
}}

func connect(path string, q url.Values) (*sql.DB, error) {
	if strings.HasPrefix(path, "/") {
		path = "//" + path
	}
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath()+"?"+q.Encode())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(4)
	return db, nil
}

func isCode(err error, code int) bool {
	var e *sqlite.Error
	return errors.As(err, &e) && e.Code()&0xff == code
}

// explain says in plain words what the common errors of SQLite mean.
func explain(err error) error {
	switch {
	case isCode(err, sqlite3.SQLITE_FULL):
		return fmt.Errorf("the disk is full: make room and run the same command again, it goes on where it was (%w)", err)
	case isCode(err, sqlite3.SQLITE_READONLY):
		return fmt.Errorf("the database cannot be written: check the rights of the file and of its directory, where SQLite writes even when it reads (%w)", err)
	case isCode(err, sqlite3.SQLITE_CANTOPEN):
		return fmt.Errorf("the database cannot be opened: check the rights of the file and of its directory; on a read-only file system it can be read if there is no journal beside it, else read a copy of both (%w)", err)
	case isCode(err, sqlite3.SQLITE_BUSY), isCode(err, sqlite3.SQLITE_LOCKED):
		return fmt.Errorf("%w (%w)", store.ErrLocked, err)
	case isCode(err, sqlite3.SQLITE_CORRUPT):
		return fmt.Errorf("the database is damaged: restore a copy, or recover what can be read with \"sqlite3 DB .recover\" (%w)", err)
	case isCode(err, sqlite3.SQLITE_IOERR):
		return fmt.Errorf("the disk failed: what was committed is safe, run the same command again when the disk is well (%w)", err)
	}
	return err
}
