package bench

import (
	"context"
	"os"
	"path/filepath"
)

// Growth is the same work with more and more events, each measured once but for the queries.
type Growth struct{ Sizes []Size }

// Size is what work took with a number of events, of a month.
type Size struct {
	Logs                           Synthetic
	Load, Again, Verify            Usage
	Database                       int64
	Queries                        Queries
	Month, MonthCold, Day, DayCold Usage // cold: nothing is kept of its days
}

func (b *bench) growth(ctx context.Context) error {
	page := Growth{}
	for _, events := range b.Sizes {
		err := b.within("growth", func(dir string) error {
			size, err := b.grown(ctx, dir, events)
			page.Sizes = append(page.Sizes, size)
			return err
		})
		if err != nil {
			return err
		}
	}
	b.page.Growth = &page
	return nil
}

func (b *bench) grown(ctx context.Context, dir string, events int) (s Size, err error) {
	b.say("growth: writing %d events", events)
	l, err := b.synth(ctx, filepath.Join(dir, "logs"), events, "--span", "744h")
	if err != nil {
		return s, err
	}
	s.Logs = l.Synthetic
	db := filepath.Join(dir, "midden.db")
	b.say("growth: loading them")
	if s.Load, err = b.midden(db, "load", l.dir).run(ctx); err != nil {
		return s, err
	}
	if s.Again, err = b.midden(db, "load", l.dir).run(ctx); err != nil {
		return s, err
	}
	if err := os.RemoveAll(l.dir); err != nil {
		return s, err
	}
	if s.Database, err = size(db); err != nil {
		return s, err
	}
	subject, err := findSubject(func(sql string) (string, error) { return b.sqlite(ctx, db, sql) })
	if err != nil {
		return s, err
	}
	b.say("growth: queries, reports, verify")
	if s.Queries, err = b.queries(ctx, db, subject, 11); err != nil {
		return s, err
	}
	forget := program{name: "sqlite3", args: []string{db, "DELETE FROM report_days"}}
	for _, report := range []struct {
		kept, cold *Usage
		args       []string
	}{
		{&s.Month, &s.MonthCold, []string{"report", "monthly", "2026-01", "-o", "json"}},
		{&s.Day, &s.DayCold, []string{"report", "daily", "2026-01-15", "-o", "json"}},
	} {
		if *report.kept, err = b.midden(db, report.args...).run(ctx); err != nil {
			return s, err
		}
		if _, err := forget.run(ctx); err != nil {
			return s, err
		}
		if *report.cold, err = b.midden(db, report.args...).run(ctx); err != nil {
			return s, err
		}
	}
	verify := b.midden(db, "verify")
	verify.fine = 0
	s.Verify, err = verify.run(ctx)
	return s, err
}
