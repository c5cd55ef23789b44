package backfill_test

import (
	"testing"
	"time"

	"midden/internal/backfill"
	"midden/internal/cowrie"
	"midden/internal/report"
	"midden/internal/synth/cowrieprocessor"
)

// TestSumsOfDays: what sessions of a day add up to is kept as soon as compact has moved all raw
// events, and counts for nothing while cowrieprocessor is at work again.
func TestSumsOfDays(t *testing.T) {
	t.Parallel()
	db := open(t, faulty.copy(t))
	kept := func() int64 { return db.int(t, `SELECT count(*) FROM report_days WHERE maker IS NULL`) }
	const days = 31 + 31 // of the month, and of the one before
	day := cowrie.FromStd(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	told := func() {
		t.Helper()
		r, err := report.Named(report.Monthly, "2026-01", time.UTC)
		if err != nil {
			t.Fatal(err)
		}
		d, err := report.Build(t.Context(), db, r)
		if err != nil {
			t.Fatal(err)
		}
		if want := db.int(t, `SELECT count(*) FROM session_summaries WHERE first_event_at LIKE '2026-01-%'`); d.Sessions.Total != want || want == 0 {
			t.Errorf("%d sessions are told of %d", d.Sessions.Total, want)
		}
	}
	claim := func() []byte {
		t.Helper()
		claim, err := db.ClaimDays(t.Context(), []cowrie.Time{day})
		if err != nil {
			t.Fatal(err)
		}
		return claim
	}
	sound := func() {
		t.Helper()
		if gaps := db.gaps(t); gaps != nil {
			t.Errorf("gaps: %q", gaps)
		}
	}
	db.backfill(t, backfill.Options{})
	db.load(t, "other", otherLog())
	if told(); kept() != 0 {
		t.Error("days are kept beside raw events")
	}
	db.compact(t)
	early := claim()
	if told(); kept() != days || early == nil {
		t.Errorf("after compact %d days are kept", kept())
	}
	sound()
	db.load(t, "later", []byte(at("later", `"2026-01-01T03:04:05Z"`)+"\n"))
	if told(); kept() != days {
		t.Errorf("after a load %d days are kept", kept())
	}
	sound()

	atWork := func(session string) {
		t.Helper()
		log := [][]byte{[]byte(at(session, `"2026-01-01T05:04:05Z"`)), []byte(at("later", `"2025-12-31T05:04:05Z"`))}
		if err := cowrieprocessor.Load(t.Context(), db.sql, session, log, cowrieprocessor.LoadOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	atWork("again")
	if told(); claim() != nil {
		t.Error("a day is claimed beside raw events")
	}
	db.load(t, "beside", []byte(at("beside", `"2026-01-01T06:04:05Z"`)+"\n"))
	if told(); kept() != days-1 {
		t.Errorf("%d days are kept: a loader is to forget the day that it changed", kept())
	}
	db.backfill(t, backfill.Options{})
	db.compact(t)
	if n := db.int(t, `SELECT count(*) FROM session_sums`); n != 0 || kept() != 0 {
		t.Errorf("of %d days something is left, %d are kept", n, kept())
	}
	if told(); kept() != days {
		t.Errorf("after the second compact %d days are kept", kept())
	}
	sound()

	db.exec(t, `DELETE FROM report_days`)
	late := claim()
	atWork("meanwhile")
	if err := db.KeepDay(t.Context(), late, day, map[string][]byte{"": []byte("stale")}); err != nil || late == nil || kept() != 0 {
		t.Errorf("%d days are kept that changed, %v", kept(), err)
	}
	told()
}
