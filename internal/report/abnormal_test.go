package report_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"midden/internal/cowrie"
	"midden/internal/report"
)

// typing are the events of a session in which commands are typed, a second apart.
func typing(session, when string, commands ...string) (lines [][]byte) {
	from, _ := cowrie.ParseTime([]byte(when))
	for i, command := range commands {
		lines = append(lines, fmt.Appendf(nil, `{"eventid":"cowrie.command.input","session":%q,"timestamp":%q,"sensor":"s1","src_ip":"192.0.2.7","input":%q}`,
			session, from+cowrie.Time(i*1e6), command))
	}
	return lines
}

// TestAbnormal: sessions with many commands and with rare ones are told.
func TestAbnormal(t *testing.T) {
	var lines [][]byte
	for i := range 30 { // what everybody does
		lines = append(lines, typing(fmt.Sprint("usual", i), fmt.Sprintf("2026-03-10T01:%02d:00Z", i), "id", "uname -a", "exit")...)
	}
	lines = append(lines, typing("many", "2026-03-10T02:00:00Z", slices.Repeat([]string{"id"}, 12)...)...)
	lines = append(lines, typing("not quite", "2026-03-10T02:10:00Z", slices.Repeat([]string{"id"}, 9)...)...)
	lines = append(lines, typing("rare", "2026-03-10T03:00:00Z", "vi a", "vi b", "vi c", "id")...)
	lines = append(lines, typing("two", "2026-03-10T03:10:00Z", "vi d", "vi e", "id")...)
	lines = append(lines, typing("again", "2026-03-10T03:20:00Z", "vi f", "vi g", "vi h")...)
	lines = append(lines, typing("the day before", "2026-03-09T03:20:00Z", "vi f", "vi g", "vi h")...)
	db := newDatabase(t)
	db.load(t, lines...)
	r := named(t, report.Daily, "2026-03-10", "UTC")
	want := report.Abnormalities{
		UncommonCommands: []string{"many", "rare"}, RecentVT: []string{},
		Sessions: []report.Abnormal{
			{Session: "many", Sensor: "s1", SrcIP: "192.0.2.7", First: at(t, "2026-03-10T02:00:00Z"), Commands: 12,
				Why: []string{"12 commands; three of four sessions with commands have 3 or fewer"}},
			{Session: "rare", Sensor: "s1", SrcIP: "192.0.2.7", First: at(t, "2026-03-10T03:00:00Z"), Commands: 4,
				Why: []string{"3 commands that no other session ran, such as: vi a"}},
		}}
	for range 2 { // the second time out of what was kept
		d := db.report(t, r)
		if diff := gocmp.Diff(want, d.Abnormalities); diff != "" {
			t.Error(diff)
		}
		if top := d.Commands.Rare[0]; top.Sessions != 1 || top.Occurrences != 1 {
			t.Errorf("rarest command: %+v", top)
		}
	}
}

// TestAlerts: sensors that fell silent are told, those that are gone for longer are not; so
// are failed look-ups.
func TestAlerts(t *testing.T) {
	event := func(sensor, when string) []byte {
		return fmt.Appendf(nil, `{"eventid":"cowrie.session.connect","session":%q,"timestamp":%q,"sensor":%q}`, sensor+when, when, sensor)
	}
	db := newDatabase(t)
	db.load(t, event("well", "2026-03-10T23:59:00Z"), event("silent", "2026-03-09T12:00:00Z"), event("gone", "2026-03-01T12:00:00Z"),
		event("later", "2026-03-12T12:00:00Z"), download("a", "2026-03-10T10:00:00Z", 1))
	db.exec(t, `UPDATE lookups SET failures = 3, state = 'waiting', updated_at = '2026-03-10T12:00:00.000000Z'`)
	r := named(t, report.Daily, "2026-03-10", "UTC")
	d := db.report(t, r)
	want := []string{"Sensor silent has been silent since 2026-03-09T12:00:00.000000Z.",
		`VirusTotal could not be asked about 1 of 1 files: "midden enrich queue list" says why.`}
	if diff := gocmp.Diff(want, d.Alerts); diff != "" {
		t.Error(diff)
	}
	var sensors []string
	for _, s := range d.Sensors {
		sensors = append(sensors, fmt.Sprint(s.Name, " ", s.Events, " ", s.Sessions, " ", *s.Silence))
	}
	if diff := gocmp.Diff([]string{"s1 1 1 50400", "well 1 1 60", "gone 0 0 820800", "silent 0 0 129600"}, sensors); diff != "" {
		t.Error(diff)
	}
	// While the day is not over, the report is of what was there.
	r.AsOf = at(t, "2026-03-10T09:00:00Z")
	if d := db.report(t, r); d.Sessions.Total != 0 || len(d.Notes) != 1 || !strings.Contains(d.Notes[0], "not over") {
		t.Errorf("%d sessions, notes %q", d.Sessions.Total, d.Notes)
	}
}

// TestComparison compares with the period before.
func TestComparison(t *testing.T) {
	db := newDatabase(t)
	db.load(t, slices.Concat([][]byte{download("a", "2026-02-10T10:00:00Z", 1), download("b", "2026-02-20T10:00:00Z", 1),
		download("c", "2026-03-10T10:00:00Z", 1), download("d", "2026-03-10T10:00:00Z", 2), download("e", "2026-03-31T23:59:59Z", 2)},
		typing("f", "2026-02-28T23:59:59Z", "id"))...)
	d := db.report(t, named(t, report.Monthly, "2026-03", "UTC"))
	if d.Comparison.Date != "2026-02" {
		t.Errorf("it is compared with %s", d.Comparison.Date)
	}
	got := map[string]string{}
	for _, m := range d.Comparison.Metrics {
		change := "-"
		if m.Change != nil {
			change = fmt.Sprint(*m.Change)
		}
		got[m.Name] = fmt.Sprint(m.Value, " ", m.Before, " ", change)
	}
	want := map[string]string{"events.total": "3 3 0", "sessions.total": "3 3 0", "sessions.unique_ips": "1 2 -50", "commands.total": "0 1 -100",
		"files.downloads_total": "3 2 50", "files.unique_hashes": "2 1 100", "files.new_hashes": "1 1 0", "logins.attempts": "0 0 -"}
	for name, text := range want {
		if got[name] != text {
			t.Errorf("%s: %s, want %s", name, got[name], text)
		}
	}
	for kind, dates := range map[string][2]string{report.Daily: {"2026-03-01", "2026-02-28"}, report.Weekly: {"2026-W01", "2025-W52"}} {
		if d := db.report(t, named(t, kind, dates[0], "Europe/Berlin")); d.Comparison.Date != dates[1] {
			t.Errorf("%s is compared with %s", dates[0], d.Comparison.Date)
		}
	}
}

// TestLastEvent: the last event of a sensor may be on the UTC day on which the period begins
// elsewhere, and before it.
func TestLastEvent(t *testing.T) {
	db := newDatabase(t)
	db.load(t, download("a", "2026-03-10T12:00:00Z", 1), download("b", "2026-03-10T23:50:00Z", 1))
	r := named(t, report.Daily, "2026-03-11", "Europe/Berlin") // from 23:00
	r.AsOf = at(t, "2026-03-10T23:30:00Z")
	if s := db.report(t, r).Sensors; len(s) != 1 || s[0].LastEvent != at(t, "2026-03-10T12:00:00Z") || *s[0].Silence != 11*3600+1800 || s[0].Events != 0 {
		t.Errorf("%+v", s)
	}
}
