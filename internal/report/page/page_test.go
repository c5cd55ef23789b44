package page

import (
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"midden/internal/plain"
	"midden/internal/report"
	"midden/internal/report/reporttest"
)

func write(t testing.TB, form func(*strings.Builder) error) string {
	t.Helper()
	var b strings.Builder
	if err := form(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func htmlOf(t testing.TB, d *report.Document) string {
	return write(t, func(b *strings.Builder) error { return HTML(b, d) })
}

func markdownOf(t testing.TB, d *report.Document) string {
	return write(t, func(b *strings.Builder) error { return Markdown(b, d) })
}

func TestGolden(t *testing.T) {
	for name, d := range map[string]*report.Document{"full": reporttest.Full(), "empty": reporttest.Empty()} {
		reporttest.Golden(t, name+".html", htmlOf(t, d))
		reporttest.Golden(t, name+".md", markdownOf(t, d))
	}
}

// TestKinds looks at what differs with the period.
func TestKinds(t *testing.T) {
	for _, c := range []struct{ kind, date, days, want string }{
		{"daily", "2026-03-28", "2026-03-28/2026-03-28", "# Daily report: `Saturday,` 28 March 2026"},
		{"weekly", "2026-W03", "2026-01-12/2026-01-18", "# Weekly report: Week 3 of 2026"},
		{"monthly", "2026-03", "2026-03-01/2026-03-31", "# Monthly report: March 2026"},
		{"custom", "2026-03-01/2026-03-15", "2026-03-01/2026-03-15", "# Report: 1 to 15 March 2026"},
		{"custom", "2026-02-27/2026-03-15", "2026-02-27/2026-03-15", "# Report: 27 February to 15 March 2026"},
		{"custom", "2025-12-31/2026-01-01", "2025-12-31/2026-01-01", "# Report: 31 December 2025 to 1 January 2026"},
		{"custom", "2026-03-01/2026-03-01", "2026-03-01/2026-03-01", "# Report: 1 March 2026"},
	} {
		d := reporttest.Empty()
		d.ReportType, d.Date, d.DateRange = c.kind, c.date, c.days
		if first, _, _ := strings.Cut(markdownOf(t, d), "\n"); first != strings.ReplaceAll(c.want, "`", "") {
			t.Errorf("%s %s: %s, want %s", c.kind, c.date, first, c.want)
		}
	}
	d := reporttest.Full()
	d.Days = d.Days[:1]
	if strings.Contains(htmlOf(t, d), `class="chart"`) {
		t.Error("a chart of one day")
	}
	d.Days = reporttest.Full().Days[:7]
	if page := htmlOf(t, d); strings.Count(page, `text-anchor="middle"`) != 3*7 || !strings.Contains(page, ">Sun 1</text>") {
		t.Error("the days of a week have no names in the charts")
	}
}

// TestZone: pages show times as the clocks of the report's time zone did.
func TestZone(t *testing.T) {
	d := reporttest.Full() // Europe/Berlin, and summer time began on 29 March
	for _, want := range []string{
		`<time datetime="2026-03-28T21:54:19Z">2026-03-28 22:54</time>`,
		`<time datetime="2026-03-29T21:54:32Z">2026-03-29 23:54</time>`,
	} {
		if !strings.Contains(htmlOf(t, d), want) {
			t.Errorf("no %s", want)
		}
	}
	if d.Timezone = "UTC"; !strings.Contains(htmlOf(t, d), `>2026-03-28 21:54<`) {
		t.Error("UTC is not shown as it is")
	}
}

func TestMany(t *testing.T) {
	for name, text := range map[string]string{"HTML": htmlOf(t, reporttest.Many()), "Markdown": markdownOf(t, reporttest.Many())} {
		if strings.Count(text, "sensor-") != maxRows || !strings.Contains(text, "and 150 more") {
			t.Errorf("%s: %d of 250 sensors, and not a word of the others", name, strings.Count(text, "sensor-"))
		}
	}
}

// hostile returns reports full of texts that would do something if they could: of our own in
// every place, and of the Big List of Naughty Strings, where it is, in one of each kind.
func hostile(t testing.TB) (all []*report.Document) {
	for texts := range slices.Chunk(reporttest.Naughty, maxRows) {
		all = append(all, reporttest.Hostile(texts))
	}
	data, err := os.ReadFile(filepath.Join("..", "..", "..", "..", "shared", "data", "hostile", "blns.base64.json"))
	if err != nil {
		return all
	}
	var texts []string
	if err := json.Unmarshal(data, &texts); err != nil {
		t.Fatal(err)
	}
	for i, s := range texts {
		text, err := base64.StdEncoding.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		texts[i] = string(text)
	}
	for texts := range slices.Chunk(texts, maxRows) {
		all = append(all, few(texts))
	}
	return all
}

// few returns a report that has texts in one place of each kind.
func few(texts []string) *report.Document {
	d := reporttest.Empty()
	d.Sensor, d.Timezone = texts[0], texts[len(texts)-1]
	d.Days = nil
	for i, s := range texts {
		other := texts[len(texts)-1-i]
		d.Days = append(d.Days, report.Day{Date: s, Sessions: 1})
		d.Alerts = append(d.Alerts, s)
		d.Logins.Pairs = append(d.Logins.Pairs, report.Pair{Username: s, Password: other, Attempts: 1})
		d.Files.Hosts = append(d.Files.Hosts, report.Count{Value: s})
		d.Abnormalities.Sessions = append(d.Abnormalities.Sessions, report.Abnormal{Session: s, SrcIP: other, Why: []string{s, other}})
		d.Verdicts.Changed = append(d.Verdicts.Changed, report.Verdict{Shasum: s, LabelWas: other})
	}
	return d
}

// wanted are the texts of a section's cells as a page is to show them, by row. In
// Markdown, prose has no spaces at its ends.
func wanted(s *report.Section, markdown bool) (rows [][]string) {
	columns := slices.DeleteFunc(slices.Clone(s.Columns), func(c report.Column) bool { return c.Over })
	for _, values := range s.Rows {
		var row []string
		for j, v := range values {
			c := s.Columns[j]
			if c.Over { // numbers are not compared
				continue
			}
			text := wantedText(c, v)
			if markdown && c.Kind == report.Prose {
				text = strings.Trim(text, " ")
			}
			row = append(row, text)
		}
		rows = append(rows, row)
	}
	// What no row has is left out.
	for j := len(columns) - 1; j >= 0; j-- {
		if columns[j].Optional && !slices.ContainsFunc(rows, func(row []string) bool { return row[j] != "–" }) {
			for i := range rows {
				rows[i] = slices.Delete(rows[i], j, j+1)
			}
		}
	}
	return rows
}

// wantedText is a text as it is to be shown; "" for other values, which are not
// compared.
func wantedText(c report.Column, v any) string {
	var s string
	switch v := v.(type) {
	case string:
		s = v
	case []string:
		if s = strings.Join(v, ", "); c.Kind == report.Prose {
			s = strings.Join(v, "; ")
		}
		if strings.Join(v, "") == "" {
			return "–"
		}
	case nil:
		if c.Optional {
			return "–"
		}
		return ""
	case time.Time, int64, float64:
		return ""
	}
	switch {
	case s == "" && c.Optional:
		return "–"
	case s == "":
		return "empty"
	case c.Kind == report.Host:
		s = strings.NewReplacer(".", "[.]", "。", "[。]", "．", "[．]", "｡", "[｡]").Replace(strings.ReplaceAll(s, "[.]", "."))
	}
	s = plain.Defang(s)
	if utf8.RuneCountInString(s) <= maxText { // a byte that is of no character counts as one
		return plain.Escape(s)
	}
	end := 0
	for range maxText {
		_, size := utf8.DecodeRuneInString(s[end:])
		end += size
	}
	return plain.Escape(s[:end]) + "…"
}

// compare compares the cells of a page's table with those that are wanted; "" is any
// text.
func compare(t *testing.T, section string, got, want [][]string) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d rows, want %d", section, len(got), len(want))
	}
	for i := range want {
		if len(got[i]) != len(want[i]) {
			t.Fatalf("%s: row %d: %d cells, want %d: %q", section, i, len(got[i]), len(want[i]), got[i])
		}
		for j := range want[i] {
			if want[i][j] != "" && got[i][j] != want[i][j] {
				t.Errorf("%s: row %d, cell %d:\n got %q\nwant %q", section, i, j, got[i][j], want[i][j])
			}
		}
	}
}

// seen fails if a text has what acts or cannot be seen.
func seen(t *testing.T, text string) {
	t.Helper()
	if !utf8.ValidString(text) {
		t.Error("not UTF-8")
	}
	for _, r := range text {
		if r != '\n' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == '\u2028' || r == '\u2029') {
			t.Errorf("%U in the page", r)
		}
	}
	if live := evil.FindString(text); live != "" {
		t.Errorf("%s in the page", live)
	}
}

// evil is what would be taken for a link.
var evil = regexp.MustCompile(`(?i)(?:https?|ftp)://evil|\bwww\.evil`)

func FuzzPage(f *testing.F) {
	for i, s := range reporttest.Naughty {
		if other := reporttest.Naughty[len(reporttest.Naughty)-1-i]; len(s)+len(other) < 200 { // to be varied quickly
			f.Add(s, other)
		}
	}
	f.Add("", "")
	f.Add("iwww.evil", "www.evil")
	f.Add(strings.Repeat("\xff", maxText), "é"+strings.Repeat("\xff", maxText))
	f.Fuzz(func(t *testing.T, a, b string) {
		d := few([]string{a, b})
		page := htmlOf(t, d)
		seen(t, page)
		root := inert(t, page)
		text := markdownOf(t, d)
		seen(t, text)
		_, below := inertMarkdown(t, text)
		for _, s := range d.Sections() {
			title := shown(s.Title)
			if title == s.Group {
				title = ""
			}
			if s.Record {
				continue
			}
			compare(t, s.Name, cells(root, &s), wanted(&s, false))
			compare(t, s.Name, below[s.Group+"\n"+title], wanted(&s, true))
		}
	})
}
