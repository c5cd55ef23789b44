package bench

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Load is loading logs into SQLite.
type Load struct {
	Logs, SmallLogs                 Synthetic
	Plain, Gzip, Small, Again, Rows Usage
	RowCount                        int64
	Database, RowDatabase           int64 // bytes
	Tables                          []Table
	Queries                         Queries
	ManyFiles, ManyEvents           int64
	Many, ManyAgain, ManyRenamed    Usage
}

// Table is what a table and its indexes take, in bytes.
type Table struct {
	Name          string
	Rows, Indexes int64
}

func (b *bench) load(ctx context.Context) error {
	l, err := b.shared(ctx)
	if err != nil {
		return err
	}
	return b.within("load", func(dir string) error {
		page := Load{Logs: l.Synthetic}
		small, err := b.synth(ctx, filepath.Join(dir, "small"), max(b.Events/10, 100))
		if err != nil {
			return err
		}
		page.SmallLogs = small.Synthetic
		zipped := filepath.Join(dir, "gzip")
		for _, p := range []program{
			{name: "cp", args: []string{"-r", l.dir, zipped}},
			{name: "find", args: []string{zipped, "-type", "f", "-exec", "gzip", "-1", "{}", "+"}},
		} {
			if _, err := p.run(ctx); err != nil {
				return err
			}
		}
		b.say("load: making rows ready for the yardstick")
		if page.RowCount, err = l.writeRows(filepath.Join(dir, "rows.txt"), "\x1f", func(line []byte) []byte { return line }); err != nil {
			return err
		}
		shell := func(args ...string) program { return program{name: "sqlite3", args: args, dir: dir} }
		if _, err := shell("rows.db", "CREATE TABLE rows (a, b, c, d, e, f, g, h, i, j, k)", ".mode ascii", `.separator "\037" "\n"`,
			".import rows.txt rows").run(ctx); err != nil {
			return err
		}
		if err := os.Remove(filepath.Join(dir, "rows.txt")); err != nil {
			return err
		}

		db := func(name string) string { return filepath.Join(dir, name) }
		r := runs{}
		err = b.inRounds("load", func() error {
			for _, name := range []string{"plain.db", "gzip.db", "small.db", "yardstick.db"} {
				if err := removeDatabase(db(name)); err != nil {
					return err
				}
			}
			for _, contender := range []struct {
				what string
				program
			}{
				{"plain", b.midden(db("plain.db"), "load", l.dir)},
				{"gzip", b.midden(db("gzip.db"), "load", zipped)},
				{"small", b.midden(db("small.db"), "load", small.dir)},
				{"rows", shell("yardstick.db", sqliteRows)},
				{"again", b.midden(db("plain.db"), "load", l.dir)},
			} {
				if err := r.measure(ctx, contender.what, contender.program); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		page.Plain, page.Gzip, page.Small, page.Rows, page.Again = r.of("plain"), r.of("gzip"), r.of("small"), r.of("rows"), r.of("again")
		rows, err := b.sqlite(ctx, db("yardstick.db"), "SELECT count(*) FROM raw_events")
		if err != nil {
			return err
		}
		if rows != fmt.Sprint(page.RowCount) {
			return fmt.Errorf("the yardstick has %s rows of %d", rows, page.RowCount)
		}
		if page.Database, err = size(db("plain.db")); err != nil {
			return err
		}
		if page.RowDatabase, err = size(db("yardstick.db")); err != nil {
			return err
		}
		if page.Tables, err = b.tables(ctx, db("plain.db")); err != nil {
			return err
		}
		s, err := findSubject(func(sql string) (string, error) { return b.sqlite(ctx, db("plain.db"), sql) })
		if err != nil {
			return err
		}
		if page.Queries, err = b.queries(ctx, db("plain.db"), s, 11); err != nil {
			return err
		}
		b.say("load: many small logs")
		if err := b.manyLogs(ctx, l, dir, &page); err != nil {
			return err
		}
		b.page.Load = &page
		return nil
	})
}

// tables tells which tables are large.
func (b *bench) tables(ctx context.Context, db string) ([]Table, error) {
	out, err := b.sqlite(ctx, db, `SELECT m.tbl_name, sum(iif(m.type = 'table', s.pgsize, 0)), sum(iif(m.type = 'index', s.pgsize, 0))
		FROM dbstat s JOIN sqlite_schema m USING (name) WHERE aggregate = TRUE
		GROUP BY m.tbl_name ORDER BY sum(s.pgsize) DESC LIMIT 8`)
	if err != nil {
		return nil, err
	}
	var tables []Table
	for line := range strings.Lines(out) {
		var t Table
		if _, err := fmt.Sscan(line, &t.Name, &t.Rows, &t.Indexes); err != nil {
			return nil, fmt.Errorf("%q: %w", line, err)
		}
		tables = append(tables, t)
	}
	return tables, nil
}

// manyLogs loads lines in logs of 30 each, again, and again when their directory has another name.
func (b *bench) manyLogs(ctx context.Context, l *logs, dir string, page *Load) error {
	const each = 30
	many, renamed := filepath.Join(dir, "many"), filepath.Join(dir, "renamed")
	if err := os.Mkdir(many, 0o755); err != nil {
		return err
	}
	n, err := l.split(many, each, min(10_000, b.Events/each))
	if err != nil {
		return err
	}
	page.ManyFiles, page.ManyEvents = n, n*each
	db := filepath.Join(dir, "many.db")
	for _, load := range []struct {
		into *Usage
		from string
	}{{&page.Many, many}, {&page.ManyAgain, many}, {&page.ManyRenamed, renamed}} {
		if load.from == renamed {
			if err := os.Rename(many, renamed); err != nil {
				return err
			}
		}
		if *load.into, err = b.midden(db, "load", load.from).run(ctx); err != nil {
			return err
		}
	}
	return nil
}

// split writes lines of the logs into files in dir, and returns how many files it has filled.
func (l *logs) split(dir string, each, files int) (filled int64, err error) {
	var lines []byte
	count := 0
	err = l.lines(func(line []byte) error {
		if filled == int64(files) {
			return nil
		}
		lines = append(append(lines, line...), '\n')
		if count++; count < each {
			return nil
		}
		err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%d.json", filled)), lines, 0o644)
		lines, count = lines[:0], 0
		filled++
		return err
	})
	return filled, err
}
