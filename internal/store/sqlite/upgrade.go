package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"

	sqlite3 "modernc.org/sqlite/lib"

	"midden/internal/store"
	"midden/internal/store/migrate"
)

// Plan says what Upgrade would do with the database at path, and changes
// nothing. The error is a *store.SchemaError if it cannot be upgraded.
func Plan(ctx context.Context, path string) (*migrate.Plan, error) {
	if err := mustExist(path); err != nil {
		return nil, err
	}
	db, err := connect(path, url.Values{"mode": {"ro"}, "_pragma": {"busy_timeout(10000)"}})
	if err != nil {
		return nil, err
	}
	defer db.Close()
	return plan(ctx, db, path)
}

func plan(ctx context.Context, db *sql.DB, path string) (*migrate.Plan, error) {
	p, err := migrate.Look(ctx, db)
	switch {
	case errors.Is(err, migrate.ErrForeign) || isCode(err, sqlite3.SQLITE_NOTADB):
		schema := &store.SchemaError{Database: path, Version: -1, Latest: migrate.Latest}
		if err.Error() == migrate.ErrForeign.Error() || !errors.Is(err, migrate.ErrForeign) {
			return nil, schema
		}
		return nil, fmt.Errorf("%w: %w", schema, err)
	case err != nil:
		return nil, explain(err)
	case p.Found.Version < 1 || p.Found.Version > migrate.Latest:
		v := p.Found.Version
		if v < 1 {
			v = -1
		}
		return nil, &store.SchemaError{Database: path, Version: v, Latest: migrate.Latest}
	}
	return p, nil
}

func mustExist(path string) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("there is no database %s: --db names another", path)
	case err != nil:
		return fmt.Errorf("open database: %w", err)
	case info.IsDir():
		return fmt.Errorf("open database %s: it is a directory", path)
	}
	return nil
}

// Upgrade brings the database at path to the latest version. begin is called
// with the plan before anything is changed, and ends the matter if it returns
// an error; each is called before every step. The error is a *store.HeldError
// if another process is at work on the same database.
func Upgrade(ctx context.Context, path string, begin func(*migrate.Plan) error, each func(int)) error {
	if _, err := Plan(ctx, path); err != nil {
		return err // it is left untouched
	}
	release, err := hold(path, store.Maintenance, "migrate")
	if err != nil {
		return err
	}
	defer release()
	// The journal mode is a step of its own.
	q := url.Values{"_txlock": {"immediate"}, "_pragma": {
		"busy_timeout(60000)", "synchronous(normal)", "cache_size(-32768)", "journal_size_limit(67108864)", "foreign_keys(off)"}}
	db, err := connect(path, q)
	if err != nil {
		return err
	}
	defer db.Close()
	p, err := plan(ctx, db, path)
	if err != nil {
		return err
	}
	if err := begin(p); err != nil {
		return err
	}
	if err := p.Run(ctx, db, each); err != nil {
		return explain(err)
	}
	return explain(db.Close())
}
