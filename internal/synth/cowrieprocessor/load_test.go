package cowrieprocessor

import (
	"bytes"
	"database/sql"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"midden/internal/synth"
)

// logOf returns the lines of a made-up sensor.
func logOf(t testing.TB, events int) [][]byte {
	t.Helper()
	var buf bytes.Buffer
	o := synth.Options{Seed: 7, Events: events, Sensors: 1, Span: time.Hour}
	if _, err := o.Generate(t.Context(), &buf, 0); err != nil {
		t.Fatal(err)
	}
	return bytes.Split(bytes.TrimSpace(buf.Bytes()), []byte("\n"))
}

func loadInto(t testing.TB, db *sql.DB, source string, lines [][]byte, o LoadOptions) {
	t.Helper()
	o.At = time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC)
	if err := Load(t.Context(), db, source, lines, o); err != nil {
		t.Fatal(err)
	}
}

func expect(t testing.TB, db *sql.DB, query string, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, dump(t, db, query)); diff != "" {
		t.Errorf("%s: %s", query, diff)
	}
}

const counters = `SELECT count(*), sum(event_count), sum(command_count), sum(file_downloads), sum(login_attempts) FROM session_summaries`

func TestLoadTwice(t *testing.T) {
	lines := logOf(t, 600)
	for version := 1; version <= Latest; version++ {
		db := create(t, version)
		loadInto(t, db, "/log/cowrie.json", lines, LoadOptions{Inode: "1"})
		once := dump(t, db, counters)
		var sessions, events, commands, files, logins int
		fmt.Sscanf(strings.ReplaceAll(once[0], "|", " "), "%d %d %d %d %d", &sessions, &events, &commands, &files, &logins)
		if events != 600 || commands == 0 || files == 0 || logins == 0 {
			t.Fatalf("version %d: the counters are %s", version, once[0])
		}
		expect(t, db, `SELECT count(*) FROM raw_events`, "600")

		// The same file: its rows are known, its sessions are counted again.
		loadInto(t, db, "/log/cowrie.json", lines, LoadOptions{Inode: "1"})
		expect(t, db, `SELECT count(*) FROM raw_events`, "600")
		expect(t, db, counters, fmt.Sprintf("%d|%d|%d|%d|%d", sessions, 2*events, 2*commands, 2*files, 2*logins))

		// Another inode, or none: all of it again.
		loadInto(t, db, "/log/cowrie.json", lines, LoadOptions{Inode: "2"})
		loadInto(t, db, "/log/cowrie.json", lines, LoadOptions{})
		loadInto(t, db, "/log/cowrie.json", lines, LoadOptions{})
		expect(t, db, `SELECT count(*) FROM raw_events`, "2400")
		expect(t, db, counters, fmt.Sprintf("%d|%d|%d|%d|%d", sessions, 5*events, 5*commands, 5*files, 5*logins))
		expect(t, db, `SELECT DISTINCT matcher, source_files, CAST(updated_at AS TEXT) FROM session_summaries`,
			`sensor-01|["/log/cowrie.json"]|2026-02-03 04:05:06`)
		expect(t, db, `SELECT count(*) FROM ingest_cursors`, "0")
		expect(t, db, `PRAGMA integrity_check`, "ok")
	}
}

func TestFirstSeenStays(t *testing.T) {
	db := create(t, Latest)
	line := func(at string) [][]byte {
		return [][]byte{[]byte(`{"eventid":"cowrie.session.connect","session":"a","timestamp":"2026-01-02T` + at + `Z","sensor":""}`)}
	}
	loadInto(t, db, "b", line("10:00:00"), LoadOptions{})
	loadInto(t, db, "a", line("09:00:00"), LoadOptions{})
	expect(t, db, `SELECT CAST(first_event_at AS TEXT), CAST(last_event_at AS TEXT), matcher, source_files, enrichment FROM session_summaries`,
		`2026-01-02 10:00:00.000000|2026-01-02 10:00:00.000000|NULL|["a"]|null`)
}

func TestDelta(t *testing.T) {
	db := create(t, Latest)
	lines := logOf(t, 1000)
	hash := func(line []byte) string {
		var r eventReader
		e, _ := r.read(line)
		return string(e.hash)
	}
	cursor := func(inode string, last, generation int, first []byte) {
		t.Helper()
		expect(t, db, `SELECT source, inode, last_offset, metadata_json FROM ingest_cursors`,
			fmt.Sprintf(`live|%s|%d|{"generation": %d, "first_hash": "%s"}`, inode, last, generation, hash(first)))
	}
	loadInto(t, db, "live", lines[:300], LoadOptions{Inode: "1", Delta: true})
	cursor("1", 299, 0, lines[0])
	loadInto(t, db, "live", lines[:600], LoadOptions{Inode: "1", Delta: true})
	cursor("1", 599, 0, lines[0])
	expect(t, db, `SELECT count(*), max(source_generation) FROM raw_events`, "600|0")
	expect(t, db, `SELECT DISTINCT matcher FROM session_summaries`, "NULL")

	// Every quarantined event is there twice: stored, and as a dead letter.
	both := dump(t, db, `SELECT count(*) FROM raw_events WHERE quarantined`)
	expect(t, db, `SELECT count(*) FROM dead_letter_events l JOIN raw_events r USING (source, source_offset)
		WHERE l.payload = r.payload AND r.quarantined AND l.reason = 'quarantined'`, both...)
	if both[0] == "0" {
		t.Error("nothing was quarantined")
	}

	// A restored copy: a generation for each event of the first batch, and the
	// rest is lost, as the cursor stands further than the file is long.
	loadInto(t, db, "live", lines[:250], LoadOptions{Inode: "2", Delta: true})
	expect(t, db, `SELECT count(*), max(source_generation), count(DISTINCT source_generation) FROM raw_events WHERE source_inode = '2'`,
		"200|200|200")
	cursor("2", 599, 200, lines[0])
	loadInto(t, db, "live", lines[:400], LoadOptions{Inode: "2", Delta: true})
	expect(t, db, `SELECT count(*) FROM raw_events WHERE source_inode = '2'`, "200")

	// Truncated and grown again: the first line tells, and the first batch is
	// stored.
	loadInto(t, db, "live", lines[600:900], LoadOptions{Inode: "2", Delta: true})
	expect(t, db, `SELECT count(*) FROM raw_events WHERE source_generation = 201`, "200")
	cursor("2", 599, 201, lines[600])
	expect(t, db, `PRAGMA integrity_check`, "ok")
}

func TestDeltaAfterBulk(t *testing.T) {
	for version := 1; version <= Latest; version++ {
		db := create(t, version)
		lines := logOf(t, 50)
		loadInto(t, db, "live", lines[:30], LoadOptions{Inode: "1"})
		loadInto(t, db, "live", lines, LoadOptions{Inode: "1", Delta: true})
		expect(t, db, `SELECT count(*), max(source_offset) FROM raw_events`, "50|49")
		expect(t, db, `SELECT inode, last_offset FROM ingest_cursors`, "1|49")
	}
}

func TestLinesThatAreNoEvents(t *testing.T) {
	lines := bytes.Split([]byte(`{"eventid":"cowrie.ses

[]
{"eventid":"cowrie.session.closed","session":"a"}
{"session":"b","timestamp":"2026-01-02T03:04:05Z"}`), []byte("\n"))
	db := create(t, Latest)
	loadInto(t, db, "bulk", lines, LoadOptions{})
	stored := []string{
		`0|{"malformed": "{\"eventid\":\"cowrie.ses"}`,
		`2|{}`,
		`3|{"eventid": "cowrie.session.closed", "session": "a"}`,
		`4|{"session": "b", "timestamp": "2026-01-02T03:04:05Z"}`,
	}
	expect(t, db, `SELECT source_offset, payload FROM raw_events WHERE quarantined AND risk_score = 0`, stored...)
	expect(t, db, `SELECT count(*) FROM dead_letter_events`, "0")

	db = create(t, Latest)
	loadInto(t, db, "delta", lines, LoadOptions{Delta: true})
	expect(t, db, `SELECT source_offset, payload FROM dead_letter_events WHERE reason = 'validation'`, stored...)
	expect(t, db, `SELECT count(*) FROM raw_events`, "0")
	expect(t, db, `SELECT last_offset, inode, metadata_json FROM ingest_cursors`, `4|NULL|{"generation": 0, "first_hash": null}`)
}

func TestAddRaw(t *testing.T) {
	db := create(t, Latest)
	loadInto(t, db, "a", logOf(t, 100), LoadOptions{})
	sound := dump(t, db, `SELECT id, session_id, event_type, event_timestamp FROM raw_events INDEXED BY ix_raw_events_session_id WHERE session_id > ''`)
	for _, c := range []struct {
		payload any
		want    string
		damaged bool
	}{
		{`{"eventid": "x", "session": "s"}`, `{"eventid": "x", "session": "s"}|text`, false},
		{int64(17), "17|integer", false},
		{"null", "null|text", false},
		{"17", "17|integer", false}, // JSON is a type of numbers to SQLite
		{[]byte(`{"eventid": "x"}`), "x'7b226576656e746964223a202278227d'|blob", false},
		{"no JSON", "no JSON|text", true},
		{"", "|text", true},
		{`{"eventid": "cut`, `{"eventid": "cut|text`, true},
		{[]byte{0xff, 0x00}, "x'ff00'|blob", true},
	} {
		id, err := AddRaw(t.Context(), db, c.payload)
		if err != nil {
			t.Errorf("%v: %v", c.payload, err)
			continue
		}
		expect(t, db, fmt.Sprintf(`SELECT payload, typeof(payload) FROM raw_events WHERE id = %d`, id), c.want)
		var session any
		err = db.QueryRow(`SELECT session_id FROM raw_events WHERE id = ?`, id).Scan(&session)
		if (err != nil) != c.damaged {
			t.Errorf("%v: its session: %v", c.payload, err)
		}
	}
	// The rest of the table is as it was, and can be written on.
	expect(t, db, `SELECT id, session_id, event_type, event_timestamp FROM raw_events INDEXED BY ix_raw_events_session_id
		WHERE session_id > '' AND id <= 100`, sound...)
	expect(t, db, `SELECT count(*), count(DISTINCT name) FROM sqlite_schema`, dump(t, create(t, Latest), `SELECT count(*), count(DISTINCT name) FROM sqlite_schema`)...)
	loadInto(t, db, "b", logOf(t, 100), LoadOptions{})
	expect(t, db, `SELECT count(payload) FROM raw_events`, "209")

	if _, err := AddRaw(t.Context(), db, nil); err == nil {
		t.Error("NULL was taken for a payload")
	}
	expect(t, db, `SELECT count(payload) FROM raw_events`, "209")
}
