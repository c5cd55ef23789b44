package postgres

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
)

// The store's statements are the same for both engines. What PostgreSQL wants to
// have otherwise is done between database/sql and pgx, where no statement can
// forget it: text is escaped on its way in and unescaped on its way out, ? are
// numbered, and a transaction that may write begins with the lock of those who do.

// connector opens connections of which this is true.
type connector struct {
	driver.Connector
	at *address
}

func (c *connector) Connect(ctx context.Context) (driver.Conn, error) {
	inner, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return &conn{Conn: inner.(*stdlib.Conn), at: c.at}, nil
}

// conn is a connection.
type conn struct {
	*stdlib.Conn
	at     *address
	types  map[string][]uint32 // of columns, for COPY
	buffer []byte
}

// Prepare prepares nothing: pgx keeps prepared what comes again, for as long as
// the connection lasts and not for a transaction only.
func (c *conn) Prepare(query string) (driver.Stmt, error) {
	return &statement{c, numbered(query)}, nil
}

func (c *conn) PrepareContext(_ context.Context, query string) (driver.Stmt, error) {
	return c.Prepare(query)
}

func (c *conn) CheckNamedValue(v *driver.NamedValue) (err error) {
	switch x := v.Value.(type) {
	case string:
		v.Value = escape(x)
		return nil
	case rows, *pipeline:
		return nil
	}
	if v.Value, err = driver.DefaultParameterConverter.ConvertValue(v.Value); err == nil {
		if s, ok := v.Value.(string); ok {
			v.Value = escape(s)
		}
	}
	return err
}

func (c *conn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	return c.exec(ctx, numbered(query), args)
}

func (c *conn) exec(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	if len(args) == 1 {
		switch x := args[0].Value.(type) {
		case rows:
			return c.copyIn(ctx, &x)
		case *pipeline:
			return c.pipe(ctx, x)
		}
	}
	values := make([]any, len(args))
	for i, a := range args {
		values[i] = a.Value
	}
	tag, err := c.Conn.Conn().Exec(ctx, query, values...)
	return driver.RowsAffected(tag.RowsAffected()), err
}

func (c *conn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	return c.query(ctx, numbered(query), args)
}

func (c *conn) query(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	r, err := c.Conn.QueryContext(ctx, query, args)
	if err != nil {
		return nil, err
	}
	return &result{r.(*stdlib.Rows)}, nil
}

// statement is a text, to be run again and again.
type statement struct {
	c     *conn
	query string
}

func (s *statement) Close() error                               { return nil }
func (s *statement) NumInput() int                              { return -1 }
func (s *statement) CheckNamedValue(v *driver.NamedValue) error { return s.c.CheckNamedValue(v) }

func (s *statement) Exec([]driver.Value) (driver.Result, error) {
	return nil, errors.New("statements are run with a context")
}

func (s *statement) Query([]driver.Value) (driver.Rows, error) {
	return nil, errors.New("statements are run with a context")
}

func (s *statement) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	return s.c.exec(ctx, s.query, args)
}

func (s *statement) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	return s.c.query(ctx, s.query, args)
}

// result are rows whose texts are unescaped.
type result struct{ *stdlib.Rows }

func (r *result) Next(into []driver.Value) error {
	if err := r.Rows.Next(into); err != nil {
		return err
	}
	for i, v := range into {
		if s, ok := v.(string); ok {
			into[i] = unescape(s)
		}
	}
	return nil
}

// numbered returns a statement whose parameters are written ? with them numbered,
// as PostgreSQL wants them. One that has them numbered already is left as it is.
func numbered(query string) string {
	if strings.IndexByte(query, '?') < 0 {
		return query
	}
	b := make([]byte, 0, len(query)+64)
	n, quote := 0, byte(0)
	for i := range len(query) {
		c := query[i]
		switch {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '\'' || c == '"':
			quote = c
		case c == '?':
			n++
			b = fmt.Appendf(b, "$%d", n)
			continue
		}
		b = append(b, c)
	}
	return string(b)
}

// lockWait is how long one who wants to write waits for another one, until he
// is told and may wait again.
var lockWait = 5 * time.Second

// idleLimit is after what time the server ends a transaction whose client says
// nothing: one that hangs must not keep the others from writing.
const idleLimit = 2 * time.Minute

// plans are settings for those who write: they look rows up by their keys, and a
// plan that was made for a table while that was empty would read all of it.
const plans = `SET LOCAL enable_seqscan = off; SET LOCAL jit = off; SET LOCAL plan_cache_mode = force_generic_plan`

// BeginTx begins a transaction. One that reads sees all as it is at one moment; one
// that may write does so alone, and sees all that was written before.
func (c *conn) BeginTx(ctx context.Context, o driver.TxOptions) (driver.Tx, error) {
	begin := `BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY`
	if l := c.at.lock.Load(); !o.ReadOnly {
		begin = `BEGIN ISOLATION LEVEL READ COMMITTED`
		if l != nil {
			begin += fmt.Sprintf(`; SET LOCAL idle_in_transaction_session_timeout = %d; SET LOCAL lock_timeout = %d; SELECT %s; SET LOCAL lock_timeout = 0; %s`,
				idleLimit.Milliseconds(), lockWait.Milliseconds(), l.take(writing), plans)
		}
	}
	pg := c.Conn.Conn().PgConn()
	if _, err := pg.Exec(ctx, begin).ReadAll(); err != nil {
		if pg.IsClosed() && ctx.Err() == nil {
			return nil, driver.ErrBadConn // nothing was begun: another connection will do
		}
		c.end(`ROLLBACK`)
		return nil, err
	}
	return &transaction{c}, nil
}

// end runs a statement that ends a transaction, if there is one.
func (c *conn) end(statement string) (tag pgconn.CommandTag, err error) {
	pg := c.Conn.Conn().PgConn()
	if pg.IsClosed() {
		return tag, io.ErrUnexpectedEOF
	}
	results, err := pg.Exec(context.Background(), statement).ReadAll()
	if len(results) > 0 {
		tag = results[len(results)-1].CommandTag
	}
	return tag, err
}

type transaction struct{ c *conn }

func (t *transaction) Commit() error {
	tag, err := t.c.end(`COMMIT`)
	if err == nil && tag.String() != "COMMIT" {
		err = errors.New("the transaction had failed and was undone")
	}
	return err
}

func (t *transaction) Rollback() error {
	if t.c.Conn.Conn().IsClosed() {
		return nil // with it the transaction ended
	}
	_, err := t.c.end(`ROLLBACK`)
	return err
}

// IsValid reports whether the connection can be used again.
func (c *conn) IsValid() bool { return !c.Conn.Conn().IsClosed() }
