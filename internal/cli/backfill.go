package cli

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"runtime/debug"
	"slices"

	"github.com/spf13/cobra"

	"midden/internal/backfill"
	"midden/internal/cli/render"
	"midden/internal/cowrie"
	"midden/internal/store"
)

func (a *app) backfillCmd() *cobra.Command {
	return group("backfill", "Derive files from the events of a database that was taken over",
		a.backfillRunCmd(), a.backfillStatusCmd(), a.backfillPauseCmd(), a.backfillResumeCmd())
}

func (a *app) backfillRunCmd() *cobra.Command {
	var o backfill.Options
	var batch, pace, window, statusDir string
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Derive files, sightings and verdicts from the raw events",
		Long: `Reads the raw events that cowrieprocessor stored, those of files alone where
there is an index of types, and derives files, sightings and verdicts from them.
How far it is stands in the database, together with what it derived: stop it or
kill it at any time, and run it again to go on. What cowrieprocessor adds later is
taken by the next run. No raw event is changed, and nobody is asked about a file.

It works beside other programs. While another one writes it makes its transactions
short and leaves it room; --pace changes that. An event that says nothing of a
file is counted, with the reason; one that cannot be read becomes a dead letter.`,
		Example: `  midden backfill run
  midden backfill run --pace 25% --window 22:00-06:00
  midden backfill run --dry-run -o json`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if o.Batch, err = batchSize(batch); err != nil {
				return err
			}
			if o.Pace, err = backfill.ParsePace(pace); err != nil {
				return usage("--pace: %w", err)
			}
			if window != "" {
				if o.Window, err = backfill.ParseWindow(window); err != nil {
					return usage("--window: %w", err)
				}
			}
			return a.backfillRun(cmd.Context(), o, statusDir)
		},
	}
	f := cmd.Flags()
	f.BoolVar(&o.DryRun, "dry-run", false, "read everything and say what is in it, and write nothing")
	f.StringVar(&batch, "batch", "auto", "events of files in a transaction at the most, or auto: as many as take half a second, or 10 ms beside others")
	f.StringVar(&pace, "pace", "auto", "auto, full, events a second such as 2000/s, or a share of the time such as 25%")
	f.StringVar(&window, "window", "", "work at this time of the day only, such as 22:00-06:00 (local time), and wait for it")
	f.StringVar(&statusDir, "status-dir", "", "write status files for monitoring into this directory")
	return cmd
}

func batchSize(s string) (int, error) {
	if s == "auto" {
		return 0, nil
	}
	var n int
	if err := json.Unmarshal([]byte(s), &n); err != nil || n < 1 || n > 1_000_000 {
		return 0, usage("--batch %s: it is auto or a number from 1 to 1000000", s)
	}
	return n, nil
}

func (a *app) backfillRun(ctx context.Context, o backfill.Options, statusDir string) error {
	db, err := a.openFor(ctx, !o.DryRun)
	if err != nil {
		return err
	}
	defer db.Close()
	if os.Getenv("GOGC") == "" {
		// A twentieth faster, for 15 MB: it makes much garbage, and keeps little.
		debug.SetGCPercent(150)
	}
	watch := a.watch("backfill", "backfill", statusDir)
	o.Log, o.Observe = a.log, watch.job
	sum, err := backfill.Run(ctx, db, o)
	stopped := errors.Is(err, context.Canceled)
	watch.close(err, stopped)
	if err != nil && !stopped {
		return err
	}
	fields := []render.Field{
		{Name: "rows", Title: "Events of files", Kind: render.Int, Value: sum.Rows},
		{Name: "sightings", Kind: render.Int, Value: sum.Sightings},
		{Name: "files", Kind: render.Int, Value: sum.Files},
		{Name: "verdicts", Kind: render.Int, Value: sum.Verdicts},
		{Name: "known", Kind: render.Int, Value: sum.Known},
		{Name: "rejected", Kind: render.Int, Value: sum.Rejected},
	}
	fields = append(fields, a.reasons("rejections", sum.Rejections)...)
	fields = append(fields,
		render.Field{Name: "dead_letters", Kind: render.Int, Value: sum.Broken},
		render.Field{Name: "position", Kind: render.Int, Value: sum.Position},
		render.Field{Name: "seconds", Kind: render.Int, Value: float64(sum.Elapsed.Milliseconds()) / 1000})
	if err := render.Record(a.stdout, a.format, fields); err != nil {
		return err
	}
	if stopped {
		return err
	}
	if o.DryRun {
		a.hint("nothing was written; sightings of the same event twice are counted twice here")
		return nil
	}
	if sum.Broken > 0 {
		a.hint("%d events cannot be read and were kept as dead letters, too: \"midden dead-letters list\" shows them", sum.Broken)
	}
	if staging, err := db.Staging(ctx, false, false); err == nil && staging.TakenOver != "" && sum.Rows > 0 {
		a.hint("Next: \"midden verify\" compares what was derived with the events")
	}
	if sum.Broken > 0 {
		return &exit{code: exitPartial}
	}
	return nil
}

// reasons are counts by reason: an object in JSON, a line each for people.
func (a *app) reasons(name string, counts map[string]int64) []render.Field {
	if a.format != "table" {
		text, _ := json.Marshal(counts)
		return []render.Field{{Name: name, Value: json.RawMessage(text)}}
	}
	var fields []render.Field
	for _, why := range slices.Sorted(maps.Keys(counts)) {
		fields = append(fields, render.Field{Name: "  " + why, Kind: render.Int, Value: counts[why]})
	}
	return fields
}

func (a *app) backfillStatusCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Say how far the backfill is",
		Long: `Says how far the backfill is and how it goes. The same stands in the table
maintenance, for monitoring by SQL (docs/schema.md).`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.backfillStatus(cmd.Context())
		},
	}
}

func (a *app) backfillStatus(ctx context.Context) error {
	db, err := a.openToRead(ctx)
	if err != nil {
		return err
	}
	defer db.Close()
	j, err := db.Job(ctx, backfill.JobName)
	if err != nil {
		return err
	}
	last, err := db.LastRawEvent(ctx)
	if err != nil {
		return err
	}
	return a.printJob(db, j, last)
}

// printJob says how far a job is. last is the highest id of a raw event.
func (a *app) printJob(db *store.Store, j *cowrie.Job, last int64) error {
	state, owner := j.State, j.Owner
	switch {
	case state == "":
		state = "not begun"
	case owner != "":
		// A process that was killed could not say so.
		if release, err := db.Hold("status"); err == nil {
			release()
			state, owner = "stopped", ""
		}
	}
	if j.Pause && state != cowrie.JobPaused {
		state += ", to be paused"
	}
	rate := func(f float64) *float64 {
		if f < 0 || owner == "" {
			return nil
		}
		return &f
	}
	fields := []render.Field{
		{Name: "state", Value: state},
		{Name: "position", Kind: render.Int, Value: j.Position},
		{Name: "last_raw_event", Kind: render.Int, Value: last},
		{Name: "rows_seen", Title: "Events of files", Kind: render.Int, Value: j.RowsSeen},
		{Name: "rows_total", Title: "Of about", Kind: render.Int, Value: j.RowsTotal},
		{Name: "bytes_seen", Kind: render.Bytes, Value: j.BytesSeen},
		{Name: "bytes_total", Title: "Of about", Kind: render.Bytes, Value: j.BytesTotal},
		{Name: "inserted", Kind: render.Int, Value: j.Inserted},
		{Name: "known", Kind: render.Int, Value: j.Known},
		{Name: "rejected", Kind: render.Int, Value: j.Rejected},
	}
	fields = append(fields, a.reasons("rejections", j.Rejections)...)
	fields = append(fields,
		render.Field{Name: "rows_per_second", Kind: render.Int, Value: whole(rate(j.RowsPerSecond))},
		render.Field{Name: "bytes_per_second", Kind: render.Bytes, Value: whole(rate(j.BytesPerSecond))},
		render.Field{Name: "eta_rows", Title: "Left, by events", Kind: render.Duration, Value: rate(j.ETARows)},
		render.Field{Name: "eta_bytes", Title: "Left, by bytes", Kind: render.Duration, Value: rate(j.ETABytes)},
		render.Field{Name: "pace_reason", Title: "Pace", Value: text(j.PaceReason)},
		render.Field{Name: "owner", Value: text(owner)},
		render.Field{Name: "started_at", Kind: render.Time, Value: j.StartedAt.Std()},
		render.Field{Name: "updated_at", Kind: render.Time, Value: j.UpdatedAt.Std()},
		render.Field{Name: "finished_at", Kind: render.Time, Value: j.FinishedAt.Std()},
		render.Field{Name: "error", Value: text(j.Error)})
	if a.format == "table" {
		fields = present(fields)
	}
	return render.Record(a.stdout, a.format, fields)
}

// whole is a number without its fraction.
func whole(f *float64) *int64 {
	if f == nil {
		return nil
	}
	n := int64(*f + 0.5)
	return &n
}

func (a *app) backfillPauseCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "pause",
		Short: "Let the backfill wait, now and until it is resumed",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.backfillPause(cmd.Context(), true)
		},
	}
}

func (a *app) backfillResumeCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "resume",
		Short: "Let a paused backfill go on",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.backfillPause(cmd.Context(), false)
		},
	}
}

func (a *app) backfillPause(ctx context.Context, pause bool) error {
	db, err := a.openToRead(ctx)
	if err != nil {
		return err
	}
	defer db.Close()
	if !db.HasRawEvents() {
		return backfill.ErrNothing
	}
	if err := db.PauseJob(ctx, backfill.JobName, pause); err != nil {
		return err
	}
	if pause {
		a.hint("the backfill waits from its next transaction on, until \"midden backfill resume\"")
		return nil
	}
	j, err := db.Job(ctx, backfill.JobName)
	if err == nil && j.Owner == "" {
		a.hint("no backfill is running: \"midden backfill run\" goes on at %d", j.Position)
	}
	return err
}
