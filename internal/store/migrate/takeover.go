package migrate

import (
	"context"
	"database/sql"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"midden/internal/store"
)

// Plan is what was found in a database, and what is to be done to bring it to
// the latest version. Making a plan changes nothing.
type Plan struct {
	Found Found
	Steps []Step // in order; none if there is nothing to do
}

// Found is what is known of a database before it is upgraded.
type Found struct {
	Version     int
	Journal     string // SQLite's journal mode
	PageSize    int64  // bytes
	Bytes       int64  // of the database file, without its journal
	RawEvents   int64  // the highest id in raw_events, which is about their number
	FileEvents  int64  // raw events of files; -1 if they cannot be counted quickly
	Sessions    int64
	OldFiles    string // the shape of a files table that is not midden's; "" if there is none
	OldFileRows int64
}

// Step is one change, in a transaction of its own.
type Step struct {
	Name string
	What string // for people
	// What it takes, reckoned beforehand.
	Disk    int64   // bytes of new disk
	Seconds float64 // at the pace of an ordinary disk

	run func(context.Context, *sql.DB) error
}

// Run does the steps of a plan. A step that failed has changed nothing, and the
// version is raised by the last one only: run a new plan to go on. each is
// called before every step, with its place in Steps.
func (p *Plan) Run(ctx context.Context, db *sql.DB, each func(int)) error {
	for i, s := range p.Steps {
		if err := ctx.Err(); err != nil {
			return err
		}
		each(i)
		store.Reached("migrate: before " + s.Name)
		if err := s.run(ctx, db); err != nil {
			return fmt.Errorf("%s: %w", s.Name, err)
		}
		store.Reached("migrate: after " + s.Name)
	}
	return nil
}

// inTx makes a step of statements that are done all or not at all.
func inTx(f func(context.Context, *sql.Tx) error) func(context.Context, *sql.DB) error {
	return func(ctx context.Context, db *sql.DB) error {
		tx, err := db.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		defer tx.Rollback()
		if err := f(ctx, tx); err != nil {
			return err
		}
		store.Reached("migrate: before commit")
		return tx.Commit()
	}
}

// statements makes a step of SQL.
func statements(list ...string) func(context.Context, *sql.DB) error {
	return inTx(func(ctx context.Context, tx *sql.Tx) error {
		for _, st := range list {
			if _, err := tx.ExecContext(ctx, st); err != nil {
				return err
			}
		}
		return nil
	})
}

// Look makes a plan for a SQLite database of cowrieprocessor. The error is
// ErrForeign if it is no such database.
func Look(ctx context.Context, db *sql.DB) (*Plan, error) {
	version, err := Version(ctx, db)
	if err != nil {
		return nil, err
	}
	l := &looking{ctx: ctx, db: db, plan: &Plan{Found: Found{Version: version, FileEvents: -1}}}
	if version < 1 || version >= Latest {
		return l.plan, nil
	}
	for _, look := range []func() error{l.tables, l.count, l.journal, l.oldColumns, l.sessionIndex, l.aside, l.upgrade,
		l.oldVerdicts, l.redundantIndex} {
		if err := look(); err != nil {
			return nil, err
		}
	}
	l.add(Step{Name: "version", What: fmt.Sprintf("raise the version from %d to %d", version, Latest),
		run: statements(
			fmt.Sprintf(`INSERT INTO schema_state ("key", value) VALUES ('%s', '%d')
				ON CONFLICT ("key") DO NOTHING`, store.TakenOverKey, version),
			fmt.Sprintf(`UPDATE schema_state SET value = '%d' WHERE "key" = 'schema_version'`, Latest))})
	return l.plan, nil
}

// looking is a plan in the making.
type looking struct {
	ctx  context.Context
	db   *sql.DB
	plan *Plan
}

func (l *looking) add(s Step) { l.plan.Steps = append(l.plan.Steps, s) }

func (l *looking) int(query string, args ...any) (n int64, err error) {
	var v sql.NullInt64
	err = l.db.QueryRowContext(l.ctx, query, args...).Scan(&v)
	return v.Int64, err
}

func (l *looking) texts(query string, args ...any) (list []string, err error) {
	rows, err := l.db.QueryContext(l.ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			return nil, err
		}
		list = append(list, s)
	}
	return list, rows.Err()
}

// columns returns the columns of a table, generated ones too; none if there is
// no such table.
func (l *looking) columns(table string) ([]string, error) {
	return l.texts(`SELECT name FROM pragma_table_xinfo(?)`, table)
}

// index returns the name of an index on exactly these columns; "" if there is
// none. unique asks for one that is, other than not.
func (l *looking) index(table string, unique bool, not string, columns ...string) (string, error) {
	names, err := l.texts(`SELECT name FROM pragma_index_list(?) WHERE "unique" >= ? AND partial = 0 AND name <> ?`, table, unique, not)
	if err != nil {
		return "", err
	}
	for _, name := range names {
		// A column that is an expression has no name.
		have, err := l.texts(`SELECT coalesce(name, '') FROM pragma_index_info(?) ORDER BY seqno`, name)
		if err != nil {
			return "", err
		}
		if slices.Equal(have, columns) {
			return name, nil
		}
	}
	return "", nil
}

// tables looks whether all is there that a database of cowrieprocessor has.
func (l *looking) tables() error {
	have, err := l.texts(`SELECT name FROM sqlite_master WHERE type = 'table'`)
	if err != nil {
		return err
	}
	for _, need := range []string{"raw_events", "session_summaries", "command_stats", "ingest_cursors", "dead_letter_events"} {
		if !slices.Contains(have, need) {
			return fmt.Errorf("%w: its version is %d, but there is no table %s", ErrForeign, l.plan.Found.Version, need)
		}
	}
	segments, err := l.columns("event_segments")
	if err != nil {
		return err
	}
	if slices.Contains(segments, "text_size") { // an earlier run made ours already
		return nil
	}
	text, err := scripts.ReadFile(versionFour)
	if err != nil {
		return err
	}
	for _, m := range createTable.FindAllStringSubmatch(string(text), -1) {
		// Some releases of it made a table files: that one is set aside.
		if ours := m[1]; ours != "files" && slices.Contains(have, ours) {
			return fmt.Errorf("%w: it has a table %s that cowrieprocessor does not make; rename it and try again", ErrForeign, ours)
		}
	}
	return nil
}

func (l *looking) count() (err error) {
	f := &l.plan.Found
	for _, c := range []struct {
		into  *int64
		query string
	}{
		{&f.PageSize, `PRAGMA page_size`},
		{&f.Bytes, `SELECT page_count * page_size FROM pragma_page_count, pragma_page_size`},
		{&f.RawEvents, `SELECT max(id) FROM raw_events`},
		{&f.Sessions, `SELECT count(*) FROM session_summaries`},
	} {
		if *c.into, err = l.int(c.query); err != nil {
			return err
		}
	}
	index, err := l.index("raw_events", false, "", "event_type")
	if err != nil || index == "" {
		return err
	}
	f.FileEvents, err = l.int(`SELECT count(*) FROM raw_events WHERE event_type IN
		('cowrie.session.file_download', 'cowrie.session.file_upload', 'cowrie.virustotal.scanfile')`)
	return err
}

func (l *looking) journal() error {
	modes, err := l.texts(`PRAGMA journal_mode`)
	if err != nil || len(modes) != 1 {
		return err
	}
	l.plan.Found.Journal = modes[0]
	if modes[0] == "wal" {
		return nil
	}
	l.add(Step{Name: "journal", What: "switch from journal mode " + modes[0] + " to WAL, so that reading and writing go on at once",
		run: func(ctx context.Context, db *sql.DB) error {
			var now string
			err := db.QueryRowContext(ctx, `PRAGMA journal_mode = wal`).Scan(&now)
			if err == nil && now != "wal" {
				err = fmt.Errorf("it is still %s: does another program hold the database?", now)
			}
			return err
		}})
	return nil
}

// oldColumns adds what version 3 has and versions 1 and 2 have not.
func (l *looking) oldColumns() error {
	raw, err := l.columns("raw_events")
	if err != nil {
		return err
	}
	sessions, err := l.columns("session_summaries")
	if err != nil {
		return err
	}
	if !slices.Contains(raw, "source_generation") {
		l.add(Step{Name: "version 2", What: "add the column raw_events.source_generation",
			run: statements(`ALTER TABLE raw_events ADD COLUMN source_generation INTEGER NOT NULL DEFAULT 0`)})
	}
	if !slices.Contains(sessions, "enrichment") {
		l.add(Step{Name: "version 3", What: "add the column session_summaries.enrichment",
			run: statements(`ALTER TABLE session_summaries ADD COLUMN enrichment JSON`)})
	}
	unique, err := l.index("raw_events", true, "", sourceColumns...)
	if err != nil || unique != "" {
		return err
	}
	size, err := l.indexSize(`length(source) + length(coalesce(source_inode, '')) + 12`)
	l.add(Step{Name: "index of version 2", What: "build the unique index that the old program's inserts rely on",
		Disk: size, Seconds: float64(l.plan.Found.Bytes)/diskRate + float64(l.plan.Found.RawEvents)/sortRate,
		run: statements(`CREATE UNIQUE INDEX IF NOT EXISTS ` + redundant + ` ON raw_events (` + strings.Join(sourceColumns, ", ") + `)`)})
	return err
}

const redundant = "uq_raw_events_source_gen"

var sourceColumns = []string{"source", "source_inode", "source_generation", "source_offset"}

// Rates for reckoning, rather too low than too high.
const (
	diskRate = 200e6 // bytes a second that are read
	sortRate = 500e3 // rows a second that an index is built of
)

// indexSize reckons the size of an index over all raw events out of a sample.
func (l *looking) indexSize(entry string) (int64, error) {
	var mean sql.NullFloat64
	err := l.db.QueryRowContext(l.ctx, `SELECT avg(`+entry+`) FROM (SELECT * FROM raw_events ORDER BY id DESC LIMIT 1000)`).Scan(&mean)
	return int64(float64(l.plan.Found.RawEvents) * (mean.Float64 + 8)), err
}

// SessionExpression stands for the session of a raw event where the database
// has no index on it: rows that are no JSON do not make it fail.
const SessionExpression = `CASE WHEN json_valid(payload) THEN json_extract(payload, '$.session') END`

// TimeExpression stands for the timestamp of a raw event in the same way.
const TimeExpression = `CASE WHEN json_valid(payload) THEN json_extract(payload, '$.timestamp') END`

// sessionIndex looks for the index by which the events of a session are found.
func (l *looking) sessionIndex() error {
	have, err := l.index("raw_events", false, "", "session_id")
	if err != nil || have != "" {
		return err
	}
	l.add(Step{Name: "index of sessions", What: "build the index by which the raw events of a session are found: this database has lost it",
		Disk: l.plan.Found.RawEvents * 24, Seconds: float64(l.plan.Found.Bytes)/diskRate + float64(l.plan.Found.RawEvents)/sortRate,
		run: statements(`CREATE INDEX IF NOT EXISTS ` + SessionIndex + ` ON raw_events (` + SessionExpression + `)`)})
	return nil
}

// SessionIndex is the name of the index on SessionExpression.
const SessionIndex = "ix_raw_events_session"

// versionFour is the script with the tables of version 4.
const versionFour = "sqlite/00004_files.sql"

var createTable = regexp.MustCompile(`(?m)^CREATE TABLE (\w+)`)

// busyIndex is the index of sessions with many commands. To build it over millions of sessions the
// old program would have to wait; reports do without it.
const busyIndex = "ix_session_summaries_busy"

// upgrade makes the tables and columns of version 4: the same statements that
// make them in a new database.
func (l *looking) upgrade() error {
	done, err := l.columns("event_segments")
	if err != nil || len(done) > 0 {
		return err
	}
	text, err := scripts.ReadFile(versionFour)
	if err != nil {
		return err
	}
	l.add(Step{Name: "tables of version 4", What: "add files, their sightings and verdicts, event segments, and columns of sessions",
		Disk: 40 * l.plan.Found.PageSize, run: inTx(func(ctx context.Context, tx *sql.Tx) error {
			for st := range strings.SplitSeq(string(text), ";\n") {
				if strings.Contains(st, busyIndex) {
					continue
				}
				if there, err := hasColumn(ctx, tx, st); err != nil || there || strings.TrimSpace(st) == "" {
					if err != nil {
						return err
					}
					continue
				}
				if _, err := tx.ExecContext(ctx, st); err != nil {
					return err
				}
			}
			return nil
		})})
	return nil
}

var addColumn = regexp.MustCompile(`ALTER TABLE (\w+) ADD COLUMN (\w+)`)

// hasColumn reports whether a statement adds a column that is there: somebody
// went back from version 4 and left the columns.
func hasColumn(ctx context.Context, tx *sql.Tx, statement string) (there bool, err error) {
	m := addColumn.FindStringSubmatch(statement)
	if m == nil {
		return false, nil
	}
	err = tx.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM pragma_table_xinfo(?) WHERE name = ?)`, m[1], m[2]).Scan(&there)
	return there, err
}

// redundantIndex drops an index that cowrieprocessor made twice.
func (l *looking) redundantIndex() error {
	have, err := l.int(`SELECT count(*) FROM sqlite_master WHERE type = 'index' AND name = ?`, redundant)
	if err != nil || have == 0 {
		return err
	}
	twin, err := l.index("raw_events", true, redundant, sourceColumns...)
	if err != nil || twin == "" {
		return err // it is not redundant here
	}
	size, err := l.indexSize(`length(source) + length(coalesce(source_inode, '')) + 12`)
	l.add(Step{Name: "redundant index", What: fmt.Sprintf("drop %s, which says the same as %s; its %d MB are used again", redundant, twin, size>>20),
		Disk: 64 << 10, Seconds: float64(size) / diskRate, run: statements(`DROP INDEX IF EXISTS ` + redundant)})
	return err
}
