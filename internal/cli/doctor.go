package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"midden/internal/cli/render"
	"midden/internal/enrich"
	"midden/internal/store"
)

func (a *app) doctorCmd() *cobra.Command {
	deep := false
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Look whether the database is well",
		Long: `Looks for damage in the database file, and whether the tables agree with each
other. Changes nothing. Ends with 5 if something is wrong.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.doctor(cmd.Context(), deep)
		},
	}
	cmd.Flags().BoolVar(&deep, "deep", false, "decompress every stored event, too, and compare checksums")
	return cmd
}

func (a *app) doctor(ctx context.Context, deep bool) error {
	db, err := a.openToRead(ctx)
	if err != nil {
		return err
	}
	defer db.Close()
	out := render.New(a.stdout, a.format, []render.Column{{Name: "check"}, {Name: "state"}, {Name: "detail"}})
	ill := 0
	each := func(c store.Check) error {
		if c.State == store.CheckFailure {
			ill++
		}
		return out.Row(c.Name, string(c.State), c.Detail)
	}
	on, set, from := a.config.UseNewEnrichment(os.Getenv)
	staging, err := db.Staging(ctx, on, set)
	if err != nil {
		return err
	}
	for _, c := range []store.Check{a.checkMode(), enrichmentCheck(staging, from)} {
		if err := each(c); err != nil {
			return err
		}
	}
	if err := db.Doctor(ctx, deep, staging, each); err != nil {
		return err
	}
	if c, err := publishingCheck(ctx, db); err != nil {
		return err
	} else if c != nil {
		if err := each(*c); err != nil {
			return err
		}
	}
	if dir := a.config.VirusTotal.Cache; dir != "" {
		if err := each(a.checkCache(ctx, db, a.besideConfig(dir))); err != nil {
			return err
		}
	}
	if err := out.Close(); err != nil {
		return err
	}
	if ill > 0 {
		return &exit{exitDiffers, fmt.Errorf("%d checks failed", ill)}
	}
	return nil
}

// checkCache looks whether the cache says what the database says.
func (a *app) checkCache(ctx context.Context, db *store.Store, dir string) store.Check {
	c := store.Check{Name: "cache and database agree", State: store.CheckFailure}
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		c.State, c.Detail = store.CheckNotice, "the cache is not there yet"
		return c
	}
	answers, err := enrich.OpenAnswers(dir)
	if err != nil {
		c.Detail = err.Error()
		return c
	}
	defer answers.Close()
	g, err := answers.Compare(ctx, db)
	switch {
	case err != nil:
		c.Detail = err.Error()
	case g.Differ > 0:
		c.Detail = fmt.Sprintf("%d of %d answers say something else in the cache than in the database", g.Differ, g.Answers)
	case g.Unstored+g.Unkept+g.Poisoned > 0:
		c.State = store.CheckNotice
		c.Detail = fmt.Sprintf("of %d answers in the cache the database lacks %d (\"midden cache import\" adds them) and %d are none; the cache lacks %d of the database",
			g.Answers, g.Unstored, g.Poisoned, g.Unkept)
	default:
		c.State, c.Detail = store.CheckOK, fmt.Sprintf("%d answers say the same in both", g.Answers)
	}
	return c
}

// publishingCheck tells what a cluster is still to be told; nil if nothing is published.
func publishingCheck(ctx context.Context, db *store.Store) (*store.Check, error) {
	p, err := db.Publishing(ctx)
	if err != nil || p == nil {
		return nil, err
	}
	waiting, refused, err := db.InOutbox(ctx)
	if err != nil {
		return nil, err
	}
	c := &store.Check{Name: "published", State: store.CheckOK, Detail: several(int(waiting), "change waits", "changes wait")}
	if p.Scan != "" {
		c.Detail += "; not all is told yet: \"midden elastic publish\" goes on"
	}
	if refused > 0 {
		c.State = store.CheckNotice
		c.Detail += fmt.Sprintf("; %s: \"midden elastic refused list\"", several(int(refused), "document was refused", "documents were refused"))
	}
	return c, nil
}

// checkMode looks who may read the database.
func (a *app) checkMode() store.Check {
	c := store.Check{Name: "who may read it", State: store.CheckOK, Detail: "its owner alone"}
	at, err := theDatabase(a.db, os.Getenv)
	if err != nil {
		return c
	}
	if at.url != "" {
		c.Detail = "who was granted it (see docs/postgresql.md)"
		return c
	}
	if info, err := os.Stat(at.path); err == nil && info.Mode().Perm()&0o077 != 0 {
		c.State = store.CheckNotice
		c.Detail = fmt.Sprintf("others than its owner, too (mode %04o); it holds passwords that attackers tried", info.Mode().Perm())
	}
	return c
}

// enrichmentCheck tells where the switch of enrichment stands, and why.
func enrichmentCheck(st store.Staging, from string) store.Check {
	c := store.Check{Name: "new enrichment", State: store.CheckOK, Detail: "on"}
	if !st.On {
		c.State, c.Detail = store.CheckNotice, "off"
	}
	switch {
	case from != "":
		c.Detail += ", says " + from
	case st.TakenOver == "":
		c.Detail += ", as in every database that midden made"
	default:
		c.Detail += ", as in every database that was taken over: USE_NEW_ENRICHMENT=true or use_new_enrichment in midden.toml switches it on"
	}
	return c
}
