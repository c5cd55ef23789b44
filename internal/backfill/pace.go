package backfill

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"midden/internal/cowrie"
)

// Pace says how hard to work. The zero value leaves room for others as soon as
// they write.
type Pace struct {
	Full  bool    // without regard to others
	Rows  float64 // events of files a second at the most; 0: no limit
	Share float64 // of the time that may be spent writing, above 0 and up to 1; 0: no limit
}

// ParsePace reads auto, full, a number of events a second (2000/s), or a share
// of the time (25%).
func ParsePace(s string) (p Pace, err error) {
	n := 0.0
	number, perSecond := strings.CutSuffix(s, "/s")
	share, percent := strings.CutSuffix(s, "%")
	switch {
	case s == "auto" || s == "":
		return p, nil
	case s == "full":
		return Pace{Full: true}, nil
	case perSecond:
		n, err = strconv.ParseFloat(number, 64)
		p.Rows = n
	case percent:
		n, err = strconv.ParseFloat(share, 64)
		p.Share = n / 100
	}
	if err != nil || !(n > 0) || percent && n > 100 || n > 1e9 {
		return Pace{}, fmt.Errorf("%q is no pace: use auto, full, events a second such as 2000/s, or a share of the time such as 25%%", s)
	}
	return p, nil
}

// How long a transaction is to keep others from writing, and the pauses
// between two.
const (
	turnAlone  = 500 * time.Millisecond
	turnBeside = 10 * time.Millisecond // while somebody else writes
	gapBeside  = 30 * time.Millisecond
	besideFor  = 10 * time.Second // since somebody else was last seen to write
	// Who waits for SQLite's lock looks for it again every 100 ms at the latest:
	// now and then a pause is so long that all who wait get in, and are seen.
	gapForAll   = 110 * time.Millisecond
	breathAfter = 2 * time.Second
)

// keepPace waits after a transaction that held the database for so long, and
// sizes the next one.
func (r *run) keepPace(ctx context.Context, held time.Duration, rows int) error {
	beside := !r.Pace.Full && !r.others.IsZero() && r.now().Sub(r.others) < besideFor
	goal, pause, reason := turnAlone, time.Duration(0), "nobody else writes"
	switch {
	case r.Pace.Full:
		reason = "at full speed, as asked for"
	case beside:
		goal, pause, reason = turnBeside, max(gapBeside, 3*held), "leaves room: another process is writing"
	}
	if since := r.now().Sub(r.breath); since > breathAfter {
		start := r.now()
		if err := r.db.WriteBack(ctx); err != nil {
			return err
		}
		r.breath = r.now()
		if took := r.breath.Sub(start); !r.Pace.Full {
			pause = max(pause, gapForAll-took)
		}
	}
	if r.Pace.Rows > 0 {
		if p := time.Duration(float64(rows)/r.Pace.Rows*float64(time.Second)) - held; p > pause {
			pause, reason = p, fmt.Sprintf("%g events a second at the most, as asked for", r.Pace.Rows)
		}
	}
	if r.Pace.Share > 0 {
		if p := time.Duration(float64(held) * (1/r.Pace.Share - 1)); p > pause {
			pause, reason = p, fmt.Sprintf("%g%% of the time, as asked for", r.Pace.Share*100)
		}
	}
	r.job.PaceReason = reason
	r.resize(held, goal, rows)
	return r.wait(ctx, pause)
}

// resize makes batches larger or smaller, so that a transaction takes as long
// as it is to take. They shrink at once, since somebody may be waiting, and grow
// to twice their size at the most: one measurement is no more than that.
func (r *run) resize(held, goal time.Duration, rows int) {
	if rows > 0 && held > 0 {
		fit := float64(rows) * float64(goal) / float64(held)
		r.size = int(min(fit, 2*float64(r.size)))
	}
	r.size = r.allowed(min(max(r.size, minBatch), maxBatch))
}

// allowed returns how large a batch may be that is to have so many rows.
func (r *run) allowed(size int) int {
	if r.Pace.Rows > 0 { // a pause a second, not one an hour
		size = min(size, max(1, int(r.Pace.Rows)))
	}
	if r.Batch > 0 {
		size = min(size, r.Batch)
	}
	return size
}

// meter measures how fast a run is, over the last few seconds.
type meter struct {
	marks []mark
}

type mark struct {
	at          time.Time
	rows, bytes int64
}

const meterSpan = 15 * time.Second

func (m *meter) start(now time.Time, rows, bytes int64) { m.marks = []mark{{now, rows, bytes}} }

// note writes the rates, and the time that is left, into a job.
func (m *meter) note(now time.Time, j *cowrie.Job) {
	for len(m.marks) > 1 && now.Sub(m.marks[1].at) > meterSpan {
		m.marks = m.marks[1:]
	}
	first := m.marks[0]
	if last := m.marks[len(m.marks)-1]; now.Sub(last.at) > meterSpan/30 {
		m.marks = append(m.marks, mark{now, j.RowsSeen, j.BytesSeen})
	}
	seconds := now.Sub(first.at).Seconds()
	j.RowsPerSecond, j.BytesPerSecond, j.ETARows, j.ETABytes = -1, -1, -1, -1
	if seconds <= 0 || j.RowsSeen <= first.rows {
		return
	}
	j.RowsPerSecond = float64(j.RowsSeen-first.rows) / seconds
	j.BytesPerSecond = float64(j.BytesSeen-first.bytes) / seconds
	j.ETARows = float64(max(0, j.RowsTotal-j.RowsSeen)) / j.RowsPerSecond
	if j.BytesPerSecond > 0 {
		j.ETABytes = float64(max(0, j.BytesTotal-j.BytesSeen)) / j.BytesPerSecond
	}
}

// Window is a time of the day, in local time.
type Window struct {
	from, until int // minutes since midnight
}

// ParseWindow reads a window such as 22:00-06:00.
func ParseWindow(s string) (*Window, error) {
	from, until, ok := strings.Cut(s, "-")
	a, err1 := time.Parse("15:04", from)
	b, err2 := time.Parse("15:04", until)
	if !ok || err1 != nil || err2 != nil || a.Equal(b) {
		return nil, fmt.Errorf("%q is no window: use one such as 22:00-06:00, in local time", s)
	}
	return &Window{a.Hour()*60 + a.Minute(), b.Hour()*60 + b.Minute()}, nil
}

func (w *Window) String() string {
	return fmt.Sprintf("%02d:%02d-%02d:%02d", w.from/60, w.from%60, w.until/60, w.until%60)
}

// open reports whether it is within the window.
func (w *Window) open(now time.Time) bool {
	t := now.Hour()*60 + now.Minute()
	if w.from < w.until {
		return t >= w.from && t < w.until
	}
	return t >= w.from || t < w.until
}
