// Package migrate creates and upgrades the tables of a database.
//
// A database and the version of its tables come in, the newest version goes
// out, a migration a transaction. The version stands where cowrieprocessor
// keeps it, in schema_state, so that both programs see it. The package never
// raises the version over a migration that failed.
package migrate

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"strconv"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/database"
)

// Latest is the version that this program reads and writes.
const Latest = 4

//go:embed sqlite/*.sql postgres/*.sql
var scripts embed.FS

// Create makes the tables of the latest version in an empty SQLite database.
func Create(ctx context.Context, db *sql.DB) error { return up(ctx, db, "sqlite") }

// up runs the scripts of an engine that the database has not seen yet.
func up(ctx context.Context, db *sql.DB, engine string) error {
	dir, err := fs.Sub(scripts, engine)
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(goose.DialectCustom, db, dir, goose.WithStore(versions{}),
		goose.WithLogger(goose.NopLogger()))
	if err != nil {
		return fmt.Errorf("prepare migrations: %w", err)
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("create tables: %w", err)
	}
	return nil
}

// Version returns the version of the tables in a database: 0 if there are
// none. The error is ErrForeign if there are tables, but no schema_state.
func Version(ctx context.Context, db *sql.DB) (int, error) {
	var tables, states int
	err := db.QueryRowContext(ctx, `SELECT count(*), coalesce(sum(name = 'schema_state'), 0)
		FROM sqlite_master WHERE type = 'table'`).Scan(&tables, &states)
	if err != nil {
		return 0, err
	}
	switch {
	case tables == 0:
		return 0, nil
	case states == 0:
		return 0, ErrForeign
	}
	v, err := versions{}.GetLatestVersion(ctx, db)
	if errors.Is(err, database.ErrVersionNotFound) {
		return 0, ErrForeign
	}
	return int(v), err
}

// VersionOnPostgres is Version of the PostgreSQL schema that comes first in the search path.
// Tables of others may stand in it: without schema_state the version is 0.
func VersionOnPostgres(ctx context.Context, db *sql.DB) (int, error) {
	var there bool
	if err := db.QueryRowContext(ctx, `SELECT to_regclass('schema_state') IS NOT NULL`).Scan(&there); err != nil || !there {
		return 0, err
	}
	v, err := versions{}.GetLatestVersion(ctx, db)
	if errors.Is(err, database.ErrVersionNotFound) {
		return 0, ErrForeign
	}
	return int(v), err
}

// LookOnPostgres makes a plan for a PostgreSQL database.
func LookOnPostgres(ctx context.Context, db *sql.DB) (*Plan, error) {
	version, err := VersionOnPostgres(ctx, db)
	if err != nil {
		return nil, err
	}
	p := &Plan{Found: Found{Version: version, FileEvents: -1}}
	if version == 0 {
		p.Steps = []Step{{Name: "tables", What: fmt.Sprintf("make the tables of version %d", Latest), Seconds: 1,
			run: func(ctx context.Context, db *sql.DB) error { return up(ctx, db, "postgres") }}}
	}
	return p, nil
}

// ErrForeign says that a database belongs to some other program.
var ErrForeign = errors.New("not a database of midden or cowrieprocessor")

// versions keeps goose's version in schema_state, as one number.
type versions struct{}

var _ database.Store = versions{}

func (versions) Tablename() string { return "schema_state" }

func (versions) CreateVersionTable(ctx context.Context, db database.DBTxConn) error {
	_, err := db.ExecContext(ctx, `CREATE TABLE schema_state
		("key" VARCHAR(128) NOT NULL PRIMARY KEY, value VARCHAR(256) NOT NULL)`)
	return err
}

func (versions) Insert(ctx context.Context, db database.DBTxConn, req database.InsertRequest) error {
	_, err := db.ExecContext(ctx, `INSERT INTO schema_state ("key", value) VALUES ('schema_version', $1)
		ON CONFLICT ("key") DO UPDATE SET value = excluded.value`, strconv.FormatInt(req.Version, 10))
	return err
}

func (versions) Delete(context.Context, database.DBTxConn, int64) error {
	return errors.New("there is no way back from a migration")
}

func (s versions) GetMigration(ctx context.Context, db database.DBTxConn, version int64) (*database.GetMigrationResult, error) {
	latest, err := s.GetLatestVersion(ctx, db)
	if err != nil {
		return nil, err
	}
	if version > latest {
		return nil, database.ErrVersionNotFound
	}
	return &database.GetMigrationResult{IsApplied: true}, nil
}

func (versions) GetLatestVersion(ctx context.Context, db database.DBTxConn) (int64, error) {
	var text string
	err := db.QueryRowContext(ctx, `SELECT value FROM schema_state WHERE "key" = 'schema_version'`).Scan(&text)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, database.ErrVersionNotFound
	}
	if err != nil {
		return 0, err
	}
	v, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%w: in schema_state its version is %q, not a number", ErrForeign, text)
	}
	return v, nil
}

func (s versions) ListMigrations(ctx context.Context, db database.DBTxConn) ([]*database.ListMigrationsResult, error) {
	latest, err := s.GetLatestVersion(ctx, db)
	if errors.Is(err, database.ErrVersionNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var list []*database.ListMigrationsResult
	for v := latest; v >= 0; v-- {
		list = append(list, &database.ListMigrationsResult{Version: v, IsApplied: true})
	}
	return list, nil
}
