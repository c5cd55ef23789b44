package store_test

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"midden/internal/backfill"
	"midden/internal/compact"
	"midden/internal/cowrie"
	"midden/internal/ingest"
	"midden/internal/store"
	"midden/internal/store/migrate"
	"midden/internal/store/sqlite"
	"midden/internal/store/storetest"
	"midden/internal/synth"
	"midden/internal/synth/cowrieprocessor"
	"midden/internal/synth/cowrieprocessor/cowrieprocessortest"
)

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

// TestMain runs the tests on both engines.
func TestMain(m *testing.M) { os.Exit(storetest.Main(m)) }

// database is a database of the test's own.
type database struct {
	*store.Store
	path string  // or URL
	sql  *sql.DB // a connection of its own

	once  sync.Once
	texts *sql.DB
}

// asTexts is a connection on which every value is a text as SQLite has it.
func (db *database) asTexts(t testing.TB) *sql.DB {
	t.Helper()
	db.once.Do(func() { db.texts = storetest.Texts(t, db.path) })
	return db.texts
}

func newDatabase(t *testing.T) *database {
	t.Helper()
	return open(t, storetest.Name(t))
}

func open(t *testing.T, name string) *database {
	t.Helper()
	return &database{Store: storetest.Open(t, name), path: name, sql: storetest.Connect(t, name)}
}

// takenOver is a database of cowrieprocessor that fill has filled, taken over.
func takenOver(t *testing.T, fill func(*sql.DB)) *database {
	t.Helper()
	storetest.OnSQLite(t)
	path, db := cowrieprocessortest.Create(t, cowrieprocessor.Latest)
	fill(db)
	if err := sqlite.Upgrade(t.Context(), path, func(*migrate.Plan) error { return nil }, func(int) {}); err != nil {
		t.Fatal(err)
	}
	return open(t, path)
}

// loadOld loads lines as cowrieprocessor did.
func loadOld(t *testing.T, db *sql.DB, source string, lines ...[]byte) {
	t.Helper()
	cowrieprocessortest.Load(t, db, source, lines, cowrieprocessor.LoadOptions{Inode: "1"})
}

func addRaw(t *testing.T, db *sql.DB, payload any) (id int64) {
	t.Helper()
	id, err := cowrieprocessor.AddRaw(t.Context(), db, payload)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func (db *database) load(t *testing.T, lines ...[]byte) ingest.Summary {
	t.Helper()
	path := filepath.Join(t.TempDir(), "cowrie.json")
	if err := os.WriteFile(path, append(bytes.Join(lines, []byte("\n")), '\n'), 0o600); err != nil {
		t.Fatal(err)
	}
	sum, err := ingest.Load(t.Context(), db, []string{path}, ingest.Options{Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	return sum
}

func (db *database) backfill(t *testing.T) backfill.Summary {
	t.Helper()
	sum, err := backfill.Run(t.Context(), db, backfill.Options{Pace: backfill.Pace{Full: true}, Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	return sum
}

func (db *database) exec(t *testing.T, query string, args ...any) {
	t.Helper()
	if _, err := db.sql.ExecContext(t.Context(), query, args...); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
}

// text is the one value of a query, "-" for NULL.
func (db *database) text(t *testing.T, query string, args ...any) string {
	t.Helper()
	var s sql.NullString
	if err := db.asTexts(t).QueryRowContext(t.Context(), query, args...).Scan(&s); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	if !s.Valid {
		return "-"
	}
	return s.String
}

// sensorLines are the lines of a made-up sensor.
var sensorLines = sync.OnceValue(func() [][]byte {
	var buf bytes.Buffer
	o := synth.Options{Seed: 12, Events: 250, Sensors: 1, Span: 3 * time.Hour, FileShare: 0.2}
	if _, err := o.Generate(context.Background(), &buf, 0); err != nil {
		panic(err)
	}
	return bytes.Split(bytes.TrimSpace(buf.Bytes()), []byte("\n"))
})

// TestSessionsLikeNative: a session of which cowrieprocessor knew a part, and
// some of it twice, is what it would be if midden alone had loaded it, as soon as
// an event is added to it or it is moved into segments.
func TestSessionsLikeNative(t *testing.T) {
	t.Parallel()
	lines := sensorLines()
	var closing, rest [][]byte // the last event of every session, and all others
	last := map[string]int{}
	for i, line := range lines {
		e, err := cowrie.Parse(line)
		if err != nil {
			t.Fatal(err)
		}
		last[e.Session] = i
	}
	for i, line := range lines {
		if e, _ := cowrie.Parse(line); last[e.Session] == i && e.Session != "" {
			closing = append(closing, line)
		} else {
			rest = append(rest, line)
		}
	}
	facts := func(db *database) (list []string) {
		for _, line := range strings.Split(storetest.Dump(t, db.Store, db.sql), "\n") {
			// Events that stand in raw_events count in no day.
			what, _, _ := strings.Cut(line, " | ")
			if !strings.HasPrefix(line, "event ") && what != "dead letter" && what != "sensor day" && what != "login" {
				list = append(list, line)
			}
		}
		return list
	}
	native := newDatabase(t)
	native.load(t, lines...)
	want := facts(native)

	db := takenOver(t, func(old *sql.DB) {
		loadOld(t, old, "/log/a", rest...)
		loadOld(t, old, "/log/copy", rest[:len(rest)/2]...)
	})
	if err := db.Stage(t.Context(), true, true); err != nil {
		t.Fatal(err)
	}
	db.backfill(t)
	if sum := db.load(t, lines...); sum.Events != int64(len(closing)) {
		t.Errorf("%d events are new, of %d", sum.Events, len(closing))
	}
	if diff := cmp.Diff(want, facts(db)); diff != "" {
		t.Errorf("added to: %.3000s", diff)
	}
	if _, err := compact.Run(t.Context(), db, backfill.JobName, compact.Options{}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, facts(db)); diff != "" {
		t.Errorf("compact: %.3000s", diff)
	}

	// midden was first, and cowrieprocessor loaded the same afterwards.
	late := takenOver(t, func(*sql.DB) {})
	if err := late.Stage(t.Context(), true, true); err != nil {
		t.Fatal(err)
	}
	late.load(t, rest...)
	loadOld(t, late.sql, "/log/a", rest...)
	loadOld(t, late.sql, "/log/copy", rest[:len(rest)/2]...)
	late.backfill(t)
	if sum := late.load(t, lines...); sum.Events != int64(len(closing)) {
		t.Errorf("late: %d events are new, of %d", sum.Events, len(closing))
	}
	if diff := cmp.Diff(want, facts(late)); diff != "" {
		t.Errorf("late: %.3000s", diff)
	}
	if _, err := compact.Run(t.Context(), late, backfill.JobName, compact.Options{}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, facts(late)); diff != "" {
		t.Errorf("late, compact: %.3000s", diff)
	}

	// Moved alone.
	moved := takenOver(t, func(old *sql.DB) {
		loadOld(t, old, "/log/a", lines...)
		loadOld(t, old, "/log/copy", lines[:len(lines)/2]...)
	})
	moved.backfill(t)
	if _, err := compact.Run(t.Context(), moved, backfill.JobName, compact.Options{}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, facts(moved)); diff != "" {
		t.Errorf("moved: %.3000s", diff)
	}
}

// filterFixture has events at raw events and in segments, in all forms of time.
func filterFixture(t *testing.T) *database {
	t.Helper()
	raw := []any{
		`{"eventid": "cowrie.session.connect", "session": "a", "sensor": "one", "timestamp": "2026-01-02T00:00:00.000000Z"}`,
		`{"eventid": "cowrie.command.input", "session": "a", "sensor": "one", "timestamp": "2026-01-02T02:30:00+0200", "input": null, "input_safe": "x [SC] y", "message": "CMD: x; y"}`, // 00:30
		`{"eventid": "cowrie.command.input", "session": "a", "sensor": "one", "timestamp": "2026-01-02 00:10:00"}`,
		`{"eventid": "cowrie.session.closed", "session": "a", "sensor": "one", "timestamp": "2026-01-01T23:00:00-0200"}`, // 01:00 on the 2nd
		`{"eventid": "cowrie.session.params", "session": "a"}`,
		`{"eventid": "cowrie.session.params", "session": "a", "timestamp": "soon"}`,
		`{"eventid": "cowrie.session.connect", "session": "b", "sensor": "two", "timestamp": "2026-01-01T23:59:59.999999Z"}`,
		`{"eventid": "cowrie.session.file_download", "session": "b", "sensor": "two", "timestamp": "2026-01-03T00:00:00+02:00", "shasum": "` + sha(1) + `"}`, // 22:00 on the 2nd
		`{"eventid": "cowrie.session.file_upload", "session": "a", "sensor": "one", "timestamp": "2026-01-02T00:50:00Z", "shasum": "` + strings.ToUpper(sha(1)) + `"}`,
		`{"eventid": "cowrie.log.open", "timestamp": "2026-01-02T12:00:00Z", "sensor": "two"}`,
		`{"eventid": 7, "session": "a", "timestamp": "2026-01-02T00:20:00Z"}`,
		"{\n\"eventid\": \"cowrie.session.connect\",\n\"session\": \"c\", \"timestamp\": \"2026-01-04T00:00:00Z\"\n}",
		"garbage", "", 5, []byte{0xff},
	}
	segments := []string{
		`{"eventid":"cowrie.session.connect","session":"n","sensor":"one","timestamp":"2026-01-02T00:00:00.000000Z"}`,
		`{"eventid":"cowrie.login.success","session":"a","sensor":"one","timestamp":"2026-01-02T00:05:00.000000Z"}`,
		`{"eventid":"cowrie.login.failed","session":"a","sensor":"one","timestamp":"2026-01-02T00:45:00.000000Z"}`,
		`{"eventid":"cowrie.client.version","session":"a","sensor":"one","timestamp":"2026-01-02T00:00:00.000000Z"}`,
		`{"eventid":"cowrie.session.file_download","session":"n","sensor":"one","timestamp":"2026-01-02T21:00:00Z","shasum":"` + sha(1) + `"}`,
		`{"eventid":"cowrie.session.file_download","session":"n","sensor":"one","timestamp":"2026-01-02T21:30:00Z","shasum":"` + sha(2) + `"}`,
		`{"eventid":"cowrie.command.input","session":"n","sensor":"one","timestamp":"2026-01-04T00:00:00Z"}`,
		`{"eventid":"cowrie.session.closed","session":"n","sensor":"one"}`,
	}
	db := takenOver(t, func(old *sql.DB) {
		for _, payload := range raw {
			addRaw(t, old, payload)
		}
		for _, session := range []string{"a", "b", "c"} {
			if _, err := old.Exec(`INSERT INTO session_summaries (session_id, matcher) VALUES (?, 'one')`, session); err != nil {
				t.Fatal(err)
			}
		}
	})
	db.backfill(t)
	for _, line := range segments {
		if sum := db.load(t, []byte(line)); sum.Events != 1 {
			t.Fatalf("%s: %+v", line, sum.Tally)
		}
	}
	return db
}

func sha(n int) string { return fmt.Sprintf("%064x", n) }

// place is where an event stands, and what it is.
func place(e *store.Event) string {
	return fmt.Sprintf("%d/%d raw %d: %s", e.Segment, e.Index, e.Raw, bytes.TrimSpace(e.Text))
}

func (db *database) events(t *testing.T, q store.EventFilter) (list []string) {
	t.Helper()
	err := db.Events(t.Context(), q, func(e *store.Event) error {
		list = append(list, place(e))
		if bytes.ContainsRune(e.Text, '\n') {
			t.Errorf("an event is not one line: %q", e.Text)
		}
		return nil
	})
	if err != nil {
		t.Fatalf("%+v: %v", q, err)
	}
	return list
}

// TestEventFilter compares every combination of filters with what a plain look at
// every event says.
func TestEventFilter(t *testing.T) {
	t.Parallel()
	none := store.EventFilter{Since: cowrie.NoTime, Until: cowrie.NoTime}
	for _, lost := range [][]string{nil, {"ix_raw_events_event_type", "ix_raw_events_event_timestamp"}} {
		db := filterFixture(t)
		for _, index := range lost {
			db.exec(t, `DROP INDEX `+index)
		}
		if lost != nil {
			db = open(t, db.path)
		}
		var all []store.Event
		if err := db.Events(t.Context(), none, func(e *store.Event) error {
			own := *e
			own.Text = bytes.Clone(e.Text)
			var err error
			own.Event, err = cowrie.Parse(own.Text)
			all = append(all, own)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if len(all) != 12+8 {
			t.Fatalf("there are %d events", len(all))
		}
		moment := func(s string) cowrie.Time {
			at, ok := cowrie.ParseTime([]byte(s))
			if !ok {
				t.Fatal(s)
			}
			return at
		}
		times := []cowrie.Time{cowrie.NoTime, moment("2026-01-02T00:00:00Z"), moment("2026-01-02T00:30:00Z"), moment("2026-01-02T00:30:00.000001Z"), moment("2026-01-02T22:00:00Z"),
			moment("2026-01-04T00:00:00Z"), 0}
		n := 0
		for _, since := range times {
			for _, until := range times {
				for _, session := range []string{"", "a", "n"} {
					for _, kind := range []string{"", "cowrie.command.input", "cowrie.session.*", "*"} {
						for _, sensor := range []string{"", "one"} {
							q := store.EventFilter{Since: since, Until: until, Session: session, Type: kind, Sensor: sensor}
							if since != cowrie.NoTime && until != cowrie.NoTime && (session != "" || sensor != "" || kind == "*") || lost != nil && session+sensor != "" {
								continue // enough
							}
							var want []string
							for i := range all {
								e := &all[i]
								prefix, any := strings.CutSuffix(kind, "*")
								if (since == cowrie.NoTime || e.Time != cowrie.NoTime && e.Time >= since) && (until == cowrie.NoTime || e.Time != cowrie.NoTime && e.Time < until) &&
									(session == "" || e.Session == session) && (sensor == "" || e.Sensor == sensor) &&
									(kind == "" || e.ID == kind || any && strings.HasPrefix(e.ID, prefix)) {
									want = append(want, place(e))
								}
							}
							got := db.events(t, q)
							slices.Sort(want)
							slices.Sort(got)
							if diff := cmp.Diff(want, got); diff != "" {
								t.Errorf("%+v (%v is lost): %s", q, lost, diff)
							}
							n += len(got)
						}
					}
				}
			}
		}
		if n < 500 {
			t.Errorf("%d events in all are too few", n)
		}
	}
}

// TestEventOrder: the events of a session in order of time, wherever they stand;
// those of a file in order of sighting; all others as they were stored.
func TestEventOrder(t *testing.T) {
	t.Parallel()
	db := filterFixture(t)
	none := store.EventFilter{Since: cowrie.NoTime, Until: cowrie.NoTime}
	session, file := none, none
	session.Session, file.Shasum = "a", sha(1)
	short := func(list []string) (short []string) {
		for _, s := range list {
			where, text, _ := strings.Cut(s, ": ")
			e, err := cowrie.Parse([]byte(text))
			if err != nil {
				t.Fatal(err)
			}
			if strings.HasPrefix(where, "0/") {
				where = where[len("0/0 "):]
			} else {
				where = "segment"
			}
			short = append(short, where+" "+e.ID+" "+e.Time.String())
		}
		return short
	}
	want := []string{
		"raw 5 cowrie.session.params ",
		"raw 6 cowrie.session.params ",
		"segment cowrie.client.version 2026-01-02T00:00:00.000000Z",
		"raw 1 cowrie.session.connect 2026-01-02T00:00:00.000000Z",
		"segment cowrie.login.success 2026-01-02T00:05:00.000000Z",
		"raw 3 cowrie.command.input 2026-01-02T00:10:00.000000Z",
		"raw 11  2026-01-02T00:20:00.000000Z",
		"raw 2 cowrie.command.input 2026-01-02T00:30:00.000000Z",
		"segment cowrie.login.failed 2026-01-02T00:45:00.000000Z",
		"raw 9 cowrie.session.file_upload 2026-01-02T00:50:00.000000Z",
		"raw 4 cowrie.session.closed 2026-01-02T01:00:00.000000Z",
	}
	if diff := cmp.Diff(want, short(db.events(t, session))); diff != "" {
		t.Errorf("of a session: %s", diff)
	}
	want = []string{
		"raw 9 cowrie.session.file_upload 2026-01-02T00:50:00.000000Z",
		"segment cowrie.session.file_download 2026-01-02T21:00:00.000000Z",
		"raw 8 cowrie.session.file_download 2026-01-02T22:00:00.000000Z",
	}
	if diff := cmp.Diff(want, short(db.events(t, file))); diff != "" {
		t.Errorf("of a file: %s", diff)
	}
	file.Session = "a"
	if diff := cmp.Diff(want[:1], short(db.events(t, file))); diff != "" {
		t.Errorf("of a file in a session: %s", diff)
	}
	file = none
	file.Shasum, file.Type, file.Since = sha(1), "*download", cowrie.NoTime
	if got := db.events(t, file); got != nil {
		t.Errorf("a star in front is no pattern, but %v", got)
	}
	file.Type, file.Until = "cowrie.session.file_d*", mustTime(t, "2026-01-02T22:00:00Z")
	if diff := cmp.Diff(want[1:2], short(db.events(t, file))); diff != "" {
		t.Errorf("of a file, filtered: %s", diff)
	}
	all := db.events(t, none)
	for i, s := range all {
		if isRaw := strings.HasPrefix(s, "0/0 raw"); isRaw != (i >= 8) {
			t.Errorf("event %d of all is %s", i, s)
		}
	}
	// What stands in raw_events as well as in segments counts once.
	before := map[string]int{}
	for _, s := range all {
		_, text, _ := strings.Cut(s, ": ")
		before[string(cowrie.Compact(nil, []byte(text)))]++
	}
	if _, err := compact.Run(t.Context(), &kept{db}, backfill.JobName, compact.Options{}); err == nil {
		t.Fatal("it was to stop before it deletes")
	}
	for _, s := range db.events(t, none) {
		where, text, _ := strings.Cut(s, ": ")
		if strings.HasPrefix(where, "0/") {
			t.Errorf("%s was moved, and counts as a raw event", s)
		}
		before[string(cowrie.Compact(nil, []byte(text)))]--
	}
	for text, n := range before {
		if n != 0 {
			t.Errorf("%d times less: %s", n, text)
		}
	}
}

// kept is a database from which nothing is deleted.
type kept struct{ *database }

func (k *kept) DropMoved(context.Context, *cowrie.Job) (bool, error) {
	return false, fmt.Errorf("nothing is deleted here")
}

func mustTime(t *testing.T, s string) cowrie.Time {
	t.Helper()
	at, ok := cowrie.ParseTime([]byte(s))
	if !ok {
		t.Fatal(s)
	}
	return at
}

// TestLongSession: of a session whose id is too long for a column, midden knows
// what cowrieprocessor has loaded, as of any other.
func TestLongSession(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 300)
	lines := [][]byte{
		[]byte(`{"eventid":"cowrie.session.connect","session":"` + long + `","timestamp":"2026-01-02T00:00:00Z"}`),
		[]byte(`{"eventid":"cowrie.session.file_download","session":"` + long + `","timestamp":"2026-01-02T00:00:01Z","shasum":"` + sha(1) + `"}`),
	}
	db := takenOver(t, func(old *sql.DB) { loadOld(t, old, "/log/a", lines...) })
	db.backfill(t)
	if sum := db.load(t, lines...); sum.Events != 0 {
		t.Errorf("%d events are new", sum.Events)
	}
	if n := db.text(t, `SELECT count(*) FROM file_sightings`); n != "1" {
		t.Errorf("%s sightings", n)
	}
}
