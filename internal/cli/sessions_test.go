package cli

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestLongTranscript: as a table, of a command of megabytes the beginning is shown, and no
// half of a character; JSON has all of it.
func TestLongTranscript(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	log, db := filepath.Join(dir, "cowrie.json"), filepath.Join(dir, "midden.db")
	typed := "x" + strings.Repeat("é", maxShown)
	line := fmt.Sprintf(`{"eventid":"cowrie.command.input","session":"long","timestamp":"2026-01-01T00:00:00Z","input":%q}`+"\n", typed)
	if err := os.WriteFile(log, []byte(line), 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, []int{0}, "--db", db, "-q", "load", log)
	shown := run(t, []int{0}, "--db", db, "sessions", "show", "long", "-o", "table")
	if want := "x" + strings.Repeat("é", maxShown/2-1) + "…"; !strings.Contains(shown, " "+want+"\n") {
		t.Errorf("the transcript ends in %q", shown[max(0, len(shown)-40):])
	}
	var s struct{ Transcript []struct{ Detail string } }
	if err := json.Unmarshal([]byte(run(t, []int{0}, "--db", db, "sessions", "show", "long", "-o", "json")), &s); err != nil {
		t.Fatal(err)
	}
	if len(s.Transcript) != 1 || s.Transcript[0].Detail != typed {
		t.Error("JSON has something else")
	}
}
