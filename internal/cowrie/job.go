package cowrie

import (
	"maps"
	"time"
)

// Job is a long piece of work on the raw events of a database that was taken
// over: how far it is, and how it goes.
type Job struct {
	Name  string
	State string // one of the states below; "" if it was never begun
	// Pause: somebody asked it to wait.
	Pause bool
	// All raw events up to Position are done; Target is the last one that there
	// was when the run began.
	Position, Target int64
	// What the runs since the beginning came across. The totals are reckoned.
	RowsSeen, RowsTotal, BytesSeen, BytesTotal int64
	Inserted, Known, Rejected                  int64
	Rejections                                 map[string]int64 // by reason
	// How it goes; negative where it is not known. The time that is left, in
	// seconds, is reckoned by rows and by bytes.
	RowsPerSecond, BytesPerSecond, ETARows, ETABytes float64
	PaceReason, Owner, Error                         string
	Detail                                           string // JSON: how far a job is for which Position does not say it
	StartedAt, UpdatedAt, FinishedAt                 Time
}

// NewJob returns a job that was never begun.
func NewJob(name string) *Job {
	return &Job{Name: name, Rejections: map[string]int64{}, RowsPerSecond: -1, BytesPerSecond: -1, ETARows: -1, ETABytes: -1,
		StartedAt: NoTime, UpdatedAt: NoTime, FinishedAt: NoTime}
}

// Clone returns a copy that shares nothing with j.
func (j *Job) Clone() *Job {
	c := *j
	c.Rejections = maps.Clone(j.Rejections)
	return &c
}

// The states of a job.
const (
	JobRunning = "running"
	JobWaiting = "waiting" // for its hours
	JobPaused  = "paused"
	JobStopped = "stopped" // by a signal, or an error
	JobDone    = "done"    // with all that there was when it ran
)

// Turn is what came of one transaction of a job.
type Turn struct {
	Sightings, Files, Verdicts, Known int64 // that were added, and that were there
	// Held is how long the transaction kept others from writing.
	Held time.Duration
	// Others: somebody else wrote to the database since the last turn.
	Others bool
}
