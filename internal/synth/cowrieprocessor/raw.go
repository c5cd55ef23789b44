package cowrieprocessor

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// AddRaw adds a raw event with any payload (a string, []byte, int64, …; NULL
// cannot be) and nothing else, and returns its id.
//
// A payload that json_extract refuses cannot be inserted: SQLite computes the
// generated columns first. Such rows are what damage to a file leaves. This
// makes one as damage does: a row with an empty object is inserted, so that
// the indexes know it, and its payload is then changed behind their back.
// Reading its payload works; reading a generated column of it, or an integrity
// check, fails.
func AddRaw(ctx context.Context, db *sql.DB, payload any) (id int64, err error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	id, err = insertRaw(ctx, conn, payload)
	if err == nil {
		return id, nil
	}
	if _, err := conn.ExecContext(ctx, `BEGIN IMMEDIATE`); err != nil {
		return 0, err
	}
	if id, err = damage(ctx, conn, payload); err == nil {
		_, err = conn.ExecContext(ctx, `COMMIT`)
	}
	if err != nil {
		_, undone := conn.ExecContext(context.WithoutCancel(ctx), `ROLLBACK; PRAGMA writable_schema = RESET`)
		return 0, fmt.Errorf("add a raw event: %w", errors.Join(err, undone))
	}
	return id, nil
}

func insertRaw(ctx context.Context, conn *sql.Conn, payload any) (int64, error) {
	r, err := conn.ExecContext(ctx, `INSERT INTO raw_events (source, payload) VALUES ('added', ?)`, payload)
	if err != nil {
		return 0, err
	}
	return r.LastInsertId()
}

// damage inserts a row and changes its payload while SQLite knows nothing of
// generated columns and of the indexes on them.
func damage(ctx context.Context, conn *sql.Conn, payload any) (int64, error) {
	id, err := insertRaw(ctx, conn, "{}")
	if err != nil {
		return 0, err
	}
	var table string
	err = conn.QueryRowContext(ctx, `SELECT sql FROM sqlite_schema WHERE name = 'raw_events'`).Scan(&table)
	if err != nil {
		return 0, err
	}
	for _, s := range []struct {
		sql  string
		args []any
	}{
		{`CREATE TEMP TABLE hidden AS SELECT rowid AS at, * FROM sqlite_schema
			WHERE type = 'index' AND tbl_name = 'raw_events' AND sql IS NOT NULL`, nil},
		{`PRAGMA writable_schema = ON`, nil},
		{`DELETE FROM sqlite_schema WHERE rowid IN (SELECT at FROM hidden)`, nil},
		{`UPDATE sqlite_schema SET sql = ? WHERE name = 'raw_events'`, []any{withoutGenerated(table)}},
		{`PRAGMA writable_schema = RESET`, nil},
		{`UPDATE raw_events SET payload = ? WHERE id = ?`, []any{payload, id}},
		{`PRAGMA writable_schema = ON`, nil},
		{`UPDATE sqlite_schema SET sql = ? WHERE name = 'raw_events'`, []any{table}},
		{`INSERT INTO sqlite_schema (rowid, type, name, tbl_name, rootpage, sql)
			SELECT at, type, name, tbl_name, rootpage, sql FROM hidden`, nil},
		{`PRAGMA writable_schema = RESET`, nil},
		{`DROP TABLE hidden`, nil},
	} {
		if _, err := conn.ExecContext(ctx, s.sql, s.args...); err != nil {
			return 0, err
		}
	}
	return id, nil
}
