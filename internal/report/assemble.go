package report

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"midden/internal/cowrie"
)

// document makes the report of what was counted.
func (b *builder) document(ctx context.Context) (*Document, error) {
	for _, p := range []*period{b.now, b.before} {
		if err := b.ofSensor(ctx, p); err != nil {
			return nil, err
		}
	}
	if err := b.view.FailedLookups(ctx, b.AsOf, func(shasum string) error {
		if f := b.files.known[shasum]; f != nil {
			f.lookedUpInVain = true
		}
		return nil
	}); err != nil {
		return nil, err
	}
	day := b.From.Std().In(b.Location)
	d := &Document{Timestamp: b.From, GeneratedAt: b.AsOf, ReportType: b.Type, Date: b.date(), DateRange: b.dateRange(),
		YearWeek: yearWeek(day), YearMonth: day.Format("2006-01"), DaysIncluded: len(b.now.days) - 1, Timezone: b.Location.String(),
		From: b.From, To: b.To, Sensor: cmp.Or(b.Sensor, Aggregate), AllSensors: b.Sensor == "",
		Sessions: b.now.sums.sessions(b.Top), Logins: b.logins(), Commands: b.now.sums.commands(b.Top),
		Files: b.fileSection(), Verdicts: b.verdictSection(), Days: b.days()}
	s, l := &d.Sessions, &d.Logins
	s.VTFlagged = int64(len(b.files.flagged))
	s.UniqueUsernames, s.UniquePasswords, s.TopUsernames, s.TopPasswords = l.UniqueUsernames, l.UniquePasswords, l.Usernames, l.Passwords
	s.TopCombinations = []Count{}
	for _, p := range l.Pairs {
		s.TopCombinations = append(s.TopCombinations, Count{p.Username + ":" + p.Password, p.Attempts})
	}
	var err error
	d.Enrichments.FlaggedFiles = b.files.flaggedFiles
	if d.Enrichments.Flagged, err = b.flagged(ctx); err != nil {
		return nil, err
	}
	if d.Abnormalities, err = b.abnormalities(ctx); err != nil {
		return nil, err
	}
	if d.Sensors, err = b.sensors(ctx); err != nil {
		return nil, err
	}
	d.Comparison = b.comparison(d)
	d.Alerts, d.Notes = b.alerts(d), b.notes()
	return d, nil
}

func (b *builder) days() []Day {
	list := make([]Day, len(b.now.days)-1)
	for i := range list {
		list[i] = Day{Date: b.now.days[i].Std().In(b.Location).Format(time.DateOnly), Events: b.now.log.events[i],
			Logins: b.now.log.logins[i], Transfers: b.files.transfers[i]}
	}
	for at, n := range b.now.sums.begun {
		list[b.now.dayOf(at)].Sessions += n
	}
	return list
}

// sensors says how the sensors are.
func (b *builder) sensors(ctx context.Context) ([]Sensor, error) {
	log, begun := &b.now.log, map[string]int64{}
	err := b.view.LastEvents(ctx, cowrie.Day(b.now.logged.To), func(sensor string, at cowrie.Time) error {
		if b.Sensor == "" || sensor == b.Sensor {
			log.heard(sensor, at)
		}
		return nil
	})
	for one := range b.now.sums.sensors.all {
		begun[one.Value] = one.Count
		log.heard(one.Value, cowrie.NoTime)
	}
	list := []Sensor{}
	for _, name := range sortedKeys(log.last) {
		s := Sensor{Name: name, Events: log.sensors[name], Sessions: begun[name], LastEvent: log.last[name]}
		if s.LastEvent != cowrie.NoTime {
			silence := int64((min(b.To, b.AsOf) - s.LastEvent) / 1e6)
			s.Silence = &silence
		}
		list = append(list, s)
	}
	slices.SortStableFunc(list, func(x, y Sensor) int { return cmp.Compare(y.Events, x.Events) })
	return list, err
}

// comparison compares with the period before.
func (b *builder) comparison(d *Document) Comparison {
	c := Comparison{Date: b.Request.before().date()}
	add := func(name string, value, before int64) {
		m := Metric{Name: name, Value: value, Before: before}
		if before != 0 {
			change := math.Round(float64(value-before)/float64(before)*1000) / 10
			m.Change = &change
		}
		c.Metrics = append(c.Metrics, m)
	}
	was := b.before
	fresh := int64(0)
	for shasum := range was.seen.hashes {
		if was.seen.fresh[shasum] {
			fresh++
		}
	}
	add("events.total", sum(b.now.log.events), sum(was.log.events))
	add("sessions.total", d.Sessions.Total, was.sums.total)
	add("sessions.unique_ips", d.Sessions.UniqueIPs, was.sums.addresses.unique())
	add("sessions.logged_in", d.Sessions.LoggedIn, was.sums.loggedIn)
	add("sessions.with_commands", d.Sessions.WithCommands, was.sums.withCommands())
	add("logins.attempts", d.Logins.Attempts, was.log.attempts)
	add("logins.successes", d.Logins.Successes, was.log.successes)
	add("commands.total", d.Commands.Total, was.sums.occurrences())
	add("commands.unique", d.Commands.Unique, int64(len(was.sums.typed)))
	add("files.downloads_total", d.Files.Downloads, was.seen.kinds[0])
	add("files.uploads_total", d.Files.Uploads, was.seen.kinds[1])
	add("files.failed_total", d.Files.Failed, was.log.failed)
	add("files.unique_hashes", d.Files.UniqueHashes, int64(len(was.seen.hashes)))
	add("files.new_hashes", d.Files.NewHashes, fresh)
	add("verdicts.new_malicious_total", d.Verdicts.NewMaliciousTotal, int64(len(was.said.malicious)))
	return c
}

func sum(list []int64) (n int64) {
	for _, v := range list {
		n += v
	}
	return n
}

const (
	// silent is from when on a sensor is silent, in seconds.
	silent = 24 * 3600
	// failing is from which share of the files of the period on look-ups that fail are
	// worth an alert.
	failing = 0.1
)

// alerts says what somebody should look at.
func (b *builder) alerts(d *Document) []string {
	alerts := []string{}
	if n := d.Verdicts.NewMaliciousTotal; n > 0 {
		alerts = append(alerts, fmt.Sprintf("%s called malicious for the first time: %s.", are(n, "file"),
			examples(n, d.Verdicts.NewMalicious, func(v Verdict) string {
				return fmt.Sprintf("%s (%s)", v.Shasum, joined(engines(v), v.Classification))
			})))
	}
	if n := d.Verdicts.SeenBeforeTotal; n > 0 {
		alerts = append(alerts, fmt.Sprintf("%s here before VirusTotal had %s: %s.", were(n, "file"), them(n),
			examples(n, d.Verdicts.SeenBefore, func(v Verdict) string { return v.Shasum })))
	}
	for _, s := range d.Sensors {
		if s.Silence != nil && *s.Silence > silent && s.LastEvent >= b.From-silent*1e6 {
			alerts = append(alerts, fmt.Sprintf("Sensor %s has been silent since %s.", cmp.Or(s.Name, "without a name"), s.LastEvent))
		}
	}
	vain := int64(0)
	for _, f := range b.files.list {
		if f.status() == "failed" {
			vain++
		}
	}
	if n := d.Files.UniqueHashes; vain > 0 && float64(vain) >= failing*float64(n) {
		alerts = append(alerts, fmt.Sprintf("VirusTotal could not be asked about %d of %d files: \"midden enrich queue list\" says why.", vain, n))
	}
	return alerts
}

// engines says how many engines flag a file.
func engines(v Verdict) string {
	if v.Malicious == nil || v.Total == nil {
		return ""
	}
	return fmt.Sprintf("%d of %d engines", *v.Malicious, *v.Total)
}

func joined(parts ...string) string {
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), ", ")
}

// maxExamples is how many of a list a sentence names.
const maxExamples = 3

func examples[T any](n int64, list []T, text func(T) string) string {
	var parts []string
	for _, v := range list[:min(len(list), maxExamples)] {
		parts = append(parts, text(v))
	}
	if more := n - int64(len(parts)); more > 0 {
		parts = append(parts, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(parts, ", ")
}

func are(n int64, what string) string  { return counted(n, what, "is", "are") }
func were(n int64, what string) string { return counted(n, what, "was", "were") }

func counted(n int64, what, one, many string) string {
	if n == 1 {
		return fmt.Sprintf("1 %s %s", what, one)
	}
	return fmt.Sprintf("%d %ss %s", n, what, many)
}

func them(n int64) string {
	if n == 1 {
		return "it"
	}
	return "them"
}

// notes says what the report does not know.
func (b *builder) notes() []string {
	notes := []string{}
	if b.AsOf < b.To {
		notes = append(notes, fmt.Sprintf("The period is not over: the report is of what was there at %s. It is compared with the whole period before.", b.AsOf))
	}
	if b.raw > 0 {
		notes = append(notes, fmt.Sprintf("About %d events are in raw_events, as cowrieprocessor left them. They do not count among the events, "+
			"logins and failed transfers, and the rows of their sessions are as that program wrote them: \"midden compact\" mends it.", b.raw))
	}
	if b.shadow {
		notes = append(notes, "Enrichment is in the shadow: verdicts are stored and not shown, unless USE_NEW_ENRICHMENT is true.")
	}
	if gone := b.now.log.gone + b.before.log.gone; gone > 0 {
		notes = append(notes, fmt.Sprintf("The texts of %d events at the edges of the days are not kept any more: which logins those were, and how many of "+
			"them succeeded, is not in the report. In UTC it would be.", gone))
	}
	return notes
}
