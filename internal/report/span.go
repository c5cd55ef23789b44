package report

import (
	"fmt"
	"slices"
	"time"

	"midden/internal/cowrie"
)

// span is the time of a report, as far as it counts.
type span struct {
	cowrie.Span // up to the moment of which the report is
	// days are where the days of the period begin, and where the last one ends.
	days []cowrie.Time
}

func newPeriod(r Request) span {
	s := span{Span: cowrie.Span{From: r.From, To: min(r.To, r.AsOf+1), Sensor: r.Sensor}}
	s.To = max(s.To, s.From)
	for day := civil(r.From.Std().In(r.Location)); ; day = day.AddDate(0, 0, 1) {
		at := cowrie.FromStd(begins(day, r.Location))
		if len(s.days) == 0 || at > s.days[len(s.days)-1] {
			s.days = append(s.days, at)
		}
		if at >= r.To {
			return s
		}
	}
}

// before returns the request for the period before, of the same kind.
func (r Request) before() Request {
	first, end := civil(r.From.Std().In(r.Location)), civil(r.To.Std().In(r.Location))
	switch {
	case r.Type == Monthly:
		first, end = first.AddDate(0, -1, 0), first
	default:
		first, end = first.Add(-end.Sub(first)), first
	}
	r.From, r.To = cowrie.FromStd(begins(first, r.Location)), cowrie.FromStd(begins(end, r.Location))
	return r
}

// date is the name of the period.
func (r Request) date() string {
	first := r.From.Std().In(r.Location)
	switch r.Type {
	case Daily:
		return first.Format(time.DateOnly)
	case Weekly:
		return yearWeek(first)
	case Monthly:
		return first.Format("2006-01")
	}
	return r.dateRange()
}

// dateRange is the first and the last day.
func (r Request) dateRange() string {
	return r.From.Std().In(r.Location).Format(time.DateOnly) + "/" + (r.To - 1).Std().In(r.Location).Format(time.DateOnly)
}

func yearWeek(t time.Time) string {
	year, week := t.ISOWeek()
	return fmt.Sprintf("%04d-W%02d", year, week)
}

// dayOf returns which day of the period a time is in.
func (s *span) dayOf(t cowrie.Time) int {
	i, found := slices.BinarySearch(s.days, t)
	if !found {
		i--
	}
	return min(max(i, 0), len(s.days)-2)
}

// cut returns a stretch of the span.
func (s *span) cut(from, to cowrie.Time) cowrie.Span {
	return cowrie.Span{From: from, To: to, Sensor: s.Sensor}
}

// firstWhole and endWhole are from where to where there are whole days in UTC.
func (s *span) firstWhole() cowrie.Time { return cowrie.Day(s.From + cowrie.DayLength - 1) }
func (s *span) endWhole() cowrie.Time   { return max(cowrie.Day(s.To), s.firstWhole()) }

// whole returns the whole days in UTC.
func (s *span) whole() (days []cowrie.Time) {
	for day := s.firstWhole(); day < s.endWhole(); day += cowrie.DayLength {
		days = append(days, day)
	}
	return days
}

// parts returns what is left of the span at its ends, in order: at most two stretches.
func (s *span) parts() (parts []cowrie.Span) {
	first, end := s.firstWhole(), s.endWhole()
	if first > s.To { // all of it is in one day
		if s.From < s.To {
			parts = append(parts, s.cut(s.From, s.To))
		}
		return parts
	}
	if s.From < first {
		parts = append(parts, s.cut(s.From, first))
	}
	if end < s.To {
		parts = append(parts, s.cut(end, s.To))
	}
	return parts
}

// pieces returns the span by days in UTC, so that several can be looked at at the same time.
func (s *span) pieces() (pieces []cowrie.Span) {
	for at := s.From; at < s.To; {
		next := min(cowrie.Day(at)+cowrie.DayLength, s.To)
		pieces = append(pieces, s.cut(at, next))
		at = next
	}
	return pieces
}
