package postgres

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"midden/internal/store"
	"midden/internal/store/migrate"
)

func isForeign(err error) bool { return errors.Is(err, migrate.ErrForeign) }

// isCode reports whether an error is one that the server has a code for.
func isCode(err error, code string) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == code
}

// explained is an error in plain words, and what caused it.
type explained struct {
	error
	cause error
}

func (e *explained) Unwrap() []error { return []error{e.error, e.cause} }

// explain says in plain words what the common errors of PostgreSQL mean. What may
// pass is a store.ErrUnavailable. None of the texts holds a password.
func (at *address) explain(err error) error {
	var done *explained
	if err == nil || errors.As(err, &done) {
		return err
	}
	if plain := at.inPlainWords(err); plain != err {
		return &explained{plain, err}
	}
	return err
}

func (at *address) inPlainWords(err error) error {
	var pg *pgconn.PgError
	var connecting *pgconn.ConnectError
	switch {
	case errors.As(err, &pg):
		return at.explainServer(pg, err)
	case errors.Is(err, context.Canceled):
		return err
	case errors.As(err, &connecting):
		return at.explainConnecting(connecting)
	case isLost(err):
		return fmt.Errorf("%w: the connection to %s was lost (%s)", store.ErrUnavailable, at, at.plain(err))
	}
	return err
}

// explainServer explains what the server said.
func (at *address) explainServer(pg *pgconn.PgError, err error) error {
	said := at.plain(pg)
	switch pg.Code {
	case "28P01":
		return fmt.Errorf("%s refuses the password of %s, or there is none: a URL, PGPASSWORD or ~/.pgpass tells it (%s)", at, at.config.User, said)
	case "28000":
		return fmt.Errorf("%s does not let %s in from here: pg_hba.conf of the server says who may (%s)", at, at.config.User, said)
	case "3D000":
		return fmt.Errorf("there is no such database: %s; \"createdb\" makes one, with the encoding UTF8 (%s)", at, said)
	case "25006":
		return fmt.Errorf("%s can only be read: it is a standby, or set to be read only; name the primary (%s)", at, said)
	case "53100":
		return fmt.Errorf("the disk of the server is full: make room and run the same command again, it goes on where it was (%s)", said)
	case "53300":
		return fmt.Errorf("%w: %s has no connection left: raise max_connections, or let fewer work at once (%s)", store.ErrUnavailable, at, said)
	case "53200", "53000", "53400":
		return fmt.Errorf("%w: the server lacks memory or another resource (%s)", store.ErrUnavailable, said)
	case "55P03":
		return fmt.Errorf("%w (%s)", store.ErrLocked, said)
	case "57014":
		return fmt.Errorf("a statement was ended since it took too long, or by hand: statement_timeout of the role or the database sets the limit (%s)", said)
	case "57P01", "57P02", "57P03", "57P05", "25P03":
		return fmt.Errorf("%w: the server ended the connection, or is starting or stopping (%s)", store.ErrUnavailable, said)
	case "40P01", "40001":
		return fmt.Errorf("%w: the transaction stood in the way of another one and was undone (%s)", store.ErrUnavailable, said)
	case "42501":
		return fmt.Errorf("%s may not do this in %s: docs/postgresql.md says what a role must be granted (%s)", at.config.User, at, said)
	case "58030", "XX001", "XX002":
		return fmt.Errorf("the disk of the server failed, or the database is damaged: see the server's log (%s)", said)
	}
	if strings.HasPrefix(pg.Code, "08") {
		return fmt.Errorf("%w: the connection to %s was lost (%s)", store.ErrUnavailable, at, said)
	}
	return err
}

// explainConnecting explains why there is no connection.
func (at *address) explainConnecting(err *pgconn.ConnectError) error {
	said := at.plain(errors.Unwrap(err))
	switch {
	case strings.Contains(said, "server refused TLS"):
		return fmt.Errorf("%s does not speak TLS, which the URL asks for: sslmode says what is wanted (%s)", at, said)
	case strings.Contains(said, "tls:") || strings.Contains(said, "x509:"):
		return fmt.Errorf("TLS with %s failed: sslmode and sslrootcert say what is trusted (%s)", at, said)
	case strings.Contains(said, "no such host"):
		return fmt.Errorf("%w: there is no host %s (%s)", store.ErrUnavailable, at.config.Host, said)
	}
	return fmt.Errorf("%w: %s cannot be reached: is the server running, and is that its host and port? (%s)", store.ErrUnavailable, at, said)
}

// isLost reports whether an error is that of a connection that is gone.
func isLost(err error) bool {
	var network net.Error
	// database/sql has two words for it: one of them for who comes back to a connection of his own.
	return errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrConnDone) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) ||
		errors.As(err, &network) || strings.HasSuffix(err.Error(), "conn closed") || pgconn.SafeToRetry(err)
}

// plain is the text of an error, without password.
func (at *address) plain(err error) string {
	if err == nil {
		return ""
	}
	text := err.Error()
	if password := at.config.Password; password != "" {
		text = strings.ReplaceAll(text, password, "xxxxx")
	}
	return strings.Join(strings.Fields(text), " ")
}
