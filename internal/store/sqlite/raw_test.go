package sqlite

import (
	"fmt"
	"strings"
	"testing"

	"midden/internal/store/migrate"
	"midden/internal/synth/cowrieprocessor"
	"midden/internal/synth/cowrieprocessor/cowrieprocessortest"
)

// TestSessionsAreFoundByIndex: whatever index on sessions a database had, or was
// given by its upgrade, it is used.
func TestSessionsAreFoundByIndex(t *testing.T) {
	t.Parallel()
	const lost = `DROP INDEX ix_raw_events_session_id`
	for _, c := range []struct {
		name   string
		change []string
		byType bool
	}{
		{"as it was made", nil, true},
		{"lost", []string{lost, `DROP INDEX ix_raw_events_event_type`}, false},
		{"under another name", []string{lost, `CREATE INDEX by_session ON raw_events (session_id)`}, true},
		{"for some", []string{lost, `CREATE INDEX ix_raw_events_session_id ON raw_events (session_id) WHERE quarantined`}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			path, db := cowrieprocessortest.Create(t, cowrieprocessor.Latest)
			for _, st := range c.change {
				if _, err := db.Exec(st); err != nil {
					t.Fatal(err)
				}
			}
			if err := Upgrade(t.Context(), path, func(*migrate.Plan) error { return nil }, func(int) {}); err != nil {
				t.Fatal(err)
			}
			raw, err := rawEvents(t.Context(), db)
			if err != nil || raw == nil {
				t.Fatal(raw, err)
			}
			if raw.ByType != c.byType {
				t.Errorf("there is an index on event_type: %v", raw.ByType)
			}
			var n int
			var how string
			err = db.QueryRow(`EXPLAIN QUERY PLAN SELECT payload FROM raw_events WHERE `+raw.Session+` = 'a' AND id > 5`).Scan(&n, &n, &n, &how)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(how, "USING INDEX") {
				t.Errorf("by %s SQLite would %s", fmt.Sprintf("%.40q", raw.Session), how)
			}
		})
	}
}
