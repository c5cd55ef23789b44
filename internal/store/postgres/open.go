// Package postgres opens a database of a PostgreSQL server.
//
// A URL comes in, a store goes out. What PostgreSQL needs to be told stands here:
// how its connections are set up, how one writes at a time, what text it cannot
// hold, what its errors mean. Nothing that it says of a database tells a password.
package postgres

import (
	"context"
	"database/sql"
	"fmt"

	"midden/internal/cowrie"
	"midden/internal/store"
	"midden/internal/store/migrate"
)

// Options say how to open a database.
type Options struct {
	Create bool // if there are no tables, make them
	Write  bool // what is opened for is to write
	Copy   bool // it is to be filled with another one, and may be half full
}

// oldest is the first version of PostgreSQL with which it works.
const oldest = 15

// maxConns is how many connections a pool opens at the most.
const maxConns = 4

// Open opens the database that a URL names, as libpq and its environment
// understand it. The error is a *store.SchemaError if it is of a version that this
// program cannot use, and store.ErrUnavailable if it cannot be reached.
func Open(ctx context.Context, url string, o Options) (*store.Store, error) {
	at, err := parse(url)
	if err != nil {
		return nil, err
	}
	db := at.connect(maxConns)
	found, err := at.look(ctx, db)
	if err == nil && found.version == 0 && o.Create {
		if err = at.create(ctx); err == nil {
			found, err = at.look(ctx, db)
		}
	}
	if err == nil {
		err = at.usable(found)
	}
	if err == nil && !o.Copy {
		err = at.explain(store.Finished(ctx, db, at.String()))
	}
	if err != nil {
		db.Close()
		return nil, err
	}
	at.lock.Store(&found.lock)
	claims := &claims{at: at, lock: found.lock}
	return store.New(db, store.Engine{
		Remote:       true,
		Explain:      at.explain,
		Insert:       "INSERT",
		Like:         "ILIKE", // in columns of collation C: of ASCII letters
		NextSegments: `SELECT min(nextval('event_segments_id_seq')) FROM generate_series(1, $1)`,
		Month:        month,
		MakeMonth:    makeMonth,
		Ended:        func(ctx context.Context, before cowrie.Time) ([]any, error) { return ended(ctx, db, before) },
		DropMonth:    dropMonth,
		Key:          func(column string) string { return column + "_key" },
		Columns:      columns,
		Empty:        "TRUNCATE",
		Continue:     continueIDs,
		LoginKey:     "pair_key",
		Damage:       func(ctx context.Context) ([]string, error) { return damage(ctx, db) },
		Array:        array,
		Copy:         copyRows,
		Together:     together,
		Scan:         at.connect(maxConns),
		Hold:         func(l store.Lock, what string) (func(), error) { return at.hold(found.lock, l, what) },
		Claim:        claims.take,
		Release:      claims.release,
		Close:        claims.close,
	})
}

// found is what is known of a database before it is used.
type found struct {
	server  int // the major version of the server
	utf8    bool
	version int // of the tables; 0 if there are none
	lock    lock
}

// look looks at a database and changes nothing.
func (at *address) look(ctx context.Context, db *sql.DB) (f found, err error) {
	var schema sql.NullInt64
	var encoding string
	err = db.QueryRowContext(ctx, `SELECT current_setting('server_version_num')::bigint / 10000, current_setting('server_encoding'),
		coalesce((SELECT relnamespace::bigint FROM pg_class WHERE oid = to_regclass('schema_state')),
			(SELECT oid::bigint FROM pg_namespace WHERE nspname = current_schema()))`).Scan(&f.server, &encoding, &schema)
	if err != nil {
		return f, at.explain(err)
	}
	f.utf8, f.lock = encoding == "UTF8", lock{schema: int32(uint32(schema.Int64))}
	switch {
	case f.server < oldest:
		return f, fmt.Errorf("%s is of PostgreSQL %d: midden needs %d or a later one", at, f.server, oldest)
	case !f.utf8:
		return f, fmt.Errorf("%s has the encoding %s: midden needs a database with the encoding UTF8", at, encoding)
	case !schema.Valid:
		return f, fmt.Errorf("%s has no schema to work in: its search_path names none that is there", at)
	}
	f.version, err = migrate.VersionOnPostgres(ctx, db)
	return f, at.explain(at.schemaError(f.version, err))
}

// schemaError is the error for a version of the tables that cannot be used and
// that nothing here mends.
func (at *address) schemaError(version int, err error) error {
	e := &store.SchemaError{Database: at.String(), Version: version, Latest: migrate.Latest}
	switch {
	case isForeign(err):
		e.Version = -1
	case err != nil:
		return err
	case version == 0, version == migrate.Latest:
		return nil
	case version < migrate.Latest:
		e.Mend = "it is one of cowrieprocessor, which on PostgreSQL is not changed in place: give midden another schema or database"
	}
	return e
}

// usable says what is to be done where there are no tables.
func (at *address) usable(f found) error {
	if f.version == 0 {
		return &store.SchemaError{Database: at.String(), Latest: migrate.Latest,
			Mend: fmt.Sprintf("\"midden migrate --db %s\" makes the tables", at)}
	}
	return nil
}

// damage returns what the server noticed: pages whose checksum was wrong.
func damage(ctx context.Context, db *sql.DB) ([]string, error) {
	var n int64
	err := db.QueryRowContext(ctx, `SELECT coalesce(sum(checksum_failures), 0) FROM pg_stat_database WHERE datname = current_database()`).Scan(&n)
	if n > 0 {
		return []string{fmt.Sprintf("the server found %d pages with a wrong checksum: restore a copy", n)}, err
	}
	return nil, err
}

// columns asks for the columns of a table.
const columns = `SELECT a.attname::text, format_type(a.atttypid, NULL), coalesce(array_position(i.indkey::int2[], a.attnum) + 1, 0)::bigint,
	a.attgenerated <> '' FROM pg_attribute a LEFT JOIN pg_index i ON i.indrelid = a.attrelid AND i.indisprimary
	WHERE a.attrelid = to_regclass($1::text) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum`

// continueIDs returns the statement that has the sequence of a table's ids go on
// behind the largest one.
func continueIDs(table string) string {
	ids := table
	if table == "event_segments" { // the id of one that was dropped is not given out again
		ids = `(SELECT id FROM event_segments UNION ALL SELECT id FROM dropped_segments) s`
	}
	return fmt.Sprintf(`SELECT setval(pg_get_serial_sequence('%s', 'id'), max(id)) FROM %s HAVING max(id) IS NOT NULL`, table, ids)
}
