package report_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"midden/internal/cowrie"
	"midden/internal/report"
	"midden/internal/store/storetest"
)

func hash(n int) string { return fmt.Sprintf("%064x", n) }

// download is the event of a download.
func download(session, when string, file int) []byte {
	return fmt.Appendf(nil, `{"eventid":"cowrie.session.file_download","session":%q,"timestamp":%q,"sensor":"s1","src_ip":"192.0.2.1","url":"http://a.test/x%d","shasum":%q}`,
		session, when, file, hash(file))
}

// verdict is an answer of VirusTotal; malicious is -1 for a file that it does not know.
func verdict(t testing.TB, file int, when string, malicious int, label, first string) cowrie.Verdict {
	v := cowrie.NewVerdict(hash(file), cowrie.SourceVirusTotal, at(t, when))
	if malicious < 0 {
		return v
	}
	v.Malicious, v.Total, v.Classification, v.AnalysedAt, v.Listed = malicious, 60, label, at(t, when), true
	if first != "" {
		v.FirstSubmission = at(t, first)
	}
	return v
}

func (db *database) verdicts(t testing.TB, list ...cowrie.Verdict) {
	t.Helper()
	if _, err := db.AddVerdicts(t.Context(), list); err != nil {
		t.Fatal(err)
	}
}

// TestVerdicts says which files are in which list, at which moment.
func TestVerdicts(t *testing.T) {
	db := newDatabase(t)
	db.load(t,
		download("a", "2026-03-01T10:00:00Z", 1), download("b", "2026-03-10T10:00:00Z", 1), // known since long
		download("c", "2026-03-10T11:00:00Z", 2), // malicious since the 10th
		download("c", "2026-03-10T11:00:01Z", 1),
		download("d", "2026-03-10T12:00:00Z", 3), // not known
		download("e", "2026-03-10T13:00:00Z", 4), // here before VirusTotal had it
		download("f", "2026-03-10T14:00:00Z", 5), // submitted shortly before
		download("g", "2026-03-10T15:00:00Z", 6), // nobody was asked
		download("h", "2026-02-01T15:00:00Z", 7)) // not of the day
	db.verdicts(t,
		verdict(t, 1, "2026-03-02T00:00:00Z", 10, "trojan.a", "2020-01-01T00:00:00Z"),
		verdict(t, 1, "2026-03-10T20:00:00Z", 12, "trojan.b", "2020-01-01T00:00:00Z"),
		verdict(t, 2, "2026-03-10T18:00:00Z", 30, "trojan.c", "2026-01-01T00:00:00Z"),
		verdict(t, 3, "2026-03-10T18:00:00Z", -1, "", ""),
		verdict(t, 4, "2026-03-10T23:00:00Z", 0, "", "2026-03-10T22:00:00Z"),
		verdict(t, 5, "2026-03-10T18:00:00Z", 0, "", "2026-03-08T00:00:00Z"),
		verdict(t, 7, "2026-03-10T18:00:00Z", 3, "trojan.old", "2026-02-02T00:00:00Z"),
		verdict(t, 1, "2026-03-20T20:00:00Z", 40, "trojan.later", "2020-01-01T00:00:00Z"))
	type lists struct {
		Malicious, Changed, Unknown, Before, Recent, Flagged []string
		Pending, VTFlagged, RecentFiles, Classifications     int64
	}
	look := func(r report.Request) (l lists) {
		d := db.report(t, r)
		text := func(v report.Verdict) string {
			was := ""
			if v.MaliciousWas != nil {
				was = fmt.Sprintf("%d %s to ", *v.MaliciousWas, v.LabelWas)
			}
			is := "unknown"
			if v.Malicious != nil {
				is = strings.TrimSpace(fmt.Sprintf("%d %s", *v.Malicious, v.Classification))
			}
			return strings.TrimLeft(v.Shasum, "0") + ": " + was + is
		}
		for _, of := range []struct {
			into *[]string
			from []report.Verdict
		}{{&l.Malicious, d.Verdicts.NewMalicious}, {&l.Changed, d.Verdicts.Changed}, {&l.Unknown, d.Verdicts.Unknown},
			{&l.Before, d.Verdicts.SeenBefore}, {&l.Recent, d.Verdicts.RecentSubmissions}} {
			for _, v := range of.from {
				*of.into = append(*of.into, text(v))
			}
		}
		flagged := 0
		for _, f := range d.Enrichments.Flagged {
			flagged += len(f.Files)
			files := ""
			for _, one := range f.Files {
				files += fmt.Sprintf(" %s:%d", strings.TrimLeft(one.Shasum, "0"), one.Malicious)
			}
			l.Flagged = append(l.Flagged, f.Session+files)
		}
		if int64(flagged) != d.Enrichments.FlaggedFiles {
			t.Errorf("%d malicious files of sessions, and %d are counted", flagged, d.Enrichments.FlaggedFiles)
		}
		if got := (report.Verdicts{NewMaliciousTotal: int64(len(l.Malicious)), ChangedTotal: int64(len(l.Changed)),
			UnknownTotal: int64(len(l.Unknown)), SeenBeforeTotal: int64(len(l.Before)), PendingTotal: d.Verdicts.PendingTotal}); got.NewMaliciousTotal != d.Verdicts.NewMaliciousTotal ||
			got.ChangedTotal != d.Verdicts.ChangedTotal || got.UnknownTotal != d.Verdicts.UnknownTotal || got.SeenBeforeTotal != d.Verdicts.SeenBeforeTotal {
			t.Errorf("totals: %+v", d.Verdicts)
		}
		l.Pending, l.VTFlagged, l.RecentFiles, l.Classifications = d.Verdicts.PendingTotal, d.Sessions.VTFlagged, d.Files.RecentVT, d.Files.Classifications
		return l
	}
	day := named(t, report.Daily, "2026-03-10", "UTC")
	want := lists{
		Malicious: []string{"2: 30 trojan.c", "7: 3 trojan.old"},
		Changed:   []string{"1: 10 trojan.a to 12 trojan.b"},
		Unknown:   []string{"3: unknown"},
		Before:    []string{"4: 0"},
		Recent:    []string{"5: 0"},
		Flagged:   []string{"c 2:30 1:12", "b 1:12"},
		Pending:   1, VTFlagged: 2, RecentFiles: 1, Classifications: 2,
	}
	if diff := gocmp.Diff(want, look(day)); diff != "" {
		t.Errorf("the day: %s", diff)
	}
	// At noon nothing of it was said yet.
	noon := day
	noon.AsOf = at(t, "2026-03-10T12:30:00Z")
	if diff := gocmp.Diff(lists{Flagged: []string{"b 1:10", "c 1:10"}, Pending: 2, VTFlagged: 2, Classifications: 1}, look(noon)); diff != "" {
		t.Errorf("at noon: %s", diff)
	}
	// A report of one sensor knows its files only.
	other := day
	other.Sensor = "s2"
	if diff := gocmp.Diff(lists{}, look(other)); diff != "" {
		t.Errorf("of another sensor: %s", diff)
	}
	d := db.report(t, day)
	for _, alert := range []string{"2 files are called malicious for the first time: " + hash(2) + " (30 of 60 engines, trojan.c), " + hash(7),
		"1 file was here before VirusTotal had it: " + hash(4)} {
		if !slices.ContainsFunc(d.Alerts, func(a string) bool { return strings.HasPrefix(a, alert) }) {
			t.Errorf("no alert %q in %q", alert, d.Alerts)
		}
	}
	if ids := d.Abnormalities.RecentVT; !slices.Equal(ids, []string{"f"}) {
		t.Errorf("sessions with recent submissions: %q", ids)
	}
	if v := d.Verdicts.SeenBefore[0]; v.Lead == nil || *v.Lead != 9*3600 {
		t.Errorf("lead: %+v", v)
	}
	// In the shadow nothing is shown.
	if err := db.Stage(t.Context(), false, true); err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff(lists{Pending: 6}, look(day)); diff != "" {
		t.Errorf("in the shadow: %s", diff)
	}
	if notes := db.report(t, day).Notes; len(notes) != 1 || !strings.Contains(notes[0], "shadow") {
		t.Errorf("notes: %q", notes)
	}
}

// TestOpinions: what a report says of files is what their columns say.
func TestOpinions(t *testing.T) {
	db := newDatabase(t)
	rnd := rand.New(rand.NewPCG(3, 4))
	const files = 60
	pick := func(of ...string) string { return of[rnd.IntN(len(of))] }
	time := func() string { return fmt.Sprintf("2026-03-%02dT00:00:00Z", 1+rnd.IntN(6)) }
	for n := range files {
		db.load(t, download(fmt.Sprint("s", n), "2026-03-10T10:00:00Z", n))
		for range rnd.IntN(5) {
			v := verdict(t, n, time(), rnd.IntN(4)-1, pick("", "a", "b"), pick("", "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"))
			v.Source = pick(append(cowrie.OfVirusTotal, cowrie.SourceURLhaus)...)
			switch {
			case v.Known() && rnd.IntN(2) == 0:
				v.AnalysedAt = at(t, time())
			case v.Known() && rnd.IntN(3) == 0:
				v.AnalysedAt = cowrie.NoTime
			}
			db.verdicts(t, v)
		}
	}
	r := named(t, report.Daily, "2026-03-10", "UTC")
	r.Top = files
	var got []string
	number := func(n *int64) string {
		if n == nil {
			return "NULL"
		}
		return fmt.Sprint(*n)
	}
	for _, f := range db.report(t, r).Files.TopHashes {
		label := f.Classification
		if label == "" {
			label = "NULL"
		}
		got = append(got, strings.Join([]string{f.Shasum, number(f.Malicious), number(f.Total), label, f.Status}, " "))
	}
	var want []string
	for _, row := range storetest.Rows(t, db.sql, `SELECT shasum, vt_malicious, vt_total, vt_classification, enrichment_status FROM files ORDER BY shasum`) {
		want = append(want, strings.Join(row, " "))
	}
	slices.Sort(got)
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
