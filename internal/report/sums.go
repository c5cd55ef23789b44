package report

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"sync"

	"midden/internal/cowrie"
)

// sums are what the sessions of a period add up to: all that a report says of sessions and
// commands follows from them. Several goroutines add to them.
type sums struct {
	mu sync.Mutex

	total, loggedIn, dshield, attempts, downloads, uploads int64

	addresses                    addresses
	protocols, versions, sensors tally
	perSession                   map[int64]int64       // how many sessions ran how many commands
	durations                    map[int64]int64       // how many took how many milliseconds
	begun                        map[cowrie.Time]int64 // by quarter of an hour
	typed                        []typed
	places                       map[string]int32 // in typed
}

// typed is a command, and who ran it.
type typed struct {
	command               string
	occurrences, sessions int64
	session               string // the only one; "" if there were several
}

func newSums() sums {
	return sums{addresses: addresses{four: map[uint32]int64{}}, perSession: map[int64]int64{}, durations: map[int64]int64{}, begun: map[cowrie.Time]int64{}, places: map[string]int32{}}
}

// add adds what the sessions of a sensor that began on a day add up to, in pieces.
func (s *sums) add(day cowrie.Time, sensor string, pieces ...[]byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return cowrie.EachSum(func(one *cowrie.Sum) {
		switch one.Of {
		case cowrie.SumSessions:
			s.total += one.N
			s.sensors.add(sensor, one.N)
		case cowrie.SumLoggedIn:
			s.loggedIn += one.N
		case cowrie.SumDShield:
			s.dshield += one.N
		case cowrie.SumAttempts:
			s.attempts += one.N
		case cowrie.SumDownloads:
			s.downloads += one.N
		case cowrie.SumUploads:
			s.uploads += one.N
		case cowrie.SumAddress:
			s.addresses.others.addText(one.Text, one.N)
		case cowrie.SumIPv4:
			s.addresses.four[uint32(one.Number)] += one.N
		case cowrie.SumProtocol:
			s.protocols.addText(one.Text, one.N)
		case cowrie.SumVersion:
			s.versions.addText(one.Text, one.N)
		case cowrie.SumCommands:
			s.perSession[one.Number] += one.N
		case cowrie.SumDuration:
			s.durations[one.Number] += one.N
		case cowrie.SumQuarter:
			s.begun[day+cowrie.Time(one.Number)*cowrie.QuarterLength] += one.N
		case cowrie.SumCommand:
			s.command(one)
		}
	}, pieces...)
}

func (s *sums) command(one *cowrie.Sum) {
	i, known := s.places[string(one.Text)]
	if !known {
		t := typed{command: string(one.Text), occurrences: one.N, sessions: one.Sessions}
		if t.sessions == 1 {
			t.session = one.Session()
		}
		s.places[t.command] = int32(len(s.typed))
		s.typed = append(s.typed, t)
		return
	}
	t := &s.typed[i]
	t.occurrences += one.N
	t.sessions += one.Sessions
	t.session = ""
}

// ran reports whether a session ran a command.
func (s *sums) ran(command string) bool {
	_, known := s.places[command]
	return known
}

// withCommands returns how many sessions ran commands.
func (s *sums) withCommands() int64 { return s.total - s.perSession[0] }

// occurrences returns how many commands were run.
func (s *sums) occurrences() (n int64) {
	for _, t := range s.typed {
		n += t.occurrences
	}
	return n
}

// sessions is what a report says of the sessions.
func (s *sums) sessions(top int) Sessions {
	d := Sessions{Total: s.total, UniqueIPs: s.addresses.unique(), WithCommands: s.withCommands(),
		FileDownloads: s.downloads, FileUploads: s.uploads, LoginAttempts: s.attempts, LoggedIn: s.loggedIn, DShield: s.dshield,
		Protocols: s.protocols.top(top), UniqueProtocols: s.protocols.unique(), TopIPs: s.addresses.top(top),
		ClientVersions: s.versions.top(top), UniqueVersions: s.versions.unique()}
	commands := int64(0)
	for i, n := range sortedKeys(s.perSession) {
		if i == 0 {
			d.MinCommands = n
		}
		d.MaxCommands = n
		commands += n * s.perSession[n]
	}
	d.AvgCommands = quotient(commands, s.total)
	tell, sum := int64(0), int64(0)
	for ms, n := range s.durations {
		tell += n
		sum += ms * n
	}
	d.AvgDuration = quotient(sum, tell*1000)
	below, middle := int64(0), int64(0)
	for _, ms := range sortedKeys(s.durations) {
		// Of an even number of sessions the median lies between two.
		for _, i := range []int64{(tell - 1) / 2, tell / 2} {
			if i >= below && i < below+s.durations[ms] {
				middle += ms
			}
		}
		below += s.durations[ms]
		d.MaxDuration = float64(ms) / 1000
	}
	d.MedDuration = float64(middle) / 2000
	return d
}

// quotient is 0 where there is nothing to divide by. It has three decimals.
func quotient(a, b int64) float64 {
	if b == 0 {
		return 0
	}
	return math.Round(float64(a)/float64(b)*1000) / 1000
}

// commands is what a report says of the commands.
func (s *sums) commands(top int) Commands {
	c := Commands{Total: s.occurrences(), Unique: int64(len(s.typed)), TopCommands: []Count{}}
	all := func(yield func(Command) bool) {
		for _, t := range s.typed {
			if !yield(Command{t.command, t.occurrences, t.sessions}) {
				return
			}
		}
	}
	for _, t := range s.typed {
		if t.sessions == 1 {
			c.RareTotal++
		}
	}
	c.Top = first(top, all, func(a, b Command) int {
		return cmp.Or(cmp.Compare(b.Occurrences, a.Occurrences), strings.Compare(a.Command, b.Command))
	})
	c.Rare = first(top, all, func(a, b Command) int {
		return cmp.Or(cmp.Compare(a.Sessions, b.Sessions), cmp.Compare(a.Occurrences, b.Occurrences), strings.Compare(a.Command, b.Command))
	})
	for _, t := range c.Top {
		c.TopCommands = append(c.TopCommands, Count{t.Command, t.Occurrences})
	}
	return c
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K {
	keys := make([]K, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
