package report_test

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"midden/internal/report"
	"midden/internal/report/reporttest"
)

func TestJSONGolden(t *testing.T) {
	for name, d := range map[string]*report.Document{"full": reporttest.Full(), "empty": reporttest.Empty()} {
		text, err := d.JSON(true, "")
		if err != nil {
			t.Fatal(err)
		}
		reporttest.Golden(t, name+".json", string(text)+"\n")
	}
}

// TestJSONReadsBack: every text, however odd, is the same again.
func TestJSONReadsBack(t *testing.T) {
	want := reporttest.Hostile(reporttest.Naughty)
	for _, lines := range []bool{true, false} {
		text, err := want.JSON(lines, "  ")
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range string(text) {
			if r < ' ' && r != '\n' || r == 0x7f || r == 0x9b || r == 0x202e {
				t.Fatalf("%U in the JSON", r)
			}
		}
		if !lines && strings.Contains(string(text), "\n") {
			t.Error("not one line")
		}
		got := &report.Document{}
		if err := json.Unmarshal(text, got); err != nil {
			t.Fatal(err)
		}
		// What is no UTF-8 becomes U+FFFD.
		valid := reporttest.Hostile(slices.Collect(func(yield func(string) bool) {
			for _, s := range reporttest.Naughty {
				if !yield(string([]rune(s))) {
					return
				}
			}
		}))
		if diff := cmp.Diff(valid, got); diff != "" {
			t.Errorf("%.2000s", diff)
		}
	}
}

// TestOldNames holds the names that dashboards read: those of cowrieprocessor's
// documents, and those that its index templates mapped.
func TestOldNames(t *testing.T) {
	text, err := reporttest.Full().JSON(false, "")
	if err != nil {
		t.Fatal(err)
	}
	var doc map[string]any
	if err := json.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	for _, path := range strings.Fields(`@timestamp generated_at report_type date sensor date_range year_week year_month days_included alerts
		sessions.total sessions.avg_commands sessions.max_commands sessions.min_commands sessions.file_downloads sessions.login_attempts
		sessions.vt_flagged sessions.dshield_flagged sessions.unique_ips sessions.unique_usernames sessions.unique_passwords sessions.avg_duration
		sessions.protocols.value sessions.top_usernames.value sessions.top_passwords.count sessions.top_combinations.count
		commands.top.command commands.top.occurrences commands.total commands.unique commands.top_commands.value commands.top_commands.count
		files.top.url files.top.occurrences files.downloads_total files.uploads_total files.unique_hashes files.unique_vt_classifications
		files.recent_vt_submissions files.vt_classifications_top.value files.vt_classifications_top.count files.top_hashes.value files.top_hashes.count
		enrichments.flagged.session enrichments.flagged.sensor enrichments.flagged.first_seen enrichments.flagged.last_seen enrichments.flagged.ips
		enrichments.flagged.files.hash enrichments.flagged.files.malicious enrichments.flagged.files.label enrichments.flagged.files.first_seen
		abnormalities.uncommon_command_sessions abnormalities.recent_vt_submission_sessions`) {
		var at any = doc
		for _, key := range strings.Split(path, ".") {
			if list, ok := at.([]any); ok && len(list) > 0 {
				at = list[0]
			}
			m, _ := at.(map[string]any)
			at = m[key]
		}
		if at == nil || reflect.ValueOf(at).IsZero() && at != 0.0 {
			t.Errorf("%s is not there", path)
		}
	}
}

// TestSections: each has a name of its own, and as many values as columns.
func TestSections(t *testing.T) {
	full, empty := reporttest.Full().Sections(), reporttest.Empty().Sections()
	if len(full) != len(empty) {
		t.Fatalf("%d sections, and %d if nothing happened", len(full), len(empty))
	}
	names := map[string]bool{}
	for i, s := range full {
		if names[s.Name] || s.Name == "" || s.Title == "" || s.Group == "" {
			t.Errorf("section %q, %q, of %q", s.Name, s.Title, s.Group)
		}
		names[s.Name] = true
		if len(s.Rows) == 0 {
			t.Errorf("%s has no rows in a full report", s.Name)
		}
		columns := map[string]bool{}
		for _, c := range s.Columns {
			if columns[c.Name] || c.Title == "" {
				t.Errorf("%s has the column %q, %q", s.Name, c.Name, c.Title)
			}
			columns[c.Name] = true
		}
		for _, row := range s.Rows {
			if len(row) != len(s.Columns) {
				t.Errorf("%s: %d values for %d columns", s.Name, len(row), len(s.Columns))
			}
		}
		if diff := cmp.Diff(s.Columns, empty[i].Columns); diff != "" {
			t.Errorf("%s has other columns where nothing happened: %s", s.Name, diff)
		}
	}
	if !slices.Equal(report.SectionNames(), slices.Collect(func(yield func(string) bool) {
		for _, s := range full {
			if !yield(s.Name) {
				return
			}
		}
	})) {
		t.Error("SectionNames tells others")
	}
}
