package report_test

import (
	"testing"
	"time"

	"midden/internal/report"
)

// TestID: ids are those of cowrieprocessor, and no two reports share one.
func TestID(t *testing.T) {
	for _, c := range []struct {
		sensor string
		all    bool
		want   string
	}{
		{"aggregate", true, "aggregate:daily:2026-03-28"},
		{"sensor-01", false, "sensor-01:daily:2026-03-28"},
		{"aggregate", false, "aggregate:daily:2026-03-28:sensor"},
		{"aggregate:daily:2026-03-28", false, "aggregate:daily:2026-03-28:daily:2026-03-28"},
	} {
		d := report.Document{Sensor: c.sensor, AllSensors: c.all, ReportType: "daily", Date: "2026-03-28"}
		if got := d.ID(); got != c.want {
			t.Errorf("%s, want %s", got, c.want)
		}
	}
}

// TestTotals: a list that is cut says how long it would be.
func TestTotals(t *testing.T) {
	db := newDatabase(t)
	db.load(t, madeUp(t, 7, 3000, 2, 24*time.Hour)...)
	r := named(t, report.Daily, "2026-01-01", "UTC")
	r.Top = 1000
	whole := db.report(t, r).Sections()
	r.Top = 1
	cut := 0
	for i, s := range db.report(t, r).Sections() {
		want := int64(len(whole[i].Rows))
		if s.Name == "rare_commands" { // of all commands the rarest come first, and those that one session ran are rare
			want = 0
			for _, row := range whole[i].Rows {
				if row[2] == int64(1) {
					want++
				}
			}
		}
		if len(s.Rows) < len(whole[i].Rows) {
			cut++
			if s.Total != want {
				t.Errorf("%s: %d rows of %d, and not of %d", s.Name, len(s.Rows), s.Total, want)
			}
		}
	}
	if cut < 12 {
		t.Errorf("%d lists were cut", cut)
	}
}
