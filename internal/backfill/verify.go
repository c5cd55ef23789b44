package backfill

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"midden/internal/cowrie"
)

// Snapshot is the database at one moment.
type Snapshot interface {
	Job(ctx context.Context, name string) (*cowrie.Job, error)
	LastRawEvent(context.Context) (int64, error)
	// Bytes returns about how many bytes of events there are.
	Bytes(ctx context.Context, after, through int64) (int64, error)
	// RawEvents calls f for all raw events with after < id <= through.
	RawEvents(ctx context.Context, after, through int64, f func(*cowrie.RawEvent) error) error
	// Segments calls f for one segment, or for all if id is 0.
	Segments(ctx context.Context, id int64, f func(*cowrie.Segment) error) error
	// Dropped returns the segments that were dropped, and from when to when their events were.
	Dropped(context.Context) (map[int64]cowrie.Span, error)
	// Sources and Sightings call f for each there is.
	Sources(context.Context, func(*cowrie.SourceCount) error) error
	Sightings(context.Context, func(*cowrie.StoredSighting) error) error
	// Files calls f for each file as it is stored and as its sightings say.
	Files(context.Context, func(stored, derived *cowrie.File) error) error
	// SameSighting returns the stored sighting that is this one; nil if there is none.
	SameSighting(ctx context.Context, s *cowrie.Sighting, raw bool) (*cowrie.StoredSighting, error)
	HasVerdict(context.Context, *cowrie.Verdict) (bool, error)
	// Days calls day for what is counted of each day and sensor, but for its logins, and
	// login for those.
	Days(ctx context.Context, day func(*cowrie.SensorDay) error, login func(cowrie.DayKey, *cowrie.Login) error) error
	// WrongSums calls f for each day and sensor of which something else is kept for reports than
	// its sessions add up to.
	WrongSums(ctx context.Context, f func(*cowrie.WrongSums) error) error
	// WrongFileSums calls f for each file of which something else is kept than its sightings add up to.
	WrongFileSums(ctx context.Context, f func(shasum string, damage error) error) error
}

// Gap is a difference between the events and what was derived from them.
type Gap struct {
	What     string // sightings, verdicts, files, lines, segment, days, sums
	Where    string // such as raw events 1-65536, segment 12, or 2026-03-28, sensor-01
	Expected int64
	Found    int64
	Detail   string
	Mended   bool
}

// Verification tells what a verification looked at.
type Verification struct {
	RawEvents, Segments, Sources, Sightings, Files, Days int64
	// Pending are raw events that no backfill has done yet.
	Pending int64
	// Orphans are sightings whose event was deleted or dropped: no gap, since what
	// was derived outlives the events.
	Orphans int64
	// Uncompared are days of which events are gone, so that nothing tells what they were.
	Uncompared int64
	// Gaps were found, and so many of them mended.
	Gaps, Mended int64
	Elapsed      time.Duration
}

// VerifyOptions say how to verify.
type VerifyOptions struct {
	// Observe, if not nil, is told how many bytes of events were looked at, and
	// of how many, about.
	Observe func(bytes, of int64)
	// Mend, if not nil, puts gaps right as they are found.
	Mend func(context.Context, *cowrie.Mend) error
}

// verifyRange is how many ids of raw events are compared at once.
const verifyRange = 65536

// Verify reads all events again and compares what they say of files with what
// is stored, range by range: first by count and by the sum of a digest of each
// sighting, and where these differ one by one. What is counted of each day and sensor
// is compared by counts and sums alone. It calls f for each gap.
func Verify(ctx context.Context, db Snapshot, o VerifyOptions, f func(Gap) error) (*Verification, error) {
	v := &verifier{VerifyOptions: o, ctx: ctx, db: db, f: f, hash: newHasher(),
		expected: map[where]*total{}, found: map[where]*total{}, unsound: map[where]bool{},
		days: newDays()}
	start := time.Now()
	for _, step := range []func() error{v.begin, v.storedSightings, v.storedDays, v.rawEvents, v.segments, v.lines, v.compare,
		v.files, v.compareDays, v.sums} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	v.result.Elapsed = time.Since(start)
	return &v.result, nil
}

type verifier struct {
	VerifyOptions
	ctx         context.Context
	db          Snapshot
	f           func(Gap) error
	hash        *hasher
	after, done int64                 // the raw events that count: after < id <= done
	dropped     map[int64]cowrie.Span // segments
	expected    map[where]*total
	found       map[where]*total
	inSegments  map[int64]int64 // events in the segments of each source
	events      map[int64]int64 // in each segment; -1 if it is damaged
	unsound     map[where]bool  // ranges with sightings whose key is not that of their columns
	days        days
	gone        []cowrie.Span   // in which there were events that are dropped or damaged
	lost        bool            // events are gone of which nothing tells when they were
	damaged     map[int64]int64 // events of each source that cannot be read
	result      Verification
	bytes, of   int64 // of events: looked at, and in all
}

// where is a range of events: those of a segment, or raw events.
type where struct {
	segment int64
	raw     int64 // id divided by verifyRange
}

func whereIs(p cowrie.Place) where {
	if p.Raw != 0 {
		return where{raw: (p.Raw-1)/verifyRange + 1}
	}
	return where{segment: p.Segment}
}

func (w where) String() string {
	if w.segment != 0 {
		return fmt.Sprintf("segment %d", w.segment)
	}
	return fmt.Sprintf("raw events %d-%d", (w.raw-1)*verifyRange+1, w.raw*verifyRange)
}

// gap tells of a gap. m puts it right; nil if nothing can.
func (v *verifier) gap(g Gap, m *cowrie.Mend) error {
	return v.tell([]Gap{g}, m)
}

// tell tells of gaps that are put right at once.
func (v *verifier) tell(gaps []Gap, m *cowrie.Mend) error {
	n := int64(len(gaps))
	v.result.Gaps += n
	mended := m != nil && v.Mend != nil
	if mended {
		if err := v.Mend(v.ctx, m); err != nil {
			return err
		}
		v.result.Mended += n
	}
	for _, g := range gaps {
		g.Mended = mended
		if err := v.f(g); err != nil {
			return err
		}
	}
	return nil
}

// begin finds out which raw events count: those that were backfilled, and were
// not moved into segments.
func (v *verifier) begin() error {
	job, err := v.db.Job(v.ctx, JobName)
	if err != nil {
		return err
	}
	moved, err := v.db.Job(v.ctx, "compact")
	if err != nil {
		return err
	}
	last, err := v.db.LastRawEvent(v.ctx)
	if err != nil {
		return err
	}
	v.after, v.done = moved.Position, min(job.Position, last)
	v.result.Pending = max(0, last-max(v.done, v.after))
	if v.dropped, err = v.db.Dropped(v.ctx); err != nil {
		return err
	}
	v.gone = slices.Collect(maps.Values(v.dropped))
	v.of, err = v.db.Bytes(v.ctx, v.after, v.done)
	return err
}

// storedSightings sums up the sightings that are stored.
func (v *verifier) storedSightings() error {
	return v.db.Sightings(v.ctx, func(s *cowrie.StoredSighting) error {
		v.result.Sightings++
		if s.Kind == cowrie.Disk {
			return nil // no event bears it out: the disk does
		}
		if _, dropped := v.dropped[s.Place.Segment]; dropped || s.Place == (cowrie.Place{}) {
			v.result.Orphans++
			return nil
		}
		if !s.Sound {
			v.unsound[whereIs(s.Place)] = true
		}
		add(v.found, whereIs(s.Place), v.hash.of(&s.Sighting, s.Place))
		return nil
	})
}

// event sums up what an event says.
func (v *verifier) event(finder *cowrie.Finder, text []byte, p cowrie.Place) error {
	v.bytes += int64(len(text))
	found, err := finder.Find(text, "")
	if err != nil {
		if p.Raw == 0 {
			return v.gap(Gap{What: "segment", Where: whereIs(p).String(), Detail: fmt.Sprintf("event %d: %v", p.Index, err)}, nil)
		}
		return nil // the backfill made it a dead letter
	}
	switch {
	case found.Sighting != nil:
		add(v.expected, whereIs(p), v.hash.of(found.Sighting, p))
	case found.Verdict != nil:
		has, err := v.db.HasVerdict(v.ctx, found.Verdict)
		if err != nil || has {
			return err
		}
		return v.gap(Gap{What: "verdicts", Where: placeName(p), Expected: 1,
			Detail: "the verdict on " + found.Verdict.Shasum + " is missing"}, &cowrie.Mend{Verdicts: []cowrie.Verdict{*found.Verdict}})
	}
	return nil
}

func placeName(p cowrie.Place) string {
	if p.Raw != 0 {
		return fmt.Sprintf("raw event %d", p.Raw)
	}
	return fmt.Sprintf("segment %d, event %d", p.Segment, p.Index)
}

func (v *verifier) observe() {
	if v.Observe != nil {
		v.Observe(v.bytes, max(v.bytes, v.of))
	}
}

func (v *verifier) rawEvents() error {
	if v.done <= v.after {
		return nil
	}
	finder := cowrie.NewFinder()
	return v.db.RawEvents(v.ctx, v.after, v.done, func(e *cowrie.RawEvent) error {
		if v.result.RawEvents++; v.result.RawEvents%10000 == 0 {
			v.observe()
		}
		return v.event(finder, e.Payload, cowrie.Place{Raw: e.ID})
	})
}

// segments reads every segment, and looks that it is what it is said to be.
func (v *verifier) segments() error {
	v.inSegments, v.events, v.damaged = map[int64]int64{}, map[int64]int64{}, map[int64]int64{}
	finder := cowrie.NewFinder()
	return v.db.Segments(v.ctx, 0, func(seg *cowrie.Segment) error {
		v.result.Segments++
		v.observe()
		w := where{segment: seg.ID}
		if seg.Damage != nil {
			delete(v.found, w) // there is nothing to compare it with
			v.events[seg.ID] = -1
			v.damaged[seg.Source] += seg.Events
			v.gone = append(v.gone, cowrie.Span{From: seg.First, To: seg.Last})
			return v.gap(Gap{What: "segment", Where: w.String(), Expected: seg.Events, Detail: seg.Damage.Error()}, nil)
		}
		n, counted := int64(0), map[cowrie.DayKey]*cowrie.SensorDay{}
		finder.CountDays(counted)
		err := eachEvent(seg, func(text []byte, p cowrie.Place) error {
			n++
			return v.event(finder, text, p)
		})
		if err != nil {
			return err
		}
		v.eventDays(counted)
		v.inSegments[seg.Source] += n
		v.events[seg.ID] = n
		if n != seg.Events {
			return v.gap(Gap{What: "segment", Where: w.String(), Expected: seg.Events, Found: n, Detail: "it holds another number of events than it is said to"}, nil)
		}
		return nil
	})
}

// lines looks that every line of every source is accounted for.
func (v *verifier) lines() error {
	return v.db.Sources(v.ctx, func(c *cowrie.SourceCount) error {
		v.result.Sources++
		w := fmt.Sprintf("source %d", c.ID)
		if sum := c.Events + c.Duplicates + c.DeadLetters + c.Blank; sum != c.Lines {
			return v.gap(Gap{What: "lines", Where: w, Expected: c.Lines, Found: sum,
				Detail: "events, duplicates, dead letters and blank lines are not all lines"}, nil)
		}
		if c.Letters != c.DeadLetters {
			if err := v.gap(Gap{What: "lines", Where: w, Expected: c.DeadLetters, Found: c.Letters,
				Detail: "it has another number of dead letters than it counts"}, nil); err != nil {
				return err
			}
		}
		if n := v.inSegments[c.ID] + c.Dropped; n != c.Events {
			v.lost = v.lost || n+v.damaged[c.ID] < c.Events
			return v.gap(Gap{What: "lines", Where: w, Expected: c.Events, Found: n, Detail: "its segments hold another number of events"}, nil)
		}
		return nil
	})
}

// files compares every file with its sightings.
func (v *verifier) files() error {
	return v.db.Files(v.ctx, func(stored, derived *cowrie.File) error {
		g := Gap{What: "files"}
		switch {
		case derived == nil:
			g.Where, g.Found, g.Detail = stored.Shasum, stored.Sightings, "there are no sightings of it"
		case stored == nil:
			g.Where, g.Expected, g.Detail = derived.Shasum, derived.Sightings, "there are sightings of it, but no file"
		case *stored != *derived:
			g.Where, g.Expected, g.Found = derived.Shasum, derived.Sightings, stored.Sightings
			g.Detail = "its times, names or counts are not those of its sightings"
		default:
			v.result.Files++
			return nil
		}
		v.result.Files++
		return v.gap(g, &cowrie.Mend{Files: []string{g.Where}})
	})
}

// eachEvent calls f for the events of a segment.
func eachEvent(seg *cowrie.Segment, f func([]byte, cowrie.Place) error) error {
	for text, n := seg.Text, 0; len(text) > 0; n++ {
		end := bytes.IndexByte(text, '\n')
		if end < 0 {
			end = len(text) - 1
		}
		if err := f(text[:end], cowrie.Place{Segment: seg.ID, Index: n}); err != nil {
			return err
		}
		text = text[end+1:]
	}
	return nil
}
