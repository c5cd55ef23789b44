package backfill_test

import (
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	diff "github.com/google/go-cmp/cmp"

	"midden/internal/backfill"
	"midden/internal/cowrie"
	"midden/internal/store"
	"midden/internal/synth/cowrieprocessor"
)

// becomes is what is to become of a raw event: one of these, or nothing at all.
type becomes struct {
	sighting string // its columns, see sightingColumns
	verdict  string // its columns, see verdictColumns
	why      string // the reason under which it is counted
	dead     string // the reason of its dead letter
}

var (
	sightingColumns = []string{"shasum", "session_id", "kind", "seen_at", "sensor", "src_ip", "filename", "destfile", "download_url", "duplicate"}
	verdictColumns  = []string{"shasum", "observed_at", "analysed_at", "malicious", "total"}
)

const (
	hash  = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	other = "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210"
	scan  = `{"eventid": "cowrie.virustotal.scanfile", "session": "v"`
)

// download is the event of a download in a session, with more members.
func download(session, members string) string {
	return event(fmt.Sprintf(`"timestamp": "2026-02-03T04:05:06.000007Z", "session": "%s", "sensor": "honey", "src_ip": "192.0.2.1", %s`, session, members))
}

// at is one at a time.
func at(session, timestamp string) string {
	return event(fmt.Sprintf(`"timestamp": %s, "session": "%s", "shasum": "%s"`, timestamp, session, hash))
}

func event(members string) string {
	return `{"eventid": "cowrie.session.file_download", ` + members + `}`
}

// seen is the sighting of hash that download is; what differs is given by pairs.
func seen(session string, differ ...string) becomes {
	columns := map[string]string{"shasum": "'" + hash + "'", "session_id": "'" + session + "'", "kind": "'download'",
		"seen_at": "'2026-02-03T04:05:06.000007Z'", "sensor": "'honey'", "src_ip": "'192.0.2.1'"}
	for i := 0; i < len(differ); i += 2 {
		columns[differ[i]] = differ[i+1]
	}
	var list []string
	for _, c := range sightingColumns {
		list = append(list, cmp.Or(columns[c], "NULL"))
	}
	return becomes{sighting: strings.Join(list, " ")}
}

// seenAt is the sighting that at is.
func seenAt(session, when string) becomes {
	return seen(session, "seen_at", when, "sensor", "NULL", "src_ip", "NULL")
}

func told(observed, analysed, malicious, total string) becomes {
	return becomes{verdict: fmt.Sprintf("'%s' '%s' %s %s %s", hash, observed, analysed, malicious, total)}
}

func counted(why string) becomes { return becomes{why: why} }

func dead(err error) becomes { return becomes{why: err.Error(), dead: err.Error()} }

func deep(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }

// badRows are raw events as they should not be, and some that only look like it.
// Each has a session of its own where that matters.
var badRows = []struct {
	name    string
	payload any
	want    becomes
	// scanned, if not nil, is what becomes of it where there is no index on
	// event_type: an index knows only the events that it says are of files, and
	// those without a type.
	scanned *becomes
}{
	{"no hash", download("s", `"url": "http://a/b"`), counted(cowrie.NoHash), nil},
	{"empty hash", download("s", `"shasum": ""`), counted(cowrie.NoHash), nil},
	{"hash null", download("s", `"shasum": null`), counted(cowrie.NoHash), nil},
	{"hash a number", download("s", `"shasum": 1234`), counted(cowrie.BadHash), nil},
	{"hash an object", download("s", `"shasum": {"sha256": "`+hash+`"}`), counted(cowrie.BadHash), nil},
	{"hash an array", download("s", `"shasum": ["`+hash+`"]`), counted(cowrie.BadHash), nil},
	{"hash a boolean", download("s", `"shasum": false`), counted(cowrie.BadHash), nil},
	{"hash of 63", download("s", `"shasum": "`+hash[1:]+`"`), counted(cowrie.BadHash), nil},
	{"hash of 65", download("s", `"shasum": "`+hash+`0"`), counted(cowrie.BadHash), nil},
	{"hash not hex", download("s", `"shasum": "`+hash[1:]+`g"`), counted(cowrie.BadHash), nil},
	{"hash with a space", download("s", `"shasum": " `+hash[1:]+`"`), counted(cowrie.BadHash), nil},
	{"hash with a NUL", download("s", `"shasum": "`+hash+`\u0000"`), counted(cowrie.BadHash), nil},
	{"hash in upper case", download("upper", `"shasum": "`+strings.ToUpper(hash)+`"`), seen("upper"), nil},
	{"hash with escapes", download("escaped", `"shasum": "\u0030`+hash[1:]+`"`), seen("escaped"), nil},
	{"typed into scp", `{"eventid": "cowrie.session.file_upload", "input": null, "input_safe": "ls", "realm": "scp"}`, counted(cowrie.NotATransfer), nil},
	{"upload", `{"eventid": "cowrie.session.file_upload", "timestamp": "2026-02-03T04:05:06.000007Z", "session": "up", "shasum": "` + hash + `", "filename": "x.sh", "duplicate": true}`,
		seen("up", "kind", "'upload'", "sensor", "NULL", "src_ip", "NULL", "filename", "'x.sh'", "duplicate", "1"), nil},

	{"garbage", "\x1b[31mwget http://a/b; sh b", dead(cowrie.ErrNotObject), nil},
	{"truncated", download("s", `"shasum": "`+hash+`"`)[:150], dead(cowrie.ErrCut), nil},
	{"two objects", download("s", `"shasum": "`+hash+`"`) + "{}", dead(cowrie.ErrTrailing), nil},
	{"an array", "[" + download("s", `"shasum": "`+hash+`"`) + "]", dead(cowrie.ErrNotObject), nil},
	{"a number in a text", "42", dead(cowrie.ErrNotObject), nil},
	{"a string", `"cowrie.session.file_download"`, dead(cowrie.ErrNotObject), nil},
	{"null", "null", dead(cowrie.ErrNotObject), nil},
	{"encoded twice", `"{\"eventid\": \"cowrie.session.file_download\", \"shasum\": \"` + hash + `\"}"`, dead(cowrie.ErrNotObject), nil},
	{"empty", "", dead(cowrie.ErrNotObject), nil},
	{"white space", " \n\t ", dead(cowrie.ErrNotObject), nil},
	{"an integer", 4711, dead(cowrie.ErrNotObject), nil},
	{"a real", 47.11, dead(cowrie.ErrNotObject), nil},
	{"garbage in a BLOB", []byte{0xff, 0x00, 0xfe, '{', 0x80}, dead(cowrie.ErrNotObject), nil},
	{"JSON in a BLOB", []byte(download("blob", `"shasum": "`+hash+`"`)), seen("blob"), nil},
	{"a byte order mark", "\xef\xbb\xbf" + download("mark", `"shasum": "`+hash+`"`), seen("mark"), nil},
	{"lines", strings.ReplaceAll(download("lines", `"shasum": "`+hash+`"`), ", ", ",\r\n\t"), seen("lines"), nil},

	// Python's json.dumps writes what is no JSON.
	{"Infinity", download("s", `"shasum": "`+hash+`", "duration": Infinity`), dead(cowrie.ErrSyntax), nil},
	{"NaN", download("s", `"shasum": "`+hash+`", "duration": NaN`), dead(cowrie.ErrSyntax), nil},
	{"NaN in another event", `{"eventid": "cowrie.session.closed", "duration": NaN}`, becomes{}, new(dead(cowrie.ErrSyntax))},

	{"a NUL byte", download("s", `"shasum": "`+hash+`", "filename": "a`+"\x00"+`b"`), dead(cowrie.ErrSyntax), nil},
	{"a control character", download("s", `"shasum": "`+hash+`", "filename": "a`+"\x07"+`b"`), dead(cowrie.ErrSyntax), nil},
	{"an escaped NUL", download("nul", `"shasum": "`+hash+`", "filename": "a\u0000b"`),
		seen("nul", "filename", "'a'"), nil}, // quote() ends there
	{"a NUL in the id", strings.Replace(download("s", `"shasum": "`+hash+`"`), "_download", `_download\u0000`, 1), becomes{}, nil},
	{"half a surrogate pair", download("half", `"shasum": "`+hash+`", "filename": "a\ud83d", "destfile": "\udc00/b"`),
		seen("half", "filename", "'a\xed\xa0\xbd'", "destfile", "'\xed\xb0\x80/b'"), nil},
	{"no UTF-8", download("bytes", `"shasum": "`+hash+`", "filename": "a`+"\xff\xc3"+`b"`),
		seen("bytes", "filename", "'a\xff\xc3b'"), nil},

	{"names twice", download("twice", `"shasum": "`+other+`", "shasum": "`+hash+`", "url": 1, "url": "http://a/b"`),
		seen("twice", "download_url", "'http://a/b'"), nil},
	{"200,000 deep", download("s", `"shasum": "`+hash+`", "deep": `+deep(200_000)), dead(cowrie.ErrDepth), nil},
	{"2,000 deep", download("deep", `"shasum": "`+hash+`", "deep": `+deep(2000)), seen("deep"), nil},
	{"5 MB", download("large", `"shasum": "`+hash+`", "message": "`+strings.Repeat("x", 5<<20)+`"`), seen("large"), nil},
	{"5 MB that are cut off", download("s", `"message": "`+strings.Repeat("y", 5<<20)), dead(cowrie.ErrCut), nil},

	{"id a number", `{"eventid": 5, "session": "s", "shasum": "` + hash + `"}`, becomes{}, new(counted(cowrie.NoEventID))},
	{"id an object", `{"eventid": {"a": 1}, "shasum": "` + hash + `"}`, becomes{}, new(counted(cowrie.NoEventID))},
	{"id null", `{"eventid": null, "shasum": "` + hash + `"}`, counted(cowrie.NoEventID), nil},
	{"no id", `{"session": "s", "shasum": "` + hash + `"}`, counted(cowrie.NoEventID), nil},
	{"a malformed line", `{"malformed": "{\"eventid\": \"cowrie.session.file_download\", \"shasum\": \"` + hash + `"}`, counted(cowrie.NoEventID), nil},
	{"another event", `{"eventid": "cowrie.session.connect", "shasum": "` + hash + `"}`, becomes{}, nil},

	{"no time", event(`"session": "t0", "shasum": "` + hash + `"`), seenAt("t0", "NULL"), nil},
	{"time garbage", at("t1", `"yesterday"`), seenAt("t1", "NULL"), nil},
	{"time a number", at("t2", "1770000000"), seenAt("t2", "NULL"), nil},
	{"time with a zone", at("t3", `"2026-02-03T01:05:06.5+0200"`), seenAt("t3", "'2026-02-02T23:05:06.500000Z'"), nil},
	{"time with a space", at("t4", `"2026-02-03 04:05:06"`), seenAt("t4", "'2026-02-03T04:05:06.000000Z'"), nil},

	{"no session", event(`"timestamp": "2026-02-03T04:05:06Z", "shasum": "` + hash + `"`), seenAt("", "'2026-02-03T04:05:06.000000Z'"), nil},
	{"session a number", event(`"timestamp": "2026-02-03T04:05:07Z", "session": 12, "shasum": "` + hash + `"`), seenAt("", "'2026-02-03T04:05:07.000000Z'"), nil},
	{"session of 300 bytes", download(strings.Repeat("é", 150), `"shasum": "`+hash+`"`), seen(strings.Repeat("é", 62) + "…"), nil},
	{"wrong types", event(`"session": "types", "shasum": "` + hash + `", "url": {}, "filename": 7, "destfile": ["x"], "outfile": null, "sensor": 1, "src_ip": false, "duplicate": "yes"`),
		seenAt("types", "NULL"), nil},

	{"scan", scan + `, "timestamp": "2026-02-03T04:05:01Z", "sha256": "` + hash + `", "positives": 3, "total": 60, "scan_date": "2026-01-01 02:03:04"}`,
		told("2026-02-03T04:05:01.000000Z", "'2026-01-01T02:03:04.000000Z'", "3", "60"), nil},
	{"scan with numbers in texts", scan + `, "timestamp": "2026-02-03T04:05:02Z", "sha256": "` + hash + `", "positives": "3", "total": "60", "scan_date": 1767225600}`,
		told("2026-02-03T04:05:02.000000Z", "'2026-01-01T00:00:00.000000Z'", "3", "60"), nil},
	{"scan of wrong types", scan + `, "timestamp": "2026-02-03T04:05:03Z", "sha256": "` + hash + `", "positives": {}, "total": [60], "scan_date": true, "is_new": 0}`,
		told("2026-02-03T04:05:03.000000Z", "NULL", "NULL", "NULL"), nil},
	{"scan of absurd numbers", scan + `, "timestamp": "2026-02-03T04:05:04Z", "sha256": "` + hash + `", "positives": -1, "total": 1e300}`,
		told("2026-02-03T04:05:04.000000Z", "NULL", "NULL", "NULL"), nil},
	{"scan of a new file", scan + `, "timestamp": "2026-02-03T04:05:05Z", "sha256": "` + hash + `", "positives": 0, "total": 0, "is_new": true}`,
		told("2026-02-03T04:05:05.000000Z", "NULL", "NULL", "NULL"), nil},
	{"scan of a new file, as text", scan + `, "timestamp": "2026-02-03T04:05:06Z", "sha256": "` + hash + `", "positives": 0, "total": 0, "is_new": "true"}`,
		told("2026-02-03T04:05:06.000000Z", "NULL", "NULL", "NULL"), nil},
	{"scan without a hash", scan + `, "timestamp": "2026-02-03T04:05:07Z"}`, counted(cowrie.NoHash), nil},
	{"scan with a bad hash", scan + `, "timestamp": "2026-02-03T04:05:08Z", "sha256": "` + hash[32:] + `"}`, counted(cowrie.BadHash), nil},
	{"scan without a time", scan + `, "sha256": "` + hash + `", "positives": 1, "total": 60}`, counted(cowrie.Undated), nil},
}

// badRowsV3 has every kind of bad row between two good ones. Row n has the id
// 2n+2.
var badRowsV3 = made(func(ctx context.Context, path string) error {
	db, err := sql.Open("sqlite", path+"?_pragma=synchronous(0)")
	if err != nil {
		return err
	}
	defer db.Close()
	if err := cowrieprocessor.Create(ctx, db, cowrieprocessor.Latest); err != nil {
		return err
	}
	for i := range badRows {
		if _, err := cowrieprocessor.AddRaw(ctx, db, goodRow(i)); err != nil {
			return err
		}
		id, err := cowrieprocessor.AddRaw(ctx, db, badRows[i].payload)
		if err == nil && id != idOf(i) {
			err = fmt.Errorf("it has the id %d", id)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", badRows[i].name, err)
		}
	}
	if _, err := cowrieprocessor.AddRaw(ctx, db, goodRow(len(badRows))); err != nil {
		return err
	}
	_, err = db.ExecContext(ctx, `PRAGMA wal_checkpoint(TRUNCATE)`)
	return err
})

// badRowsV4 is the same, taken over.
var badRowsV4 = made(func(ctx context.Context, path string) error {
	data, err := badRowsV3()
	if err == nil {
		err = os.WriteFile(path, data, 0o600)
	}
	return errors.Join(err, upgrade(ctx, path))
})

func idOf(row int) int64 { return int64(2*row + 2) }

func goodRow(n int) string {
	return fmt.Sprintf(`{"eventid": "cowrie.session.file_download", "session": "good%d", "timestamp": "2026-02-03T04:05:06Z", "shasum": "%064x"}`, n, n)
}

// TestBadRows has every kind of bad row stand between two good ones.
func TestBadRows(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		batch   int
		indexed bool
	}{{"index", 0, true}, {"index, small batches", 10, true}, {"no index", 0, false}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			path := badRowsV3.copy(t)
			if !c.indexed {
				if _, err := connect(t, path).Exec(`DROP INDEX ix_raw_events_event_type`); err != nil {
					t.Fatal(err)
				}
			}
			if err := upgrade(t.Context(), path); err != nil {
				t.Fatal(err)
			}
			db := open(t, path)
			first := db.backfill(t, backfill.Options{Batch: c.batch})

			want := backfill.Summary{Rejections: map[string]int64{}, Files: int64(len(badRows)) + 2, Sightings: int64(len(badRows)) + 1}
			for i, row := range badRows {
				what := row.want
				if !c.indexed && row.scanned != nil {
					what = *row.scanned
				}
				got := db.becameOf(t, idOf(i), row.payload)
				got.why = what.why // what is only counted leaves no trace
				if d := diff.Diff(what, got, diff.AllowUnexported(becomes{})); d != "" {
					t.Errorf("%s: %s", row.name, d)
				}
				switch {
				case what.sighting != "":
					want.Sightings++
				case what.verdict != "":
					want.Verdicts++
				case what.why != "":
					want.Rejected++
					want.Rejections[what.why]++
				}
				if what.dead != "" {
					want.Broken++
				}
			}
			db.deadLetters(t)
			want.Rows = want.Sightings + want.Verdicts + want.Rejected
			want.Position = db.int(t, `SELECT max(id) FROM raw_events`)
			first.Elapsed = 0
			if d := diff.Diff(want, first); d != "" {
				t.Error(d)
			}
			if n := db.int(t, `SELECT count(*) FROM file_sightings WHERE session_id GLOB 'good*'`); n != int64(len(badRows))+1 {
				t.Errorf("%d sightings of good neighbours, of %d", n, len(badRows)+1)
			}
			if gaps := db.gaps(t); gaps != nil {
				t.Errorf("verify: %v", gaps)
			}

			// Again, as it is used; and again as if nobody had noted how far it was.
			before := db.tables(t)
			if again := db.backfill(t, backfill.Options{Batch: c.batch}); again.Rows != 0 {
				t.Errorf("again: %+v", again)
			}
			db.exec(t, `UPDATE maintenance SET position = 0 WHERE job = 'backfill'`)
			again := db.backfill(t, backfill.Options{Batch: c.batch})
			if again.Sightings+again.Verdicts+again.Files != 0 || again.Known != first.Sightings+first.Verdicts || again.Rejected != first.Rejected {
				t.Errorf("all again: %+v", again)
			}
			if d := diff.Diff(before, db.tables(t)); d != "" {
				t.Errorf("again: %.2000s", d)
			}
		})
	}
}

// becameOf returns what was made of a raw event.
func (db *database) becameOf(t *testing.T, id int64, payload any) (b becomes) {
	t.Helper()
	one := func(list []string) string {
		if len(list) > 1 {
			t.Errorf("raw event %d became %d: %v", id, len(list), list)
		}
		return strings.Join(list, "\n")
	}
	b.sighting = one(db.lines(t, "file_sightings", fmt.Sprint("raw_event_id = ", id), sightingColumns...))
	// A verdict has no place; every one here has a second of its own.
	if text, ok := payload.(string); ok && strings.HasPrefix(text, scan) {
		if _, second, ok := strings.Cut(text, `"timestamp": "2026-02-03T04:05:`); ok {
			b.verdict = one(db.lines(t, "file_verdicts", "observed_at GLOB '*:"+second[:2]+".*'", verdictColumns...))
		}
	}
	b.dead = strings.Trim(one(db.lines(t, "dead_letter_events", fmt.Sprint("source = 'raw_events' AND source_offset = ", id), "reason")), "'")
	return b
}

// deadLetters looks that the dead letters of raw events are their payloads, to
// the byte.
func (db *database) deadLetters(t *testing.T) {
	t.Helper()
	err := db.DeadLetters(t.Context(), store.DeadLetterFilter{}, func(d *store.DeadLetter) error {
		row := badRows[d.Offset/2-1]
		want, ok := row.payload.([]byte)
		if !ok {
			want = fmt.Append(nil, row.payload)
		}
		if !bytes.Equal(d.Line, want) || d.Length != int64(len(want)) || d.Line == nil {
			t.Errorf("%s: %d bytes were kept, %.40q, of %d, %.40q", row.name, d.Length, d.Line, len(want), want)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// tables is all that was derived.
func (db *database) tables(t *testing.T) (list []string) {
	t.Helper()
	for table, columns := range map[string][]string{
		"file_sightings":     append([]string{"raw_event_id", "segment_id", "event_index", "outfile", "hex(sighting_key)"}, sightingColumns...),
		"file_verdicts":      append([]string{"source"}, verdictColumns...),
		"files":              {"shasum", "session_id", "first_seen", "last_seen", "sighting_count", "filename", "filename_at", "download_url", "download_url_at", "vt_malicious", "enrichment_status"},
		"sensor_days":        {"day", "sensor", "events", "failed_transfers", "last_event_at", "hex(quarters)"},
		"login_stats":        {"day", "sensor", "username", "password", "attempts", "successes"},
		"dead_letter_events": {"source", "source_offset", "length", "digest", "reason"},
	} {
		list = append(list, db.lines(t, table, "true", columns...)...)
	}
	slices.Sort(list)
	return list
}
