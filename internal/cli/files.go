package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"midden/internal/cli/render"
	"midden/internal/cowrie"
	"midden/internal/store"
)

func (a *app) filesCmd() *cobra.Command {
	return group("files", "The files that attackers dropped", a.filesListCmd(), a.filesShowCmd(), a.filesHistoryCmd(), a.filesChangesCmd())
}

func (a *app) filesListCmd() *cobra.Command {
	var q store.FileFilter
	var kind string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List files, the one seen last first",
		Example: `  midden files list --since 7d
  midden files list --name authorized_keys
  midden files list --url '*.sh' --kind download -o csv
  midden files list --machine arm --min-size 100K`,
		Args: noArgs,
	}
	since := newTimeFlag(cmd, "since", "seen at this time or later")
	until := newTimeFlag(cmd, "until", "seen before this time")
	f := cmd.Flags()
	f.StringVar(&q.Sensor, "sensor", "", "seen by this sensor")
	f.StringVar(&q.Session, "session", "", "seen in this session")
	f.StringVar(&kind, "kind", "", "seen as: download, upload or disk")
	f.StringVar(&q.Name, "name", "", "part of the name or of the path it was dropped as, or a pattern with * and ?")
	f.StringVar(&q.URL, "url", "", "part of the URL it came from, or a pattern with * and ?")
	f.StringVar(&q.Status, "status", "", "what VirusTotal says: pending, known, unknown, failed or ignored")
	f.StringVar(&q.Type, "type", "", "part of the media type, such as executable or shellscript, or a pattern with * and ?; this and the next three need \"midden scan\"")
	f.StringVar(&q.Machine, "machine", "", "ELF files for this machine, such as x86_64, arm or mips")
	minSize := newSizeFlag(cmd, "min-size", 0, "at least so large")
	maxSize := newSizeFlag(cmd, "max-size", 0, "at the most so large")
	f.BoolVar(&q.DiskOnly, "disk-only", false, "found on a disk alone: no log names it")
	f.IntVarP(&q.Limit, "limit", "n", 50, "how many at the most; 0 for all")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		q.Since, q.Until, q.Kind = since.t, until.t, cowrie.Kind(kind)
		q.MinSize, q.MaxSize = minSize.n, maxSize.n
		if err := oneOf("--kind", kind, "download", "upload", "disk"); err != nil {
			return err
		}
		if err := oneOf("--status", q.Status, "pending", "known", "unknown", "failed", "ignored"); err != nil {
			return err
		}
		return a.filesList(cmd.Context(), q)
	}
	return cmd
}

func oneOf(flag, value string, allowed ...string) error {
	if value == "" {
		return nil
	}
	for _, v := range allowed {
		if v == value {
			return nil
		}
	}
	return usage("%s %s: it is one of %q", flag, value, allowed)
}

var fileColumns = []render.Column{
	{Name: "shasum", Kind: render.Hash},
	{Name: "last_seen", Kind: render.Time},
	{Name: "first_seen", Kind: render.Time, OnlyData: true},
	{Name: "sighting_count", Title: "SEEN", Kind: render.Int},
	{Name: "enrichment_status", Title: "STATUS"},
	{Name: "vt_malicious", Title: "FLAGGED", Kind: render.Int, Optional: true},
	{Name: "vt_total", Title: "ENGINES", Kind: render.Int, Optional: true},
	{Name: "vt_classification", Title: "LABEL", Optional: true},
	{Name: "vt_description", OnlyData: true},
	{Name: "vt_first_seen", Kind: render.Time, OnlyData: true},
	{Name: "vt_last_analysis", Kind: render.Time, OnlyData: true},
	{Name: "vt_checked_at", Kind: render.Time, OnlyData: true},
	{Name: "file_size", Title: "SIZE", Kind: render.Bytes, Optional: true},
	{Name: "mime_type", Title: "TYPE", Optional: true},
	{Name: "filename", Title: "NAME", Optional: true},
	{Name: "download_url", Title: "URL", Kind: render.URL, Optional: true},
	{Name: "session_id", OnlyData: true},
	{Name: "disk_only", Kind: render.Bool, OnlyData: true},
	{Name: "sha1", Title: "SHA-1", Kind: render.Hash, OnlyData: true},
	{Name: "md5", Title: "MD5", Kind: render.Hash, OnlyData: true},
	{Name: "elf_class", Kind: render.Int, OnlyData: true},
	{Name: "elf_byte_order", OnlyData: true},
	{Name: "elf_machine", Title: "MACHINE", Optional: true},
	{Name: "elf_linkage", OnlyData: true},
	{Name: "elf_stripped", Kind: render.Bool, OnlyData: true},
	{Name: "interpreter", OnlyData: true},
	{Name: "entropy", Kind: render.Int, OnlyData: true},
	{Name: "head", OnlyData: true},
}

func fileValues(f *store.File) []any {
	return []any{f.Shasum, f.Last.Std(), f.First.Std(), f.Sightings, f.EnrichmentStatus, f.VTMalicious, f.VTTotal,
		text(f.VTClassification), text(f.VTDescription), f.VTFirstSeen.Std(), f.VTLastAnalysis.Std(),
		f.VTCheckedAt.Std(), f.Size, text(f.MimeType), text(f.Name), text(f.URL), text(f.Session),
		f.DiskOnly, text(f.SHA1), text(f.MD5), f.ELFClass, text(f.ELFOrder), text(f.ELFMachine), text(f.ELFLinkage),
		f.ELFStripped, text(f.Interpreter), f.Entropy, text(f.Head)}
}

// text is absent if it is empty.
func text(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func (a *app) filesList(ctx context.Context, q store.FileFilter) error {
	db, err := a.openToRead(ctx)
	if err != nil {
		return err
	}
	defer db.Close()
	out := render.New(a.stdout, a.format, fileColumns)
	n := 0
	err = db.Files(ctx, q, func(f *store.File) error {
		n++
		return out.Row(fileValues(f)...)
	})
	if err != nil {
		return err
	}
	a.counted(n, q.Limit, "file")
	return out.Close()
}

// counted says on standard error what a list does not say itself.
func (a *app) counted(n, limit int, what string) {
	switch {
	case n == 0:
		a.hint("no %s fits", what)
	case n == limit:
		a.hint("the first %d: --limit asks for more", n)
	}
}

func (a *app) filesShowCmd() *cobra.Command {
	sightings := 20
	cmd := &cobra.Command{
		Use:     "show HASH",
		Short:   "Show all that is known of a file",
		Long:    "Shows what is known of a file. Of its SHA-256 the beginning is enough, if it is no other file's.",
		Example: "  midden files show 8a68d1c0",
		Args:    oneArg("one SHA-256, or the beginning of one"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.filesShow(cmd.Context(), args[0], sightings)
		},
	}
	cmd.Flags().IntVarP(&sightings, "limit", "n", sightings, "how many sightings at the most; 0 for all")
	return cmd
}

var sightingColumns = []render.Column{
	{Name: "seen_at", Kind: render.Time},
	{Name: "kind"},
	{Name: "session_id", Title: "SESSION"},
	{Name: "sensor"},
	{Name: "src_ip", Title: "ADDRESS"},
	{Name: "filename", Title: "NAME", Optional: true},
	{Name: "destfile", Title: "PATH", Optional: true},
	{Name: "download_url", Title: "URL", Kind: render.URL, Optional: true},
	{Name: "outfile", OnlyData: true},
	{Name: "duplicate", Kind: render.Bool, OnlyData: true},
}

func sightingValues(s *store.Sighting) []any {
	return []any{s.SeenAt.Std(), string(s.Kind), text(s.Session), text(s.Sensor), text(s.SrcIP), text(s.Filename),
		text(s.Destfile), text(s.URL), text(s.Outfile), s.Duplicate}
}

func (a *app) filesShow(ctx context.Context, prefix string, limit int) error {
	db, err := a.openToRead(ctx)
	if err != nil {
		return err
	}
	defer db.Close()
	f, err := db.FindFile(ctx, prefix)
	if err != nil {
		return err
	}
	if err := a.sayDropped(ctx, db, store.EventFilter{Shasum: f.Shasum}); err != nil {
		return err
	}
	facts, err := db.FileFacts(ctx, f.Shasum)
	if err != nil {
		return err
	}
	fields := make([]render.Field, 0, len(fileColumns)+10)
	for i, v := range fileValues(f) {
		c := fileColumns[i]
		if on, is := v.(bool); is && !on && a.format == "table" {
			continue
		}
		title := ""
		if of, is := strings.CutPrefix(c.Name, "elf_"); is {
			title = "ELF " + strings.ReplaceAll(of, "_", " ")
		} else if c.OnlyData { // else it is the head of a column
			title = c.Title
		}
		fields = append(fields, render.Field{Name: c.Name, Title: title, Kind: c.Kind, Value: v})
	}
	fields = append(fields,
		render.Field{Name: "sessions", Kind: render.Int, Value: facts.Sessions},
		render.Field{Name: "addresses", Kind: render.Int, Value: facts.Addresses},
		render.Field{Name: "sensors", Kind: render.Int, Value: facts.Sensors})
	others, err := othersSay(ctx, db, f.Shasum)
	if err != nil {
		return err
	}
	fields = append(fields, others...)
	lists := []struct {
		name, title string
		kind        render.Kind
		counts      []store.Count
	}{
		{"kinds", "Kinds", render.Text, facts.Kinds},
		{"filenames", "Names", render.Text, facts.Names},
		{"destfiles", "Dropped as", render.Text, facts.Paths},
		{"download_urls", "URLs", render.URL, facts.URLs},
		{"top_addresses", "Addresses", render.Text, facts.TopAddresses},
		{"top_sensors", "Sensors", render.Text, facts.TopSensors},
	}
	if a.format == "table" {
		if err := render.Record(a.stdout, a.format, present(fields)); err != nil {
			return err
		}
		for _, l := range lists {
			if err := a.countTable(l.title, l.kind, l.counts); err != nil {
				return err
			}
		}
		fmt.Fprintln(a.stdout, "\nSightings")
		out := render.New(a.stdout, a.format, sightingColumns)
		err := db.Sightings(ctx, f.Shasum, "", limit, func(s *store.Sighting) error { return out.Row(sightingValues(s)...) })
		if err != nil {
			return err
		}
		if limit > 0 && f.Sightings > int64(limit) {
			a.hint("the first %d of %d sightings: --limit asks for more", limit, f.Sightings)
		}
		return out.Close()
	}
	for _, l := range lists {
		fields = append(fields, render.Field{Name: l.name, Value: countsJSON(l.counts)})
	}
	sightings, err := rowsJSON(sightingColumns, func(row func(...any) error) error {
		return db.Sightings(ctx, f.Shasum, "", limit, func(s *store.Sighting) error { return row(sightingValues(s)...) })
	})
	if err != nil {
		return err
	}
	return render.Record(a.stdout, a.format, append(fields, render.Field{Name: "sightings", Value: sightings}))
}

// present leaves out of a record for people what is not known.
func present(fields []render.Field) []render.Field {
	var known []render.Field
	for _, f := range fields {
		switch v := f.Value.(type) {
		case *string:
			if v == nil {
				continue
			}
		case *int64:
			if v == nil {
				continue
			}
		case *float64:
			if v == nil {
				continue
			}
		case *bool:
			if v == nil {
				continue
			}
		case interface{ IsZero() bool }:
			if v.IsZero() {
				continue
			}
		}
		known = append(known, f)
	}
	return known
}

// countTable prints values and how often each occurs, under a title.
func (a *app) countTable(title string, kind render.Kind, counts []store.Count) error {
	if len(counts) == 0 {
		return nil
	}
	fmt.Fprintf(a.stdout, "\n%s\n", title)
	out := render.New(a.stdout, a.format, []render.Column{{Name: "count", Kind: render.Int}, {Name: "value", Kind: kind}})
	for _, c := range counts {
		if err := out.Row(c.Count, c.Value); err != nil {
			return err
		}
	}
	return out.Close()
}

func countsJSON(counts []store.Count) json.RawMessage {
	raw, err := rowsJSON([]render.Column{{Name: "value"}, {Name: "count", Kind: render.Int}}, func(row func(...any) error) error {
		for _, c := range counts {
			if err := row(c.Value, c.Count); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return json.RawMessage("[]")
	}
	return raw
}

// rowsJSON renders rows as a JSON array, to stand inside of a record.
func rowsJSON(columns []render.Column, rows func(row func(...any) error) error) (json.RawMessage, error) {
	var buf bytes.Buffer
	out := render.New(&buf, "json", columns)
	if err := rows(out.Row); err != nil {
		return nil, err
	}
	if err := out.Close(); err != nil {
		return nil, err
	}
	return json.RawMessage(bytes.TrimSpace(buf.Bytes())), nil
}
