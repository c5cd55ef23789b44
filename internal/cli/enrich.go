package cli

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"midden/internal/cli/render"
	"midden/internal/config"
	"midden/internal/cowrie"
	"midden/internal/enrich"
	"midden/internal/enrich/virustotal"
	"midden/internal/secret"
	"midden/internal/store"
	"midden/internal/telemetry"
)

// keptForNew is the share of a day's requests that is left for files that were
// never asked about.
const keptForNew = 0.2

func (a *app) enrichCmd() *cobra.Command {
	o := enrich.Options{MaxWait: 90 * time.Second}
	var dryRun bool
	cmd := &cobra.Command{
		Use:   "enrich",
		Short: "Ask VirusTotal about files",
		Long: `Asks VirusTotal about the files that are due, each once: first those that were never
asked about, the newest and most seen first, then those whose answer has become
old. What cowrieprocessor's cache or Cowrie's own plugin knows is not asked for
again before it is old. Nothing is uploaded.

The quota is counted in the database before each request, for all processes that
work on it, and is never exceeded: it waits for the minute, and ends with 6 where
the quota of the day or of the month is used up. A request that brings no answer
comes again later, or is listed by "midden enrich queue list".

The key is a reference in the configuration (virustotal.key), or the variable
VT_API_KEY. There is no flag for it, since other users of the machine can read
those. Only hashes are sent to VirusTotal.`,
		Example: `  VT_API_KEY=file:/etc/midden/virustotal.key midden enrich
  midden enrich --dry-run
  midden enrich --follow --since 30d`,
		Args:        noArgs,
		Annotations: map[string]string{works: "yes"},
	}
	since := newTimeFlag(cmd, "since", "files seen at this time or later")
	f := cmd.Flags()
	f.Int64Var(&o.Limit, "limit", 0, "requests at the most; 0 for as many as are due")
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

// errNoKey says how to give the key.
var errNoKey = errors.New(`there is no key of VirusTotal: set VT_API_KEY, or virustotal.key in the configuration to a reference such as "file:/etc/midden/virustotal.key"; see docs/configuration.md`)

// virusTotalKey returns the key.
func (a *app) virusTotalKey(ctx context.Context) (secret.Secret, error) {
	o := secret.Options{Getenv: os.Getenv, Note: func(text string) { a.log.Warn(text) }}
	reference, from := a.config.VirusTotal.Key, "virustotal.key"
	if variable := os.Getenv("VT_API_KEY"); variable != "" {
		reference, from, o.AllowPlain = variable, "VT_API_KEY", true
	} else if a.config.Path != "" {
		o.Dir = filepath.Dir(a.config.Path)
	}
	if reference == "" {
		return secret.Secret{}, &exit{exitUsage, errNoKey}
	}
	key, err := secret.Resolve(ctx, reference, o)
	if err != nil {
		return key, usage("%s: %w", from, err)
	}
	return key, nil
}

// virusTotal returns who is asked, and what names the key in the ledger.
func (a *app) virusTotal(ctx context.Context) (client *virustotal.Client, account string, err error) {
	key, err := a.virusTotalKey(ctx)
	if err != nil {
		return nil, "", err
	}
	client, err = virustotal.NewClient(virustotal.Options{BaseURL: a.config.VirusTotal.BaseURL, Key: virustotal.NewKey(key.Reveal()),
		UserAgent: "midden/" + Version})
	if err != nil {
		return nil, "", usage("%w", err)
	}
	return client, "virustotal " + key.Fingerprint(), nil
}

// limits are those that the configuration asks for.
func (a *app) limits() cowrie.Limits {
	c := a.config.VirusTotal
	return cowrie.Limits{Minute: c.PerMinute, Day: c.PerDay, Month: c.PerMonth}
}

// policy is how long answers count: as the configuration says, or by default.
func (a *app) policy() enrich.Policy {
	p, c := enrich.DefaultPolicy(), a.config.VirusTotal.AskAgain
	for _, s := range []struct {
		of  *time.Duration
		say config.Span
	}{{&p.Young, c.Young}, {&p.YoungFor, c.YoungFor}, {&p.Malicious, c.Malicious}, {&p.MaliciousLater, c.MaliciousLater},
		{&p.LaterAfter, c.LaterAfter}, {&p.Other, c.Other}} {
		if s.say.Duration != 0 {
			*s.of = s.say.Duration
		}
	}
	if len(c.Unknown) > 0 {
		p.Unknown = nil
		for _, s := range c.Unknown {
			p.Unknown = append(p.Unknown, s.Duration)
		}
	}
	return p
}

func (a *app) ignored() (func(string) bool, error) {
	list := map[string]bool{}
	for _, text := range a.config.VirusTotal.Ignore {
		shasum, ok := cowrie.Shasum([]byte(text))
		if !ok {
			return nil, usage("%s: virustotal.ignore: %q is no SHA-256", a.config.Path, text)
		}
		list[shasum] = true
	}
	return func(shasum string) bool { return list[shasum] }, nil
}

func (a *app) enrich(ctx context.Context, o enrich.Options) (err error) {
	if o.Ignore, err = a.ignored(); err != nil {
		return err
	}
	if c := a.limits(); c.Minute < 0 || c.Day < 0 || c.Month < 0 {
		return usage("%s: virustotal: a number of requests cannot be negative", a.config.Path)
	}
	client, account, err := a.virusTotal(ctx)
	if err != nil {
		return err
	}
	db, err := a.openToWrite(ctx, false)
	if err != nil {
		return err
	}
	defer db.Close()
	var progress *telemetry.Progress
	if f, ok := a.stderr.(*os.File); ok && !a.quiet {
		progress = telemetry.NewProgress(f, a.log, "enrich")
	}
	fresh, due, _, err := db.Backlog(ctx, time.Now())
	if err != nil {
		return err
	}
	if dir := a.config.VirusTotal.Cache; dir != "" {
		if o.Answers, err = enrich.OpenAnswers(a.besideConfig(dir)); err != nil {
			return err
		}
		defer o.Answers.Close()
	}
	o.Account, o.Policy, o.Limits, o.KeptForNew = account, a.policy(), a.limits(), keptForNew
	o.Log, o.Now = a.log, time.Now
	o.Observe = func(s enrich.Summary) {
		progress.Update(telemetry.Counts{FilesDone: s.Known + s.Unknown + s.Ignored, FilesTotal: max(fresh+due, s.Asked)})
	}
	sum, err := enrich.Run(ctx, db, client, o)
	progress.Close()
	stopped := errors.Is(err, context.Canceled)
	if e := a.printEnrich(context.WithoutCancel(ctx), db, &sum); e != nil {
		return errors.Join(err, e)
	}
	var refused *virustotal.Error
	switch {
	case stopped:
		return err
	case errors.As(err, &refused) && refused.Kind == virustotal.KeyRefused:
		return fmt.Errorf("the key is refused, so nothing more is asked: %w", err)
	case errors.Is(err, enrich.ErrNoAnswers):
		return &exit{exitPartial, fmt.Errorf("%w; what is left comes again with the next run", err)}
	case err != nil:
		return err
	case sum.Waits != nil && sum.Failed == 0:
		a.hint("%v; \"midden quota\" shows how much there is, and VirusTotal gives honeypots more on request", sum.Waits)
		return &exit{code: exitQuota}
	case sum.Failed > 0:
		a.hint("%s; they come again with a later run, or are listed: \"midden enrich queue list\"",
			several(int(sum.Failed), "request brought no answer", "requests brought no answer"))
		return &exit{code: exitPartial}
	}
	return nil
}

func (a *app) printEnrich(ctx context.Context, db *store.Store, s *enrich.Summary) error {
	fresh, due, retries, err := db.Backlog(ctx, time.Now())
	if err != nil {
		return err
	}
	var until time.Time
	if s.Waits != nil {
		until = s.Waits.Until
	}
	fields := []render.Field{
		{Name: "asked", Title: "Requests", Kind: render.Int, Value: s.Asked},
		{Name: "known", Kind: render.Int, Value: s.Known},
		{Name: "unknown", Title: "Unknown to VirusTotal", Kind: render.Int, Value: s.Unknown},
		{Name: "failed", Title: "Without an answer", Kind: render.Int, Value: s.Failed},
		{Name: "cached", Title: "From the cache", Kind: render.Int, Value: s.Cached},
		{Name: "ignored", Kind: render.Int, Value: s.Ignored},
		{Name: "left_new", Title: "Left, never asked", Kind: render.Int, Value: fresh},
		{Name: "left_due", Title: "Left, to ask again", Kind: render.Int, Value: due},
		{Name: "retries", Title: "To come again", Kind: render.Int, Value: retries},
		{Name: "waits_until", Kind: render.Time, Value: until},
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
	a.hint("%s", several(int(n), "request", "requests")+daysFor(n, a.limits()))
	return nil
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
	q := cowrie.LookupQuery{Now: now, Since: since}
	if err := db.NewLookups(ctx, q, each); err != nil {
		return err
	}
	return db.DueLookups(ctx, q, each)
}

// daysFor says how long so many requests take.
func daysFor(n int64, asked cowrie.Limits) string {
	perDay := enrich.PublicLimits.Day
	if asked.Day > 0 {
		perDay = asked.Day
	}
	if n <= perDay {
		return ""
	}
	return fmt.Sprintf(": %d days with %d a day", int64(math.Ceil(float64(n)/float64(perDay))), perDay)
}

func (a *app) queueCmd() *cobra.Command {
	limit := 50
	list := &cobra.Command{
		Use:   "list",
		Short: "List the files about which there was no answer, the last first",
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
	return group("queue", "The requests that brought no answer", list,
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
		{Name: "state"},
		{Name: "failures", Kind: render.Int},
		{Name: "due_at", Title: "AGAIN AT", Kind: render.Time},
		{Name: "error"},
	})
	n := 0
	err = db.Queue(ctx, limit, func(l cowrie.Lookup) error {
		n++
		return out.Row(l.Shasum, l.State, l.Failures, l.DueAt.Std(), text(l.Error))
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
		due = cowrie.FromStd(time.Now())
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
