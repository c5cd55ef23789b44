package cowrie

import "errors"

// ErrUnavailable says that what keeps events could not be reached, or gave up
// what it was doing, for a reason that may pass: it can be tried again.
var ErrUnavailable = errors.New("the database is not available")

// Source is one log, known by its content and not by its name.
type Source struct {
	ID          int64  // 0 until it is stored
	Fingerprint string // SHA-256 of its first record, hex
	Mark        Mark   // how far it has been read
	// Newest is the largest ID among the sources with the same fingerprint
	// when this one was looked up. If there is a larger one when a chunk is
	// appended, somebody else has stored a part of the same log meanwhile.
	Newest int64
}

// Mark is a position in a log, and what stands before it.
type Mark struct {
	Position int64  // bytes from the beginning of the decompressed content
	Digest   string // SHA-256 of the content before Position, hex
	State    []byte // of that digest, to go on with
	Tail     []byte // the last bytes before Position, TailSize at most
}

// TailSize is how many bytes before its position a Mark remembers.
const TailSize = 256

// Chunk is a stretch of a source: whole records, read, but not yet stored.
type Chunk struct {
	Source   *Source
	Path     string // of the file it was read from
	Sensor   string // of the events that do not say
	From     int64  // the source's position before the chunk
	Start    int64  // where its first record begins; From, or just behind it
	Mark     Mark   // the source's position after the chunk
	Gathered *Gathered
	// Sealed is what the event log made of Gathered.Text (see EventLog.Seal).
	Sealed any
	// Resolves, if not 0, is the dead letter that the chunk's event was.
	Resolves int64
	// File, if not nil, is what is now known of a file that holds the source.
	File *FileState
}

// FileState is what a file held when it was last looked at. A file whose
// size, time and inode are still the same need not be opened again.
type FileState struct {
	Path    string
	Size    int64 // bytes on disk
	ModTime int64 // nanoseconds since 1970
	Inode   uint64
	Source  *Source // nil if the file holds no whole record
	Pending int64   // bytes at the end that are no whole record yet
	Problem string  // why it could not be read to its end; "" if it could
}

// Tally counts what a load did. Lines is always the sum of Events, Duplicates,
// DeadLetters and Blank.
type Tally struct {
	Lines, Events, Duplicates, DeadLetters, Blank int64
	Sessions, Files, Sightings                    int64 // that were not there before
}

// Add adds another tally.
func (t *Tally) Add(o Tally) {
	t.Lines += o.Lines
	t.Events += o.Events
	t.Duplicates += o.Duplicates
	t.DeadLetters += o.DeadLetters
	t.Blank += o.Blank
	t.Sessions += o.Sessions
	t.Files += o.Files
	t.Sightings += o.Sightings
}
