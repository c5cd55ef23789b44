package cli

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"midden/internal/cli/render"
	"midden/internal/cowrie"
	"midden/internal/downloads"
	"midden/internal/store"
)

func (a *app) scanCmd() *cobra.Command {
	var o downloads.Options
	var sensor, statusDir string
	var report bool
	cmd := &cobra.Command{
		Use:   "scan [PATH...]",
		Short: "Read the files that sensors captured",
		Long: `Reads what sensors captured: Cowrie's downloads directories, copies of them with
all that is below, and archives of them (tar, plain or packed by gzip, bzip2 or
zstd, and zip). Without PATH it reads the downloads directories of the sensors in
the configuration.

Of each content it stores hashes, size and type: known files get what they lacked,
unknown ones become files. Each is a sighting on disk, at the time of the file,
which is that of the first capture. The contents themselves are not kept. A file
that did not change since it was read is not read again; stop it at any time, and
run it as often as you like.

Nothing is run, followed or written there. Cowrie's working files, links, empty
files and all that is no file are passed over and counted. An archive is opened
only if it is named itself: what lies in a directory is a capture.

With --report it says which captures the logs name that no disk has, which lie on
a disk that no log names, and which files have the name of another content;
without PATH, of what was scanned before.

Ends with 3 if files cannot be read; all the rest is stored then, too.`,
		Example: `  midden scan /srv/cowrie/var/lib/cowrie/downloads --sensor dmz-1
  midden scan /data/cowrie/downloads.tgz
  midden scan --report -o csv`,
	}
	f := cmd.Flags()
	f.StringVar(&sensor, "sensor", "", "sensor that captured the files (default: the one whose directory it is by the configuration)")
	f.BoolVar(&report, "report", false, "say where logs and disks differ")
	maxSize := newSizeFlag(cmd, "max-size", downloads.DefaultMaxSize, "pass over larger files")
	f.StringVar(&statusDir, "status-dir", "", "write status files for monitoring into this directory")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		o.MaxSize = maxSize.n
		if len(args) == 0 && report {
			db, err := a.openToRead(cmd.Context())
			if err != nil {
				return err
			}
			defer db.Close()
			return a.scanReport(cmd.Context(), db, sensor)
		}
		places, err := a.places(args, sensor)
		if err != nil {
			return err
		}
		return a.scan(cmd.Context(), places, o, statusDir, report, sensor)
	}
	return cmd
}

// places returns what to scan: the paths that are given, or the directories in
// the configuration.
func (a *app) places(paths []string, sensor string) ([]downloads.Place, error) {
	configured := a.configured()
	if len(paths) == 0 {
		var places []downloads.Place
		for _, p := range configured {
			if sensor == "" || p.Sensor == sensor {
				places = append(places, p)
			}
		}
		if len(places) == 0 && sensor != "" {
			return nil, usage("the configuration names no downloads directory of a sensor %q; name the directory, or see docs/configuration.md", sensor)
		}
		if len(places) == 0 {
			return nil, usage("scan takes directories or archives, or a configuration that names downloads directories; see \"midden scan --help\"")
		}
		return places, nil
	}
	var places []downloads.Place
	for _, path := range paths {
		p := downloads.Place{Path: path, Sensor: sensor}
		if sensor == "" {
			p.Sensor = sensorOf(path, configured)
		}
		places = append(places, p)
	}
	return places, nil
}

// configured returns the downloads directories of the configuration.
func (a *app) configured() (places []downloads.Place) {
	for _, s := range a.config.Sensors {
		if s.Downloads == "" {
			continue
		}
		places = append(places, downloads.Place{Path: a.besideConfig(s.Downloads), Sensor: s.Name})
	}
	return places
}

// sensorOf returns the sensor in whose directory a path lies; "" if there is none.
func sensorOf(path string, configured []downloads.Place) string {
	path, err := filepath.Abs(path)
	if err != nil {
		return ""
	}
	deepest, sensor := -1, ""
	for _, p := range configured {
		dir, err := filepath.Abs(p.Path)
		if err != nil {
			continue
		}
		if rel, err := filepath.Rel(dir, path); err == nil && filepath.IsLocal(rel) && len(dir) > deepest {
			deepest, sensor = len(dir), p.Sensor
		}
	}
	return sensor
}

func (a *app) scan(ctx context.Context, places []downloads.Place, o downloads.Options, statusDir string, report bool, sensor string) error {
	db, err := a.openToWrite(ctx, true)
	if err != nil {
		return err
	}
	defer db.Close()
	watch := a.watch("scan", "scan", statusDir)
	o.Log, o.Observe = a.log, watch.scan
	sum, err := downloads.Scan(ctx, db, places, o)
	stopped := errors.Is(err, context.Canceled)
	watch.close(err, stopped)
	if err != nil && !stopped {
		return err
	}
	if report && !stopped {
		err = a.scanReport(ctx, db, sensor)
	} else if e := a.printScan(&sum); e != nil {
		err = e
	}
	if err != nil {
		return err
	}
	if sum.Sightings > 0 && slices.ContainsFunc(places, func(p downloads.Place) bool { return p.Sensor == "" }) {
		a.hint("no sensor was named, so the files may be any sensor's: --sensor names it")
	}
	if sum.Misnamed > 0 {
		a.hint("%s: see above, or \"midden scan --report\"", several(int(sum.Misnamed), "file has the name of another content", "files have the name of another content"))
	}
	if sum.Failed > 0 {
		a.hint("%s: see above", several(int(sum.Failed), "file or directory could not be read, or not to the end", "files or directories could not be read, or not to the end"))
		return &exit{code: exitPartial}
	}
	return nil
}

func (a *app) printScan(s *downloads.Summary) error {
	passed := int64(0)
	for _, n := range s.Passed {
		passed += n
	}
	fields := []render.Field{
		{Name: "entries", Title: "Captured files", Kind: render.Int, Value: s.Entries},
		{Name: "unchanged", Kind: render.Int, Value: s.Unchanged},
		{Name: "read", Kind: render.Int, Value: s.Read},
		{Name: "bytes_read", Kind: render.Bytes, Value: s.Bytes},
		{Name: "archives", Kind: render.Int, Value: s.Archives},
		{Name: "files", Title: "Unknown before", Kind: render.Int, Value: s.Files},
		{Name: "sightings", Title: "Sightings on disk", Kind: render.Int, Value: s.Sightings},
		{Name: "facts", Title: "Got size and type", Kind: render.Int, Value: s.Facts},
		{Name: "misnamed", Kind: render.Int, Value: s.Misnamed},
		{Name: "unreadable", Kind: render.Int, Value: s.Failed},
		{Name: "gone", Title: "Gone since", Kind: render.Int, Value: s.Gone},
		{Name: "passed_over", Kind: render.Int, Value: passed},
	}
	fields = append(fields, a.reasons("passed_over_because", s.Passed)...)
	fields = append(fields, render.Field{Name: "seconds", Kind: render.Int, Value: float64(s.Elapsed.Milliseconds()) / 1000})
	return render.Record(a.stdout, a.format, fields)
}

var captureColumns = []render.Column{
	{Name: "finding"},
	{Name: "shasum", Kind: render.Hash},
	{Name: "sensor", Optional: true},
	{Name: "first_seen", Kind: render.Time},
	{Name: "last_seen", Kind: render.Time},
	{Name: "sighting_count", Title: "SEEN", Kind: render.Int},
	{Name: "file_size", Title: "SIZE", Kind: render.Bytes, Optional: true},
	{Name: "mime_type", Title: "TYPE", Optional: true},
	{Name: "path", Optional: true},
	{Name: "problem", Optional: true},
}

// scanReport says where logs and disks differ.
func (a *app) scanReport(ctx context.Context, db *store.Store, sensor string) error {
	out := render.New(a.stdout, a.format, captureColumns)
	scanned, missing, unlogged, odd := 0, 0, 0, 0
	var depots []*cowrie.Depot
	err := db.Depots(ctx, func(d *cowrie.Depot) error {
		if sensor == "" || d.Sensor == sensor {
			scanned++
			depots = append(depots, d)
		}
		return nil
	})
	if err != nil {
		return err
	}
	err = db.Missing(ctx, sensor, func(c *store.Capture) error {
		missing++
		return out.Row("missing", c.Shasum, text(c.Sensor), c.First.Std(), c.Last.Std(), c.Sightings, c.Size, text(c.MimeType), nil, nil)
	})
	if err != nil {
		return err
	}
	err = db.Unlogged(ctx, sensor, func(c *store.Capture) error {
		unlogged++
		return out.Row("unlogged", c.Shasum, text(c.Sensor), c.First.Std(), c.Last.Std(), c.Sightings, c.Size, text(c.MimeType), nil, nil)
	})
	if err != nil {
		return err
	}
	for _, d := range depots {
		err := db.EachDepotEntry(ctx, d, func(e *cowrie.DepotEntry) error {
			finding := "misnamed"
			switch {
			case e.Problem != "":
				finding = "unreadable"
			case !downloads.Misnamed(e.Name, e.Shasum):
				return nil
			}
			odd++
			return out.Row(finding, text(e.Shasum), text(d.Sensor), nil, nil, nil, e.Size, nil, d.Path+"/"+e.Name, text(e.Problem))
		})
		if err != nil {
			return err
		}
	}
	if err := out.Close(); err != nil {
		return err
	}
	if scanned == 0 {
		a.hint("nothing was scanned yet: \"midden scan DIR --sensor NAME\" reads what a sensor captured")
		return nil
	}
	a.hint("%s: %s that logs name and no disk has, %s that a disk has and no log names, %s with a wrong name or unreadable",
		several(scanned, "place was scanned", "places were scanned"), several(missing, "capture", "captures"),
		several(unlogged, "capture", "captures"), several(odd, "file", "files"))
	return nil
}

func several(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprint(n, " ", many)
}
