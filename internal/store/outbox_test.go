package store_test

import (
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"midden/internal/cowrie"
	"midden/internal/store"
	"midden/internal/store/storetest"
)

// noted returns what stands in the outbox, by kind and the hash that it is about, and
// empties it.
func (db *database) noted(t *testing.T) string {
	t.Helper()
	var list []string
	changes, err := db.Outbox(t.Context(), 1<<40, 1000)
	must(t, err)
	var answers []cowrie.Answer
	for _, c := range changes {
		switch {
		case c.Sighting != nil:
			list = append(list, "sighting "+strings.TrimLeft(c.Sighting.Shasum, "0"))
		case c.File != nil:
			list = append(list, "file "+strings.TrimLeft(c.File.Shasum, "0"))
		case c.Verdict != nil:
			list = append(list, "verdict "+strings.TrimLeft(c.Verdict.Shasum, "0"))
		case c.Body != nil && c.Kind == cowrie.KindReport:
			list = append(list, "report "+string(c.Body))
		default:
			list = append(list, c.Kind+" gone")
		}
		answers = append(answers, cowrie.Answer{Change: c})
	}
	must(t, db.Published(t.Context(), nil, answers))
	slices.Sort(list)
	return strings.Join(list, ", ")
}

func (db *database) publishes(t *testing.T) {
	t.Helper()
	must(t, db.SetPublishing(t.Context(), &cowrie.Publishing{Cluster: "c", Prefix: "p", StartedAt: minute(0)}))
}

// TestOutbox: every change of a file, a sighting or a verdict is noted, and nothing
// that changes nothing.
func TestOutbox(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	db.see(t, 1)
	if got := db.noted(t); got != "" {
		t.Errorf("noted although nobody publishes: %s", got)
	}
	db.publishes(t)
	want := func(what, want string) {
		t.Helper()
		if got := db.noted(t); got != want {
			t.Errorf("%s: noted %q, want %q", what, got, want)
		}
	}
	want("publishing begins", "")

	db.see(t, 2)
	want("load", "file 2, sighting 2")
	db.see(t, 2)
	want("load again", "")
	db.load(t, fmt.Appendf(nil, `{"eventid":"cowrie.session.file_upload","session":"t","timestamp":"2026-01-02T00:00:00Z","shasum":"%s"}`, sha(2)))
	want("another sighting", "file 2, sighting 2")
	db.load(t, fmt.Appendf(nil, `{"eventid":"cowrie.virustotal.scanfile","session":"v","timestamp":"2026-01-02T00:00:00Z","sha256":"%s","positives":3,"total":60}`, sha(2)))
	want("a verdict of Cowrie's", "file 2, verdict 2")

	db.add(t, said(cowrie.SourceVirusTotal, 1, 3, 60, "a", "ELF"))
	want("a verdict out of a cache", "file 1, verdict 1")
	db.add(t, said(cowrie.SourceVirusTotal, 1, 3, 60, "a", "ELF"))
	want("again", "file 1")
	must(t, db.Answered(t.Context(), said(cowrie.SourceVirusTotal, 2, 4, 60, "a", "ELF"), minute(60), nil))
	want("an answer", "file 1, verdict 1")
	db.see(t, 3)
	db.noted(t)
	must(t, db.Failed(t.Context(), cowrie.SourceVirusTotal, sha(3), "no", cowrie.NoTime))
	want("a look-up that failed", "file 3")

	first := foundAt("a", 4, 50)
	db.addFound(t, "one", cowrie.ScanTally{Files: 1, Sightings: 1, Facts: 1}, first)
	want("a file on disk", "file 5, sighting 5")
	db.addFound(t, "one", cowrie.ScanTally{Facts: 1, Sightings: 1}, foundAt("b", 2, 50))
	want("the content of a file", "file 3, sighting 3")
	db.addFound(t, "one", cowrie.ScanTally{}, foundAt("c", 4, 20))
	want("an earlier time on disk", "file 5")
	db.addFound(t, "one", cowrie.ScanTally{}, foundAt("a", 4, 50))
	want("the same again", "")

	var wrong cowrie.StoredSighting
	sn, err := db.Snapshot(t.Context())
	must(t, err)
	must(t, sn.Sightings(t.Context(), func(s *cowrie.StoredSighting) error {
		if s.Kind == cowrie.Upload {
			wrong = *s
		}
		return nil
	}))
	sn.Close()
	must(t, db.Mend(t.Context(), &cowrie.Mend{Wrong: []cowrie.StoredSighting{wrong}}))
	want("a sighting deleted", "file 2, sighting gone")
	must(t, db.Mend(t.Context(), &cowrie.Mend{Missing: []cowrie.StoredSighting{wrong}}))
	want("a sighting put back", "file 2, sighting 2")
	must(t, db.Mend(t.Context(), &cowrie.Mend{Files: []string{sha(9)}}))
	want("a file that is not there", "file gone")

	queued, err := db.QueueReport(t.Context(), "daily", "all:daily:2026-01-01", []byte(`{}`))
	must(t, err)
	want("a report", "report {}")
	if !queued {
		t.Error("the report was not queued")
	}
}

// TestOutboxOfABatch: of a file that a batch changes in more than one way there is one
// row, which PostgreSQL insists on: no statement changes a row twice.
func TestOutboxOfABatch(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	db.publishes(t)
	const files = 20 // as few as share a statement
	var lines [][]byte
	for n := range files {
		lines = append(lines, fmt.Appendf(nil, `{"eventid":"cowrie.session.file_upload","session":"w","timestamp":"2026-01-03T00:00:00Z","shasum":"%s"}`, sha(n)),
			fmt.Appendf(nil, `{"eventid":"cowrie.virustotal.scanfile","session":"w","timestamp":"2026-01-03T00:00:01Z","sha256":"%s","positives":4,"total":60}`, sha(n)))
	}
	db.load(t, lines...)
	if waiting, _, err := db.InOutbox(t.Context()); waiting != 3*files || err != nil {
		t.Errorf("%d changes of %d files, %v", waiting, files, err)
	}
}

// TestOutboxOfRawEvents: what a backfill finds is noted, too, and what comes out of the
// shadow.
func TestOutboxOfRawEvents(t *testing.T) {
	t.Parallel()
	storetest.OnSQLite(t) // PostgreSQL has no raw events
	db := takenOver(t, func(old *sql.DB) {
		addRaw(t, old, fmt.Sprintf(`{"eventid": "cowrie.session.file_download", "session": "r", "timestamp": "2026-01-01T00:00:00Z", "shasum": "%s"}`, sha(1)))
	})
	db.publishes(t)
	db.backfill(t)
	if got, want := db.noted(t), "file 1, sighting 1"; got != want {
		t.Errorf("backfill: noted %q, want %q", got, want)
	}
	must(t, db.Stage(t.Context(), false, true))
	db.add(t, said(cowrie.SourceVirusTotal, 1, 3, 60, "a", "ELF"))
	if got, want := db.noted(t), "verdict 1"; got != want {
		t.Errorf("in the shadow: noted %q, want %q", got, want)
	}
	must(t, db.Stage(t.Context(), true, true))
	if got, want := db.noted(t), "file 1"; got != want {
		t.Errorf("out of the shadow: noted %q, want %q", got, want)
	}
}

// TestOutboxRevisions: a file that changes often is one row; what was sent of it before
// it changed again takes nothing away; revisions never go back, nor does emptying the
// outbox have one given again.
func TestOutboxRevisions(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	db.publishes(t)
	last := int64(0)
	next := func() *cowrie.Change {
		t.Helper()
		list, err := db.Outbox(t.Context(), 1<<40, 10)
		must(t, err)
		if len(list) != 1 {
			t.Fatalf("%d changes", len(list))
		}
		if list[0].Revision <= last {
			t.Errorf("revision %d after %d", list[0].Revision, last)
		}
		last = list[0].Revision
		return list[0]
	}
	db.see(t, 1)
	db.noted(t)
	db.add(t, said(cowrie.SourceVirusTotal, 1, 3, 60, "a", "ELF"))
	db.noted(t)
	touch := func(at int) {
		t.Helper()
		must(t, db.Mend(t.Context(), &cowrie.Mend{Files: []string{sha(1)}}))
	}
	touch(1)
	sent := next()
	for at := range 9 {
		touch(at)
	}
	later := next()
	must(t, db.Published(t.Context(), nil, []cowrie.Answer{{Change: sent}}))
	if waiting, _, err := db.InOutbox(t.Context()); waiting != 1 || err != nil {
		t.Errorf("%d wait, %v: the answer to an older state took the newer one away", waiting, err)
	}
	must(t, db.Published(t.Context(), nil, []cowrie.Answer{{Change: sent, Problem: "no"}}))
	if _, refused, err := db.InOutbox(t.Context()); refused != 0 || err != nil {
		t.Errorf("%d refused, %v: an older state was, not this one", refused, err)
	}
	must(t, db.Published(t.Context(), nil, []cowrie.Answer{{Change: later, Problem: "no"}}))
	if waiting, refused, err := db.InOutbox(t.Context()); waiting != 0 || refused != 1 || err != nil {
		t.Errorf("%d wait, %d refused, %v", waiting, refused, err)
	}
	var problems []string
	must(t, db.Refused(t.Context(), 0, func(r *cowrie.Refused) error {
		problems = append(problems, r.Kind+" "+strings.TrimLeft(r.Key, "0")+": "+r.Problem)
		return nil
	}))
	if !slices.Equal(problems, []string{"file 1: no"}) {
		t.Errorf("refused: %q", problems)
	}
	touch(1) // another state may be taken
	again := next()
	must(t, db.Published(t.Context(), nil, []cowrie.Answer{{Change: again}}))
	touch(1)
	next()
}

// TestScan: all things are read, each once, however many at a time, on from any key.
func TestScan(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	for n := 1; n <= 7; n++ {
		db.see(t, n)
		db.load(t, fmt.Appendf(nil, `{"eventid":"cowrie.session.file_upload","session":"s1","timestamp":"2026-01-02T00:00:0%dZ","shasum":"%s","filename":"é\u0000/'\""}`, n, sha(n)))
	}
	db.addFound(t, "one", cowrie.ScanTally{Sightings: 2, Facts: 2}, foundAt("a", 1, 50), foundAt("b", 2, 50))
	body := []byte(`{"data":{"attributes":{"times_submitted":7}}}`)
	for at := range 3 {
		v := said(cowrie.SourceVirusTotal, at, 3+at/2, 60, "a", "ELF")
		v.Body = body
		db.add(t, v, said(cowrie.SourceScanfile, at, 1, 60, "", ""))
	}
	db.publishes(t)
	for _, c := range []struct {
		kind string
		want int
	}{{cowrie.KindFile, 7}, {cowrie.KindSighting, 16}, {cowrie.KindVerdict, 6}} {
		for _, max := range []int{1, 3, 100} {
			var keys []string
			after := ""
			for {
				list, err := db.Scan(t.Context(), c.kind, after, max)
				must(t, err)
				for _, change := range list {
					keys = append(keys, change.Key)
					if change.Revision != 1 || change.Sighting == nil && change.File == nil && change.Verdict == nil {
						t.Fatalf("%+v", change)
					}
					if v := change.Verdict; v != nil && v.Source == cowrie.SourceVirusTotal && (v.TimesSubmitted == nil || *v.TimesSubmitted != 7) {
						t.Errorf("submitted %v times", v.TimesSubmitted)
					}
					after = change.Key
				}
				if len(list) < max {
					break
				}
			}
			slices.Sort(keys)
			if n := len(slices.Compact(keys)); n != c.want {
				t.Errorf("%s, %d at a time: %d, want %d", c.kind, max, n, c.want)
			}
		}
	}
}

// TestPublishing: how far others were told is what was noted last.
func TestPublishing(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	if p, err := db.Publishing(t.Context()); p != nil || err != nil {
		t.Fatalf("%+v, %v", p, err)
	}
	want := cowrie.Publishing{Cluster: "c", Prefix: "p", InFlight: 3, Scan: cowrie.KindFile, After: "k", Index: "i", StartedAt: cowrie.FromStd(time.Unix(1e9, 0))}
	must(t, db.SetPublishing(t.Context(), &want))
	db.see(t, 1)
	want.Cluster, want.Prefix, want.InFlight, want.Scan, want.After, want.Index, want.Revision = "d", "q", 4, cowrie.KindVerdict, "l", "", 2
	must(t, db.Published(t.Context(), &want, nil))
	if p, err := db.Publishing(t.Context()); err != nil || *p != want {
		t.Errorf("%+v, %v; want %+v", p, err, want)
	}
}

// TestPublicationLock: one publishes at a time, and keeps nobody else back.
func TestPublicationLock(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	maintains, err := db.Hold("verify --repair")
	must(t, err)
	defer maintains()
	release, err := db.HoldPublication("elastic publish")
	must(t, err)
	var held *store.HeldError
	if _, err := db.HoldPublication("elastic stop"); !errors.As(err, &held) || !strings.Contains(err.Error(), "midden elastic publish, process") {
		t.Errorf("a second one: %v", err)
	}
	release()
	again, err := db.HoldPublication("elastic publish")
	must(t, err)
	again()
}

// TestPortions: of long texts fewer things are read at once, and none is left out.
func TestPortions(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	db.publishes(t)
	const sightings = 1200
	m := &cowrie.Mend{}
	long := strings.Repeat("x", 4090)
	for n := range sightings {
		m.Missing = append(m.Missing, cowrie.StoredSighting{Place: cowrie.Place{Segment: 1}, Sighting: cowrie.Sighting{Shasum: sha(0), Session: fmt.Sprint("s", n),
			Kind: cowrie.Upload, SeenAt: minute(n), Filename: long, Destfile: long, URL: long, Outfile: long}})
	}
	must(t, db.Mend(t.Context(), m))
	seen, after, most := 0, "", 0
	for {
		list, err := db.Scan(t.Context(), cowrie.KindSighting, after, sightings)
		must(t, err)
		if len(list) == 0 {
			break
		}
		seen, most, after = seen+len(list), max(most, len(list)), list[len(list)-1].Key
	}
	if seen != sightings || most > sightings/2 {
		t.Errorf("%d of %d sightings, %d at once", seen, sightings, most)
	}
	seen, most = 0, 0
	for {
		list, err := db.Outbox(t.Context(), 1<<40, 2*sightings)
		must(t, err)
		if len(list) == 0 {
			break
		}
		var answers []cowrie.Answer
		for _, c := range list {
			answers = append(answers, cowrie.Answer{Change: c})
		}
		must(t, db.Published(t.Context(), nil, answers))
		seen, most = seen+len(list), max(most, len(list))
	}
	if seen != sightings+1 || most > sightings/2 {
		t.Errorf("%d of %d changes, %d at once", seen, sightings+1, most)
	}
}
