package report

import (
	"context"
	"time"

	"midden/internal/cowrie"
)

// Request says of what a report is to be made.
type Request struct {
	Type     string         // daily, weekly, monthly or custom
	From, To cowrie.Time    // To is not included; both are beginnings of days in Location
	Location *time.Location // where days begin; nil is UTC
	Sensor   string         // of this sensor only; "" for all of them together
	// AsOf is the moment of which the report is: nothing that is later counts, and
	// what is said of files is what was said by then. NoTime is now.
	AsOf cowrie.Time
	Top  int // how long lists are at the most; 0 is DefaultTop
}

// DefaultTop is how long the lists of a report are at the most, unless it is asked for
// others.
const DefaultTop = 10

// Store is what reports are made of.
type Store interface{}

// Build makes a report.
func Build(ctx context.Context, s Store, r Request) (*Document, error) {
	return nil, ctx.Err()
}
