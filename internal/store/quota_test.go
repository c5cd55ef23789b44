package store_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"midden/internal/cowrie"
	"midden/internal/store/storetest"
)

const quotaAccount = "virustotal 0123456789ab"

// noon is when simulated clocks begin: no day or month ends near it.
var noon = time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC)

func (db *database) reserve(t testing.TB, now time.Time, lim cowrie.Limits, keep int64) cowrie.Grant {
	t.Helper()
	g, err := db.Reserve(t.Context(), quotaAccount, now, lim, keep)
	if err != nil {
		t.Fatal(err)
	}
	if g.OK != (g.Period == "") || !g.OK && g.Until == cowrie.NoTime {
		t.Fatalf("a grant that says both or neither: %+v", g)
	}
	return g
}

// drain takes what is granted at a moment, at most so much.
func (db *database) drain(t testing.TB, now time.Time, lim cowrie.Limits, most int) (granted int) {
	t.Helper()
	for granted < most && db.reserve(t, now, lim, 0).OK {
		granted++
	}
	return granted
}

func (db *database) used(t testing.TB, now time.Time, lim cowrie.Limits) *cowrie.Usage {
	t.Helper()
	u, err := db.Usage(t.Context(), quotaAccount, now, lim)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// ledger is all that the ledger has.
func (db *database) ledger(t testing.TB) string {
	t.Helper()
	rows, err := db.asTexts(t).QueryContext(t.Context(), `SELECT 'q ' || account || period || starts_at || ' ' || used FROM quota
		UNION ALL SELECT 'r ' || account || second || ' ' || requests FROM quota_requests
		UNION ALL SELECT 'l ' || account || per_minute || '/' || per_day || '/' || per_month || told_at FROM quota_limits ORDER BY 1`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var out []string
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			t.Fatal(err)
		}
		out = append(out, s)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return strings.Join(out, "\n")
}

// window returns how many of the times are in any span of this length; of two that
// are exactly that far apart only one is.
func window(times []time.Time, span time.Duration) (most int) {
	slices.SortFunc(times, time.Time.Compare)
	first := 0
	for i, at := range times {
		for at.Sub(times[first]) >= span {
			first++
		}
		most = max(most, i-first+1)
	}
	return most
}

// per counts the times of each period.
func per(times []time.Time, layout string) (most int64) {
	n := map[string]int64{}
	for _, at := range times {
		key := at.UTC().Format(layout)
		n[key]++
		most = max(most, n[key])
	}
	return most
}

// TestReserveProperty: whatever comes when, from several processes that end and
// begin again, no 60 seconds, no day and no month see more than they may; and what
// may be is granted.
func TestReserveProperty(t *testing.T) {
	t.Parallel()
	for seed := range uint64(8) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			rng := rand.New(rand.NewPCG(seed, 7))
			path := storetest.Name(t)
			stores := []*database{open(t, path), open(t, path), open(t, path)}
			lim := cowrie.Limits{Minute: 1 + rng.Int64N(6), Day: 5 + rng.Int64N(40), Month: 40 + rng.Int64N(60)}
			if seed%4 == 3 {
				lim.Day = 0 // none
			}
			now := time.Date(2026, 1, 30, 23, 50, 0, 0, time.UTC).Add(time.Duration(rng.Int64N(int64(5 * time.Minute))))
			var granted []time.Time
			waits := map[cowrie.QuotaPeriod]int{}
			for range 220 {
				switch rng.IntN(10) {
				case 0:
					now = now.Add(time.Duration(rng.Int64N(int64(9 * time.Hour))))
				case 1, 2, 3:
					now = now.Add(time.Duration(rng.Int64N(int64(70 * time.Second))))
				default:
					now = now.Add(time.Duration(rng.Int64N(int64(3 * time.Second))))
				}
				i := rng.IntN(len(stores))
				if rng.IntN(60) == 0 { // it ends, and another one begins
					if err := stores[i].Close(); err != nil {
						t.Fatal(err)
					}
					stores[i] = open(t, path)
				}
				g := stores[i].reserve(t, now, lim, 0)
				if g.OK {
					granted = append(granted, now)
					continue
				}
				waits[g.Period]++
				if until := g.Until.Std(); !until.After(now) {
					t.Fatalf("it is to wait until %v, and it is %v", until, now)
				} else if rng.IntN(3) == 0 && g.Period == cowrie.PerMinute {
					// Until is right: then there is one, and just before there is none.
					if early := stores[i].reserve(t, until.Add(-2*time.Microsecond), lim, 0); early.OK {
						t.Fatalf("before %v there was one", until)
					}
					now = until
					if g := stores[i].reserve(t, now, lim, 0); g.OK {
						granted = append(granted, now)
					} else if g.Period == cowrie.PerMinute {
						t.Fatalf("at %v there was none: %+v", until, g)
					}
				}
			}
			if n := window(granted, time.Minute); int64(n) > lim.Minute {
				t.Errorf("%d requests in a minute of %d", n, lim.Minute)
			}
			if n := per(granted, "2006-01-02"); lim.Day > 0 && n > lim.Day {
				t.Errorf("%d requests on a day of %d", n, lim.Day)
			}
			if n := per(granted, "2006-01"); n > lim.Month {
				t.Errorf("%d requests in a month of %d", n, lim.Month)
			}
			if len(granted) < 40 || waits[cowrie.PerMinute] == 0 {
				t.Errorf("%d granted, and %v waits, are too few to show anything", len(granted), waits)
			}
			u := stores[0].used(t, now, lim)
			var day, month int64
			for _, at := range granted {
				if at.Format("2006-01") == now.Format("2006-01") {
					month++
				}
				if at.Format("2006-01-02") == now.Format("2006-01-02") {
					day++
				}
			}
			if u.UsedDay != day || u.UsedMonth != month {
				t.Errorf("%d of the day and %d of the month are used, says the ledger; %d and %d were granted", u.UsedDay, u.UsedMonth, day, month)
			}
		})
	}
}

// TestReserveAtOnce: goroutines of several stores that ask at the same moment.
func TestReserveAtOnce(t *testing.T) {
	t.Parallel()
	path := storetest.Name(t)
	stores := []*database{open(t, path), open(t, path), open(t, path)}
	for i, lim := range []cowrie.Limits{{Minute: 7}, {Day: 9}, {Month: 11}, {Minute: 20, Day: 15, Month: 13}} {
		now := noon.AddDate(0, i, 0)
		want := slices.Min(slices.DeleteFunc([]int64{lim.Minute, lim.Day, lim.Month}, func(n int64) bool { return n == 0 }))
		var mu sync.Mutex
		var all sync.WaitGroup
		var granted int64
		for g := range 9 {
			all.Go(func() {
				for range 4 {
					g, err := stores[g%3].Reserve(t.Context(), quotaAccount, now, lim, 0)
					if err != nil {
						t.Error(err)
					} else if g.OK {
						mu.Lock()
						granted++
						mu.Unlock()
					}
				}
			})
		}
		all.Wait()
		if granted != want {
			t.Errorf("%+v: %d of 36 were granted, want %d", lim, granted, want)
		}
	}
}

// TestReserveNoLimit: 0 is no limit, but is counted all the same.
func TestReserveNoLimit(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	if n := db.drain(t, noon, cowrie.Limits{}, 50); n != 50 {
		t.Errorf("%d were granted", n)
	}
	if u := db.used(t, noon, cowrie.Limits{Minute: 4}); u.UsedDay != 50 || u.UsedMonth != 50 || u.UsedMinute != 50 || u.MinuteFree == cowrie.NoTime {
		t.Errorf("used: %+v", u)
	}
	// What is older than a minute is forgotten one by one, and counted in the day.
	db.drain(t, noon.Add(2*time.Minute), cowrie.Limits{}, 1)
	if n := db.text(t, `SELECT requests FROM quota_requests`); n != "1" {
		t.Errorf("%s requests are kept", n)
	}
	if u := db.used(t, noon.Add(2*time.Minute), cowrie.Limits{}); u.UsedDay != 51 || u.UsedMinute != 1 {
		t.Errorf("used: %+v", u)
	}
}

// TestReserveKeeps: what is kept of the day is left to those that keep nothing.
func TestReserveKeeps(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	lim := cowrie.Limits{Day: 10}
	for i := range 8 {
		if !db.reserve(t, noon, lim, 2).OK {
			t.Fatalf("the %dth was not granted", i+1)
		}
	}
	if g := db.reserve(t, noon, lim, 2); g.OK || g.Period != cowrie.PerDay || g.Until.Std() != noon.Add(12*time.Hour) {
		t.Errorf("%+v", g)
	}
	if n := db.drain(t, noon, lim, 5); n != 2 {
		t.Errorf("%d were left", n)
	}
	if g := db.reserve(t, noon.AddDate(0, 0, 1), lim, 20); g.OK { // more than there is
		t.Errorf("%+v", g)
	}
}

// TestPeriods: days and months are those of UTC, whatever the zone of a clock.
func TestPeriods(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	lim := cowrie.Limits{Day: 2, Month: 5}
	far := time.FixedZone("far", 13*3600)
	west := time.FixedZone("west", -11*3600)
	leap := time.Date(2028, 2, 28, 23, 59, 59, 999999000, time.UTC)
	for _, c := range []struct {
		at      time.Time
		granted int
		period  cowrie.QuotaPeriod
		until   string
	}{
		{leap.In(far), 2, cowrie.PerDay, "2028-02-29T00:00:00.000000Z"},
		{leap.Add(time.Microsecond).In(west), 2, cowrie.PerDay, "2028-03-01T00:00:00.000000Z"},
		{leap.Add(24 * time.Hour), 0, cowrie.PerDay, "2028-03-01T00:00:00.000000Z"},
		{leap.Add(24*time.Hour + time.Microsecond).In(west), 2, cowrie.PerDay, "2028-03-02T00:00:00.000000Z"},
		{leap.Add(49 * time.Hour), 2, cowrie.PerDay, "2028-03-03T00:00:00.000000Z"},
		{leap.Add(73 * time.Hour), 1, cowrie.PerMonth, "2028-04-01T00:00:00.000000Z"},
		{leap.Add(200 * time.Hour), 0, cowrie.PerMonth, "2028-04-01T00:00:00.000000Z"},
		{time.Date(2028, 12, 31, 23, 0, 0, 0, time.UTC), 2, cowrie.PerDay, "2029-01-01T00:00:00.000000Z"},
	} {
		if n := db.drain(t, c.at, lim, 3); n != c.granted {
			t.Errorf("%v: %d granted, want %d", c.at.UTC(), n, c.granted)
		}
		if g := db.reserve(t, c.at, lim, 0); g.OK || g.Period != c.period || g.Until.String() != c.until {
			t.Errorf("%v: %+v until %v, want the %s until %s", c.at.UTC(), g, g.Until, c.period, c.until)
		}
	}
}

// TestClockJumps writes down what the ledger promises for a clock that is set.
// It knows only what it is told for the time: set back, what was counted for the
// last minute counts as of now; on a day or in a month in which it was before it
// goes on counting. Set forward it forgets the last minute, and when it is set
// back, what it forgot is gone: then 60 seconds by another clock can see twice as
// much, and a day that is not today's is used up in place of today's. That is why
// midden goes by the clock of the source.
func TestClockJumps(t *testing.T) {
	t.Parallel()
	lim := cowrie.Limits{Minute: 4, Day: 10, Month: 30}
	decade := 3653 * 24 * time.Hour
	for _, jump := range []time.Duration{time.Second, 4 * time.Second, 6 * time.Second, time.Minute, time.Hour, 24 * time.Hour, decade} {
		db := newDatabase(t)
		// Set back.
		if n := db.drain(t, noon, lim, 9); n != 4 {
			t.Fatalf("%d granted", n)
		}
		back := noon.Add(-jump)
		if g := db.reserve(t, back, lim, 0); g.OK || g.Period != cowrie.PerMinute {
			t.Errorf("%v back: %+v", jump, g)
		} else if wait := g.Until.Std().Sub(back); wait > quotaMinute+5*time.Second {
			t.Errorf("%v back: it is to wait for %v", jump, wait)
		}
		// It does not wait for ever, however often it is asked meanwhile.
		for s := range 10 {
			db.reserve(t, back.Add(time.Duration(s)*6*time.Second), lim, 0)
		}
		if n := db.drain(t, back.Add(70*time.Second), lim, 9); n != 4 {
			t.Errorf("%v back, a minute later: %d granted", jump, n)
		}
		// And forward again, to where it was: that day goes on.
		if n := db.drain(t, noon.Add(2*time.Minute), lim, 9); n != 4 && jump >= 24*time.Hour || n > 4 {
			t.Errorf("%v back and forth: %d granted", jump, n)
		}
		today := db.used(t, noon.Add(2*time.Minute), lim)
		if jump == decade || jump == 24*time.Hour {
			if today.UsedDay != 8 {
				t.Errorf("%v back and forth: %d of the day are used, want 8", jump, today.UsedDay)
			}
		} else if today.UsedDay > 10 {
			t.Errorf("%v back and forth: %d of the day are used", jump, today.UsedDay)
		}

		// Set forward and back at once: at the most twice as much in what another
		// clock takes for a minute.
		db = newDatabase(t)
		n := db.drain(t, noon, lim, 9)
		n += db.drain(t, noon.Add(jump), lim, 9)
		n += db.drain(t, noon.Add(time.Second), lim, 9)
		if n > 8 {
			t.Errorf("%v forth and back: %d granted in a second", jump, n)
		}
		if jump < quotaMinute && n > 4 {
			t.Errorf("%v forth and back: %d granted in a second", jump, n)
		}
		if n := db.drain(t, noon.Add(70*time.Second), lim, 9); n > 4 {
			t.Errorf("%v forth and back, a minute later: %d granted", jump, n)
		}
	}
	// A clock that goes back and forth all the time gets no more than one of them
	// would: each setting is another day, which has its own quota.
	db := newDatabase(t)
	total := 0
	for i := range 40 {
		total += db.drain(t, noon.Add(time.Duration(i)*2*time.Minute+time.Duration(i%2)*decade), lim, 9)
	}
	if total > 20 {
		t.Errorf("%d granted on two days of 10", total)
	}
}

// quotaMinute is how long the ledger remembers each request.
const quotaMinute = 62 * time.Second

// TestFromTheFuture: requests that were noted by a clock that was wrong count as
// made now, and no longer than a minute.
func TestFromTheFuture(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	lim := cowrie.Limits{Minute: 4}
	for _, at := range []string{"2099-01-01T00:00:00.000000Z", "2026-03-14T12:00:30.000000Z", "9999-12-31T23:59:59.999999Z"} {
		db.exec(t, `INSERT INTO quota_requests (account, second, requests) VALUES (?, ?, 1)`, quotaAccount, at)
	}
	db.exec(t, `INSERT INTO quota_requests (account, second, requests) VALUES ('another', '2099-01-01T00:00:00.000000Z', 1)`)
	if n := db.drain(t, noon, lim, 9); n != 1 {
		t.Errorf("%d granted, want 1", n)
	}
	if n := db.drain(t, noon.Add(63*time.Second), lim, 9); n != 4 {
		t.Errorf("a minute later: %d granted, want 4", n)
	}
	if n := db.text(t, `SELECT second FROM quota_requests WHERE account = 'another'`); !strings.HasPrefix(n, "2099") {
		t.Errorf("another account's is of %s", n)
	}
	// A clock that is a little behind another one's is not wrong.
	db.exec(t, `DELETE FROM quota_requests`)
	db.drain(t, noon.Add(3*time.Second), lim, 3)
	if n := db.drain(t, noon, lim, 9); n != 1 {
		t.Errorf("with a clock that is behind: %d granted, want 1", n)
	}
	if n := db.text(t, `SELECT requests FROM quota_requests WHERE second = '2026-03-14T12:00:03.000000Z'`); n != "3" {
		t.Errorf("%s requests are where they were", n)
	}
}

func TestTold(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	lim := cowrie.Limits{Minute: 100, Day: 50, Month: 300}
	tell := func(at time.Time, lim cowrie.Limits, day, month int64) {
		t.Helper()
		if err := db.Told(t.Context(), quotaAccount, at, lim, day, month); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, ok, err := db.Limits(t.Context(), quotaAccount); ok || err != nil {
		t.Errorf("limits were told already: %v, %v", ok, err)
	}
	if n := db.drain(t, noon, lim, 5); n != 5 {
		t.Fatal(n)
	}
	for _, c := range []struct{ toldDay, toldMonth, day, month int64 }{
		{0, 0, 5, 5},     // it has not counted ours yet
		{3, 250, 5, 250}, // it has counted others'
		{48, 100, 48, 250},
		{48, 250, 48, 250},
	} {
		tell(noon, lim, c.toldDay, c.toldMonth)
		if u := db.used(t, noon, lim); u.UsedDay != c.day || u.UsedMonth != c.month {
			t.Errorf("told %d and %d: %d and %d are used, want %d and %d", c.toldDay, c.toldMonth, u.UsedDay, u.UsedMonth, c.day, c.month)
		}
	}
	if n := db.drain(t, noon.Add(time.Second), lim, 9); n != 2 {
		t.Errorf("%d granted, want 2", n)
	}
	// More than there is: none, and no harm.
	tell(noon, lim, 1000, 100000)
	if g := db.reserve(t, noon.Add(time.Second), lim, 0); g.OK || g.Period != cowrie.PerMonth {
		t.Errorf("%+v", g)
	}
	// Another month has nothing of it.
	if n := db.drain(t, noon.AddDate(0, 1, 0), lim, 60); n != 50 {
		t.Errorf("a month later: %d granted", n)
	}
	other := cowrie.Limits{Minute: 4, Day: 1}
	tell(noon.Add(time.Hour), other, 0, 0)
	got, at, ok, err := db.Limits(t.Context(), quotaAccount)
	if got != other || at.Std() != noon.Add(time.Hour) || !ok || err != nil {
		t.Errorf("limits: %+v, %v, %v, %v", got, at, ok, err)
	}
	if _, _, ok, _ := db.Limits(t.Context(), "another"); ok {
		t.Error("another account has limits")
	}
}

// TestUsage: to look changes nothing, even where a request would.
func TestUsage(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	lim := cowrie.Limits{Minute: 2, Day: 3, Month: 4}
	if u := db.used(t, noon, lim); u.UsedMinute+u.UsedDay+u.UsedMonth != 0 || u.MinuteFree != cowrie.NoTime || u.Limits != lim {
		t.Errorf("of an empty ledger: %+v", u)
	}
	db.drain(t, noon.Add(-5*time.Minute), lim, 1)
	db.drain(t, noon.Add(time.Hour), lim, 1) // from the future
	db.drain(t, noon, lim, 1)
	before := db.ledger(t)
	for _, at := range []time.Time{noon, noon.Add(2 * time.Minute), noon.AddDate(10, 0, 0), noon.AddDate(-10, 0, 0)} {
		db.used(t, at, lim)
		if after := db.ledger(t); after != before {
			t.Errorf("the ledger at %v became\n%s\nfrom\n%s", at, after, before)
		}
	}
	u := db.used(t, noon, lim)
	if u.UsedMinute != 2 || u.UsedDay != 3 || u.UsedMonth != 3 || u.MinuteFree.Std() != noon.Add(quotaMinute) ||
		u.DayReset.Std() != noon.Add(12*time.Hour) || u.MonthReset.Std() != time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC) {
		t.Errorf("%+v: free %v, day %v, month %v", u, u.MinuteFree, u.DayReset, u.MonthReset)
	}
	// A database that is open to be read can be asked, too.
	s, err := storetest.TryOpen(t, db.path, false)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if u, err := s.Usage(t.Context(), quotaAccount, noon, lim); err != nil || u.UsedDay != 3 {
		t.Errorf("read only: %+v, %v", u, err)
	}
}

// TestUsageBesideWriter: to look waits for nobody.
func TestUsageBesideWriter(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	db.sql.SetMaxOpenConns(1)
	storetest.OnSQLite(t)
	db.exec(t, `BEGIN IMMEDIATE`)
	defer db.exec(t, `ROLLBACK`)
	done := make(chan error, 1)
	waited := make(chan bool, 1)
	db.Waiting = func(time.Duration) {
		select {
		case waited <- true:
		default:
		}
	}
	ctx := t.Context()
	go func() {
		_, err := db.Usage(ctx, quotaAccount, noon, cowrie.Limits{})
		done <- err
	}()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-waited:
		t.Error("it waits for a writer")
	}
}

// TestArrived: a request that was long on its way counts from when it was
// answered, and for the day that began meanwhile, too.
func TestArrived(t *testing.T) {
	db := newDatabase(t)
	lim := cowrie.Limits{Minute: 1, Day: 10, Month: 10}
	reserved := time.Date(2026, 3, 31, 23, 59, 50, 0, time.UTC)
	if g, err := db.Reserve(t.Context(), quotaAccount, reserved, lim, 0); err != nil || !g.OK {
		t.Fatalf("%+v, %v", g, err)
	}
	answered := reserved.Add(20 * time.Second)
	if err := db.Arrived(t.Context(), quotaAccount, reserved, answered); err != nil {
		t.Fatal(err)
	}
	if g, err := db.Reserve(t.Context(), quotaAccount, reserved.Add(65*time.Second), lim, 0); err != nil || g.OK {
		t.Errorf("two within a minute of the source: %+v, %v", g, err)
	}
	if g, err := db.Reserve(t.Context(), quotaAccount, answered.Add(65*time.Second), lim, 0); err != nil || !g.OK {
		t.Errorf("a minute later: %+v, %v", g, err)
	}
	u, err := db.Usage(t.Context(), quotaAccount, answered.Add(66*time.Second), lim)
	if err != nil || u.UsedDay != 2 || u.UsedMonth != 2 {
		t.Errorf("the new day: %+v, %v", u, err)
	}
	if u, err = db.Usage(t.Context(), quotaAccount, reserved, lim); err != nil || u.UsedDay != 1 || u.UsedMonth != 1 {
		t.Errorf("the day before: %+v, %v", u, err)
	}
}

// TestRefund: a request that the source never heard of leaves nothing behind, once.
func TestRefund(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	lim := cowrie.Limits{Minute: 2, Day: 2, Month: 2}
	db.drain(t, noon, lim, 1)
	before := db.used(t, noon, lim)
	for range 3 {
		if !db.reserve(t, noon.Add(time.Second), lim, 0).OK {
			t.Fatal("there is nothing left")
		}
		must(t, db.Refund(t.Context(), quotaAccount, noon.Add(time.Second)))
	}
	if after := db.used(t, noon, lim); *after != *before {
		t.Errorf("got %+v, want %+v", after, before)
	}
	// That of another moment is not there to be given back.
	must(t, db.Refund(t.Context(), quotaAccount, noon.AddDate(1, 0, 0)))
	if after := db.used(t, noon, lim); *after != *before {
		t.Errorf("got %+v, want %+v", after, before)
	}
}

// TestUsageFromTheFuture: what a clock noted that was wrong counts as now, and
// nothing waits for years.
func TestUsageFromTheFuture(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	lim := cowrie.Limits{Minute: 1, Day: 10, Month: 10}
	db.drain(t, noon.AddDate(10, 0, 0), lim, 1)
	if u := db.used(t, noon, lim); u.UsedMinute != 1 || u.MinuteFree.Std().After(noon.Add(2*time.Minute)) {
		t.Errorf("used %d, free at %s", u.UsedMinute, u.MinuteFree)
	}
}
