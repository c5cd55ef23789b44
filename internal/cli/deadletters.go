package cli

import (
	"context"
	"strconv"

	"github.com/spf13/cobra"

	"midden/internal/cli/render"
	"midden/internal/ingest"
	"midden/internal/store"
)

func (a *app) deadLettersCmd() *cobra.Command {
	return group("dead-letters", "The lines that are no events",
		a.deadLettersListCmd(), a.deadLettersShowCmd(), a.deadLettersRetryCmd())
}

var deadLetterColumns = []render.Column{
	{Name: "id", Kind: render.Int},
	{Name: "reason"},
	{Name: "source"},
	{Name: "source_offset", Title: "OFFSET", Kind: render.Int},
	{Name: "length", Kind: render.Int},
	{Name: "created_at", Kind: render.Time},
	{Name: "resolved", Kind: render.Bool, OnlyData: true},
}

func deadLetterValues(d *store.DeadLetter) []any {
	return []any{d.ID, d.Reason, text(d.Source), d.Offset, d.Length, d.CreatedAt.Std(), d.Resolved}
}

func (a *app) deadLettersListCmd() *cobra.Command {
	var q store.DeadLetterFilter
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List dead letters, the newest first",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.deadLettersList(cmd.Context(), q)
		},
	}
	f := cmd.Flags()
	f.StringVar(&q.Reason, "reason", "", "only with this reason")
	f.BoolVar(&q.Resolved, "resolved", false, "also those that have become events")
	f.IntVarP(&q.Limit, "limit", "n", 50, "how many at the most; 0 for all")
	return cmd
}

func (a *app) deadLettersList(ctx context.Context, q store.DeadLetterFilter) error {
	db, err := a.openToRead(ctx)
	if err != nil {
		return err
	}
	defer db.Close()
	out := render.New(a.stdout, a.format, deadLetterColumns)
	n := 0
	err = db.DeadLetters(ctx, q, func(d *store.DeadLetter) error {
		n++
		return out.Row(deadLetterValues(d)...)
	})
	if err != nil {
		return err
	}
	a.counted(n, q.Limit, "dead letter")
	return out.Close()
}

func (a *app) deadLettersShowCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "show ID",
		Short: "Show a dead letter and its line",
		Args:  oneArg("the number of one dead letter"),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := strconv.ParseInt(args[0], 10, 64)
			if err != nil || id < 1 {
				return usage("%q is not the number of a dead letter", args[0])
			}
			return a.deadLettersShow(cmd.Context(), id)
		},
	}
}

func (a *app) deadLettersShow(ctx context.Context, id int64) error {
	db, err := a.openToRead(ctx)
	if err != nil {
		return err
	}
	defer db.Close()
	var found *store.DeadLetter
	err = db.DeadLetters(ctx, store.DeadLetterFilter{ID: id, Resolved: true}, func(d *store.DeadLetter) error {
		found = d
		return nil
	})
	if err != nil {
		return err
	}
	if found == nil {
		return &exit{exitFailed, errNoDeadLetter(id)}
	}
	var fields []render.Field
	for i, v := range deadLetterValues(found) {
		c := deadLetterColumns[i]
		fields = append(fields, render.Field{Name: c.Name, Kind: c.Kind, Value: v})
	}
	line := text(string(found.Line))
	if found.Line == nil {
		a.hint("the line was too long to be kept: it stands in %s, %d bytes from position %d of the decompressed content",
			found.Source, found.Length, found.Offset)
	}
	return render.Record(a.stdout, a.format, append(fields, render.Field{Name: "line", Value: line}))
}

type errNoDeadLetter int64

func (id errNoDeadLetter) Error() string {
	return "there is no dead letter " + strconv.FormatInt(int64(id), 10)
}

func (a *app) deadLettersRetryCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "retry",
		Short: "Read the dead letters again: a newer midden may understand them",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.deadLettersRetry(cmd.Context())
		},
	}
}

func (a *app) deadLettersRetry(ctx context.Context) error {
	db, err := a.openToWrite(ctx, false)
	if err != nil {
		return err
	}
	defer db.Close()
	tooLong := int64(0)
	letters := func(yield func(ingest.DeadLetter, error) bool) {
		err := db.DeadLetters(ctx, store.DeadLetterFilter{}, func(d *store.DeadLetter) error {
			switch {
			case d.Line == nil:
				tooLong++
			case !yield(ingest.DeadLetter{ID: d.ID, Line: d.Line}, nil):
				return errEnough
			}
			return nil
		})
		if err != nil && err != errEnough {
			yield(ingest.DeadLetter{}, err)
		}
	}
	sum, err := ingest.Retry(ctx, db, letters)
	if err != nil {
		return err
	}
	return render.Record(a.stdout, a.format, []render.Field{
		{Name: "resolved", Kind: render.Int, Value: sum.Resolved},
		{Name: "kept", Kind: render.Int, Value: sum.Kept + tooLong},
		{Name: "events", Kind: render.Int, Value: sum.Events},
		{Name: "duplicates", Kind: render.Int, Value: sum.Duplicates},
		{Name: "sightings", Kind: render.Int, Value: sum.Sightings},
	})
}
