package cowrie

// The events that speak of files.
const (
	fileDownload = "cowrie.session.file_download"
	fileUpload   = "cowrie.session.file_upload"
	scanfile     = "cowrie.virustotal.scanfile"
)

// FileEvents are the ids of the events that can make a sighting or a verdict.
var FileEvents = []string{fileDownload, fileUpload, scanfile}

// Finding is what one event says of files: a sighting, or a verdict, or the
// reason why it says nothing.
type Finding struct {
	Sighting *Sighting
	Verdict  *Verdict
	Why      string
}

// Why an event of a file says nothing of one.
const (
	NotAFile     = "another event"          // it is no event of a file at all
	NoEventID    = "no event id"            // it may have been anything
	NotATransfer = "no transfer"            // a line that was typed into scp
	NoHash       = "no hash"                // a transfer that failed, or brought an empty file
	BadHash      = "hash is not 64 hex"     // a text, or a number, or an object
	Undated      = "verdict without a time" // there is no place for it in the history
)

// Finder reads events for what they say of files. It is not safe for use by
// several goroutines.
type Finder struct {
	r    *reader
	days *dayCounter // nil if days are not counted
}

// NewFinder returns a Finder.
func NewFinder() *Finder { return &Finder{r: newReader()} }

// CountDays lets the finder add what it reads up into days: of those events that say when
// they were.
func (f *Finder) CountDays(days map[DayKey]*SensorDay) { f.days = newDayCounter(days) }

// Find reads the text of one event. sensor names its sensor if it does not say
// itself. The error is that of Parse.
func (f *Finder) Find(text []byte, sensor string) (Finding, error) {
	if _, err := f.r.read(Trim(text)); err != nil {
		return Finding{}, err
	}
	m := &f.r.fields
	if t := m.time(); f.days != nil && t != NoTime {
		f.days.add(m, t, sensor)
	}
	kind := Download
	if !m.eventid.isString() {
		return Finding{Why: NoEventID}, nil
	}
	switch string(m.eventid.bytes()) {
	case scanfile:
		v, why := m.verdict(m.time())
		if why != "" {
			return Finding{Why: why}, nil
		}
		return Finding{Verdict: &v}, nil
	case fileUpload:
		kind = Upload
	case fileDownload:
	default:
		return Finding{Why: NotAFile}, nil
	}
	s, why := m.sighting(kind, clip(m.session.bytes(), maxSession), m.time(), sensor)
	if why != "" {
		return Finding{Why: why}, nil
	}
	return Finding{Sighting: &s}, nil
}

// sighting returns the sighting that a file_download or file_upload is, or why
// it is none: here stands the rule. An event with neither a hash nor a place
// where the file could have gone is what old versions wrote for a line typed
// into scp: no transfer at all.
func (f *fields) sighting(kind Kind, session string, t Time, sensor string) (s Sighting, why string) {
	shasum, ok := Shasum(f.shasum.bytes())
	if !ok {
		switch {
		case f.shasum.kind != absent && f.shasum.kind != null && len(f.shasum.raw) > 0:
			return s, BadHash
		case f.input.kind != absent && f.url.kind == absent && f.outfile.kind == absent && f.shasum.kind == absent:
			return s, NotATransfer
		}
		return s, NoHash
	}
	if b := f.sensor.bytes(); len(b) > 0 {
		sensor = clip(b, maxName)
	}
	s = Sighting{Shasum: shasum, Session: session, Kind: kind, SeenAt: t, Sensor: sensor,
		SrcIP: address(f.srcIP.bytes()), Filename: clip(f.filename.bytes(), maxPath),
		Destfile: clip(f.destfile.bytes(), maxPath), URL: clip(f.url.bytes(), maxPath),
		Outfile: clip(f.outfile.bytes(), maxPath)}
	if f.duplicate.kind == boolean {
		known := f.duplicate.raw[0] == 't'
		s.Duplicate = &known
	}
	return s, ""
}

// verdict returns what Cowrie's VirusTotal plugin was told of a file.
func (f *fields) verdict(t Time) (v Verdict, why string) {
	shasum, ok := Shasum(f.sha256.bytes())
	switch {
	case !ok && (f.sha256.kind == absent || f.sha256.kind == null):
		return v, NoHash
	case !ok:
		return v, BadHash
	case t == NoTime:
		return v, Undated
	}
	v = NewVerdict(shasum, SourceScanfile, t)
	isNew := string(f.isNew.bytes()) == "true" || f.isNew.kind == boolean && f.isNew.raw[0] == 't'
	if n, total := f.positives.count(), f.total.count(); !isNew && n >= 0 && total >= 0 {
		v.Malicious, v.Total, v.AnalysedAt = n, total, f.scanTime()
	}
	return v, ""
}
