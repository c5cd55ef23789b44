package cowrie

import "cmp"

// Session is what events of one attacker's connection add up to. Adding the
// same events in any order, in any portions, gives the same Session.
type Session struct {
	ID       string
	First    Time // of its events; NoTime if none says
	Last     Time
	Duration int64 // milliseconds, as the closing event says; -1 if none does

	// Of facts that should be the same in all events, and are not in a
	// session whose id was drawn twice, the smallest is kept.
	Sensor, SrcIP, Protocol, ClientVersion, HASSH string
	// SharedID: events of more than one sensor carry this id.
	SharedID bool

	Events, Commands              int64
	LoginAttempts, LoginSuccesses int64
	Downloads, Uploads            int64 // sightings
	FailedTransfers               int64 // files that were asked for and did not come

	// The last login that succeeded; LoginAt is NoTime if none did, or none says when.
	Username, Password string
	LoginAt            Time

	CommandStats map[string]*CommandStat // by normalised command

	// Suspect: an event came no later than one before it, or without a time.
	// Only such events can be one that is already known; all others are new
	// because nothing that is known is as late as they are.
	Suspect bool
	// Timeless: an event came without a time.
	Timeless bool
}

// CommandStat counts a command within a session.
type CommandStat struct {
	Occurrences int64
	First, Last Time
}

func newSession(id string) *Session {
	return &Session{ID: id, First: NoTime, Last: NoTime, LoginAt: NoTime, Duration: -1}
}

// observe notes that the session has an event at t.
func (s *Session) observe(t Time) {
	s.Events++
	switch {
	case t == NoTime:
		s.Suspect, s.Timeless = true, true
	case s.Last == NoTime:
		s.First, s.Last = t, t
	case t > s.Last:
		s.Last = t
	default:
		s.Suspect = true
		s.First = min(s.First, t)
	}
}

func (s *Session) command(text string, t Time) {
	s.Commands++
	if s.CommandStats == nil {
		s.CommandStats = map[string]*CommandStat{}
	}
	c := s.CommandStats[text]
	if c == nil {
		c = &CommandStat{First: NoTime, Last: NoTime}
		s.CommandStats[text] = c
	}
	c.Add(CommandStat{Occurrences: 1, First: t, Last: t})
}

// Add adds what other events of the same command within the session say.
func (c *CommandStat) Add(o CommandStat) {
	c.Occurrences += o.Occurrences
	c.First, c.Last = Earliest(c.First, o.First), max(c.Last, o.Last)
}

// attempt counts an attempt to log in, and failed a transfer that brought nothing: into the
// day, too, unless it is not known.
func (s *Session) attempt(day *SensorDay, f *fields, t Time, success bool) {
	s.LoginAttempts++
	if day != nil {
		day.login(f.username.bytes(), f.password.bytes(), t, success)
	}
}

func (s *Session) failed(day *SensorDay) {
	s.FailedTransfers++
	if day != nil {
		day.FailedTransfers++
	}
}

func (s *Session) login(user, password string, t Time) {
	if s.LoginSuccesses++; s.LoginSuccesses == 1 {
		s.Username, s.Password, s.LoginAt = user, password, t
		return
	}
	s.lastLogin(user, password, t)
}

func (s *Session) lastLogin(user, password string, t Time) {
	if cmp.Or(cmp.Compare(t, s.LoginAt), cmp.Compare(user, s.Username), cmp.Compare(password, s.Password)) > 0 {
		s.Username, s.Password, s.LoginAt = user, password, t
	}
}

// from notes the sensor that an event comes from.
func (s *Session) from(sensor string) {
	if s.Sensor != "" && sensor != "" && s.Sensor != sensor {
		s.SharedID = true
	}
	s.Sensor = least(s.Sensor, sensor)
}

// Add adds what other events of the same session say. None of them may have
// been added before.
func (s *Session) Add(o *Session) {
	s.First, s.Last = Earliest(s.First, o.First), max(s.Last, o.Last)
	s.Duration = max(s.Duration, o.Duration)
	s.from(o.Sensor)
	s.SharedID = s.SharedID || o.SharedID
	s.SrcIP = least(s.SrcIP, o.SrcIP)
	s.Protocol = least(s.Protocol, o.Protocol)
	s.ClientVersion = least(s.ClientVersion, o.ClientVersion)
	s.HASSH = least(s.HASSH, o.HASSH)
	s.Events += o.Events
	s.Commands += o.Commands
	s.LoginAttempts += o.LoginAttempts
	s.Downloads += o.Downloads
	s.Uploads += o.Uploads
	s.FailedTransfers += o.FailedTransfers
	switch {
	case o.LoginSuccesses == 0:
	case s.LoginSuccesses == 0:
		s.Username, s.Password, s.LoginAt = o.Username, o.Password, o.LoginAt
	default:
		s.lastLogin(o.Username, o.Password, o.LoginAt)
	}
	s.LoginSuccesses += o.LoginSuccesses
	s.Suspect = s.Suspect || o.Suspect
	s.Timeless = s.Timeless || o.Timeless
	if s.CommandStats == nil {
		s.CommandStats = o.CommandStats
		return
	}
	for text, c := range o.CommandStats {
		if have := s.CommandStats[text]; have != nil {
			have.Add(*c)
		} else {
			s.CommandStats[text] = c
		}
	}
}

// Earliest returns the earlier of two times; NoTime only if both are.
func Earliest(a, b Time) Time {
	if a == NoTime {
		return b
	}
	if b == NoTime {
		return a
	}
	return min(a, b)
}

// least returns the smaller of two texts; "" only if both are.
func least(a, b string) string {
	if a == "" || b != "" && b < a {
		return b
	}
	return a
}
