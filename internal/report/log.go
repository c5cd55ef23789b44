package report

import (
	"cmp"
	"context"
	"strings"

	"midden/internal/cowrie"
)

// logCounts are what is counted by the time of events.
type logCounts struct {
	failed, attempts, successes int64
	events, logins              []int64 // by day of the period
	sensors                     map[string]int64
	last                        map[string]cowrie.Time // event of each sensor, in the parts of days
	// gone are events that were counted by the loader, and whose text is not there any more:
	// of parts of days it cannot be told which logins were tried.
	gone int64
}

// pairs are names and passwords that were tried together. There may be millions: each text
// is held once.
type pairs struct {
	users, passwords tally
	places           map[[2]int32]int32
	list             []pair
}

type pair struct {
	user, password      int32 // places
	attempts, successes int64
}

func (p *pairs) add(l cowrie.Login) {
	if p.places == nil {
		p.places = map[[2]int32]int32{}
	}
	key := [2]int32{p.users.add(l.Username, l.Attempts), p.passwords.add(l.Password, l.Attempts)}
	i, known := p.places[key]
	if !known {
		i = int32(len(p.list))
		p.places[key] = i
		p.list = append(p.list, pair{user: key[0], password: key[1]})
	}
	p.list[i].attempts += l.Attempts
	p.list[i].successes += l.Successes
}

// logTasks count the events and the logins of a period. Of the period before, it does not
// matter which logins those were.
func (b *builder) logTasks(t *tasks, p *period) {
	p.log = logCounts{events: make([]int64, len(p.days)-1), logins: make([]int64, len(p.days)-1),
		sensors: map[string]int64{}, last: map[string]cowrie.Time{}}
	whole := p.logged.cut(p.logged.firstWhole(), p.logged.endWhole())
	if whole.From < whole.To {
		t.add(func(ctx context.Context) error { return b.sensorDays(ctx, p, whole) })
	}
	for _, part := range p.logged.parts() {
		t.add(func(ctx context.Context) error { return b.dayPart(ctx, p, part) })
	}
	if day := cowrie.Day(p.logged.To); p == b.now && day < p.From {
		t.add(func(ctx context.Context) error { return b.heardBefore(ctx, p, p.cut(day, p.From)) })
	}
	if p == b.before && whole.From < whole.To {
		t.add(func(ctx context.Context) error {
			attempts, successes, err := b.view.SumLogins(ctx, whole)
			b.mu.Lock()
			defer b.mu.Unlock()
			p.log.attempts += attempts
			p.log.successes += successes
			return err
		})
		return
	}
	for _, day := range p.logged.whole() {
		t.add(func(ctx context.Context) error {
			list := newBatch(b, func(l cowrie.Login) {
				b.pairs.add(l)
				p.log.attempts += l.Attempts
				p.log.successes += l.Successes
			})
			err := b.view.Logins(ctx, p.cut(day, day+cowrie.DayLength), func(l *cowrie.Login) error {
				list.add(*l)
				return nil
			})
			list.flush()
			return err
		})
	}
}

// sensorDays counts the events of whole days in UTC.
func (b *builder) sensorDays(ctx context.Context, p *period, whole cowrie.Span) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.view.SensorDays(ctx, whole, func(d *cowrie.SensorDay) error {
		p.log.failed += d.FailedTransfers
		p.log.quarters(p, d, d.Quarters)
		return nil
	})
}

// heard notes that a sensor had an event at a time.
func (l *logCounts) heard(sensor string, at cowrie.Time) {
	if last, known := l.last[sensor]; !known || at > last {
		l.last[sensor] = at
	}
}

// quarters counts the events of quarters of an hour.
func (l *logCounts) quarters(p *period, d *cowrie.SensorDay, quarters []cowrie.Quarter) {
	for _, q := range quarters {
		day := p.dayOf(d.Day + cowrie.Time(q.Of)*cowrie.QuarterLength)
		l.events[day] += q.Events
		l.logins[day] += q.Logins
		l.sensors[d.Sensor] += q.Events
	}
}

// dayPart counts the events of a part of a day in UTC. How many there are in each quarter of
// an hour is known; all else is in their texts.
func (b *builder) dayPart(ctx context.Context, p *period, part cowrie.Span) error {
	texts, err := b.view.DayParts(ctx, part)
	if err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, d := range texts {
		p.log.failed += d.FailedTransfers
		p.log.heard(d.Sensor, d.Last)
		for _, l := range d.Logins {
			p.log.successes += l.Successes
			if p == b.now {
				b.pairs.add(l)
			}
		}
	}
	day := cowrie.Day(part.From)
	return b.view.SensorDays(ctx, cowrie.Span{From: day, To: day + cowrie.DayLength, Sensor: part.Sensor}, func(d *cowrie.SensorDay) error {
		p.log.part(p, part, d, texts[d.DayKey])
		if d.Last < part.To {
			p.log.heard(d.Sensor, d.Last)
		}
		return nil
	})
}

// heardBefore notes which sensors had events on the day of the period, but before it.
func (b *builder) heardBefore(ctx context.Context, p *period, part cowrie.Span) error {
	texts, err := b.view.DayParts(ctx, part)
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, d := range texts {
		p.log.heard(d.Sensor, d.Last)
	}
	return err
}

// part counts the events of a sensor in a part of a day: of quarters of an hour that are
// wholly in it as the loader did, of another one as the texts say.
func (l *logCounts) part(p *period, part cowrie.Span, d, texts *cowrie.SensorDay) {
	var quarters []cowrie.Quarter
	inside := int64(0)
	for _, q := range d.Quarters {
		from := d.Day + cowrie.Time(q.Of)*cowrie.QuarterLength
		if from >= part.From && from+cowrie.QuarterLength <= part.To {
			quarters = append(quarters, q)
			inside += q.Events
		}
	}
	if texts != nil {
		for _, q := range texts.Quarters {
			from := d.Day + cowrie.Time(q.Of)*cowrie.QuarterLength
			if from >= part.From && from+cowrie.QuarterLength <= part.To {
				inside -= q.Events
			} else {
				quarters = append(quarters, q)
			}
		}
	}
	l.gone += max(0, inside)
	for _, q := range quarters {
		l.attempts += q.Logins
	}
	l.quarters(p, d, quarters)
}

// logins is what a report says of the logins.
func (b *builder) logins() Logins {
	p := &b.pairs
	users, passwords := p.users.values(), p.passwords.values()
	return Logins{Attempts: b.now.log.attempts, Successes: b.now.log.successes, UniqueUsernames: p.users.unique(),
		UniquePasswords: p.passwords.unique(), UniquePairs: int64(len(p.list)),
		Usernames: p.users.top(b.Top), Passwords: p.passwords.top(b.Top),
		Pairs: first(b.Top, func(yield func(Pair) bool) {
			for _, l := range p.list {
				if !yield(Pair{users[l.user], passwords[l.password], l.attempts, l.successes}) {
					return
				}
			}
		}, func(x, y Pair) int {
			return cmp.Or(cmp.Compare(y.Attempts, x.Attempts), strings.Compare(x.Username, y.Username), strings.Compare(x.Password, y.Password))
		})}
}
