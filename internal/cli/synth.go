package cli

import (
	"context"
	"os"
	"time"

	"github.com/spf13/cobra"

	"midden/internal/cli/render"
	"midden/internal/synth"
	"midden/internal/synth/cowrieprocessor"
)

func (a *app) synthCmd() *cobra.Command {
	var o synth.Options
	var shapes bool
	compress := "mixed"
	var old string
	version := cowrieprocessor.Latest
	cmd := &cobra.Command{
		Use:   "synth DIR",
		Short: "Write made-up Cowrie logs, for demonstrations, tests and benchmarks",
		Long: `Writes logs as several sensors would, all of it invented: every address is of a
range kept for documentation, every host name of a domain that cannot exist. The
same seed gives the same logs. With --shapes it writes one event of every shape
that Cowrie has ever written to standard output instead; with --cowrieprocessor
a database as cowrieprocessor, which midden succeeds, would have made of the logs.`,
		Example: `  midden synth --events 100000 logs/
  midden synth --events 100000 --cowrieprocessor old.sqlite
  midden synth --shapes`,
		Args: func(cmd *cobra.Command, args []string) error {
			if shapes && old != "" || (shapes || old != "") != (len(args) == 0) || len(args) > 1 {
				return usage("synth takes the directory to write to, or --shapes, or --cowrieprocessor; see \"midden synth --help\"")
			}
			return nil
		},
	}
	start := newTimeFlag(cmd, "start", "time of the first event, 2026-01-01 by default")
	f := cmd.Flags()
	f.Uint64Var(&o.Seed, "seed", 1, "what the logs depend on")
	f.IntVar(&o.Events, "events", 10000, "how many events in all")
	f.IntVar(&o.Sensors, "sensors", 3, "how many sensors")
	f.DurationVar(&o.Span, "span", 7*24*time.Hour, "over which time the events are spread")
	f.IntVar(&o.Hashes, "files", 0, "how many different files there are to be dropped (default one for 160 events)")
	f.Float64Var(&o.FileShare, "file-share", 0.05, "share of the events that are sightings of files")
	f.StringVar(&compress, "compress", compress, "older logs are: none, gzip, or mixed")
	f.StringVar(&old, "cowrieprocessor", "", "write a database of cowrieprocessor's to this file, which must not exist")
	f.IntVar(&version, "cowrieprocessor-version", version, "version of that database: 1, 2 or 3")
	f.BoolVar(&shapes, "shapes", false, "write one event of every shape to standard output")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if shapes {
			_, err := synth.Shapes(a.stdout)
			return err
		}
		if err := oneOf("--compress", compress, "none", "gzip", "mixed"); err != nil {
			return err
		}
		if o.Events < 1 || o.Sensors < 1 || o.Sensors > o.Events || o.FileShare < 0 || o.FileShare > 0.5 || o.Span <= 0 {
			return usage("synth: --events, --sensors and --span are at least 1, --file-share is between 0 and 0.5")
		}
		if version < 1 || version > cowrieprocessor.Latest {
			return usage("--cowrieprocessor-version is 1, 2 or 3, not %d", version)
		}
		o.Start = start.t.Std()
		if old != "" {
			return a.synthOld(cmd.Context(), cowrieprocessor.Options{Logs: o, Version: version}, old)
		}
		return a.synth(cmd.Context(), o, args[0], compress)
	}
	return cmd
}

func (a *app) synth(ctx context.Context, o synth.Options, dir, compress string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	s, err := o.WriteTree(ctx, dir, compress)
	if err != nil {
		return err
	}
	return a.made(s)
}

func (a *app) synthOld(ctx context.Context, o cowrieprocessor.Options, path string) error {
	t, err := cowrieprocessor.Write(ctx, path, o)
	if err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	t.Bytes = info.Size()
	return a.made(t.Stats)
}

// made says what was written.
func (a *app) made(s synth.Stats) error {
	return render.Record(a.stdout, a.format, []render.Field{
		{Name: "events", Kind: render.Int, Value: int64(s.Events)},
		{Name: "sessions", Kind: render.Int, Value: int64(s.Sessions)},
		{Name: "files", Kind: render.Int, Value: int64(s.Files)},
		{Name: "sightings", Kind: render.Int, Value: int64(s.Sightings)},
		{Name: "bytes", Kind: render.Bytes, Value: int64(s.Bytes)},
	})
}
