package synth

import (
	"strconv"
	"time"
)

const (
	second = int64(time.Second / time.Microsecond)
	day    = 24 * 60 * 60 * second
)

// zone is how a sensor writes its timestamps' zone, and whether a fraction of
// zero is left out.
type zone struct {
	offset time.Duration
	suffix string // "Z", "+0000", "+0200"
	bare   bool
}

// clock writes times as Cowrie does: 2026-01-01T00:00:00.000000Z. It remembers
// the day that it wrote last. Times are microseconds since 1970.
type clock struct {
	zone
	day  int64
	date [10]byte
	set  bool
}

func (c *clock) append(b []byte, at int64) []byte {
	at += c.offset.Microseconds()
	if d := at / day; d != c.day || !c.set {
		c.day, c.set = d, true
		time.UnixMicro(at).UTC().AppendFormat(c.date[:0], time.DateOnly)
	}
	b = append(b, c.date[:]...)
	b = append(b, 'T')
	rest := at % day
	fraction, rest := rest%second, rest/second
	b = appendDigits(b, rest/3600, 2)
	b = append(b, ':')
	b = appendDigits(b, rest/60%60, 2)
	b = append(b, ':')
	b = appendDigits(b, rest%60, 2)
	if fraction != 0 || !c.bare {
		b = append(b, '.')
		b = appendDigits(b, fraction, 6)
	}
	return append(b, c.suffix...)
}

// appendDigits writes n with leading zeros.
func appendDigits(b []byte, n int64, width int) []byte {
	var digits [20]byte
	for i := width - 1; i >= 0; i-- {
		digits[i] = byte('0' + n%10)
		n /= 10
	}
	return append(b, digits[:width]...)
}

// appendSeconds writes a span of microseconds as Python writes a float of
// seconds, the digits below a microsecond included.
func appendSeconds(b []byte, span int64, below int) []byte {
	b = strconv.AppendInt(b, span/second, 10)
	b = append(b, '.')
	b = appendDigits(b, span%second, 6)
	return appendDigits(b, int64(below%999_999_999)*10+1, 10) // never ends in 0: Python would drop it
}

// appendTenths writes a span of microseconds in seconds with one decimal.
func appendTenths(b []byte, span int64) []byte {
	tenths := (span + second/20) / (second / 10)
	b = strconv.AppendInt(b, tenths/10, 10)
	return append(b, '.', byte('0'+tenths%10))
}
