package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"midden/internal/cli/render"
	"midden/internal/copy"
	"midden/internal/cowrie"
	"midden/internal/store"
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
	db, err := source.open(ctx, false, false)
	if err != nil {
		return err
	}
	defer db.Close()
	if last, err := db.LastRawEvent(ctx); err != nil || last > 0 {
		return errors.Join(err, rawLeft(last, source))
	}
	snapshot, err := db.Snapshot(ctx)
	if err != nil {
		return err
	}
	defer snapshot.Close()
	open := target.openToFill
	work := copy.Run
	if verifyOnly {
		open = func(ctx context.Context) (*store.Store, error) { return target.open(ctx, false, false) }
		work = copy.Compare
	}
	into, err := open(ctx)
	if err != nil {
		return err
	}
	defer into.Close()
	watch := a.watch("copy", "copy", statusDir)
	sum, err := work(ctx, snapshot, into, copy.Options{From: source.whole(), Tables: store.Tables(false), Log: a.log, Observe: watch.copy})
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
	return a.printCopy(sum)
}

// rawLeft is the error for a database whose raw events are not in segments.
func rawLeft(last int64, d database) error {
	if last == 0 {
		return nil
	}
	return fmt.Errorf("%s has raw events that are not in segments: run \"midden compact --db %[1]s\" first", d)
}

func (a *app) printCopy(sum copy.Summary) error {
	seconds := float64(sum.Elapsed.Milliseconds()) / 1000
	err := render.Record(a.stdout, a.format, []render.Field{
		{Name: "tables", Kind: render.Int, Value: int64(sum.Tables)},
		{Name: "rows", Kind: render.Int, Value: sum.Rows},
		{Name: "bytes", Kind: render.Bytes, Value: sum.Bytes},
		{Name: "copied", Title: "Rows copied now", Kind: render.Int, Value: sum.Copied},
		{Name: "verified", Kind: render.Bool, Value: true},
		{Name: "damaged_segments", Kind: render.Int, Value: sum.Damaged},
		{Name: "seconds", Kind: render.Int, Value: seconds},
	})
	if err == nil && sum.Damaged > 0 {
		a.hint("%d segments are damaged in both databases: \"midden verify\" says which events that concerns", sum.Damaged)
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
