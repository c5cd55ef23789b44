package report

import (
	"strings"
	"testing"
	"time"
	_ "time/tzdata"

	"midden/internal/cowrie"
)

func location(t testing.TB, name string) *time.Location {
	t.Helper()
	at, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func TestNamed(t *testing.T) {
	for _, c := range []struct{ kind, date, zone, from, to string }{
		{Daily, "2026-03-28", "UTC", "2026-03-28T00:00:00Z", "2026-03-29T00:00:00Z"},
		{Daily, "2024-02-29", "UTC", "2024-02-29T00:00:00Z", "2024-03-01T00:00:00Z"},
		{Daily, "2026-03-28", "Europe/Berlin", "2026-03-27T23:00:00Z", "2026-03-28T23:00:00Z"},
		{Daily, "2026-03-29", "Europe/Berlin", "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"}, // 23 hours
		{Daily, "2026-10-25", "Europe/Berlin", "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z"}, // 25 hours
		{Daily, "2018-11-04", "America/Sao_Paulo", "2018-11-04T03:00:00Z", "2018-11-05T02:00:00Z"},
		{Daily, "2018-11-03", "America/Sao_Paulo", "2018-11-03T03:00:00Z", "2018-11-04T03:00:00Z"},
		{Daily, "2018-02-18", "America/Sao_Paulo", "2018-02-18T03:00:00Z", "2018-02-19T03:00:00Z"},
		{Daily, "2018-02-17", "America/Sao_Paulo", "2018-02-17T02:00:00Z", "2018-02-18T03:00:00Z"},
		{Daily, "2025-11-02", "America/Havana", "2025-11-02T04:00:00Z", "2025-11-03T05:00:00Z"}, // midnight comes twice
		{Daily, "2026-03-28", "Asia/Kathmandu", "2026-03-27T18:15:00Z", "2026-03-28T18:15:00Z"},
		{Daily, "2011-12-31", "Pacific/Apia", "2011-12-30T10:00:00Z", "2011-12-31T10:00:00Z"},
		{Weekly, "2026-W13", "UTC", "2026-03-23T00:00:00Z", "2026-03-30T00:00:00Z"},
		{Weekly, "2026w13", "UTC", "2026-03-23T00:00:00Z", "2026-03-30T00:00:00Z"},
		{Weekly, "2026-03-23", "UTC", "2026-03-23T00:00:00Z", "2026-03-30T00:00:00Z"},
		{Weekly, "2026-03-29", "UTC", "2026-03-23T00:00:00Z", "2026-03-30T00:00:00Z"},
		{Weekly, "2026-W01", "UTC", "2025-12-29T00:00:00Z", "2026-01-05T00:00:00Z"},
		{Weekly, "2026-W53", "UTC", "2026-12-28T00:00:00Z", "2027-01-04T00:00:00Z"},
		{Weekly, "2026-W13", "Europe/Berlin", "2026-03-22T23:00:00Z", "2026-03-29T22:00:00Z"},
		{Monthly, "2026-03", "UTC", "2026-03-01T00:00:00Z", "2026-04-01T00:00:00Z"},
		{Monthly, "2026-12", "UTC", "2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z"},
		{Monthly, "2026-03-31", "Europe/Berlin", "2026-02-28T23:00:00Z", "2026-03-31T22:00:00Z"},
	} {
		r, err := Named(c.kind, c.date, location(t, c.zone))
		if err != nil {
			t.Errorf("%s %s: %v", c.kind, c.date, err)
			continue
		}
		from, to := r.From.Std().Format(time.RFC3339), r.To.Std().Format(time.RFC3339)
		if from != c.from || to != c.to || r.Type != c.kind {
			t.Errorf("%s %s in %s: %s from %s to %s, want %s to %s", c.kind, c.date, c.zone, r.Type, from, to, c.from, c.to)
		}
	}
}

func TestNamedRefuses(t *testing.T) {
	for _, c := range []struct{ kind, date, says string }{
		{Daily, "28.03.2026", `"28.03.2026" is no day: one is written 2026-03-28`},
		{Daily, "2026-03", "2026-03-28"},
		{Daily, "2026-02-29", "2026-03-28"},
		{Daily, "0000-01-01", "is no day"},
		{Daily, "9999-12-31", "is no day"},
		{Daily, "", "is no day"},
		{Weekly, "2026-13", "one is written 2026-W13"},
		{Weekly, "2025-W53", `there is no week "2025-W53"`},
		{Weekly, "2026-W00", "there is no week"},
		{Monthly, "2026-13", "one is written 2026-03"},
		{Monthly, "2026-W13", "one is written 2026-03"},
	} {
		if r, err := Named(c.kind, c.date, time.UTC); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s %q: %v, %v; want %s", c.kind, c.date, r, err, c.says)
		}
	}
}

// TestDaysMeet holds that days follow each other without a gap, in every zone that
// has odd ones.
func TestDaysMeet(t *testing.T) {
	for _, zone := range []string{"UTC", "Europe/Berlin", "America/Sao_Paulo", "America/Havana", "Asia/Beirut", "Asia/Tehran", "Africa/Cairo", "Australia/Lord_Howe", "Pacific/Chatham"} {
		at := location(t, zone)
		for day := time.Date(2005, 1, 1, 0, 0, 0, 0, time.UTC); day.Year() < 2027; day = day.AddDate(0, 0, 1) {
			from, to := begins(day, at), begins(day.AddDate(0, 0, 1), at)
			if hours := to.Sub(from).Hours(); hours < 23 || hours > 25 {
				t.Fatalf("%s %s has %v hours", zone, day.Format(time.DateOnly), hours)
			}
			if civil(from) != day || civil(from.Add(-1)) == day || civil(to.Add(-1)) != day {
				t.Fatalf("%s %s begins at %s and ends at %s", zone, day.Format(time.DateOnly), from, to)
			}
		}
	}
}

func TestLast(t *testing.T) {
	berlin := location(t, "Europe/Berlin")
	for _, c := range []struct {
		kind, asOf string
		at         *time.Location
		from, to   string
	}{
		{Daily, "2026-03-28T00:00:00Z", time.UTC, "2026-03-27T00:00:00Z", "2026-03-28T00:00:00Z"},
		{Daily, "2026-03-28T23:59:59Z", time.UTC, "2026-03-27T00:00:00Z", "2026-03-28T00:00:00Z"},
		{Daily, "2026-03-28T23:00:00Z", berlin, "2026-03-27T23:00:00Z", "2026-03-28T23:00:00Z"},
		{Daily, "2026-03-28T22:59:59Z", berlin, "2026-03-26T23:00:00Z", "2026-03-27T23:00:00Z"},
		{Weekly, "2026-03-29T12:00:00Z", time.UTC, "2026-03-16T00:00:00Z", "2026-03-23T00:00:00Z"},
		{Weekly, "2026-03-30T00:00:00Z", time.UTC, "2026-03-23T00:00:00Z", "2026-03-30T00:00:00Z"},
		{Monthly, "2026-03-31T12:00:00Z", time.UTC, "2026-02-01T00:00:00Z", "2026-03-01T00:00:00Z"},
		{Monthly, "2026-01-01T00:00:00Z", time.UTC, "2025-12-01T00:00:00Z", "2026-01-01T00:00:00Z"},
	} {
		asOf, err := time.Parse(time.RFC3339, c.asOf)
		if err != nil {
			t.Fatal(err)
		}
		r := Last(c.kind, asOf, c.at)
		if from, to := r.From.Std().Format(time.RFC3339), r.To.Std().Format(time.RFC3339); from != c.from || to != c.to {
			t.Errorf("%s before %s: from %s to %s, want %s to %s", c.kind, c.asOf, from, to, c.from, c.to)
		}
	}
}

func TestBetween(t *testing.T) {
	asOf := time.Date(2026, 4, 2, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct{ from, to, days string }{
		{"2026-03-01", "2026-03-15", "2026-03-01 2026-03-16"},
		{"2026-03-01", "2026-03-01", "2026-03-01 2026-03-02"},
		{"2026-03-01", "", "2026-03-01 2026-04-02"},
		{"2026-03-15", "2026-03-01", "there is no day from 2026-03-15 to 2026-03-01"},
		{"2026-04-02", "", "there is no day from 2026-04-02 to 2026-04-01"},
		{"March", "", "is no day"},
		{"2026-03-01", "2026-W13", "is no day"},
	} {
		r, err := Between(c.from, c.to, asOf, time.UTC)
		if err != nil {
			if !strings.Contains(err.Error(), c.days) {
				t.Errorf("%s to %s: %v", c.from, c.to, err)
			}
			continue
		}
		if got := days(r.From, r.To); got != c.days || r.Type != Custom {
			t.Errorf("%s to %s: %s, %s", c.from, c.to, r.Type, got)
		}
	}
}

func days(from, to cowrie.Time) string {
	return from.Std().Format(time.DateOnly) + " " + to.Std().Format(time.DateOnly)
}
