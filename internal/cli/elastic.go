package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"midden/internal/cli/render"
	"midden/internal/cowrie"
	"midden/internal/elastic"
	"midden/internal/enrich/source"
	"midden/internal/secret"
	"midden/internal/telemetry"
)

func (a *app) elasticCmd() *cobra.Command {
	cmd := group("elastic", "Tell Elasticsearch or OpenSearch what is in the database",
		&cobra.Command{
			Use:   "install",
			Short: "Make index templates, policies, data streams and aliases in the cluster",
			Long: `Makes what publishing needs, and puts right what is not as it is to be: a lifecycle
policy (ILM, or ISM on OpenSearch), component and index templates, data streams of
sightings and verdicts, and indices of files and reports behind aliases. A second
time it changes nothing. The templates whose names end with @custom are yours: they
are made empty and never changed.`,
			Args: noArgs,
			RunE: func(cmd *cobra.Command, _ []string) error { return a.elasticInstall(cmd.Context()) },
		},
		&cobra.Command{
			Use:   "diff",
			Short: "Show how what is installed differs from what is to be",
			Long:  `Shows it a line for each difference, changes nothing, and ends with 5 if there is one.`,
			Args:  noArgs,
			RunE:  func(cmd *cobra.Command, _ []string) error { return a.elasticDiff(cmd.Context()) },
		},
		a.elasticPublishCmd(), a.elasticRefusedCmd(),
		&cobra.Command{
			Use:   "stop",
			Short: "Note changes no more: nothing will be published",
			Long: `Forgets what was published and what waits to be, and has changes noted no more. What
is in the cluster stays there. To publish again, "midden elastic publish --rebuild".`,
			Args: noArgs,
			RunE: func(cmd *cobra.Command, _ []string) error { return a.elasticStop(cmd.Context()) },
		})
	cmd.Long = `Tells Elasticsearch or OpenSearch what is in the database: sightings, files, what is
said of them, and reports. Which cluster stands in the configuration, below
[elastic], or in the variables ES_HOST, ES_CLOUD_ID, ES_USERNAME, ES_PASSWORD and
ES_API_KEY. There are no flags for these, since other users of the machine can
read those. See docs/elasticsearch.md.`
	return cmd
}

func (a *app) elasticPublishCmd() *cobra.Command {
	follow, rebuild := false, false
	cmd := &cobra.Command{
		Use:   "publish",
		Short: "Tell the cluster what it was not told yet",
		Long: `Tells the cluster all that is in the database the first time. From then on each
change is noted with the change itself, and told the next time, once, as it is by
then. Stopped or killed at any point, the next one goes on where it was.

A document that the cluster refuses does not keep the others back: it is listed by
"midden elastic refused list", and it ends with 3. With 75 it ends if the cluster
does not answer for minutes.`,
		Example: `  midden elastic install && midden elastic publish
  midden elastic publish --follow
  midden elastic publish --rebuild`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.elasticPublish(cmd.Context(), follow, rebuild) },
	}
	f := cmd.Flags()
	f.BoolVarP(&follow, "follow", "f", false, "stay, and tell of changes as they come")
	f.BoolVar(&rebuild, "rebuild", false, "tell everything again, of files in a new index that takes the place of the old one when it is whole")
	return cmd
}

func (a *app) elasticRefusedCmd() *cobra.Command {
	limit := 50
	list := &cobra.Command{
		Use:   "list",
		Short: "List the documents that the cluster refused, and why",
		Args:  noArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return a.refusedList(cmd.Context(), limit) },
	}
	list.Flags().IntVarP(&limit, "limit", "n", limit, "how many at the most; 0 for all")
	return group("refused", "The documents that the cluster refused", list, &cobra.Command{
		Use:   "retry",
		Short: "Send all of them again with the next \"midden elastic publish\"",
		Args:  noArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return a.refusedRetry(cmd.Context()) },
	})
}

// cluster returns the cluster that is meant, and how names in it begin.
func (a *app) cluster(ctx context.Context) (c *elastic.Client, prefix string, err error) {
	s := a.config.Elastic
	o := elastic.Options{URLs: s.URL, CloudID: s.CloudID, User: s.User, Gzip: s.Gzip, UserAgent: "midden/" + Version}
	host, cloud := os.Getenv("ES_HOST"), os.Getenv("ES_CLOUD_ID")
	if host != "" || cloud != "" {
		o.URLs, o.CloudID = strings.FieldsFunc(host, func(r rune) bool { return r == ',' || r == ' ' }), cloud
	}
	if user := os.Getenv("ES_USERNAME"); user != "" {
		o.User = user
	}
	for _, one := range []struct {
		of                         *secret.Secret
		setting, variable, written string
	}{
		{&o.Password, "elastic.password", "ES_PASSWORD", s.Password},
		{&o.APIKey, "elastic.api_key", "ES_API_KEY", s.APIKey},
	} {
		from, reference := one.setting, one.written
		if text := os.Getenv(one.variable); text != "" {
			from, reference = one.variable, text
		}
		if reference == "" {
			continue
		}
		if *one.of, err = a.secret(ctx, from, reference, from == one.variable); err != nil {
			return nil, "", err
		}
	}
	if s.CAFile != "" {
		if o.CA, err = os.ReadFile(a.besideConfig(s.CAFile)); err != nil {
			return nil, "", usage("elastic.ca_file: %w", err)
		}
	}
	if prefix = s.Prefix; prefix == "" {
		prefix = elastic.DefaultPrefix
	}
	if err := elastic.CheckPrefix(prefix); err != nil {
		return nil, "", usage("elastic.prefix: %w", err)
	}
	c, err = elastic.NewClient(o)
	if errors.Is(err, elastic.ErrNoURL) {
		return nil, "", usage("%w: set elastic.url in the configuration, or ES_HOST, such as https://localhost:9200; see docs/elasticsearch.md", err)
	}
	if err != nil {
		return nil, "", usage("elastic: %w", err)
	}
	if c.Insecure() {
		a.log.Warn("user, password or key go through the network in the clear: use an https URL")
	}
	return c, prefix, nil
}

// elasticError is an error of a cluster with its exit code.
func elasticError(err error) error {
	if elastic.IsPassing(err) {
		return &exit{exitTryLater, fmt.Errorf("%w; try again later", err)}
	}
	return err
}

func (a *app) installer(ctx context.Context) (*elastic.Installer, error) {
	c, prefix, err := a.cluster(ctx)
	if err != nil {
		return nil, err
	}
	in, err := elastic.NewInstaller(ctx, c, prefix)
	return in, elasticError(err)
}

func (a *app) elasticInstall(ctx context.Context) error {
	in, err := a.installer(ctx)
	if err != nil {
		return err
	}
	steps, err := in.Install(ctx)
	out := render.New(a.stdout, a.format, []render.Column{{Name: "kind"}, {Name: "name"}, {Name: "state"}, {Name: "note", Optional: true}})
	done, refused := 0, 0
	for _, s := range steps {
		switch s.State {
		case elastic.Made, elastic.Changed:
			done++
		case elastic.Refused:
			refused++
		}
		if err := out.Row(s.Kind, s.Name, s.State, text(s.Note)); err != nil {
			return err
		}
	}
	if err := errors.Join(out.Close(), elasticError(err)); err != nil {
		return err
	}
	switch {
	case refused > 0:
		return &exit{exitPartial, fmt.Errorf("%s refused by %s", several(refused, "thing was", "things were"), in.Info())}
	case done == 0:
		a.hint("%s: all of it was there already, nothing was changed", in.Info())
	default:
		a.hint("%s: %s made or changed", in.Info(), several(done, "thing was", "things were"))
	}
	return nil
}

func (a *app) elasticDiff(ctx context.Context) error {
	in, err := a.installer(ctx)
	if err != nil {
		return err
	}
	list, err := in.Diff(ctx)
	if err != nil {
		return elasticError(err)
	}
	out := render.New(a.stdout, a.format, []render.Column{{Name: "kind"}, {Name: "name"}, {Name: "path"}, {Name: "ours"}, {Name: "theirs"}})
	for _, d := range list {
		if err := out.Row(d.Kind, d.Name, text(d.Path), text(d.Ours), text(d.Theirs)); err != nil {
			return err
		}
	}
	if err := out.Close(); err != nil {
		return err
	}
	if len(list) > 0 {
		return &exit{exitDiffers, fmt.Errorf("%s; \"midden elastic install\" puts them right", several(len(list), "difference", "differences"))}
	}
	a.hint("%s: all is as it is to be", in.Info())
	return nil
}

func (a *app) elasticPublish(ctx context.Context, follow, rebuild bool) error {
	c, prefix, err := a.cluster(ctx)
	if err != nil {
		return err
	}
	db, err := a.openToWrite(ctx, false)
	if err != nil {
		return err
	}
	defer db.Close()
	release, err := db.HoldPublication("elastic publish")
	if err != nil {
		return err
	}
	defer release()
	p := &elastic.Publisher{Store: db, Client: c, Prefix: prefix, Log: a.log, Follow: follow, Rebuild: rebuild, Now: time.Now, Sleep: source.Sleep}
	var progress *telemetry.Progress
	if f, ok := a.stderr.(*os.File); ok && !a.quiet {
		progress = telemetry.NewProgress(f, a.log, "publish")
		p.Observe = func(s elastic.Summary) {
			progress.Update(telemetry.Counts{BytesDone: s.Bytes, Events: s.Sightings + s.Files + s.Verdicts + s.Reports})
		}
	}
	sum, err := p.Run(ctx)
	if progress != nil {
		progress.Close()
	}
	if err != nil && !errors.Is(err, context.Canceled) && sum == (elastic.Summary{}) {
		return elasticError(err)
	}
	waiting, refused, counted := db.InOutbox(context.WithoutCancel(ctx))
	if counted != nil {
		return errors.Join(err, counted)
	}
	if err := errors.Join(render.Record(a.stdout, a.format, []render.Field{
		{Name: "sightings", Kind: render.Int, Value: sum.Sightings},
		{Name: "files", Kind: render.Int, Value: sum.Files},
		{Name: "verdicts", Kind: render.Int, Value: sum.Verdicts},
		{Name: "reports", Kind: render.Int, Value: sum.Reports},
		{Name: "deleted", Kind: render.Int, Value: sum.Deleted},
		{Name: "unchanged", Title: "Verdicts that say nothing new", Kind: render.Int, Value: sum.Unchanged},
		{Name: "refused", Kind: render.Int, Value: sum.Refused},
		{Name: "requests", Kind: render.Int, Value: sum.Requests},
		{Name: "waiting", Title: "Left, waiting", Kind: render.Int, Value: waiting},
		{Name: "refused_in_all", Kind: render.Int, Value: refused},
	}), elasticError(err)); err != nil {
		return err
	}
	if sum.Refused > 0 {
		a.hint("%s refused: \"midden elastic refused list\" says why", several(int(sum.Refused), "document was", "documents were"))
		return &exit{code: exitPartial}
	}
	return nil
}

func (a *app) refusedList(ctx context.Context, limit int) error {
	db, err := a.openToRead(ctx)
	if err != nil {
		return err
	}
	defer db.Close()
	out := render.New(a.stdout, a.format, []render.Column{{Name: "kind"}, {Name: "key"}, {Name: "problem"}})
	n := 0
	err = db.Refused(ctx, limit, func(r *cowrie.Refused) error {
		n++
		return out.Row(r.Kind, r.Key, r.Problem)
	})
	if err != nil {
		return err
	}
	a.counted(n, limit, "document")
	return out.Close()
}

func (a *app) refusedRetry(ctx context.Context) error {
	db, err := a.openToWrite(ctx, false)
	if err != nil {
		return err
	}
	defer db.Close()
	n, err := db.RetryRefused(ctx)
	if err != nil {
		return err
	}
	a.hint("%s", several(int(n), "document", "documents"))
	return nil
}

func (a *app) elasticStop(ctx context.Context) error {
	db, err := a.openToWrite(ctx, false)
	if err != nil {
		return err
	}
	defer db.Close()
	release, err := db.HoldPublication("elastic stop")
	if err != nil {
		return err
	}
	defer release()
	return db.StopPublishing(ctx)
}
