package postgres

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"fmt"
	"sync"
)

// claims are what one of several processes has taken for itself, for a while. They
// are advisory locks of a transaction that does nothing else: they end with it,
// however it ends, and behind a pooler, too. It holds no snapshot and keeps nothing
// from being cleaned up.
type claims struct {
	at   *address
	lock lock

	mu   sync.Mutex
	db   *sql.DB
	conn *sql.Conn // in a transaction; nil if nothing is claimed
}

// take takes what a key names; false if another process has it.
func (c *claims) take(ctx context.Context, key string) (taken bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conn == nil {
		if err := c.begin(ctx); err != nil {
			return false, c.at.explain(err)
		}
	}
	err = c.conn.QueryRowContext(ctx, `SELECT pg_try_advisory_xact_lock($1)`, c.lock.key(key)).Scan(&taken)
	if err != nil {
		c.end()
	}
	return taken, c.at.explain(err)
}

func (c *claims) begin(ctx context.Context) (err error) {
	if c.db == nil {
		c.db = c.at.connect(1)
	}
	if c.conn, err = c.db.Conn(ctx); err != nil {
		c.conn = nil
		return err
	}
	if err = idle(ctx, c.conn); err != nil {
		c.end()
	}
	return err
}

// idle begins a transaction that is only there to hold locks, for as long as it takes.
func idle(ctx context.Context, conn *sql.Conn) error {
	for _, st := range []string{`BEGIN READ ONLY`, `SET LOCAL idle_in_transaction_session_timeout = 0`} {
		if _, err := conn.ExecContext(ctx, st); err != nil {
			return err
		}
	}
	return nil
}

// release lets go of all that was taken.
func (c *claims) release() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.end()
}

// end ends the transaction. Where that fails the connection is of no use any more,
// and its locks are gone.
func (c *claims) end() {
	if c.conn == nil {
		return
	}
	_, _ = c.conn.ExecContext(context.Background(), `ROLLBACK`)
	c.conn.Close()
	c.conn = nil
}

func (c *claims) close() error {
	c.release()
	if c.db == nil {
		return nil
	}
	return c.db.Close()
}

// key is the lock of what a key names. It is of another kind than those that have
// two numbers, and can meet none of them. Two keys that have the same by chance wait
// for each other, once in a lifetime.
func (l lock) key(key string) int64 {
	sum := sha256.Sum256(fmt.Appendf(nil, "midden claim %d %s", l.schema, key))
	return int64(binary.BigEndian.Uint64(sum[:]))
}
