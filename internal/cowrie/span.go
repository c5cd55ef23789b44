package cowrie

// Span is a stretch of time, on one sensor or on all.
type Span struct {
	From, To Time   // To is not included
	Sensor   string // "" for all of them
}

// SeenFile is what a report says of a file besides how often it was seen.
type SeenFile struct {
	Shasum, Name, Type string
	Size               *int64 // bytes; nil if it is not known
	First              Time
}

// DaysBetween adds up, into days, what those events say that fall into from <= t < to.
// sensor names the sensor of events that do not say.
func DaysBetween(lines Lines, sensor string, from, to Time, days map[DayKey]*SensorDay) {
	c := newDayCounter(days)
	r := newReader()
	for pos, n := 0, 0; pos < len(lines.Data); n++ {
		var line []byte
		line, pos = lines.next(pos, n)
		if _, err := r.read(Trim(line)); err != nil {
			continue // it is no event
		}
		if t := r.fields.time(); t >= from && t < to {
			c.add(&r.fields, t, sensor)
		}
	}
}

// dayCounter adds up what events say of their days.
type dayCounter struct {
	// What they say besides is of no interest.
	Gathered
	session *Session
}

func newDayCounter(days map[DayKey]*SensorDay) *dayCounter {
	return &dayCounter{Gathered{Days: days}, newSession("")}
}

func (c *dayCounter) add(f *fields, t Time, sensor string) {
	day := c.day(f, t, sensor)
	day.event(t)
	c.facts(c.session, day, f, t, sensor, 0)
}
