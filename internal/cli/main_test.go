package cli

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// TestExitOfSignals: the exit code tells which signal ended a run, by its context alone.
func TestExitOfSignals(t *testing.T) {
	t.Parallel()
	for signal, code := range map[os.Signal]int{os.Interrupt: 130, syscall.SIGTERM: 143} {
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(stopSignal{signal})
		if got := Main(ctx, []string{"--db", filepath.Join(t.TempDir(), "midden.db"), "load", t.TempDir()}, io.Discard, io.Discard); got != code {
			t.Errorf("after %v it ended with %d, want %d", signal, got, code)
		}
	}
}
