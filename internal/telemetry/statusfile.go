package telemetry

import "time"

// statusFile is the content of <phase>.json. The names are those that dashboards
// read.
type statusFile struct {
	Phase       string      `json:"phase"`
	IngestID    string      `json:"ingest_id"`
	LastUpdated string      `json:"last_updated"`
	State       string      `json:"state"`
	Metrics     metrics     `json:"metrics"`
	Checkpoint  *checkpoint `json:"checkpoint"` // {} before the first one
	DeadLetter  deadLetter  `json:"dead_letter"`
}

type metrics struct {
	IngestID          string   `json:"ingest_id"`
	FilesProcessed    int64    `json:"files_processed"`
	EventsRead        int64    `json:"events_read"`
	EventsInserted    int64    `json:"events_inserted"`
	EventsQuarantined int64    `json:"events_quarantined"`
	EventsInvalid     int64    `json:"events_invalid"`
	DuplicatesSkipped int64    `json:"duplicates_skipped"`
	BatchesCommitted  int64    `json:"batches_committed"`
	LastSource        *string  `json:"last_source"`
	LastOffset        int64    `json:"last_offset"`
	DurationSeconds   float64  `json:"duration_seconds"`
	EventsPerSecond   float64  `json:"events_per_second"`
	ETASeconds        *float64 `json:"eta_seconds"` // null: not known
	FilesTotal        int64    `json:"files_total"`
	BytesDone         int64    `json:"bytes_done"`
	BytesTotal        int64    `json:"bytes_total"` // 0: not known
}

type checkpoint struct {
	IngestID       string `json:"ingest_id,omitempty"`
	Source         string `json:"source,omitempty"`
	Offset         *int64 `json:"offset,omitempty"`
	BatchIndex     int64  `json:"batch_index,omitempty"`
	EventsInserted *int64 `json:"events_inserted,omitempty"`
	CreatedAt      string `json:"created_at,omitempty"`
}

type deadLetter struct {
	Total       int64   `json:"total"`
	LastReason  *string `json:"last_reason,omitempty"`
	LastSource  *string `json:"last_source,omitempty"`
	LastUpdated string  `json:"last_updated,omitempty"`
}

// isoTime is a time as Python's isoformat writes it for UTC.
func isoTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000-07:00") }

func (s *StatusWriter) file(now time.Time, state string, st Status) statusFile {
	c := st.Counts
	seconds := max(now.Sub(s.started).Seconds(), 0)
	speed := s.meter.at(now)
	// Events that were read, so that a run over what is known does not seem to
	// stand still; a phase that reads no lines counts what it stored.
	perSecond := max(speed.lines, speed.events)
	if state != Running && seconds > 0 {
		perSecond = float64(max(c.Lines, c.Events)) / seconds
	}
	f := statusFile{
		Phase: s.phase, IngestID: s.ingestID, LastUpdated: isoTime(now), State: state,
		Metrics: metrics{
			IngestID:          s.ingestID,
			FilesProcessed:    c.FilesDone,
			EventsRead:        c.Lines,
			EventsInserted:    c.Events,
			EventsQuarantined: c.DeadLetters, // in the old tool too: what was set aside unstored
			EventsInvalid:     st.Invalid,
			DuplicatesSkipped: c.Duplicates,
			BatchesCommitted:  st.BatchesCommitted,
			LastOffset:        st.LastOffset,
			DurationSeconds:   seconds,
			EventsPerSecond:   perSecond,
			FilesTotal:        c.FilesTotal,
			BytesDone:         c.BytesDone,
			BytesTotal:        c.BytesTotal,
		},
		Checkpoint: &checkpoint{},
		DeadLetter: deadLetter{Total: c.DeadLetters},
	}
	if st.LastSource != "" {
		f.Metrics.LastSource = &st.LastSource
	}
	if left, known := c.eta(speed.bytes); known {
		eta := left.Seconds()
		f.Metrics.ETASeconds = &eta
	}
	if st.BatchesCommitted > 0 {
		f.Checkpoint = &checkpoint{
			IngestID: s.ingestID, Source: st.LastSource, Offset: &st.LastOffset,
			BatchIndex: st.BatchesCommitted, EventsInserted: &c.Events, CreatedAt: isoTime(s.checkpointed),
		}
	}
	if c.DeadLetters > 0 {
		f.DeadLetter.LastReason = &st.DeadLetterLastReason
		f.DeadLetter.LastSource = &st.DeadLetterLastSource
		f.DeadLetter.LastUpdated = isoTime(s.deadLettered)
	}
	return f
}
