package ingest_test

import (
	"bytes"
	"context"
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
	"midden/internal/cowrie"
	"midden/internal/ingest"
	"midden/internal/store"
	"midden/internal/store/storetest"
	"midden/internal/synth"
)

// oldLogs writes logs of some months, a file for each five days, and returns where they
// are, and all of their lines in order.
func oldLogs(t *testing.T) (dir string, all []byte) {
	t.Helper()
	var log bytes.Buffer
	o := synth.Options{Seed: 5, Events: 3000, Sensors: 1, Span: 100 * 24 * time.Hour, FileShare: 0.1}
	if _, err := o.Generate(t.Context(), &log, 0); err != nil {
		t.Fatal(err)
	}
	dir = t.TempDir()
	files := map[string][]byte{}
	add := func(line []byte, day string) {
		all = append(append(all, line...), '\n')
		name := "cowrie.json." + day[:len(day)-1] + "0" // of ten days
		files[name] = append(append(files[name], line...), '\n')
	}
	odd := map[string][]string{
		"2026-01-10": {`{"eventid":"cowrie.direct","timestamp":"2026-01-10T00:00:00Z","n":1}`, `{"eventid":"cowrie.session.params","session":"timeless"}`},
		"2026-01-31": {`{"eventid":"cowrie.command.input","session":"across","input":"id","timestamp":"2026-01-31T23:59:00Z"}`, `no event`},
		"2026-03-02": {`{"eventid":"cowrie.command.input","session":"across","input":"id","timestamp":"2026-03-02T00:01:00Z"}`},
	}
	for line := range bytes.Lines(log.Bytes()) {
		line = bytes.TrimSpace(line)
		e, err := cowrie.Parse(line)
		if err != nil {
			t.Fatal(err)
		}
		day := e.Time.Std().Format(time.DateOnly)
		for _, extra := range odd[day] {
			add([]byte(extra), day)
		}
		delete(odd, day)
		add(line, day)
	}
	if len(odd) > 0 {
		t.Fatalf("no events on the days of %v", odd)
	}
	for name, data := range files {
		write(t, filepath.Join(dir, name), data)
	}
	return dir, all
}

// whenOf are the times of all events that are stored.
func (db *database) whenOf(t *testing.T, q store.EventFilter) (when []cowrie.Time) {
	t.Helper()
	err := db.Events(t.Context(), q, func(e *store.Event) error {
		event, err := cowrie.Parse(e.Text)
		when = append(when, event.Time)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(when)
	return when
}

func (db *database) verified(t *testing.T) (orphans int64) {
	t.Helper()
	db.healthy(t)
	snapshot, err := db.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer snapshot.Close()
	v, err := backfill.Verify(t.Context(), snapshot, backfill.VerifyOptions{}, func(g backfill.Gap) error {
		t.Errorf("verify: %+v", g)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return v.Orphans
}

// withoutEvents is a dump without the texts of events.
func (db *database) withoutEvents(t *testing.T) string {
	var kept []string
	for line := range strings.Lines(db.dump(t)) {
		if !strings.HasPrefix(line, "event ") {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "")
}

// TestRetain drops old events: all else stays, and no log that is loaded again, under
// whatever name, adds anything.
func TestRetain(t *testing.T) {
	t.Parallel()
	everything := store.EventFilter{Since: cowrie.NoTime, Until: cowrie.NoTime}
	before := cowrie.FromStd(time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC))
	dir, all := oldLogs(t)
	db := newDatabase(t)
	db.load(t, dir)
	events, rest := db.whenOf(t, everything), db.withoutEvents(t)
	want, err := db.ToDrop(t.Context(), before)
	if err != nil || want.Segments == 0 || want.Events == 0 || want.Bytes == 0 || want.Last >= before {
		t.Fatalf("to drop: %+v, %v", want, err)
	}

	// It is ended after the first transaction, and run again.
	var sum store.Dropped
	ctx, cancel := context.WithCancel(t.Context())
	count := func(d store.Dropped) {
		cancel()
		sum.Segments, sum.Events, sum.Bytes, sum.Last = sum.Segments+d.Segments, sum.Events+d.Events, sum.Bytes+d.Bytes, max(sum.Last, d.Last)
	}
	if err := db.Retain(ctx, before, count); err != nil && !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	for range 2 {
		if err := db.Retain(t.Context(), before, count); err != nil {
			t.Fatal(err)
		}
	}
	if sum != want {
		t.Errorf("dropped %+v, and %+v was to be", sum, want)
	}
	dropped, err := db.Dropped(t.Context(), everything)
	if want.Bytes = 0; err != nil || dropped != want {
		t.Errorf("it is noted that %+v were dropped, and %+v were (%v)", dropped, want, err)
	}

	left := db.whenOf(t, everything)
	young := func(list []cowrie.Time) []cowrie.Time {
		return slices.DeleteFunc(slices.Clone(list), func(at cowrie.Time) bool { return at < before && at != cowrie.NoTime })
	}
	if int64(len(events)-len(left)) != dropped.Events {
		t.Errorf("%d of %d events are left, and %d were dropped", len(left), len(events), dropped.Events)
	}
	if a, b := young(events), young(left); len(a)-len(b) > 1 || len(b) < 500 { // that without a time went with its segment
		t.Errorf("of %d events that are young enough %d are left", len(a), len(b))
	}
	same := func(what string) {
		t.Helper()
		if diff := cmp.Diff(rest, db.withoutEvents(t)); diff != "" {
			t.Errorf("%s: %s", what, diff)
		}
	}
	same("retain")
	if db.verified(t) == 0 {
		t.Error("no sighting is left without its event")
	}

	q := everything
	q.Session = "across"
	if when := db.whenOf(t, q); len(when) != 1 || when[0] < before {
		t.Errorf("events of the session: %v", when)
	}
	if d, err := db.Dropped(t.Context(), q); err != nil || d.Segments != 1 {
		t.Errorf("dropped of the session: %+v, %v", d, err)
	}

	again := filepath.Join(t.TempDir(), "again")
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var backward []byte
	for _, f := range files {
		data, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(again, "packed-"+f.Name()+".gz"), gzipped(data))
		backward = append(bytes.Clone(data), backward...)
	}
	for name, data := range map[string][]byte{"merged.json": all, "from-the-end.json": backward, "cut.json": all[bytes.IndexByte(all[len(all)/3:], '\n')+len(all)/3+1:]} {
		write(t, filepath.Join(again, name), data)
	}
	if sum := db.load(t, dir, again); sum.Events != 0 || sum.Sightings != 0 || sum.Sessions != 0 || sum.Duplicates == 0 {
		t.Errorf("loading the same again: %+v", sum.Tally)
	}
	same("loading the same again")

	// What is new is stored: another sensor's events of that time, later events of a
	// session, and new events of a source whose last segment was dropped.
	late := func(n, day int, sessions string) []byte {
		return fmt.Appendf(nil, `{"eventid":"cowrie.command.input","session":%q,"input":"uname","timestamp":"2026-02-%02dT00:%02d:00Z"}`+"\n", sessions, day, n)
	}
	write(t, filepath.Join(again, "other.json"), append(late(1, 1, "another"), late(2, 1, "another")...))
	longer, err := os.ReadFile(filepath.Join(dir, "cowrie.json.2026-01-20"))
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "cowrie.json.2026-01-20"), append(longer, late(3, 2, "third")...))
	if sum := db.load(t, dir, again); sum.Events != 3 || sum.Sessions != 2 {
		t.Errorf("loading what is new: %+v", sum.Tally)
	}
	db.verified(t)

	// Ids of segments are given out once.
	if err := db.Retain(t.Context(), cowrie.FromStd(time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)), func(store.Dropped) {}); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(again, "newest.json"), late(4, 20, "newest"))
	if sum := db.load(t, again); sum.Events != 1 {
		t.Errorf("loading into an empty log: %+v", sum.Tally)
	}
	if n := storetest.Rows(t, db.sql, `SELECT count(*) FROM event_segments s JOIN dropped_segments d ON d.id = s.id`); n[0][0] != "0" {
		t.Errorf("%s segments have the id of a dropped one", n[0][0])
	}
	db.verified(t)
}

// TestRetainBesideReader drops while somebody reads: a moment's wait, then it gives up,
// and nobody else waits behind it.
func TestRetainBesideReader(t *testing.T) {
	t.Parallel()
	if storetest.Dialect("", "postgres") == "" {
		t.Skip("of PostgreSQL alone: SQLite's readers are in nobody's way")
	}
	dir, _ := oldLogs(t)
	db := newDatabase(t)
	db.load(t, dir)
	reader, err := db.sql.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Rollback()
	var n int
	if err := reader.QueryRowContext(t.Context(), `SELECT count(*) FROM event_segments`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	before := cowrie.FromStd(time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC))
	err = db.Retain(t.Context(), before, func(d store.Dropped) { t.Errorf("dropped %+v", d) })
	if !errors.Is(err, store.ErrLocked) {
		t.Errorf("beside a reader: %v", err)
	}
	reader.Rollback()
	dropped := int64(0)
	if err := db.Retain(t.Context(), before, func(d store.Dropped) { dropped += d.Segments }); err != nil || dropped == 0 {
		t.Errorf("without a reader: %d, %v", dropped, err)
	}
	db.verified(t)
}

// TestRetainBeside loads while events are dropped.
func TestRetainBeside(t *testing.T) {
	t.Parallel()
	dir, all := oldLogs(t)
	db := newDatabase(t)
	done := make(chan error, 1)
	go func() {
		_, err := ingest.Load(t.Context(), db, []string{dir}, ingest.Options{Log: quiet})
		done <- err
	}()
	before := cowrie.FromStd(time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC))
	for over := false; !over; {
		select {
		case err := <-done:
			if err != nil {
				t.Fatal(err)
			}
			over = true
		default:
		}
		if err := db.Retain(t.Context(), before, func(store.Dropped) {}); err != nil {
			t.Fatal(err)
		}
	}
	db.verified(t)
	other := newDatabase(t)
	other.load(t, write(t, filepath.Join(t.TempDir(), "cowrie.json"), all))
	if diff := cmp.Diff(other.withoutEvents(t), db.withoutEvents(t)); diff != "" {
		t.Errorf("it is not what it is without: %s", diff)
	}
}
