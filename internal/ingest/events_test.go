package ingest_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"midden/internal/cowrie"
	"midden/internal/store"
)

// TestEventsOfSession: the events of a session are those of all events that say so, however
// its id is written, and under whatever month they are kept.
func TestEventsOfSession(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("0123456789", 20)
	// All of it is one segment, of February.
	log := strings.Join([]string{
		`{"eventid":"cowrie.session.connect","session":"abc","timestamp":"2026-01-31T23:58:00Z"}`,
		`{"eventid":"cowrie.command.input","session":"\u0061bc","input":"id","timestamp":"2026-01-31T23:59:00Z"}`,
		`{"eventid":"cowrie.command.input","session":"xabcx","input":"id","timestamp":"2026-01-31T23:59:01Z"}`,
		`{"eventid":"cowrie.command.input","session":"x","input":"abc","timestamp":"2026-01-31T23:59:02Z"}`,
		`{"eventid":"cowrie.command.input","session":"x","input":"\"abc\"","timestamp":"2026-01-31T23:59:03Z"}`,
		`{"eventid":"cowrie.session.params","session":"timeless"}`,
		`{"eventid":"cowrie.command.input","session":"` + long + `","input":"id","timestamp":"2026-01-31T23:59:04Z"}`,
		`{"eventid":"cowrie.command.input","session":"é\\\"…","input":"id","timestamp":"2026-01-31T23:59:05Z"}`,
		`{"eventid":"cowrie.session.file_download","session":"f","shasum":"` + strings.Repeat("a", 64) + `","timestamp":"2026-01-31T23:59:06Z"}`,
		`{"eventid":"cowrie.session.closed","session":"x","timestamp":"2026-02-01T00:01:00Z"}`,
	}, "\n") + "\n"
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "cowrie.json"), []byte(log), 0o644); err != nil {
		t.Fatal(err)
	}
	db := newDatabase(t)
	db.load(t, dir)
	all := store.EventFilter{Since: cowrie.NoTime, Until: cowrie.NoTime}
	events := func(q store.EventFilter) (list []string) {
		t.Helper()
		if err := db.Events(t.Context(), q, func(e *store.Event) error {
			list = append(list, string(e.Text))
			return nil
		}); err != nil {
			t.Fatalf("%+v: %v", q, err)
		}
		return list
	}
	want := map[string][]string{}
	for _, line := range events(all) {
		e, err := cowrie.Parse([]byte(line))
		if err != nil {
			t.Fatal(err)
		}
		want[e.Session] = append(want[e.Session], line)
	}
	if len(want) != 7 || len(want["abc"]) != 2 {
		t.Fatalf("the log has %d sessions, and %d events of abc", len(want), len(want["abc"]))
	}
	for session, want := range want {
		q := all
		q.Session = session
		if diff := cmp.Diff(want, events(q)); diff != "" {
			t.Errorf("session %q: %s", session, diff)
		}
	}
	q := all
	q.Shasum = strings.Repeat("a", 64)
	if diff := cmp.Diff(want["f"], events(q)); diff != "" {
		t.Errorf("of a file: %s", diff)
	}
}
