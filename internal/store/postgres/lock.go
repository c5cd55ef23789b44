package postgres

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"time"

	"midden/internal/store"
)

// lock is a family of advisory locks of a database, of midden's tables in one schema.
type lock struct{ schema int32 }

// The locks, by what they let one at a time do. As bytes they read "mid" and a
// letter.
const (
	writing  = 0x6d696477
	holding  = 0x6d696468
	creating = 0x6d696463
	telling  = 0x6d696474
)

// held are the locks that a process holds for long.
var held = map[store.Lock]int32{store.Maintenance: holding, store.Publication: telling}

// take is the expression that takes a lock until the transaction ends.
func (l lock) take(what int32) string {
	return fmt.Sprintf("pg_advisory_xact_lock(%d, %d)", what, l.schema)
}

// hold takes a lock such as that of maintenance, in a transaction of its own that does nothing
// else, so that it is one behind a pooler, too: of several processes one has it, until it
// lets go or ends, however it ends. what is told to those who come in vain; the error is
// then a *store.HeldError.
func (at *address) hold(l lock, kind store.Lock, what string) (release func(), err error) {
	ctx, cancel := context.WithTimeout(context.Background(), connectTimeout)
	defer cancel()
	config := at.config.Copy()
	host, _ := os.Hostname()
	name := fmt.Sprintf("midden %s, process %d on %s since %s", what, os.Getpid(), host, time.Now().UTC().Format(time.RFC3339))
	config.RuntimeParams["application_name"] = name[:min(len(name), maxAppName)]
	db := at.pool(config, 1)
	conn, err := db.Conn(ctx)
	if err != nil {
		db.Close()
		return nil, at.explain(err)
	}
	err = idle(ctx, conn)
	for try := 0; ; try++ {
		var taken bool
		var by sql.NullString
		if err == nil {
			err = conn.QueryRowContext(ctx, `SELECT pg_try_advisory_xact_lock($1, $2)`, held[kind], l.schema).Scan(&taken)
		}
		if err == nil && !taken {
			err = conn.QueryRowContext(ctx, `SELECT max(application_name) FROM pg_locks l JOIN pg_stat_activity a USING (pid)
				WHERE l.locktype = 'advisory' AND l.granted AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
					AND l.classid::bigint = $1 AND l.objid::bigint = $2 AND l.objsubid = 2`,
				held[kind], int64(uint32(l.schema))).Scan(&by)
		}
		switch {
		case err == nil && taken:
			return func() {
				_, _ = conn.ExecContext(context.Background(), `ROLLBACK`)
				conn.Close()
				db.Close()
			}, nil
		case err == nil && try < looks:
			time.Sleep(lookAgain)
			continue
		case err == nil:
			err = &store.HeldError{By: by.String}
		}
		conn.Close()
		db.Close()
		return nil, at.explain(err)
	}
}

// maxAppName is how many bytes of its name a server keeps of a connection.
const maxAppName = 63

// The lock may be held for a moment by someone who only asks whether it is free.
const (
	looks     = 4
	lookAgain = 50 * time.Millisecond
)
