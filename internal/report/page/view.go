package page

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"midden/internal/plain"
	"midden/internal/report"
)

// view is a report made ready to be shown: all numbers are texts.
type view struct {
	Kind    string // Monthly report
	Title   string // March 2026
	About   []cell // all sensors, the days, the time zone, the moment
	Figures []figure
	Groups  []group
}

// figure is a number that is shown large.
type figure struct{ Value, Name, Change string }

type group struct {
	ID, Title string
	Parts     []part
	None      []string // the titles of the lists that are empty
}

type part struct {
	ID, Title string // no Title if it is that of the group
	Form      form
	Heads     []head
	Rows      [][]cell
	More      int64 // how many rows there are besides
	Charts    []chart
}

type form int

const (
	tableForm form = iota
	recordForm
	listForm
)

type head struct {
	Text  string
	Class string
	Bar   bool
}

// Short reports whether the text is too short to be broken.
func (c cell) Short() bool { return c.Class == "c" && len(c.Text) <= 16 }

// Lead is the column that stands above the others of its row, over the whole width: a
// hash, which is too long to stand beside them. It is -1 if there is none.
func (p part) Lead() int {
	return slices.IndexFunc(p.Heads, func(h head) bool { return h.Class == "h" })
}

// Span is how many columns the table has below the lead.
func (p part) Span() int {
	n := len(p.Heads) - 1
	for _, h := range p.Heads {
		if h.Bar {
			n++
		}
	}
	return n
}

// Halves are the rows: in two halves, which stand side by side, if they are many and
// short.
func (p part) Halves() [][][]cell {
	if len(p.Charts) == 0 || len(p.Rows) < 12 {
		return [][][]cell{p.Rows}
	}
	half := (len(p.Rows) + 1) / 2
	return [][][]cell{p.Rows[:half], p.Rows[half:]}
}

type cell struct {
	Text  string
	Class string   // c: attackers' text, h: a hash, t: a time, n: a number, p: prose
	Empty bool     // Text stands for nothing
	Time  string   // of a time: RFC 3339
	Bar   *float64 // its part of the largest in the column, in percent
}

// maxRows is how many rows of a section pages show.
const maxRows = 100

// maxText is how many characters of a text pages show.
const maxText = 400

func newView(d *report.Document) *view {
	at, err := time.LoadLocation(d.Timezone)
	if err != nil {
		at = time.UTC
	}
	sections := d.Sections()
	f := formatter{at, metricTitles(sections)}
	v := &view{
		Kind:    d.Kind(),
		Title:   shown(d.Title()),
		Figures: figures(d),
		About: []cell{
			sensorCell(d),
			{Text: shown(strings.Replace(d.DateRange, "/", " to ", 1)), Class: "p"},
			{Text: shown("time zone " + d.Timezone), Class: "p"},
			{Text: "as of " + f.cell(report.Time, d.GeneratedAt.Std()).Text, Class: "t"},
		},
	}
	for _, s := range sections {
		if s.Name == "report" { // stands in the head
			continue
		}
		if len(v.Groups) == 0 || v.Groups[len(v.Groups)-1].Title != s.Group {
			v.Groups = append(v.Groups, group{ID: "group-" + strconv.Itoa(len(v.Groups)+1), Title: s.Group})
		}
		g := &v.Groups[len(v.Groups)-1]
		if len(s.Rows) == 0 {
			g.None = append(g.None, shown(s.Title))
			continue
		}
		p := f.part(&s)
		if p.Title == g.Title {
			p.Title = ""
		}
		if s.Name == "days" {
			p.Charts = charts(d)
		}
		g.Parts = append(g.Parts, p)
	}
	v.Groups = slices.DeleteFunc(v.Groups, func(g group) bool { return len(g.Parts) == 0 })
	return v
}

func sensorCell(d *report.Document) cell {
	if d.AllSensors {
		return cell{Text: "all sensors", Class: "p"}
	}
	return cell{Text: shown(d.Sensor), Class: "c"}
}

// figures are what somebody who has ten seconds wants to know.
func figures(d *report.Document) []figure {
	changes := map[string]string{}
	for _, m := range d.Comparison.Metrics {
		if m.Change != nil {
			changes[m.Name] = percent(*m.Change) + " on " + shown(d.Comparison.Date)
		}
	}
	var out []figure
	for _, f := range []struct {
		metric, name string
		n            int64
	}{
		{"sessions.total", "sessions", d.Sessions.Total},
		{"sessions.unique_ips", "addresses", d.Sessions.UniqueIPs},
		{"logins.successes", "logins", d.Logins.Successes},
		{"commands.total", "commands", d.Commands.Total},
		{"files.new_hashes", "new files", d.Files.NewHashes},
		{"verdicts.new_malicious_total", "newly malicious", d.Verdicts.NewMaliciousTotal},
	} {
		out = append(out, figure{plain.Count(f.n), f.name, changes[f.metric]})
	}
	return out
}

type formatter struct {
	at      *time.Location
	metrics map[string]string // their titles
}

// part makes a section ready.
func (f formatter) part(s *report.Section) part {
	p := part{ID: s.Name, Title: shown(s.Title), More: s.More()}
	if s.Record {
		p.Form = recordForm
		for i, c := range s.Columns {
			p.Rows = append(p.Rows, []cell{{Text: c.Title, Class: "p"}, f.cell(c.Kind, s.Rows[0][i])})
		}
		return p
	}
	if s.Sentences() {
		p.Form = listForm
	}
	rows := s.Rows
	if len(rows) > maxRows {
		p.More += int64(len(rows) - maxRows)
		rows = rows[:maxRows]
	}
	p.Rows = make([][]cell, len(rows))
	for i, c := range s.Columns {
		if c.Optional && !slices.ContainsFunc(rows, func(row []any) bool { return !absent(row[i]) }) {
			continue
		}
		if c.Over && len(p.Heads) > 0 {
			for j, row := range rows {
				if before := &p.Rows[j][len(p.Rows[j])-1]; !absent(row[i]) {
					before.Text += "/" + f.cell(c.Kind, row[i]).Text
				}
			}
			continue
		}
		p.Heads = append(p.Heads, head{Text: c.Title, Class: class(c.Kind), Bar: c.Kind == report.Share})
		top := int64(1)
		for _, row := range rows {
			if n, ok := row[i].(int64); ok {
				top = max(top, n)
			}
		}
		for j, row := range rows {
			out := f.cell(c.Kind, row[i])
			if s.Name == "comparison" && c.Name == "name" {
				if title := f.metrics[out.Text]; title != "" {
					out.Text = title
				}
			}
			switch n, ok := row[i].(int64); {
			case c.Optional && absent(row[i]):
				out = nothing(c.Kind, "–")
			case ok && c.Kind == report.Share:
				width := math.Round(1000*float64(max(0, n))/float64(top)) / 10
				out.Bar = &width
			}
			p.Rows[j] = append(p.Rows[j], out)
		}
	}
	return p
}

// more says how many rows are not shown.
func more(n int64) string { return "and " + plain.Count(n) + " more" }

// absent reports whether a value says nothing.
func absent(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case string:
		return v == ""
	case []string:
		return strings.Join(v, "") == ""
	case time.Time:
		return v.IsZero()
	}
	return false
}

func right(k report.Kind) bool {
	switch k {
	case report.Number, report.Share, report.Average, report.Percent, report.Seconds, report.Bytes:
		return true
	}
	return false
}

func class(k report.Kind) string {
	switch {
	case k == report.Hash:
		return "h"
	case k == report.Time:
		return "t"
	case k == report.Prose:
		return "p"
	case right(k):
		return "n"
	}
	return "c"
}

// cell writes a value for people.
func (f formatter) cell(k report.Kind, v any) cell {
	c := cell{Class: class(k)}
	switch v := v.(type) {
	case string:
		if k == report.Host {
			v = plain.DefangHost(v)
		}
		if c.Text = shown(v); v == "" {
			c = nothing(k, "empty")
		}
	case []string:
		separator := ", "
		if k == report.Prose {
			separator = "; "
		}
		if slices.ContainsFunc(v, func(s string) bool { return s != "" }) {
			c.Text = shown(strings.Join(v, separator))
		}
	case time.Time:
		if !v.IsZero() {
			c.Text, c.Time = v.In(f.at).Format("2006-01-02 15:04"), v.UTC().Format(time.RFC3339)
		}
	case int64:
		switch k {
		case report.Seconds:
			c.Text = span(float64(v))
		case report.Bytes:
			c.Text = plain.Bytes(v)
		default:
			c.Text = plain.Count(v)
		}
	case float64:
		switch k {
		case report.Seconds:
			c.Text = span(v)
		case report.Percent:
			c.Text = percent(v)
		default:
			c.Text = strconv.FormatFloat(v, 'f', 1, 64)
		}
	}
	if c.Text == "" {
		c = nothing(k, "–")
	}
	return c
}

func nothing(k report.Kind, text string) cell { return cell{Text: text, Class: class(k), Empty: true} }

// shown is s as it is shown: in one line, harmless, and not too long.
func shown(s string) string {
	s = plain.Defang(s)
	n := 0
	for i := range s {
		if n == maxText {
			return plain.Escape(s[:i]) + "…"
		}
		n++
	}
	return plain.Escape(s)
}

// span writes seconds for people.
func span(seconds float64) string {
	const most = float64(math.MaxInt64) / float64(time.Second)
	if math.IsNaN(seconds) || math.Abs(seconds) >= most {
		return strconv.FormatFloat(seconds, 'g', 3, 64) + "s"
	}
	return plain.Duration(time.Duration(seconds * float64(time.Second)))
}

// percent writes a change.
func percent(p float64) string {
	switch rounded := math.Round(p); {
	case math.IsNaN(p) || math.IsInf(p, 0):
		return ""
	case rounded > 0:
		return "+" + plain.Count(int64(rounded)) + " %"
	case rounded < 0:
		return "−" + plain.Count(-int64(rounded)) + " %"
	}
	return "±0 %"
}

// metricTitles puts the names of metrics into the words of the sections that have them.
func metricTitles(sections []report.Section) map[string]string {
	titles := map[string]string{"events.total": "Events"} // which stands nowhere else
	for _, s := range sections {
		if !s.Record {
			continue
		}
		for _, c := range s.Columns {
			title := s.Title
			if c.Title != s.Title {
				title = fmt.Sprintf("%s: %s%s", s.Title, strings.ToLower(c.Title[:1]), c.Title[1:])
			}
			titles[s.Name+"."+c.Name] = title
		}
	}
	return titles
}
