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

// sessionPart adds the sessions that began in a span, which is in one day.
func (b *builder) sessionPart(ctx context.Context, p *period, span cowrie.Span) error {
	all, err := b.view.CountSessions(ctx, span)
	if err != nil {
		return err
	}
	for sensor, body := range all {
		if err := p.sums.add(cowrie.Day(span.From), sensor, body); err != nil {
			return err
		}
	}
	return nil
}

// sessionDay adds the sessions that began on a day.
func (b *builder) sessionDay(ctx context.Context, p *period, day cowrie.Time) error {
	kept, err := b.view.SessionSums(ctx, cowrie.DayKey{Day: day, Sensor: b.Sensor}, func(sensor string, pieces [][]byte) error {
		return p.sums.add(day, sensor, pieces...)
	})
	if kept || err != nil {
		return err
	}
	if b.keep == nil {
		return b.sessionPart(ctx, p, p.cut(day, day+cowrie.DayLength))
	}
	// Who asks for one sensor may ask for the others next: what is kept is of all.
	all, err := b.view.CountSessions(ctx, cowrie.Span{From: day, To: day + cowrie.DayLength})
	if err != nil {
		return err
	}
	for sensor, body := range all {
		if b.Sensor == "" || sensor == b.Sensor {
			if err := p.sums.add(day, sensor, body); err != nil {
				return err
			}
		}
	}
	// That it could not be kept is no reason to have no report.
	_ = b.keep(ctx, day, all)
	return ctx.Err()
}
