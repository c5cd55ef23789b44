package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// TestReaderGone: whoever reads the output has seen enough, as head has. That is no error.
func TestReaderGone(t *testing.T) {
	t.Parallel()
	db := filepath.Join(t.TempDir(), "midden.db")
	run(t, []int{3}, "-q", "--db", db, "load", "../../examples/logs")
	for _, args := range [][]string{{"events"}, {"files", "list"}, {"report", "daily", "2026-03-28"}, {"report", "daily", "2026-03-28", "-o", "html"}} {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		r.Close()
		cmd := midden(t, append([]string{"--db", db}, args...)...)
		var errs bytes.Buffer
		cmd.Stdout, cmd.Stderr = w, &errs
		err = cmd.Run()
		w.Close()
		if err != nil || errs.Len() > 0 {
			t.Errorf("midden %q: %v, %s", args, err, &errs)
		}
	}
}
