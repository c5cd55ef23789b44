package cowrieprocessor

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
)

// store writes batches into the tables of a version.
type store struct {
	ctx    context.Context
	tx     *sql.Tx
	ingest string // id of the run
	tally  Tally

	generations bool // raw events have them

	events, sessions, letters, cursors, files inserter

	keys inserter // what Write needs them for
}

func newStore(ctx context.Context, tx *sql.Tx, ingest string) (*store, error) {
	version, err := versionOf(ctx, tx)
	if err != nil {
		return nil, err
	}
	s := &store{ctx: ctx, tx: tx, ingest: ingest, generations: version > 1}
	s.events = inserter{
		table:  "raw_events (ingest_id, ingest_at, source, source_inode, source_generation, source_offset, payload, payload_hash, risk_score, quarantined)",
		shared: 5, own: 5, conflict: "DO NOTHING",
	}
	if !s.generations {
		s.events.table = strings.Replace(s.events.table, "source_generation, ", "", 1)
		s.events.shared--
	}
	s.sessions = inserter{
		table: "session_summaries (created_at, updated_at, enrichment, session_id, first_event_at, last_event_at, " +
			"event_count, command_count, file_downloads, login_attempts, risk_score, matcher, source_files)",
		shared: 3, own: 10,
		// Counters are added to, whether or not the events were new, and the
		// first that was seen stays, even if an earlier one comes.
		conflict: `(session_id) DO UPDATE SET
			event_count = event_count + excluded.event_count,
			command_count = command_count + excluded.command_count,
			file_downloads = file_downloads + excluded.file_downloads,
			login_attempts = login_attempts + excluded.login_attempts,
			first_event_at = coalesce(first_event_at, excluded.first_event_at),
			last_event_at = max(last_event_at, excluded.last_event_at),
			risk_score = max(risk_score, excluded.risk_score),
			matcher = coalesce(matcher, excluded.matcher),
			source_files = excluded.source_files,
			updated_at = excluded.updated_at`,
	}
	if version < 3 {
		s.sessions.table = strings.Replace(s.sessions.table, "enrichment, ", "", 1)
		s.sessions.shared--
	}
	s.letters = inserter{
		table:  "dead_letter_events (ingest_id, created_at, source, source_offset, reason, payload)",
		shared: 2, own: 4, conflict: "DO NOTHING",
	}
	s.cursors = inserter{
		table: "ingest_cursors (last_ingest_id, last_ingest_at, source, inode, last_offset, metadata_json)",
		own:   6,
		conflict: `(source) DO UPDATE SET inode = excluded.inode, last_offset = excluded.last_offset,
			last_ingest_at = excluded.last_ingest_at, last_ingest_id = excluded.last_ingest_id,
			metadata_json = excluded.metadata_json`,
	}
	return s, nil
}

// write writes a batch. At is when, as the columns have it.
func (s *store) write(b *batch, at string) error {
	var of *source
	generation := -1
	for _, r := range b.rows {
		if r.source != of || r.generation != generation {
			of, generation = r.source, r.generation
			shared := []any{s.ingest, at, of.name, orNull(of.inode), int64(generation)}
			if err := s.begin(&s.events, shared[:s.events.shared]...); err != nil {
				return err
			}
		}
		if err := s.add(&s.events, int64(r.offset), b.of(r.payload), b.of(r.hash), int64(r.risk), r.quarantined); err != nil {
			return err
		}
		if s.keys.own > 0 {
			if err := s.add(&s.keys, orNull(b.of(r.keys[0])), orNull(b.of(r.keys[1])), orNull(b.of(r.keys[2]))); err != nil {
				return err
			}
		}
		if r.quarantined {
			s.tally.Quarantined++
		}
	}
	s.tally.Rows += len(b.rows)
	if err := s.begin(&s.sessions, []any{at, at, "null"}[:s.sessions.shared]...); err != nil {
		return err
	}
	for _, v := range b.sessions {
		err := s.add(&s.sessions, v.id, orNull(v.first.text), orNull(v.last.text), int64(v.events), int64(v.commands),
			int64(v.files), int64(v.logins), int64(v.risk), orNull(v.sensor), v.sourceFiles())
		if err != nil {
			return err
		}
	}
	if err := s.begin(&s.letters, s.ingest, at); err != nil {
		return err
	}
	for _, l := range b.letters {
		if err := s.add(&s.letters, l.source.name, int64(l.offset), l.reason, b.of(l.payload)); err != nil {
			return err
		}
	}
	s.tally.DeadLetters += len(b.letters)
	if c := b.cursor; c != nil {
		err := s.add(&s.cursors, s.ingest, at, c.source.name, orNull(c.inode), int64(c.last), c.metadata())
		if err != nil {
			return err
		}
	}
	for _, f := range b.files {
		if err := s.add(&s.files, f.row(at)...); err != nil {
			return err
		}
	}
	for _, i := range []*inserter{&s.events, &s.sessions, &s.letters, &s.cursors, &s.files, &s.keys} {
		if err := s.begin(i); err != nil {
			return err
		}
	}
	return nil
}

func (c *cursor) metadata() string {
	hash := "null"
	if c.firstHash != "" {
		hash = `"` + c.firstHash + `"`
	}
	return fmt.Sprintf(`{"generation": %d, "first_hash": %s}`, c.generation, hash)
}

func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// inserter inserts rows of a table, many with one statement.
type inserter struct {
	table       string // with its columns: those whose values the rows share come first
	shared, own int    // number of columns
	conflict    string // what to do ON CONFLICT

	args  []any // the shared values, then those of the rows that wait
	stmts [len(sizes)]*sql.Stmt
}

// sizes are of how many rows there are statements.
var sizes = [...]int{100, 10, 1}

// begin inserts the rows that wait; the values are shared by those that come.
func (s *store) begin(i *inserter, shared ...any) error {
	err := s.insert(i)
	i.args = append(i.args[:0], shared...)
	return err
}

func (s *store) add(i *inserter, own ...any) error {
	i.args = append(i.args, own...)
	if len(i.args) < i.shared+sizes[0]*i.own {
		return nil
	}
	err := s.insert(i)
	i.args = i.args[:i.shared]
	return err
}

// insert inserts the rows that wait.
func (s *store) insert(i *inserter) (err error) {
	for n, size := range sizes {
		for i.own > 0 && len(i.args) >= i.shared+size*i.own {
			if i.stmts[n] == nil {
				if i.stmts[n], err = s.tx.PrepareContext(s.ctx, i.statement(size)); err != nil {
					return err
				}
			}
			args := i.args[:i.shared+size*i.own]
			if _, err = i.stmts[n].ExecContext(s.ctx, args...); err != nil {
				return err
			}
			i.args = append(i.args[:i.shared], i.args[len(args):]...)
		}
	}
	return nil
}

// statement returns the statement for some rows. Only the shared values have
// numbered parameters: SQLite looks for the number in a list, each time.
func (i *inserter) statement(rows int) string {
	var b strings.Builder
	b.WriteString("INSERT INTO " + i.table + " VALUES ")
	for r := range rows {
		if r > 0 {
			b.WriteByte(',')
		}
		sep := byte('(')
		for n := range i.shared {
			b.WriteByte(sep)
			fmt.Fprintf(&b, "?%d", n+1)
			sep = ','
		}
		for range i.own {
			b.WriteByte(sep)
			b.WriteByte('?')
			sep = ','
		}
		b.WriteByte(')')
	}
	b.WriteString(" ON CONFLICT " + i.conflict)
	return b.String()
}
