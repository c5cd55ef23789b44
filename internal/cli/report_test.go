package cli

import (
	"encoding/csv"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"midden/internal/cli/render"
	"midden/internal/cowrie"
	"midden/internal/report"
	"midden/internal/report/reporttest"
)

func TestReportForms(t *testing.T) {
	for name, d := range map[string]*report.Document{"full": reporttest.Full(), "empty": reporttest.Empty()} {
		var table, sections strings.Builder
		must(t, writeReport(&table, render.Table, d, ""))
		reporttest.Golden(t, "report/"+name+".txt", table.String())
		for _, section := range report.SectionNames() {
			fmt.Fprintf(&sections, "%s\n", section)
			must(t, writeReport(&sections, render.CSV, d, section))
			sections.WriteString("\n")
		}
		reporttest.Golden(t, "report/"+name+".csv", sections.String())
	}
}

// TestReportCSVHostile: every cell reads back, and none starts a formula.
func TestReportCSVHostile(t *testing.T) {
	d := reporttest.Hostile(reporttest.Naughty)
	for _, s := range d.Sections() {
		var b strings.Builder
		must(t, writeReport(&b, render.CSV, d, s.Name))
		records, err := csv.NewReader(strings.NewReader(b.String())).ReadAll()
		if err != nil {
			t.Fatalf("%s: %v", s.Name, err)
		}
		if len(records) != 1+len(s.Rows) {
			t.Fatalf("%s: %d records for %d rows", s.Name, len(records), len(s.Rows))
		}
		for i, row := range s.Rows {
			for j, v := range row {
				text, ok := v.(string)
				if !ok {
					continue
				}
				got := records[i+1][j]
				if text = render.Escape(text); got != text && got != "'"+text {
					t.Errorf("%s: %q became %q", s.Name, text, got)
				}
				if strings.ContainsAny(strings.TrimLeft(got, " \"")[:min(1, len(strings.TrimLeft(got, " \"")))], "=+-@\t\r") {
					t.Errorf("%s: %q starts a formula", s.Name, got)
				}
			}
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestReportRequest(t *testing.T) {
	now := time.Date(2026, 4, 2, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		options reportOptions
		want    string // from, to and the moment; or a part of the error
	}{
		{reportOptions{kind: "daily"}, "2026-04-01T00:00 2026-04-02T00:00 2026-04-02T12:00"},
		{reportOptions{kind: "weekly"}, "2026-03-23T00:00 2026-03-30T00:00 2026-04-02T12:00"},
		{reportOptions{kind: "monthly", asOf: &timeFlag{cowrie.FromStd(now.AddDate(0, 0, -3))}}, "2026-02-01T00:00 2026-03-01T00:00 2026-03-30T12:00"},
		{reportOptions{kind: "daily", date: "2026-03-29", timezone: "Europe/Berlin"}, "2026-03-28T23:00 2026-03-29T22:00 2026-04-02T12:00"},
		{reportOptions{kind: "weekly", from: "2026-03-01", to: "2026-03-15"}, "2026-03-01T00:00 2026-03-16T00:00 2026-04-02T12:00"},
		{reportOptions{kind: "weekly", from: "2026-03-01"}, "2026-03-01T00:00 2026-04-02T00:00 2026-04-02T12:00"},
		{reportOptions{kind: "daily", date: "2026-04-02"}, "2026-04-02T00:00 2026-04-03T00:00 2026-04-02T12:00"},
		{reportOptions{kind: "daily", date: "2026-04-03"}, "nothing can be said of 2026-04-03: it begins at 2026-04-03T00:00:00.000000Z, which is later than 2026-04-02T12:00:00.000000Z"},
		{reportOptions{kind: "daily", from: "2026-04-03", to: "2026-04-04"}, "nothing can be said of the days from 2026-04-03"},
		{reportOptions{kind: "daily", date: "yesterday"}, `"yesterday" is no day: one is written 2026-03-28`},
		{reportOptions{kind: "daily", date: "2026-03-28", from: "2026-03-01"}, "either 2026-03-28 or --from and --to"},
		{reportOptions{kind: "daily", date: "2026-03-28", to: "2026-03-01"}, "either 2026-03-28 or --from and --to"},
		{reportOptions{kind: "daily", to: "2026-03-01"}, "--to 2026-03-01 needs --from"},
		{reportOptions{kind: "daily", timezone: "Berlin"}, `there is no time zone "Berlin"`},
		{reportOptions{kind: "daily", timezone: "Local"}, `there is no time zone "Local"`},
		{reportOptions{kind: "daily", timezone: "../../etc/passwd"}, "there is no time zone"},
	} {
		if c.options.timezone == "" {
			c.options.timezone = "UTC"
		}
		if c.options.asOf == nil {
			c.options.asOf = &timeFlag{cowrie.NoTime}
		}
		r, err := c.options.request(now)
		if err != nil {
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("%+v: %v, want %s", c.options, err, c.want)
			}
			continue
		}
		const minutes = "2006-01-02T15:04"
		got := r.From.Std().Format(minutes) + " " + r.To.Std().Format(minutes) + " " + r.AsOf.Std().Format(minutes)
		if got != c.want {
			t.Errorf("%+v: %s, want %s", c.options, got, c.want)
		}
	}
}

func TestReportNames(t *testing.T) {
	d := reporttest.Empty()
	d.AllSensors = false
	names := map[string]string{reportName(reporttest.Empty(), "pairs", render.CSV): "all of them"}
	for _, sensor := range []string{"aggregate", "Aggregate", "sensor-01", "a.b", "a/b", "../../x", ".", "", "a%2Fb", "a_b", "é", "\x00", strings.Repeat("x", 256), strings.Repeat("x", 255), strings.Repeat("/", 256)} {
		d.Sensor = sensor
		name := reportName(d, "pairs", render.CSV)
		if len(name) > 200 || filepath.Base(name) != name || strings.HasPrefix(name, ".") || strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.%") != "" {
			t.Errorf("%q makes %q", sensor, name)
		}
		if before, ok := names[name]; ok {
			t.Errorf("%q and %q are both %s", before, sensor, name)
		}
		names[name] = sensor
	}
	for want, f := range map[string]render.Format{"monthly-2026-03.sensor-01.html": html, "monthly-2026-03.sensor-01.md": markdown, "monthly-2026-03.sensor-01.txt": render.Table, "monthly-2026-03.sensor-01.json": render.JSON} {
		d.Sensor = "sensor-01"
		if got := reportName(d, "", f); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	d.Sensor, d.AllSensors, d.ReportType, d.Date = "aggregate", true, "custom", "2026-03-01/2026-03-15"
	if got := reportName(d, "", html); got != "custom-2026-03-01_2026-03-15.html" {
		t.Error(got)
	}
}

// TestReportStream: reports of several sensors are one array, or lines, or texts one
// behind the other.
func TestReportStream(t *testing.T) {
	one, two := reporttest.Full(), reporttest.Empty()
	two.Sensor, two.AllSensors = "sensor-01", false
	each := func(f func(*report.Document) error) error {
		if err := f(one); err != nil {
			return err
		}
		return f(two)
	}
	for format, check := range map[render.Format]func(string) bool{
		render.JSON: func(s string) bool {
			return strings.HasPrefix(s, "[\n  {\n") && strings.HasSuffix(s, "\n  }\n]\n") && strings.Contains(s, "\n  },\n  {\n")
		},
		render.JSONL: func(s string) bool { return strings.Count(s, "\n") == 2 },
		markdown: func(s string) bool {
			return strings.Count(s, "# Monthly report") == 2 && strings.Contains(s, "\n\n# Monthly")
		},
		render.Table: func(s string) bool { return strings.Contains(s, "\n\nMonthly report: March 2026\n") },
	} {
		var b strings.Builder
		a := &app{format: format}
		must(t, a.reportStream(&b, &reportOptions{all: true}, each))
		if !check(b.String()) {
			t.Errorf("%s: %.300s", format, b.String())
		}
	}
}

func TestWriteFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "report.html")
	must(t, os.WriteFile(path, []byte("before"), 0o600))
	failed := fmt.Errorf("no more")
	err := writeFile(path, func(w io.Writer) error {
		fmt.Fprint(w, "half")
		return failed
	})
	if err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("the error says %v", err)
	}
	if data, err := os.ReadFile(path); string(data) != "before" || err != nil {
		t.Errorf("%q stands there, %v", data, err)
	}
	must(t, writeFile(path, func(w io.Writer) error {
		if data, _ := os.ReadFile(path); string(data) != "before" {
			t.Errorf("%q while it is written", data)
		}
		_, err := io.WriteString(w, "after")
		return err
	}))
	if data, _ := os.ReadFile(path); string(data) != "after" {
		t.Errorf("%q was written", data)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Errorf("%d files are left", len(entries))
	}
}

// TestReportExamples holds what each form says of the example logs; as JSON it is held
// beside the numbers, in internal/report.
func TestReportExamples(t *testing.T) {
	t.Parallel()
	db := filepath.Join(t.TempDir(), "midden.db")
	run(t, []int{3}, "--db", db, "-q", "load", filepath.Join("..", "..", "examples", "logs"))
	for _, form := range []string{"table", "markdown", "html"} {
		got := run(t, []int{0}, "--db", db, "report", "weekly", "2026-W13", "--as-of", "2026-04-01", "-o", form)
		reporttest.Golden(t, "report/examples."+form, got)
	}
	dir := filepath.Join(t.TempDir(), "csv")
	run(t, []int{0}, "--db", db, "-q", "report", "weekly", "2026-W13", "--as-of", "2026-04-01", "-o", "csv", "--dir", dir)
	var all strings.Builder
	for _, section := range report.SectionNames() {
		data, err := os.ReadFile(filepath.Join(dir, "weekly-2026-W13."+section+".csv"))
		must(t, err)
		fmt.Fprintf(&all, "%s\n%s\n", section, data)
	}
	reporttest.Golden(t, "report/examples.csv", all.String())
}
