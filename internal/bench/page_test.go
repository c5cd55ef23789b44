package bench

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"midden/internal/report/reporttest"
)

// TestPage: docs/performance.md is what was measured last, in the words of the template.
func TestPage(t *testing.T) {
	t.Parallel()
	measured, err := os.ReadFile("testdata/measured.json")
	if err != nil {
		t.Fatal(err)
	}
	var p Page
	if err := json.Unmarshal(measured, &p); err != nil {
		t.Fatal(err)
	}
	for name, there := range map[string]bool{"load": p.Load != nil, "questions": p.Questions != nil, "postgres": p.Postgres != nil,
		"profile": p.Profile != nil, "takeover": p.TakeOver != nil, "scan": p.Scan != nil, "lookups": p.Lookups != nil,
		"reports": p.Reports != nil, "growth": p.Growth != nil} {
		if !there {
			t.Errorf("measured.json lacks %s", name)
		}
	}
	var text strings.Builder
	if err := p.Write(&text); err != nil {
		t.Fatal(err)
	}
	reporttest.Golden(t, "../../../docs/performance.md", text.String())

	// What cannot be measured everywhere is said to be left out.
	p.Questions.DuckDB = nil
	text.Reset()
	if err := p.Write(&text); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(text.String(), "DuckDB was left out") || strings.Contains(text.String(), "When DuckDB is better") {
		t.Error(text.String())
	}
}

func TestFigures(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ got, want string }{
		{seconds(1234 * time.Second), "1,234"},
		{seconds(12340 * time.Millisecond), "12.3"},
		{seconds(1234 * time.Millisecond), "1.23"},
		{seconds(5 * time.Millisecond), "0.01"},
		{milliseconds(1234567 * time.Microsecond), "1,235"},
		{milliseconds(6543 * time.Microsecond), "6.5"},
		{rate(2_000_000, Usage{Wall: 8 * time.Second}), "250,000"},
		{reckon(5*time.Second, 3_900_000_000), "50.0"},
		{must(t)(ratio(2, 3*time.Second, 2*time.Second)), "1.50"},
		{must(t)(percent(int64(1), int64(3))), "33.3"},
		{must(t)(count(999.5)), "1,000"},
	} {
		if test.got != test.want {
			t.Errorf("%s, not %s", test.got, test.want)
		}
	}
	if _, err := ratio(2, "one", 2); err == nil {
		t.Error("a text was divided")
	}
}

func must(t *testing.T) func(string, error) string {
	return func(s string, err error) string {
		t.Helper()
		if err != nil {
			t.Error(err)
		}
		return s
	}
}
