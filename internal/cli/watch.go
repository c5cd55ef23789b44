package cli

import (
	"fmt"
	"os"
	"sync"
	"time"

	"midden/internal/cowrie"
	"midden/internal/downloads"
	"midden/internal/ingest"
	"midden/internal/telemetry"
)

// watch shows how far a run is: a bar or log lines, and status files.
type watch struct {
	progress *telemetry.Progress
	status   *telemetry.StatusWriter

	mu   sync.Mutex
	last telemetry.Status
}

// watch shows a run under a name, in the status files as a phase.
func (a *app) watch(name, phase, statusDir string) *watch {
	w := &watch{}
	if f, ok := a.stderr.(*os.File); ok && !a.quiet {
		w.progress = telemetry.NewProgress(f, a.log, name)
	}
	if statusDir != "" {
		id := fmt.Sprintf("%s-%d", time.Now().UTC().Format("20060102T150405"), os.Getpid())
		w.status = telemetry.NewStatusWriter(statusDir, phase, id, a.log, time.Now)
	}
	return w
}

// load tells how far a load is.
func (w *watch) load(p ingest.Progress) {
	w.update(telemetry.Status{
		Counts: telemetry.Counts{
			FilesDone: p.FilesDone, FilesTotal: p.FilesTotal, BytesDone: p.BytesDone, BytesTotal: p.BytesTotal,
			Lines: p.Tally.Lines, Events: p.Tally.Events, Duplicates: p.Tally.Duplicates, DeadLetters: p.Tally.DeadLetters,
		},
		BatchesCommitted: p.Batches, LastSource: p.Source, LastOffset: p.Position,
	})
}

// job tells how far a job on the raw events is.
func (w *watch) job(j *cowrie.Job) {
	w.update(telemetry.Status{
		Counts: telemetry.Counts{
			BytesDone: j.BytesSeen, BytesTotal: max(j.BytesTotal, j.BytesSeen),
			Lines: j.RowsSeen, Events: j.Inserted, Duplicates: j.Known, DeadLetters: j.Rejected,
		},
		BatchesCommitted: w.last.BatchesCommitted + 1, LastSource: "raw_events", LastOffset: j.Position,
	})
}

// scan tells how far a scan is.
func (w *watch) scan(p downloads.Progress) {
	w.update(telemetry.Status{
		Counts:           telemetry.Counts{FilesDone: p.FilesDone, FilesTotal: p.FilesTotal, BytesDone: p.BytesDone, BytesTotal: p.BytesTotal},
		BatchesCommitted: p.Batches, LastSource: p.Place,
	})
}

func (w *watch) update(st telemetry.Status) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if st.LastSource == "" {
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
