package virustotal

import (
	"net/http"
	"sync"
	"time"
)

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
	if err != nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.date, c.at = date, time.Now()
}

// Clock returns the time by VirusTotal's clock, to a second or so; false if none
// of its answers has told it yet.
func (c *Client) Clock() (time.Time, bool) {
	c.clock.mu.Lock()
	defer c.clock.mu.Unlock()
	if c.clock.date.IsZero() {
		return time.Time{}, false
	}
	return c.clock.date.Add(time.Since(c.clock.at)), true
}
