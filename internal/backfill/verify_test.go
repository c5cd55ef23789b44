package backfill_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"midden/internal/backfill"
	"midden/internal/compact"
	"midden/internal/cowrie"
	"midden/internal/store"
	"midden/internal/synth"
	"midden/internal/synth/cowrieprocessor"
)

// otherLog is a log that cowrieprocessor never saw, with what Cowrie's
// VirusTotal plugin was told.
var otherLog = sync.OnceValue(func() []byte {
	var buf bytes.Buffer
	o := synth.Options{Seed: 43, Events: 100, Sensors: 1, Span: time.Hour, FileShare: 0.7}
	if _, err := o.Generate(context.Background(), &buf, 0); err != nil {
		panic(err)
	}
	for i := range 4 {
		buf.WriteString(scanfileEvent(100+i) + "\n")
	}
	return buf.Bytes()
})

func (db *database) compact(t testing.TB) {
	t.Helper()
	if _, err := compact.Run(t.Context(), db, backfill.JobName, compact.Options{}); err != nil {
		t.Fatal(err)
	}
}

// TestVerifySound verifies databases in which nothing is wrong.
func TestVerifySound(t *testing.T) {
	t.Parallel()
	same := func(t *testing.T, db *database) {
		for sensor := range 2 {
			if sum := db.load(t, fmt.Sprint(sensor), logOf(t, sensor)); sum.Events > 0 {
				t.Errorf("of a log that cowrieprocessor has loaded %d events are new", sum.Events)
			}
		}
	}
	other := func(t *testing.T, db *database) { db.load(t, "other", otherLog()) }
	run := func(t *testing.T, db *database) { db.backfill(t, backfill.Options{}) }
	pack := func(t *testing.T, db *database) { db.compact(t) }
	sound := func(t *testing.T, db *database) {
		if gaps := db.gaps(t); gaps != nil {
			t.Errorf("gaps: %q", gaps)
		}
	}
	// A log whose events name no sensor, one of which makes the same sighting as
	// another, and one of which has a name that cowrieprocessor changed.
	nameless := at("nameless", `"2026-01-02T03:04:05Z"`)
	nameless += "\n" + strings.Replace(nameless, "{", `{"message": "again", `, 1) + "\n" +
		event(`"session": "nameless", "shasum": "`+hash+`", "timestamp": "2026-01-02T03:04:06Z", "filename": "a`+"\xff"+`b"`) + "\n"
	told := func(t *testing.T, db *database) {
		db.loadAs(t, "nameless", "told", []byte(nameless))
		db.load(t, "known", []byte(nameless))
	}
	late := func(t *testing.T, db *database) { // cowrieprocessor loads it, too
		if err := cowrieprocessor.Load(t.Context(), db.sql, "nameless", lines([]byte(nameless)), cowrieprocessor.LoadOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	only := func(t *testing.T, db *database) {
		if n := db.int(t, `SELECT count(*) FROM file_sightings WHERE session_id = 'nameless'`); n != 2 {
			t.Errorf("%d sightings of 2", n)
		}
	}
	for _, c := range []struct {
		name string
		from template
		do   []func(*testing.T, *database)
	}{
		{"a sensor of the session", plain, []func(*testing.T, *database){func(t *testing.T, db *database) {
			db.exec(t, `INSERT INTO session_summaries (session_id, matcher) VALUES ('bare', 'honey')`)
			addRaw(t, db.sql, at("bare", `"2026-01-02T03:04:05Z"`))
			addRaw(t, db.sql, at("bare", "null"))
		}, run, func(t *testing.T, db *database) {
			if n := db.int(t, `SELECT count(*) FROM file_sightings WHERE session_id = 'bare' AND sensor = 'honey'`); n != 2 {
				t.Errorf("%d sightings have the sensor of their session, of 2", n)
			}
		}}},
		{"a sensor that is told", plain, []func(*testing.T, *database){run, told, only}},
		{"a sensor that is told, and raw events later", plain, []func(*testing.T, *database){run, told, late, run, only, sound, pack, only}},
		{"plain", plain, []func(*testing.T, *database){run}},
		{"repeated", faulty, []func(*testing.T, *database){run}},
		{"logs before", faulty, []func(*testing.T, *database){same, other, run}},
		{"logs behind", faulty, []func(*testing.T, *database){run, other, same}},
		{"compact, logs before", faulty, []func(*testing.T, *database){other, run, pack, same}},
		{"compact, logs behind", faulty, []func(*testing.T, *database){run, pack, other, same}},
		{"compact in part", faulty, []func(*testing.T, *database){other, run, compactInPart}},
		{"compact and new events", faulty, []func(*testing.T, *database){run, pack, func(t *testing.T, db *database) {
			for i := range 5 {
				addRaw(t, db.sql, goodRow(i))
				addRaw(t, db.sql, scanfileEvent(i))
			}
		}, run, pack}},
		{"bad rows, compact", badRowsV4, []func(*testing.T, *database){run, other, pack}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			db := open(t, c.from.copy(t))
			for _, do := range c.do {
				do(t, db)
			}
			tables := db.tables(t)
			v, err := db.verify(t, func(_ context.Context, m *cowrie.Mend) error {
				t.Errorf("to be mended: %+v", m)
				return nil
			}, func(g backfill.Gap) { t.Errorf("a gap: %+v", g) })
			if err != nil {
				t.Fatal(err)
			}
			v.Elapsed = 0
			want := backfill.Verification{RawEvents: db.int(t, `SELECT count(*) FROM raw_events WHERE id > (SELECT coalesce(max(position), 0) FROM maintenance WHERE job = 'compact')`),
				Segments: db.int(t, `SELECT count(*) FROM event_segments`), Sources: db.int(t, `SELECT count(*) FROM sources`),
				Sightings: db.int(t, `SELECT count(*) FROM file_sightings`), Files: db.int(t, `SELECT count(*) FROM files`),
				Days: db.int(t, `SELECT count(DISTINCT day) FROM sensor_days`)}
			if diff := cmp.Diff(want, *v); diff != "" || v.Sightings == 0 || v.RawEvents+v.Segments == 0 {
				t.Error(diff)
			}
			if diff := cmp.Diff(tables, db.tables(t)); diff != "" {
				t.Errorf("verifying changed something: %.2000s", diff)
			}
			err = db.Doctor(t.Context(), true, store.Staging{On: true}, func(c store.Check) error {
				if c.State == store.CheckFailure && !strings.Contains(c.Detail, "malformed") {
					t.Errorf("doctor: %s: %s", c.Name, c.Detail)
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		})
	}
}

// compactInPart moves some raw events into segments and stops there.
func compactInPart(t *testing.T, db *database) {
	t.Helper()
	last, err := db.LastRawEvent(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	// What is moved by the first transaction is what is there by then.
	half := &shortened{db, last / 2}
	if _, err := compact.Run(t.Context(), half, backfill.JobName, compact.Options{}); !errors.Is(err, errFlaky) {
		t.Fatalf("got %v", err)
	}
	if n := db.int(t, `SELECT position FROM maintenance WHERE job = 'compact'`); n != last/2 {
		t.Fatalf("it came to %d", n)
	}
}

// shortened is a store that shows only some of the raw events, and deletes none.
type shortened struct {
	*database
	last int64
}

func (s *shortened) LastRawEvent(context.Context) (int64, error) { return s.last, nil }

func (s *shortened) DropMoved(context.Context, *cowrie.Job) (bool, error) { return false, errFlaky }
