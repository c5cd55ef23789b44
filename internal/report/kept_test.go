package report_test

import (
	"math/rand/v2"
	"regexp"
	"slices"
	"testing"
	"time"

	"midden/internal/cowrie"
	"midden/internal/report"
	"midden/internal/store/storetest"
)

// sound fails the test unless what is kept of days is what their sessions add up to, in few
// pieces. It returns the days.
func (db *database) sound(t testing.TB) (days []string) {
	t.Helper()
	storetest.Sums(t, db.Store)
	for _, row := range storetest.Rows(t, db.sql, `SELECT day, sensor, level, count(*) FROM session_sums GROUP BY day, sensor, level HAVING count(*) > 7`) {
		t.Errorf("too many pieces: %s", row)
	}
	for _, row := range storetest.Rows(t, db.sql, `SELECT day FROM report_days WHERE maker IS NULL ORDER BY day`) {
		days = append(days, row[0])
	}
	for _, row := range storetest.Rows(t, db.sql, `SELECT day FROM session_sums WHERE day NOT IN (SELECT day FROM report_days WHERE maker IS NULL)`) {
		t.Errorf("pieces of a day that is not kept: %s", row)
	}
	return days
}

// begun are the days on which sessions began.
func (db *database) begun(t testing.TB) (days []string) {
	t.Helper()
	for _, row := range storetest.Rows(t, db.sql, `SELECT first_event_at FROM session_summaries`) {
		days = append(days, row[0][:len(time.DateOnly)])
	}
	slices.Sort(days)
	return slices.Compact(days)
}

var sessionID = regexp.MustCompile(`"session": ?"(..)[^"]*"`)

// TestLoaderKeeps: in whatever order and portions logs are loaded, what is kept of each day is
// what its sessions add up to, though sessions go on, turn out to have begun on another day, and
// share their ids, whether their day was kept, claimed or forgotten meanwhile.
func TestLoaderKeeps(t *testing.T) {
	lines := madeUp(t, 13, 1200, 2, 4*24*time.Hour)
	for i, line := range lines {
		if i%3 == 0 { // many events of few sessions
			lines[i] = sessionID.ReplaceAll(line, []byte(`"session":"$1"`))
		}
	}
	rnd := rand.New(rand.NewPCG(4, 5))
	rnd.Shuffle(len(lines), func(i, j int) { lines[i], lines[j] = lines[j], lines[i] })
	db := newDatabase(t)
	for _, portion := range [][][]byte{typing("m", "2026-01-04T10:00:00Z", "id", "only here"), {download("m", "2026-01-03T10:00:00Z", 1)},
		typing("m", "2026-01-01T10:00:00Z", "id")} {
		lines = append(lines, portion...)
		db.load(t, portion...)
		db.sound(t)
		// What cowrieprocessor said of a session goes with it.
		db.exec(t, `UPDATE session_summaries SET dshield_flagged = TRUE`)
		db.forget(t)
		db.report(t, named(t, report.Weekly, "2026-W01", "UTC"))
	}
	db.exec(t, `UPDATE session_summaries SET dshield_flagged = FALSE`)
	db.forget(t)
	db.report(t, named(t, report.Weekly, "2026-W01", "UTC"))
	week := named(t, report.Weekly, "2026-W01", "UTC")
	forgot := false
	for rest, n := lines, 0; len(rest) > 0; n++ {
		portion := rest[:min(len(rest), 1+rnd.IntN(40))]
		rest = rest[len(portion):]
		switch n % 20 {
		case 17:
			db.exec(t, `DELETE FROM report_days WHERE day = '2026-01-02'`)
			db.exec(t, `DELETE FROM session_sums WHERE day = '2026-01-02'`)
			forgot = true
		case 18: // a report is at work
			if claim, err := db.ClaimDays(t.Context(), []cowrie.Time{at(t, "2026-01-02T00:00:00Z")}); claim == nil || err != nil {
				t.Fatal(claim, err)
			}
		case 19:
			db.report(t, week)
			forgot = false
		}
		db.load(t, portion...)
		kept, begun := db.sound(t), db.begun(t)
		if forgot {
			begun = slices.DeleteFunc(begun, func(day string) bool { return day == "2026-01-02" })
		}
		for _, day := range begun {
			if !slices.Contains(kept, day) {
				t.Fatalf("after %d loads %s is not kept, but %q", n+1, day, kept)
			}
		}
		if forgot && slices.Contains(kept, "2026-01-02") {
			t.Fatalf("after %d loads a day is kept of which not all was counted", n+1)
		}
		if t.Failed() {
			t.FailNow()
		}
	}
	want := newDatabase(t)
	want.load(t, lines...)
	if got, want := db.text(t, week), want.text(t, week); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	if levels := storetest.Rows(t, db.sql, `SELECT DISTINCT level FROM session_sums WHERE level > 0`); len(levels) == 0 {
		t.Error("no pieces became one")
	}
}

// TestLoaderForgets: what is damaged, or of another version, a loader forgets.
func TestLoaderForgets(t *testing.T) {
	for name, damage := range map[string]string{
		"damage":          `UPDATE session_sums SET body = ` + storetest.Dialect(`x'00'`, `'\x00'`),
		"another version": `UPDATE report_days SET version = 0`,
	} {
		t.Run(name, func(t *testing.T) {
			db := newDatabase(t)
			load := func(n int) {
				for i := range n {
					db.load(t, typing("s", "2026-03-10T00:00:01Z", slices.Repeat([]string{"id"}, i+1)...)...)
				}
			}
			load(7)
			if days := db.sound(t); !slices.Equal(days, []string{"2026-03-10"}) {
				t.Fatalf("%q are kept", days)
			}
			db.exec(t, damage)
			load(10)
			if days := db.sound(t); len(days) != 0 {
				t.Errorf("%q are kept", days)
			}
			db.report(t, named(t, report.Daily, "2026-03-10", "UTC"))
			if days := db.sound(t); !slices.Contains(days, "2026-03-10") {
				t.Errorf("%q are kept", days)
			}
		})
	}
}
