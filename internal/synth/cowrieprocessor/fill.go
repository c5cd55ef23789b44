package cowrieprocessor

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"golang.org/x/crypto/blake2b"

	"midden/internal/synth"
)

// pace is how many events a second the tool loaded; times of loading go by it.
const pace = 3000

// fill fills the tables from the logs. One goroutine makes the batches, this
// one writes them.
func (o Options) fill(ctx context.Context, db *sql.DB) (Tally, error) {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return Tally{}, err
	}
	defer tx.Rollback()
	id := blake2b.Sum256(fmt.Appendf(nil, "run of seed %d", o.Logs.Seed))
	s, err := newStore(ctx, tx, hex.EncodeToString(id[:16]))
	if err != nil {
		return Tally{}, err
	}
	s.files = filesInserter(o.Files)
	s.keys = inserter{table: "keys (session_id, event_type, event_timestamp)", own: 3, conflict: "DO NOTHING"}

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	batches := make(chan *batch, 16)
	l := newLoads(o, func(b *batch) error {
		select {
		case batches <- b:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	})
	made := make(chan error, 1)
	go func() {
		defer close(batches)
		made <- l.run(ctx)
	}()
	start := o.Logs.Start.Add(o.Logs.Span)
	for b := range batches {
		if err == nil {
			at := start.Add(time.Duration(s.tally.Rows) * time.Second / pace)
			err = s.write(b, at.UTC().Format(sqlTime))
		}
		if err != nil {
			cancel()
		}
	}
	if made := <-made; err == nil {
		err = made
	}
	if err != nil {
		return Tally{}, err
	}
	t := l.tally
	t.Rows, t.Quarantined, t.DeadLetters = s.tally.Rows, s.tally.Quarantined, s.tally.DeadLetters
	return t, tx.Commit()
}

// loads is the loading of all sensors' logs, one sensor after the other.
type loads struct {
	Options
	tally       Tally
	bulk, delta *collector
	first, last int64 // days of the logs, since 1970
	inodes      int   // given so far
	hashes      map[string]bool
	doubled     map[string]bool
}

func newLoads(o Options, emit func(*batch) error) *loads {
	l := &loads{
		Options: o,
		bulk:    newCollector(bulkBatch, o.Files, emit),
		delta:   newCollector(deltaBatch, o.Files, emit),
		first:   dayOf(o.Logs.Start.UnixMicro()),
		last:    dayOf(o.Logs.Start.Add(o.Logs.Span).UnixMicro() - 1),
		hashes:  map[string]bool{},
		doubled: map[string]bool{},
	}
	l.bulk.keys, l.delta.keys = true, true
	return l
}

func (l *loads) run(ctx context.Context) error {
	for sensor := range l.Logs.Sensors {
		log := &log{loads: l, sensor: sensor}
		stats, err := l.Logs.Generate(ctx, &lineWriter{line: log.add}, sensor)
		if err == nil {
			err = log.end(ctx)
		}
		if err != nil {
			return err
		}
		t := &l.tally
		t.Events += stats.Events
		t.Sessions += stats.Sessions
		t.Sightings += stats.Sightings
		t.Downloads += stats.Downloads
		t.Uploads += stats.Uploads
		t.FailedTransfers += stats.FailedTransfers
		t.Commands += stats.Commands
		t.Logins += stats.Logins
		t.Bytes += stats.Bytes
	}
	l.tally.Files, l.tally.Doubled = len(l.hashes), len(l.doubled)
	return nil
}

// log is the logs of a sensor: one a day, and the live one.
type log struct {
	*loads
	sensor int
	source *source
	day    int64
	offset int    // of the next line
	live   bool   // the log is the last day's, and there are others
	line   []byte // the last one
}

// errEnough ends the making of lines.
var errEnough = errors.New("enough lines")

func (g *log) add(line []byte) error {
	e, _ := g.bulk.read(line)
	if day := dayOf(e.when.at); g.source == nil || day != g.day && !g.live {
		if err := g.rotate(day); err != nil {
			return err
		}
	}
	if f, ok := sighting(e, "oldest"); ok {
		g.hashes[f.sha] = true
	}
	g.line = append(g.line[:0], line...)
	g.offset++
	if g.live {
		return g.delta.addNew(g.offset-1, e)
	}
	return g.bulk.add(g.source, g.offset-1, e)
}

// rotate begins the log of a day.
func (g *log) rotate(day int64) error {
	if day >= g.last && g.first < g.last {
		g.live = true
		if g.source != nil {
			if err := g.endBulk(); err != nil {
				return err
			}
		}
	}
	g.inodes++
	g.source = &source{logName(g.sensor, day, g.live), fmt.Sprint(1_050_000 + g.inodes)}
	g.day, g.offset = day, 0
	if g.live {
		g.tally.Cursors++
		g.delta.open(g.source, nil)
	}
	return nil
}

func logName(sensor int, day int64, live bool) string {
	name := "/srv/cowrie/" + synth.SensorName(sensor) + "/cowrie.json"
	if !live {
		name += time.UnixMicro(day * 86400e6).UTC().Format(".2006-01-02")
	}
	return name
}

// endBulk ends what was loaded in bulk.
func (g *log) endBulk() error {
	if g.Faults {
		var r eventReader // bulk's holds the line that comes next
		e, _ := r.read(g.line[:len(g.line)/2])
		if err := g.bulk.add(g.source, g.offset, e); err != nil {
			return err
		}
		g.tally.Malformed++
	}
	return g.bulk.close()
}

// end ends the loading of a sensor's logs.
func (g *log) end(ctx context.Context) error {
	switch {
	case g.source == nil: // there was no line
		return nil
	case g.live:
		if err := g.delta.close(); err != nil {
			return err
		}
	default:
		if err := g.endBulk(); err != nil {
			return err
		}
	}
	if !g.Faults {
		return nil
	}
	return g.repeat(ctx)
}

// repeat loads the sensor's first log again, under another inode.
func (g *log) repeat(ctx context.Context) error {
	g.inodes++
	copied := &source{"", fmt.Sprint(1_050_000 + g.inodes)}
	day, offset := int64(0), 0
	again := func(line []byte) error {
		e, _ := g.bulk.read(line)
		switch d := dayOf(e.when.at); {
		case offset == 0:
			day = d
			copied.name = logName(g.sensor, d, d >= g.last && g.first < g.last)
		case d != day:
			return errEnough
		}
		g.doubled[string(e.session)] = true
		g.tally.Repeated++
		offset++
		return g.bulk.add(copied, offset-1, e)
	}
	_, err := g.Logs.Generate(ctx, &lineWriter{line: again}, g.sensor)
	if err != nil && !errors.Is(err, errEnough) {
		return err
	}
	return g.bulk.close()
}

func dayOf(at int64) int64 { return at / 86400e6 }

// lineWriter is a writer that hands lines on.
type lineWriter struct {
	line func([]byte) error
	rest []byte
}

func (w *lineWriter) Write(p []byte) (int, error) {
	for n := len(p); ; {
		end := bytes.IndexByte(p, '\n')
		if end < 0 {
			w.rest = append(w.rest, p...)
			return n, nil
		}
		line := p[:end]
		if len(w.rest) > 0 {
			w.rest = append(w.rest, line...)
			line = w.rest
		}
		if err := w.line(line); err != nil {
			return 0, err
		}
		w.rest, p = w.rest[:0], p[end+1:]
	}
}
