// Package synth writes logs as Cowrie honeypots write them, for demonstrations,
// tests and benchmarks.
//
// In come a seed and a few numbers; out go JSON lines in time order, one sensor
// at a time, and exact counts of what was written. The same options give the
// same bytes on every machine. The mix of events, their sizes and the lives of
// sessions follow real logs of several Cowrie versions.
//
// It never repeats a real attack: addresses are of the ranges set aside for
// documentation and benchmarks, host names end in .test, .example or .invalid,
// and hashes are those of no file (but for the empty one). It never holds more
// than the sessions that are open at the same time, and never overwrites a file.
package synth

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"time"
)

// Era is the Cowrie version whose shapes a sensor's events have.
type Era int

// The eras. EraMixed gives the sensors the others in turn, newest first.
const (
	EraMixed Era = iota
	Era2018      // Cowrie 1.3: spaces after separators, system and isError
	Era2020      // Cowrie 2.1: compact, duration a number
	Era2024      // Cowrie 2.7: duration a text, some events with a format and no message
	Era2026      // Cowrie 3.0: session and addresses first, uuid, duration_ms
)

// Options says what to write. The zero value of a field means its default.
type Options struct {
	Seed    uint64        // same seed and options: same bytes
	Events  int           // how many events in all (default 10,000), shared evenly by the sensors
	Sensors int           // how many sensors, named sensor-01 … (default 3)
	Start   time.Time     // time of the first event (default 2026-01-01T00:00:00Z)
	Span    time.Duration // in which sessions begin (default 7 days); the last ones may end minutes after it
	Hashes  int           // distinct files in the population (default max(20, Events/160)); rare ones may not turn up
	// FileShare is the share of events that are sightings (default 0.05; below
	// 0: none). Some hundreds of events are needed to come near it.
	FileShare float64
	Era       Era // which Cowrie version's shapes (default EraMixed: each sensor one era)
}

const (
	maxSensors   = 1 << 16
	maxFileShare = 0.6
)

var firstDay = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func (o Options) withDefaults() (Options, error) {
	if o.Events == 0 {
		o.Events = 10_000
	}
	if o.Sensors == 0 {
		o.Sensors = 3
	}
	if o.Start.IsZero() {
		o.Start = firstDay
	}
	if o.Span == 0 {
		o.Span = 7 * 24 * time.Hour
	}
	if o.Hashes == 0 {
		o.Hashes = max(20, o.Events/160)
	}
	switch {
	case o.FileShare == 0:
		o.FileShare = 0.05
	case o.FileShare < 0:
		o.FileShare = 0
	}
	switch {
	case o.Events < 0:
		return o, fmt.Errorf("synth: %d events", o.Events)
	case o.Sensors < 0 || o.Sensors > maxSensors:
		return o, fmt.Errorf("synth: %d sensors: want 1 to %d", o.Sensors, maxSensors)
	case o.Hashes < 0:
		return o, fmt.Errorf("synth: %d hashes", o.Hashes)
	case o.Span < 0:
		return o, fmt.Errorf("synth: span %v", o.Span)
	case o.Start.UTC().Year() < 1970 || o.Start.UTC().Add(o.Span).Year() > 9000:
		return o, fmt.Errorf("synth: start %v: want a year from 1970 to 9000", o.Start)
	case !(o.FileShare <= maxFileShare): // NaN too
		return o, fmt.Errorf("synth: file share %v: want at most %v", o.FileShare, maxFileShare)
	case o.Era < EraMixed || o.Era > Era2026:
		return o, fmt.Errorf("synth: era %d", o.Era)
	}
	return o, nil
}

// SensorName returns the name of a sensor (0-based index): sensor-01 for 0.
func SensorName(sensor int) string { return fmt.Sprintf("sensor-%02d", sensor+1) }

// Generate writes the events of one sensor (0-based index) as JSON lines, in
// time order, to w. The counts it returns are of what was written; after an
// error the last lines counted may not have reached w.
func (o Options) Generate(ctx context.Context, w io.Writer, sensor int) (Stats, error) {
	o, err := o.withDefaults()
	if err != nil {
		return Stats{}, err
	}
	out := bufio.NewWriterSize(w, 256<<10)
	stats, err := o.generate(ctx, sensor, func(line []byte, _ int64) error {
		_, err := out.Write(line)
		return err
	})
	if err != nil {
		return stats, err
	}
	if err := out.Flush(); err != nil {
		return stats, fmt.Errorf("write the events of %s: %w", SensorName(sensor), err)
	}
	return stats, nil
}

// generate hands the lines of one sensor to emit, each with its time in
// microseconds since 1970. The options have their defaults.
func (o Options) generate(ctx context.Context, sensor int, emit func(line []byte, at int64) error) (Stats, error) {
	if sensor < 0 || sensor >= o.Sensors {
		return Stats{}, fmt.Errorf("synth: sensor %d of %d", sensor, o.Sensors)
	}
	g := newGenerator(o, sensor)
	if err := g.run(ctx, emit); err != nil {
		return g.tally.stats(), fmt.Errorf("write the events of %s: %w", g.sensor.name, err)
	}
	return g.tally.stats(), nil
}
