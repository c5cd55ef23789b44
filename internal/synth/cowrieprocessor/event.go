package cowrieprocessor

import (
	"bytes"
	"encoding/hex"
	"strconv"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/crypto/blake2b"
)

// event is a line as the tool stored it. Its slices are the eventReader's
// until that reads the next line.
type event struct {
	payload     []byte
	hash        []byte // of the payload, hex
	risk        int
	quarantined bool
	invalid     bool // it has no event id or no time, or is no object

	session, id, sensor []byte // empty if there is none
	when                moment

	object value // for the rest of the members, their order lost
}

// moment is a time as DATETIME columns of a session have it.
type moment struct {
	at   int64 // microseconds since 1970
	text string
}

// eventReader makes events of lines.
type eventReader struct {
	reader
	payload, compact, hex, text []byte
}

// read reads a line. A blank one is no event.
func (r *eventReader) read(line []byte) (e event, ok bool) {
	if !utf8.Valid(line) {
		line = []byte(string([]rune(string(line)))) // a replacement for each byte that is none
	}
	line = bytes.TrimFunc(line, isSpace)
	if len(line) == 0 {
		return e, false
	}
	v, ok := r.reader.read(line)
	switch {
	case !ok:
		v = value{kind: object}
		v.set("malformed", value{kind: text, text: appendQuoted(nil, line)})
	case v.kind != object: // what it was is lost
		v = value{kind: object}
		e.invalid = true
	}

	session := v.get("session")
	if !session.isTrue() {
		session = v.get("session_id")
	}
	switch session.kind {
	case text:
		e.session = session.plainText()
	case number:
		e.session = session.text
	}
	id := v.get("eventid")
	e.id = id.plainText()
	when := v.get("timestamp")
	if !when.isTrue() {
		when = v.get("time")
	}
	e.when = parseMoment(when)
	e.sensor = v.get("sensor").plainText()
	e.invalid = e.invalid || !id.isTrue() || !when.isTrue()

	input := v.get("input")
	if !input.isTrue() {
		input = v.get("command")
	}
	e.risk = risk(e.id, input)
	if input.kind == text {
		r.neutralise(&v, input.plainText())
	}
	e.quarantined = e.invalid || e.risk >= 80

	r.payload = appendValue(r.payload[:0], v, ", ", ": ")
	sortKeys(v)
	r.compact = appendValue(r.compact[:0], v, ",", ":")
	sum := blake2b.Sum256(r.compact)
	r.hex = hex.AppendEncode(r.hex[:0], sum[:])
	e.payload, e.hash, e.object = r.payload, r.hex, v
	return e, true
}

// Payload returns what the tool stored of a line, nil for a blank one. A
// command with half of a surrogate pair made the tool give up; here it is
// stored like any other.
func Payload(line []byte) []byte {
	var r eventReader
	e, _ := r.read(line)
	return e.payload
}

// isSpace is what Python's strip and split take for white space.
func isSpace(r rune) bool { return unicode.IsSpace(r) || r >= 0x1c && r <= 0x1f }

// neutralise takes the command out of an event. What is left of it is a text
// to look at, its hash, and often the message.
func (r *eventReader) neutralise(v *value, input []byte) {
	safe := input
	for _, p := range [...][2]string{{"http://", "[URL]"}, {"https://", "[URL]"},
		{";", " [SC] "}, {"&&", " [AND] "}, {"|", " [PIPE] "}} {
		safe = bytes.ReplaceAll(safe, []byte(p[0]), []byte(p[1]))
	}
	safe = bytes.Join(bytes.FieldsFunc(safe, isSpace), []byte(" "))
	sum := blake2b.Sum256(input)

	r.text = appendQuoted(r.text[:0], safe)
	shown := len(r.text)
	r.text = append(hex.AppendEncode(append(r.text, '"'), sum[:]), '"')
	v.set("input_safe", value{kind: text, text: r.text[:shown]})
	v.set("input_hash", value{kind: text, text: r.text[shown:]})
	v.set("input", value{kind: null, text: []byte("null")})
	v.set("command", value{kind: null, text: []byte("null")})
}

var (
	riskyWords    = [...]string{"curl", "wget", "powershell", "dubious", "nc", "bash", "sh", "python", "perl"}
	riskyPatterns = [...]string{"/tmp/", "http://", "https://", ";", "&&", "|"}
)

// risk returns the score of an event; from 80 on it is quarantined.
func risk(id []byte, input value) (score int) {
	contains := func(s []byte, any []string) bool {
		for _, a := range any {
			if bytes.Contains(s, []byte(a)) {
				return true
			}
		}
		return false
	}
	if isCommand(id) {
		score += 20
	}
	if input.kind == text && input.isTrue() {
		lower := bytes.ToLower(input.plainText())
		if contains(lower, riskyWords[:]) {
			score += 40
		}
		if contains(lower, riskyPatterns[:]) {
			score += 25
		}
	}
	if string(id) == "cowrie.session.file_download" {
		score += 30
	}
	return min(score, 100)
}

// A session's counters count by what is in an event's id, so uploads and
// failed downloads are downloads too.

func isCommand(id []byte) bool { return bytes.Contains(id, []byte("command")) }

func isLogin(id []byte) bool { return bytes.Contains(id, []byte("login")) }

func isDownload(id []byte) bool {
	return bytes.Contains(id, []byte("file_download")) || bytes.Contains(id, []byte("cowrie.session.file"))
}

// sqlTime is how the tool's columns hold times; a session's are with the
// fraction, always.
const (
	sqlTime  = "2006-01-02 15:04:05"
	sqlMicro = sqlTime + ".000000"
)

// parseMoment reads a time. Its text is the time of day that stood in the
// event: the tool dropped the zone.
func parseMoment(v value) moment {
	switch v.kind {
	case number:
		if f, err := strconv.ParseFloat(string(v.text), 64); err == nil && f > 0 && f < 1e11 {
			t := time.UnixMicro(int64(f * 1e6)).UTC()
			return moment{t.UnixMicro(), t.Format(sqlMicro)}
		}
	case text:
		s := string(v.plainText())
		if len(s) > 10 && s[10] == ' ' {
			s = s[:10] + "T" + s[11:]
		}
		for _, layout := range [...]string{time.RFC3339, "2006-01-02T15:04:05Z0700", "2006-01-02T15:04:05", time.DateOnly} {
			if t, err := time.Parse(layout, s); err == nil {
				return moment{t.UnixMicro(), t.Format(sqlMicro)}
			}
		}
	}
	return moment{}
}
