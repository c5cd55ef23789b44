package report_test

import (
	"testing"

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
