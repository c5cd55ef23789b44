package cli

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"midden/internal/cli/render"
	"midden/internal/cowrie"
	"midden/internal/plain"
	"midden/internal/store"
)

var verdictColumns = []render.Column{
	{Name: "observed_at", Kind: render.Time},
	{Name: "shasum", Kind: render.Hash},
	{Name: "source"},
	{Name: "change", Optional: true},
	{Name: "malicious", Title: "FLAGGED", Kind: render.Int},
	{Name: "total", Title: "ENGINES", Kind: render.Int},
	{Name: "classification", Title: "LABEL", Optional: true},
	{Name: "analysed_at", Kind: render.Time, Optional: true},
	{Name: "description", OnlyData: true},
	{Name: "first_submission_at", Kind: render.Time, OnlyData: true},
	{Name: "suspicious", Kind: render.Int, OnlyData: true},
	{Name: "undetected", Kind: render.Int, OnlyData: true},
	{Name: "harmless", Kind: render.Int, OnlyData: true},
}

func verdictValues(v *cowrie.Verdict, change string) []any {
	return []any{v.ObservedAt.Std(), v.Shasum, v.Source, text(change), cowrie.Engines(v.Malicious), cowrie.Engines(v.Total), text(v.Classification),
		v.AnalysedAt.Std(), text(v.Description), v.FirstSubmission.Std(), cowrie.Engines(v.Suspicious), cowrie.Engines(v.Undetected), cowrie.Engines(v.Harmless)}
}

func (a *app) filesHistoryCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "history HASH",
		Short: "Show what was said of a file, and when",
		Long: `Shows each verdict on a file: when, by whom, how many engines flagged it, what they
called it, and what had changed since the one before of the same source. Of its
SHA-256 the beginning is enough, if it is no other file's.`,
		Example: "  midden files history 8a68d1c0",
		Args:    oneArg("one SHA-256, or the beginning of one"),
		RunE:    func(cmd *cobra.Command, args []string) error { return a.filesHistory(cmd.Context(), args[0]) },
	}
}

func (a *app) filesHistory(ctx context.Context, prefix string) error {
	db, err := a.openToRead(ctx)
	if err != nil {
		return err
	}
	defer db.Close()
	file, err := db.FindFile(ctx, prefix)
	if err != nil {
		return err
	}
	out := render.New(a.stdout, a.format, verdictColumns)
	before := map[string]*cowrie.Verdict{}
	submitted := cowrie.NoTime
	n := 0
	err = db.History(ctx, file.Shasum, func(v *cowrie.Verdict) error {
		n++
		change := v.Change(before[v.Source])
		before[v.Source] = v
		if cowrie.Asked(v.Source) == cowrie.SourceVirusTotal {
			submitted = cowrie.Earliest(submitted, v.FirstSubmission)
		}
		return out.Row(verdictValues(v, change)...)
	})
	if err != nil {
		return err
	}
	if err := out.Close(); err != nil {
		return err
	}
	switch {
	case n == 0:
		a.hint("nothing was said of it yet")
	case submitted != cowrie.NoTime && file.First != cowrie.NoTime:
		if lead := submitted.Std().Sub(file.First.Std()); lead > 0 {
			a.hint("seen here %s before VirusTotal's first submission", plain.Duration(lead))
		} else {
			a.hint("submitted to VirusTotal %s before it was seen here", plain.Duration(-lead))
		}
	}
	return nil
}

func (a *app) filesChangesCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "changes",
		Short: "Show of which files something else is said than before",
		Long: `Shows the verdicts that changed something: a file that is known for the first time,
that is flagged now and was not, that has another label, or that more or fewer
engines flag than before.`,
		Example: "  midden files changes --since 7d",
		Args:    noArgs,
	}
	since := newTimeFlag(cmd, "since", "said at this time or later (default 7d)")
	_ = since.Set("7d")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return a.filesChanges(cmd.Context(), since.t) }
	return cmd
}

func (a *app) filesChanges(ctx context.Context, since cowrie.Time) error {
	db, err := a.openToRead(ctx)
	if err != nil {
		return err
	}
	defer db.Close()
	out := render.New(a.stdout, a.format, verdictColumns)
	n := 0
	err = db.Changes(ctx, since, func(before, now *cowrie.Verdict) error {
		change := now.Change(before)
		if change == "" || change == "unknown" {
			return nil
		}
		n++
		return out.Row(verdictValues(now, change)...)
	})
	if err != nil {
		return err
	}
	a.counted(n, 0, "change")
	return out.Close()
}

// othersSay are the last verdicts of sources beside VirusTotal that know a file.
func othersSay(ctx context.Context, db *store.Store, shasum string) (fields []render.Field, err error) {
	last := map[string]*cowrie.Verdict{}
	err = db.History(ctx, shasum, func(v *cowrie.Verdict) error {
		last[v.Source] = v
		return nil
	})
	for _, name := range slices.Sorted(maps.Keys(last)) {
		if v := last[name]; v.Known() && cowrie.Asked(name) != cowrie.SourceVirusTotal {
			fields = append(fields, render.Field{Name: name, Title: sourceTitles[name],
				Value: strings.Join(slices.DeleteFunc([]string{cmp.Or(v.Classification, "known"), v.Description},
					func(part string) bool { return part == "" }), ", ")})
		}
	}
	return fields, err
}
