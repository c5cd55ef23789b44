package cli

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"midden/internal/store/postgres/pgtest"
)

// TestServerAway: without a server a load ends with 75, and the next one goes on. No
// command shows the password.
func TestServerAway(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "cowrie.json"), bytes.Join(madeLog(t, 3, 500), nil), 0o600); err != nil {
		t.Fatal(err)
	}
	db := strings.Replace(server.Empty(t), "postgres@", "postgres:hunter2@", 1)
	said := func(code int, args ...string) string {
		t.Helper()
		cmd := midden(t, append([]string{"--db", db, "-v"}, args...)...)
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		cmd.Run()
		if got := cmd.ProcessState.ExitCode(); got != code || strings.Contains(out.String(), "hunter2") {
			t.Errorf("midden %q ended with %d, want %d: %s", args, got, code, &out)
		}
		return out.String()
	}
	if text := said(7, "files", "list"); !strings.Contains(text, "midden migrate") {
		t.Error(text)
	}
	said(0, "migrate", "--dry-run")

	said(0, "load", dir)
	said(0, "migrate")
	said(0, "doctor")
	before := dump(t, db)
	server.Stop(t, "immediate")
	if text := said(75, "load", dir, "--patience", "1ms"); !strings.Contains(text, "cannot be reached") {
		t.Error(text)
	}
	for _, args := range [][]string{{"files", "list"}, {"migrate"}, {"doctor"}, {"verify"}, {"backfill", "status"}} {
		said(75, args...)
	}
	server.Run(t)
	more := filepath.Join(dir, "more.json")
	if err := os.WriteFile(more, fmt.Appendf(nil, `{"eventid":"x","session":"more","timestamp":"2026-01-01T00:00:00Z"}`+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	said(0, "load", dir)
	if after := dump(t, db); after == before || !strings.Contains(after, "more") {
		t.Error("the next run does not go on")
	}
}
