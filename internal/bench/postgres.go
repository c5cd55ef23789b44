package bench

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"midden/internal/store/postgres/pgtest"
)

// Postgres is loading logs into PostgreSQL. Server and clients share the machine; what is
// measured of processors and memory is the clients' alone.
type Postgres struct {
	Logs                           Synthetic
	Load, Two, SQLite, Rows, Again Usage // Two: of two loaders, until both have ended
	RowCount                       int64
	Database, RowDatabase          int64   // bytes
	Alone, Beside                  Queries // beside a load into another database
	LoadEnded                      bool    // before the queries did: Beside is worth less
}

func (b *bench) postgres(ctx context.Context) error {
	l, err := b.shared(ctx)
	if err != nil {
		return err
	}
	programs, err := pgtest.Programs()
	if err != nil {
		return fmt.Errorf("PostgreSQL: %w", err)
	}
	// As safe against a power cut as servers are by default.
	server, err := pgtest.Open("shared_buffers=256MB", "max_wal_size=4GB")
	if err != nil {
		return fmt.Errorf("PostgreSQL: %w", err)
	}
	defer server.Close()
	psql := func(database string, args ...string) program {
		return program{name: filepath.Join(programs, "psql"), args: append([]string{"-X", "-q", "-t", "-A", "-F", "\t", "-v", "ON_ERROR_STOP=1",
			"-h", server.Dir(), "-p", fmt.Sprint(server.Port()), "-U", "postgres", "-d", database}, args...)}
	}
	ask := func(database, sql string) (string, error) {
		out, _, err := psql(database, "-c", sql).output(ctx)
		return strings.TrimSpace(out), err
	}
	empty := func(database string) error {
		_, err := psql("postgres", "-c", "SET client_min_messages = error", "-c", "DROP DATABASE IF EXISTS "+database+" WITH (FORCE)",
			"-c", "CREATE DATABASE "+database).run(ctx)
		return err
	}
	fresh := func(database string) error { // with its tables
		if err := empty(database); err != nil {
			return err
		}
		_, err := b.midden(server.URL(database), "migrate").run(ctx)
		return err
	}
	load := func(database string) program { return b.midden(server.URL(database), "load", l.dir) }

	return b.within("postgres", func(dir string) error {
		page := Postgres{Logs: l.Synthetic}
		b.say("postgres: making rows ready for the yardstick")
		rows := filepath.Join(dir, "rows.txt")
		if page.RowCount, err = l.writeRows(rows, "\t", copyText); err != nil {
			return err
		}
		r := runs{}
		err := b.inRounds("postgres", func() error {
			if err := fresh("one"); err != nil {
				return err
			}
			if err := r.measure(ctx, "load", load("one")); err != nil {
				return err
			}
			if err := fresh("two"); err != nil {
				return err
			}
			u, err := both(ctx, load("two"), load("two"))
			if err != nil {
				return err
			}
			r.add("two", u)
			sqlite := filepath.Join(dir, "midden.db")
			if err := removeDatabase(sqlite); err != nil {
				return err
			}
			if err := r.measure(ctx, "sqlite", b.midden(sqlite, "load", l.dir)); err != nil {
				return err
			}
			if err := empty("rows"); err != nil {
				return err
			}
			if _, err := psql("rows", "-c", postgresRows).run(ctx); err != nil {
				return err
			}
			copying := psql("rows", "-c", fmt.Sprintf(`\copy raw_events (%s) FROM '%s'`, rowColumns, rows))
			if err := r.measure(ctx, "rows", copying); err != nil {
				return err
			}
			return r.measure(ctx, "again", load("one"))
		})
		if err != nil {
			return err
		}
		page.Load, page.Two, page.SQLite, page.Rows, page.Again = r.of("load"), r.of("two"), r.of("sqlite"), r.of("rows"), r.of("again")
		for database, into := range map[string]*int64{"one": &page.Database, "rows": &page.RowDatabase} {
			out, err := ask(database, "SELECT pg_database_size(current_database())")
			if err != nil {
				return err
			}
			if *into, err = number(out); err != nil {
				return err
			}
		}
		out, err := ask("rows", "SELECT count(*) FROM raw_events")
		if err != nil {
			return err
		}
		if out != fmt.Sprint(page.RowCount) {
			return fmt.Errorf("the yardstick has %s rows of %d", out, page.RowCount)
		}

		b.say("postgres: queries, alone and beside a load")
		s, err := findSubject(func(sql string) (string, error) { return ask("one", sql) })
		if err != nil {
			return err
		}
		if page.Alone, err = b.queries(ctx, server.URL("one"), s, 11); err != nil {
			return err
		}
		if err := fresh("two"); err != nil {
			return err
		}
		during, stop := context.WithCancel(ctx)
		defer stop()
		wait, err := load("two").start(during)
		if err != nil {
			return err
		}
		loaded := make(chan error, 1)
		go func() {
			_, err := wait()
			loaded <- err
		}()
		if page.Beside, err = b.queries(ctx, server.URL("one"), s, 11); err != nil {
			return err
		}
		page.LoadEnded = len(loaded) > 0
		if err := <-loaded; err != nil {
			return err
		}
		b.page.Postgres = &page
		return nil
	})
}

// both runs two programs side by side, and returns their time until both have ended, what they took of
// processors together, and the memory of the larger one.
func both(ctx context.Context, one, two program) (Usage, error) {
	began := time.Now()
	wait, err := one.start(ctx)
	if err != nil {
		return Usage{}, err
	}
	u, err := two.run(ctx)
	v, err2 := wait()
	if err == nil {
		err = err2
	}
	return Usage{Wall: time.Since(began), CPU: u.CPU + v.CPU, Peak: max(u.Peak, v.Peak)}, err
}
