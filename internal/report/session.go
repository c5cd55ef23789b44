package report

import (
	"context"

	"midden/internal/cowrie"
)

// sessionTasks adds up the sessions of a period: by days in UTC, which may be kept, and what
// is left at its ends.
func (b *builder) sessionTasks(t *tasks, p *period) {
	for _, day := range p.whole() {
		t.add(func(ctx context.Context) error { return b.sessionDay(ctx, p, day) })
	}
	for _, part := range p.parts() {
		t.add(func(ctx context.Context) error { return b.sessionPart(ctx, p, part) })
	}
}

// addSums adds sums to those of a period.
func (b *builder) addSums(p *period, s *sums) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p.sums.add(s)
}

// sessionPart adds the sessions that began in a span.
func (b *builder) sessionPart(ctx context.Context, p *period, span cowrie.Span) error {
	s := &sums{}
	err := b.sumUp(ctx, span, func(string) *sums { return s })
	if err == nil {
		b.addSums(p, s)
	}
	return err
}

// sessionDay adds the sessions that began on a day.
func (b *builder) sessionDay(ctx context.Context, p *period, day cowrie.Time) error {
	body, kept, err := b.view.KeptDay(ctx, cowrie.DayKey{Day: day, Sensor: b.Sensor}, keptVersion)
	if err != nil {
		return err
	}
	if kept {
		s, err := unpack(body)
		if err == nil {
			b.addSums(p, s)
		}
		return err
	}
	if b.keep == nil {
		return b.sessionPart(ctx, p, p.cut(day, day+cowrie.DayLength))
	}
	// Who asks for one sensor may ask for the others next: what is kept is of all.
	all := map[string]*sums{}
	err = b.sumUp(ctx, cowrie.Span{From: day, To: day + cowrie.DayLength}, func(sensor string) *sums {
		if all[sensor] == nil {
			all[sensor] = &sums{}
		}
		return all[sensor]
	})
	if err != nil {
		return err
	}
	together := &sums{}
	for _, sensor := range sortedKeys(all) {
		together.add(all[sensor])
	}
	all[""] = together
	if s := all[b.Sensor]; s != nil {
		b.addSums(p, s)
	}
	bodies := map[string][]byte{}
	for sensor, s := range all {
		if bodies[sensor], err = s.pack(); err != nil {
			return err
		}
	}
	// That it could not be kept is no reason to have no report.
	_ = b.keep(ctx, day, bodies)
	return ctx.Err()
}

// sumUp adds up the sessions that began in a span, each into what of returns for its
// sensor.
func (b *builder) sumUp(ctx context.Context, span cowrie.Span, of func(sensor string) *sums) error {
	err := b.view.Sessions(ctx, span, manyCommands, func(s *cowrie.Session, dshield bool) error {
		of(s.Sensor).session(s, dshield)
		return nil
	})
	if err != nil {
		return err
	}
	return b.view.Commands(ctx, span, func(sensor, session, command string, n int64) error {
		of(sensor).command(typed{command, n, 1, session})
		return nil
	})
}
