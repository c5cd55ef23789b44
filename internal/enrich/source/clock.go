package source

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Sleep waits, or until the context ends.
func Sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// clock is that of the server, whose days and months are those of the quota. A
// clock of this machine that is set does not move it.
type clock struct {
	mu   sync.Mutex
	date time.Time // that the server told last
	at   time.Time // when it did, by this machine; monotonic
}

// tell takes the time from an answer, if it has one.
func (c *clock) tell(h http.Header) {
	date, err := http.ParseTime(h.Get("Date"))
	if err != nil || !strings.Contains(h.Get("Content-Type"), "json") { // a proxy's, say
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	// It is told in whole seconds: what is a little behind is no news.
	if behind := c.date.Add(now.Sub(c.at)).Sub(date); !c.date.IsZero() && behind > 0 && behind < 2*time.Second {
		return
	}
	c.date, c.at = date, now
}

// Clock returns the time by the source's clock, to a second or so; false if none
// of its answers has told it yet.
func (c *Client) Clock() (time.Time, bool) {
	c.clock.mu.Lock()
	defer c.clock.mu.Unlock()
	if c.clock.date.IsZero() {
		return time.Time{}, false
	}
	return c.clock.date.Add(time.Since(c.clock.at)), true
}
