package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"github.com/spf13/cobra"

	"midden/internal/cli/render"
	"midden/internal/copy"
	"midden/internal/cowrie"
	"midden/internal/store"
	"midden/internal/store/migrate"
	"midden/internal/store/sqlite"
	"midden/internal/telemetry"
)

func (a *app) copyCmd() *cobra.Command {
	var from, to, statusDir string
	var verifyOnly bool
	cmd := &cobra.Command{
		Use:   "copy",
		Short: "Copy a database into a new one, of SQLite or PostgreSQL",
		Long: `Copies all that a database holds into a new one, of the same engine or the other:
from SQLite to PostgreSQL when several machines are to share the work, or back. The
tables of the new one are made. How far it is stands in it: stop it or kill it at
any time, and run it again to go on. Until it is done no other command takes the
new database.

The source is not changed, and is copied as it is when the run begins; others may
go on writing to it. In the end every row is read again on both sides and
compared; what was changed between two runs is copied anew. --verify-only compares,
and ends with 5 if there is a difference.`,
		Example: `  midden copy --from midden.db --to postgres://owner@db.example/midden
  midden copy --from postgres://reader@db.example/midden --to sqlite:copy.db`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.copy(cmd.Context(), from, to, verifyOnly, statusDir)
		},
	}
	f := cmd.Flags()
	f.StringVar(&from, "from", "", "database to copy (default that of --db)")
	f.StringVar(&to, "to", "", "database to make")
	f.BoolVar(&verifyOnly, "verify-only", false, "compare the two, and change nothing")
	f.StringVar(&statusDir, "status-dir", "", "write status files for monitoring into this directory")
	return cmd
}

func (a *app) copy(ctx context.Context, from, to string, verifyOnly bool, statusDir string) error {
	if to == "" {
		return usage("--to names no database: it says where to copy to, such as --to postgres://USER@HOST/NAME")
	}
	if from == "" {
		from = a.db
	}
	source, err := theDatabase(from, os.Getenv)
	if err != nil {
		return err
	}
	target, err := parseDatabase(to)
	if err != nil {
		return err
	}
	if sameDatabase(source, target) {
		return usage("%s cannot be copied into itself", source)
	}
	plan, err := source.plan(ctx)
	if err != nil {
		return err
	}
	o := copy.Options{From: source.whole(), Tables: store.Tables(false), Log: a.log}
	var db *store.Store
	if old := plan.Found.Version; source.path != "" && old < migrate.Latest {
		if verifyOnly {
			return usage("%s is a database of cowrieprocessor: its copy holds the same in another form, and is compared when it is made; \"midden verify --db %s\" looks at it again", source, target)
		}
		from, err := sqlite.OpenOld(ctx, source.path)
		if err != nil {
			return err
		}
		db = from.Store
		o.Tables, o.Old = store.Tables(true), &copy.Old{Raw: from, Version: strconv.Itoa(old)}
	} else if db, err = a.openUpToDate(ctx, source); err != nil {
		return err
	}
	defer db.Close()
	snapshot, err := db.Snapshot(ctx)
	if err != nil {
		return err
	}
	defer snapshot.Close()
	open, work := target.openToFill, copy.Run
	if verifyOnly {
		open = func(ctx context.Context) (*store.Store, error) { return target.open(ctx, false, false) }
		work, o.Tables = copy.Compare, store.SameTables()
	}
	into, err := open(ctx)
	if err != nil {
		return err
	}
	defer into.Close()
	if o.Old != nil {
		o.Old.Stage = func(ctx context.Context) error {
			on, set, _ := a.config.UseNewEnrichment(os.Getenv)
			return into.Stage(ctx, on, set)
		}
	}
	watch := a.watch("copy", "copy", statusDir)
	o.Observe = watch.copy
	sum, err := work(ctx, snapshot, into, o)
	watch.close(err, errors.Is(err, context.Canceled))
	switch {
	case errors.Is(err, copy.ErrDiffers):
		return &exit{exitDiffers, err}
	case err != nil:
		return fmt.Errorf("%s: %w", target, err)
	}
	if err := into.Close(); err != nil {
		return err
	}
	return a.printCopy(sum, o.Old != nil)
}

// openUpToDate opens a database that is to be copied as it is. One with raw events
// is not: other tables refer to them.
func (a *app) openUpToDate(ctx context.Context, source database) (*store.Store, error) {
	db, err := source.open(ctx, false, false)
	if err != nil {
		return nil, err
	}
	last, err := db.LastRawEvent(ctx)
	if err == nil && last > 0 {
		err = fmt.Errorf("%s has raw events that are not in segments: run \"midden compact --db %[1]s\" first", source)
	}
	if err != nil {
		db.Close()
		return nil, err
	}
	return db, nil
}

func (a *app) printCopy(sum copy.Summary, old bool) error {
	fields := []render.Field{
		{Name: "tables", Kind: render.Int, Value: int64(sum.Tables)},
		{Name: "rows", Kind: render.Int, Value: sum.Rows},
		{Name: "copied", Title: "Of them now", Kind: render.Int, Value: sum.Copied},
	}
	if old {
		fields = append(fields,
			render.Field{Name: "raw_events", Kind: render.Int, Value: sum.RawEvents},
			render.Field{Name: "events", Title: "Events in them", Kind: render.Int, Value: sum.Events})
	} else {
		fields = append(fields,
			render.Field{Name: "bytes", Kind: render.Bytes, Value: sum.Bytes},
			render.Field{Name: "damaged_segments", Kind: render.Int, Value: sum.Damaged})
	}
	fields = append(fields,
		render.Field{Name: "verified", Kind: render.Bool, Value: true},
		render.Field{Name: "seconds", Kind: render.Int, Value: float64(sum.Elapsed.Milliseconds()) / 1000})
	err := render.Record(a.stdout, a.format, fields)
	if err == nil && sum.Damaged > 0 {
		a.hint("%d segments are damaged in both databases: \"midden verify\" says which", sum.Damaged)
		err = &exit{code: exitPartial}
	}
	return err
}

// sameDatabase reports whether two names are plainly of one database.
func sameDatabase(a, b database) bool {
	if a.url != "" || b.url != "" {
		return a.String() == b.String()
	}
	x, err := os.Stat(a.path)
	y, other := os.Stat(b.path)
	return a.path == b.path || err == nil && other == nil && os.SameFile(x, y)
}

// whole is what a database is called wherever the program is run.
func (d database) whole() string {
	if d.url != "" {
		return d.String()
	}
	path, err := filepath.Abs(d.path)
	if real, links := filepath.EvalSymlinks(path); links == nil {
		path = real
	}
	if err != nil {
		return d.path
	}
	return path
}

// copy tells how far a copy is.
func (w *watch) copy(j *cowrie.Job, table string) {
	w.update(telemetry.Status{
		Counts:           telemetry.Counts{BytesDone: j.BytesSeen, BytesTotal: j.BytesTotal, Lines: j.RowsSeen},
		BatchesCommitted: w.last.BatchesCommitted + 1, LastSource: table,
	})
}
