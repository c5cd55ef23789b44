package cowrie

// Place is where an event stands: in a segment, or in raw_events.
type Place struct {
	Segment int64
	Index   int   // among the events of the segment
	Raw     int64 // id in raw_events; 0 if it stands in a segment
}

// StoredSighting is a sighting as the database has it.
type StoredSighting struct {
	Sighting
	ID int64
	Place
	// Sound: its key is that of its columns.
	Sound bool
}

// Segment is a segment of the event log, decompressed.
type Segment struct {
	ID, Source  int64
	Events      int64 // that it is said to hold
	First, Last Time
	Text        []byte // valid until the next one
	Damage      error  // why Text cannot be read
}

// SourceCount is what is noted of the lines of a source.
type SourceCount struct {
	ID int64
	Tally
	// Letters are the dead letters that there are of it.
	Letters int64
	// Dropped are those of its events that were dropped.
	Dropped int64
}

// WrongSums says that something else is kept of a day and a sensor than its sessions add up to.
type WrongSums struct {
	DayKey
	Counted, Kept int64 // sessions
	Damage        error // why the latter cannot be read, on whatever sensor
}

// Mend puts right what a verification found: sightings that are missing are to
// be stored, those that no event bears out to be deleted, and the files of all
// of these, and those named, to be made anew out of their sightings; what is counted
// of days is to be counted anew.
type Mend struct {
	Missing, Wrong []StoredSighting
	Verdicts       []Verdict
	Files          []string // hashes
	Days           []Time
	Sums           []Time // days of which what is kept for reports is to be forgotten
}
