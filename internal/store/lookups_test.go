package store_test

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"midden/internal/cowrie"
	"midden/internal/store/storetest"
)

// seen stores files, each seen some times, the last time so many minutes after
// minute(0).
func (db *database) seen(t testing.TB, n, times, last int) {
	t.Helper()
	var lines [][]byte
	for i := range times {
		lines = append(lines, fmt.Appendf(nil, `{"eventid":"cowrie.session.file_download","session":"s%d.%d","timestamp":%q,"shasum":"%s"}`,
			n, i, minute(last-i).String(), sha(n)))
	}
	db.load(t.(*testing.T), lines...)
}

func all(now time.Time) cowrie.LookupQuery {
	return cowrie.LookupQuery{Source: cowrie.SourceVirusTotal, Now: now, Since: cowrie.NoTime}
}

type finder func(context.Context, cowrie.LookupQuery, func(cowrie.Lookup) error) error

// found are the numbers of the files that a query finds.
func found(t testing.TB, find finder, q cowrie.LookupQuery) (list []int) {
	t.Helper()
	err := find(t.Context(), q, func(l cowrie.Lookup) error {
		list = append(list, number(t, l.Shasum))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func number(t testing.TB, shasum string) (n int) {
	t.Helper()
	if _, err := fmt.Sscanf(shasum, "%x", &n); err != nil {
		t.Fatal(err)
	}
	return n
}

// lookup returns the lookup of a file, wherever it stands.
func (db *database) lookup(t testing.TB, n int) cowrie.Lookup {
	t.Helper()
	var got []cowrie.Lookup
	one := func(l cowrie.Lookup) error {
		if l.Shasum == sha(n) {
			got = append(got, l)
		}
		return nil
	}
	q := all(noon.AddDate(100, 0, 0))
	if err := errors.Join(db.NewLookups(t.Context(), q, one), db.DueLookups(t.Context(), q, one)); err != nil {
		t.Fatal(err)
	}
	if len(got) != 1 {
		t.Fatalf("%d lookups of file %d", len(got), n)
	}
	return got[0]
}

func (db *database) unscheduled(t testing.TB) []int {
	t.Helper()
	list := found(t, func(ctx context.Context, _ cowrie.LookupQuery, f func(cowrie.Lookup) error) error {
		return db.Unscheduled(ctx, cowrie.SourceVirusTotal, f)
	}, cowrie.LookupQuery{})
	slices.Sort(list)
	return list
}

func (db *database) claim(t testing.TB, l cowrie.Lookup, now, until time.Time) bool {
	t.Helper()
	ok, err := db.Claim(t.Context(), &l, now, until)
	if err != nil {
		t.Fatal(err)
	}
	return ok
}

// schedule says when to ask about files.
func (db *database) schedule(t testing.TB, at time.Time, files ...int) {
	t.Helper()
	due := map[string]cowrie.Time{}
	for _, n := range files {
		due[sha(n)] = cowrie.FromStd(at)
	}
	must(t, db.Schedule(t.Context(), cowrie.SourceVirusTotal, due))
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (db *database) state(t *testing.T, n int) string {
	t.Helper()
	return db.text(t, `SELECT state || ' ' || coalesce(due_at, '-') || ' ' || failures || ' ' || coalesce(error, '-') FROM lookups WHERE shasum = ?`, sha(n))
}

func TestLookupOrder(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	db.seen(t, 1, 1, 10)
	db.seen(t, 2, 3, 20)
	db.seen(t, 3, 1, 20)
	db.seen(t, 4, 9, 5)
	db.seen(t, 5, 1, 20)
	db.load(t, fmt.Appendf(nil, `{"eventid":"cowrie.session.file_download","session":"e","timestamp":"2026-01-03T00:00:00Z","shasum":"%s"}`, cowrie.EmptyShasum))
	want := []int{2, 3, 5, 1, 4} // the newest first, and of these the most seen; never the empty file
	if got := found(t, db.NewLookups, all(noon)); !slices.Equal(got, want) {
		t.Errorf("new: %v, want %v", got, want)
	}
	q := all(noon)
	q.Limit = 2
	if got := found(t, db.NewLookups, q); !slices.Equal(got, want[:2]) {
		t.Errorf("two of the new: %v", got)
	}
	q = all(noon)
	q.Since = minute(10)
	if got := found(t, db.NewLookups, q); !slices.Equal(got, want[:4]) {
		t.Errorf("new, seen since: %v", got)
	}
	// The longest due first; not what is due later.
	for n, hours := range map[int]int{1: 0, 2: -5, 3: 1, 4: -9, 5: -1} {
		db.schedule(t, noon.Add(time.Duration(hours)*time.Hour), n)
	}
	want = []int{4, 2, 5, 1}
	if got := found(t, db.DueLookups, all(noon)); !slices.Equal(got, want) {
		t.Errorf("due: %v, want %v", got, want)
	}
	if got := found(t, db.DueLookups, all(noon.Add(-time.Microsecond))); !slices.Equal(got, want[:3]) {
		t.Errorf("due just before: %v", got)
	}
	q = all(noon)
	q.Since, q.Limit = minute(20), 1
	if got := found(t, db.DueLookups, q); !slices.Equal(got, []int{2}) {
		t.Errorf("one that is due, seen since: %v", got)
	}
	if got := found(t, db.NewLookups, all(noon)); got != nil {
		t.Errorf("new: %v", got)
	}
	if fresh, due, retries, err := db.Backlog(t.Context(), cowrie.SourceVirusTotal, noon); fresh != 0 || due != 4 || retries != 0 || err != nil {
		t.Errorf("backlog: %d, %d, %d, %v", fresh, due, retries, err)
	}
}

func TestLookupFacts(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	db.seen(t, 1, 3, 10)
	l := db.lookup(t, 1)
	if l.State != cowrie.LookupNew || l.AnsweredAt != cowrie.NoTime || l.Known || l.Malicious != -1 || l.Unknowns != 0 ||
		l.FlaggedAt != cowrie.NoTime || l.FirstSeen != minute(8) || l.LastSeen != minute(10) || l.Sightings != 3 || l.DueAt != cowrie.NoTime {
		t.Errorf("of a file of which nothing was said: %+v", l)
	}
	unknown := func(at int) cowrie.Verdict { return cowrie.NewVerdict(sha(1), cowrie.SourceVirusTotal, minute(at)) }
	for i, c := range []struct {
		verdict   cowrie.Verdict
		known     bool
		malicious int
		unknowns  int
		flagged   cowrie.Time
	}{
		{unknown(1), false, -1, 1, cowrie.NoTime},
		{unknown(3), false, -1, 2, cowrie.NoTime},
		{unknown(2), false, -1, 3, cowrie.NoTime}, // whatever order they come in
		{said(cowrie.SourceVirusTotal, 4, 0, 60, "", ""), true, 0, 0, cowrie.NoTime},
		{said(cowrie.SourceVirusTotal, 6, 3, 60, "", ""), true, 3, 0, minute(6)},
		{said(cowrie.SourceScanfile, 5, 1, 60, "", ""), true, 3, 0, minute(5)},
		{said(cowrie.SourceVirusTotal, 7, 0, 60, "", ""), true, 0, 0, minute(5)},
		{unknown(8), false, -1, 1, minute(5)},
		{said(cowrie.SourceScanfile, 9, 7, 60, "", ""), true, 7, 1, minute(5)},
	} {
		db.add(t, c.verdict)
		l := db.lookup(t, 1)
		if l.Known != c.known || l.Malicious != c.malicious || l.Unknowns != c.unknowns || l.FlaggedAt != c.flagged ||
			l.AnsweredAt.String() != db.text(t, `SELECT max(observed_at) FROM file_verdicts`) {
			t.Errorf("after %d verdicts: %+v, want %+v", i+1, l, c)
		}
	}
}

func TestClaim(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	other := open(t, db.path)
	db.seen(t, 1, 1, 0)
	db.seen(t, 2, 1, 1)
	l := db.lookup(t, 1)
	until := noon.Add(5 * time.Minute)

	// One of many gets it.
	var mu sync.Mutex
	var running sync.WaitGroup
	got := 0
	for i := range 8 {
		running.Go(func() {
			s := []*database{db, other}[i%2]
			own := l
			if ok, err := s.Claim(t.Context(), &own, noon, until); err != nil {
				t.Error(err)
			} else if ok {
				mu.Lock()
				got++
				mu.Unlock()
			}
		})
	}
	running.Wait()
	if got != 1 {
		t.Fatalf("%d have claimed it", got)
	}
	if list := found(t, other.NewLookups, all(noon)); !slices.Equal(list, []int{2}) {
		t.Errorf("new, while one is claimed: %v", list)
	}
	// Given back, it is there for all.
	must(t, db.Release(t.Context(), cowrie.SourceVirusTotal, sha(1)))
	must(t, db.Release(t.Context(), cowrie.SourceVirusTotal, sha(9)))
	if list := found(t, other.NewLookups, all(noon)); !slices.Equal(list, []int{2, 1}) {
		t.Errorf("new, once it is given back: %v", list)
	}
	// Who has claimed it may be gone: it comes back when the lease ends, not before.
	if !db.claim(t, l, noon, until) {
		t.Fatal("it was given back, but cannot be claimed")
	}
	for _, c := range []struct {
		at   time.Time
		want []int
	}{{until.Add(-time.Microsecond), []int{2}}, {until, []int{2, 1}}} {
		if list := found(t, other.NewLookups, all(c.at)); !slices.Equal(list, c.want) {
			t.Errorf("new at %v: %v", c.at, list)
		}
	}
	if other.claim(t, l, until.Add(-time.Microsecond), until.Add(time.Hour)) || !other.claim(t, l, until, until.Add(5*time.Minute)) {
		t.Error("the lease does not count when it is claimed")
	}

	// What changed meanwhile is another lookup than the one that was listed.
	l = db.lookup(t, 2)
	for what, change := range map[string]func(){
		"an answer": func() { must(t, other.Answered(t.Context(), verdictOn(2, 5), cowrie.FromStd(until), nil)) },
		"a failure": func() {
			must(t, other.Failed(t.Context(), cowrie.SourceVirusTotal, sha(2), "no", cowrie.FromStd(until)))
		},
		"for good":   func() { must(t, other.Failed(t.Context(), cowrie.SourceVirusTotal, sha(2), "no", cowrie.NoTime)) },
		"a date":     func() { other.schedule(t, until, 2) },
		"it dropped": func() { must2(t)(other.SetLookups(t.Context(), cowrie.LookupDropped, cowrie.NoTime, []string{sha(2)})) },
	} {
		change()
		if db.claim(t, l, noon, until) {
			t.Errorf("%s: it was claimed as it was before", what)
		}
		must2(t)(db.SetLookups(t.Context(), cowrie.LookupNew, cowrie.NoTime, []string{sha(2)}))
	}
	must(t, db.Failed(t.Context(), cowrie.SourceVirusTotal, sha(2), "no", cowrie.FromStd(until)))
	l = db.lookup(t, 2)
	must(t, other.Failed(t.Context(), cowrie.SourceVirusTotal, sha(2), "no", cowrie.FromStd(until.Add(time.Hour))))
	if db.claim(t, l, until, until.Add(time.Minute)) {
		t.Error("it was claimed for another time than it is due")
	}
	if !db.claim(t, db.lookup(t, 2), until, until.Add(time.Minute)) {
		t.Error("as it is it cannot be claimed")
	}
	if db.claim(t, cowrie.Lookup{Shasum: sha(7), State: cowrie.LookupNew, DueAt: cowrie.NoTime}, noon, until) {
		t.Error("a file that is not there was claimed")
	}
}

func must2(t testing.TB) func(int64, error) {
	return func(_ int64, err error) {
		t.Helper()
		must(t, err)
	}
}

// verdictOn is an answer of VirusTotal.
func verdictOn(n, at int) cowrie.Verdict {
	v := said(cowrie.SourceVirusTotal, at, 3, 60, "a", "ELF")
	v.Shasum = sha(n)
	return v
}

func TestFailed(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	for n := range 3 {
		db.seen(t, n+1, 1, n)
	}
	again := cowrie.FromStd(noon)
	must(t, db.Failed(t.Context(), cowrie.SourceVirusTotal, sha(1), "HTTP 502", again))
	must(t, db.Failed(t.Context(), cowrie.SourceVirusTotal, sha(1), "HTTP 503", again+1e6))
	must(t, db.Failed(t.Context(), cowrie.SourceVirusTotal, sha(2), "HTTP 400", cowrie.NoTime))
	if got := db.state(t, 1); got != "waiting 2026-03-14T12:00:01.000000Z 2 HTTP 503" {
		t.Errorf("failed twice: %s", got)
	}
	if got := db.state(t, 2); got != "failed - 1 HTTP 400" {
		t.Errorf("failed for good: %s", got)
	}
	if got := found(t, db.DueLookups, all(noon)); got != nil {
		t.Errorf("due too early: %v", got)
	}
	if got := found(t, db.DueLookups, all(noon.AddDate(9, 0, 0))); !slices.Equal(got, []int{1}) {
		t.Errorf("due: %v", got)
	}
	if got := found(t, db.NewLookups, all(noon.AddDate(9, 0, 0))); !slices.Equal(got, []int{3}) {
		t.Errorf("new: %v", got)
	}
	// The queue: the last first, and those that wait for no answer are not in it.
	db.schedule(t, noon, 3)
	queue := func(max int) []int {
		return found(t, func(ctx context.Context, _ cowrie.LookupQuery, f func(cowrie.Lookup) error) error {
			return db.Queue(ctx, max, f)
		}, cowrie.LookupQuery{})
	}
	for n := range 4 {
		db.exec(t, `UPDATE lookups SET updated_at = $1 WHERE shasum = $2`, fmt.Sprintf("2026-01-0%dT00:00:00.000000Z", n+1), sha(n))
	}
	if got := queue(0); !slices.Equal(got, []int{2, 1}) {
		t.Errorf("queue: %v", got)
	}
	if got := queue(1); !slices.Equal(got, []int{2}) {
		t.Errorf("queue of one: %v", got)
	}
	if fresh, due, retries, err := db.Backlog(t.Context(), cowrie.SourceVirusTotal, noon); fresh != 0 || due != 1 || retries != 1 || err != nil {
		t.Errorf("backlog: %d, %d, %d, %v", fresh, due, retries, err)
	}
	// An answer makes up for it.
	must(t, db.Answered(t.Context(), verdictOn(1, 5), again, nil))
	if got := db.state(t, 1); got != "waiting 2026-03-14T12:00:00.000000Z 0 -" {
		t.Errorf("answered: %s", got)
	}
}

func TestSetLookups(t *testing.T) {
	t.Parallel()
	const a, b, c = "aa11", "aa22", "bb33"
	full := func(s string) string { return s + strings.Repeat("f", 60) }
	db := newDatabase(t)
	reset := func() {
		for _, s := range []string{a, b, c} {
			db.load(t, fmt.Appendf(nil, `{"eventid":"cowrie.session.file_download","session":"%s","timestamp":"2026-01-01T00:00:00Z","shasum":"%s"}`, s, full(s)))
		}
		db.exec(t, `UPDATE lookups SET state = 'waiting', due_at = '2026-03-14T12:00:00.000000Z', failures = 0, error = NULL, leased_until = '2027-01-01T00:00:00.000000Z'`)
		db.exec(t, `UPDATE lookups SET failures = 2, error = 'HTTP 502' WHERE shasum = ?`, full(b))
		db.exec(t, `UPDATE lookups SET state = 'failed', due_at = NULL, failures = 1 WHERE shasum = ?`, full(c))
	}
	for _, c := range []struct {
		state    string
		prefixes []string
		n        int64
		want     string
	}{
		{cowrie.LookupNew, nil, 2, "aa11 waiting 0, aa22 new 0, bb33 new 0"},
		{cowrie.LookupDropped, nil, 2, "aa11 waiting 0, aa22 dropped 0, bb33 dropped 0"},
		{cowrie.LookupDropped, []string{"aa1"}, 1, "aa11 dropped 0, aa22 waiting 2, bb33 failed 1"},
		{cowrie.LookupNew, []string{"aa"}, 2, "aa11 new 0, aa22 new 0, bb33 failed 1"},
		{cowrie.LookupNew, []string{"aa1", "b"}, 2, "aa11 new 0, aa22 waiting 2, bb33 new 0"},
		{cowrie.LookupNew, []string{full("aa22")}, 1, "aa11 waiting 0, aa22 new 0, bb33 failed 1"},
		{cowrie.LookupNew, []string{"aa22f0", "c", "a2", full("aa22") + "f", "%", "_"}, 0, "aa11 waiting 0, aa22 waiting 2, bb33 failed 1"},
	} {
		reset()
		n, err := db.SetLookups(t.Context(), c.state, cowrie.NoTime, c.prefixes)
		got := db.text(t, `SELECT group_concat(substr(shasum, 1, 4) || ' ' || state || ' ' || failures, ', ') FROM (SELECT * FROM lookups ORDER BY shasum) l`)
		if n != c.n || err != nil || got != c.want {
			t.Errorf("%s %q: %d, %v: %s, want %d: %s", c.state, c.prefixes, n, err, got, c.n, c.want)
		}
		if left := db.text(t, `SELECT count(*) FROM lookups WHERE state IN ('new', 'dropped') AND (due_at IS NOT NULL OR error IS NOT NULL OR leased_until IS NOT NULL)`); left != "0" {
			t.Errorf("%s %q: %s keep what was before", c.state, c.prefixes, left)
		}
	}
	if n, err := db.SetLookups(t.Context(), "nonsense", cowrie.NoTime, []string{"aa"}); err == nil {
		t.Errorf("a state that is none: %d", n)
	}
}

// TestUnscheduled: what others say of a file, be it in logs or in an old cache,
// counts: somebody has to reckon when to ask.
func TestUnscheduled(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	for n := range 3 {
		db.seen(t, n+1, 1, n)
	}
	if got := db.unscheduled(t); got != nil {
		t.Errorf("nothing was said: %v", got)
	}
	// By a cache; also on a file that is seen only later.
	db.add(t, verdictOn(1, 1), verdictOn(7, 1))
	if got := db.unscheduled(t); !slices.Equal(got, []int{1}) {
		t.Errorf("after an import: %v", got)
	}
	db.seen(t, 7, 1, 0)
	if got := db.unscheduled(t); !slices.Equal(got, []int{1, 7}) {
		t.Errorf("the file was seen later: %v", got)
	}
	// By a log, the file in the same batch or not.
	scan := func(n int, at string) []byte {
		return fmt.Appendf(nil, `{"eventid":"cowrie.virustotal.scanfile","session":"s","sha256":"%s","is_new":"false","positives":40,"total":70,"scan_date":1774656000,"timestamp":%q}`, sha(n), at)
	}
	db.load(t, scan(2, "2026-03-01T00:00:00Z"), scan(8, "2026-03-01T00:00:00Z"),
		fmt.Appendf(nil, `{"eventid":"cowrie.session.file_upload","session":"s","timestamp":"2026-03-01T00:00:00Z","shasum":"%s"}`, sha(8)))
	if got := db.unscheduled(t); !slices.Equal(got, []int{1, 2, 7, 8}) {
		t.Errorf("after a load: %v", got)
	}
	db.schedule(t, noon, 1, 2, 7, 8)
	if got := db.unscheduled(t); got != nil {
		t.Errorf("all was reckoned: %v", got)
	}
	// The same again says nothing; something new does.
	db.add(t, verdictOn(1, 1))
	if got := db.unscheduled(t); got != nil {
		t.Errorf("the same was said: %v", got)
	}
	db.add(t, verdictOn(1, 2))
	db.load(t, scan(2, "2026-03-02T00:00:00Z"))
	if got := db.unscheduled(t); !slices.Equal(got, []int{1, 2}) {
		t.Errorf("something was said: %v", got)
	}
	db.schedule(t, noon, 1, 2)
	// An answer that was asked for is reckoned already.
	must(t, db.Answered(t.Context(), verdictOn(3, 4), cowrie.FromStd(noon), nil))
	if got := db.unscheduled(t); got != nil {
		t.Errorf("it was answered: %v", got)
	}
	// Nobody wants these.
	must(t, db.Failed(t.Context(), cowrie.SourceVirusTotal, sha(3), "no", cowrie.NoTime))
	must2(t)(db.SetLookups(t.Context(), cowrie.LookupDropped, cowrie.NoTime, []string{sha(2)}))
	db.add(t, verdictOn(2, 9))
	if got := db.state(t, 2); !strings.HasPrefix(got, "dropped") {
		t.Errorf("a dropped one became %s", got)
	}
	// f may end it.
	enough := errors.New("enough")
	db.add(t, verdictOn(1, 20), verdictOn(7, 20))
	calls := 0
	if err := db.Unscheduled(t.Context(), cowrie.SourceVirusTotal, func(cowrie.Lookup) error { calls++; return enough }); !errors.Is(err, enough) || calls != 1 {
		t.Errorf("%v after %d calls", err, calls)
	}
}

// TestUnscheduledAfterFailure: what an import says of a file spares the request
// also where one has failed before.
func TestUnscheduledAfterFailure(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	db.seen(t, 1, 1, 0)
	must(t, db.Failed(t.Context(), cowrie.SourceVirusTotal, sha(1), "HTTP 502", cowrie.FromStd(noon)))
	db.add(t, verdictOn(1, 1))
	if got := db.unscheduled(t); !slices.Equal(got, []int{1}) {
		t.Errorf("it is to be asked about although all is known: %s", db.state(t, 1))
	}
}

// TestUnscheduledClaimed: while somebody is asking about a file, nobody else makes
// it due.
func TestUnscheduledClaimed(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	db.seen(t, 1, 1, 0)
	if !db.claim(t, db.lookup(t, 1), noon, noon.Add(time.Minute)) {
		t.Fatal("it cannot be claimed")
	}
	db.add(t, verdictOn(1, 1)) // an old one, from a log
	for _, n := range db.unscheduled(t) {
		db.schedule(t, noon.Add(-time.Hour), n) // it is old: due at once
	}
	if got := found(t, db.DueLookups, all(noon)); got != nil {
		t.Errorf("what is being asked about can be asked about a second time: %v", got)
	}
}

// TestScheduleAfterAnswer: who reckons from what was known does not undo an answer
// that came meanwhile.
func TestScheduleAfterAnswer(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	other := open(t, db.path)
	db.seen(t, 1, 1, 0)
	db.add(t, verdictOn(1, 1))
	stale := db.unscheduled(t)
	must(t, other.Answered(t.Context(), verdictOn(1, 9), cowrie.FromStd(noon.AddDate(0, 1, 0)), nil))
	db.schedule(t, noon.Add(-time.Hour), stale...)
	if got := found(t, db.DueLookups, all(noon)); got != nil {
		t.Errorf("it was answered just now, and is due: %s", db.state(t, 1))
	}
}

// TestDroppedWhileAsked: a file that is dropped while it is being asked about stays
// dropped, whatever comes of it.
func TestDroppedWhileAsked(t *testing.T) {
	t.Parallel()
	for what, end := range map[string]func(*database) error{
		"answer": func(db *database) error { return db.Answered(t.Context(), verdictOn(1, 1), cowrie.FromStd(noon), nil) },
		"failure": func(db *database) error {
			return db.Failed(t.Context(), cowrie.SourceVirusTotal, sha(1), "HTTP 502", cowrie.FromStd(noon))
		},
	} {
		db := newDatabase(t)
		db.seen(t, 1, 1, 0)
		if !db.claim(t, db.lookup(t, 1), noon, noon.Add(time.Minute)) {
			t.Fatal("it cannot be claimed")
		}
		must2(t)(db.SetLookups(t.Context(), cowrie.LookupDropped, cowrie.NoTime, []string{sha(1)}))
		must(t, end(db))
		if got := db.state(t, 1); !strings.HasPrefix(got, "dropped") {
			t.Errorf("after an %s it is %s", what, got)
		}
	}
}

// TestLeaseFromTheFuture: a lease that was taken by a clock that was ten years
// ahead, by a process that was killed, does not hide a file for ten years.
func TestLeaseFromTheFuture(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	db.seen(t, 1, 1, 0)
	ahead := noon.AddDate(10, 0, 0)
	if !db.claim(t, db.lookup(t, 1), ahead, ahead.Add(5*time.Minute)) {
		t.Fatal("it cannot be claimed")
	}
	if got := found(t, db.NewLookups, all(noon.Add(24*time.Hour))); !slices.Equal(got, []int{1}) {
		t.Errorf("a day later: %v", got)
	}
}

// TestKnownAgain: a file that VirusTotal did not know for a while, by a fault of
// its own, is known again when it says so, even if it was not analysed since.
func TestKnownAgain(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	db.see(t, 1)
	v := said(cowrie.SourceVirusTotal, 10, 3, 60, "a", "ELF")
	v.AnalysedAt = minute(5)
	db.add(t, v)
	before := db.text(t, shown, sha(1))
	db.add(t, cowrie.NewVerdict(sha(1), cowrie.SourceVirusTotal, minute(20)))
	if got := db.text(t, shown, sha(1)); !strings.HasSuffix(got, " unknown") {
		t.Errorf("not known any more: %s", got)
	}
	v.ObservedAt = minute(30)
	db.add(t, v)
	if got := db.text(t, shown, sha(1)); got != strings.Replace(before, "checked 03:14", "checked 03:34", 1) {
		t.Errorf("known again: %s, before %s", got, before)
	}
}

// TestAnsweredInShadow: with the staging switch off, answers are stored and nothing
// is due again, but files say nothing.
func TestAnsweredInShadow(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	db.see(t, 1)
	db.see(t, 2)
	must(t, db.Stage(t.Context(), false, true))
	row := func() string {
		return db.text(t, `SELECT group_concat(shasum || enrichment_status || coalesce(vt_malicious, '-') || coalesce(vt_total, '-') ||
			coalesce(vt_checked_at, '-') || coalesce(vt_classification, '-') || coalesce(vt_description, '-') || coalesce(vt_first_seen, '-') ||
			coalesce(vt_last_analysis, '-') || updated_at) FROM (SELECT * FROM files ORDER BY shasum) f`)
	}
	before := row()
	must(t, db.Answered(t.Context(), verdictOn(1, 1), cowrie.FromStd(noon), nil))
	db.add(t, verdictOn(2, 1))
	if after := row(); after != before {
		t.Errorf("files show it:\n%s\n%s", before, after)
	}
	if n := db.text(t, `SELECT count(*) FROM file_verdicts`); n != "2" {
		t.Errorf("%s verdicts are stored", n)
	}
	if got := db.unscheduled(t); !slices.Equal(got, []int{2}) {
		t.Errorf("unscheduled: %v", got)
	}
	db.schedule(t, noon, 2)
	early := all(noon.Add(-time.Second))
	if got := append(found(t, db.NewLookups, early), found(t, db.DueLookups, early)...); got != nil {
		t.Errorf("asked again: %v", got)
	}
	// In the open, files say what was said.
	must(t, db.Stage(t.Context(), true, true))
	if n := db.text(t, `SELECT count(*) FROM files WHERE vt_malicious = '3' AND enrichment_status = 'known'`); n != "2" {
		t.Errorf("%s files show it", n)
	}
	if got := db.unscheduled(t); got != nil {
		t.Errorf("unscheduled once it is in the open: %v", got)
	}
}

// TestLookupPlans: among 100,000 files, those that are due and those that are new
// are found by the indexes that hold these alone.
func TestLookupPlans(t *testing.T) {
	storetest.OnSQLite(t)
	t.Parallel()
	db := newDatabase(t)
	n := 100_000
	if slices.ContainsFunc(build().Settings, func(s debug.BuildSetting) bool { return s.Key == "-race" && s.Value == "true" }) {
		n /= 20 // the engine is ten times slower then, and plans are the same
	}
	db.exec(t, `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < `+fmt.Sprint(n)+`)
		INSERT INTO files (shasum, first_seen, last_seen, sighting_count, created_at, updated_at)
		SELECT printf('%064x', i), '2026-01-01T00:00:00.000000Z', printf('2026-01-%02dT00:00:00.000000Z', 1 + i % 28), i % 7, '', '' FROM n`)
	db.exec(t, `INSERT INTO lookups (source, shasum, state, due_at, updated_at) SELECT 'virustotal', shasum, 'waiting', printf('2026-05-%02dT00:00:00.000000Z', 1 + sighting_count), '' FROM files`)
	db.exec(t, `UPDATE lookups SET state = 'new', due_at = NULL WHERE shasum <= printf('%064x', 40)`)
	db.exec(t, `UPDATE lookups SET due_at = '2026-03-01T00:00:00.000000Z' WHERE shasum > printf('%064x', 40) AND shasum <= printf('%064x', 100)`)
	db.exec(t, `UPDATE lookups SET failures = 1 WHERE shasum > printf('%064x', 90) AND shasum <= printf('%064x', 100)`)
	db.exec(t, `ANALYZE`)
	if got := found(t, db.NewLookups, all(noon)); len(got) != 40 {
		t.Errorf("%d are new", len(got))
	}
	if got := found(t, db.DueLookups, all(noon)); len(got) != 60 {
		t.Errorf("%d are due", len(got))
	}
	if fresh, due, retries, err := db.Backlog(t.Context(), cowrie.SourceVirusTotal, noon); fresh != 40 || due != 60 || retries != 10 || err != nil {
		t.Errorf("backlog: %d, %d, %d, %v", fresh, due, retries, err)
	}
	// The conditions are those of lookups.go.
	for index, query := range map[string]string{
		"ix_lookups_new": `SELECT l.shasum FROM lookups l JOIN files f ON f.shasum = l.shasum
			WHERE l.source = 'virustotal' AND l.state = 'new' AND (l.leased_until IS NULL OR l.leased_until <= ?) ORDER BY f.last_seen DESC, f.sighting_count DESC, l.shasum LIMIT 256`,
		"ix_lookups_due": `SELECT l.shasum FROM lookups l JOIN files f ON f.shasum = l.shasum
			WHERE l.source = 'virustotal' AND l.state = 'waiting' AND l.due_at <= ? AND (l.leased_until IS NULL OR l.leased_until <= ?) ORDER BY l.due_at LIMIT 256`,
		"ix_lookups_failed": `SELECT l.shasum FROM lookups l JOIN files f ON f.shasum = l.shasum
			WHERE l.failures > 0 OR l.state IN ('failed', 'dropped') ORDER BY l.updated_at DESC, l.shasum LIMIT 50`,
		"ix_lookups_new ": `SELECT l.shasum FROM lookups l JOIN files f ON f.shasum = l.shasum
			WHERE l.source = 'virustotal' AND l.state = 'new' AND EXISTS (SELECT 1 FROM file_verdicts v WHERE v.shasum = l.shasum)`,
	} {
		plan := db.plan(t, query)
		if !strings.Contains(plan, "INDEX "+strings.TrimSpace(index)) || strings.Contains(plan, "SCAN f") {
			t.Errorf("%s:\n%s", query, plan)
		}
	}
	if plan := db.plan(t, `SELECT count(*) FROM lookups WHERE source = 'virustotal' AND state = 'waiting' AND failures > 0`); !strings.Contains(plan, "ix_lookups_failed") {
		t.Errorf("the backlog's retries are counted by:\n%s", plan)
	}
}

func build() *debug.BuildInfo {
	info, _ := debug.ReadBuildInfo()
	return info
}

// plan is how SQLite will run a query.
func (db *database) plan(t *testing.T, query string) string {
	t.Helper()
	args := make([]any, strings.Count(query, "?"))
	for i := range args {
		args[i] = cowrie.FromStd(noon).String()
	}
	rows, err := db.sql.QueryContext(t.Context(), `EXPLAIN QUERY PLAN `+query, args...)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var plan []string
	for rows.Next() {
		var id, parent, unused int
		var detail string
		if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
			t.Fatal(err)
		}
		plan = append(plan, detail)
	}
	return strings.Join(plan, "\n")
}

// TestSeed: a further source gets a lookup of every file, those that somebody
// dropped as dropped, and no file twice. What it says moves no lookup of VirusTotal,
// and the other way round.
func TestSeed(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	for n := 1; n <= 3; n++ {
		db.see(t, n)
	}
	if _, err := db.SetLookups(t.Context(), cowrie.LookupDropped, cowrie.NoTime, []string{sha(2)}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		must(t, db.Seed(t.Context(), cowrie.SourceURLhaus))
	}
	states := func() string {
		return db.text(t, `SELECT group_concat(ltrim(shasum, '0') || ' ' || source || ' ' || state, ', ') FROM (SELECT * FROM lookups ORDER BY shasum, source) l`)
	}
	if got, want := states(), "1 urlhaus new, 1 virustotal new, 2 urlhaus dropped, 2 virustotal dropped, 3 urlhaus new, 3 virustotal new"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	q := all(noon)
	q.After = []string{cowrie.SourceURLhaus}
	if got := found(t, db.NewLookups, q); len(got) != 0 {
		t.Errorf("%d before the other source was asked", len(got))
	}
	listed := cowrie.NewVerdict(sha(1), cowrie.SourceURLhaus, minute(1))
	listed.Listed, listed.Classification = true, "Mirai"
	must(t, db.Answered(t.Context(), listed, cowrie.FromStd(noon.AddDate(0, 0, 1)), nil))
	if got := found(t, db.NewLookups, q); !slices.Equal(got, []int{1}) {
		t.Errorf("after the other source: %d", got)
	}
	if got := db.text(t, `SELECT enrichment_status || coalesce(vt_classification, '-') || coalesce(vt_checked_at, '-') FROM files WHERE shasum = ?`, sha(1)); got != "pending--" {
		t.Errorf("the file shows what is not VirusTotal's: %s", got)
	}
	due := all(noon.AddDate(0, 0, 2))
	due.Source = cowrie.SourceURLhaus
	dueNow := func() (l cowrie.Lookup) {
		must(t, db.DueLookups(t.Context(), due, func(found cowrie.Lookup) error { l = found; return nil }))
		return l
	}
	if got := dueNow(); got.Shasum != sha(1) || !got.Known || got.Malicious != -1 {
		t.Errorf("due: %+v", got)
	}
	must(t, db.Answered(t.Context(), verdictOn(1, 2), cowrie.FromStd(noon.AddDate(0, 1, 0)), nil))
	if got := dueNow(); got.AnsweredAt != minute(1) {
		t.Errorf("an answer of VirusTotal counts for another: %+v", got)
	}
	// A known good file is not asked about elsewhere, unless that was done already.
	good := cowrie.NewVerdict(sha(3), cowrie.SourceURLhaus, minute(1))
	until := cowrie.FromStd(noon.AddDate(0, 3, 0))
	for _, n := range []int{3, 1} {
		good.Shasum = sha(n)
		good.ObservedAt = minute(9)
		must(t, db.Answered(t.Context(), good, until, map[string]cowrie.Time{cowrie.SourceVirusTotal: until}))
	}
	if got := db.text(t, `SELECT group_concat(due_at) FROM (SELECT due_at FROM lookups WHERE source = 'virustotal' AND state = 'waiting' ORDER BY shasum) l`); got != cowrie.FromStd(noon.AddDate(0, 1, 0)).String()+","+until.String() {
		t.Errorf("VirusTotal is due at %s", got)
	}
}
