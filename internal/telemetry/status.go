package telemetry

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// Status is what a run tells in its status file.
type Status struct {
	Counts           Counts
	Invalid          int64 // events that were stored though something in them is wrong
	BatchesCommitted int64
	LastSource       string // the file that was read last
	LastOffset       int64  // in bytes, from the start of its decompressed content

	DeadLetterLastReason string
	DeadLetterLastSource string
}

// The states of a run, as they stand in a status file.
const (
	Running = "running"
	Done    = "done"
	Failed  = "failed"
	Stopped = "stopped"
)

// StatusWriter writes the status files of one phase: <phase>.json and the
// aggregate status.json. All methods may be called from any goroutine; on a nil
// *StatusWriter they do nothing.
type StatusWriter struct {
	dir, phase, ingestID string
	log                  *slog.Logger
	now                  func() time.Time

	mu      sync.Mutex
	started time.Time
	written time.Time // when the files were written last; zero if never
	meter   *meter
	closed  bool
	warned  bool

	batches      int64
	checkpointed time.Time // when batches changed last
	deadLetters  int64
	deadLettered time.Time // when deadLetters changed last
}

// NewStatusWriter returns a writer of the files of phase in dir. The phase is a
// plain file name, such as bulk_ingest, and not "status". Nothing is written
// before the first Update or Close; dir is made then, if it is missing.
func NewStatusWriter(dir, phase, ingestID string, log *slog.Logger, now func() time.Time) *StatusWriter {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	started := now()
	return &StatusWriter{
		dir: dir, phase: phase, ingestID: ingestID, log: log, now: now,
		started: started, meter: newMeter(started),
	}
}

// interval is the least time between two writes of the files.
const interval = time.Second

// Update notes what the run did so far, and writes the files if that was not
// done within the last second.
func (s *StatusWriter) Update(st Status) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	now := s.note(st)
	since := now.Sub(s.written)
	if s.written.IsZero() || since >= interval || since < 0 {
		s.write(now, Running, st)
	}
}

// Close writes the files a last time, with the state that the run ended in and
// the rate of the whole run. Closing twice is closing once.
func (s *StatusWriter) Close(state string, final Status) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	s.closed = true
	s.write(s.note(final), state, final)
}

func (s *StatusWriter) note(st Status) time.Time {
	now := s.now()
	s.meter.add(now, st.Counts)
	if st.BatchesCommitted != s.batches {
		s.batches, s.checkpointed = st.BatchesCommitted, now
	}
	if st.Counts.DeadLetters != s.deadLetters {
		s.deadLetters, s.deadLettered = st.Counts.DeadLetters, now
	}
	return now
}

func (s *StatusWriter) write(now time.Time, state string, st Status) {
	s.written = now
	err := s.writeFiles(s.file(now, state, st))
	if err != nil && !s.warned {
		s.warned = true
		s.log.Warn("status files cannot be written; the run goes on without them", "dir", s.dir, "error", err)
	}
}

func (s *StatusWriter) writeFiles(file statusFile) error {
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		return err
	}
	path := filepath.Join(s.dir, s.phase+".json")
	// The one without the other is better than none.
	return errors.Join(
		writeJSON(path, file),
		writeAggregate(s.dir, file, path),
	)
}
