package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"midden/internal/cli/render"
	"midden/internal/downloads"
	"midden/internal/ingest"
	"midden/internal/store"
)

func (a *app) loadCmd() *cobra.Command {
	var o ingest.Options
	var statusDir string
	var scan bool
	cmd := &cobra.Command{
		Use:   "load PATH...",
		Short: "Read what is new in Cowrie's logs into the database",
		Long: `Reads Cowrie's JSON logs: files, or directories with all that is below them;
plain, gzip, bzip2 or zstd; an event a line, pretty-printed, or in one array.
What was read before is not read again, under whatever name it comes: run it as
often as you like. With --follow it stays and reads what is written. With --scan it
reads the downloads directories of the sensors in the configuration, too (see
"midden scan"): after the logs, or with --follow again and again.

Ends with 3 if lines are no events (see "midden dead-letters list") or files
cannot be read; all the rest is stored then, too. Ends with 75 if the database
server went away and did not come back: run it again then, it goes on where it was.`,
		Example: `  midden load /srv/cowrie/var/log/cowrie
  midden load --follow --sensor dmz-1 cowrie.json
  midden load archive/*.bz2 -o json`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usage("load takes the files and directories to read; see \"midden load --help\"")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			var places []downloads.Place
			if scan {
				if places = a.configured(); len(places) == 0 {
					return usage("--scan: the configuration names no downloads directory of a sensor; see docs/configuration.md")
				}
			}
			return a.load(cmd.Context(), args, o, places, statusDir)
		},
	}
	cmd.Flags().BoolVarP(&o.Follow, "follow", "f", false, "stay, and read what is written from now on")
	cmd.Flags().StringVar(&o.Sensor, "sensor", "", "sensor of the events that name none")
	cmd.Flags().BoolVar(&scan, "scan", false, "read the downloads directories in the configuration, too")
	cmd.Flags().DurationVar(&o.Patience, "patience", 5*time.Minute, "how long to wait for a database server that cannot be reached")
	cmd.Flags().StringVar(&statusDir, "status-dir", "", "write status files for monitoring into this directory")
	return cmd
}

func (a *app) load(ctx context.Context, paths []string, o ingest.Options, places []downloads.Place, statusDir string) error {
	db, err := a.openToWrite(ctx, true)
	if err != nil {
		return err
	}
	defer db.Close()

	phase := "bulk_ingest"
	if o.Follow {
		phase = "delta_ingest"
	}
	watch := a.watch("load", phase, statusDir)
	o.Remote = db.Remote()
	o.Log = a.log
	o.Observe = watch.load
	sum, err := a.loadAndWatch(ctx, db, paths, o, places)
	stopped := errors.Is(err, context.Canceled)
	watch.close(err, stopped)
	if err != nil && !stopped {
		return err
	}
	if err := a.printSummary(&sum); err != nil {
		return err
	}
	if stopped {
		return err
	}
	unread := int64(0)
	if len(places) > 0 && !o.Follow {
		scanned, err := downloads.Scan(ctx, db, places, downloads.Options{Log: a.log})
		if err != nil {
			return err
		}
		unread = scanned.Failed
		a.hint("%d captured files were read, %d of them unknown before; %d could not be read", scanned.Read, scanned.Files, unread)
	}
	if err := db.Close(); err != nil {
		return err
	}
	if unread > 0 || sum.DeadLetters > 0 || sum.FilesUnreadable > 0 {
		return &exit{code: exitPartial}
	}
	return nil
}

// loadAndWatch loads and, if it follows the logs, watches places meanwhile.
func (a *app) loadAndWatch(ctx context.Context, db *store.Store, paths []string, o ingest.Options, places []downloads.Place) (ingest.Summary, error) {
	if !o.Follow || len(places) == 0 {
		return ingest.Load(ctx, db, paths, o)
	}
	var sum ingest.Summary
	both, ctx := errgroup.WithContext(ctx)
	both.Go(func() error { return downloads.Watch(ctx, db, places, downloads.Options{Log: a.log}) })
	both.Go(func() (err error) {
		sum, err = ingest.Load(ctx, db, paths, o)
		return err
	})
	err := both.Wait()
	return sum, err
}

func (a *app) printSummary(s *ingest.Summary) error {
	seconds := float64(s.Elapsed.Milliseconds()) / 1000
	err := render.Record(a.stdout, a.format, []render.Field{
		{Name: "files_read", Kind: render.Int, Value: s.FilesRead},
		{Name: "files_known", Kind: render.Int, Value: s.FilesKnown},
		{Name: "files_passed_over", Kind: render.Int, Value: s.FilesPassed},
		{Name: "files_unreadable", Kind: render.Int, Value: s.FilesUnreadable},
		{Name: "lines", Kind: render.Int, Value: s.Lines},
		{Name: "events", Kind: render.Int, Value: s.Events},
		{Name: "duplicates", Kind: render.Int, Value: s.Duplicates},
		{Name: "dead_letters", Kind: render.Int, Value: s.DeadLetters},
		{Name: "blank", Kind: render.Int, Value: s.Blank},
		{Name: "pending_bytes", Kind: render.Int, Value: s.PendingBytes},
		{Name: "sessions", Kind: render.Int, Value: s.Sessions},
		{Name: "files", Kind: render.Int, Value: s.Files},
		{Name: "sightings", Kind: render.Int, Value: s.Sightings},
		{Name: "seconds", Kind: render.Int, Value: seconds},
	})
	if err != nil {
		return err
	}
	if s.FilesPassed > 0 {
		a.hint("passed over, since they do not begin like a log: %s%s (name a file to have it read all the same)",
			strings.Join(s.Passed, ", "), more(s.FilesPassed, len(s.Passed)))
	}
	if s.PendingBytes > 0 {
		a.hint("%d bytes wait: a last line that is not complete is read when it is", s.PendingBytes)
	}
	if s.DeadLetters > 0 {
		a.hint("%d lines are no events and were kept as dead letters: \"midden dead-letters list\" shows them", s.DeadLetters)
	}
	if n := s.FilesUnreadable; n > 0 {
		a.hint("%d of the inputs could not be read, or not to the end: see above", n)
	}
	return nil
}

func more(all int64, shown int) string {
	if all <= int64(shown) {
		return ""
	}
	return fmt.Sprintf(" and %d more", all-int64(shown))
}
