package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"midden/internal/cli/render"
	"midden/internal/cowrie"
	"midden/internal/enrich"
	"midden/internal/enrich/source"
	"midden/internal/store"
	"midden/internal/telemetry"
)

func (a *app) enrichCmd() *cobra.Command {
	o := enrich.Options{MaxWait: 90 * time.Second}
	var dryRun bool
	cmd := &cobra.Command{
		Use:   "enrich",
		Short: "Ask VirusTotal and other sources about files",
		Long: `Asks VirusTotal about the files that are due, each once: first those that were never
asked about, the newest and most seen first, then those whose answer has become
old. What cowrieprocessor's cache or Cowrie's own plugin knows is not asked for
again before it is old. Nothing is uploaded.

The quota is counted in the database before each request, for all processes that
work on it, and is never exceeded: it waits for the minute, and ends with 6 where
the quota of the day or of the month is used up. A request that brings no answer
comes again later, or is listed by "midden enrich queue list".

Further sources are asked if the configuration says so, none instead of another:
CIRCL hashlookup, a list of files that people publish, before VirusTotal, which is
not asked about what stands there; MalwareBazaar and URLhaus of abuse.ch beside it.
Each verdict names its source ("midden files history").

The key is a reference in the configuration (virustotal.key), or the variable
VT_API_KEY. There is no flag for it, since other users of the machine can read
those. Only hashes are sent.`,
		Example: `  VT_API_KEY=file:/etc/midden/virustotal.key midden enrich
  midden enrich --dry-run
  midden enrich --follow --since 30d`,
		Args:        noArgs,
		Annotations: map[string]string{works: "yes"},
	}
	since := newTimeFlag(cmd, "since", "files seen at this time or later")
	f := cmd.Flags()
	f.Int64Var(&o.Limit, "limit", 0, "requests to each source at the most; 0 for as many as are due")
	f.DurationVar(&o.MaxWait, "max-wait", o.MaxWait, "how long to wait for the quota at one time")
	f.BoolVarP(&o.Follow, "follow", "f", false, "stay, and ask as files come in and answers become old")
	f.BoolVar(&dryRun, "dry-run", false, "say what would be asked and what it costs, and ask nothing")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		o.Since = since.t
		if o.Limit < 0 || o.MaxWait < 0 {
			return usage("--limit and --max-wait take no negative numbers")
		}
		if dryRun {
			return a.enrichDryRun(cmd.Context(), o)
		}
		return a.enrich(cmd.Context(), o)
	}
	cmd.AddCommand(a.queueCmd())
	return cmd
}

func (a *app) enrich(ctx context.Context, o enrich.Options) (err error) {
	askings, err := a.askings(ctx, o)
	if err != nil {
		return err
	}
	db, err := a.openToWrite(ctx, false)
	if err != nil {
		return err
	}
	defer db.Close()
	if dir := a.config.VirusTotal.Cache; dir != "" {
		answers, err := enrich.OpenAnswers(a.besideConfig(dir))
		if err != nil {
			return err
		}
		defer answers.Close()
		for i := range askings {
			if askings[i].Source.Name() == cowrie.SourceVirusTotal {
				askings[i].Options.Answers = answers
			}
		}
	}
	progress, err := a.watchEnrich(ctx, db, askings)
	if err != nil {
		return err
	}
	results := enrich.All(ctx, db, askings)
	progress.Close()
	if err := a.printEnrich(context.WithoutCancel(ctx), db, results); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return a.enrichExit(results)
}

// watchEnrich shows on a terminal how far the sources are, all together.
func (a *app) watchEnrich(ctx context.Context, db *store.Store, askings []enrich.Asking) (*telemetry.Progress, error) {
	f, ok := a.stderr.(*os.File)
	if !ok || a.quiet {
		return nil, nil
	}
	progress := telemetry.NewProgress(f, a.log, "enrich")
	var mu sync.Mutex
	sums, total := make([]enrich.Summary, len(askings)), int64(0)
	for i := range askings {
		fresh, due, _, err := db.Backlog(ctx, askings[i].Source.Name(), time.Now())
		if err != nil {
			return nil, err
		}
		total += fresh + due
		askings[i].Options.Observe = func(s enrich.Summary) {
			mu.Lock()
			defer mu.Unlock()
			sums[i] = s
			done, asked := int64(0), int64(0)
			for _, s := range sums {
				done += s.Known + s.Unknown + s.Ignored
				asked += s.Asked
			}
			progress.Update(telemetry.Counts{FilesDone: done, FilesTotal: max(total, asked)})
		}
	}
	return progress, nil
}

// enrichExit says how it ended, by the worst that came of a source.
func (a *app) enrichExit(results []enrich.Result) error {
	var refused, failed []error
	var waits *enrich.QuotaError
	without := int64(0)
	for i := range results {
		r := &results[i]
		var e *source.Error
		switch {
		case errors.As(r.Err, &e) && e.Kind == source.KeyRefused:
			refused = append(refused, fmt.Errorf("the key is refused, so nothing more is asked: %w", r.Err))
		case errors.Is(r.Err, enrich.ErrNoAnswers):
			failed = append(failed, &exit{exitPartial, fmt.Errorf("%w; what is left comes again with the next run", r.Err)})
		case r.Err != nil:
			failed = append(failed, r.Err)
		case r.Waits != nil && (waits == nil || r.Source == cowrie.SourceVirusTotal):
			waits = r.Waits
		}
		without += r.Failed
	}
	switch {
	case len(refused) > 0:
		return errors.Join(append(refused, failed...)...)
	case len(failed) == 1:
		return failed[0]
	case len(failed) > 1:
		return &exit{exitPartial, errors.Join(failed...)}
	case without > 0:
		a.hint("%s; they come again with a later run, or are listed: \"midden enrich queue list\"",
			several(int(without), "request brought no answer", "requests brought no answer"))
		return &exit{code: exitPartial}
	case waits != nil:
		a.hint("%v; \"midden quota\" shows how much there is, and VirusTotal gives honeypots more on request", waits)
		return &exit{code: exitQuota}
	}
	return nil
}

// printEnrich tells what came of each source. Those beside VirusTotal have their
// names before those of the fields.
func (a *app) printEnrich(ctx context.Context, db *store.Store, results []enrich.Result) error {
	var fields []render.Field
	for i := range results {
		s := &results[i]
		before, title := s.Source+"_", sourceTitles[s.Source]+": "
		if s.Source == cowrie.SourceVirusTotal {
			before, title = "", ""
		}
		fresh, due, retries, err := db.Backlog(ctx, s.Source, s.At)
		if err != nil {
			return err
		}
		var until time.Time
		if s.Waits != nil {
			until = s.Waits.Until
		}
		for _, f := range []render.Field{
			{Name: "asked", Title: "Requests", Value: s.Asked},
			{Name: "known", Title: "Known", Value: s.Known},
			{Name: "unknown", Title: "Unknown to " + sourceTitles[s.Source], Value: s.Unknown},
			{Name: "failed", Title: "Without an answer", Value: s.Failed},
			{Name: "cached", Title: "From the cache", Value: s.Cached},
			{Name: "ignored", Title: "Ignored", Value: s.Ignored},
			{Name: "left_new", Title: "Left, never asked", Value: fresh},
			{Name: "left_due", Title: "Left, to ask again", Value: due},
			{Name: "retries", Title: "To come again", Value: retries},
			{Name: "waits_until", Title: "Waits until", Kind: render.Time, Value: until},
		} {
			if f.Kind != render.Time {
				f.Kind = render.Int
			}
			f.Name, f.Title = before+f.Name, title+f.Title
			fields = append(fields, f)
		}
	}
	if a.format == "table" {
		fields = present(fields)
	}
	return render.Record(a.stdout, a.format, fields)
}

// enrichDryRun says what would be asked.
func (a *app) enrichDryRun(ctx context.Context, o enrich.Options) error {
	db, err := a.openToRead(ctx)
	if err != nil {
		return err
	}
	defer db.Close()
	out := render.New(a.stdout, a.format, []render.Column{
		{Name: "shasum", Kind: render.Hash},
		{Name: "because"},
		{Name: "last_seen", Kind: render.Time},
		{Name: "sighting_count", Title: "SEEN", Kind: render.Int},
		{Name: "answered_at", Kind: render.Time, Optional: true},
	})
	n := int64(0)
	err = a.toAsk(ctx, db, o.Since, func(l *cowrie.Lookup) error {
		because := "never asked"
		switch {
		case o.Limit > 0 && n >= o.Limit:
			return nil
		case l.Failures > 0:
			because = "no answer so far"
		case l.AnsweredAt != cowrie.NoTime:
			because = "the answer is old"
		}
		n++
		return out.Row(l.Shasum, because, l.LastSeen.Std(), l.Sightings, l.AnsweredAt.Std())
	})
	if err != nil {
		return err
	}
	if err := out.Close(); err != nil {
		return err
	}
	_, account, _ := a.virusTotal(ctx) // without a key, the limits of a public one count
	lim, _, _, err := a.knownLimits(ctx, db, account)
	if err != nil {
		return err
	}
	a.hint("%s", several(int(n), "request", "requests")+daysFor(n, lim))
	return nil
}

// knownLimits are those of a key as VirusTotal told them last, at a time, or of a
// public key; tighter ones of the configuration count.
func (a *app) knownLimits(ctx context.Context, db *store.Store, account string) (lim cowrie.Limits, toldAt cowrie.Time, told bool, err error) {
	lim, toldAt, told, err = db.Limits(ctx, account)
	if !told {
		lim = enrich.PublicLimits
	}
	return enrich.Tighter(a.limits(), lim), toldAt, told, err
}

// toAsk calls f for each file that would be asked about now.
func (a *app) toAsk(ctx context.Context, db *store.Store, since cowrie.Time, f func(*cowrie.Lookup) error) error {
	ignore, err := a.ignored()
	if err != nil {
		return err
	}
	policy, now := a.policy(), time.Now()
	each := func(l cowrie.Lookup) error {
		fresh := l.State == cowrie.LookupNew && l.AnsweredAt != cowrie.NoTime && policy.Due(&l) > cowrie.FromStd(now)
		if fresh || ignore(l.Shasum) {
			return nil
		}
		return f(&l)
	}
	q := cowrie.LookupQuery{Source: cowrie.SourceVirusTotal, Now: now, Since: since}
	if err := db.NewLookups(ctx, q, each); err != nil {
		return err
	}
	return db.DueLookups(ctx, q, each)
}

// daysFor says how long so many requests take.
func daysFor(n int64, lim cowrie.Limits) string {
	if lim.Day <= 0 || n <= lim.Day {
		return ""
	}
	return fmt.Sprintf(": %d days with %d a day", (n+lim.Day-1)/lim.Day, lim.Day)
}

func (a *app) queueCmd() *cobra.Command {
	limit := 50
	list := &cobra.Command{
		Use:   "list",
		Short: "List the files about which there was no answer, or that are dropped, the last first",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.queueList(cmd.Context(), limit)
		},
	}
	list.Flags().IntVarP(&limit, "limit", "n", limit, "how many at the most; 0 for all")
	change := func(use, short, state string) *cobra.Command {
		return &cobra.Command{
			Use:   use + " [HASH...]",
			Short: short,
			RunE: func(cmd *cobra.Command, args []string) error {
				return a.queueSet(cmd.Context(), state, args)
			},
		}
	}
	return group("queue", "The requests that brought no answer, or are not wanted", list,
		change("retry", "Ask again with the next run: the files with these hashes, or all in the list", cowrie.LookupWaiting),
		change("drop", "Never ask about the files with these hashes, or about all in the list", cowrie.LookupDropped))
}

func (a *app) queueList(ctx context.Context, limit int) error {
	db, err := a.openToRead(ctx)
	if err != nil {
		return err
	}
	defer db.Close()
	out := render.New(a.stdout, a.format, []render.Column{
		{Name: "shasum", Kind: render.Hash},
		{Name: "source"},
		{Name: "state"},
		{Name: "failures", Kind: render.Int},
		{Name: "due_at", Title: "AGAIN AT", Kind: render.Time},
		{Name: "error"},
	})
	n := 0
	err = db.Queue(ctx, limit, func(l cowrie.Lookup) error {
		n++
		return out.Row(l.Shasum, l.Source, l.State, l.Failures, l.DueAt.Std(), text(l.Error))
	})
	if err != nil {
		return err
	}
	a.counted(n, limit, "request")
	return out.Close()
}

func (a *app) queueSet(ctx context.Context, state string, hashes []string) error {
	for i, h := range hashes {
		hashes[i] = strings.ToLower(strings.TrimSpace(h))
		if hashes[i] == "" || strings.Trim(hashes[i], "0123456789abcdef") != "" {
			return usage("%q is not a SHA-256 or the beginning of one", h)
		}
	}
	due := cowrie.NoTime
	if state == cowrie.LookupWaiting {
		// Now, also by the clock of the service, which counts and may be behind this one.
		due = cowrie.FromStd(time.Now().AddDate(0, 0, -1))
	}
	db, err := a.openToWrite(ctx, false)
	if err != nil {
		return err
	}
	defer db.Close()
	n, err := db.SetLookups(ctx, state, due, hashes)
	if err != nil {
		return err
	}
	a.hint("%s", several(int(n), "file", "files"))
	return nil
}
