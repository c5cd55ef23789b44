package backfill

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"midden/internal/cowrie"
)

func TestParsePace(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]Pace{
		"":         {},
		"auto":     {},
		"full":     {Full: true},
		"2000/s":   {Rows: 2000},
		"0.5/s":    {Rows: 0.5},
		"1e9/s":    {Rows: 1e9},
		"25%":      {Share: 0.25},
		"100%":     {Share: 1},
		"0.1%":     {Share: 0.001},
		"2/s/s":    {Rows: -1},
		"0/s":      {Rows: -1},
		"-1/s":     {Rows: -1},
		"1e10/s":   {Rows: -1},
		"NaN/s":    {Rows: -1},
		"Inf/s":    {Rows: -1},
		"/s":       {Rows: -1},
		"0%":       {Rows: -1},
		"-5%":      {Rows: -1},
		"100.1%":   {Rows: -1},
		"NaN%":     {Rows: -1},
		"%":        {Rows: -1},
		"25 %":     {Rows: -1},
		"2000":     {Rows: -1},
		"2000/m":   {Rows: -1},
		"Full":     {Rows: -1},
		"fast":     {Rows: -1},
		" auto":    {Rows: -1},
		"2000/s ":  {Rows: -1},
		"1/s 25%":  {Rows: -1},
		"25%,2/s":  {Rows: -1},
		"2000 / s": {Rows: -1},
	} {
		got, err := ParsePace(in)
		if (want.Rows < 0) != (err != nil) {
			t.Errorf("%q: %v", in, err)
		}
		if err != nil {
			want = Pace{}
		}
		if got != want {
			t.Errorf("%q: %+v, want %+v", in, got, want)
		}
	}
}

func TestParseWindow(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"22:00-06:00":       "22:00-06:00",
		"00:00-23:59":       "00:00-23:59",
		"6:30-7:00":         "06:30-07:00",
		"00:01-00:00":       "00:01-00:00",
		"":                  "",
		"22:00":             "",
		"22:00-":            "",
		"-06:00":            "",
		"22:00-22:00":       "",
		"06:00-6:00":        "",
		"24:00-06:00":       "",
		"22:60-06:00":       "",
		"22-06":             "",
		"22:00 - 06:00":     "",
		"22:00-06:00-08:00": "",
		"22:00:00-06:00:00": "",
		"10pm-6am":          "",
		"-1:00-06:00":       "",
	} {
		w, err := ParseWindow(in)
		if (want == "") != (err != nil) {
			t.Errorf("%q: %v", in, err)
			continue
		}
		if err == nil && w.String() != want {
			t.Errorf("%q: %s", in, w)
		}
	}
}

func TestWindowOpen(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		window       string
		open, closed []string
	}{
		{"22:00-06:00", []string{"22:00:00", "23:59:59", "00:00:00", "05:59:59"}, []string{"06:00:00", "12:00:00", "21:59:59"}},
		{"09:15-17:30", []string{"09:15:00", "12:00:00", "17:29:59"}, []string{"09:14:59", "17:30:00", "00:00:00", "23:59:59"}},
		{"00:00-06:00", []string{"00:00:00", "05:59:59"}, []string{"23:59:59", "06:00:00"}},
		{"18:00-00:00", []string{"18:00:00", "23:59:59"}, []string{"00:00:00", "17:59:59"}},
	} {
		w, err := ParseWindow(c.window)
		if err != nil {
			t.Fatal(err)
		}
		for want, times := range map[bool][]string{true: c.open, false: c.closed} {
			for _, text := range times {
				now, err := time.Parse(time.TimeOnly, text)
				if err != nil {
					t.Fatal(err)
				}
				if w.open(now) != want {
					t.Errorf("%s at %s: want %v", c.window, text, want)
				}
			}
		}
	}
}

// world is a store in which only time passes.
type world struct {
	Store
	clock      time.Time
	waited     []time.Duration
	writeBacks int
	writeBack  time.Duration // how long one takes
	jobs       []cowrie.Job  // that were saved
	pause      []bool        // what is asked of the job, one time after the other
	waitErr    error
}

func (w *world) WriteBack(context.Context) error {
	w.writeBacks++
	w.clock = w.clock.Add(w.writeBack)
	return nil
}

func (w *world) SaveJob(_ context.Context, j *cowrie.Job) error {
	w.jobs = append(w.jobs, *j)
	return nil
}

func (w *world) Job(context.Context, string) (*cowrie.Job, error) {
	j := cowrie.NewJob(JobName)
	if len(w.pause) > 0 {
		j.Pause, w.pause = w.pause[0], w.pause[1:]
	}
	return j, nil
}

func (w *world) wait(_ context.Context, d time.Duration) error {
	w.waited = append(w.waited, d)
	w.clock = w.clock.Add(max(d, 0))
	return w.waitErr
}

func newWorld(o Options) (*world, *run) {
	w := &world{clock: time.Date(2026, 2, 3, 12, 0, 0, 0, time.UTC)}
	o.Log = slog.New(slog.NewTextHandler(io.Discard, nil))
	r := &run{Options: o, db: w, job: cowrie.NewJob(JobName), sum: &Summary{}, wait: w.wait,
		now: func() time.Time { return w.clock }, size: firstBatch, breath: w.clock}
	r.job.State = cowrie.JobRunning
	r.rate.start(w.clock, 0, 0)
	return w, r
}

func (w *world) last() time.Duration { return w.waited[len(w.waited)-1] }

const ms = time.Millisecond

func TestKeepPace(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		pace   Pace
		batch  int
		others time.Duration // ago; 0: never seen
		held   time.Duration
		rows   int
		pause  time.Duration
		size   int
		reason string
	}{
		{"alone", Pace{}, 0, 0, 250 * ms, 512, 0, 1024, "nobody else writes"},
		{"alone, too long a turn", Pace{}, 0, 0, 1000 * ms, 512, 0, 256, "nobody else writes"},
		{"alone, far too long a turn", Pace{}, 0, 0, 20 * time.Second, 512, 0, 16, "nobody else writes"},
		{"alone, by twice at the most", Pace{}, 0, 0, ms, 512, 0, 1024, "nobody else writes"},
		{"alone, just right", Pace{}, 0, 0, 500 * ms, 512, 0, 512, "nobody else writes"},
		{"nothing in it", Pace{}, 0, 0, 500 * ms, 0, 0, 512, "nobody else writes"},
		{"beside", Pace{}, 0, ms, 8 * ms, 512, 30 * ms, 640, "leaves room: another process is writing"},
		{"beside, long held", Pace{}, 0, ms, 40 * ms, 512, 120 * ms, 128, "leaves room: another process is writing"},
		{"beside, a while ago", Pace{}, 0, 9999 * ms, 40 * ms, 512, 120 * ms, 128, "leaves room: another process is writing"},
		{"beside, too long ago", Pace{}, 0, 10 * time.Second, 250 * ms, 512, 0, 1024, "nobody else writes"},
		{"full, whoever writes", Pace{Full: true}, 0, ms, 250 * ms, 512, 0, 1024, "at full speed, as asked for"},
		{"a batch", Pace{}, 600, 0, 250 * ms, 512, 0, 600, "nobody else writes"},
		{"a rate", Pace{Rows: 1000}, 0, 0, 100 * ms, 500, 400 * ms, 1000, "1000 events a second at the most, as asked for"},
		{"a rate that is not reached", Pace{Rows: 1000}, 0, 0, 600 * ms, 500, 0, 416, "nobody else writes"},
		{"a rate, beside", Pace{Rows: 100_000}, 0, ms, 20 * ms, 500, 60 * ms, 250, "leaves room: another process is writing"},
		{"a low rate", Pace{Rows: 0.5}, 0, 0, 100 * ms, 1, 1900 * ms, 1, "0.5 events a second at the most, as asked for"},
		{"a share", Pace{Share: 0.25}, 0, 0, 500 * ms, 512, 1500 * ms, 512, "25% of the time, as asked for"},
		{"a share of all", Pace{Share: 1}, 0, 0, 500 * ms, 512, 0, 512, "nobody else writes"},
		{"a share, beside", Pace{Share: 0.5}, 0, ms, 20 * ms, 512, 60 * ms, 256, "leaves room: another process is writing"},
		{"a small share, beside", Pace{Share: 0.1}, 0, ms, 20 * ms, 512, 180 * ms, 256, "10% of the time, as asked for"},
	} {
		w, r := newWorld(Options{Pace: c.pace, Batch: c.batch})
		if c.others != 0 {
			r.others = w.clock.Add(-c.others)
		}
		if err := r.keepPace(t.Context(), c.held, c.rows); err != nil {
			t.Fatal(err)
		}
		type outcome struct {
			Pause  time.Duration
			Size   int
			Reason string
		}
		if diff := cmp.Diff(outcome{c.pause, c.size, c.reason}, outcome{w.last(), r.size, r.job.PaceReason}); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
		if w.writeBacks > 0 {
			t.Errorf("%s: the journal was written back at once", c.name)
		}
	}
}

// TestPaceOverTime: what the limits say must hold over many turns, however long
// the turns take.
func TestPaceOverTime(t *testing.T) {
	t.Parallel()
	perRow := 50 * time.Microsecond
	for _, pace := range []Pace{{Rows: 2000}, {Rows: 7}, {Share: 0.25}, {Share: 0.01}} {
		w, r := newWorld(Options{Pace: pace})
		start, rows, held := w.clock, 0, time.Duration(0)
		for range 300 {
			n := r.size
			took := time.Duration(n) * perRow
			w.clock = w.clock.Add(took)
			rows, held = rows+n, held+took
			if err := r.keepPace(t.Context(), took, n); err != nil {
				t.Fatal(err)
			}
		}
		elapsed := w.clock.Sub(start)
		if rate := float64(rows) / elapsed.Seconds(); pace.Rows > 0 && (rate > pace.Rows*1.001 || rate < pace.Rows*0.9) {
			t.Errorf("%g events a second, of %g", rate, pace.Rows)
		}
		if share := held.Seconds() / elapsed.Seconds(); pace.Share > 0 && (share > pace.Share*1.001 || share < pace.Share*0.9) {
			t.Errorf("a share of %g, of %g", share, pace.Share)
		}
		if pace.Rows > 0 && r.size > max(1, int(pace.Rows)) {
			t.Errorf("%d events in a turn at %g a second", r.size, pace.Rows)
		}
	}
}

// TestBreath: now and then all who wait get in, unless full speed was asked for.
func TestBreath(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		pace      Pace
		writeBack time.Duration
		pause     time.Duration
	}{
		{Pace{}, 30 * ms, 80 * ms},
		{Pace{}, 300 * ms, 0}, // the writing back was pause enough
		{Pace{Full: true}, 30 * ms, 0},
		{Pace{Share: 0.5}, 30 * ms, 500 * ms},
	} {
		w, r := newWorld(Options{Pace: c.pace})
		w.writeBack = c.writeBack
		breaths := 0
		for range 9 { // half a second each
			w.clock = w.clock.Add(500 * ms)
			before := w.writeBacks
			if err := r.keepPace(t.Context(), 500*ms, 512); err != nil {
				t.Fatal(err)
			}
			if w.writeBacks > before {
				breaths++
				if w.last() != c.pause {
					t.Errorf("%+v: a pause of %s, want %s", c.pace, w.last(), c.pause)
				}
			}
		}
		if breaths < 1 || breaths > 4 {
			t.Errorf("%+v: the journal was written back %d times in 9 turns", c.pace, breaths)
		}
	}
}

func TestResizeBounds(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		pace     Pace
		batch    int
		from     int
		held     time.Duration
		rows     int
		turns    int
		smallest int
		largest  int
	}{
		{Pace{}, 0, firstBatch, time.Nanosecond, 512, 40, maxBatch, maxBatch},
		{Pace{}, 0, firstBatch, time.Hour, 512, 40, minBatch, minBatch},
		{Pace{}, 5, 5, time.Nanosecond, 5, 40, 5, 5},
		{Pace{}, 5, 5, time.Hour, 5, 40, 5, 5},
		{Pace{}, 1 << 20, firstBatch, time.Nanosecond, 512, 40, maxBatch, maxBatch},
		{Pace{Rows: 20}, 0, firstBatch, time.Nanosecond, 20, 40, 20, 20},
		{Pace{Rows: 0.01}, 0, firstBatch, time.Nanosecond, 1, 40, 1, 1},
		{Pace{Rows: 1e9}, 0, firstBatch, time.Nanosecond, 512, 40, maxBatch, maxBatch},
		{Pace{}, 0, 4 * maxBatch, 0, 0, 1, maxBatch, maxBatch},
		{Pace{}, 0, 0, 0, 0, 1, minBatch, minBatch},
	} {
		_, r := newWorld(Options{Pace: c.pace, Batch: c.batch})
		r.size = c.from
		for range c.turns {
			before := r.size
			r.resize(c.held, turnAlone, c.rows)
			if c.pace.Rows == 0 && c.batch == 0 && c.rows > 0 && r.size > before*2 {
				t.Errorf("%+v: from %d to %d at once", c, before, r.size)
			}
		}
		if r.size < c.smallest || r.size > c.largest {
			t.Errorf("%+v: the size is %d", c, r.size)
		}
	}
}

// TestHold has a run wait for its hours, and be paused while it does.
func TestHold(t *testing.T) {
	t.Parallel()
	w, r := newWorld(Options{})
	var err error
	if r.Window, err = ParseWindow("12:01-06:00"); err != nil {
		t.Fatal(err)
	}
	w.pause = make([]bool, 70) // 59 seconds to go, then it is paused for a while
	for i := 30; i < 65; i++ {
		w.pause[i] = true
	}
	if err := r.hold(t.Context()); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, j := range w.jobs {
		got = append(got, j.State+": "+j.PaceReason)
	}
	want := []string{"waiting: waits for its hours, 12:01-06:00", "paused: paused by hand", "running: "}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if since := w.clock.Sub(time.Date(2026, 2, 3, 12, 0, 0, 0, time.UTC)); since != 66*time.Second {
		t.Errorf("it went on after %s", since)
	}
	// It ends with its context while it waits.
	w.clock = w.clock.Add(18 * time.Hour)
	w.waitErr = context.Canceled
	if err := r.hold(t.Context()); !errors.Is(err, context.Canceled) || r.job.State != cowrie.JobWaiting {
		t.Errorf("%v in the state %s", err, r.job.State)
	}
	// A dry run writes nothing: it waits for nothing.
	w, dry := newWorld(Options{DryRun: true, Window: r.Window})
	dry.job.Pause = true
	if err := dry.hold(t.Context()); err != nil || w.waited != nil || w.jobs != nil {
		t.Errorf("a dry run waited %v and noted %v (%v)", w.waited, w.jobs, err)
	}
}

func TestMeter(t *testing.T) {
	t.Parallel()
	w, r := newWorld(Options{})
	j := r.job
	j.RowsTotal, j.BytesTotal = 10_000, 5_000_000
	r.rate.note(w.clock, j)
	if j.RowsPerSecond != -1 || j.ETARows != -1 || j.ETABytes != -1 {
		t.Errorf("a rate without time: %+v", j)
	}
	for range 40 { // seconds, at 100 events and 40,000 bytes each
		w.clock = w.clock.Add(time.Second)
		j.RowsSeen += 100
		j.BytesSeen += 40_000
		r.rate.note(w.clock, j)
	}
	got := []float64{j.RowsPerSecond, j.BytesPerSecond, j.ETARows, j.ETABytes}
	if diff := cmp.Diff([]float64{100, 40_000, 60, 85}, got); diff != "" {
		t.Error(diff)
	}
	for range 20 { // slower from now on: what was is forgotten
		w.clock = w.clock.Add(time.Second)
		j.RowsSeen += 10
		j.BytesSeen += 4000
		r.rate.note(w.clock, j)
	}
	if j.RowsPerSecond != 10 {
		t.Errorf("%g events a second over the last seconds, want 10", j.RowsPerSecond)
	}
	j.RowsTotal, j.BytesTotal = 5, 5 // reckoned too low
	r.rate.note(w.clock, j)
	if j.ETARows != 0 || j.ETABytes != 0 {
		t.Errorf("there are %g and %g seconds left of more than all", j.ETARows, j.ETABytes)
	}
}
