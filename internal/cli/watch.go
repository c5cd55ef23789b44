package cli

import (
	"fmt"
	"os"
	"sync"
	"time"

	"midden/internal/ingest"
	"midden/internal/telemetry"
)

// watch shows how far a load is: a bar or log lines, and status files.
type watch struct {
	progress *telemetry.Progress
	status   *telemetry.StatusWriter

	mu   sync.Mutex
	last telemetry.Status
}

func (a *app) watch(phase, statusDir string) *watch {
	w := &watch{}
	if f, ok := a.stderr.(*os.File); ok && !a.quiet {
		w.progress = telemetry.NewProgress(f, a.log, "load")
	}
	if statusDir != "" {
		id := fmt.Sprintf("%s-%d", time.Now().UTC().Format("20060102T150405"), os.Getpid())
		w.status = telemetry.NewStatusWriter(statusDir, phase, id, a.log, time.Now)
	}
	return w
}

func (w *watch) observe(p ingest.Progress) {
	w.mu.Lock()
	defer w.mu.Unlock()
	st := telemetry.Status{
		Counts: telemetry.Counts{
			FilesDone: p.FilesDone, FilesTotal: p.FilesTotal, BytesDone: p.BytesDone, BytesTotal: p.BytesTotal,
			Lines: p.Tally.Lines, Events: p.Tally.Events, Duplicates: p.Tally.Duplicates, DeadLetters: p.Tally.DeadLetters,
		},
		BatchesCommitted: p.Batches, LastSource: p.Source, LastOffset: p.Position,
	}
	if p.Source == "" {
		st.LastSource, st.LastOffset = w.last.LastSource, w.last.LastOffset
	}
	w.last = st
	if w.progress != nil {
		w.progress.Update(st.Counts)
	}
	w.status.Update(st)
}

func (w *watch) close(err error, stopped bool) {
	if w.progress != nil {
		w.progress.Close()
	}
	state := "done"
	switch {
	case stopped:
		state = "stopped"
	case err != nil:
		state = "failed"
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.status.Close(state, w.last)
}
