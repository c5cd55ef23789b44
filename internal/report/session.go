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
		t.add(func(ctx context.Context) error {
			s, err := b.sumUp(ctx, part)
			if err == nil {
				b.addSums(p, s[""])
			}
			return err
		})
	}
}

func (b *builder) addSums(p *period, s *sums) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p.sums.add(s)
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
	span := cowrie.Span{From: day, To: day + cowrie.DayLength, Sensor: b.Sensor}
	if b.keep == nil {
		s, err := b.sumUp(ctx, span)
		if err == nil {
			b.addSums(p, s[""])
		}
		return err
	}
	// Who asks for one sensor may ask for the others next: what is kept is of all.
	span.Sensor = ""
	all, err := b.sumUp(ctx, span)
	if err != nil {
		return err
	}
	bodies := map[string][]byte{}
	for sensor, s := range all {
		if bodies[sensor], err = s.pack(); err != nil {
			return err
		}
	}
	if s := all[b.Sensor]; s != nil {
		b.addSums(p, s)
	}
	// That it could not be kept is no reason to have no report.
	_ = b.keep(ctx, day, bodies)
	return ctx.Err()
}

// sumUp adds up the sessions that began in a span: of each sensor, and under "" of all of
// them.
func (b *builder) sumUp(ctx context.Context, span cowrie.Span) (map[string]*sums, error) {
	all := map[string]*sums{}
	of := func(sensor string) *sums {
		s := all[sensor]
		if s == nil {
			s = &sums{}
			all[sensor] = s
		}
		return s
	}
	err := b.view.Sessions(ctx, span, func(s *cowrie.Session, dshield bool) error {
		of(s.Sensor).session(s, dshield)
		return nil
	})
	if err != nil {
		return nil, err
	}
	err = b.view.Commands(ctx, span, func(sensor, session, command string, n int64) error {
		of(sensor).command(typed{command, n, 1, session})
		return nil
	})
	together := &sums{}
	for _, sensor := range sortedKeys(all) {
		together.add(all[sensor])
	}
	all[""] = together
	return all, err
}
