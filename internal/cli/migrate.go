package cli

import (
	"context"
	"fmt"
	"math"
	"os"
	"time"

	"github.com/spf13/cobra"

	"midden/internal/cli/render"
	"midden/internal/plain"
	"midden/internal/store/migrate"
)

func (a *app) migrateCmd() *cobra.Command {
	dryRun := false
	cmd := &cobra.Command{
		Use:   "migrate",
		Short: "Make or upgrade the tables, or take over a database of cowrieprocessor",
		Long: `Brings the tables of a database to the version that this midden works on: a
database of cowrieprocessor (versions 1, 2 and 3), in place. Tables and columns
are added, and no event is touched; it takes seconds. cowrieprocessor can stay
at work meanwhile and go on afterwards. In a PostgreSQL database that has no tables
yet it makes them; of several at once, one does.

It says what it found and what it will do before it begins. Each step happens
whole or not at all, and the version is raised last: after a failure, run it again.
docs/migrating.md walks through all of it, with the way back at each step.`,
		Example: `  midden --db cowrie.sqlite migrate --dry-run
  midden --db cowrie.sqlite migrate`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.migrate(cmd.Context(), dryRun)
		},
	}
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "say what would be done, and change nothing")
	return cmd
}

func (a *app) migrate(ctx context.Context, dryRun bool) error {
	at, err := theDatabase(a.db, os.Getenv)
	if err != nil {
		return err
	}
	if dryRun {
		plan, err := at.plan(ctx)
		if err != nil {
			return err
		}
		return a.printPlan(ctx, at, plan)
	}
	var plan *migrate.Plan
	begin := func(p *migrate.Plan) error {
		plan = p
		return a.printPlan(ctx, at, p)
	}
	step, start := -1, time.Now()
	said := func() {
		if step >= 0 {
			a.log.Info("done", "step", plan.Steps[step].Name, "took", time.Since(start).Round(time.Millisecond))
		}
	}
	err = at.upgrade(ctx, begin, func(i int) {
		said()
		step, start = i, time.Now()
	})
	if err != nil {
		return err
	}
	said()
	if len(plan.Steps) > 0 {
		next := fmt.Sprintf(" Next: \"midden backfill run --db %s\" derives the files; cowrieprocessor may stay at work", at)
		if plan.Found.Version == 0 {
			next = ""
		}
		a.hint("%s is of version %d now.%s", at, migrate.Latest, next)
	}
	return nil
}

// printPlan says what was found and what is to be done.
func (a *app) printPlan(ctx context.Context, at database, p *migrate.Plan) error {
	f := &p.Found
	switch {
	case len(p.Steps) == 0:
		db, err := at.open(ctx, false, false)
		if err != nil {
			return err // a copy into it is not finished, say
		}
		db.Close()
		a.hint("%s is of version %d already: there is nothing to do", at, f.Version)
	case f.Version == 0:
		a.hint("%s has no tables yet", at)
	default:
		a.hint("%s: schema version %d, %s, about %s raw events, %s sessions", at, f.Version, plain.Bytes(f.Bytes),
			plain.Count(f.RawEvents), plain.Count(f.Sessions))
		if f.FileEvents >= 0 {
			a.hint("%s of the events are of files, for the backfill", plain.Count(f.FileEvents))
		}
	}
	out := render.New(a.stdout, a.format, []render.Column{
		{Name: "step", Kind: render.Int}, {Name: "name"}, {Name: "what"},
		{Name: "disk_bytes", Title: "NEW DISK", Kind: render.Bytes}, {Name: "seconds", Title: "SECONDS", Kind: render.Int},
	})
	var disk int64
	var seconds float64
	for i, s := range p.Steps {
		disk += s.Disk
		seconds += s.Seconds
		if err := out.Row(int64(i+1), s.Name, s.What, s.Disk, int64(math.Ceil(s.Seconds))); err != nil {
			return err
		}
	}
	if err := out.Close(); err != nil {
		return err
	}
	if len(p.Steps) > 0 && f.Version > 0 {
		a.hint("together about %s of new disk and %s; others can write in between the steps",
			plain.Bytes(disk), plain.Duration(time.Duration(math.Ceil(seconds))*time.Second))
	}
	return nil
}
