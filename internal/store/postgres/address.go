package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
)

// address is where a database is.
type address struct {
	config *pgx.ConnConfig
	// lock is that of those who write; nil until it is known.
	lock atomic.Pointer[lock]
}

// Is reports whether a name is that of a PostgreSQL database: a URL, also in the
// form of SQLAlchemy, postgresql+psycopg2://.
func Is(name string) bool {
	scheme, _, found := strings.Cut(name, ":")
	return found && (scheme == "postgres" || scheme == "postgresql" ||
		strings.HasPrefix(scheme, "postgres+") || strings.HasPrefix(scheme, "postgresql+"))
}

// Check returns an error if a URL, or the environment for it, cannot be understood.
func Check(url string) error {
	_, err := parse(url)
	return err
}

// Name returns a URL in a form that may be shown: without password.
func Name(url string) string {
	at, err := parse(url)
	if err != nil {
		return "the PostgreSQL database"
	}
	return at.String()
}

// HasPassword reports whether a password stands in a URL itself.
func HasPassword(name string) bool {
	_, rest, _ := strings.Cut(name, ":")
	u, err := url.Parse("postgresql:" + rest)
	if err != nil {
		return false
	}
	_, has := u.User.Password()
	return has || u.Query().Has("password")
}

// parse reads a URL. What the URL does not say, the environment of libpq may:
// PGHOST, PGPASSWORD, PGSERVICE, a password file, and so on.
func parse(name string) (*address, error) {
	_, rest, _ := strings.Cut(name, ":")
	name = "postgresql:" + rest
	if _, err := url.Parse(name); err != nil || ambiguous(rest) {
		// The error might quote the password.
		return nil, errors.New("the URL of the database cannot be read: what is no letter and no digit in a user or a password, and an @ anywhere else, is written as % and two hex digits")
	}
	config, err := pgx.ParseConfig(name)
	if err != nil {
		return nil, fmt.Errorf("the URL of the database, or the environment for it, cannot be understood: %w", withoutURL(err))
	}
	// Texts are read as UTC where they are times without a zone.
	config.RuntimeParams["timezone"] = "UTC"
	config.RuntimeParams["client_encoding"] = "UTF8"
	config.RuntimeParams["datestyle"] = "ISO"
	if config.RuntimeParams["application_name"] == "" {
		config.RuntimeParams["application_name"] = "midden"
	}
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = connectTimeout
	}
	dialer := net.Dialer{KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 30 * time.Second, Interval: 10 * time.Second, Count: 3}}
	config.DialFunc = dialer.DialContext
	return &address{config: config}, nil
}

// ambiguous reports whether a password that nobody escaped may stand in a URL: the
// host ends at its slash then, and what follows looks like the name of the database.
func ambiguous(url string) bool {
	url = strings.TrimPrefix(url, "//")
	host := url
	if end := strings.IndexAny(url, "/?#"); end >= 0 {
		host = url[:end]
	}
	return strings.Count(url, "@") > 1 || len(host) < len(url) && strings.Contains(url[len(host):], "@")
}

// withoutURL is an error of pgx without the URL, from which pgx takes the password
// as well as it can.
func withoutURL(err error) error {
	if why := errors.Unwrap(err); why != nil {
		return why
	}
	text := err.Error()
	return errors.New(strings.TrimPrefix(text[strings.LastIndexByte(text, '`')+1:], ": "))
}

// connectTimeout is how long it may take to connect, unless the URL says.
const connectTimeout = 15 * time.Second

// String returns the address without password.
func (at *address) String() string {
	c := at.config
	u := url.URL{Scheme: "postgres", Host: c.Host, Path: "/" + c.Database}
	if c.User != "" {
		u.User = url.User(c.User)
	}
	if strings.HasPrefix(c.Host, "/") { // a socket
		u.Host, u.RawQuery = "", "host="+c.Host
		if c.Port != 5432 {
			u.RawQuery += "&port=" + strconv.Itoa(int(c.Port))
		}
	} else {
		if strings.Contains(c.Host, ":") {
			u.Host = "[" + c.Host + "]"
		}
		if c.Port != 5432 {
			u.Host += ":" + strconv.Itoa(int(c.Port))
		}
	}
	return u.String()
}

// connect returns a pool of at most so many connections. None is opened yet.
func (at *address) connect(most int) *sql.DB {
	return at.pool(at.config, most)
}

func (at *address) pool(config *pgx.ConnConfig, most int) *sql.DB {
	inner := stdlib.GetConnector(*config, stdlib.OptionAfterConnect(func(ctx context.Context, c *pgx.Conn) error {
		return at.settle(ctx, c)
	}))
	db := sql.OpenDB(&connector{Connector: inner, at: at})
	db.SetMaxOpenConns(most)
	db.SetMaxIdleConns(most)
	return db
}

// settle sets a new connection up. That the other end is gone is noticed
// within a minute: who is gone must not hold a lock.
func (at *address) settle(ctx context.Context, c *pgx.Conn) error {
	if !at.ownSession() {
		return nil
	}
	if _, err := c.PgConn().Exec(ctx, `SET tcp_keepalives_idle = 30; SET tcp_keepalives_interval = 10; SET tcp_keepalives_count = 3`).ReadAll(); err != nil {
		return err
	}
	// Not all systems have this one.
	if _, err := c.PgConn().Exec(ctx, `SET tcp_user_timeout = 60000`).ReadAll(); err != nil && c.IsClosed() {
		return err
	}
	return nil
}

// ownSession reports whether a connection is a session of the server: behind
// a pooler, which the mode of execution tells, it is one for a transaction only.
func (at *address) ownSession() bool {
	switch at.config.DefaultQueryExecMode {
	case pgx.QueryExecModeExec, pgx.QueryExecModeSimpleProtocol:
		return false
	}
	return true
}

// Connect returns a pool of connections on which texts are as the store has them,
// for looking at a database beside it.
func Connect(url string) (*sql.DB, error) {
	at, err := parse(url)
	if err != nil {
		return nil, err
	}
	return at.connect(maxConns), nil
}
