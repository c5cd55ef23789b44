package cowrie

import (
	"encoding/binary"
	"slices"
)

// SensorDay is what the events of a sensor on one day, in UTC, add up to that reports
// count by the time of the event and not by that of its session. Adding the same
// events in any order, in any portions, gives the same SensorDay.
type SensorDay struct {
	DayKey
	Events          int64
	FailedTransfers int64 // files that were asked for and did not come
	Last            Time  // of its events
	// Quarters are those quarters of an hour that have events, in order: days that begin
	// elsewhere than in UTC are made of those.
	Quarters []Quarter
	// Logins are the attempts to log in, each name and password once, in no order.
	Logins []Login

	places map[string]int // of each in Logins, by loginKey
}

// DayKey says which day of which sensor.
type DayKey struct {
	Day    Time   // its beginning
	Sensor string // "" if the events do not say
}

// Quarter is what happened in a quarter of an hour: the first of the day is 0.
type Quarter struct{ Of, Events, Logins int64 }

// Login is a name and a password that were tried together, and how often.
type Login struct {
	Username, Password  string
	Attempts, Successes int64
}

// How a day is divided. No place on earth has a time that is not a whole number of
// quarters off from UTC, since 1972.
const (
	DayLength     Time = 24 * 3600 * 1e6
	QuarterLength Time = 15 * 60 * 1e6
)

// Day returns the beginning of the day of t, in UTC; NoTime for NoTime.
func Day(t Time) Time {
	if t == NoTime {
		return NoTime
	}
	if t < 0 {
		return -((-t + DayLength - 1) / DayLength) * DayLength
	}
	return t / DayLength * DayLength
}

// event counts an event at t, which is on the day.
func (d *SensorDay) event(t Time) {
	d.Events++
	d.Last = max(d.Last, t)
	d.quarter(int64((t-d.Day)/QuarterLength)).Events++
}

// quarter returns a quarter of the day. Nearly always it is the last one that there is.
func (d *SensorDay) quarter(of int64) *Quarter {
	i := len(d.Quarters) - 1
	for i >= 0 && d.Quarters[i].Of > of {
		i--
	}
	if i < 0 || d.Quarters[i].Of < of {
		i++
		d.Quarters = slices.Insert(d.Quarters, i, Quarter{Of: of})
	}
	return &d.Quarters[i]
}

// login counts an attempt to log in.
func (d *SensorDay) login(user, password []byte, t Time, success bool) {
	d.quarter(int64((t-d.Day)/QuarterLength)).Logins++
	user, password = clipped(user, maxName), clipped(password, maxName)
	var room [80]byte
	key := loginKey(room[:0], user, password)
	i, known := d.places[string(key)]
	if !known {
		text := string(key)
		n := len(text) - len(password)
		i = d.place(text, Login{Username: text[n-len(user) : n], Password: text[n:]})
	}
	d.Logins[i].Attempts++
	if success {
		d.Logins[i].Successes++
	}
}

func (d *SensorDay) place(key string, l Login) int {
	if d.places == nil {
		d.places = map[string]int{}
	}
	i := len(d.Logins)
	d.places[key] = i
	d.Logins = append(d.Logins, l)
	return i
}

// loginKey appends what no other name and password have.
func loginKey(b, user, password []byte) []byte {
	b = binary.AppendUvarint(b, uint64(len(user)))
	return append(append(b, user...), password...)
}

// clipped is clip for bytes.
func clipped(b []byte, limit int) []byte {
	if len(b) <= limit {
		return b
	}
	return []byte(clip(b, limit))
}

// Add adds other events of the same day. None of them may have been added before.
func (d *SensorDay) Add(o *SensorDay) {
	d.Events += o.Events
	d.FailedTransfers += o.FailedTransfers
	d.Last = max(d.Last, o.Last)
	d.AddQuarters(o.Quarters)
	for key, from := range o.places {
		l := o.Logins[from]
		if i, known := d.places[key]; known {
			d.Logins[i].Attempts += l.Attempts
			d.Logins[i].Successes += l.Successes
		} else {
			d.place(key, l)
		}
	}
}

// AddQuarters adds the events of quarters of the day.
func (d *SensorDay) AddQuarters(quarters []Quarter) {
	for _, o := range quarters {
		q := d.quarter(o.Of)
		q.Events += o.Events
		q.Logins += o.Logins
	}
}
