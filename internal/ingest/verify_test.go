package ingest_test

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"midden/internal/backfill"
	"midden/internal/cowrie"
	"midden/internal/ingest"
	"midden/internal/store"
)

// days verifies, with or without putting gaps right, and returns those of days.
func (db *database) days(t *testing.T, mend func(context.Context, *cowrie.Mend) error) (v *backfill.Verification, gaps []string) {
	t.Helper()
	snapshot, err := db.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer snapshot.Close()
	v, err = backfill.Verify(t.Context(), snapshot, backfill.VerifyOptions{Mend: mend}, func(g backfill.Gap) error {
		if g.What != "days" || g.Mended != (mend != nil) {
			t.Errorf("%+v", g)
		}
		_, what, _ := strings.Cut(g.Detail, ": ")
		gaps = append(gaps, fmt.Sprintf("%s: %d, not %d: %s", g.Where, g.Found, g.Expected, what))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return v, gaps
}

// TestVerifyDays: what is counted of days for reports is what their events say, or it is
// told and counted anew.
func TestVerifyDays(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	login := `{"eventid":"cowrie.login.failed","session":%q,"sensor":%q,"username":"root","password":%q,"timestamp":%q}` + "\n"
	failed := `{"eventid":"cowrie.session.file_download.failed","session":%q,"sensor":%q,"timestamp":%q}` + "\n"
	dir := t.TempDir()
	write(t, filepath.Join(dir, "cowrie.json"), fmt.Appendf(nil, login+login+login+failed+login,
		"a", "one", "x", "2026-01-01T01:00:00Z",
		"a", "one", "x", "2026-01-01T01:01:00Z",
		"b", "two", "y", "2026-01-01T02:00:00Z",
		"b", "two", "2026-01-01T03:00:00Z",
		"c", "one", "x", "2026-01-02T01:00:00Z"))
	db.load(t, dir)
	write(t, filepath.Join(dir, "nameless.json"), []byte(`{"eventid":"cowrie.login.failed","session":"d","username":"root","password":"z","timestamp":"2026-01-03T01:00:00Z"}`+"\n"+
		`{"eventid":"cowrie.login.success","session":"e","sensor":"one","username":"root","password":"z","timestamp":"2026-01-03T02:00:00Z"}`+"\n"))
	if _, err := ingest.Load(t.Context(), db.Store, []string{dir}, ingest.Options{Log: quiet, Sensor: "told"}); err != nil {
		t.Fatal(err)
	}
	if v, gaps := db.days(t, nil); gaps != nil || v.Days != 3 || v.Uncompared != 0 {
		t.Fatalf("before: %q, %+v", gaps, v)
	}
	want := db.dump(t)
	for _, c := range []struct {
		sql  string
		gaps []string
	}{
		{`UPDATE sensor_days SET events = events + 1 WHERE day = '2026-01-01' AND sensor = 'one'`, []string{"2026-01-01, one: 3, not 2: events"}},
		{`UPDATE sensor_days SET failed_transfers = 0`, []string{"2026-01-01, two: 2, not 2: failed transfers"}},
		{`UPDATE sensor_days SET last_event_at = '2026-01-01T01:00:00.000000Z' WHERE sensor = 'one' AND day = '2026-01-01'`, []string{"2026-01-01, one: 2, not 2: last event"}},
		{`UPDATE sensor_days SET quarters = (SELECT quarters FROM sensor_days WHERE sensor = 'two') WHERE day = '2026-01-02'`,
			[]string{"2026-01-02, one: 1, not 1: quarters of an hour"}},
		{`UPDATE login_stats SET attempts = 1 WHERE day = '2026-01-01'`, []string{"2026-01-01, one: 2, not 2: logins"}},
		{`UPDATE login_stats SET successes = 1 WHERE day = '2026-01-02'`, []string{"2026-01-02, one: 1, not 1: logins"}},
		{`UPDATE login_stats SET password = 'other' WHERE day = '2026-01-02'`, []string{"2026-01-02, one: 1, not 1: logins"}},
		{`UPDATE login_stats SET sensor = 'two' WHERE day = '2026-01-02'`, []string{"2026-01-02, one: 1, not 1: logins", "2026-01-02, two: 0, not 0: logins"}},
		{`DELETE FROM sensor_days WHERE day = '2026-01-02'`, []string{"2026-01-02, one: 0, not 1: events, last event, quarters of an hour"}},
		{`INSERT INTO login_stats (day, sensor, username, password, attempts, successes) VALUES ('2026-02-01', 'one', 'u', 'p', 1, 0)`,
			[]string{"2026-02-01, one: 0, not 0: logins"}},
		// Which sensor it was that the loader was told, its events do not say.
		{`UPDATE sensor_days SET events = events + 1 WHERE sensor = 'told'`, []string{"2026-01-03, all sensors: 3, not 2: events"}},
		{`DELETE FROM login_stats WHERE sensor = 'told'`, []string{"2026-01-03, all sensors: 2, not 2: logins"}},
	} {
		if _, err := db.sql.ExecContext(t.Context(), c.sql); err != nil {
			t.Fatal(err)
		}
		if _, gaps := db.days(t, nil); !slices.Equal(gaps, c.gaps) {
			t.Errorf("%s: %q", c.sql, gaps)
		}
		db.days(t, db.Mend)
		if _, gaps := db.days(t, nil); gaps != nil {
			t.Errorf("%s, after it was put right: %q", c.sql, gaps)
		}
		if diff := cmp.Diff(want, db.dump(t)); diff != "" {
			t.Errorf("%s, after it was put right: %s", c.sql, diff)
		}
	}
}

// TestVerifyEndsOfTime: the first day and the last are compared and counted anew, too, and
// nothing is older than what is too old for a text.
func TestVerifyEndsOfTime(t *testing.T) {
	t.Parallel()
	db, dir := newDatabase(t), t.TempDir()
	var log []byte
	for _, when := range []string{"0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z"} {
		log = fmt.Appendf(log, `{"eventid":"cowrie.login.failed","session":"%s","sensor":"one","username":"root","password":"x","timestamp":"%[1]s"}`+"\n", when)
	}
	write(t, filepath.Join(dir, "cowrie.json"), log)
	db.load(t, dir)
	want := db.dump(t)
	if _, err := db.sql.ExecContext(t.Context(), `UPDATE sensor_days SET events = 0`); err != nil {
		t.Fatal(err)
	}
	for _, mend := range []func(context.Context, *cowrie.Mend) error{nil, db.Mend} {
		if _, gaps := db.days(t, mend); !slices.Equal(gaps, []string{"0001-01-01, one: 0, not 1: events", "9999-12-31, one: 0, not 1: events"}) {
			t.Errorf("%q", gaps)
		}
	}
	ages := cowrie.FromStd(time.Date(-7973, 1, 1, 0, 0, 0, 0, time.UTC))
	if d, err := db.ToDrop(t.Context(), ages); err != nil || d.Segments != 0 {
		t.Errorf("%+v, %v", d, err)
	}
	if err := db.Retain(t.Context(), ages, func(d store.Dropped) { t.Errorf("%+v", d) }); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff(want, db.dump(t)); diff != "" {
		t.Error(diff)
	}
}

// TestVerifyDropped: of days of which events were dropped nothing is compared, and
// nothing counted anew.
func TestVerifyDropped(t *testing.T) {
	t.Parallel()
	dir, _ := oldLogs(t)
	db := newDatabase(t)
	db.load(t, dir)
	all, _ := db.days(t, nil)
	if err := db.Retain(t.Context(), cowrie.FromStd(time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)), func(store.Dropped) {}); err != nil {
		t.Fatal(err)
	}
	want := db.dump(t)
	v, gaps := db.days(t, nil)
	if gaps != nil || v.Uncompared == 0 || v.Days == 0 || v.Days+v.Uncompared != all.Days {
		t.Errorf("%q, %+v of %d days", gaps, v, all.Days)
	}
	if err := db.Mend(t.Context(), &cowrie.Mend{Days: []cowrie.Time{cowrie.FromStd(time.Date(2026, 1, 20, 0, 0, 0, 0, time.UTC))}}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, db.dump(t)); diff != "" {
		t.Errorf("a day of which events are gone was counted anew: %s", diff)
	}
}
