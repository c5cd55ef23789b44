package store

import (
	"context"
	"database/sql"
	"strings"
)

// How a batch runs its statements: at once where it needs the result, and all others later and
// aside, in the order in which it gave them. It goes on reckoning meanwhile, and is told of a
// failure when it next needs a result, or at its end.

// aside runs what it is given on a goroutine of its own, one after the other.
type aside struct {
	jobs chan job
	last <-chan struct{} // closed when the last job was run
	err  error           // of the first that failed: behind it nothing is run
}

type job struct {
	run  func() error
	done chan struct{}
}

// run returns a channel that is closed when a job was run, or is not to be run.
func (s *aside) run(f func() error) (done <-chan struct{}) {
	if s.jobs == nil {
		s.jobs = make(chan job, mostJobs)
		go func() {
			for j := range s.jobs {
				if s.err == nil {
					s.err = j.run()
				}
				close(j.done)
			}
		}()
	}
	j := job{f, make(chan struct{})}
	s.jobs <- j
	s.last = j.done
	return j.done
}

// mostJobs is how many may wait. The database is slower than the one who reckons: more of them would only take room.
const mostJobs = 2

// wait waits until all that was given has been run.
func (s *aside) wait() error {
	if s.last != nil {
		<-s.last
	}
	return s.err
}

// end ends the goroutine, when it has run what it was given.
func (s *aside) end() {
	if s.jobs != nil {
		<-s.last
		close(s.jobs)
	}
}

// later runs a statement before any other one whose result is asked for, and before the
// end. Its arguments must not change meanwhile.
func (a *appending) later(query string, args ...any) {
	a.queued = append(a.queued, Statement{query, args})
	for _, v := range args {
		if b, ok := v.([]byte); ok {
			a.bytes += len(b)
		}
	}
	if len(a.queued) >= mostQueued || a.bytes >= mostBytes {
		a.handOver()
	}
}

// How many statements are run together, and how many bytes there are in these.
const (
	mostQueued = 256
	mostBytes  = 512 << 10
)

// handOver lets the statements that were queued be run.
func (a *appending) handOver() {
	if len(a.queued) == 0 {
		return
	}
	list := a.queued
	a.queued, a.bytes = nil, 0
	a.aside.run(func() error { return a.runAll(list) })
}

// settle waits until all that was to be run later has been.
func (a *appending) settle() error {
	if err := a.ended(); err != nil {
		return err
	}
	a.handOver()
	return a.aside.wait()
}

// settled returns the transaction for others to ask in, when it is at rest.
func (a *appending) settled() (*sql.Tx, error) { return a.tx, a.settle() }

// runAll runs statements whose results nobody asks for.
func (a *appending) runAll(list []Statement) error {
	if a.s.engine.Together != nil {
		return a.s.engine.Together(a.ctx, a.tx, list)
	}
	for _, s := range list {
		if err := a.ended(); err != nil {
			return err
		}
		st, err := a.prepared(s.Query)
		if err != nil {
			return err
		}
		if _, err := st.ExecContext(a.ctx, s.Args...); err != nil {
			return err
		}
	}
	return nil
}

// prepared returns a statement of this transaction, prepared once.
func (a *appending) prepared(query string) (*sql.Stmt, error) {
	if st := a.stmt[query]; st != nil {
		return st, nil
	}
	st, err := a.tx.PrepareContext(a.ctx, query)
	if err == nil {
		a.stmt[query] = st
	}
	return st, err
}

// atOnce returns a statement that is to be run at once, behind all that were to be run later.
func (a *appending) atOnce(query string) (*sql.Stmt, error) {
	if err := a.settle(); err != nil {
		return nil, err
	}
	return a.prepared(query)
}

func (a *appending) exec(query string, args ...any) error {
	_, err := a.changed(query, args...)
	return err
}

func (a *appending) changed(query string, args ...any) (int64, error) {
	st, err := a.atOnce(query)
	if err != nil {
		return 0, err
	}
	res, err := st.ExecContext(a.ctx, args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

func (a *appending) row(query string, args []any, into ...any) error {
	st, err := a.atOnce(query)
	if err != nil {
		return err
	}
	return st.QueryRowContext(a.ctx, args...).Scan(into...)
}

// ask is each for what a View or a Snapshot can be asked as well.
func (a *appending) ask(_ context.Context, query string, args []any, f func(scan func(...any) error) error) error {
	return a.each(query, args, f)
}

// each calls f for each row of a query of this transaction. f adds nothing: while rows are being
// read, an engine may do nothing else in a transaction.
func (a *appending) each(query string, args []any, f func(scan func(...any) error) error) error {
	if err := a.settle(); err != nil {
		return err
	}
	return a.read(query, args, f)
}

// read is each for a job that is run aside.
func (a *appending) read(query string, args []any, f func(scan func(...any) error) error) error {
	st, err := a.prepared(query)
	if err != nil {
		return err
	}
	rows, err := st.QueryContext(a.ctx, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := f(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}

// inserter inserts rows, later, many in a statement.
type inserter struct {
	a     *appending
	table string
	names []string // of columns
	tail  string   // behind the values
	args  []any    // of rows that are not handed over yet
}

// How many rows are handed over at once, to be copied or inserted, and how many stand in a
// statement. These were the fastest of the sizes that were tried; 64 rows are below SQLite's limit
// of 32,766 parameters.
const (
	rowsToCopy       = 4096
	rowsToInsert     = 1024
	rowsPerStatement = 64
)

func (a *appending) insert(table string, columns ...string) *inserter {
	return &inserter{a: a, table: table, names: columns}
}

// values are some of a row; row adds the last ones.
func (in *inserter) values(values ...any) {
	if in.args == nil {
		select {
		case in.args = <-in.a.s.spare:
		default:
		}
	}
	in.args = append(in.args, values...)
}

func (in *inserter) row(values ...any) {
	in.values(values...)
	most := rowsToInsert
	if in.copies() {
		most = rowsToCopy
	}
	if len(in.args) >= most*len(in.names) {
		in.done()
	}
}

// copies reports whether the engine has a quicker way for these rows.
func (in *inserter) copies() bool { return in.tail == "" && in.a.s.engine.Copy != nil }

// done hands the rows over.
func (in *inserter) done() {
	a, args := in.a, in.args
	if len(args) == 0 {
		return
	}
	in.args = nil
	a.handOver()
	a.aside.run(func() error {
		err := in.run(args)
		clear(args)
		select {
		case a.s.spare <- args[:0]:
		default:
		}
		return err
	})
}

// run stores rows.
func (in *inserter) run(args []any) error {
	if err := in.a.ended(); err != nil {
		return err
	}
	if in.copies() {
		return in.a.s.engine.Copy(in.a.ctx, in.a.tx, in.table, in.names, args)
	}
	var list []Statement
	for _, rows := range []int{rowsPerStatement, 1} {
		query := in.statement(rows)
		for n := rows * len(in.names); len(args) >= n; args = args[n:] {
			list = append(list, Statement{query, args[:n]})
		}
	}
	return in.a.runAll(list)
}

// statement inserts so many rows.
func (in *inserter) statement(rows int) string {
	one := "(" + placeholders(len(in.names)) + ")"
	return in.a.s.engine.Insert + " INTO " + in.table + " (" + strings.Join(in.names, ", ") + ") VALUES " +
		strings.Repeat(one+", ", rows-1) + one + in.tail
}
