package store

import (
	"cmp"
	"database/sql"
	"encoding/binary"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"midden/internal/cowrie"
)

// What is counted by the UTC day and the sensor of events, for reports. It is added to in
// the transaction of the events.

// dayText is a day as a column holds it.
func dayText(t cowrie.Time) string { return t.SQL()[:len(time.DateOnly)] }

// scanDay reads a day.
type scanDay struct{ t *cowrie.Time }

func (s scanDay) Scan(src any) error {
	if text, ok := src.(string); ok {
		src = text + "T00:00:00"
	}
	return scanTime(s).Scan(src)
}

// sensorDays asks for what is counted of days, but for logins.
const sensorDays = `SELECT day, sensor, events, failed_transfers, last_event_at, quarters FROM sensor_days`

func scanSensorDay(scan func(...any) error) (*cowrie.SensorDay, error) {
	d := &cowrie.SensorDay{}
	var packed sql.RawBytes
	if err := scan(scanDay{&d.Day}, &d.Sensor, &d.Events, &d.FailedTransfers, scanTime{&d.Last}, &packed); err != nil {
		return nil, err
	}
	d.Quarters = unpackQuarters(packed)
	return d, nil
}

// addDays adds the days of events that were not stored before.
func (a *appending) addDays(g *cowrie.Gathered) {
	for key, day := range g.Days {
		if have := a.days[key]; have != nil {
			have.Add(day)
		} else {
			a.days[key] = day
		}
	}
}

// flushDays stores the days.
func (a *appending) flushDays() error {
	known, err := a.knownDays()
	if err != nil {
		return err
	}
	a.storeDays(known)
	return nil
}

func (a *appending) storeDays(known map[cowrie.DayKey]bool) {
	days := a.insert("sensor_days", "day", "sensor", "events", "failed_transfers", "last_event_at", "quarters")
	columns := []string{"day", "sensor", "username", "password", "attempts", "successes"}
	fresh, more := a.insert("login_stats", columns...), a.insert("login_stats", columns...)
	more.tail = " ON CONFLICT (day, sensor, " + a.s.engine.LoginKey + `) DO UPDATE SET
		attempts = login_stats.attempts + excluded.attempts, successes = login_stats.successes + excluded.successes`
	for _, key := range slices.SortedFunc(maps.Keys(a.days), compareDays) {
		day, to := a.days[key], fresh
		if known[key] {
			// Nobody else writes meanwhile: what was read is what is there.
			a.later(`UPDATE sensor_days SET events = events + $1, failed_transfers = failed_transfers + $2,
				last_event_at = `+later("last_event_at", "$3")+`, quarters = $4 WHERE day = $5 AND sensor = $6`,
				day.Events, day.FailedTransfers, day.Last.String(), packQuarters(day.Quarters), dayText(key.Day), key.Sensor)
			to = more
		} else {
			days.row(dayText(key.Day), key.Sensor, day.Events, day.FailedTransfers, day.Last.String(), packQuarters(day.Quarters))
		}
		// Rows that are neighbours are stored one after the other.
		slices.SortFunc(day.Logins, func(x, y cowrie.Login) int {
			return cmp.Or(strings.Compare(x.Username, y.Username), strings.Compare(x.Password, y.Password))
		})
		for _, l := range day.Logins {
			to.row(dayText(key.Day), key.Sensor, l.Username, l.Password, l.Attempts, l.Successes)
		}
	}
	clear(a.days)
	days.done()
	fresh.done()
	more.done()
}

// knownDays returns which of the days there are already, and adds their quarters.
func (a *appending) knownDays() (map[cowrie.DayKey]bool, error) {
	known := map[cowrie.DayKey]bool{}
	err := a.ofDays(maps.Keys(a.days), `SELECT day, sensor, quarters FROM sensor_days WHERE `, "", func(scan func(...any) error) error {
		var key cowrie.DayKey
		var packed []byte
		err := scan(scanDay{&key.Day}, &key.Sensor, &packed)
		if day := a.days[key]; day != nil {
			known[key] = true
			day.AddQuarters(unpackQuarters(packed))
		}
		return err
	})
	return known, err
}

// remakeDay counts a day anew, out of its events; not if some of them were dropped
// meanwhile.
func (a *appending) remakeDay(day cowrie.Time) error {
	span := cowrie.Span{From: day, To: day + cowrie.DayLength}
	var dropped bool
	if err := a.row(`SELECT EXISTS (SELECT 1 FROM dropped_segments WHERE last_event_at >= $1 AND first_event_at < $2)`,
		bounds(span), &dropped); err != nil || dropped {
		return err
	}
	tx, err := a.settled()
	if err != nil {
		return err
	}
	days, err := a.s.dayParts(a.ctx, tx, span)
	if err != nil {
		return err
	}
	for _, table := range []string{"sensor_days", "login_stats"} {
		if err := a.exec(`DELETE FROM `+table+` WHERE day = $1`, dayText(day)); err != nil {
			return err
		}
	}
	a.days = days
	return a.flushDays()
}

// ofDays calls f for each row of a query that has one of some days, and one of some sensors.
func (a *appending) ofDays(keys iter.Seq[cowrie.DayKey], query, behind string, f func(scan func(...any) error) error) error {
	days, sensors := map[any]bool{}, map[any]bool{}
	for key := range keys {
		days[dayText(key.Day)], sensors[key.Sensor] = true, true
	}
	return a.s.inLists(slices.Collect(maps.Keys(days)), func(dayList string, dayArgs []any) error {
		return a.s.inLists(slices.Collect(maps.Keys(sensors)), func(sensorList string, sensorArgs []any) error {
			return a.each(query+`day `+dayList+` AND sensor `+sensorList+behind, slices.Concat(dayArgs, sensorArgs), f)
		})
	})
}

// compareDays puts days in order.
func compareDays(x, y cowrie.DayKey) int {
	return cmp.Or(cmp.Compare(x.Day, y.Day), strings.Compare(x.Sensor, y.Sensor))
}

// packQuarters returns quarters as a column holds them: three numbers each, as
// binary.AppendUvarint writes them: how many quarters behind the one before it, or
// behind the beginning of the day, its events, and its attempts to log in.
func packQuarters(quarters []cowrie.Quarter) []byte {
	b := make([]byte, 0, 4*len(quarters))
	last := int64(0)
	for _, q := range quarters {
		for _, n := range []int64{q.Of - last, q.Events, q.Logins} {
			b = binary.AppendUvarint(b, uint64(n))
		}
		last = q.Of
	}
	return b
}

func unpackQuarters(b []byte) (quarters []cowrie.Quarter) {
	next := func() int64 {
		n, size := binary.Uvarint(b)
		b = b[max(size, 0):]
		if size <= 0 {
			b = nil
		}
		return int64(n)
	}
	of := int64(0)
	for len(b) > 0 {
		of += next()
		quarters = append(quarters, cowrie.Quarter{Of: of, Events: next(), Logins: next()})
	}
	return quarters
}
