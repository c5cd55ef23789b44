package report

import (
	"bytes"
	"cmp"
	"encoding/gob"
	"fmt"
	"math"
	"slices"
	"strings"

	"midden/internal/cowrie"
)

// sums are what sessions add up to: all that a report says of sessions and commands follows
// from them, exactly, and those of several days can be added. Exported fields are what is
// kept of a day (keptVersion).
type sums struct {
	Total, WithCommands, Downloads, Uploads, Attempts, LoggedIn, DShield int64

	Addresses, Protocols, Versions, Sensors tally
	PerSession                              map[int64]int64       // how many sessions ran how many commands
	Durations                               []int64               // milliseconds, of each session that tells, in no order
	Begun                                   map[cowrie.Time]int64 // by quarter of an hour
	Typed                                   []typed
	Busiest                                 []busy // sessions with manyCommands or more: the first of them

	places map[string]int // in Typed
}

// typed is a command, and who ran it.
type typed struct {
	Command               string
	Occurrences, Sessions int64
	Session               string // the only one; "" if there were several
}

// busy is a session and how many commands it ran.
type busy struct {
	ID       string
	Commands int64
}

func byCommands(a, b busy) int {
	return cmp.Or(cmp.Compare(b.Commands, a.Commands), strings.Compare(a.ID, b.ID))
}

// session adds a session.
func (s *sums) session(o *cowrie.Session, dshield bool) {
	if s.PerSession == nil {
		s.PerSession, s.Begun = map[int64]int64{}, map[cowrie.Time]int64{}
	}
	s.Total++
	s.Downloads += o.Downloads
	s.Uploads += o.Uploads
	s.Attempts += o.LoginAttempts
	if o.Commands > 0 {
		s.WithCommands++
	}
	if o.LoginSuccesses > 0 {
		s.LoggedIn++
	}
	if dshield {
		s.DShield++
	}
	for _, c := range []struct {
		tally *tally
		value string
	}{{&s.Addresses, o.SrcIP}, {&s.Protocols, o.Protocol}, {&s.Versions, o.ClientVersion}} {
		if c.value != "" {
			c.tally.add(c.value, 1)
		}
	}
	s.Sensors.add(o.Sensor, 1) // "" too
	s.PerSession[o.Commands]++
	if o.Duration >= 0 {
		s.Durations = append(s.Durations, o.Duration)
	}
	s.Begun[o.First-(o.First-cowrie.Day(o.First))%cowrie.QuarterLength]++
	if o.Commands >= manyCommands {
		s.Busiest = append(s.Busiest, busy{o.ID, o.Commands})
		s.trim()
	}
}

// trim drops those of the busiest sessions that no list can hold.
func (s *sums) trim() {
	if len(s.Busiest) >= 2*maxListed {
		slices.SortFunc(s.Busiest, byCommands)
		s.Busiest = s.Busiest[:maxListed]
	}
}

// command adds a command of a session, once.
func (s *sums) command(o typed) {
	if s.places == nil {
		s.places = make(map[string]int, len(s.Typed))
		for i := range s.Typed {
			s.places[s.Typed[i].Command] = i
		}
	}
	i, known := s.places[o.Command]
	if !known {
		s.places[o.Command] = len(s.Typed)
		s.Typed = append(s.Typed, o)
		return
	}
	t := &s.Typed[i]
	t.Occurrences += o.Occurrences
	t.Sessions += o.Sessions
	t.Session = ""
}

// ran returns how many sessions ran a command.
func (s *sums) ran(command string) int64 {
	if i, known := s.places[command]; known {
		return s.Typed[i].Sessions
	}
	return 0
}

// add adds those of other sessions.
func (s *sums) add(o *sums) {
	if s.PerSession == nil {
		s.PerSession, s.Begun = map[int64]int64{}, map[cowrie.Time]int64{}
	}
	s.Total += o.Total
	s.WithCommands += o.WithCommands
	s.Downloads += o.Downloads
	s.Uploads += o.Uploads
	s.Attempts += o.Attempts
	s.LoggedIn += o.LoggedIn
	s.DShield += o.DShield
	s.Addresses.addAll(&o.Addresses)
	s.Protocols.addAll(&o.Protocols)
	s.Versions.addAll(&o.Versions)
	s.Sensors.addAll(&o.Sensors)
	for n, sessions := range o.PerSession {
		s.PerSession[n] += sessions
	}
	s.Durations = append(s.Durations, o.Durations...)
	for at, n := range o.Begun {
		s.Begun[at] += n
	}
	for _, t := range o.Typed {
		s.command(t)
	}
	s.Busiest = append(s.Busiest, o.Busiest...)
	s.trim()
}

// keptVersion is the version of what is kept of a day. Another one is not read.
const keptVersion = 1

// pack returns sums in the form in which they are kept.
func (s *sums) pack() ([]byte, error) {
	kept := *s
	kept.Durations = slices.Sorted(slices.Values(s.Durations))
	for i := len(kept.Durations) - 1; i > 0; i-- { // differences take less room
		kept.Durations[i] -= kept.Durations[i-1]
	}
	var b bytes.Buffer
	if err := gob.NewEncoder(&b).Encode(&kept); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// unpack undoes pack. Nothing is the sums of no session.
func unpack(body []byte) (*sums, error) {
	s := &sums{}
	if body == nil {
		return s, nil
	}
	if err := gob.NewDecoder(bytes.NewReader(body)).Decode(s); err != nil {
		return nil, fmt.Errorf("what was kept of a day is damaged, delete it from report_days: %w", err)
	}
	for i := 1; i < len(s.Durations); i++ {
		s.Durations[i] += s.Durations[i-1]
	}
	return s, nil
}

// sessions is what a report says of the sessions.
func (s *sums) sessions(top int) Sessions {
	d := Sessions{Total: s.Total, UniqueIPs: s.Addresses.unique(), WithCommands: s.WithCommands,
		FileDownloads: s.Downloads, FileUploads: s.Uploads, LoginAttempts: s.Attempts, LoggedIn: s.LoggedIn, DShield: s.DShield,
		Protocols: s.Protocols.top(top), UniqueProtocols: s.Protocols.unique(), TopIPs: s.Addresses.top(top),
		ClientVersions: s.Versions.top(top), UniqueVersions: s.Versions.unique()}
	commands := int64(0)
	for i, n := range sortedKeys(s.PerSession) {
		if i == 0 {
			d.MinCommands = n
		}
		d.MaxCommands = n
		commands += n * s.PerSession[n]
	}
	d.AvgCommands = quotient(commands, s.Total)
	if n := len(s.Durations); n > 0 {
		slices.Sort(s.Durations)
		sum := int64(0)
		for _, ms := range s.Durations {
			sum += ms
		}
		d.AvgDuration = quotient(sum, int64(n)*1000)
		d.MedDuration = float64(s.Durations[(n-1)/2]+s.Durations[n/2]) / 2000
		d.MaxDuration = float64(s.Durations[n-1]) / 1000
	}
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
	c := Commands{Unique: int64(len(s.Typed)), TopCommands: []Count{}}
	all := func(yield func(Command) bool) {
		for _, t := range s.Typed {
			if !yield(Command{t.Command, t.Occurrences, t.Sessions}) {
				return
			}
		}
	}
	for _, t := range s.Typed {
		c.Total += t.Occurrences
		if t.Sessions == 1 {
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
