package cowrie

import (
	"bytes"
	"net/netip"
	"strconv"
	"time"
)

// Event is one Cowrie event, as far as midden reads it. The text of an event,
// not this, is the evidence.
type Event struct {
	ID      string // eventid; "" if it is missing or no string
	Time    Time   // NoTime if it is missing or no timestamp
	Session string // "" if it is missing or no string
	Sensor  string
	SrcIP   string // an IPv4 address inside IPv6 is written as IPv4

	Input              string // what was typed
	Username, Password string
	Shasum             string // lower case; "" unless it is 64 hex digits
	URL                string
	Filename, Destfile string
}

// fields are the members of an event's object that midden reads, where they
// stand in the line. Of a name that occurs twice the last one counts.
type fields struct {
	eventid, timestamp, session, sensor, srcIP, protocol value
	username, password, input, inputSafe, message        value
	shasum, url, outfile, destfile, filename, duplicate  value
	version, hassh, duration, durationMS                 value
	sha256, positives, total, scanDate, isNew            value
}

func (f *fields) set(name []byte, v value) {
	switch string(name) {
	case "eventid":
		f.eventid = v
	case "timestamp":
		f.timestamp = v
	case "session":
		f.session = v
	case "sensor":
		f.sensor = v
	case "src_ip":
		f.srcIP = v
	case "protocol":
		f.protocol = v
	case "username":
		f.username = v
	case "password":
		f.password = v
	case "input":
		f.input = v
	case "input_safe":
		f.inputSafe = v
	case "message":
		f.message = v
	case "shasum":
		f.shasum = v
	case "url":
		f.url = v
	case "outfile":
		f.outfile = v
	case "destfile":
		f.destfile = v
	case "filename":
		f.filename = v
	case "duplicate":
		f.duplicate = v
	case "version":
		f.version = v
	case "hassh":
		f.hassh = v
	case "duration":
		f.duration = v
	case "duration_ms":
		f.durationMS = v
	case "sha256":
		f.sha256 = v
	case "positives":
		f.positives = v
	case "total":
		f.total = v
	case "scan_date":
		f.scanDate = v
	case "is_new":
		f.isNew = v
	}
}

// reader reads lines one after the other, reusing what it can.
type reader struct {
	scan   scanner
	fields fields
	member func([]byte, value)
}

func newReader() *reader {
	r := &reader{}
	r.member = r.fields.set
	return r
}

// read reads one line into r.fields and returns the event's own bytes, from
// its first brace to its last. The error is one of ErrNotObject and its kin.
func (r *reader) read(line []byte) ([]byte, error) {
	r.fields = fields{}
	return r.scan.object(line, r.member)
}

// Parse reads one line as an event. The line may have white space around it.
func Parse(line []byte) (Event, error) {
	r := newReader()
	if _, err := r.read(line); err != nil {
		return Event{}, err
	}
	f := &r.fields
	shasum, _ := Shasum(f.shasum.bytes())
	return Event{
		ID: f.eventid.text(), Time: f.time(), Session: clip(f.session.bytes(), maxSession),
		Sensor: clip(f.sensor.bytes(), maxName), SrcIP: address(f.srcIP.bytes()),
		Input: string(f.typed()), Username: f.username.text(), Password: f.password.text(),
		Shasum: shasum, URL: f.url.text(), Filename: f.filename.text(), Destfile: f.destfile.text(),
	}, nil
}

// typed returns what was typed. cowrieprocessor stored events without it: it put
// null in its place and a disarmed text beside it, but left it in the message.
func (f *fields) typed() []byte {
	if f.input.kind != null {
		return f.input.bytes()
	}
	message := f.message.bytes()
	for _, prefix := range []string{"CMD: ", "Command not found: ", "Command found: "} {
		if text, ok := bytes.CutPrefix(message, []byte(prefix)); ok {
			return text
		}
	}
	if bytes.HasPrefix(message, []byte("INPUT (")) {
		if _, text, ok := bytes.Cut(message, []byte("): ")); ok {
			return text
		}
	}
	return f.inputSafe.bytes()
}

func (f *fields) time() Time {
	if !f.timestamp.isString() {
		return NoTime
	}
	t, _ := ParseTime(f.timestamp.bytes())
	return t
}

// durationOf returns how long a closed session lasted, in milliseconds: as
// duration_ms, or as duration in seconds, a number or (since Cowrie 2.7) text.
func (f *fields) durationOf() (ms int64, ok bool) {
	if f.durationMS.kind == number {
		if n, err := strconv.ParseFloat(string(f.durationMS.raw), 64); err == nil && n >= 0 && n < 1e15 {
			return int64(n), true
		}
	}
	raw := f.duration.raw
	if f.duration.kind != number && f.duration.kind != plain {
		return 0, false
	}
	n, err := strconv.ParseFloat(string(raw), 64)
	if err != nil || !(n >= 0 && n < 1e12) {
		return 0, false
	}
	return int64(n*1000 + 0.5), true
}

// scanTime returns when VirusTotal analysed a file: a text of API v2, seconds
// since 1970 of API v3, or nothing that is known.
func (f *fields) scanTime() Time {
	switch f.scanDate.kind {
	case plain, escaped:
		t, _ := ParseTime(f.scanDate.bytes())
		return t
	case number:
		if n, err := strconv.ParseInt(string(f.scanDate.raw), 10, 64); err == nil && n > 0 && n < 1e11 {
			return FromStd(time.Unix(n, 0))
		}
	}
	return NoTime
}

// count returns a number that may be written as text; -1 if it is none.
func (v value) count() int {
	if v.kind != number && v.kind != plain {
		return -1
	}
	n, err := strconv.Atoi(string(v.raw))
	if err != nil || n < 0 || n > 1e6 {
		return -1
	}
	return n
}

// Shasum returns a SHA-256 as midden writes it, 64 lower-case hex digits;
// false if b is no such thing.
func Shasum(b []byte) (string, bool) {
	if len(b) != 64 {
		return "", false
	}
	for _, c := range b {
		if unhex(c) < 0 {
			return "", false
		}
	}
	return string(bytes.ToLower(b)), true
}

// address cleans a source address: Cowrie's telnet side writes IPv4 addresses
// in their IPv6 form, the SSH side does not. What is no address stays as it is.
func address(b []byte) string {
	if bytes.HasPrefix(b, []byte("::")) {
		if a, err := netip.ParseAddr(string(b)); err == nil && a.Is4In6() {
			return a.Unmap().String()
		}
	}
	return clip(b, maxName)
}

// How many bytes of attackers' text a column keeps; the event keeps it all.
const (
	maxSession = 128
	maxName    = 256  // sensors, addresses, users, passwords, client versions
	maxPath    = 4096 // files, URLs
	maxCommand = 2048
)

// clip returns b as text, cut to limit bytes with "…" at its end if it is
// longer. It never cuts a character of valid UTF-8 in two.
func clip(b []byte, limit int) string {
	if len(b) <= limit {
		return string(b)
	}
	end := limit - len("…")
	for end > 0 && b[end]&0xc0 == 0x80 {
		end--
	}
	return string(b[:end]) + "…"
}
