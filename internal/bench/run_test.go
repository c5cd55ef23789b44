package bench

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestRun measures a load for real, of few events.
func TestRun(t *testing.T) {
	temp := t.TempDir()
	o := Default(5000)
	o.Rounds, o.Checkout, o.Parts, o.Midden = 1, "../..", []string{"load"}, filepath.Join(t.TempDir(), "midden")
	o.Say = func(what string) { t.Log(what) }
	if out, err := exec.Command("go", "build", "-o", o.Midden, "midden/cmd/midden").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Setenv("TMPDIR", temp)
	page, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	l := page.Load
	if l.Logs.Events != 5000 || l.RowCount != 5000 || l.ManyEvents == 0 || len(l.Tables) == 0 || l.Queries.Sightings == 0 || l.Queries.SessionEvents == 0 {
		t.Errorf("%+v", l)
	}
	for name, u := range map[string]Usage{"plain": l.Plain, "gzip": l.Gzip, "small": l.Small, "again": l.Again, "rows": l.Rows,
		"many": l.Many, "renamed": l.ManyRenamed, "files list": l.Queries.Files, "sessions show": l.Queries.Session} {
		if u.Wall <= 0 || u.CPU <= 0 || u.Peak < 1<<20 {
			t.Errorf("%s: %+v", name, u)
		}
	}
	var text strings.Builder
	if err := page.Write(&text); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(text.String(), "5,000 synthetic events") || strings.Contains(text.String(), temp) {
		t.Error(text.String())
	}
	empty(t, temp)
}

// TestRunEnds: what a run has written goes when somebody ends it.
func TestRunEnds(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	ctx, stop := context.WithCancel(t.Context())
	o := Default(5000)
	o.Parts, o.Midden, o.Checkout = []string{"scan"}, "true", "../.."
	midden := filepath.Join(t.TempDir(), "midden")
	if err := os.WriteFile(midden, []byte("#!/bin/sh\necho '{}'\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	o.Midden = midden
	o.Say = func(what string) {
		if strings.Contains(what, "round") {
			stop()
		}
	}
	if _, err := Run(ctx, o); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	empty(t, temp)
}

func TestParts(t *testing.T) {
	t.Parallel()
	o := Default(5000)
	o.Parts = []string{"load", "laod"}
	if _, err := Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), `"laod"`) {
		t.Errorf("%v", err)
	}
}

func empty(t *testing.T, dir string) {
	t.Helper()
	left, err := filepath.Glob(filepath.Join(dir, "midden-bench-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
