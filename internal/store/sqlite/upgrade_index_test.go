package sqlite_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"midden/internal/store/sqlite"
	"midden/internal/synth/cowrieprocessor"
)

// TestLostIndexes takes over databases that have lost their indexes.
func TestLostIndexes(t *testing.T) {
	t.Parallel()
	garbage := []any{"no JSON", "", 5, []byte{0xff, 0x00, 0x01}, "[1", "{\"a\x00\":1}", `{"eventid": "cowrie.session.file_download", "session": 7}`, `{"session": {"a": 1}}`, strings.Repeat("[", 2000)}
	for _, c := range []struct {
		name    string
		drop    []string
		garbage bool
		steps   []string
	}{
		{"session_id", []string{"ix_raw_events_session_id"}, false, []string{"index of sessions"}},
		{"session_id, with garbage", []string{"ix_raw_events_session_id"}, true, []string{"index of sessions"}},
		{"event_type", []string{"ix_raw_events_event_type"}, false, nil},
		{"event_type, with garbage", []string{"ix_raw_events_event_type"}, true, nil},
		{"event_timestamp, with garbage", []string{"ix_raw_events_event_timestamp"}, true, nil},
		{"all", []string{"ix_raw_events_session_id", "ix_raw_events_event_type", "ix_raw_events_event_timestamp"}, false, []string{"index of sessions"}},
		{"all, with garbage", []string{"ix_raw_events_session_id", "ix_raw_events_event_type", "ix_raw_events_event_timestamp"}, true, []string{"index of sessions"}},
		{"none, with garbage", nil, true, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			lines := logLines()
			path, db := old(t, 3, lines)
			if c.garbage {
				for _, payload := range garbage {
					if _, err := cowrieprocessor.AddRaw(t.Context(), db, payload); err != nil {
						t.Fatal(err)
					}
				}
			}
			for _, index := range c.drop {
				run(t, db, `DROP INDEX `+index)
			}
			db.Close()
			want := append(slices.Clone(c.steps), "tables of version 4", "redundant index", "version")
			if diff := cmp.Diff(want, upgrade(t, path)); diff != "" {
				t.Error(diff)
			}
			p, err := sqlite.Plan(t.Context(), path)
			if err != nil || len(p.Steps) > 0 {
				t.Errorf("again: %+v, %v", p, err)
			}
			// What is known is known; new are an event of a session that is known, one
			// of another session, and two of none, with and without a time.
			fresh := [][]byte{
				bytes.Replace(lines[10], []byte(`"timestamp":"2026-01-01T0`), []byte(`"timestamp":"2026-01-01T2`), 1),
				[]byte(`{"eventid":"cowrie.session.connect","session":"new","timestamp":"2026-01-01T00:00:00Z"}`),
				[]byte(`{"eventid":"cowrie.log.closed","timestamp":"2026-01-01T00:00:00Z"}`),
				[]byte(`{"eventid":"cowrie.log.closed"}`),
			}
			if bytes.Equal(fresh[0], lines[10]) {
				t.Fatalf("no other event: %s", lines[10])
			}
			events, sum := use(t, path, append(slices.Clone(lines), fresh...)...)
			if events != int64(len(fresh)) || sum.Sightings == 0 {
				t.Errorf("%d events are new, want %d; %+v", events, len(fresh), sum)
			}
			if c.garbage && sum.Broken != 7 {
				t.Errorf("%d are broken, of 7", sum.Broken)
			}
			if events, _ := use(t, path, append(slices.Clone(fresh), lines...)...); events != 0 {
				t.Errorf("again %d events are new", events)
			}
		})
	}
}

// TestRedundantIndex: one of two indexes that say the same is dropped, and none
// that is needed.
func TestRedundantIndex(t *testing.T) {
	t.Parallel()
	const name = "uq_raw_events_source_gen"
	for _, c := range []struct {
		version int
		change  []string
		dropped bool
		there   bool // afterwards
	}{
		{1, nil, false, true},
		{2, nil, false, true},
		{3, nil, true, false},
		{3, []string{`DROP INDEX ` + name}, false, false},
		{3, []string{`DROP INDEX ` + name, `CREATE UNIQUE INDEX ` + name + ` ON raw_events (source, source_inode, source_offset)`}, true, false},
		{3, []string{`DROP INDEX ` + name, `CREATE UNIQUE INDEX twin ON raw_events (source, source_inode, source_generation, source_offset)`}, false, false},
	} {
		path, db := old(t, c.version, logLines()[:30])
		run(t, db, c.change...)
		steps := upgrade(t, path)
		if got := slices.Contains(steps, "redundant index"); got != c.dropped {
			t.Errorf("version %d, %v: the steps are %v", c.version, c.change, steps)
		}
		if there := len(rowsOf(t, db, `SELECT 1 FROM sqlite_schema WHERE name = ?`, name)) > 0; there != c.there {
			t.Errorf("version %d, %v: the index is there: %v", c.version, c.change, there)
		}
		loadOld(t, db, logLines()[:60]) // it names the four columns
		if n := len(rowsOf(t, db, `SELECT 1 FROM raw_events`)); n != 60 {
			t.Errorf("version %d, %v: the old program has %d events, of 60", c.version, c.change, n)
		}
	}
}
