package cowrie

import "strings"

// Kind says how a file came to be seen.
type Kind string

// The kinds of sighting.
const (
	Download Kind = "download" // the session had it fetched, or wrote it by a redirect or to standard input
	Upload   Kind = "upload"   // the session sent it by SCP or SFTP
	Disk     Kind = "disk"     // found in the sensor's downloads directory
)

// Sighting is one event in which a session brought or took a file, or a file
// that was found on the disk of a sensor. Session, kind, time and hash make it
// that sighting; on disk, sensor and hash.
type Sighting struct {
	Shasum   string
	Session  string
	Kind     Kind
	SeenAt   Time
	Sensor   string
	SrcIP    string
	Filename string // as the client called it; uploads only
	Destfile string // the path it was dropped as
	URL      string
	Outfile  string // where the sensor kept it; never used as a path
	// Duplicate: the sensor had the file already; nil if it does not say.
	Duplicate *bool
	// Event is the place of its event among the events gathered with it.
	Event int
}

// Name returns what the file was called: its file name, or else the last part
// of the path it was dropped as.
func (s *Sighting) Name() string {
	if s.Filename != "" {
		return s.Filename
	}
	return s.Destfile[strings.LastIndexByte(s.Destfile, '/')+1:]
}

// File is what sightings of one content add up to. Like Session, it does not
// depend on the order in which they are added.
type File struct {
	Shasum      string
	First, Last Time
	Sightings   int64
	// Session is that of the earliest sighting; Name and URL are those of the
	// earliest that has one. Among sightings of the same instant the smallest
	// text counts.
	Session, Name, URL string
	NameAt, URLAt      Time // NoTime if there is none
	// DiskOnly: no event speaks of it, it was found on disk alone. Then all of the
	// above is of those sightings, and else of the others alone: what the logs say
	// goes before a time that copying a file may have changed.
	DiskOnly bool
}

// NewFile returns the file that a single sighting makes. Old versions of Cowrie
// wrote paths, and the word stdin, where a URL is expected: those are no URLs.
func NewFile(s *Sighting) *File {
	f := &File{Shasum: s.Shasum, First: s.SeenAt, Last: s.SeenAt, Sightings: 1, Session: s.Session,
		Name: s.Name(), NameAt: NoTime, URL: s.URL, URLAt: NoTime, DiskOnly: s.Kind == Disk}
	if f.Name != "" {
		f.NameAt = s.SeenAt
	}
	if !strings.Contains(f.URL, "://") {
		f.URL = ""
	} else {
		f.URLAt = s.SeenAt
	}
	return f
}

// Add adds other sightings of the same content.
func (f *File) Add(o *File) {
	if f.DiskOnly != o.DiskOnly {
		if f.DiskOnly {
			*f = *o
		}
		return
	}
	switch {
	case f.First == o.First:
		f.Session = least(f.Session, o.Session)
	case Earliest(f.First, o.First) == o.First:
		f.Session = o.Session
	}
	f.Name, f.NameAt = earlier(f.Name, f.NameAt, o.Name, o.NameAt)
	f.URL, f.URLAt = earlier(f.URL, f.URLAt, o.URL, o.URLAt)
	f.First, f.Last = Earliest(f.First, o.First), max(f.Last, o.Last)
	f.Sightings += o.Sightings
}

// earlier returns the text of the earlier time; one that is not empty goes
// before one that is, one with a time before one without.
func earlier(a string, at Time, b string, bt Time) (string, Time) {
	switch {
	case b == "":
		return a, at
	case a == "":
		return b, bt
	case at == bt:
		return min(a, b), at
	case Earliest(at, bt) == at:
		return a, at
	}
	return b, bt
}

// EmptyShasum is the SHA-256 of nothing. The empty file is known for what it
// is: no source of verdicts is asked about it.
const EmptyShasum = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// KnownFile is what is known of one content.
type KnownFile struct {
	File
	Size             *int64 // bytes
	MimeType         string
	SHA1, MD5        string
	Entropy          *float64 // bits a byte
	Head             string   // the first 64 bytes, in hex
	Interpreter      string
	ELFClass         *int64
	ELFOrder         string
	ELFMachine       string
	ELFLinkage       string
	ELFStripped      *bool
	VTClassification string
	VTDescription    string
	VTMalicious      *int64
	VTTotal          *int64
	VTFirstSeen      Time
	VTLastAnalysis   Time
	VTCheckedAt      Time
	EnrichmentStatus string
}
