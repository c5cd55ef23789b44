package cowrie

// Depot is where a sensor's files lie: its downloads directory, or an archive
// or a copy of one.
type Depot struct {
	ID     int64
	Path   string // absolute
	Sensor string // "" if nobody said
	// Entries are those that are noted of it.
	Entries int64
	// Archive is what the file was when it was last read to its end; the zero
	// value if it never was, or if the depot is a directory.
	Archive FileID
}

// FileID tells whether a file is still what it was.
type FileID struct {
	Inode   uint64
	Size    int64 // bytes
	ModTime int64 // nanoseconds since 1970
}

// DepotEntry is a file in a depot.
type DepotEntry struct {
	Name string // its path in the depot: any bytes
	FileID
	Shasum  string // of its content; "" if it could not be read
	Problem string // why it could not
}

// Found is an entry that was looked at, and what its content is.
type Found struct {
	DepotEntry
	SeenAt  Time
	Content *Content // nil if it could not be read
	// Unnoted: what it is counts, but the entry need not be remembered.
	Unnoted bool
}

// ScanTally is what found entries added.
type ScanTally struct {
	Files     int64 // that were not known
	Sightings int64 // on disk
	Facts     int64 // files that got the facts of their content
}
