package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"midden/internal/backfill"
	"midden/internal/cli/render"
	"midden/internal/compact"
	"midden/internal/plain"
	"midden/internal/store"
	"midden/internal/telemetry"
)

func (a *app) compactCmd() *cobra.Command {
	var dryRun, yes bool
	var statusDir string
	cmd := &cobra.Command{
		Use:   "compact",
		Short: "Move the raw events of a database that was taken over into segments",
		Long: `Moves the events that cowrieprocessor stored, a row each, into midden's segments,
where they take about a tenth of the room; makes their sessions anew, with all
that midden knows of a session; looks for every event in what was stored; and only
then deletes the rows and gives the space back to the disk.

Afterwards cowrieprocessor sees these events no more, and there is no way back
but a copy of the database: so it asks first. It can be stopped and killed at any
time; run it again to go on. The last step, giving back the space, keeps others
from writing for as long as it takes to write what is left.`,
		Example: `  midden compact --dry-run
  midden compact --yes`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.compact(cmd.Context(), dryRun, yes, statusDir)
		},
	}
	f := cmd.Flags()
	f.BoolVar(&dryRun, "dry-run", false, "say what it would gain, and change nothing")
	f.BoolVar(&yes, "yes", false, "do not ask")
	f.StringVar(&statusDir, "status-dir", "", "write status files for monitoring into this directory")
	return cmd
}

func (a *app) compact(ctx context.Context, dryRun, yes bool, statusDir string) error {
	db, err := a.openFor(ctx, !dryRun)
	if err != nil {
		return err
	}
	defer db.Close()
	if !db.HasRawEvents() {
		return compact.ErrNothing
	}
	room, err := db.Room(ctx)
	if err != nil {
		return err
	}
	after := room.Bytes - room.Free - room.Raw + room.Packed
	a.hint("the database takes %s now, of which raw events are about %s; afterwards it will be about %s",
		plain.Bytes(room.Bytes), plain.Bytes(room.Raw), plain.Bytes(after))
	if dryRun {
		return render.Record(a.stdout, a.format, []render.Field{
			{Name: "database_bytes", Title: "Database", Kind: render.Bytes, Value: room.Bytes},
			{Name: "raw_event_bytes", Title: "Raw events, about", Kind: render.Bytes, Value: room.Raw},
			{Name: "segment_bytes", Title: "In segments, about", Kind: render.Bytes, Value: room.Packed},
			{Name: "after_bytes", Title: "Afterwards, about", Kind: render.Bytes, Value: after},
			{Name: "gain_bytes", Title: "Gain, about", Kind: render.Bytes, Value: room.Bytes - after},
			{Name: "needed_bytes", Title: "Free disk needed", Kind: render.Bytes, Value: needed(room.Packed, after)},
		})
	}
	if room.Raw > 0 && !yes {
		if err := a.confirm("cowrieprocessor will not see these events any more, and only a copy of the database brings them back"); err != nil {
			return err
		}
	}
	watch := a.watch("compact", "compact", statusDir)
	var checking int64
	sum, err := compact.Run(ctx, db, backfill.JobName, compact.Options{Observe: watch.job, Checking: func(done, of int64) {
		if part := done * 10 / max(of, 1); part > checking {
			checking = part
			a.log.Info("looking for the events in what was stored", "done", done, "of", of)
		}
	}})
	stopped := errors.Is(err, context.Canceled)
	watch.close(err, stopped)
	if err != nil {
		return err
	}
	small, err := a.giveBack(ctx, db)
	if err != nil {
		return err
	}
	return render.Record(a.stdout, a.format, []render.Field{
		{Name: "events", Kind: render.Int, Value: sum.Events},
		{Name: "duplicates", Kind: render.Int, Value: sum.Duplicates},
		{Name: "dead_letters", Kind: render.Int, Value: sum.DeadLetters},
		{Name: "checked", Title: "Found again", Kind: render.Int, Value: sum.Checked},
		{Name: "bytes_before", Title: "Before", Kind: render.Bytes, Value: room.Bytes},
		{Name: "bytes_after", Title: "Now", Kind: render.Bytes, Value: small.Bytes},
		{Name: "seconds", Kind: render.Int, Value: float64(sum.Elapsed.Milliseconds()) / 1000},
	})
}

// needed is how much free disk compacting takes: what it writes, and then the
// small database twice, as a temporary file and in the journal.
func needed(packed, after int64) int64 { return max(packed, 2*after) }

// confirm asks a person; where there is none, it is wrong not to have answered.
func (a *app) confirm(what string) error {
	if !term.IsTerminal(int(os.Stdin.Fd())) {
		return usage("%s: --yes says that this is meant", what)
	}
	fmt.Fprintf(a.stderr, "%s.\nGo on? Type yes: ", what)
	answer, err := bufio.NewReader(os.Stdin).ReadString('\n')
	if err != nil || strings.TrimSpace(answer) != "yes" {
		return errors.New("nothing was done")
	}
	return nil
}

// giveBack makes the file smaller, if much of it is free and there is room for
// doing so.
func (a *app) giveBack(ctx context.Context, db *store.Store) (store.Room, error) {
	room, err := db.Room(ctx)
	if err != nil || room.Free < room.Bytes/20 {
		return room, err
	}
	at, err := theDatabase(a.db, os.Getenv)
	if err != nil {
		return room, err
	}
	dir, err := filepath.Abs(filepath.Dir(at.path))
	if err != nil {
		return room, err
	}
	var disk unix.Statfs_t
	if err := unix.Statfs(dir, &disk); err == nil {
		if have, want := int64(disk.Bavail)*int64(disk.Bsize), 2*(room.Bytes-room.Free); have < want {
			a.hint("%s of the file are free, but it takes %s of free disk to give them back and there are %s: make room and run it again",
				plain.Bytes(room.Free), plain.Bytes(want), plain.Bytes(have))
			return room, nil
		}
	}
	release, err := db.Hold("compact")
	if err != nil {
		return room, err
	}
	defer release()
	a.log.Info("giving back the space; nobody can write meanwhile", "free", plain.Bytes(room.Free))
	watch := a.watch("give back space", "compact", "")
	watch.update(telemetry.Status{})
	cut, err := db.GiveBack(ctx, dir)
	watch.close(err, false)
	if err != nil {
		return room, err
	}
	if !cut {
		a.hint("another process is reading: the file becomes small when that ends and somebody writes again")
	}
	return db.Room(ctx)
}
