package report

import (
	"strings"
	"time"

	"midden/internal/cowrie"
)

// Section is a part of a report as rows and columns. What every form of a report
// shows, and in which order, is told here once.
type Section struct {
	Name    string // sessions, top_commands: what --section takes
	Title   string
	Group   string // the heading that it stands under
	Record  bool   // one row, which pages show as a list of names and values
	Columns []Column
	Rows    [][]any // a string, number, time.Time, []string or nil for each column
	Total   int64   // how many rows there would be without an end
}

// More is how many rows there are besides those of the section.
func (s *Section) More() int64 { return max(0, s.Total-int64(len(s.Rows))) }

// Sentences reports whether the section is nothing but sentences.
func (s *Section) Sentences() bool { return len(s.Columns) == 1 && s.Columns[0].Kind == Prose }

// Heading is the title for where sections are not grouped.
func (s *Section) Heading() string {
	if s.Group == groupOverview || s.Group == s.Title {
		return s.Title
	}
	return s.Group + ": " + strings.ToLower(s.Title[:1]) + s.Title[1:]
}

// Column is a column of a section.
type Column struct {
	Name     string // the key in the JSON form, and the head in CSV
	Title    string // for people
	Kind     Kind
	Optional bool // empty is unknown, and a column in which no row has anything is left out of pages
	Over     bool // pages write it behind the column before: 41/62
}

// Kind says what a column holds.
type Kind int

// The kinds of columns.
const (
	Text    Kind = iota // what an attacker may have written
	Host                // of a URL, an attacker's text, too
	Prose               // our own words, in which some of the attackers' may stand
	Hash                // SHA-256
	Time                //
	Number              // a whole number
	Share               // a number that is drawn as a bar beside those of the other rows
	Average             // a number with a fraction
	Percent             //
	Seconds             //
	Bytes               //
)

// The groups, in order.
const (
	groupOverview = "Overview"
	groupSessions = "Sessions"
	groupLogins   = "Logins"
	groupCommands = "Commands"
	groupFiles    = "Files"
	groupVerdicts = "What VirusTotal says"
	groupSensors  = "Sensors"
	groupNotes    = "Notes"
)

// SectionNames are the names of all sections, in order.
func SectionNames() []string {
	var names []string
	for _, s := range (&Document{}).Sections() {
		names = append(names, s.Name)
	}
	return names
}

// Sections returns all that the report holds, in order. Every report has the same
// sections with the same columns, whether or not there are rows.
func (d *Document) Sections() []Section {
	s, l, c, f, v := &d.Sessions, &d.Logins, &d.Commands, &d.Files, &d.Verdicts
	return []Section{
		record("report", d.Kind()+": "+d.Title(), groupOverview,
			field{"report_type", "Kind of period", Prose, d.ReportType},
			field{"date", "Period", Prose, d.Date},
			field{"date_range", "Days", Prose, d.DateRange},
			field{"days_included", "Number of days", Number, int64(d.DaysIncluded)},
			field{"timezone", "Time zone", Prose, d.Timezone},
			field{"from", "From", Time, d.From},
			field{"to", "To", Time, d.To},
			field{"sensor", "Sensor", Text, d.Sensor},
			field{"generated_at", "As of", Time, d.GeneratedAt},
		),
		sentences("alerts", "To look at", groupOverview, "alert", d.Alerts),
		list("comparison", strings.TrimSuffix("Compared with "+d.Comparison.Date, " "), groupOverview, 0, []Column{
			{Name: "name", Title: "What", Kind: Prose},
			{Name: "value", Title: "Now", Kind: Number},
			{Name: "before", Title: "Before", Kind: Number},
			{Name: "change_percent", Title: "Change", Kind: Percent},
		}, d.Comparison.Metrics, func(m Metric) []any { return []any{m.Name, m.Value, m.Before, optional(m.Change)} }),
		list("days", "Day by day", groupOverview, 0, []Column{
			{Name: "date", Title: "Day", Kind: Prose},
			{Name: "events", Title: "Events", Kind: Number},
			{Name: "sessions", Title: "Sessions", Kind: Number},
			{Name: "logins", Title: "Logins", Kind: Number},
			{Name: "transfers", Title: "Transfers", Kind: Number},
		}, d.Days, func(day Day) []any { return []any{day.Date, day.Events, day.Sessions, day.Logins, day.Transfers} }),

		record("sessions", "Sessions", groupSessions,
			field{"total", "Sessions", Number, s.Total},
			field{"unique_ips", "Addresses", Number, s.UniqueIPs},
			field{"logged_in", "Logged in", Number, s.LoggedIn},
			field{"with_commands", "With commands", Number, s.WithCommands},
			field{"avg_commands", "Commands a session", Average, s.AvgCommands},
			field{"max_commands", "Commands at the most", Number, s.MaxCommands},
			field{"min_commands", "Commands at the least", Number, s.MinCommands},
			field{"login_attempts", "Login attempts", Number, s.LoginAttempts},
			field{"file_downloads", "Downloads", Number, s.FileDownloads},
			field{"file_uploads", "Uploads", Number, s.FileUploads},
			field{"vt_flagged", "Brought a malicious file", Number, s.VTFlagged},
			field{"dshield_flagged", "Flagged by DShield", Number, s.DShield},
			field{"avg_duration", "Duration, average", Seconds, s.AvgDuration},
			field{"median_duration", "Duration, median", Seconds, s.MedDuration},
			field{"max_duration", "Duration, longest", Seconds, s.MaxDuration},
		),
		counts("protocols", "Protocols", groupSessions, "Protocol", "Sessions", s.Protocols, s.UniqueProtocols),
		counts("addresses", "Addresses", groupSessions, "Address", "Sessions", s.TopIPs, s.UniqueIPs),
		counts("clients", "Clients", groupSessions, "Client", "Sessions", s.ClientVersions, s.UniqueVersions),
		list("abnormal", "Unlike the others", groupSessions, 0, []Column{
			{Name: "session", Title: "Session"},
			{Name: "sensor", Title: "Sensor", Optional: true},
			{Name: "src_ip", Title: "Address", Optional: true},
			{Name: "first_seen", Title: "Began", Kind: Time},
			{Name: "commands", Title: "Commands", Kind: Number},
			{Name: "why", Title: "Why", Kind: Prose},
		}, d.Abnormalities.Sessions, func(a Abnormal) []any {
			return []any{a.Session, a.Sensor, a.SrcIP, a.First.Std(), a.Commands, a.Why}
		}),

		record("logins", "Logins", groupLogins,
			field{"attempts", "Attempts", Number, l.Attempts},
			field{"successes", "Successes", Number, l.Successes},
			field{"unique_usernames", "Usernames", Number, l.UniqueUsernames},
			field{"unique_passwords", "Passwords", Number, l.UniquePasswords},
			field{"unique_pairs", "Pairs", Number, l.UniquePairs},
		),
		counts("usernames", "Usernames", groupLogins, "Username", "Attempts", l.Usernames, l.UniqueUsernames),
		counts("passwords", "Passwords", groupLogins, "Password", "Attempts", l.Passwords, l.UniquePasswords),
		list("pairs", "Usernames and passwords", groupLogins, l.UniquePairs, []Column{
			{Name: "username", Title: "Username"},
			{Name: "password", Title: "Password"},
			{Name: "attempts", Title: "Attempts", Kind: Share},
			{Name: "successes", Title: "Successes", Kind: Number},
		}, l.Pairs, func(p Pair) []any { return []any{p.Username, p.Password, p.Attempts, p.Successes} }),

		record("commands", "Commands", groupCommands,
			field{"total", "Commands", Number, c.Total},
			field{"unique", "Different ones", Number, c.Unique},
		),
		commands("top_commands", "The most frequent", c.Top, c.Unique),
		commands("rare_commands", "Rare ones", c.Rare, c.RareTotal),

		record("files", "Files", groupFiles,
			field{"downloads_total", "Downloads", Number, f.Downloads},
			field{"uploads_total", "Uploads", Number, f.Uploads},
			field{"failed_total", "Transfers that failed", Number, f.Failed},
			field{"on_disk_total", "Found on a disk alone", Number, f.OnDisk},
			field{"unique_hashes", "Different files", Number, f.UniqueHashes},
			field{"new_hashes", "New ones", Number, f.NewHashes},
			field{"unique_vt_classifications", "Labels of VirusTotal", Number, f.Classifications},
			field{"recent_vt_submissions", "New to VirusTotal", Number, f.RecentVT},
		),
		files("top_files", "The most frequent files", f.TopHashes, f.UniqueHashes),
		files("new_files", "New files", f.New, f.NewHashes),
		counts("labels", "Labels of VirusTotal", groupFiles, "Label", "Files", f.TopClassifications, f.Classifications),
		counts("types", "Types", groupFiles, "Media type", "Files", f.Types, f.UniqueTypes),
		counts("names", "Names", groupFiles, "Name", "Sightings", f.Names, f.UniqueNames),
		counts("paths", "Where they were put", groupFiles, "Path", "Sightings", f.Paths, f.UniquePaths),
		list("urls", "Where they came from", groupFiles, f.UniqueURLs, []Column{
			{Name: "url", Title: "URL"},
			{Name: "occurrences", Title: "Downloads", Kind: Share},
		}, f.Top, func(u URLCount) []any { return []any{u.URL, u.Occurrences} }),
		hosts("hosts", "Hosts", f.Hosts, f.UniqueHosts),

		record("verdicts", "Verdicts", groupVerdicts,
			field{"new_malicious_total", "Malicious for the first time", Number, v.NewMaliciousTotal},
			field{"changed_total", "Verdict changed", Number, v.ChangedTotal},
			field{"unknown_total", "Unknown", Number, v.UnknownTotal},
			field{"seen_before_vt_total", "Seen here before", Number, v.SeenBeforeTotal},
			field{"pending_total", "Not asked about yet", Number, v.PendingTotal},
		),
		verdicts("new_malicious", "Malicious for the first time", v.NewMalicious, v.NewMaliciousTotal),
		verdicts("changed", "Verdict changed", v.Changed, v.ChangedTotal),
		verdicts("seen_before", "Seen here before VirusTotal", v.SeenBefore, v.SeenBeforeTotal),
		verdicts("recent_submissions", "New to VirusTotal", v.RecentSubmissions, f.RecentVT),
		verdicts("unknown", "Unknown to VirusTotal", v.Unknown, v.UnknownTotal),
		d.flagged(),

		list("sensors", "Sensors", groupSensors, 0, []Column{
			{Name: "sensor", Title: "Sensor"},
			{Name: "events", Title: "Events", Kind: Share},
			{Name: "sessions", Title: "Sessions", Kind: Number},
			{Name: "last_event", Title: "Last event", Kind: Time},
			{Name: "silence_seconds", Title: "Silent for", Kind: Seconds},
		}, d.Sensors, func(n Sensor) []any {
			return []any{n.Name, n.Events, n.Sessions, n.LastEvent.Std(), optional(n.Silence)}
		}),
		sentences("notes", "What this report does not know", groupNotes, "note", d.Notes),
	}
}

// flagged has a row for each file of a session, the session told in each.
func (d *Document) flagged() Section {
	s := Section{Name: "flagged", Title: "Sessions that brought malicious files", Group: groupVerdicts, Total: d.Enrichments.FlaggedFiles, Columns: []Column{
		{Name: "session", Title: "Session"},
		{Name: "sensor", Title: "Sensor", Optional: true},
		{Name: "first_seen", Title: "Began", Kind: Time},
		{Name: "last_seen", Title: "Ended", Kind: Time},
		{Name: "ips", Title: "Addresses", Optional: true},
		{Name: "hash", Title: "SHA-256", Kind: Hash},
		{Name: "malicious", Title: "Engines", Kind: Number},
		{Name: "label", Title: "Label", Optional: true},
		{Name: "vt_first_seen", Title: "First at VirusTotal", Kind: Time, Optional: true},
	}}
	for _, f := range d.Enrichments.Flagged {
		for _, file := range f.Files {
			s.Rows = append(s.Rows, []any{f.Session, f.Sensor, f.FirstSeen.Std(), f.LastSeen.Std(), f.IPs,
				file.Shasum, file.Malicious, file.Label, file.FirstSeen.Std()})
		}
	}
	return s
}

type field struct {
	name, title string
	kind        Kind
	value       any
}

func record(name, title, group string, fields ...field) Section {
	s := Section{Name: name, Title: title, Group: group, Record: true, Rows: [][]any{nil}}
	for _, f := range fields {
		if t, ok := f.value.(cowrie.Time); ok {
			f.value = t.Std()
		}
		s.Columns = append(s.Columns, Column{Name: f.name, Title: f.title, Kind: f.kind})
		s.Rows[0] = append(s.Rows[0], f.value)
	}
	return s
}

func list[T any](name, title, group string, total int64, columns []Column, values []T, row func(T) []any) Section {
	s := Section{Name: name, Title: title, Group: group, Columns: columns, Total: total}
	for _, v := range values {
		s.Rows = append(s.Rows, row(v))
	}
	return s
}

func sentences(name, title, group, column string, values []string) Section {
	return list(name, title, group, 0, []Column{{Name: column, Title: title, Kind: Prose}}, values,
		func(s string) []any { return []any{s} })
}

func counts(name, title, group, what, of string, values []Count, total int64) Section {
	return list(name, title, group, total, []Column{
		{Name: "value", Title: what},
		{Name: "count", Title: of, Kind: Share},
	}, values, func(c Count) []any { return []any{c.Value, c.Count} })
}

func hosts(name, title string, values []Count, total int64) Section {
	s := counts(name, title, groupFiles, "Host", "Downloads", values, total)
	s.Columns[0].Kind = Host
	return s
}

func commands(name, title string, values []Command, total int64) Section {
	return list(name, title, groupCommands, total, []Column{
		{Name: "command", Title: "Command"},
		{Name: "occurrences", Title: "Times", Kind: Share},
		{Name: "sessions", Title: "Sessions", Kind: Number},
	}, values, func(c Command) []any { return []any{c.Command, c.Occurrences, c.Sessions} })
}

func files(name, title string, values []FileCount, total int64) Section {
	return list(name, title, groupFiles, total, []Column{
		{Name: "value", Title: "SHA-256", Kind: Hash},
		{Name: "count", Title: "Seen", Kind: Share},
		{Name: "sessions", Title: "Sessions", Kind: Number},
		{Name: "name", Title: "Name", Optional: true},
		{Name: "type", Title: "Type", Optional: true},
		{Name: "size", Title: "Size", Kind: Bytes, Optional: true},
		{Name: "classification", Title: "Label", Optional: true},
		{Name: "malicious", Title: "Engines", Kind: Number, Optional: true},
		{Name: "total", Title: "Of", Kind: Number, Optional: true, Over: true},
		{Name: "status", Title: "VirusTotal", Kind: Prose},
		{Name: "first_seen", Title: "First seen", Kind: Time},
	}, values, func(f FileCount) []any {
		return []any{f.Shasum, f.Count, f.Sessions, f.Name, f.Type, optional(f.Size), f.Classification,
			optional(f.Malicious), optional(f.Total), f.Status, f.FirstSeen.Std()}
	})
}

func verdicts(name, title string, values []Verdict, total int64) Section {
	return list(name, title, groupVerdicts, total, []Column{
		{Name: "hash", Title: "SHA-256", Kind: Hash},
		{Name: "name", Title: "Name", Optional: true},
		{Name: "label", Title: "Label", Optional: true},
		{Name: "malicious", Title: "Engines", Kind: Number, Optional: true},
		{Name: "total", Title: "Of", Kind: Number, Optional: true, Over: true},
		{Name: "malicious_was", Title: "Engines before", Kind: Number, Optional: true},
		{Name: "label_was", Title: "Label before", Optional: true},
		{Name: "first_seen", Title: "First seen here", Kind: Time},
		{Name: "vt_first_seen", Title: "First at VirusTotal", Kind: Time, Optional: true},
		{Name: "observed_at", Title: "Said at", Kind: Time, Optional: true},
		{Name: "lead_seconds", Title: "Earlier here by", Kind: Seconds, Optional: true},
	}, values, func(v Verdict) []any {
		return []any{v.Shasum, v.Name, v.Classification, optional(v.Malicious), optional(v.Total), optional(v.MaliciousWas),
			v.LabelWas, v.FirstSeen.Std(), v.VTFirstSeen.Std(), v.ObservedAt.Std(), optional(v.Lead)}
	})
}

// optional returns what p points to, or nil.
func optional[T any](p *T) any {
	if p == nil {
		return nil
	}
	return *p
}

// Kind says for people what kind of report it is.
func (d *Document) Kind() string {
	switch d.ReportType {
	case Daily:
		return "Daily report"
	case Weekly:
		return "Weekly report"
	case Monthly:
		return "Monthly report"
	}
	return "Report"
}

// Title names the period for people: 28 March 2026, Week 13 of 2026, March 2026.
func (d *Document) Title() string {
	first, last, _ := strings.Cut(d.DateRange, "/")
	from, err := time.Parse(time.DateOnly, first)
	if err != nil {
		return d.Date
	}
	switch d.ReportType {
	case Daily:
		return from.Format("Monday, 2 January 2006")
	case Weekly:
		year, week, _ := strings.Cut(d.Date, "-W")
		return "Week " + strings.TrimPrefix(week, "0") + " of " + year
	case Monthly:
		return from.Format("January 2006")
	}
	to, err := time.Parse(time.DateOnly, last)
	if err != nil || first == last {
		return from.Format("2 January 2006")
	}
	switch {
	case from.Year() != to.Year():
		return from.Format("2 January 2006") + " to " + to.Format("2 January 2006")
	case from.Month() != to.Month():
		return from.Format("2 January") + " to " + to.Format("2 January 2006")
	}
	return from.Format("2") + " to " + to.Format("2 January 2006")
}
