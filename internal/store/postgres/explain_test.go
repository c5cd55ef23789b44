package postgres

import (
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"testing"

	"midden/internal/store"
)

// TestLost: in whatever words a lost connection is told, it may pass.
func TestLost(t *testing.T) {
	at, err := parse("postgres://midden@127.0.0.1/midden")
	if err != nil {
		t.Fatal(err)
	}
	for _, cause := range []error{driver.ErrBadConn, sql.ErrConnDone, io.EOF, io.ErrUnexpectedEOF, errors.New("conn closed")} {
		err := at.explain(fmt.Errorf("create tables: %w", cause))
		if !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("%v is explained as %v", cause, err)
		}
	}
}
