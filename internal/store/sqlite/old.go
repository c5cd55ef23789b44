package sqlite

import (
	"context"
	"database/sql"
	"net/url"

	"midden/internal/cowrie"
	"midden/internal/store"
	"midden/internal/store/migrate"
)

// Old is a database of cowrieprocessor that is read and not changed.
type Old struct {
	*store.Store
	db *sql.DB
}

// OpenOld opens a database of cowrieprocessor, which Plan found to be one that can be
// taken over, to read. Its program can stay at work.
func OpenOld(ctx context.Context, path string) (*Old, error) {
	db, err := connect(path, url.Values{"mode": {"ro"}, "_pragma": {"busy_timeout(10000)", "cache_size(-1024)"}})
	if err != nil {
		return nil, err
	}
	raw, err := rawEvents(ctx, db)
	if err == nil {
		raw.Generation, err = generation(ctx, db)
	}
	if err != nil {
		db.Close()
		return nil, explain(err)
	}
	s, err := store.New(db, store.Engine{Explain: explain, Scan: db, Raw: raw, Columns: columns})
	if err != nil {
		db.Close()
		return nil, err
	}
	return &Old{s, db}, nil
}

// generation is the expression of a raw event's generation: the first version knew none.
func generation(ctx context.Context, db *sql.DB) (expression string, err error) {
	err = db.QueryRowContext(ctx, `SELECT coalesce(max(name), '0') FROM pragma_table_xinfo('raw_events') WHERE name = 'source_generation'`).Scan(&expression)
	return expression, err
}

// OldVerdicts calls f for what a files table of an old release says of VirusTotal.
func (o *Old) OldVerdicts(ctx context.Context, f func([]cowrie.Verdict) error) error {
	return explain(migrate.OldVerdicts(ctx, o.db, f))
}
