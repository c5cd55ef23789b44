package copy_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"midden/internal/copy"
	"midden/internal/cowrie"
	"midden/internal/ingest"
	"midden/internal/store"
	"midden/internal/store/postgres"
	"midden/internal/store/postgres/pgtest"
	"midden/internal/store/sqlite"
	"midden/internal/store/storetest"
	"midden/internal/synth"
)

// TestMain runs the tests with a source on each engine.
func TestMain(m *testing.M) { os.Exit(storetest.Main(m)) }

var quiet = slog.New(slog.DiscardHandler)

// targets are names of new databases, one of each engine.
func targets(t testing.TB) []string {
	t.Helper()
	return []string{filepath.Join(t.TempDir(), "copy.db"), pgtest.Shared(t).Empty(t)}
}

// fill opens a database that is to be filled.
func fill(t testing.TB, name string) *store.Store {
	t.Helper()
	var s *store.Store
	var err error
	if postgres.Is(name) {
		s, err = postgres.Open(t.Context(), name, postgres.Options{Create: true, Write: true, Copy: true})
	} else {
		s, err = sqlite.Open(t.Context(), name, sqlite.Options{Create: true, Write: true, Copy: true})
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// try copies a database, or goes on doing so.
func try(ctx context.Context, t testing.TB, from, to string) (copy.Summary, error) {
	t.Helper()
	source, err := storetest.TryOpen(t, from, false)
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	snapshot, err := source.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer snapshot.Close()
	target := fill(t, to)
	defer target.Close()
	return copy.Run(ctx, snapshot, target, copy.Options{From: from, Tables: store.Tables(false), Log: quiet})
}

// copied copies a database.
func copied(t testing.TB, from, to string) copy.Summary {
	t.Helper()
	sum, err := try(t.Context(), t, from, to)
	if err != nil {
		t.Fatal(err)
	}
	return sum
}

// contents are all rows of all tables of a database that are copied, sorted.
func contents(t testing.TB, name string) (rows []string) {
	t.Helper()
	s := fill(t, name)
	defer s.Close()
	db := storetest.Connect(t, name)
	defer db.Close()
	for _, table := range store.Tables(false) {
		columns, err := s.Columns(t.Context(), table)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, c := range columns {
			if !c.Generated {
				names = append(names, c.Name)
			}
		}
		found := storetest.Rows(t, db, `SELECT `+strings.Join(names, ", ")+` FROM `+table)
		if len(found) == 0 {
			rows = append(rows, table+" is empty")
		}
		for _, row := range found {
			rows = append(rows, table+" "+strings.Join(row, " | "))
		}
	}
	slices.Sort(rows)
	return rows
}

func same(t testing.TB, from, to string) {
	t.Helper()
	if diff := cmp.Diff(contents(t, from), contents(t, to)); diff != "" {
		t.Errorf("the copy differs: %.3000s", diff)
	}
}

func load(t testing.TB, s *store.Store, dir string) ingest.Summary {
	t.Helper()
	sum, err := ingest.Load(t.Context(), s, []string{dir}, ingest.Options{Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	return sum
}

// odd are texts that PostgreSQL cannot hold, or that look like something else.
var odd = []string{"\x00", "a\x00b", "\xff\xfe", "\xed\xa0\x80", "cut \xe6\x97", "\U0010FF00", "\U0010FFFF", `\x00`, `\N`, "\t\n\r", "NULL", "",
	"2026-03-28T12:00:00.000000Z", "é 日", strings.Repeat("\xff", 4000)}

// sensorLogs writes logs of many months, with what is no event, and odd texts.
func sensorLogs(t testing.TB, seed uint64) (dir string) {
	t.Helper()
	dir = t.TempDir()
	var log bytes.Buffer
	o := synth.Options{Seed: seed, Events: 500, Sensors: 1, Span: 100 * 24 * time.Hour, FileShare: 0.2}
	if _, err := o.Generate(t.Context(), &log, 0); err != nil {
		t.Fatal(err)
	}
	for i, text := range odd {
		text, _ = strings.CutPrefix(fmt.Sprintf("%q", text), `"`)
		text = strings.NewReplacer(`\x00`, `\u0000`, `\xff`, "\xff", `\xfe`, "\xfe", `\xed`, "\xed", `\xa0`, "\xa0", `\x80`, "\x80", `\xe6`, "\xe6", `\x97`, "\x97",
			`\U0010ff00`, "\U0010ff00", `\U0010ffff`, "\U0010ffff").Replace(strings.TrimSuffix(text, `"`))
		for _, session := range []string{fmt.Sprint("odd", seed, "-", i), text} {
			for _, more := range []string{`"eventid":"cowrie.login.success","username":"` + text + `","password":"\ud800` + text + `"`,
				`"eventid":"cowrie.command.input","input":"sh ` + text + `"`,
				fmt.Sprintf(`"eventid":"cowrie.session.file_upload","shasum":"%064x","filename":"%[2]s","destfile":"%[2]s"`, seed<<16+uint64(i), text)} {
				fmt.Fprintf(&log, `{"session":"%s","sensor":"%s","timestamp":"2026-01-01T00:00:%02d.%06dZ",%s}`+"\n", session, text, i, log.Len()%1000000, more)
			}
		}
		fmt.Fprintf(&log, "no event %s\n", text)
	}
	fmt.Fprintf(&log, `{"eventid":"cowrie.log.closed","n":%d}`+"\n"+`{"eventid":"x","timestamp":"9999-12-31T23:59:59Z","session":"late"}`+"\n", seed)
	if err := os.WriteFile(filepath.Join(dir, "cowrie \xff.json"), log.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

var noon = time.Date(2026, 3, 28, 12, 0, 0, 0, time.UTC)

// enrich adds what others say of some files, and what was found of them on a disk.
func enrich(t testing.TB, s *store.Store, observed int) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	var files []string
	must(s.NewLookups(t.Context(), cowrie.LookupQuery{Source: cowrie.SourceVirusTotal, Now: noon, Limit: 5}, func(l cowrie.Lookup) error {
		files = append(files, l.Shasum)
		return nil
	}))
	if len(files) < 5 {
		t.Fatal("there are too few files")
	}
	for i, shasum := range files[:3] {
		v := cowrie.NewVerdict(shasum, cowrie.SourceVirusTotal, cowrie.FromStd(noon)+cowrie.Time(observed))
		v.Malicious, v.Total, v.Classification, v.Body = i, 60, "trojan.\x00", []byte(`{"same":1}`)
		must(s.Answered(t.Context(), v, cowrie.FromStd(noon.Add(time.Hour)), nil))
		v.ObservedAt += 1000
		must(s.Answered(t.Context(), v, cowrie.FromStd(noon.Add(time.Hour)), nil))
	}
	must(s.Failed(t.Context(), cowrie.SourceVirusTotal, files[3], "no answer \xff", cowrie.NoTime))
	must(s.Seed(t.Context(), cowrie.SourceHashlookup))
	_, err := s.Reserve(t.Context(), "virustotal abc", noon, cowrie.Limits{Minute: 4, Day: 500}, 0)
	must(err)
	must(s.Told(t.Context(), "virustotal abc", noon, cowrie.Limits{Day: 500}, 7, 8))
	d, err := s.Depot(t.Context(), "/srv/\xff", "one")
	must(err)
	_, err = s.AddFound(t.Context(), d, []cowrie.Found{{SeenAt: cowrie.FromStd(noon), Content: &cowrie.Content{Shasum: files[4], Size: 5, Entropy: 7.1234},
		DepotEntry: cowrie.DepotEntry{Name: "\x00\xff", FileID: cowrie.FileID{Inode: 1<<64 - 1, Size: 5}, Shasum: files[4]}}})
	must(err)
}

// often is a log of a file that was seen so often that what its sightings add up to is kept.
func often(t testing.TB) string {
	t.Helper()
	var log bytes.Buffer
	for i := range 1000 {
		fmt.Fprintf(&log, `{"eventid":"cowrie.session.file_upload","session":"%d","shasum":"%064d","timestamp":"2026-02-01T00:00:00.%06dZ"}`+"\n", i%50, 7, i)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "often.json"), log.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// source is a database with something in every table.
func source(t testing.TB) (name, logs string) {
	t.Helper()
	name, logs = storetest.Name(t), sensorLogs(t, 1)
	s := storetest.Open(t, name)
	load(t, s, logs)
	enrich(t, s, 0)
	// The last segment is dropped again.
	past := t.TempDir()
	if err := os.WriteFile(filepath.Join(past, "past.json"), []byte(`{"eventid":"x","session":"past","timestamp":"2016-01-01T00:00:00Z"}`+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	load(t, s, past)
	load(t, s, often(t))
	if err := s.Retain(t.Context(), cowrie.FromStd(noon.AddDate(-9, 0, 0)), func(store.Dropped) {}); err != nil {
		t.Fatal(err)
	}
	if err := s.SetPublishing(t.Context(), &cowrie.Publishing{Cluster: "c", Prefix: "p", StartedAt: cowrie.FromStd(noon)}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.QueueReport(t.Context(), "daily", "id", []byte(`{}`)); err != nil {
		t.Fatal(err)
	}
	db := storetest.Connect(t, name)
	defer db.Close()
	for _, statement := range []string{
		`INSERT INTO ingest_cursors (source, last_offset, last_ingest_at, metadata_json) VALUES ('/var/log', 5, '2026-01-01 00:00:00.5', '{"a": 1}')`,
		`INSERT INTO schema_state ("key", value) VALUES ('taken_over_from', '3')`,
		`INSERT INTO maintenance (job, state) VALUES ('backfill', 'done')`,
		`UPDATE lookups SET leased_until = '2026-01-01T00:00:00.000000Z'`,
		`UPDATE session_summaries SET created_at = first_event_at, source_files = '["a", "b"]', risk_score = 5`,
	} {
		if _, err := db.Exec(statement); err != nil {
			t.Fatal(err)
		}
	}
	s.Close()
	return name, logs
}

// TestCopy copies from each engine to each, and goes on working with the copy.
func TestCopy(t *testing.T) {
	t.Parallel()
	from, logs := source(t)
	more := sensorLogs(t, 2)
	for _, row := range contents(t, from) {
		if strings.HasSuffix(row, " is empty") {
			t.Error(row)
		}
	}
	for _, to := range targets(t) {
		sum := copied(t, from, to)
		if sum.Copied != sum.Rows || sum.Rows < 300 || sum.Damaged != 0 || sum.Tables != len(store.Tables(false)) {
			t.Errorf("%+v", sum)
		}
		same(t, from, to)

		// Then both go the same way.
		var dumps []string
		for _, name := range []string{storetest.Copy(t, from), to} {
			s := storetest.Open(t, name)
			if sum := load(t, s, logs); sum.Events != 0 || sum.DeadLetters != 0 || sum.FilesRead != 0 {
				t.Errorf("loading the same again: %+v", sum)
			}
			if sum := load(t, s, more); sum.Events < 500 {
				t.Errorf("loading more: %+v", sum)
			}
			enrich(t, s, 10)
			db := storetest.Connect(t, name)
			dumps = append(dumps, storetest.Dump(t, s, db))
			if postgres.Is(name) {
				if wrong := storetest.Rows(t, db, `SELECT id, month, last_event_at FROM event_segments WHERE month <> coalesce(
					CASE WHEN last_event_at > '9000-01-01' THEN '9999-12-01' ELSE date_trunc('month', last_event_at AT TIME ZONE 'UTC') END::date, '0001-01-01')`); len(wrong) > 0 {
					t.Errorf("segments stand under another month: %s", wrong)
				}
			}
			if twice := storetest.Rows(t, db, `SELECT count(*) FROM event_segments WHERE id IN (SELECT id FROM dropped_segments)`); twice[0][0] != "0" {
				t.Errorf("%s ids of dropped segments were given out again", twice)
			}
			if leased := storetest.Rows(t, db, `SELECT count(*) FROM lookups WHERE leased_until IS NOT NULL`); name == to && leased[0][0] != "0" {
				t.Errorf("%s lookups are leased in the copy", leased)
			}
			db.Close()
			s.Close()
		}
		if diff := cmp.Diff(strings.Split(dumps[0], "\n"), strings.Split(dumps[1], "\n")); diff != "" {
			t.Errorf("with more, the copy differs: %.3000s", diff)
		}
	}
}

// TestEveryTable looks that no table is forgotten.
func TestEveryTable(t *testing.T) {
	t.Parallel()
	name := storetest.Name(t)
	s := storetest.Open(t, name)
	db := storetest.Connect(t, name)
	query := storetest.Dialect(`SELECT name FROM sqlite_schema WHERE type = 'table'`,
		`SELECT relname FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition`)
	want := append(store.Tables(false), "maintenance")
	var have []string
	for _, row := range storetest.Rows(t, db, query) {
		have = append(have, row[0])
	}
	slices.Sort(want)
	slices.Sort(have)
	if diff := cmp.Diff(want, have); diff != "" {
		t.Errorf("these tables are copied, or are there (-copied +there): %s", diff)
	}
	for _, table := range store.Tables(false) {
		columns, err := s.Columns(t.Context(), table)
		if err != nil || !slices.ContainsFunc(columns, func(c cowrie.Column) bool { return c.Key == 1 }) {
			t.Errorf("%s has no key among %v, %v", table, columns, err)
		}
	}
}

// TestInterrupted stops a copy at each of its transactions, one after the other.
func TestInterrupted(t *testing.T) {
	defer copy.SetBatch(150_000)()
	from, _ := source(t)
	for _, to := range targets(t) {
		stops := 0
		for ; ; stops++ {
			ctx, cancel := context.WithCancel(t.Context())
			n := 0
			store.Point = func(name string) {
				if name != "copy: before commit" {
					return
				}
				if n++; n > 1+stops%3 {
					cancel()
				}
			}
			_, err := try(ctx, t, from, to)
			store.Point = nil
			cancel()
			if err == nil {
				break
			}
			if !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
			var unfinished *store.UnfinishedError
			if s, err := storetest.TryOpen(t, to, stops%2 == 0); !errors.As(err, &unfinished) {
				t.Fatalf("half a copy can be opened: %v, %v", s, err)
			}
			if stops > 1000 {
				t.Fatal("it does not get on")
			}
		}
		if stops < 8 {
			t.Errorf("it was stopped %d times only", stops)
		}
		same(t, from, to)
	}
}
