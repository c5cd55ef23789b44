package telemetry

import "time"

// Counts is what a run did so far. The counts of a run only grow.
type Counts struct {
	FilesDone, FilesTotal int64
	BytesDone, BytesTotal int64 // BytesTotal 0 is unknown
	Lines                 int64 // read
	Events                int64 // stored
	Duplicates            int64 // known already
	DeadLetters           int64 // lines that could not be stored as events
}

// fraction returns the part that is done, from 0 to 1: by bytes, or by files if
// the bytes are not known.
func (c Counts) fraction() (part float64, known bool) {
	done, total := c.BytesDone, c.BytesTotal
	if total <= 0 {
		done, total = c.FilesDone, c.FilesTotal
	}
	if total <= 0 {
		return 0, false
	}
	return min(max(float64(done)/float64(total), 0), 1), true
}

// eta returns how long the rest takes at a rate in bytes per second.
func (c Counts) eta(rate float64) (left time.Duration, known bool) {
	if c.BytesTotal <= 0 {
		return 0, false
	}
	rest := c.BytesTotal - c.BytesDone
	if rest <= 0 {
		return 0, true
	}
	const longest = 1000 * 24 * time.Hour // beyond, an estimate says nothing
	if rate <= 0 || float64(rest)/rate > longest.Seconds() {
		return 0, false
	}
	return time.Duration(float64(rest) / rate * float64(time.Second)), true
}
