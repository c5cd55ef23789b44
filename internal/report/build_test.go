package report_test

import (
	"bytes"
	"context"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"midden/internal/cowrie"
	"midden/internal/report"
	"midden/internal/store"
	"midden/internal/store/storetest"
)

// whatEventsTell are the parts of a report that recount makes.
func whatEventsTell(d *report.Document) *report.Document {
	s := d.Sessions
	s.VTFlagged, s.UniqueUsernames, s.UniquePasswords, s.TopUsernames, s.TopPasswords, s.TopCombinations = 0, 0, 0, nil, nil, nil
	c := d.Commands
	c.TopCommands, c.Rare = nil, nil
	f := d.Files
	f.New, f.Types, f.UniqueTypes = nil, nil, 0
	hashes := slices.Clone(f.TopHashes)
	for i, h := range hashes {
		hashes[i] = report.FileCount{Shasum: h.Shasum, Count: h.Count, Sessions: h.Sessions, FirstSeen: h.FirstSeen}
	}
	f.TopHashes = hashes
	return &report.Document{Sessions: s, Logins: d.Logins, Commands: c, Files: f, Days: d.Days, Sensors: d.Sensors}
}

// TestNumbers compares reports with a plain recount of the logs: of every kind, in several
// time zones, of all sensors and of one, with days kept and without.
func TestNumbers(t *testing.T) {
	lines := madeUp(t, 3, 6000, 3, 10*24*time.Hour)
	db := newDatabase(t)
	db.load(t, lines...)
	requests := map[string]report.Request{
		"day":         named(t, report.Daily, "2026-01-03", "UTC"),
		"week":        named(t, report.Weekly, "2026-W02", "UTC"),
		"month":       named(t, report.Monthly, "2026-01", "UTC"),
		"Berlin":      named(t, report.Daily, "2026-01-04", "Europe/Berlin"),
		"Kathmandu":   named(t, report.Weekly, "2026-W01", "Asia/Kathmandu"),
		"New York":    named(t, report.Monthly, "2026-01", "America/New_York"),
		"nothing":     named(t, report.Daily, "2025-01-03", "UTC"),
		"custom":      {Type: report.Custom, From: at(t, "2026-01-02T00:00:00Z"), To: at(t, "2026-01-07T00:00:00Z"), Location: time.UTC, AsOf: at(t, "2030-01-01T00:00:00Z")},
		"in the past": {Type: report.Weekly, From: at(t, "2025-12-29T00:00:00Z"), To: at(t, "2026-01-05T00:00:00Z"), Location: time.UTC, AsOf: at(t, "2026-01-03T11:22:33.456Z")},
	}
	past := named(t, report.Daily, "2026-01-04", "Europe/Berlin")
	past.AsOf = at(t, "2026-01-03T23:40:00Z")
	requests["in the past, Berlin"] = past
	for name, r := range requests {
		for _, sensor := range []string{"", "sensor-02", "nobody"} {
			t.Run(name+" "+sensor, func(t *testing.T) {
				r.Sensor = sensor
				want := recount(t, lines, r)
				equal := func(how string, d *report.Document) {
					t.Helper()
					if diff := gocmp.Diff(want, whatEventsTell(d), cmpopts.EquateEmpty(), cmpopts.EquateApprox(0, 0.0015)); diff != "" {
						t.Errorf("%s:\n%s", how, diff)
					}
				}
				d, err := report.Build(t.Context(), readOnly{db.Store}, r)
				if err != nil {
					t.Fatal(err)
				}
				equal("kept by the loader", d)
				db.forget(t)
				d, err = report.Build(t.Context(), readOnly{db.Store}, r)
				if err != nil {
					t.Fatal(err)
				}
				equal("not kept", d)
				equal("first", db.report(t, r))
				equal("kept", db.report(t, r))
			})
		}
	}
}

// TestOrder: the same logs, in any order and in any portions, twice, make the same report,
// however many reports were made meanwhile.
func TestOrder(t *testing.T) {
	lines := madeUp(t, 5, 1500, 2, 4*24*time.Hour)
	requests := []report.Request{named(t, report.Weekly, "2026-W01", "UTC"), named(t, report.Daily, "2026-01-02", "Asia/Kolkata")}
	requests[1].Sensor = "sensor-01"
	var want []string
	in := newDatabase(t)
	in.load(t, lines...)
	for _, r := range requests {
		want = append(want, in.text(t, r))
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 3 {
		db := newDatabase(t)
		shuffled := slices.Clone(lines)
		rnd.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		for rest := shuffled; len(rest) > 0; {
			n := min(len(rest), 1+rnd.IntN(len(lines)/2))
			db.load(t, rest[:n]...)
			rest = rest[n:]
			for _, r := range requests {
				db.text(t, r)
			}
		}
		db.load(t, lines...)
		for i, r := range requests {
			if diff := gocmp.Diff(want[i], db.text(t, r)); diff != "" {
				t.Fatal(diff)
			}
		}
	}
}

// TestKept: what is kept of a day is used, and stays what the sessions add up to when they change.
func TestKept(t *testing.T) {
	lines := madeUp(t, 7, 800, 2, 48*time.Hour)
	var earlier, later [][]byte
	for i, line := range lines {
		if i%10 == 9 {
			later = append(later, line)
		} else {
			earlier = append(earlier, line)
		}
	}
	db := newDatabase(t)
	db.load(t, earlier...)
	r := named(t, report.Daily, "2026-01-02", "UTC")
	pieces := func() (n int) {
		if err := db.sql.QueryRow(`SELECT count(*) FROM session_sums WHERE day = '2026-01-02'`).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	byLoader := db.text(t, r)
	db.forget(t)
	if cold := db.text(t, r); cold != byLoader {
		t.Error(gocmp.Diff(cold, byLoader))
	}
	if n := pieces(); n != 2 { // of each sensor
		t.Fatalf("%d pieces were kept", n)
	}
	if warm := db.text(t, r); warm != byLoader {
		t.Error(gocmp.Diff(byLoader, warm))
	}
	db.load(t, later...)
	if n := pieces(); n != 4 {
		t.Errorf("%d pieces are there after a second load", n)
	}
	want := newDatabase(t)
	want.load(t, lines...)
	good := want.text(t, r)
	if got := db.text(t, r); got != good {
		t.Error(gocmp.Diff(good, got))
	}
	// What is kept is what is used.
	db.exec(t, `DELETE FROM session_sums WHERE sensor = 'sensor-02'`)
	one := r
	one.Sensor = "sensor-01"
	if got, want := db.report(t, r).Sessions.Total, db.report(t, one).Sessions.Total; got != want {
		t.Errorf("%d sessions; what was kept says %d", got, want)
	}
	// Another version is as nothing.
	db.exec(t, `UPDATE report_days SET version = 0`)
	d, err := report.Build(t.Context(), readOnly{db.Store}, r)
	if err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff(recount(t, lines, r), whatEventsTell(d), cmpopts.EquateEmpty(), cmpopts.EquateApprox(0, 0.0015)); diff != "" {
		t.Errorf("of another version: %s", diff)
	}
	if got := db.text(t, r); got != good {
		t.Errorf("of another version, made anew: %s", gocmp.Diff(good, got))
	}
	// Damage is told.
	for _, damage := range []string{`UPDATE session_sums SET body = sensor_days.quarters FROM sensor_days WHERE session_sums.day = '2026-01-02'`,
		`UPDATE session_sums SET body = ` + storetest.Dialect(`x''`, `''`) + ` WHERE day = '2026-01-02'`} {
		db.exec(t, damage)
		_, err := report.Build(t.Context(), db, r)
		if err == nil || !strings.Contains(err.Error(), "midden verify --repair") || !strings.Contains(err.Error(), "2026-01-02") || !strings.Contains(err.Error(), `"sensor-01"`) {
			t.Errorf("after %s: %v", damage, err)
		}
	}
	db.forget(t)
	if got := db.text(t, r); got != good {
		t.Errorf("without what was damaged: %s", gocmp.Diff(good, got))
	}
}

// TestKeptOfBothDays: a session that turns out to have begun on an earlier day is on that one.
func TestKeptOfBothDays(t *testing.T) {
	db := newDatabase(t)
	db.load(t, typing("s", "2026-03-10T00:00:01Z", "id")...)
	count := func() (n [2]int64) {
		for i, date := range []string{"2026-03-09", "2026-03-10"} {
			n[i] = db.report(t, named(t, report.Daily, date, "UTC")).Sessions.Total
		}
		return n
	}
	if n := count(); n != [2]int64{0, 1} {
		t.Errorf("sessions by day: %d", n)
	}
	db.load(t, typing("s", "2026-03-09T23:59:59Z", "id")...)
	if n := count(); n != [2]int64{1, 0} {
		t.Errorf("sessions by day, with the earlier event: %d", n)
	}
}

// TestClaims: what is made of a day is kept for the last claim alone, and only if the day
// has not changed since.
func TestClaims(t *testing.T) {
	db := newDatabase(t)
	day := at(t, "2026-03-10T00:00:00Z")
	if claim, err := db.ClaimDays(t.Context(), []cowrie.Time{day}); claim != nil || err != nil {
		t.Errorf("a day without sessions is claimed, %v", err)
	}
	if days := db.sound(t); len(days) != 1 {
		t.Errorf("%q are kept", days)
	}
	db.load(t, typing("r", "2026-03-10T00:00:01Z", "id")...)
	db.forget(t)
	claim := func() []byte {
		t.Helper()
		claim, err := db.ClaimDays(t.Context(), []cowrie.Time{day})
		if err != nil {
			t.Fatal(err)
		}
		return claim
	}
	keep := func(claim []byte, body string, want string) {
		t.Helper()
		if err := db.KeepDay(t.Context(), claim, day, map[string][]byte{"": []byte(body)}); err != nil {
			t.Fatal(err)
		}
		v, err := db.View(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer v.Close()
		got := ""
		kept, err := v.SessionSums(t.Context(), cowrie.DayKey{Day: day}, func(sensor string, pieces [][]byte) error {
			got += sensor + string(bytes.Join(pieces, nil))
			return nil
		})
		if err != nil || got != want || kept != (want != "") {
			t.Errorf("%q is kept (%v, %v), want %q", got, kept, err, want)
		}
	}
	first := claim()
	second := claim()
	keep(first, "stale", "")
	keep(second, "true", "true")
	if third := claim(); third != nil {
		t.Error("what is kept was claimed")
	}
	db.load(t, typing("s", "2026-03-10T00:00:01Z", "id")...)
	db.forget(t)
	fourth := claim()
	db.load(t, typing("t", "2026-03-10T00:00:01Z", "id")...)
	keep(fourth, "stale again", "")
}

// changing is a store in which somebody loads a line as soon as a report looks at it.
type changing struct {
	*database
	t    *testing.T
	line []byte
}

func (c *changing) View(ctx context.Context) (*store.View, error) {
	v, err := c.Store.View(ctx)
	if c.line != nil {
		c.load(c.t, c.line)
		c.line = nil
	}
	return v, err
}

// TestKeptMeanwhile: a day that changes while a report is made is not kept, and the report
// is of one moment.
func TestKeptMeanwhile(t *testing.T) {
	lines := madeUp(t, 8, 400, 1, 24*time.Hour)
	line := bytes.Clone(lines[200])
	db := newDatabase(t)
	db.load(t, slices.Delete(slices.Clone(lines), 200, 201)...)
	r := named(t, report.Daily, "2026-01-01", "UTC")
	before := recount(t, slices.Delete(slices.Clone(lines), 200, 201), r)
	d, err := report.Build(t.Context(), &changing{db, t, line}, r)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		want, got *report.Document
	}{{before, d}, {recount(t, lines, r), db.report(t, r)}} {
		if diff := gocmp.Diff(tt.want, whatEventsTell(tt.got), cmpopts.EquateEmpty(), cmpopts.EquateApprox(0, 0.0015)); diff != "" {
			t.Error(diff)
		}
	}
}

// TestWhileLoading: a report that is made while somebody loads agrees with itself: all of
// it is of one moment.
func TestWhileLoading(t *testing.T) {
	lines := madeUp(t, 11, 3000, 2, 48*time.Hour)
	db := newDatabase(t)
	other := &database{storetest.Open(t, db.name), db.name, nil}
	loaded := make(chan struct{})
	go func() {
		defer close(loaded)
		for rest := lines; len(rest) > 0; rest = rest[min(60, len(rest)):] {
			other.load(t, rest[:min(60, len(rest))]...)
		}
	}()
	r := named(t, report.Weekly, "2026-W01", "UTC")
	defer func() { <-loaded }()
	for loading := true; loading; {
		select {
		case <-loaded:
			loading = false
		default:
		}
		d := db.report(t, r)
		var events, sessions, logins, transfers int64
		for _, day := range d.Days {
			events += day.Events
			sessions += day.Sessions
			logins += day.Logins
			transfers += day.Transfers
		}
		type numbers struct{ sessions, logins, transfers int64 }
		ofSessions := numbers{d.Sessions.Total, d.Sessions.LoginAttempts, d.Sessions.FileDownloads + d.Sessions.FileUploads}
		for what, got := range map[string]numbers{
			"days":   {sessions, logins, transfers},
			"events": {d.Sessions.Total, d.Logins.Attempts, d.Files.Downloads + d.Files.Uploads},
		} {
			if got != ofSessions {
				t.Fatalf("sessions say %+v, %s %+v", ofSessions, what, got)
			}
		}
		if !loading && events != int64(len(lines)) {
			t.Errorf("%d of %d events", events, len(lines))
		}
	}
}
