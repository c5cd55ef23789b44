package cowrie

// RawEvent is a row of raw_events, as cowrieprocessor stored it.
type RawEvent struct {
	ID      int64
	Payload []byte // valid until the next one
	Origin
}

// Origin is where cowrieprocessor had a raw event from.
type Origin struct {
	Source, Inode string
	Generation    int64
	Line          int64 // counted from 0; -1 if it is not known
}

// FilesOfRaw is what a stretch of the raw events says of files.
type FilesOfRaw struct {
	From, Through int64 // the raw events with From < id <= Through
	Sightings     []*Sighting
	RawIDs        []int64 // of the event of each sighting
	Verdicts      []Verdict
	Broken        []BrokenRaw
}

// BrokenRaw is a raw event that cannot be read.
type BrokenRaw struct {
	ID      int64
	Reason  string
	Payload []byte
}

// Moved is a stretch of the raw events on its way into a segment.
type Moved struct {
	// Chunk holds what the events say, and their text: a line each.
	Chunk
	From, Through int64       // the raw events with From < id <= Through
	IDs           []int64     // of each record
	Offsets       []int64     // at which each record begins in the stretch
	Broken        []BrokenRaw // those that are no events
	Origins       []OriginRun
}

// OriginRun is where cowrieprocessor had some raw events from that follow on
// one another.
type OriginRun struct {
	Origin
	Count int64 // events; the lines of the log count up from Origin.Line
}
