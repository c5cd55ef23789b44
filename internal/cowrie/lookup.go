package cowrie

import "time"

// Lookup is a file about which a source may have to be asked.
type Lookup struct {
	Source string // that is asked
	Shasum string
	// State is new, waiting, failed or dropped.
	State     string
	DueAt     Time // NoTime if nobody reckoned it yet
	Failures  int  // requests in a row that brought no answer
	Error     string
	FirstSeen Time // by us
	LastSeen  Time
	Sightings int64
	// Of the last answer of the source, or of what else was said of the file.
	AnsweredAt Time // NoTime if nothing ever was
	Known      bool
	Malicious  int  // engines; -1 if not known
	Unknowns   int  // answers in a row that the file is not known
	FlaggedAt  Time // when the first engines flagged it; NoTime if none did
}

// The states of a lookup.
const (
	LookupNew     = "new"     // never asked, or something was said since
	LookupWaiting = "waiting" // until it is due
	LookupFailed  = "failed"  // it makes no sense to ask again
	LookupDropped = "dropped" // somebody does not want it asked
)

// LookupQuery says which lookups.
type LookupQuery struct {
	Source string
	Now    time.Time
	Since  Time     // of files seen then or later; NoTime: all
	After  []string // sources that must have been asked before
	Limit  int      // 0: all
}
