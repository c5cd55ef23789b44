package report

import (
	"fmt"
	"regexp"
	"strconv"
	"time"

	"midden/internal/cowrie"
)

// The kinds of periods that have names. A report of other days is custom.
const (
	Daily   = "daily"
	Weekly  = "weekly"
	Monthly = "monthly"
	Custom  = "custom"
)

// Forms says how the periods of each kind are written.
var Forms = map[string]string{Daily: "2026-03-28", Weekly: "2026-W13", Monthly: "2026-03"}

// Named returns the request for the period that a date names: 2026-03-28, 2026-W13
// or 2026-03. A week or a month may be named by one of its days, too. Weeks are those
// of ISO 8601: they begin on Monday, and the first one has the year's first Thursday.
func Named(kind, date string, at *time.Location) (Request, error) {
	day, err := parseDay(date)
	if err != nil {
		day, err = parsePeriod(kind, date)
	}
	if err != nil {
		return Request{}, err
	}
	return around(kind, day, at), nil
}

// Last returns the request for the last period of a kind that was over at a time.
func Last(kind string, asOf time.Time, at *time.Location) Request {
	now := around(kind, civil(asOf.In(at)), at)
	return around(kind, civil(now.From.Std().In(at)).AddDate(0, 0, -1), at)
}

// Between returns the request for the days from one to another, both included. Without
// the other it is up to the last day that was over at a time.
func Between(from, to string, asOf time.Time, at *time.Location) (Request, error) {
	first, err := parseDay(from)
	if err != nil {
		return Request{}, err
	}
	last := civil(asOf.In(at)).AddDate(0, 0, -1)
	if to != "" {
		if last, err = parseDay(to); err != nil {
			return Request{}, err
		}
	}
	if last.Before(first) {
		return Request{}, fmt.Errorf("there is no day from %s to %s", from, last.Format(time.DateOnly))
	}
	return request(Custom, first, last.AddDate(0, 0, 1), at), nil
}

// A day of the calendar is the time at which it begins in UTC.

func civil(t time.Time) time.Time {
	year, month, day := t.Date()
	return time.Date(year, month, day, 0, 0, 0, 0, time.UTC)
}

func parseDay(s string) (time.Time, error) {
	day, err := time.Parse(time.DateOnly, s)
	if err != nil || day.Year() < 1 || day.Year() > 9998 {
		return time.Time{}, fmt.Errorf("%q is no day: one is written %s", s, Forms[Daily])
	}
	return day, nil
}

var weekForm = regexp.MustCompile(`^(\d{4})-?[Ww](\d{2})$`)

// parsePeriod returns a day of a period.
func parsePeriod(kind, s string) (time.Time, error) {
	switch kind {
	case Weekly:
		if m := weekForm.FindStringSubmatch(s); m != nil {
			year, _ := strconv.Atoi(m[1])
			week, _ := strconv.Atoi(m[2])
			// The fourth of January is always in the first week.
			day := time.Date(year, 1, 4, 0, 0, 0, 0, time.UTC).AddDate(0, 0, 7*(week-1))
			if y, w := day.ISOWeek(); y == year && w == week && year > 0 && year < 9999 {
				return day, nil
			}
			return time.Time{}, fmt.Errorf("there is no week %q", s)
		}
		return time.Time{}, fmt.Errorf("%q is no week: one is written %s, or as one of its days, %s", s, Forms[Weekly], Forms[Daily])
	case Monthly:
		if day, err := parseDay(s + "-01"); err == nil {
			return day, nil
		}
		return time.Time{}, fmt.Errorf("%q is no month: one is written %s, or as one of its days, %s", s, Forms[Monthly], Forms[Daily])
	}
	return parseDay(s)
}

// around returns the request for the period that a day is in.
func around(kind string, day time.Time, at *time.Location) Request {
	switch kind {
	case Weekly:
		monday := day.AddDate(0, 0, -(int(day.Weekday())+6)%7)
		return request(kind, monday, monday.AddDate(0, 0, 7), at)
	case Monthly:
		first := day.AddDate(0, 0, 1-day.Day())
		return request(kind, first, first.AddDate(0, 1, 0), at)
	}
	return request(kind, day, day.AddDate(0, 0, 1), at)
}

func request(kind string, first, end time.Time, at *time.Location) Request {
	return Request{Type: kind, Location: at, From: cowrie.FromStd(begins(first, at)), To: cowrie.FromStd(begins(end, at))}
}

// begins returns the first moment of a day where clocks are as told. That need not be
// midnight: some are put forward then, and others from one o'clock back to it.
func begins(day time.Time, at *time.Location) time.Time {
	year, month, d := day.Date()
	noon := time.Date(year, month, d, 12, 0, 0, 0, at)
	midnight := func(t time.Time) time.Time { // by the clock of t
		_, offset := t.Zone()
		return day.Add(-time.Duration(offset) * time.Second).In(at)
	}
	change, _ := noon.ZoneBounds()
	m := midnight(noon)
	if change.IsZero() || m.After(change) {
		return m
	}
	if before := midnight(change.Add(-1)); before.Before(change) {
		return before
	}
	return change
}
