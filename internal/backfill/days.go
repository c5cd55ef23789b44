package backfill

import (
	"cmp"
	"encoding/binary"
	"hash/maphash"
	"slices"
	"strconv"
	"strings"
	"time"

	"midden/internal/cowrie"
)

// dayKey is a day on a sensor: the place of its name among those that there are.
type dayKey struct {
	day    cowrie.Time
	sensor int32
}

// dayCounts compares what is stored of a day on a sensor with what its events say, in a
// few bytes: there may be hundreds of thousands.
type dayCounts struct {
	found, expected         int64 // events
	lastFound, lastExpected cowrie.Time
	// By how much the others differ: the number of failed transfers, and sums of digests,
	// each as often as there were events or attempts.
	failed           int64
	quarters, logins uint64
}

func newDayCounts() dayCounts {
	return dayCounts{lastFound: cowrie.NoTime, lastExpected: cowrie.NoTime}
}

func (c *dayCounts) add(o *dayCounts) {
	c.found, c.expected = c.found+o.found, c.expected+o.expected
	c.lastFound, c.lastExpected = max(c.lastFound, o.lastFound), max(c.lastExpected, o.lastExpected)
	c.failed += o.failed
	c.quarters += o.quarters
	c.logins += o.logins
}

// quarters returns the digest of the quarters of an hour of a day.
func (h *hasher) quarters(list []cowrie.Quarter) (sum uint64) {
	for _, q := range list {
		of := strconv.FormatInt(q.Of, 10)
		sum += uint64(q.Events)*h.counted('e', of, "") + uint64(q.Logins)*h.counted('l', of, "")
	}
	return sum
}

// login returns the digest of the attempts with a name and a password.
func (h *hasher) login(l *cowrie.Login) uint64 {
	return uint64(l.Attempts)*h.counted('a', l.Username, l.Password) + uint64(l.Successes)*h.counted('s', l.Username, l.Password)
}

// counted returns the digest of something that is counted. It is odd: no number of times
// but nought comes to nought.
func (h *hasher) counted(kind byte, a, b string) uint64 {
	h.text = binary.AppendUvarint(append(h.text[:0], kind), uint64(len(a)))
	h.text = append(append(h.text, a...), b...)
	return maphash.Bytes(h.seeds[0], h.text) | 1
}

// days are the days of all sensors that are stored, or that events tell of.
type days struct {
	counts  map[dayKey]dayCounts
	sensors []string
	places  map[string]int32 // of each in sensors
}

func newDays() days { return days{counts: map[dayKey]dayCounts{}, places: map[string]int32{}} }

// change calls f for the counts of a day on a sensor.
func (d *days) change(k cowrie.DayKey, f func(*dayCounts)) {
	sensor, known := d.places[k.Sensor]
	if !known {
		sensor = int32(len(d.sensors))
		d.sensors = append(d.sensors, strings.Clone(k.Sensor))
		d.places[d.sensors[sensor]] = sensor
	}
	key := dayKey{k.Day, sensor}
	c, known := d.counts[key]
	if !known {
		c = newDayCounts()
	}
	f(&c)
	d.counts[key] = c
}

// storedDays sums up what is stored of days.
func (v *verifier) storedDays() error {
	return v.db.Days(v.ctx, func(d *cowrie.SensorDay) error {
		v.days.change(d.DayKey, func(c *dayCounts) {
			c.found += d.Events
			c.lastFound = max(c.lastFound, d.Last)
			c.failed += d.FailedTransfers
			c.quarters += v.hash.quarters(d.Quarters)
		})
		return nil
	}, func(k cowrie.DayKey, l *cowrie.Login) error {
		v.days.change(k, func(c *dayCounts) { c.logins += v.hash.login(l) })
		return nil
	})
}

// eventDays sums up what events say of days.
func (v *verifier) eventDays(list map[cowrie.DayKey]*cowrie.SensorDay) {
	for k, d := range list {
		v.days.change(k, func(c *dayCounts) {
			c.expected += d.Events
			c.lastExpected = max(c.lastExpected, d.Last)
			c.failed -= d.FailedTransfers
			c.quarters -= v.hash.quarters(d.Quarters)
			for i := range d.Logins {
				c.logins -= v.hash.login(&d.Logins[i])
			}
		})
	}
}

// compareDays compares what is stored of each day with what its events say. Days of which
// events are gone are left out.
func (v *verifier) compareDays() error {
	keys := make([]dayKey, 0, len(v.days.counts))
	for k := range v.days.counts {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b dayKey) int {
		return cmp.Or(cmp.Compare(a.day, b.day), strings.Compare(v.days.sensors[a.sensor], v.days.sensors[b.sensor]))
	})
	slices.SortFunc(v.gone, func(a, b cowrie.Span) int { return cmp.Compare(a.From, b.From) })
	until := cowrie.NoTime // up to here events are gone
	for len(keys) > 0 {
		day := keys[0].day
		n := 1
		for n < len(keys) && keys[n].day == day {
			n++
		}
		for len(v.gone) > 0 && v.gone[0].From < day+cowrie.DayLength {
			until = max(until, v.gone[0].To)
			v.gone = v.gone[1:]
		}
		if until >= day || v.lost {
			v.result.Uncompared++
		} else if err := v.compareDay(day, keys[:n]); err != nil {
			return err
		}
		keys = keys[n:]
	}
	return nil
}

// compareDay compares a day on each sensor.
func (v *verifier) compareDay(day cowrie.Time, keys []dayKey) error {
	v.result.Days++
	var gaps []Gap
	all, nameless := newDayCounts(), false
	for _, k := range keys {
		c, sensor := v.days.counts[k], v.days.sensors[k.sensor]
		if g := c.gap(day, cmp.Or(sensor, "no sensor")); g != nil {
			gaps = append(gaps, *g)
		}
		all.add(&c)
		nameless = nameless || sensor == "" && c.expected > 0
	}
	if nameless && gaps != nil {
		// Which sensor the loader was told for events that name none is not known.
		gaps = nil
		if g := all.gap(day, "all sensors"); g != nil {
			gaps = append(gaps, *g)
		}
	}
	if gaps == nil {
		return nil
	}
	if day == cowrie.NoTime { // no day at all
		return v.tell(gaps, nil)
	}
	return v.tell(gaps, &cowrie.Mend{Days: []cowrie.Time{day}})
}

// gap returns how the two differ; nil if they do not.
func (c *dayCounts) gap(day cowrie.Time, sensor string) *Gap {
	var what []string
	for _, part := range []struct {
		differs bool
		name    string
	}{
		{c.found != c.expected, "events"},
		{c.failed != 0, "failed transfers"},
		{c.lastFound != c.lastExpected, "last event"},
		{c.quarters != 0, "quarters of an hour"},
		{c.logins != 0, "logins"},
	} {
		if part.differs {
			what = append(what, part.name)
		}
	}
	if what == nil {
		return nil
	}
	return &Gap{What: "days", Where: day.Std().Format(time.DateOnly) + ", " + sensor, Expected: c.expected, Found: c.found,
		Detail: "what is counted for reports is not what its events say: " + strings.Join(what, ", ")}
}
