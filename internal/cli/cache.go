package cli

import (
	"context"
	"errors"
	"os"

	"github.com/spf13/cobra"

	"midden/internal/cli/render"
	"midden/internal/enrich"
	"midden/internal/telemetry"
)

func (a *app) cacheCmd() *cobra.Command {
	return group("cache", "What an older tool knows of files", a.cacheImportCmd())
}

func (a *app) cacheImportCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "import DIR...",
		Short: "Take over the answers in cowrieprocessor's VirusTotal cache",
		Long: `Reads the answers of VirusTotal that cowrieprocessor kept, in any of its three
layouts, and stores what they say of files as of the time of the cache's files.
Nothing is asked of anybody, and nothing in the cache is changed. Import as
often as you like: what is known is not added again.

An entry that is not plainly an answer about the file that it is named after is
passed over, since asking again costs little: one that is empty, cut off, no
JSON, an error, about another file, larger than 16 MiB, or from the future.
Links are not followed: name the directory that they lead to. -v says of each
entry that is passed over why.

Ends with 3 if entries cannot be read; all the rest is stored then, too.`,
		Example: `  midden cache import /mnt/dshield/data/cache
  midden cache import -v old/cache new/cache -o json`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usage("cache import takes the directories of the caches; see \"midden cache import --help\"")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.cacheImport(cmd.Context(), args)
		},
	}
}

func (a *app) cacheImport(ctx context.Context, dirs []string) error {
	caches, err := enrich.OpenCaches(dirs)
	if err != nil {
		return err
	}
	defer caches.Close()
	db, err := a.openToWrite(ctx, true)
	if err != nil {
		return err
	}
	defer db.Close()

	var progress *telemetry.Progress
	if f, ok := a.stderr.(*os.File); ok && !a.quiet {
		progress = telemetry.NewProgress(f, a.log, "cache import")
	}
	sum, err := caches.Import(ctx, db, enrich.CacheOptions{Log: a.log, Observe: func(s enrich.CacheSummary) {
		progress.Update(telemetry.Counts{FilesDone: s.Entries, BytesDone: s.Bytes})
	}})
	progress.Close()
	stopped := errors.Is(err, context.Canceled)
	if err != nil && !stopped {
		return err
	}
	if err := db.Close(); err != nil {
		return err
	}
	if err := a.printImport(&sum); err != nil {
		return err
	}
	if stopped {
		return err
	}
	if sum.Reasons[enrich.ReasonUnreadable] > 0 {
		return &exit{code: exitPartial}
	}
	return nil
}

func (a *app) printImport(s *enrich.CacheSummary) error {
	fields := []render.Field{
		{Name: "files_read", Kind: render.Int, Value: s.Read},
		{Name: "verdicts_added", Kind: render.Int, Value: s.Added},
		{Name: "verdicts_known", Kind: render.Int, Value: s.Known()},
		{Name: "passed_over", Kind: render.Int, Value: s.PassedOver},
	}
	for _, reason := range enrich.Reasons {
		if n := s.Reasons[reason]; n > 0 || a.format != render.Table {
			fields = append(fields, render.Field{Name: "passed_over_" + string(reason), Kind: render.Int, Value: n})
		}
	}
	seconds := float64(s.Elapsed.Milliseconds()) / 1000
	fields = append(fields, render.Field{Name: "seconds", Kind: render.Int, Value: seconds})
	if err := render.Record(a.stdout, a.format, fields); err != nil {
		return err
	}
	if n := s.PassedOver - s.Reasons[enrich.ReasonOtherService]; n > 0 {
		a.hint("%d entries hold no answer that can be trusted and were passed over: VirusTotal will be asked about these files again (-v says which and why)", n)
	}
	if n := s.Reasons[enrich.ReasonUnreadable]; n > 0 {
		a.hint("%d of the entries could not be read: see above", n)
	}
	return nil
}
