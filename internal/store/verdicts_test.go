package store_test

import (
	"database/sql"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"midden/internal/cowrie"
	"midden/internal/store"
)

// minute is a time of a day on which many verdicts are given.
func minute(n int) cowrie.Time {
	const start = 1767323040 // 2026-01-02T03:04:00Z
	return cowrie.Time(start+60*n) * 1e6
}

func said(source string, at int, malicious, total int, classification, description string) cowrie.Verdict {
	v := cowrie.NewVerdict(sha(1), source, minute(at))
	v.Malicious, v.Total, v.Classification, v.Description = malicious, total, classification, description
	return v
}

func (db *database) add(t *testing.T, verdicts ...cowrie.Verdict) int64 {
	t.Helper()
	n, err := db.AddVerdicts(t.Context(), verdicts)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// see makes a file known: it was downloaded once.
func (db *database) see(t *testing.T, n int) {
	t.Helper()
	db.load(t, fmt.Appendf(nil, `{"eventid":"cowrie.session.file_download","session":"s%d","timestamp":"2026-01-01T00:00:00Z","shasum":"%s"}`, n, sha(n)))
}

const shown = `SELECT coalesce(vt_malicious, '-') || '/' || coalesce(vt_total, '-') || ' ' || coalesce(vt_classification, '-') || ' ' || coalesce(vt_description, '-') ||
	' first ' || coalesce(substr(vt_first_seen, 12, 5), '-') || ' analysed ' || coalesce(substr(vt_last_analysis, 12, 5), '-') || ' checked ' ||
	coalesce(substr(vt_checked_at, 12, 5), '-') || ' ' || enrichment_status FROM files WHERE shasum = ?`

func TestAddVerdictsTwice(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	db.see(t, 1)
	list := []cowrie.Verdict{
		said(cowrie.SourceVirusTotal, 1, 3, 60, "a", "ELF"),
		said(cowrie.SourceVirusTotal, 2, 4, 60, "b", "ELF"),
		said(cowrie.SourceScanfile, 2, 4, 60, "", ""),
	}
	list[0].Suspicious, list[0].Undetected, list[0].Harmless = 1, 55, 1
	list[0].AnalysedAt, list[0].FirstSubmission = minute(0), minute(-5)
	if n := db.add(t, list...); n != 3 {
		t.Errorf("%d were added", n)
	}
	all := func() string {
		return db.text(t, `SELECT group_concat(shasum || source || observed_at || coalesce(analysed_at, '-') || coalesce(first_submission_at, '-') || coalesce(malicious, '-') || ' ' || coalesce(suspicious, '-') ||
			' ' || coalesce(undetected, '-') || ' ' || coalesce(harmless, '-') || ' ' || total || coalesce(classification, '-') || coalesce(description, '-'), '
') FROM (SELECT * FROM file_verdicts ORDER BY source, observed_at) v`)
	}
	before, file := all(), db.text(t, shown, sha(1))
	want := strings.Join([]string{
		sha(1) + "cowrie.virustotal.scanfile2026-01-02T03:06:00.000000Z--4 - - - 60--",
		sha(1) + "virustotal2026-01-02T03:05:00.000000Z2026-01-02T03:04:00.000000Z2026-01-02T02:59:00.000000Z3 1 55 1 60aELF",
		sha(1) + "virustotal2026-01-02T03:06:00.000000Z--4 - - - 60bELF",
	}, "\n")
	if diff := cmp.Diff(want, before); diff != "" {
		t.Error(diff)
	}
	// What was said then was said then, whatever is said of it now.
	again := slices.Clone(list)
	again[1].Malicious, again[1].Classification = 50, "c"
	if n := db.add(t, again...); n != 0 {
		t.Errorf("again, %d were added", n)
	}
	if n := db.add(t, again[2], again[2], said(cowrie.SourceScanfile, 3, 4, 60, "", ""), again[0]); n != 1 {
		t.Errorf("of one new and three known, %d were added", n)
	}
	db.exec(t, `DELETE FROM file_verdicts WHERE observed_at = '2026-01-02T03:07:00.000000Z'`)
	if diff := cmp.Diff(before, all()); diff != "" {
		t.Errorf("again: %s", diff)
	}
	if got := db.text(t, shown, sha(1)); got == file {
		t.Errorf("the file does not show the new one: %s", got)
	}
	// A verdict on a file that nobody has seen is kept, and makes no file.
	other := said(cowrie.SourceVirusTotal, 1, 3, 60, "a", "ELF")
	other.Shasum = sha(2)
	if n := db.add(t, other); n != 1 || db.text(t, `SELECT count(*) FROM files`) != "1" {
		t.Errorf("%d were added, and there are %s files", n, db.text(t, `SELECT count(*) FROM files`))
	}
	db.see(t, 2)
	if got := db.text(t, shown, sha(2)); got != "3/60 a ELF first - analysed - checked 03:05 known" {
		t.Errorf("it was seen later: %s", got)
	}
}

// TestBodies: the same answer is kept once, and every verdict leads to its own:
// the last one that is kept up to it. The order in which they come, from caches of
// different ages, does not matter.
func TestBodies(t *testing.T) {
	t.Parallel()
	answers := []string{"one", "one", "two", "one", "one", "", "one", "three"} // of each minute; "" is none
	verdicts := make([]cowrie.Verdict, len(answers))
	for i, a := range answers {
		verdicts[i] = said(cowrie.SourceVirusTotal, i, 3, 60, "", "")
		if a != "" {
			verdicts[i].Body = []byte(strings.Repeat(a, 100))
		}
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for round := range 6 {
		db := newDatabase(t)
		order := slices.Clone(verdicts)
		switch round {
		case 0:
		case 1: // the newest, but for the one before it
			slices.Reverse(order[2:4])
		default:
			rng.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		}
		if n := db.add(t, order...); n != int64(len(order)) {
			t.Errorf("%d were added", n)
		}
		for _, v := range order {
			db.add(t, v) // again, one by one
		}
		// The answers are compressed; the same text is the same BLOB.
		kept := map[string]string{}
		for i, a := range answers {
			if a != "" && kept[a] == "" {
				if body := db.body(t, i, true); body != "" {
					kept[a] = body
				}
			}
		}
		if round == 0 {
			if n := db.text(t, `SELECT count(body) FROM file_verdicts`); n != "3" {
				t.Errorf("%s bodies are kept, of 3 that differ", n)
			}
		}
		for i, a := range answers {
			if a == "" {
				continue
			}
			if got := db.body(t, i, false); got != kept[a] || got == "" {
				t.Fatalf("round %d: the verdict of minute %d leads to another answer than its own, which is %q", round, i, a)
			}
		}
	}
}

// body is the answer that a verdict leads to; own, the one that it has itself.
func (db *database) body(t *testing.T, minuteOf int, own bool) string {
	t.Helper()
	column := "coalesce(v.body, o.body)"
	if own {
		column = "v.body"
	}
	var body []byte
	err := db.sql.QueryRowContext(t.Context(), `SELECT `+column+` FROM file_verdicts v LEFT JOIN file_verdicts o ON o.id = v.body_of
		WHERE v.shasum = ? AND v.source = 'virustotal' AND v.observed_at = ?`, sha(1), minute(minuteOf).String()).Scan(&body)
	if err != nil && err != sql.ErrNoRows {
		t.Fatal(err)
	}
	return string(body)
}

// TestShowVerdicts: what a file shows of what was said of it.
func TestShowVerdicts(t *testing.T) {
	t.Parallel()
	const vt, scan, old = cowrie.SourceVirusTotal, cowrie.SourceScanfile, cowrie.SourceFiles
	dated := func(v cowrie.Verdict, analysed, first int) cowrie.Verdict {
		if analysed != 0 {
			v.AnalysedAt = minute(analysed)
		}
		if first != 0 {
			v.FirstSubmission = minute(first)
		}
		return v
	}
	nothing := func(source string, at int) cowrie.Verdict { return cowrie.NewVerdict(sha(1), source, minute(at)) }
	db, file := newDatabase(t), 0
	for _, c := range []struct {
		name string
		list []cowrie.Verdict
		want string
	}{
		{"nothing", nil, "-/- - - first - analysed - checked - pending"},
		{"one", []cowrie.Verdict{dated(said(vt, 1, 41, 63, "x", "ELF"), -1, -3)}, "41/63 x ELF first 03:01 analysed 03:03 checked 03:05 known"},
		{"not known", []cowrie.Verdict{nothing(vt, 1)}, "-/- - - first - analysed - checked 03:05 unknown"},
		{"not known any more", []cowrie.Verdict{said(vt, 1, 41, 63, "x", "ELF"), nothing(vt, 2)}, "-/- x ELF first - analysed - checked 03:06 unknown"},
		{"the last one counts", []cowrie.Verdict{said(vt, 1, 3, 60, "x", "ELF"), said(vt, 2, 5, 61, "y", "PE")}, "5/61 y PE first - analysed - checked 03:06 known"},
		{"even if the last one comes first", []cowrie.Verdict{said(vt, 2, 5, 61, "y", "PE"), said(vt, 1, 3, 60, "x", "ELF")}, "5/61 y PE first - analysed - checked 03:06 known"},
		{"whoever says it", []cowrie.Verdict{said(vt, 1, 3, 60, "x", "ELF"), dated(said(scan, 2, 5, 61, "", ""), 2, 0)}, "5/61 x ELF first - analysed 03:06 checked 03:06 known"},
		{"a label that was told last", []cowrie.Verdict{said(old, 1, 3, 60, "x", ""), said(vt, 2, 4, 60, "y", ""), said(scan, 3, 5, 61, "", "")}, "5/61 y - first - analysed - checked 03:07 known"},
		{"no label where nobody flags it any more", []cowrie.Verdict{said(vt, 1, 3, 60, "x", "ELF"), said(scan, 2, 0, 61, "", "")}, "0/61 - ELF first - analysed - checked 03:06 known"},
		{"a label where one flags it again", []cowrie.Verdict{said(vt, 1, 3, 60, "x", "ELF"), said(scan, 2, 0, 61, "", ""), said(scan, 3, 1, 61, "", "")}, "1/61 x ELF first - analysed - checked 03:07 known"},
		{"the type from another", []cowrie.Verdict{said(old, 1, -1, -1, "", "ELF"), said(scan, 2, 3, 61, "", "")}, "3/61 - ELF first - analysed - checked 03:06 known"},
		{"the first submission of all", []cowrie.Verdict{dated(said(vt, 1, 3, 60, "", ""), 0, -2), dated(said(vt, 2, 3, 60, "", ""), 0, -1), said(scan, 3, 3, 60, "", "")}, "3/60 - - first 03:02 analysed - checked 03:07 known"},
		{"the analysis of the last alone", []cowrie.Verdict{dated(said(vt, 1, 3, 60, "", ""), -1, 0), said(vt, 2, 3, 60, "", "")}, "3/60 - - first - analysed - checked 03:06 known"},
		{"a label alone", []cowrie.Verdict{said(old, 1, -1, -1, "x", "")}, "-/- x - first - analysed - checked 03:05 known"},
		{"a type alone", []cowrie.Verdict{said(old, 1, -1, -1, "", "ELF")}, "-/- - ELF first - analysed - checked 03:05 unknown"},
		{"at the same time", []cowrie.Verdict{said(vt, 1, 3, 60, "v", "V"), said(scan, 1, 4, 61, "s", "S")}, "4/61 s S first - analysed - checked 03:05 known"},
	} {
		for _, reverse := range []bool{false, true} {
			file++
			db.see(t, file)
			list := slices.Clone(c.list)
			if reverse {
				slices.Reverse(list)
			}
			for _, v := range list {
				v.Shasum = sha(file)
				if n := db.add(t, v); n != 1 {
					t.Errorf("%s: %d were added", c.name, n)
				}
			}
			if got := db.text(t, shown, sha(file)); got != c.want {
				t.Errorf("%s (in reverse: %v): %s, want %s", c.name, reverse, got, c.want)
			}
		}
	}
}

// TestEmptyFileIsIgnored: the empty file is known for what it is.
func TestEmptyFileIsIgnored(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	db.load(t, []byte(`{"eventid":"cowrie.session.file_download","session":"s","timestamp":"2026-01-01T00:00:00Z","shasum":"`+cowrie.EmptyShasum+`"}`))
	v := cowrie.NewVerdict(cowrie.EmptyShasum, cowrie.SourceVirusTotal, minute(1))
	v.Malicious, v.Total = 1, 60
	db.add(t, v)
	if got := db.text(t, shown, cowrie.EmptyShasum); got != "-/- - - first - analysed - checked - ignored" {
		t.Error(got)
	}
}

// TestStaging goes through the states of enrichment.
func TestStaging(t *testing.T) {
	t.Parallel()
	type step struct {
		what    string
		on, set bool
		before  store.Staging // as it is told before the step
		then    string        // what the file shows afterwards
		add     bool          // another verdict, after the step
	}
	const pending = "-/- - - first - analysed - checked - pending"
	checked := func(n int) string {
		return fmt.Sprintf("%d/60 label - first - analysed - checked 03:%02d known", n, 4+n)
	}
	for _, c := range []struct {
		name  string
		db    *database
		steps []step
	}{
		{"new", newDatabase(t), []step{
			{"the default", true, false, store.Staging{On: true}, checked(1), true},
			{"the same, whatever is meant by not set", false, false, store.Staging{On: true}, checked(2), true},
			{"off", false, true, store.Staging{}, checked(2), true},
			{"off again", false, true, store.Staging{}, checked(2), true},
			{"on by default", false, false, store.Staging{On: true, Behind: true}, checked(4), false},
			{"still on", true, true, store.Staging{On: true}, checked(5), true},
		}},
		{"taken over", takenOver(t, func(*sql.DB) {}), []step{
			{"the default", false, false, store.Staging{TakenOver: "3"}, pending, true},
			{"on is not meant where it is not set", true, false, store.Staging{TakenOver: "3"}, pending, true},
			{"on", true, true, store.Staging{On: true, TakenOver: "3", Behind: true}, checked(2), false},
			{"still on", true, true, store.Staging{On: true, TakenOver: "3"}, checked(3), true},
			{"the default again", false, false, store.Staging{TakenOver: "3"}, checked(3), true},
			{"on again", true, true, store.Staging{On: true, TakenOver: "3", Behind: true}, checked(4), false},
			{"off", false, true, store.Staging{TakenOver: "3"}, checked(4), false},
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			db := c.db
			verdicts := 0
			for i, s := range c.steps {
				got, err := db.Staging(t.Context(), s.on, s.set)
				if err != nil {
					t.Fatal(err)
				}
				if got.On != s.before.On || got.TakenOver != s.before.TakenOver || got.Behind != s.before.Behind {
					t.Errorf("before %q: %+v, want %+v", s.what, got, s.before)
				}
				if err := db.Stage(t.Context(), s.on, s.set); err != nil {
					t.Fatal(err)
				}
				if i == 0 {
					db.see(t, 1)
				}
				if s.add {
					verdicts++
					if n := db.add(t, said(cowrie.SourceVirusTotal, verdicts, verdicts, 60, "label", "")); n != 1 {
						t.Errorf("%q: %d were added", s.what, n)
					}
				}
				if got := db.text(t, shown, sha(1)); got != s.then {
					t.Errorf("after %q: %s, want %s", s.what, got, s.then)
				}
				if n := db.text(t, `SELECT count(*) FROM file_verdicts`); n != fmt.Sprint(verdicts) {
					t.Errorf("after %q: %s verdicts, of %d", s.what, n, verdicts)
				}
			}
		})
	}
}

// TestShadow: in the shadow nothing that is written shows what was said, and all
// of it is shown when enrichment comes out.
func TestShadow(t *testing.T) {
	t.Parallel()
	db := takenOver(t, func(old *sql.DB) {
		for i := range 3 {
			addRaw(t, old, fmt.Sprintf(`{"eventid": "cowrie.session.file_download", "session": "r", "timestamp": "2026-01-02T00:00:0%dZ", "shasum": "%s"}`, i, sha(i)))
			addRaw(t, old, fmt.Sprintf(`{"eventid": "cowrie.virustotal.scanfile", "session": "r", "timestamp": "2026-01-02T01:00:0%dZ", "sha256": "%s", "positives": %d, "total": 60}`, i, sha(i), i))
		}
	})
	if err := db.Stage(t.Context(), false, false); err != nil {
		t.Fatal(err)
	}
	db.backfill(t)
	db.see(t, 2)
	db.see(t, 3)
	db.load(t, []byte(`{"eventid":"cowrie.virustotal.scanfile","session":"n","timestamp":"2026-01-02T02:00:00Z","sha256":"`+sha(3)+`","positives":9,"total":60}`))
	if err := db.Mend(t.Context(), &cowrie.Mend{Files: []string{sha(1)}}); err != nil {
		t.Fatal(err)
	}
	if n := db.text(t, `SELECT count(*) || ' ' || count(vt_checked_at) || ' ' || count(vt_malicious) || ' ' || sum(enrichment_status = 'pending') FROM files`); n != "4 0 0 4" {
		t.Errorf("in the shadow: %s", n)
	}
	if n := db.text(t, `SELECT count(*) FROM file_verdicts`); n != "4" {
		t.Errorf("%s verdicts", n)
	}
	// Another process comes, and lets it out.
	other := open(t, db.path)
	if err := other.Stage(t.Context(), true, true); err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"0/60", "1/60", "2/60", "9/60"} {
		if got := db.text(t, shown, sha(i)); !strings.HasPrefix(got, want+" ") || !strings.HasSuffix(got, " known") {
			t.Errorf("file %d: %s, want %s", i, got, want)
		}
	}
	// The first one does not know, and goes on in the shadow: that is not lost.
	v := said(cowrie.SourceVirusTotal, 1, 7, 60, "", "")
	if n := db.add(t, v); n != 1 {
		t.Errorf("%d were added", n)
	}
	if got := db.text(t, shown, sha(1)); !strings.HasPrefix(got, "1/60 ") {
		t.Errorf("in the shadow it shows %s", got)
	}
	if st, err := other.Staging(t.Context(), true, true); err != nil || !st.Behind {
		t.Errorf("nobody knows that the columns are behind: %+v (%v)", st, err)
	}
	if err := other.Stage(t.Context(), true, true); err != nil {
		t.Fatal(err)
	}
	if got := db.text(t, shown, sha(1)); !strings.HasPrefix(got, "7/60 ") {
		t.Errorf("out of the shadow it shows %s", got)
	}
}
