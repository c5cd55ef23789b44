package report_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"midden/internal/cowrie"
	"midden/internal/report"
	"midden/internal/report/reporttest"
	"midden/internal/store/migrate"
	"midden/internal/store/sqlite"
	"midden/internal/store/storetest"
	"midden/internal/synth"
	"midden/internal/synth/cowrieprocessor"
)

// TestExamples holds the report of the example logs.
func TestExamples(t *testing.T) {
	db := newDatabase(t)
	db.loadPaths(t, "../../examples/logs")
	text, err := db.report(t, named(t, report.Weekly, "2026-W13", "UTC")).JSON(true, "")
	if err != nil {
		t.Fatal(err)
	}
	reporttest.Golden(t, "examples.json", string(text)+"\n")
}

// TestHostile: attackers' texts are in a report as they are, whatever they hold; kept days
// hold them, too.
func TestHostile(t *testing.T) {
	texts := []string{"\x00", "a\x00b", "\x1f", "<script>alert(1)</script>", "=cmd|' /C calc'!A0", "\u202egnp.exe", "'; DROP TABLE files; --",
		`\`, `\x00`, "%", "_", "a:b", ":", "\r\n", "\u2028", "𝒳", "\U0010FFFD", "\U0010FF00", "{{.}}", strings.Repeat("ä", 200)}
	var lines [][]byte
	add := func(i int, id, member, value, text string) {
		e, err := json.Marshal(map[string]any{"eventid": id, "session": fmt.Sprint("s", i), "timestamp": fmt.Sprintf("2026-03-10T10:00:%02dZ", i),
			"sensor": "s1", member: value, "shasum": hash(i), "destfile": text, "password": text, "src_ip": text})
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, e)
	}
	for i, text := range texts {
		add(i, "cowrie.login.failed", "username", text, text)
		add(i, "cowrie.command.input", "input", "x"+text, text)
		add(i, "cowrie.session.file_download", "url", "http://"+text, text)
		add(i, "cowrie.client.version", "version", text, text)
	}
	db := newDatabase(t)
	db.load(t, lines...)
	r := named(t, report.Daily, "2026-03-10", "UTC")
	r.Top = 100
	want := func(f func(string) string) (list []string) {
		for _, text := range texts {
			if text = f(text); text != "" && !slices.Contains(list, text) {
				list = append(list, text)
			}
		}
		slices.Sort(list)
		return list
	}
	clipped := func(s string) string {
		if len(s) > 256 {
			return s[:252] + "…"
		}
		return s
	}
	plain := func(s string) string { return s }
	values := func(list []report.Count) (texts []string) {
		for _, c := range list {
			texts = append(texts, c.Value)
		}
		slices.Sort(texts)
		return texts
	}
	for range 2 {
		d := db.report(t, r)
		var commands, pairs []string
		for _, c := range d.Commands.Top {
			commands = append(commands, c.Command)
		}
		for _, p := range d.Logins.Pairs {
			if p.Username != p.Password {
				t.Errorf("a pair that nobody tried: %q %q", p.Username, p.Password)
			}
			pairs = append(pairs, p.Username)
		}
		slices.Sort(commands)
		slices.Sort(pairs)
		for name, lists := range map[string][2][]string{
			"usernames": {want(clipped), values(d.Logins.Usernames)},
			"passwords": {want(clipped), values(d.Logins.Passwords)},
			"pairs":     {want(clipped), pairs},
			"addresses": {want(clipped), values(d.Sessions.TopIPs)},
			"versions":  {want(clipped), values(d.Sessions.ClientVersions)},
			"paths":     {want(plain), values(d.Files.Paths)},
			"commands":  {want(func(s string) string { return "x" + strings.TrimRight(s, "\r\n") }), commands},
		} {
			if diff := gocmp.Diff(lists[0], lists[1]); diff != "" {
				t.Errorf("%s:\n%s", name, diff)
			}
		}
	}
}

// TestAnySession: of a sighting, which comes in few columns, the session is told as it is.
func TestAnySession(t *testing.T) {
	want := []string{"", "\x00", "a b", "a\x00b", "\U0010FF00x", "\U0010FF01", `\x00`, "download"}
	db := newDatabase(t)
	for i, id := range want {
		text, err := json.Marshal(id)
		if err != nil {
			t.Fatal(err)
		}
		db.load(t, bytes.Replace(download("id", "2026-03-10T10:00:00Z", i), []byte(`"id"`), text, 1))
	}
	v, err := db.View(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	var got []string
	if err := v.Seen(t.Context(), cowrie.Span{From: at(t, "2026-03-10T00:00:00Z"), To: at(t, "2026-03-11T00:00:00Z")}, func(s *cowrie.Sighting) error {
		i := slices.Index(want, s.Session)
		if got = append(got, s.Session); i >= 0 && (s.Shasum != hash(i) || s.Kind != cowrie.Download || s.URL == "") {
			t.Errorf("%+v", s)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	slices.Sort(got)
	if !slices.Equal(got, slices.Sorted(slices.Values(want))) {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestEndsOfTime: days have reports at whose ends, or behind them, there are no texts of times.
func TestEndsOfTime(t *testing.T) {
	for _, c := range []struct {
		when string
		zone *time.Location // whose days there begin, or end, in other years
	}{
		{"0001-01-01T00:00:00.000000Z", time.FixedZone("east", 3600)},
		{"9999-12-31T23:59:59.999999Z", time.FixedZone("west", -3600)},
	} {
		db := newDatabase(t)
		db.load(t, download("a", c.when, 1))
		if _, err := db.AddVerdicts(t.Context(), []cowrie.Verdict{verdict(t, 1, c.when, 9, "trojan", c.when)}); err != nil {
			t.Fatal(err)
		}
		whole := cowrie.Day(at(t, c.when))
		_, offset := time.Time{}.In(c.zone).Zone()
		moved := whole - cowrie.Time(offset)*1e6
		db.forget(t)
		for _, r := range []report.Request{
			{Type: report.Daily, From: whole, To: whole + cowrie.DayLength, Location: time.UTC},
			{Type: report.Daily, From: whole, To: whole + cowrie.DayLength, Location: time.UTC}, // which is kept now
			{Type: report.Daily, From: moved, To: moved + cowrie.DayLength, Location: c.zone},
		} {
			r.AsOf = cowrie.MaxTime
			d := db.report(t, r)
			if d.Sessions.Total != 1 || d.Files.Downloads != 1 || d.Files.NewHashes != 1 || d.Verdicts.NewMaliciousTotal != 1 ||
				len(d.Days) != 1 || d.Days[0].Events != 1 || len(d.Sensors) != 1 || d.Sensors[0].Events != 1 {
				t.Errorf("%s, in %s: %+v", c.when, r.Location, d)
			}
		}
	}
}

// TestTextsGone: where the texts of events were dropped, all that was counted is still
// there, and what is not is told.
func TestTextsGone(t *testing.T) {
	lines := madeUp(t, 9, 1500, 2, 72*time.Hour)
	db := newDatabase(t)
	db.load(t, lines...)
	berlin, utc := named(t, report.Daily, "2026-01-02", "Europe/Berlin"), named(t, report.Daily, "2026-01-02", "UTC")
	before, want := db.report(t, berlin), db.text(t, utc)
	db.exec(t, `DELETE FROM event_segments`)
	after := db.report(t, berlin)
	if diff := gocmp.Diff(before.Days, after.Days); diff != "" || before.Logins.Attempts != after.Logins.Attempts {
		t.Errorf("%d attempts were %d, days: %s", after.Logins.Attempts, before.Logins.Attempts, diff)
	}
	if len(before.Notes) != 0 || len(after.Notes) != 1 || !strings.Contains(after.Notes[0], "not kept any more") {
		t.Errorf("notes: %q, then %q", before.Notes, after.Notes)
	}
	if got := db.text(t, utc); got != want {
		t.Error(gocmp.Diff(want, got))
	}
}

// TestCannotKeep: a database in which nothing can be kept has reports all the same.
func TestCannotKeep(t *testing.T) {
	lines := madeUp(t, 10, 400, 1, 24*time.Hour)
	db := newDatabase(t)
	db.load(t, lines...)
	r := named(t, report.Daily, "2026-01-01", "UTC")
	want := db.text(t, r)
	db.forget(t)
	for _, st := range strings.Split(storetest.Dialect(
		`CREATE TRIGGER t BEFORE INSERT ON report_days BEGIN SELECT RAISE(ABORT, 'no'); END`,
		`CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''no''; END'|
		CREATE TRIGGER t BEFORE INSERT ON report_days EXECUTE FUNCTION no()`), "|") {
		db.exec(t, st)
	}
	if got := db.text(t, r); got != want {
		t.Error(gocmp.Diff(want, got))
	}
}

// TestTakenOver: what cowrieprocessor left is told, until it is compacted, and nothing is
// kept, since that program may still be at work.
func TestTakenOver(t *testing.T) {
	storetest.OnSQLite(t)
	path := t.TempDir() + "/old.db"
	if _, err := cowrieprocessor.Write(t.Context(), path, cowrieprocessor.Options{
		Logs: synth.Options{Seed: 2, Events: 500, Sensors: 1, Span: 24 * time.Hour}}); err != nil {
		t.Fatal(err)
	}
	if err := sqlite.Upgrade(t.Context(), path, func(*migrate.Plan) error { return nil }, func(int) {}); err != nil {
		t.Fatal(err)
	}
	db := &database{storetest.Open(t, path), path, storetest.Connect(t, path)}
	d := db.report(t, named(t, report.Daily, "2026-01-01", "UTC"))
	if len(d.Notes) != 1 || !strings.Contains(d.Notes[0], "raw_events") || d.Sessions.Total == 0 {
		t.Errorf("%d sessions, notes: %q", d.Sessions.Total, d.Notes)
	}
	if rows := storetest.Rows(t, db.sql, `SELECT 1 FROM report_days`); len(rows) > 0 {
		t.Errorf("%d days were kept", len(rows))
	}
}
