package backfill_test

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"midden/internal/backfill"
	"midden/internal/cowrie"
	"midden/internal/ingest"
	"midden/internal/store"
	"midden/internal/store/sqlite"
	"midden/internal/synth"
)

// mixed and mixedFaulty are databases that were taken over and backfilled, into
// which midden has loaded other logs: sightings stand at raw events and in
// segments. In the second the raw events of a day are there twice.
var (
	mixed       = made(func(ctx context.Context, path string) error { return writeMixed(ctx, path, false) })
	mixedFaulty = made(func(ctx context.Context, path string) error { return writeMixed(ctx, path, true) })
)

func writeMixed(ctx context.Context, path string, faults bool) error {
	few := synth.Options{Seed: 44, Events: 100, Sensors: 1, Span: 40 * time.Hour, FileShare: 0.7}
	if err := writeV3(ctx, path, few, faults); err != nil {
		return err
	}
	log := path + ".log"
	if err := os.WriteFile(log, otherLog(), 0o600); err != nil {
		return err
	}
	s, err := sqlite.Open(ctx, path, sqlite.Options{Write: true})
	if err != nil {
		return err
	}
	defer s.Close()
	if err := s.Stage(ctx, true, true); err != nil {
		return err
	}
	if _, err := backfill.Run(ctx, s, backfill.Options{Log: quiet, Pace: backfill.Pace{Full: true}}); err != nil {
		return err
	}
	if _, err := ingest.Load(ctx, s, []string{log}, ingest.Options{Log: quiet}); err != nil {
		return err
	}
	// Something was said of some of the files.
	var verdicts []cowrie.Verdict
	err = s.Files(ctx, store.FileFilter{Since: cowrie.NoTime, Until: cowrie.NoTime, Limit: 9}, func(f *store.File) error {
		v := cowrie.NewVerdict(f.Shasum, cowrie.SourceVirusTotal, cowrie.FromStd(time.Date(2026, 2, 1, 0, 0, len(verdicts), 0, time.UTC)))
		v.Malicious, v.Total = 1+len(verdicts), 60
		verdicts = append(verdicts, v)
		return nil
	})
	if err == nil {
		_, err = s.AddVerdicts(ctx, verdicts)
	}
	return errors.Join(err, s.Close())
}

// What damage is done to, as conditions on file_sightings and others. Each kind
// has a row of its own, so that all damage can be done at once.
func nthSighting(place string, n int) string {
	return fmt.Sprintf(`id = (SELECT id FROM file_sightings WHERE %s ORDER BY id LIMIT 1 OFFSET %d)`, place, n)
}

const (
	inRaw     = "raw_event_id IS NOT NULL"
	inSegment = "segment_id IS NOT NULL"
	rawRange  = "sightings raw events 1-65536"
)

// damage is something wrong with what was derived.
type damage struct {
	name string
	sql  []string
	// The gaps that must be named. A sighting that is wrong makes its files wrong,
	// too: those are not told here.
	want []string
	// left are the gaps that cannot be mended.
	left []string
	// forged: sightings that differ have the key that fits.
	forged bool
	// alone: it cannot be done together with others.
	alone bool
}

func damages() []damage {
	segment := "sightings segment 1"
	list := []damage{
		{name: "a raw event's sighting deleted", sql: []string{`DELETE FROM file_sightings WHERE ` + nthSighting(inRaw, 0)}, want: []string{rawRange}},
		{name: "a segment's sighting deleted", sql: []string{`DELETE FROM file_sightings WHERE ` + nthSighting(inSegment, 0)}, want: []string{segment}},
		{name: "all sightings deleted", sql: []string{`DELETE FROM file_sightings`}, want: []string{rawRange, segment}, alone: true},
		{name: "all files deleted", sql: []string{`DELETE FROM files`}, alone: true},
		{name: "a sighting of a raw event at another", want: []string{rawRange},
			sql: []string{`UPDATE file_sightings SET raw_event_id = (SELECT id FROM raw_events WHERE event_type = 'cowrie.session.connect' LIMIT 1 OFFSET 1) WHERE ` + nthSighting(inRaw, 1)}},
		{name: "two sightings of raw events have changed places", want: []string{rawRange}, sql: []string{
			`UPDATE file_sightings SET raw_event_id = CASE raw_event_id WHEN (SELECT min(raw_event_id) FROM file_sightings) THEN
				(SELECT max(raw_event_id) FROM file_sightings) ELSE (SELECT min(raw_event_id) FROM file_sightings) END
				WHERE raw_event_id IN (SELECT min(raw_event_id) FROM file_sightings UNION SELECT max(raw_event_id) FROM file_sightings)`}, alone: true},
		{name: "a sighting of a segment at another event", want: []string{segment}, sql: []string{`UPDATE file_sightings SET event_index = event_index + 1 WHERE ` + nthSighting(inSegment, 1)}},
		{name: "a sighting of a segment behind its end", want: []string{segment}, sql: []string{`UPDATE file_sightings SET event_index = 1000000 WHERE ` + nthSighting(inSegment, 2)}},
		{name: "a sighting of a segment in one that is not there", want: []string{segment}, sql: []string{`UPDATE file_sightings SET segment_id = 77 WHERE ` + nthSighting(inSegment, 3)}},
		{name: "a sighting of a segment at a raw event", want: []string{rawRange, segment},
			sql: []string{`UPDATE file_sightings SET segment_id = NULL, event_index = NULL, raw_event_id =
				(SELECT id FROM raw_events WHERE event_type = 'cowrie.session.connect' LIMIT 1 OFFSET 2) WHERE ` + nthSighting(inSegment, 4)}},
		{name: "a sighting of a raw event in a segment", want: []string{segment},
			sql: []string{`UPDATE file_sightings SET segment_id = 1, event_index = 0, raw_event_id = NULL WHERE ` + nthSighting(inRaw, 2)}},
		{name: "a sighting of a raw event in a segment that is not there", want: []string{rawRange}, alone: true,
			sql: []string{`UPDATE file_sightings SET segment_id = 78, event_index = 0, raw_event_id = NULL WHERE ` + nthSighting(inRaw, 4)}},
		{name: "a sighting of a raw event at one that is not there", want: []string{rawRange}, alone: true,
			sql: []string{`UPDATE file_sightings SET raw_event_id = raw_event_id + 10000000 WHERE ` + nthSighting(inRaw, 5)}},
		{name: "a sighting that no raw event bears out", want: []string{rawRange}, sql: []string{
			`INSERT INTO file_sightings (shasum, session_id, kind, raw_event_id, sighting_key)
				SELECT '` + hash + `', 'nobody', 'download', id, x'00' FROM raw_events WHERE event_type = 'cowrie.session.connect' LIMIT 1`}},
		{name: "a sighting that no event of a segment bears out", want: []string{segment}, sql: []string{
			`INSERT INTO file_sightings (shasum, session_id, kind, segment_id, event_index, sighting_key) VALUES ('` + other + `', 'nobody', 'download', 1, 0, x'01')`}},
		{name: "a sighting twice", want: []string{rawRange}, sql: []string{
			`INSERT INTO file_sightings (shasum, session_id, sensor, src_ip, kind, seen_at, filename, destfile, download_url, outfile, duplicate, raw_event_id, sighting_key)
				SELECT shasum, session_id, sensor, src_ip, kind, seen_at, filename, destfile, download_url, outfile, duplicate, raw_event_id, x'02'
				FROM file_sightings WHERE ` + nthSighting(inRaw, 3)}},
		{name: "a sighting twice, the wrong one first", want: []string{segment}, sql: []string{
			`INSERT INTO file_sightings (id, shasum, session_id, sensor, src_ip, kind, seen_at, filename, destfile, download_url, outfile, duplicate, segment_id, event_index, sighting_key)
				SELECT -5, shasum, session_id, sensor, src_ip, kind, seen_at, filename, destfile, download_url, outfile, duplicate, segment_id, event_index, x'03'
				FROM file_sightings WHERE ` + nthSighting(inSegment, 5)}},
		{name: "a verdict of a raw event deleted", sql: []string{`DELETE FROM file_verdicts WHERE shasum = '` + fmt.Sprintf("%064x", 2) + `'`}, want: []string{"verdicts raw event "}},
		{name: "a verdict of a segment deleted", sql: []string{`DELETE FROM file_verdicts WHERE shasum = '` + fmt.Sprintf("%064x", 102) + `'`}, want: []string{"verdicts segment 1, event "}},
	}
	// Each column, at a raw event and in a segment.
	n := 10
	for _, column := range []string{"shasum = '" + hash + "'", "shasum = '" + hash + "', outfile = outfile || shasum", "shasum = upper(shasum)", "session_id = 'another'", "session_id = ''", "sensor = 'another'", "sensor = NULL",
		"src_ip = '198.51.100.99'", "src_ip = NULL", "kind = CASE kind WHEN 'upload' THEN 'download' ELSE 'upload' END", "kind = 'disk'", "seen_at = '2020-01-01T00:00:00.000000Z'",
		"seen_at = NULL", "seen_at = 'soon'", "filename = 'another'", "destfile = '/another'", "destfile = coalesce(destfile, '') || ' '", "download_url = 'http://another/'",
		"outfile = '/another'", "duplicate = CASE duplicate WHEN 1 THEN 0 ELSE 1 END", "sighting_key = x'00112233445566778899aabbccddeeff'", "sighting_key = x''"} {
		change := `UPDATE file_sightings SET ` + column + ` WHERE `
		list = append(list, damage{name: column, want: []string{rawRange, segment},
			sql: []string{change + nthSighting(inRaw, n), change + nthSighting(inSegment, n)}})
		if !strings.HasPrefix(column, "sensor") && !strings.HasPrefix(column, "session_id") && !strings.HasPrefix(column, "sighting_key") {
			list = append(list, damage{name: column + ", and the key that fits", want: []string{rawRange, segment}, forged: true, alone: true,
				sql: []string{change + nthSighting(inRaw, n), change + nthSighting(inSegment, n)}})
		}
		n++
	}
	// Of files.
	file := func(n int) string {
		return fmt.Sprintf(`(SELECT shasum FROM files WHERE filename IS NOT NULL AND download_url IS NOT NULL ORDER BY shasum LIMIT 1 OFFSET %d)`, n)
	}
	for i, change := range []string{"session_id = 'another'", "session_id = NULL", "filename = 'another'", "filename = NULL", "filename_at = '2020-01-01T00:00:00.000000Z'", "filename_at = NULL",
		"download_url = 'http://another/'", "download_url_at = NULL", "first_seen = '2020-01-01T00:00:00.000000Z'", "first_seen = NULL", "last_seen = '2030-01-01T00:00:00.000000Z'",
		"last_seen = NULL", "sighting_count = sighting_count + 1", "sighting_count = 0"} {
		list = append(list, damage{name: "file: " + change, sql: []string{`UPDATE files SET ` + change + ` WHERE shasum = ` + file(i%3)}, want: []string{"files ?" + file(i%3)}})
	}
	list = append(list,
		damage{name: "a file deleted", sql: []string{`DELETE FROM files WHERE shasum = ` + file(0)}, want: []string{"files ?" + file(0)}, alone: true},
		damage{name: "a file invented", sql: []string{`INSERT INTO files (shasum, sighting_count, created_at, updated_at) VALUES ('` + hash[1:] + `f', 1, '', '')`}, want: []string{"files " + hash[1:] + "f"}},
		damage{name: "a file invented behind all others", sql: []string{`INSERT INTO files (shasum, sighting_count, created_at, updated_at) VALUES ('not a hash', 1, '', '')`}, want: []string{"files not a hash"}},
	)
	// What cannot be mended.
	for _, column := range []string{"lines", "events", "duplicates", "dead_letters", "blank"} {
		list = append(list, damage{name: "source: " + column, sql: []string{`UPDATE sources SET ` + column + ` = ` + column + ` + 1`},
			want: []string{"lines source 1"}, left: []string{"lines source 1"}, alone: true})
	}
	return append(list,
		damage{name: "source: a dead letter that is not there", sql: []string{`UPDATE sources SET lines = lines + 1, dead_letters = dead_letters + 1`}, want: []string{"lines source 1"}, left: []string{"lines source 1"}, alone: true},
		damage{name: "source: one for the other", sql: []string{`UPDATE sources SET events = events - 1, blank = blank + 1`}, want: []string{"lines source 1"}, left: []string{"lines source 1"}, alone: true},
		damage{name: "segment: count", sql: []string{`UPDATE event_segments SET event_count = event_count + 1`}, want: []string{"segment segment 1"}, left: []string{"segment segment 1"}, alone: true},
	)
}

func TestVerifyFindsDamage(t *testing.T) {
	t.Parallel()
	var db *database
	var want []string
	var wantDump string
	begin := func(from template) {
		db = open(t, from.copy(t))
		if gaps := db.gaps(t); gaps != nil {
			t.Fatalf("before: %v", gaps)
		}
		want, wantDump = db.tables(t), db.dump(t)
		if n := db.forge(t); n != 0 {
			t.Fatalf("%d keys are not what they were taken for", n)
		}
	}
	begin(mixed)
	if n := db.int(t, `SELECT min(n) FROM (SELECT count(*) AS n FROM file_sightings WHERE `+inRaw+` UNION ALL SELECT count(*) FROM file_sightings WHERE `+inSegment+`)`); n < 35 {
		t.Fatalf("%d sightings are too few", n)
	}
	if n := db.int(t, `SELECT count(*) FROM files WHERE filename IS NOT NULL AND download_url IS NOT NULL`); n < 3 {
		t.Fatalf("%d files are too few", n)
	}
	test := func(t *testing.T, list ...damage) {
		var asked, left []string
		for _, d := range list {
			for _, gap := range d.want {
				if query, ok := strings.CutPrefix(gap, "files ?"); ok {
					gap = "files " + db.text(t, "SELECT "+query)
				}
				asked = append(asked, gap)
			}
			left = append(left, d.left...)
		}
		for _, d := range list {
			for _, st := range d.sql {
				db.exec(t, st)
			}
			if d.forged {
				if n := db.forge(t); n == 0 {
					t.Error("no key was forged")
				}
			}
		}
		var before []string
		if len(list) > 1 {
			before = db.gaps(t) // looking is to change nothing
		}
		var gaps, rest []string
		if list[0].forged { // what is mended in the same way needs no second look
			_, err := db.verify(t, db.Mend, func(g backfill.Gap) { gaps = append(gaps, g.What+" "+g.Where) })
			if err != nil {
				t.Fatal(err)
			}
		} else {
			gaps, rest = db.repair(t)
		}
		if diff := cmp.Diff(before, gaps); len(list) > 1 && diff != "" {
			t.Errorf("looking changed something: %s", diff)
		}
		for _, gap := range asked {
			if !slices.ContainsFunc(gaps, func(g string) bool { return g == gap || strings.HasSuffix(gap, " ") && strings.HasPrefix(g, gap) }) {
				t.Errorf("%q was not named, but %q", gap, gaps)
			}
		}
		for _, g := range gaps { // nothing else is named
			if !strings.HasPrefix(g, "files ") && !slices.ContainsFunc(asked, func(gap string) bool { return strings.HasPrefix(g, gap) }) {
				t.Errorf("%q was named, too", g)
			}
		}
		if diff := cmp.Diff(left, rest); diff != "" {
			t.Errorf("gaps that are left: %s", diff)
		}
		if diff := cmp.Diff(want, db.tables(t)); diff != "" {
			t.Errorf("after the repair: %.3000s", diff)
		}
		if len(list) > 1 {
			if diff := cmp.Diff(wantDump, db.dump(t)); diff != "" {
				t.Errorf("after the repair: %.3000s", diff)
			}
		}
	}
	var all []damage
	for _, d := range damages() {
		ok := t.Run(d.name, func(t *testing.T) { test(t, d) })
		if !ok || d.left != nil {
			begin(mixed) // the others need one that is whole
		}
		if !d.alone && ok {
			all = append(all, d)
		}
	}
	t.Run("all together", func(t *testing.T) { test(t, all...) })
	begin(mixedFaulty)
	t.Run("all together, with repeated events", func(t *testing.T) { test(t, all...) })
}

// forge gives every sighting the key that fits its columns, and returns how many
// had another.
func (db *database) forge(t *testing.T) (n int64) {
	t.Helper()
	type row struct {
		id, shasum string
		parts      [8]sql.NullString
		key        []byte
	}
	rows, err := db.sql.QueryContext(t.Context(), `SELECT id, shasum, kind, seen_at, sensor, src_ip, filename, destfile, download_url, duplicate, outfile, sighting_key FROM file_sightings`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var list []row
	for rows.Next() {
		var r row
		p := &r.parts
		var duplicate sql.NullBool
		var outfile sql.NullString
		if err := rows.Scan(&r.id, &r.shasum, &p[0], &p[1], &p[2], &p[3], &p[4], &p[5], &p[6], &duplicate, &outfile, &r.key); err != nil {
			t.Fatal(err)
		}
		out := outfile.String
		if outfile.Valid && (out == "" || strings.HasSuffix(out, "/")) {
			out += r.shasum
		}
		known := ""
		if duplicate.Valid {
			known = fmt.Sprint(duplicate.Bool)
		}
		if at, ok := cowrie.ParseTime([]byte(p[1].String)); ok {
			p[1].String = at.String()
		} else {
			p[1].String = ""
		}
		var text strings.Builder
		for _, part := range []string{r.shasum, p[0].String, p[1].String, p[2].String, p[3].String, p[4].String, p[5].String, p[6].String, out, known} {
			fmt.Fprintf(&text, "%d:%s", len(part), part)
		}
		sum := sha256.Sum256([]byte(text.String()))
		if key := sum[:16]; !slices.Equal(key, r.key) {
			r.key = key
			list = append(list, r)
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	rows.Close()
	for _, r := range list {
		db.exec(t, `UPDATE file_sightings SET sighting_key = ? WHERE id = ?`, r.key, r.id)
	}
	return int64(len(list))
}

// TestVerifyKeepsWhatHasNoEvents: where events were lost, what was derived from
// them is all that is left. No repair takes it away.
func TestVerifyKeepsWhatHasNoEvents(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		sql  []string
		gaps []string // that are to be named, before and after the repair
	}{
		{"raw events deleted", []string{`DELETE FROM raw_events WHERE id IN (SELECT raw_event_id FROM file_sightings WHERE raw_event_id < 300)`}, nil},
		{"all raw events deleted", []string{`DELETE FROM raw_events`}, nil},
		{"a checksum", []string{`UPDATE event_segments SET checksum = checksum + 1`}, []string{"segment segment 1", "lines source 1"}},
		{"a text", []string{`UPDATE event_segments SET events = x'00'`}, []string{"segment segment 1", "lines source 1"}},
		{"a checksum and a key", []string{`UPDATE event_segments SET checksum = checksum + 1`, `UPDATE file_sightings SET sighting_key = x'00' WHERE ` + nthSighting(inSegment, 0)},
			[]string{"segment segment 1", "lines source 1"}},
		{"a segment deleted", []string{`DELETE FROM event_segments`}, []string{"lines source 1"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			db := open(t, mixed.copy(t))
			for _, st := range c.sql {
				db.exec(t, st)
			}
			before := db.tables(t)
			found, left := db.repair(t)
			for when, gaps := range map[string][]string{"found": found, "left": left} {
				for _, gap := range c.gaps {
					if !slices.Contains(gaps, gap) {
						t.Errorf("%q was not %s, but %q", gap, when, gaps)
					}
				}
				if c.gaps == nil && gaps != nil {
					t.Errorf("gaps %s: %q", when, gaps)
				}
			}
			if diff := cmp.Diff(before, db.tables(t)); diff != "" {
				t.Errorf("the repair took away: %.1500s", diff)
			}
		})
	}
}

// TestVerifyOrphans counts sightings whose raw event is gone.
func TestVerifyOrphans(t *testing.T) {
	t.Parallel()
	db := open(t, mixed.copy(t))
	want := db.int(t, `SELECT count(*) FROM file_sightings WHERE raw_event_id BETWEEN 30 AND 60`)
	db.exec(t, `DELETE FROM raw_events WHERE id BETWEEN 30 AND 60`)
	v, err := db.verify(t, db.Mend, func(g backfill.Gap) { t.Errorf("a gap: %+v", g) })
	if err != nil {
		t.Fatal(err)
	}
	if v.Orphans != want || want == 0 || v.Pending != 0 {
		t.Errorf("%d orphans of %d, %d pending", v.Orphans, want, v.Pending)
	}
	// Beside them something is mended; they stay, and so they do when all other
	// events are moved.
	before := db.tables(t)
	db.exec(t, `DELETE FROM file_sightings WHERE `+nthSighting("raw_event_id > 60", 0))
	if _, left := db.repair(t); left != nil {
		t.Errorf("left: %v", left)
	}
	if diff := cmp.Diff(before, db.tables(t)); diff != "" {
		t.Errorf("%.2000s", diff)
	}
	files, sightings := db.lines(t, "files", "true", "shasum", "sighting_count", "first_seen"), db.lines(t, "file_sightings", "true", sightingColumns...)
	db.compact(t)
	v, err = db.verify(t, db.Mend, func(g backfill.Gap) { t.Errorf("a gap: %+v", g) })
	if err != nil {
		t.Fatal(err)
	}
	if v.Orphans != want {
		t.Errorf("compact: %d orphans of %d", v.Orphans, want)
	}
	if diff := cmp.Diff(files, db.lines(t, "files", "true", "shasum", "sighting_count", "first_seen")); diff != "" {
		t.Errorf("compact: %.2000s", diff)
	}
	if diff := cmp.Diff(sightings, db.lines(t, "file_sightings", "true", sightingColumns...)); diff != "" {
		t.Errorf("compact: %.2000s", diff)
	}
}

// TestVerifyMovedAway: a sighting must not pass for an orphan if its raw event is
// there, only elsewhere than the sighting says.
func TestVerifyMovedAway(t *testing.T) {
	t.Parallel()
	db := open(t, mixed.copy(t))
	before := db.tables(t)
	db.exec(t, `UPDATE file_sightings SET raw_event_id = raw_event_id + 1000000 WHERE `+nthSighting(inRaw, 0))
	if gaps := db.gaps(t); len(gaps) == 0 {
		t.Error("no gap was named")
	}
	db.repair(t)
	if diff := cmp.Diff(before, db.tables(t)); diff != "" {
		t.Errorf("%.2000s", diff)
	}
}

// TestVerifyPending: raw events that no backfill has done are no gap.
func TestVerifyPending(t *testing.T) {
	t.Parallel()
	db := open(t, faulty.copy(t))
	all := db.int(t, `SELECT count(*) FROM raw_events`)
	check := func(pending int64) {
		t.Helper()
		v, err := db.verify(t, db.Mend, func(g backfill.Gap) { t.Errorf("a gap: %+v", g) })
		if err != nil {
			t.Fatal(err)
		}
		if v.Pending != pending || v.RawEvents != all-pending {
			t.Errorf("%d pending and %d compared, want %d and %d", v.Pending, v.RawEvents, pending, all-pending)
		}
	}
	check(all)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	sum, err := backfill.Run(ctx, db, backfill.Options{Batch: 50, Pace: backfill.Pace{Full: true}, Log: quiet, Observe: func(*cowrie.Job) { cancel() }})
	if err == nil || sum.Position == 0 || sum.Position == all {
		t.Fatalf("it came to %d of %d: %v", sum.Position, all, err)
	}
	check(all - sum.Position)
	db.backfill(t, backfill.Options{})
	check(0)
	addRaw(t, db.sql, goodRow(1))
	all++
	check(1)
	db.backfill(t, backfill.Options{})
	check(0)
}

// busy is a snapshot beside which others write: before every stage of a
// verification, and in the middle of each.
type busy struct {
	backfill.Snapshot
	write func()
}

func (b *busy) Sightings(ctx context.Context, f func(*cowrie.StoredSighting) error) error {
	b.write()
	return b.Snapshot.Sightings(ctx, func(s *cowrie.StoredSighting) error {
		b.write()
		return f(s)
	})
}

func (b *busy) RawEvents(ctx context.Context, after, through int64, f func(*cowrie.RawEvent) error) error {
	b.write()
	return b.Snapshot.RawEvents(ctx, after, through, func(e *cowrie.RawEvent) error {
		b.write()
		return f(e)
	})
}

func (b *busy) Segments(ctx context.Context, id int64, f func(*cowrie.Segment) error) error {
	b.write()
	return b.Snapshot.Segments(ctx, id, f)
}

func (b *busy) Files(ctx context.Context, f func(stored, derived *cowrie.File) error) error {
	b.write()
	return b.Snapshot.Files(ctx, func(stored, derived *cowrie.File) error {
		b.write()
		return f(stored, derived)
	})
}

// TestVerifyBesideWriters verifies while others load, backfill and delete.
func TestVerifyBesideWriters(t *testing.T) {
	t.Parallel()
	db := open(t, mixed.copy(t))
	writer := open(t, db.path)
	snapshot, err := db.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer snapshot.Close()
	turn, calls := 0, 0
	write := func() {
		if calls++; calls%12 != 1 {
			return
		}
		turn++
		switch turn % 4 {
		case 0:
			addRaw(t, writer.sql, goodRow(turn))
			writer.backfill(t, backfill.Options{})
		case 1:
			writer.load(t, "more", []byte(goodRow(1000+turn)+"\n"))
		case 2:
			writer.exec(t, `DELETE FROM file_sightings WHERE `+nthSighting(inRaw, turn))
		case 3:
			writer.exec(t, `UPDATE files SET sighting_count = sighting_count + 1 WHERE rowid = 1 + ?`, turn%3)
		}
	}
	var gaps []backfill.Gap
	v, err := backfill.Verify(t.Context(), &busy{snapshot, write}, backfill.VerifyOptions{}, func(g backfill.Gap) error {
		gaps = append(gaps, g)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if turn < 12 {
		t.Errorf("others wrote %d times only", turn)
	}
	if len(gaps) > 0 || v.Pending > 0 || v.Orphans > 0 {
		t.Errorf("%+v, %+v", v, gaps)
	}
	// What they did is seen by the next one.
	if gaps := db.gaps(t); !slices.Contains(gaps, rawRange) {
		t.Errorf("the next one found %q", gaps)
	}
}
