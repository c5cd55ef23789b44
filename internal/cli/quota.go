package cli

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"midden/internal/cli/render"
	"midden/internal/cowrie"
)

func (a *app) quotaCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "quota",
		Short: "Show how much of VirusTotal's quota is used and left",
		Long: `Shows how many requests were counted for the key, by all processes that work on this
database, and when there will be more. The limits are those that VirusTotal told
last ("midden enrich" asks it), or of a public key, or tighter ones of the
configuration. Nothing is asked now.

A public key must not be used in a commercial product, and several keys not in
turn to get round the quota. VirusTotal gives honeypots more on request.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.quota(cmd.Context()) },
	}
}

func (a *app) quota(ctx context.Context) error {
	_, account, err := a.virusTotal(ctx)
	if err != nil {
		return err
	}
	db, err := a.openToRead(ctx)
	if err != nil {
		return err
	}
	defer db.Close()
	lim, toldAt, told, err := a.knownLimits(ctx, db, account)
	if err != nil {
		return err
	}
	now := time.Now()
	u, err := db.Usage(ctx, account, now, lim)
	if err != nil {
		return err
	}
	left := int64(0)
	err = a.toAsk(ctx, db, cowrie.NoTime, func(*cowrie.Lookup) error { left++; return nil })
	if err != nil {
		return err
	}
	out := render.New(a.stdout, a.format, []render.Column{
		{Name: "period"},
		{Name: "used", Kind: render.Int},
		{Name: "left", Kind: render.Int},
		{Name: "allowed", Kind: render.Int},
		{Name: "resets_at", Kind: render.Time},
	})
	for _, p := range []struct {
		period        cowrie.QuotaPeriod
		used, allowed int64
		reset         cowrie.Time
	}{
		{cowrie.PerMinute, u.UsedMinute, u.Minute, u.MinuteFree},
		{cowrie.PerDay, u.UsedDay, u.Day, u.DayReset},
		{cowrie.PerMonth, u.UsedMonth, u.Month, u.MonthReset},
	} {
		var left, allowed any
		if p.allowed > 0 {
			left, allowed = max(0, p.allowed-p.used), p.allowed
		}
		if err := out.Row(string(p.period), p.used, left, allowed, p.reset.Std()); err != nil {
			return err
		}
	}
	if err := out.Close(); err != nil {
		return err
	}
	switch {
	case told:
		a.hint("limits as VirusTotal told them at %s", toldAt)
	default:
		a.hint("limits of a public key: VirusTotal has not told those of this key yet (\"midden enrich\" asks)")
	}
	if left > 0 {
		a.hint("%s to ask about%s", several(int(left), "file", "files"), daysFor(left, lim))
	}
	return nil
}
