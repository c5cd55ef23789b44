package postgres

import (
	"context"
	"fmt"

	"midden/internal/store/migrate"
)

// Plan says what Upgrade would do with a database, and changes nothing. The error
// is a *store.SchemaError if it cannot be upgraded.
func Plan(ctx context.Context, url string) (*migrate.Plan, error) {
	at, err := parse(url)
	if err != nil {
		return nil, err
	}
	db := at.connect(1)
	defer db.Close()
	if _, err := at.look(ctx, db); err != nil {
		return nil, err
	}
	plan, err := migrate.LookOnPostgres(ctx, db)
	return plan, at.explain(err)
}

// Upgrade brings a database to the latest version; where there are no tables it
// makes them. begin is called with the plan before anything is changed, and ends
// the matter if it returns an error; each is called before every step. Of several
// who do so at once, the others wait for the first.
func Upgrade(ctx context.Context, url string, begin func(*migrate.Plan) error, each func(int)) error {
	at, err := parse(url)
	if err != nil {
		return err
	}
	return at.upgrade(ctx, begin, each)
}

func (at *address) upgrade(ctx context.Context, begin func(*migrate.Plan) error, each func(int)) error {
	db := at.connect(2)
	defer db.Close()
	found, err := at.look(ctx, db)
	if err != nil {
		return err
	}
	// The lock lives as long as its transaction does. Nothing is written by it.
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return at.explain(err)
	}
	defer tx.Rollback()
	if _, err := tx.ExecContext(ctx, `SELECT `+found.lock.take(creating)); err != nil {
		return at.explain(err)
	}
	if found, err = at.look(ctx, db); err != nil {
		return err
	}
	p, err := migrate.LookOnPostgres(ctx, db)
	if err != nil {
		return at.explain(err)
	}
	if err := begin(p); err != nil {
		return err
	}
	if err := p.Run(ctx, db, each); err != nil {
		return at.explain(err)
	}
	return nil
}

// create makes the tables for one who wants to write.
func (at *address) create(ctx context.Context) error {
	err := at.upgrade(ctx, func(*migrate.Plan) error { return nil }, func(int) {})
	if isCode(err, "42501") {
		return fmt.Errorf("%s has no tables yet, and %s may not make them: let their owner run \"midden migrate --db %s\" (%w)", at, at.config.User, at, err)
	}
	return err
}
