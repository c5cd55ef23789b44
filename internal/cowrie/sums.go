package cowrie

import (
	"encoding/binary"
	"maps"
	"net/netip"
	"slices"
)

// Sums are what sessions add up to: all that a report says of sessions and commands
// follows from them, exactly. A session is added by 1 and taken away by -1, so that what
// changed since adds to what was; what adds up to nothing is left out. Pack returns them as
// they are kept. What the sightings of a file add up to is kept in the same way.
type Sums struct {
	places  map[string]int32 // in sums, by what a packed sum begins with
	sums    []sum
	key, id []byte
}

// ManyCommands is from how many commands on a session is a busy one: by so many the database
// finds it, for reports.
const ManyCommands = 10

// SumOf says what a Sum counts: all sessions, or those that have something in common.
type SumOf byte

// What there is a Sum of. The first ones are one number each.
const (
	SumSessions  SumOf = iota
	SumLoggedIn        // sessions in which a login succeeded
	SumDShield         // sessions that cowrieprocessor flagged as DShield's
	SumAttempts        // to log in
	SumDownloads       // sightings
	SumUploads
	SumBrought // sessions that brought a file
	// Sessions by what they have: a text, or a number.
	SumAddress // but for those of IPv4
	SumProtocol
	SumVersion  // of the client
	SumIPv4     // an address, the first byte the highest
	SumCommands // how many they ran
	SumDuration // in milliseconds
	SumQuarter  // of the hour in which they began, counted from that of the day
	// SumCommand is of a command: how often it was run, and by how many sessions.
	SumCommand
	// Sightings of a file by what they have, besides its addresses.
	SumSensor
	SumKind
	SumFilename
	SumDestfile
	SumURL
	sumKinds
)

// numbered reports whether what the sessions have in common is a number.
func (of SumOf) numbered() bool { return of >= SumIPv4 && of <= SumQuarter }

// sum are the numbers of a Sum. ids are those of its sessions added up byte by byte, each with
// a byte behind its end: of a single session, its id.
type sum struct {
	n, sessions int64
	ids         []byte
}

func (s *sum) none() bool { return s.n == 0 && s.sessions == 0 && len(s.ids) == 0 }

func (s *sum) add(o sum) {
	s.n += o.n
	s.sessions += o.sessions
	s.ids = addIDs(s.ids, o.ids, 1)
}

// addIDs adds b to a, times times. Zeros at the end are nothing.
func addIDs(a, b []byte, times int64) []byte {
	for len(a) < len(b) {
		a = append(a, 0)
	}
	for i, c := range b {
		a[i] += c * byte(times)
	}
	for len(a) > 0 && a[len(a)-1] == 0 {
		a = a[:len(a)-1]
	}
	return a
}

// idEnd stands behind an id in a sum of ids.
const idEnd = 1

// at returns the numbers of s.key.
func (s *Sums) at() *sum {
	i, known := s.places[string(s.key)]
	if !known {
		if s.places == nil {
			s.places = map[string]int32{}
		}
		i = int32(len(s.sums))
		s.places[string(s.key)] = i
		s.sums = append(s.sums, sum{})
	}
	return &s.sums[i]
}

func (s *Sums) addTo(of SumOf, n int64) {
	if n != 0 {
		s.key = append(s.key[:0], byte(of))
		s.at().n += n
	}
}

func (s *Sums) addText(of SumOf, text string, n int64) {
	if text != "" {
		s.key = append(append(s.key[:0], byte(of)), text...)
		s.at().n += n
	}
}

func (s *Sums) addNumber(of SumOf, number, n int64) {
	s.key = binary.AppendUvarint(append(s.key[:0], byte(of)), uint64(number))
	s.at().n += n
}

func (s *Sums) addAddress(text string, n int64) {
	if at, err := netip.ParseAddr(text); err == nil && at.Is4() { // there is one text of each
		four := at.As4()
		s.addNumber(SumIPv4, int64(binary.BigEndian.Uint32(four[:])), n)
		return
	}
	s.addText(SumAddress, text, n)
}

// AppendIPv4 appends the text of an address.
func AppendIPv4(b []byte, at uint32) []byte {
	return netip.AddrFrom4([4]byte{byte(at >> 24), byte(at >> 16), byte(at >> 8), byte(at)}).AppendTo(b)
}

// Add adds a session times times: 1, or -1 to take it away. Its commands are added by
// AddCommand.
func (s *Sums) Add(o *Session, dshield bool, times int64) {
	s.addTo(SumSessions, times)
	if o.LoginSuccesses > 0 {
		s.addTo(SumLoggedIn, times)
	}
	if dshield {
		s.addTo(SumDShield, times)
	}
	s.addTo(SumAttempts, times*o.LoginAttempts)
	s.addTo(SumDownloads, times*o.Downloads)
	s.addTo(SumUploads, times*o.Uploads)
	s.addAddress(o.SrcIP, times)
	s.addText(SumProtocol, o.Protocol, times)
	s.addText(SumVersion, o.ClientVersion, times)
	s.addNumber(SumCommands, o.Commands, times)
	if o.Duration >= 0 {
		s.addNumber(SumDuration, o.Duration, times)
	}
	if o.First != NoTime {
		s.addNumber(SumQuarter, int64((o.First-Day(o.First))/QuarterLength), times)
	}
}

// AddCommand adds that a session ran a command so many times more, or less, and sessions times
// that it ran it at all: 1, -1, or 0 if that has not changed.
func (s *Sums) AddCommand(session, command string, occurrences, sessions int64) {
	s.key = append(append(s.key[:0], byte(SumCommand)), command...)
	c := s.at()
	c.n += occurrences
	if sessions != 0 {
		c.sessions += sessions
		s.id = append(append(s.id[:0], session...), idEnd)
		c.ids = addIDs(c.ids, s.id, sessions)
	}
}

// AddSighting adds a sighting of a file. brought says that it is the first one of its session.
func (s *Sums) AddSighting(o *Sighting, brought bool) {
	if brought {
		s.addTo(SumBrought, 1)
	}
	s.addAddress(o.SrcIP, 1)
	s.addText(SumSensor, o.Sensor, 1)
	s.addText(SumKind, string(o.Kind), 1)
	s.addText(SumFilename, o.Filename, 1)
	s.addText(SumDestfile, o.Destfile, 1)
	s.addText(SumURL, o.URL, 1)
}

// Pack returns the sums in a form that depends on nothing but them; nil if they are nothing.
func (s *Sums) Pack() []byte {
	p := newPacker()
	for _, key := range slices.Sorted(maps.Keys(s.places)) {
		p.add([]byte(key), &s.sums[s.places[key]])
	}
	return p.packed()
}
