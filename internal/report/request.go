package report

import (
	"context"
	"fmt"
	"time"

	"midden/internal/cowrie"
)

// Request says of what a report is to be made.
type Request struct {
	Type     string         // daily, weekly, monthly or custom
	From, To cowrie.Time    // To is not included; both are beginnings of days in Location
	Location *time.Location // where days begin; nil is UTC
	Sensor   string         // of this sensor only; "" for all of them together
	// AsOf is the moment of which the report is: nothing that is later counts, and
	// what is said of files is what was said by then. NoTime, or the zero value, is now.
	AsOf cowrie.Time
	Top  int // how long lists are at the most; 0 is DefaultTop
}

// DefaultTop is how long the lists of a report are at the most, unless it is asked for
// others. maxListed is how long those are that somebody is to go through: new files,
// verdicts, sessions.
const (
	DefaultTop = 10
	maxListed  = 100
)

// Store is what reports are made of. What the sessions of a UTC day add up to can be kept,
// where the store can write: the day is claimed before they are counted, and it is kept unless
// they have changed meanwhile.
type Store[V View] interface {
	// View returns the database as it is now.
	View(context.Context) (V, error)
	// ClaimDays returns nil if nothing can be kept, or needs to be.
	ClaimDays(ctx context.Context, days []cowrie.Time) (claim []byte, err error)
	// KeepDay keeps the sums of each sensor, packed.
	KeepDay(ctx context.Context, claim []byte, day cowrie.Time, sums map[string][]byte) error
}

// View is the database at one moment. Methods with a span tell of what is in it, and
// call f for each of them; the functions that they call must not call others.
type View interface {
	Readers() int // how many can ask at the same time
	Close()

	// SessionSums tells, of each sensor or of one, what the sessions add up to that began on a
	// day, in pieces; false if that is not kept. CountSessions counts those that began in the span.
	SessionSums(ctx context.Context, day cowrie.DayKey, f func(sensor string, pieces [][]byte) error) (kept bool, err error)
	CountSessions(ctx context.Context, span cowrie.Span) (sums map[string][]byte, err error)
	SessionsOf(ctx context.Context, ids []string, f func(*cowrie.Session) error) error
	// Busiest are those with more commands than told, which is cowrie.ManyCommands-1 or more: the
	// first limit of them.
	Busiest(ctx context.Context, span cowrie.Span, more int64, limit int, f func(id string, commands int64) error) error

	// SensorDays, Logins and SumLogins are of the whole UTC days of the span.
	SensorDays(ctx context.Context, span cowrie.Span, f func(*cowrie.SensorDay) error) error
	Logins(ctx context.Context, span cowrie.Span, f func(*cowrie.Login) error) error
	SumLogins(ctx context.Context, span cowrie.Span) (attempts, successes int64, err error)
	// DayParts reads the events themselves.
	DayParts(ctx context.Context, span cowrie.Span) (map[cowrie.DayKey]*cowrie.SensorDay, error)
	// LastEvents tells the last event of each sensor before a UTC day.
	LastEvents(ctx context.Context, day cowrie.Time, f func(sensor string, last cowrie.Time) error) error

	Seen(ctx context.Context, span cowrie.Span, f func(*cowrie.Sighting) error) error
	CountSeen(ctx context.Context, span cowrie.Span, f func(shasum string, kind cowrie.Kind, n int64) error) error
	SightingsOf(ctx context.Context, sessions []string, f func(*cowrie.Sighting) error) error
	// SeenFiles also tells of files that were seen before and after the span alone.
	SeenFiles(ctx context.Context, span cowrie.Span, f func(*cowrie.SeenFile) error) error
	FilesOf(ctx context.Context, shasums []string, sensor string, f func(*cowrie.SeenFile) error) error
	// Verdicts are those before the end of the span, by file and time: of the files of
	// SeenFiles, and of those of which something was said in the span.
	Verdicts(ctx context.Context, span cowrie.Span, f func(*cowrie.Verdict) error) error
	FailedLookups(ctx context.Context, until cowrie.Time, f func(shasum string) error) error

	Shadow(context.Context) (bool, error)   // verdicts are not to be shown yet
	RawLeft(context.Context) (int64, error) // events that were counted nowhere
}

// Build makes a report.
func Build[V View](ctx context.Context, s Store[V], r Request) (*Document, error) {
	if r.Location == nil {
		r.Location = time.UTC
	}
	if r.AsOf == cowrie.NoTime || r.AsOf == 0 {
		r.AsOf = cowrie.FromStd(time.Now())
	}
	if r.Top <= 0 {
		r.Top = DefaultTop
	}
	if r.From == cowrie.NoTime || r.To == cowrie.NoTime || r.From >= r.To {
		return nil, fmt.Errorf("a report is of a time from %s to %s: that is none", r.From, r.To)
	}
	now := newPeriod(r)
	before := newPeriod(r.before())
	days := append(now.whole(), before.whole()...)
	claim, err := s.ClaimDays(ctx, days)
	if err != nil {
		return nil, err
	}
	view, err := s.View(ctx)
	if err != nil {
		return nil, err
	}
	defer view.Close()
	b := &builder{Request: r, view: view, now: newPart(now), before: newPart(before)}
	if claim != nil {
		b.keep = func(ctx context.Context, day cowrie.Time, sums map[string][]byte) error {
			return s.KeepDay(ctx, claim, day, sums)
		}
	}
	return b.build(ctx)
}
