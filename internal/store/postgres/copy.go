package postgres

import (
	"context"
	"database/sql/driver"
	"errors"
)

// rows are rows for a table.
type rows struct{}

// pipeline are statements that are sent together.
type pipeline struct{}

func (c *conn) copyIn(context.Context, *rows) (driver.Result, error) { return nil, errors.New("no") }
func (c *conn) pipe(context.Context, *pipeline) (driver.Result, error) {
	return nil, errors.New("no")
}
