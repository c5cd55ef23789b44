package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"midden/internal/cli/render"
	"midden/internal/cowrie"
	"midden/internal/plain"
	"midden/internal/store"
	"midden/internal/telemetry"
)

func (a *app) retainCmd() *cobra.Command {
	var events monthsFlag
	var dryRun, vacuum bool
	cmd := &cobra.Command{
		Use:   "retain",
		Short: "Drop the texts of old events",
		Long: `Drops the texts of events that are older than so many whole months, UTC, and keeps
those of the current month besides. Sessions, commands, files, sightings and
verdicts stay, and so does the note of what was read: an old log that is loaded
again adds nothing. "midden events" and "midden sessions show" say where events
were dropped.

Events lie in segments of one log each, and a segment goes when its latest event
is too old; so a few older events stay with younger ones of the same log. Those
that do not say when they happened stay. On PostgreSQL a month is dropped at once;
it takes the owner of the tables. It can be ended and run again at any time.`,
		Example: `  midden retain --events 18mo --dry-run
  midden retain --events 18mo`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if events == 0 {
				return usage("how long events are to be kept must be said: --events 18mo; see \"midden retain --help\"")
			}
			return a.retain(cmd.Context(), int(events), dryRun, vacuum)
		},
	}
	f := cmd.Flags()
	f.Var(&events, "events", "keep events of so many months, or years (18mo, 2y)")
	f.BoolVar(&dryRun, "dry-run", false, "say what would be dropped, and drop nothing")
	f.BoolVar(&vacuum, "vacuum", false, "give the space back to the disk as well; nobody can write meanwhile. Else new events use it. On PostgreSQL it is given back in any case")
	return cmd
}

// monthsFlag is a flag that takes a number of months.
type monthsFlag int

func (f *monthsFlag) Type() string   { return "months" }
func (f *monthsFlag) String() string { return "" }

var monthsForm = regexp.MustCompile(`^([1-9]\d{0,3})(mo|y)$`)

func (f *monthsFlag) Set(s string) error {
	m := monthsForm.FindStringSubmatch(s)
	if m == nil {
		return fmt.Errorf("%q is no number of months: use such as 18mo or 2y; events are kept by whole months", s)
	}
	n, _ := strconv.Atoi(m[1])
	if m[2] == "y" {
		n *= 12
	}
	*f = monthsFlag(n)
	return nil
}

func (a *app) retain(ctx context.Context, months int, dryRun, vacuum bool) error {
	db, err := a.openFor(ctx, !dryRun)
	if err != nil {
		return err
	}
	defer db.Close()
	this := cowrie.Month(cowrie.FromStd(time.Now())).Std()
	before := max(cowrie.FromStd(this.AddDate(0, -months, 0)), cowrie.MinTime)
	first := before.Std().Format(time.DateOnly)
	all, err := db.ToDrop(ctx, before)
	if err == nil && !dryRun && all.Segments > 0 {
		all, err = a.drop(ctx, db, before, all)
	}
	if errors.Is(err, store.ErrRawEvents) {
		return fmt.Errorf("%w: \"midden compact\" moves them into segments, which can be dropped", err)
	}
	if err != nil {
		return err
	}
	switch {
	case all.Segments == 0:
		a.hint("no events are older than %s", first)
	case dryRun:
		a.hint("would drop the events before %s", first)
	default:
		a.hint("dropped the events before %s", first)
	}
	if at, err := theDatabase(a.db, os.Getenv); err == nil && at.url == "" && !dryRun && all.Segments > 0 {
		if vacuum {
			if _, err := a.giveBack(ctx, db); err != nil {
				return err
			}
		} else {
			a.hint("new events will use the space; --vacuum gives it back to the disk")
		}
	}
	return render.Record(a.stdout, a.format, []render.Field{
		{Name: "before", Kind: render.Time, Value: before.Std()},
		{Name: "segments", Kind: render.Int, Value: all.Segments},
		{Name: "events", Kind: render.Int, Value: all.Events},
		{Name: "bytes", Title: "They took", Kind: render.Bytes, Value: all.Bytes},
	})
}

// drop drops the events before a time, and says how far it is.
func (a *app) drop(ctx context.Context, db *store.Store, before cowrie.Time, all store.Dropped) (sum store.Dropped, err error) {
	release, err := db.Hold("retain")
	if err != nil {
		return sum, err
	}
	defer release()
	watch := a.watch("retain", "retain", "")
	err = db.Retain(ctx, before, func(d store.Dropped) {
		sum.Segments, sum.Events, sum.Bytes = sum.Segments+d.Segments, sum.Events+d.Events, sum.Bytes+d.Bytes
		watch.update(telemetry.Status{Counts: telemetry.Counts{Events: sum.Events, BytesDone: sum.Bytes, BytesTotal: max(all.Bytes, sum.Bytes)}})
	})
	watch.close(err, errors.Is(err, context.Canceled))
	return sum, err
}

// sayDropped says that events which may have been asked for were dropped.
func (a *app) sayDropped(ctx context.Context, db *store.Store, q store.EventFilter) error {
	d, err := db.Dropped(ctx, q)
	if err != nil || d.Segments == 0 {
		return err
	}
	last := d.Last.Std().Format(time.DateOnly)
	switch {
	case q.Session != "":
		a.hint("events of this session up to %s were dropped by \"midden retain\"", last)
	case q.Shasum != "":
		a.hint("events of this file up to %s were dropped by \"midden retain\"; its sightings stay", last)
	default:
		a.hint("%s events up to %s were dropped by \"midden retain\"", plain.Count(d.Events), last)
	}
	return nil
}
