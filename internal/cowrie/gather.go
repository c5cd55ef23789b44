package cowrie

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
)

// Gathered is what a stretch of a log says, all of its lines together.
type Gathered struct {
	// Text holds the events exactly as they stood in the log, without the
	// white space around them, each followed by a newline. An event that
	// spans lines is compacted into one.
	Text        []byte
	Events      int
	First, Last Time // of the events that say

	Sessions    map[string]*Session
	Sightings   []Sighting
	Verdicts    []Verdict
	DeadLetters []DeadLetter
	Sessionless []Sessionless         // events without a session
	Days        map[DayKey]*SensorDay // of the events that say when

	Lines, Blank int64 // Lines = Events + len(DeadLetters) + Blank, before duplicates are taken out

	today *SensorDay // of the event before
}

// Sessionless is an event that belongs to no session.
type Sessionless struct {
	Event     int               // its place among the events
	Digest    [sha256.Size]byte // its Identity
	Timestamp string            // as it stands in the event; "" if it is no text and no number
}

// DeadLetter is a line that is not an event.
type DeadLetter struct {
	Offset int64 // bytes from the beginning of the stretch it stands in
	Length int64 // bytes
	Digest string
	Reason string
	Line   []byte // nil if it is too long to be kept
}

// maxDeadLetter is how long a dead letter may be to be kept whole, in bytes.
// Of a longer one only its place, its length and its digest are kept.
const maxDeadLetter = 1 << 20

func newDeadLetter(line []byte, offset int64, why error) DeadLetter {
	sum := sha256.Sum256(line)
	d := DeadLetter{Offset: offset, Length: int64(len(line)), Digest: hex.EncodeToString(sum[:]), Reason: why.Error()}
	if len(line) <= maxDeadLetter {
		d.Line = bytes.Clone(line)
	}
	return d
}

// Lines are records of a log: its lines, or, where events span lines, the
// stretches that were found to hold one event each.
type Lines struct {
	Data []byte
	// Ends are the ends of the records in Data, nil if newlines are.
	Ends []int
}

// next returns the first record, without its newline, and the rest.
func (l Lines) next(pos, n int) (record []byte, end int) {
	if l.Ends != nil {
		return l.Data[pos:l.Ends[n]], l.Ends[n]
	}
	if i := bytes.IndexByte(l.Data[pos:], '\n'); i >= 0 {
		return l.Data[pos : pos+i], pos + i + 1
	}
	return l.Data[pos:], len(l.Data)
}

var byteOrderMark = []byte("\xef\xbb\xbf")

// Gather reads records. sensor names the sensor of events that do not say.
// skip, if not nil, is asked of every event and leaves out those that are
// known already; Lines counts them all the same.
func Gather(lines Lines, sensor string, skip func(session string, text []byte) bool) *Gathered {
	g := &Gathered{First: NoTime, Last: NoTime, Sessions: map[string]*Session{}}
	r := newReader()
	for pos, n := 0, 0; pos < len(lines.Data); n++ {
		at := pos
		var line []byte
		line, pos = lines.next(pos, n)
		g.Lines++
		trimmed := Trim(line)
		if len(trimmed) == 0 {
			g.Blank++
			continue
		}
		text, err := r.read(trimmed)
		if err != nil {
			at += cap(line) - cap(trimmed) // what was trimmed off its beginning
			g.DeadLetters = append(g.DeadLetters, newDeadLetter(trimmed, int64(at), err))
			continue
		}
		session := r.fields.session.bytes()
		if len(session) > maxSession {
			session = []byte(clip(session, maxSession))
		}
		if skip != nil && skip(string(session), text) {
			continue
		}
		g.keep(lines.Data, text)
		g.event(&r.fields, session, text, sensor)
	}
	return g
}

// keep adds the text of an event. As long as the events stand in data just as
// they are kept, Text is the beginning of data and nothing is copied.
func (g *Gathered) keep(data, text []byte) {
	n := len(g.Text)
	end := n + len(text)
	spans := bytes.IndexByte(text, '\n') >= 0
	same := !spans && end < len(data) && data[end] == '\n' && &data[n] == &text[0]
	if same && (n == 0 || &g.Text[0] == &data[0]) {
		g.Text = data[: end+1 : end+1]
		return
	}
	if cap(g.Text) == n {
		g.Text = append(make([]byte, 0, len(data)+1), g.Text...)
	}
	if spans {
		g.Text = Compact(g.Text, text)
	} else {
		g.Text = append(g.Text, text...)
	}
	g.Text = append(g.Text, '\n')
}

// Trim takes a byte order mark off the beginning of a line, and white space
// off both ends.
func Trim(line []byte) []byte {
	if len(line) > 0 && line[0] == byteOrderMark[0] {
		line = bytes.TrimPrefix(line, byteOrderMark)
	}
	for len(line) > 0 && isSpace(line[0]) {
		line = line[1:]
	}
	for len(line) > 0 && isSpace(line[len(line)-1]) {
		line = line[:len(line)-1]
	}
	return line
}

// event adds the event whose members f holds.
func (g *Gathered) event(f *fields, session, text []byte, sensor string) {
	place := g.Events
	g.Events++
	t := f.time()
	var day *SensorDay
	if t != NoTime {
		g.First, g.Last = Earliest(g.First, t), max(g.Last, t)
		day = g.day(f, t, sensor)
		day.event(t)
	}
	if len(session) == 0 {
		g.Sessionless = append(g.Sessionless, Sessionless{place, Identity(text), f.timestamp.scalar()})
		// Its facts belong to no session, but a file is a file.
		g.facts(newSession(""), day, f, t, sensor, place)
		return
	}
	s := g.Sessions[string(session)]
	if s == nil {
		s = newSession(string(session))
		g.Sessions[s.ID] = s
	}
	s.observe(t)
	g.facts(s, day, f, t, sensor, place)
}

// day returns the day of an event and its sensor. Nearly always it is that of the event
// before.
func (g *Gathered) day(f *fields, t Time, sensor string) *SensorDay {
	from := f.sensor.bytes()
	if len(from) > maxName {
		from = clipped(from, maxName)
	}
	if d := g.today; d != nil && t >= d.Day && t < d.Day+DayLength &&
		(string(from) == d.Sensor && len(from) > 0 || len(from) == 0 && sensor == d.Sensor) {
		return d
	}
	if len(from) > 0 {
		sensor = string(from)
	}
	key := DayKey{Day(t), sensor}
	d := g.Days[key]
	if d == nil {
		d = &SensorDay{DayKey: key, Last: NoTime}
		if g.Days == nil {
			g.Days = map[DayKey]*SensorDay{}
		}
		g.Days[key] = d
	}
	g.today = d
	return d
}

// facts notes what an event says of its session, of files, and of its sensor's day,
// which is nil if the event does not say when it was.
func (g *Gathered) facts(s *Session, day *SensorDay, f *fields, t Time, sensor string, place int) {
	if b := f.sensor.bytes(); len(b) > 0 {
		if string(b) != s.Sensor {
			s.from(clip(b, maxName))
		}
		sensor = ""
	}
	if sensor != "" {
		s.from(sensor)
	}
	if b := f.srcIP.bytes(); len(b) > 0 && string(b) != s.SrcIP {
		s.SrcIP = least(s.SrcIP, address(b))
	}
	if b := f.protocol.bytes(); len(b) > 0 && string(b) != s.Protocol {
		s.Protocol = least(s.Protocol, clip(b, maxName))
	}
	switch string(f.eventid.bytes()) {
	case fileDownload:
		g.file(Download, s, day, f, t, sensor, place)
	case fileUpload:
		g.file(Upload, s, day, f, t, sensor, place)
	case "cowrie.session.file_download.failed":
		s.failed(day)
	case "cowrie.command.input":
		s.command(normalise(f.typed()), t)
	case "cowrie.login.failed":
		s.attempt(day, f, t, false)
	case "cowrie.login.success":
		s.attempt(day, f, t, true)
		s.login(clip(f.username.bytes(), maxName), clip(f.password.bytes(), maxName), t)
	case "cowrie.client.version":
		s.ClientVersion = least(s.ClientVersion, clip(f.version.bytes(), maxName))
	case "cowrie.client.kex":
		s.HASSH = least(s.HASSH, clip(f.hassh.bytes(), maxName))
	case "cowrie.session.closed":
		if ms, ok := f.durationOf(); ok {
			s.Duration = max(s.Duration, ms)
		}
	case scanfile:
		if v, why := f.verdict(t); why == "" {
			g.Verdicts = append(g.Verdicts, v)
		}
	}
}

// file adds a sighting, or counts a transfer that brought nothing.
func (g *Gathered) file(kind Kind, s *Session, day *SensorDay, f *fields, t Time, sensor string, place int) {
	sighting, why := f.sighting(kind, s.ID, t, sensor)
	switch {
	case why == NotATransfer:
		return
	case why != "":
		s.failed(day)
		return
	case kind == Upload:
		s.Uploads++
	default:
		s.Downloads++
	}
	sighting.Event = place
	g.Sightings = append(g.Sightings, sighting)
}

// normalise returns a command with its white space made even.
func normalise(input []byte) string {
	even := input
	for i, c := range input {
		if isSpace(c) && (c != ' ' || i == 0 || i == len(input)-1 || input[i+1] == ' ') {
			even = bytes.Join(bytes.FieldsFunc(input, func(r rune) bool { return r < 0x80 && isSpace(byte(r)) }), []byte{' '})
			break
		}
	}
	return clip(even, maxCommand)
}
