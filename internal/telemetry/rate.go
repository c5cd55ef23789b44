package telemetry

import "time"

const (
	// window is how far back a rate looks.
	window = 10 * time.Second
	// spacing is the least time between two samples that are kept.
	spacing = 250 * time.Millisecond
)

// sample is what was done at a moment.
type sample struct {
	at                   time.Time
	bytes, lines, events int64
}

// meter finds rates over the last window. It is not safe for two goroutines.
type meter struct {
	samples []sample // oldest first; the first is at or before the window's start, if any is
	latest  sample
}

func newMeter(now time.Time) *meter {
	m := &meter{latest: sample{at: now}}
	m.samples = append(m.samples, m.latest)
	return m
}

// add notes the counts at a moment.
func (m *meter) add(now time.Time, c Counts) {
	m.latest = sample{now, c.BytesDone, c.Lines, c.Events}
	last := m.samples[len(m.samples)-1]
	if now.Before(last.at) {
		// The clock was set back: what was seen before cannot be compared.
		m.samples = append(m.samples[:0], m.latest)
		return
	}
	if now.Sub(last.at) < spacing {
		return
	}
	m.samples = append(m.samples, m.latest)
	m.forget(now)
}

// forget drops what is not needed for a rate at now or later.
func (m *meter) forget(now time.Time) {
	drop := 0
	for drop+1 < len(m.samples) && now.Sub(m.samples[drop+1].at) >= window {
		drop++
	}
	m.samples = append(m.samples[:0], m.samples[drop:]...)
}

// rates is what was done per second.
type rates struct{ bytes, lines, events float64 }

// at returns the rates over the window that ends at now. Nothing done since the
// window began is a rate of 0, whether or not add was called.
func (m *meter) at(now time.Time) rates {
	m.forget(now)
	base := m.samples[0]
	span := now.Sub(base.at)
	if span <= 0 {
		return rates{}
	}
	per := func(from, to int64) float64 { return max(float64(to-from), 0) / span.Seconds() }
	return rates{
		bytes:  per(base.bytes, m.latest.bytes),
		lines:  per(base.lines, m.latest.lines),
		events: per(base.events, m.latest.events),
	}
}
