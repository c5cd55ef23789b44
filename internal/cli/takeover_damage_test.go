package cli

import (
	"os"
	"path/filepath"
	"testing"

	"midden/internal/synth"
	"midden/internal/synth/cowrieprocessor"
	"midden/internal/synth/cowrieprocessor/cowrieprocessortest"
)

// TestTakeOverDamagedRows takes over a database in which damage has left rows
// whose payload is no JSON: SQLite fails whenever it is asked for a generated
// column of one. None of them stops anything, before they are moved or after.
func TestTakeOverDamagedRows(t *testing.T) {
	t.Parallel()
	path := oldDatabase(t, cowrieprocessor.Options{Logs: synth.Options{Seed: 141, Events: 300, FileShare: 0.2}})
	lines := madeLog(t, 142, 200)
	db := cowrieprocessortest.Open(t, path)
	for i, payload := range []any{"no JSON", "", `{"eventid": "cowrie.session.file_upl`, []byte{0xff, 0x00}} {
		if _, err := cowrieprocessor.AddRaw(t.Context(), db, payload); err != nil {
			t.Fatal(err)
		}
		cowrieprocessortest.Load(t, db, "cowrie.json", lines[:20*(i+1)], cowrieprocessor.LoadOptions{Delta: true})
	}
	db.Close()
	log := filepath.Join(t.TempDir(), "cowrie.json")
	text := []byte(`{"eventid":"cowrie.system","message":"no session, no time"}
{"eventid":"cowrie.system","timestamp":"2026-01-01T00:00:00Z","message":"no session"}
`)
	for _, line := range lines[60:] {
		text = append(text, line...)
	}
	if err := os.WriteFile(log, text, 0o644); err != nil {
		t.Fatal(err)
	}
	do := func(codes []int, args ...string) ended {
		t.Helper()
		return call(t, "", append([]string{"--db", path}, args...)...).with(codes...)
	}
	do([]int{0}, "migrate", "--dry-run")
	do([]int{0}, "migrate")
	do([]int{0}, "backfill", "run", "--dry-run")
	do([]int{3}, "backfill", "run")
	do([]int{0}, "verify")
	do([]int{0}, "load", log)
	do([]int{0}, "verify")
	for _, args := range [][]string{{"events"}, {"events", "--since", "2026-01-01"}, {"events", "--type", "cowrie.session.*"},
		{"sessions", "list"}, {"files", "list"}, {"dead-letters", "list"}, {"compact", "--dry-run"}} {
		do([]int{0}, args...)
	}
	do([]int{0}, "compact", "--yes")
	var sum struct{ Events, Duplicates int64 }
	decode(t, do([]int{0}, "load", "-o", "json", log).out, &sum)
	if sum.Events != 0 {
		t.Errorf("loading again adds %+v", sum)
	}
	well(t, path)
}
