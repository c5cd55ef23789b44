package synth

import "time"

// Times are microseconds since 1970.
const (
	second = int64(1_000_000)
	minute = 60 * second
	day    = 24 * 60 * minute
)

// clock writes timestamps. It remembers the day, which changes seldom.
type clock struct {
	set  bool
	day  int64 // since 1970
	date [11]byte
}

// dayOf returns the number of the day, since 1970, that a time is in.
func dayOf(at int64) int64 {
	d := at / day
	if at%day < 0 {
		d--
	}
	return d
}

// append appends the timestamp as Cowrie writes it. Python's isoformat, in
// the first versions, leaves out a fraction of zero.
func (c *clock) append(b []byte, at int64, isoformat bool) []byte {
	d := dayOf(at)
	if !c.set || d != c.day {
		c.day, c.set = d, true
		copy(c.date[:], time.UnixMicro(d*day).UTC().AppendFormat(nil, "2006-01-02T"))
	}
	b = append(b, c.date[:]...)
	left := at - d*day
	sec, micro := left/second, left%second
	b = appendDigits(b, sec/3600, 2)
	b = append(b, ':')
	b = appendDigits(b, sec/60%60, 2)
	b = append(b, ':')
	b = appendDigits(b, sec%60, 2)
	if micro != 0 || !isoformat {
		b = append(b, '.')
		b = appendDigits(b, micro, 6)
	}
	return append(b, 'Z')
}

// appendDigits appends the last width digits of n, zeros first.
func appendDigits(b []byte, n int64, width int) []byte {
	var d [8]byte
	for i := width - 1; i >= 0; i-- {
		d[i] = byte('0' + n%10)
		n /= 10
	}
	return append(b, d[:width]...)
}

// fileTime returns a time as the first versions put it into a file's name.
func fileTime(at int64) string {
	return time.UnixMicro(at).UTC().Format("20060102-150405")
}
