package telemetry

import (
	"sync"
	"time"
)

// clock is a clock that tests set.
type clock struct {
	mu sync.Mutex
	at time.Time
}

var start = time.Date(2024, 5, 6, 7, 8, 9, 0, time.UTC)

func newClock() *clock { return &clock{at: start} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}
