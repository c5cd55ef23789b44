package cowrie

import (
	"fmt"
	"math"
	"time"
)

// Time is an instant in microseconds since 1970-01-01T00:00:00Z.
type Time int64

// NoTime stands for an event that does not say when it happened.
const NoTime Time = math.MinInt64

// Std returns t as a time.Time in UTC; the zero time for NoTime.
func (t Time) Std() time.Time {
	if t == NoTime {
		return time.Time{}
	}
	return time.UnixMicro(int64(t)).UTC()
}

// FromStd returns the instant, cut to microseconds; NoTime for the zero time.
func FromStd(t time.Time) Time {
	if t.IsZero() {
		return NoTime
	}
	return Time(t.UnixMicro())
}

// String returns RFC 3339 with microseconds and Z, "" for NoTime. The text of
// an earlier instant sorts before the text of a later one.
func (t Time) String() string {
	if t == NoTime {
		return ""
	}
	return string(t.append(make([]byte, 0, 27), 'T', true))
}

// MarshalJSON writes a time as String does, and null for NoTime.
func (t Time) MarshalJSON() ([]byte, error) {
	if t == NoTime {
		return []byte("null"), nil
	}
	b := append(make([]byte, 0, 29), '"')
	return append(t.append(b, 'T', true), '"'), nil
}

// UnmarshalJSON reads what MarshalJSON writes, and any other form that ParseTime
// knows.
func (t *Time) UnmarshalJSON(text []byte) error {
	if string(text) == "null" {
		*t = NoTime
		return nil
	}
	if n := len(text); n >= 2 && text[0] == '"' {
		if at, ok := ParseTime(text[1 : n-1]); ok {
			*t = at
			return nil
		}
	}
	return fmt.Errorf("%s is no time", text)
}

// SQL returns the form that cowrieprocessor's DATETIME columns hold, UTC
// without a zone: "2006-01-02 15:04:05.000000"; "" for NoTime.
func (t Time) SQL() string {
	if t == NoTime {
		return ""
	}
	return string(t.append(make([]byte, 0, 26), ' ', false))
}

func (t Time) append(b []byte, sep byte, zulu bool) []byte {
	std := t.Std()
	year, month, day := std.Date()
	hour, minute, second := std.Clock()
	micro := std.Nanosecond() / 1000
	b = append(b, byte('0'+year/1000), byte('0'+year/100%10), byte('0'+year/10%10), byte('0'+year%10), '-',
		byte('0'+month/10), byte('0'+month%10), '-', byte('0'+day/10), byte('0'+day%10), sep,
		byte('0'+hour/10), byte('0'+hour%10), ':', byte('0'+minute/10), byte('0'+minute%10), ':',
		byte('0'+second/10), byte('0'+second%10), '.',
		byte('0'+micro/100000), byte('0'+micro/10000%10), byte('0'+micro/1000%10),
		byte('0'+micro/100%10), byte('0'+micro/10%10), byte('0'+micro%10))
	if zulu {
		b = append(b, 'Z')
	}
	return b
}

// ParseTime reads the forms that Cowrie has written over the years:
// 2006-01-02T15:04:05 with a space or a T, with or without a fraction, and
// with Z, +0200, +02:00 or nothing (which is UTC) behind it. A fraction finer
// than a microsecond is cut off; second 60 is the next minute's second 0.
func ParseTime(b []byte) (Time, bool) {
	if len(b) < 19 || b[4] != '-' || b[7] != '-' || (b[10] != 'T' && b[10] != ' ') || b[13] != ':' || b[16] != ':' {
		return NoTime, false
	}
	ok := true
	num := func(i, j int) int {
		n := 0
		for ; i < j; i++ {
			d := b[i] - '0'
			if d > 9 {
				ok = false
				return 0
			}
			n = n*10 + int(d)
		}
		return n
	}
	year, month, day := num(0, 4), num(5, 7), num(8, 10)
	hour, minute, second := num(11, 13), num(14, 16), num(17, 19)
	if !ok || year < 1 || month < 1 || month > 12 || day < 1 || day > daysIn(year, month) ||
		hour > 23 || minute > 59 || second > 60 {
		return NoTime, false
	}
	i, micro := 19, 0
	if i < len(b) && b[i] == '.' {
		i++
		from := i
		for scale := 100000; i < len(b) && b[i]-'0' <= 9; i++ {
			micro += int(b[i]-'0') * scale
			scale /= 10
		}
		if i == from {
			return NoTime, false
		}
	}
	offset := 0
	switch zone := b[i:]; {
	case len(zone) == 0, len(zone) == 1 && (zone[0] == 'Z' || zone[0] == 'z'):
	case (zone[0] == '+' || zone[0] == '-') && (len(zone) == 5 || len(zone) == 6 && zone[3] == ':'):
		h, m := num(i+1, i+3), num(len(b)-2, len(b))
		if !ok || h > 23 || m > 59 {
			return NoTime, false
		}
		offset = h*3600 + m*60
		if zone[0] == '-' {
			offset = -offset
		}
	default:
		return NoTime, false
	}
	t := days(year, month, day)*86400 + int64(hour*3600+minute*60+second-offset)
	micros := Time(t*1e6 + int64(micro))
	if micros < MinTime || micros > MaxTime {
		return NoTime, false
	}
	return micros, true
}

// The instants whose text has four digits of year: there are no others.
var (
	MinTime = Time(time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC).UnixMicro())
	MaxTime = Time(time.Date(9999, 12, 31, 23, 59, 59, 999999000, time.UTC).UnixMicro())
)

func daysIn(year, month int) int {
	switch month {
	case 4, 6, 9, 11:
		return 30
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	}
	return 31
}

// days returns the days from 1970-01-01 to a day of the Gregorian calendar,
// counted with March as the first month so that leap days come last.
func days(year, month, day int) int64 {
	if month <= 2 {
		year--
		month += 12
	}
	era := year / 400
	ofEra := year % 400
	ofYear := (153*(month-3)+2)/5 + day - 1
	return int64(era*146097 + ofEra*365 + ofEra/4 - ofEra/100 + ofYear - 719468)
}

// Month returns the beginning of the month of t, in UTC; NoTime for NoTime.
func Month(t Time) Time {
	if t == NoTime {
		return NoTime
	}
	year, month, _ := t.Std().Date()
	return Time(time.Date(year, month, 1, 0, 0, 0, 0, time.UTC).UnixMicro())
}
