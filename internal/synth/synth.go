// Package synth writes realistic Cowrie logs: for demos, tests and
// benchmarks.
//
// Options come in: how many events, over how many sensors and days, how many
// of them about files, in which Cowrie version's shapes. JSON lines go out, as
// Cowrie's jsonlog writes them, and an exact count of what was written. The
// same options give the same bytes.
//
// The package never copies from a real log: addresses are from the ranges kept
// for documentation and benchmarks, hosts end in .example, .test or .invalid,
// and no hash names a real file, save that of the empty one. It never touches
// the network, never overwrites a file, and holds no more than the sessions
// that are open at one time.
package synth

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"time"
)

// ErrOptions says that no log can be written from these options.
var ErrOptions = errors.New("synth: impossible options")

// Options says what to write. The zero value of a field means its default.
type Options struct {
	Seed    uint64        // same seed and options: same bytes
	Events  int           // how many events in all (default 10,000)
	Sensors int           // how many sensors, named sensor-01 … (default 3)
	Start   time.Time     // time of the first event (default 2026-01-01T00:00:00Z)
	Span    time.Duration // over which the events are spread (default 7 days)
	Hashes  int           // distinct files in the population (default max(20, Events/160)); rare ones may not turn up

	// FileShare is the share of events that are sightings of files (default
	// 0.05). Below 0 means none; above 0.8 is an aim that is not quite reached.
	FileShare float64

	Era Era // which Cowrie version's shapes (default EraMixed: each sensor one era)
}

// Stats counts what was written.
type Stats struct {
	Events   int
	Sessions int
	Files    int // distinct hashes with at least one sighting

	// A sighting is a file_download or file_upload event with a hash.
	Sightings int // Downloads + Uploads
	Downloads int
	Uploads   int

	// FailedTransfers are the file_download.failed events, and the
	// file_download and file_upload events without a hash that are not a line
	// of input (realm and input only).
	FailedTransfers int

	Commands int // cowrie.command.input events
	Logins   int // login.success and login.failed events
	Bytes    int64
}

const (
	defaultEvents  = 10_000
	defaultSensors = 3
	defaultSpan    = 7 * 24 * time.Hour
	defaultShare   = 0.05
	maxSensors     = 1 << 14       // a session's id has room for no more
	maxHashes      = math.MaxInt32 // a mark has room for no more
)

// settled returns the options with the defaults filled in.
func (o Options) settled() (Options, error) {
	if o.Events == 0 {
		o.Events = defaultEvents
	}
	if o.Sensors == 0 {
		o.Sensors = defaultSensors
	}
	if o.Start.IsZero() {
		o.Start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	if o.Span == 0 {
		o.Span = defaultSpan
	}
	if o.Hashes == 0 {
		o.Hashes = max(20, o.Events/160)
	}
	if o.FileShare == 0 {
		o.FileShare = defaultShare
	}
	switch {
	case o.Events < 0, o.Sensors < 0, o.Span < 0, o.Hashes < 0:
		return o, fmt.Errorf("%w: a number below zero", ErrOptions)
	case o.Sensors > maxSensors:
		return o, fmt.Errorf("%w: more than %d sensors", ErrOptions, maxSensors)
	case o.Hashes > maxHashes:
		return o, fmt.Errorf("%w: more than %d files", ErrOptions, maxHashes)
	case math.IsNaN(o.FileShare), o.FileShare > 1:
		return o, fmt.Errorf("%w: a share of files above 1", ErrOptions)
	case o.Era < EraMixed || o.Era > Era2026:
		return o, fmt.Errorf("%w: unknown era %d", ErrOptions, o.Era)
	}
	return o, nil
}

// eventsOf returns how many of the events are the sensor's.
func (o Options) eventsOf(sensor int) int {
	n := o.Events / o.Sensors
	if sensor < o.Events%o.Sensors {
		n++
	}
	return n
}

// SensorName returns the name of a sensor by its index, from 0.
func SensorName(sensor int) string {
	return fmt.Sprintf("sensor-%02d", sensor+1)
}

// Generate writes the events of one sensor (index from 0) as JSON lines, in
// time order, to w. If it fails or ctx ends, the counts are of the lines
// made until then, of which w may lack the last.
func (o Options) Generate(ctx context.Context, w io.Writer, sensor int) (Stats, error) {
	o, err := o.settled()
	if err != nil {
		return Stats{}, err
	}
	if sensor < 0 || sensor >= o.Sensors {
		return Stats{}, fmt.Errorf("%w: no sensor with index %d of %d", ErrOptions, sensor, o.Sensors)
	}
	out := bufio.NewWriterSize(w, 1<<18)
	t, err := newSensor(o, sensor).run(ctx, func(line []byte, _ int64) error {
		_, err := out.Write(line)
		return err
	})
	if end := out.Flush(); err == nil {
		err = end
	}
	if err != nil {
		return t.stats(), fmt.Errorf("write the log of %s: %w", SensorName(sensor), err)
	}
	return t.stats(), nil
}
