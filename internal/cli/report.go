package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // a static binary runs where there are no time zones

	"github.com/spf13/cobra"

	"midden/internal/cli/render"
	"midden/internal/cowrie"
	"midden/internal/report"
	"midden/internal/store"
)

// The forms that only reports have.
const (
	markdown render.Format = "markdown"
	html     render.Format = "html"
)

// pages is an annotation of a command that writes these, too.
const pages = "pages"

func furtherForms(cmd *cobra.Command) []render.Format {
	if cmd.Annotations[pages] == "" {
		return nil
	}
	return []render.Format{markdown, html}
}

func (a *app) reportCmd() *cobra.Command {
	return group("report", "What a day, a week or a month brought",
		a.reportKindCmd(report.Daily, "What a day brought"),
		a.reportKindCmd(report.Weekly, "What a week brought"),
		a.reportKindCmd(report.Monthly, "What a month brought"))
}

// reportOptions are what is asked of a report, as it stood on the command line.
type reportOptions struct {
	kind               string
	date, from, to     string
	asOf               *timeFlag
	timezone, sensor   string
	all                bool
	top                int
	section, file, dir string
	publish            bool
}

func (a *app) reportKindCmd(kind, short string) *cobra.Command {
	o := reportOptions{kind: kind}
	form := report.Forms[kind]
	cmd := &cobra.Command{
		Use:   kind + " [DATE]",
		Short: short,
		Long: fmt.Sprintf(`%s: sessions, logins, commands, files, what VirusTotal says of
them, and the sensors. All of it counts in the period of its own time, not in that in which it
was loaded. The same database and --as-of give the same report.

DATE is written %s; without one it is the last %s that is over. With --from and --to it
is the days from one to the other, both included, whatever they are.

Besides the forms of every command there are -o markdown and -o html: one page, which needs
no script and nothing from elsewhere. -o csv is for one section. With --all-sensors there is a
report of each sensor behind that of all of them together: -o json makes an array of them, -o jsonl
a line of each.`, short, form, map[string]string{report.Daily: "day", report.Weekly: "week", report.Monthly: "month"}[kind]),
		Example: fmt.Sprintf(`  midden report %[1]s
  midden report %[1]s %[2]s --timezone Europe/Berlin -o html --output-file report.html
  midden report %[1]s %[2]s -o csv --section top_files
  midden report %[1]s --all-sensors -o html --dir /srv/reports`, kind, form),
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usage("%s takes one date at the most; see \"%[1]s --help\"", cmd.CommandPath())
			}
			return nil
		},
		Annotations: map[string]string{pages: "yes"},
	}
	f := cmd.Flags()
	f.StringVar(&o.from, "from", "", "the first day, instead of DATE")
	f.StringVar(&o.to, "to", "", "the last day (default the last one that is over)")
	f.StringVar(&o.timezone, "timezone", "UTC", "where days begin and end, such as Europe/Berlin")
	f.StringVar(&o.sensor, "sensor", "", "of this sensor only")
	f.BoolVar(&o.all, "all-sensors", false, "one report of all sensors together, and one of each")
	f.IntVar(&o.top, "top", report.DefaultTop, "how long lists are at the most")
	f.StringVar(&o.section, "section", "", "this section only, with -o table or csv: "+strings.Join(report.SectionNames(), ", "))
	f.StringVar(&o.file, "output-file", "", "write into this file, which is replaced once all is written")
	f.StringVar(&o.dir, "dir", "", "write a file for each report into this directory, and for -o csv one for each section")
	f.BoolVar(&o.publish, "publish", false, "have \"midden elastic publish\" tell Elasticsearch or OpenSearch of it, too")
	o.asOf = newTimeFlag(cmd, "as-of", "what was known at this time; default now")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			o.date = args[0]
		}
		return a.report(cmd.Context(), o)
	}
	return cmd
}

func (a *app) report(ctx context.Context, o reportOptions) error {
	r, err := o.request(time.Now())
	if err != nil {
		return &exit{exitUsage, err}
	}
	if err := o.check(a.format); err != nil {
		return &exit{exitUsage, err}
	}
	db, err := a.openFor(ctx, o.publish)
	if err != nil {
		return err
	}
	defer db.Close()

	// each calls f for all reports that are asked for.
	each := func(f func(*report.Document) error) error {
		if write := f; o.publish {
			f = func(d *report.Document) error {
				if err := publishReport(ctx, db, d); err != nil {
					return err
				}
				return write(d)
			}
		}
		d, err := report.Build(ctx, db, r)
		if err != nil {
			return err
		}
		sensors := d.Sensors
		if o.sensor != "" && !slices.ContainsFunc(sensors, func(s report.Sensor) bool { return s.LastEvent != cowrie.NoTime }) {
			a.hint("no event of a sensor %q is known", o.sensor)
		}
		if err := f(d); err != nil || !o.all {
			return err
		}
		for _, s := range sensors {
			if s.Name == "" { // events that name no sensor cannot be asked for
				continue
			}
			of := r
			of.Sensor = s.Name
			if d, err = report.Build(ctx, db, of); err != nil {
				return err
			}
			if err := f(d); err != nil {
				return err
			}
		}
		return nil
	}
	switch {
	case o.dir != "":
		if err := os.MkdirAll(o.dir, 0o777); err != nil {
			return err
		}
		return each(func(d *report.Document) error { return a.reportFiles(d, &o) })
	case o.file != "":
		return writeFile(o.file, func(w io.Writer) error { return a.reportStream(w, &o, each) })
	}
	return a.reportStream(a.stdout, &o, each)
}

// publishReport puts a report into the outbox.
func publishReport(ctx context.Context, db *store.Store, d *report.Document) error {
	body, err := d.JSON(false, "")
	if err != nil {
		return err
	}
	queued, err := db.QueueReport(ctx, d.ReportType, d.ID(), body)
	if err == nil && !queued {
		err = errors.New("nothing is published from this database yet: \"midden elastic publish\" begins it")
	}
	return err
}

// request says what is asked for; now is the moment of which reports are that are of
// no other.
func (o *reportOptions) request(now time.Time) (r report.Request, err error) {
	if o.asOf.t != cowrie.NoTime {
		now = o.asOf.t.Std()
	}
	at, err := time.LoadLocation(o.timezone)
	if err != nil || o.timezone == "" || o.timezone == "Local" {
		return r, fmt.Errorf("there is no time zone %q: one is named as UTC, Europe/Berlin, America/New_York", o.timezone)
	}
	switch {
	case o.from != "" && o.date != "", o.to != "" && o.date != "":
		return r, fmt.Errorf("either %s or --from and --to say which days", o.date)
	case o.from != "":
		r, err = report.Between(o.from, o.to, now, at)
	case o.to != "":
		return r, fmt.Errorf("--to %s needs --from, the first day", o.to)
	case o.date != "":
		r, err = report.Named(o.kind, o.date, at)
	default:
		r = report.Last(o.kind, now, at)
	}
	if err != nil {
		return r, err
	}
	if r.From >= cowrie.FromStd(now) {
		return r, fmt.Errorf("nothing can be said of %s: it begins at %s, which is later than %s", o.named(), r.From, cowrie.FromStd(now))
	}
	r.AsOf, r.Sensor, r.Top = cowrie.FromStd(now), o.sensor, o.top
	return r, nil
}

func (o *reportOptions) named() string {
	if o.date != "" {
		return o.date
	}
	return "the days from " + o.from
}

// check says which options do not go together.
func (o *reportOptions) check(f render.Format) error {
	sections := report.SectionNames()
	switch {
	case o.top < 1:
		return fmt.Errorf("--top %d: lists have one row at the least", o.top)
	case o.sensor != "" && o.all:
		return fmt.Errorf("--sensor asks for one sensor and --all-sensors for each")
	case o.publish && o.from != "":
		return fmt.Errorf("--publish is for a day, a week or a month: there is no index for days from one to another")
	case o.file != "" && o.dir != "":
		return fmt.Errorf("--output-file writes one file and --dir one for each report: give one of them")
	case o.section != "" && f != render.Table && f != render.CSV:
		return fmt.Errorf("--section goes with -o table and -o csv")
	case o.section != "" && !slices.Contains(sections, o.section):
		return fmt.Errorf("there is no section %q, but %s", o.section, strings.Join(sections, ", "))
	case f == render.CSV && o.section == "" && o.dir == "":
		return fmt.Errorf("CSV holds one section: say which one with --section, or where to put all of them with --dir; there are %s", strings.Join(sections, ", "))
	case o.all && o.dir == "" && (f == render.CSV || f == html):
		return fmt.Errorf("a report of each sensor as %s takes a file for each: say where with --dir", f)
	}
	return nil
}
