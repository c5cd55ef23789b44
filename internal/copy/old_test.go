package copy_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"midden/internal/backfill"
	"midden/internal/compact"
	"midden/internal/copy"
	"midden/internal/cowrie"
	"midden/internal/store"
	"midden/internal/store/migrate"
	"midden/internal/store/sqlite"
	"midden/internal/store/storetest"
	"midden/internal/synth"
	"midden/internal/synth/cowrieprocessor"
)

// old writes a database of cowrieprocessor with all that it did wrong, sessions that
// are scattered over several segments, sessions and dead letters without events, and
// a table of files. It returns the lines of a log that it has.
func old(t testing.TB, version int, files string) (path string, lines [][]byte) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "old.sqlite")
	o := cowrieprocessor.Options{Logs: synth.Options{Seed: 31, Events: 250, FileShare: 0.3}, Version: version, Files: files, Faults: true}
	if _, err := cowrieprocessor.Write(t.Context(), path, o); err != nil {
		t.Fatal(err)
	}
	db := storetest.Connect(t, path)
	defer db.Close()
	exec := func(query string, args ...any) {
		t.Helper()
		if _, err := db.Exec(query, args...); err != nil {
			t.Fatal(err)
		}
	}
	var log bytes.Buffer
	if _, err := (synth.Options{Seed: 32, Events: 250, Sensors: 1, FileShare: 0.2}).Generate(t.Context(), &log, 0); err != nil {
		t.Fatal(err)
	}
	log.WriteString(`{"eventid":"cowrie.log.closed","timestamp":"2026-01-01T00:00:00Z"}` + "\n" + `{"eventid":"cowrie.log.open"}` + "\n")
	lines = bytes.Split(bytes.TrimSpace(log.Bytes()), []byte("\n"))
	large := strings.Repeat("all work and no play ", 9000)
	for i := range 4 {
		part := lines[i*len(lines)/4 : (i+1)*len(lines)/4]
		if version >= 2 {
			if err := cowrieprocessor.Load(t.Context(), db, fmt.Sprint("/log/cowrie.json.", i), part, cowrieprocessor.LoadOptions{Inode: "7"}); err != nil {
				t.Fatal(err)
			}
		} else {
			for n, line := range part {
				exec(`INSERT INTO raw_events (source, source_inode, source_offset, payload) VALUES ('/log/cowrie.json', '7', ?, ?)`, i*1000+n, string(line))
			}
		}
		for n := range 4 {
			exec(`INSERT INTO raw_events (source, payload) VALUES ('x', ?)`, fmt.Sprintf(`{"eventid":"cowrie.command.input","session":"wide%d","timestamp":"2026-01-01T00:00:%02d.%06dZ","input":"%d %s"}`, n, i, n, i, large))
		}
	}
	for _, payload := range []any{"no JSON", "", 5, []byte{0xff, 0, 1}, "[1", "{\"a\x00\":1}", `{"eventid": "cowrie.session.file_download", "session": 7}`,
		`{"eventid":"cowrie.session.file_upload","session":"odd\u0000","shasum":"` + strings.Repeat("ab", 32) + `","timestamp":"2026-01-01T00:00:00Z","filename":"\ud800\u0000"}`,
		`{"eventid":"x","session":"` + strings.Repeat("s", 300) + `","timestamp":"2026-01-01T00:00:00Z"}`,
		`{"eventid":"cowrie.virustotal.scanfile","session":"vt","sha256":"` + strings.Repeat("ab", 32) + `","positives":3,"total":60,"timestamp":"2026-01-01T00:00:00Z"}`} {
		if _, err := cowrieprocessor.AddRaw(t.Context(), db, payload); err != nil {
			t.Fatal(err)
		}
	}
	exec(`INSERT INTO session_summaries (session_id, first_event_at, event_count, matcher, vt_flagged, source_files) VALUES
		('gone', '2024-01-01 00:00:00.000000', 9, 'sensor', 1, '["a"]'), ('vt', NULL, 5, 'told', 0, NULL)`)
	exec(`INSERT INTO command_stats (session_id, command_normalized, occurrences, first_seen) VALUES ('gone', ?, 2, '2024-01-01 00:00:00.000000')`, "rm \x00")
	exec(`INSERT INTO dead_letter_events (reason, payload) VALUES ('odd', '{"a": 1}')`)
	exec(`INSERT INTO ingest_cursors (source, last_offset) VALUES ('/x', 7)`)
	return path, lines
}

// takenOver takes a copy of a database over in place, and returns it.
func takenOver(t testing.TB, path string) string {
	t.Helper()
	path = storetest.Copy(t, path)
	if err := sqlite.Upgrade(t.Context(), path, func(*migrate.Plan) error { return nil }, func(int) {}); err != nil {
		t.Fatal(err)
	}
	s := storetest.Open(t, path)
	defer s.Close()
	if err := s.Stage(t.Context(), false, false); err != nil {
		t.Fatal(err)
	}
	if _, err := backfill.Run(t.Context(), s, backfill.Options{Pace: backfill.Pace{Full: true}, Log: quiet}); err != nil {
		t.Fatal(err)
	}
	if _, err := compact.Run(t.Context(), s, backfill.JobName, compact.Options{}); err != nil {
		t.Fatal(err)
	}
	return path
}

// tryOld copies a database of cowrieprocessor, or goes on doing so.
func tryOld(ctx context.Context, t testing.TB, from, to string) (copy.Summary, error) {
	t.Helper()
	plan, err := sqlite.Plan(t.Context(), from)
	if err != nil {
		t.Fatal(err)
	}
	source, err := sqlite.OpenOld(t.Context(), from)
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
	return copy.Run(ctx, snapshot, target, copy.Options{From: from, Tables: store.Tables(true), Log: quiet, Old: &copy.Old{
		Raw: source, Version: fmt.Sprint(plan.Found.Version),
		Stage: func(ctx context.Context) error { return target.Stage(ctx, false, false) },
	}})
}

// held is all that a database holds, but for when it was written.
func held(t testing.TB, name string) []string {
	t.Helper()
	s := storetest.Open(t, name)
	defer s.Close()
	db := storetest.Connect(t, name)
	defer db.Close()
	all := strings.Split(storetest.Dump(t, s, db), "\n")
	for table, columns := range map[string]string{
		"schema_state":       `"key", value`,
		"event_segments":     `id, source_id, source_offset, source_length, event_count, first_event_at, last_event_at, text_size, checksum, origins`,
		"session_summaries":  `session_id, vt_flagged, dshield_flagged, risk_score, source_files, enrichment, segments, segment_events`,
		"command_stats":      `session_id, command_normalized, high_risk`,
		"dead_letter_events": `ingest_id, source, source_offset, payload, metadata_json, resolved_at, source_id, length, digest`,
		"files":              `shasum, vt_classification, vt_description, vt_first_seen`,
		"file_sightings":     `session_id, sighting_key, segment_id, event_index, raw_event_id`,
		"file_verdicts":      `shasum, source, observed_at, known, body, body_of`,
		"lookups":            `source, shasum, state, due_at, failures, error`,
		"ingest_cursors":     `source, inode, last_offset, last_ingest_at, last_ingest_id, metadata_json`,
		"sources":            `fingerprint, position, lines, events, duplicates, dead_letters, blank`,
		"sessionless_events": `digest, segment_id`,
		"log_files":          `path`,
	} {
		for _, row := range storetest.Rows(t, db, `SELECT `+columns+` FROM `+table) {
			all = append(all, table+" "+strings.Join(row, " | "))
		}
	}
	slices.Sort(all)
	return all
}

// TestOld: a copy of a database of cowrieprocessor holds what that holds when it was
// taken over in place, and takes what that takes. The source is left alone.
func TestOld(t *testing.T) {
	t.Parallel()
	storetest.OnSQLite(t)
	for _, c := range []struct {
		version int
		files   string
	}{{1, ""}, {2, "oldest"}, {3, "later"}} {
		from, lines := old(t, c.version, c.files)
		before := digest(t, from)
		inPlace := takenOver(t, from)
		want := held(t, inPlace)
		logs := t.TempDir()
		if err := os.WriteFile(filepath.Join(logs, "cowrie.json"), append(bytes.Join(lines, []byte("\n")), '\n'), 0o600); err != nil {
			t.Fatal(err)
		}
		both := targets(t)
		for _, to := range [][]string{both[1:], both[:1], both}[c.version-1] {
			sum, err := tryOld(t.Context(), t, from, to)
			if err != nil {
				t.Fatal(err)
			}
			if sum.Events < 400 || sum.RawEvents < sum.Events+30 || sum.Tables != 4 {
				t.Errorf("%+v", sum)
			}
			if diff := cmp.Diff(want, held(t, to)); diff != "" {
				t.Errorf("version %d, %s: the copy differs: %.3000s", c.version, to, diff)
			}
			s := storetest.Open(t, to)
			if sum := load(t, s, logs); sum.Events != 0 || sum.Lines != int64(len(lines)) || sum.Sightings != 0 {
				t.Errorf("version %d: loading what it has: %+v", c.version, sum)
			}
			s.Close()
		}
		// What was taken over in place can be copied, too.
		again := filepath.Join(t.TempDir(), "again.db")
		copied(t, inPlace, again)
		if diff := cmp.Diff(want, held(t, again)); diff != "" {
			t.Errorf("version %d: the copy of what was taken over differs: %.3000s", c.version, diff)
		}
		s := storetest.Open(t, again)
		if sum := load(t, s, logs); sum.Events != 0 {
			t.Errorf("version %d: loading what it has into the copy: %+v", c.version, sum)
		}
		if after := digest(t, from); after != before {
			t.Error("the source was changed")
		}
	}
}

func digest(t testing.TB, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%x", sha256.Sum256(data))
}

// TestOldLetters: what is set aside between two runs would be missing.
func TestOldLetters(t *testing.T) {
	storetest.OnSQLite(t)
	from, _ := old(t, 3, "")
	to := targets(t)[0]
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	store.Point = func(name string) {
		if name == "compact: before commit" {
			cancel()
		}
	}
	_, err := tryOld(ctx, t, from, to)
	store.Point = nil
	if !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	db := storetest.Connect(t, from)
	if _, err := db.Exec(`INSERT INTO dead_letter_events (id, reason, payload) VALUES (1000, 'late', '{}')`); err != nil {
		t.Fatal(err)
	}
	if _, err := tryOld(t.Context(), t, from, to); err == nil || !strings.Contains(err.Error(), "rows in dead_letter_events now") {
		t.Errorf("got %v", err)
	}
	if _, err := db.Exec(`DELETE FROM dead_letter_events WHERE id = 1000`); err != nil {
		t.Fatal(err)
	}
	if _, err := tryOld(t.Context(), t, from, to); err != nil {
		t.Error(err)
	}
}

// TestOldInterrupted stops a copy of a database of cowrieprocessor at its
// transactions, one after the other, while its program goes on working.
func TestOldInterrupted(t *testing.T) {
	storetest.OnSQLite(t)
	from, _ := old(t, 3, "later")
	for _, to := range targets(t) {
		from := storetest.Copy(t, from)
		points := map[string]int{}
		for stops := 0; ; stops++ {
			ctx, cancel := context.WithCancel(t.Context())
			n := 0
			store.Point = func(name string) {
				if !strings.HasSuffix(name, ": before commit") {
					return
				}
				if n++; n == 2 {
					points[name]++
					cancel()
				}
			}
			_, err := tryOld(ctx, t, from, to)
			store.Point = nil
			cancel()
			if err == nil {
				break
			}
			if !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
			if stops > 100 {
				t.Fatal("it does not get on")
			}
			if stops == 3 {
				db := storetest.Connect(t, from)
				if _, err := cowrieprocessor.AddRaw(t.Context(), db, fmt.Sprintf(`{"eventid":"cowrie.session.file_upload","session":"wide1","shasum":"%064x","timestamp":"%s"}`,
					0xfeed, cowrie.FromStd(time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC)))); err != nil {
					t.Fatal(err)
				}
				db.Close()
			}
		}
		if points["compact: before commit"] < 2 || points["copy: before commit"] == 0 {
			t.Errorf("it was stopped %v", points)
		}
		want, got := held(t, takenOver(t, from)), held(t, to)
		// Where segments end depends on where it was stopped.
		without := func(rows []string) []string {
			return slices.DeleteFunc(rows, func(row string) bool {
				for _, table := range []string{"event_segments ", "session_summaries ", "file_sightings ", "sessionless_events "} {
					if strings.HasPrefix(row, table) {
						return true
					}
				}
				return false
			})
		}
		if diff := cmp.Diff(without(want), without(got)); diff != "" {
			t.Errorf("%s: the copy differs: %.3000s", to, diff)
		}
	}
}
