package plain

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Bytes writes a size for people, in powers of 1,024: 512 B, 1.5 KiB, 180 MiB.
func Bytes(n int64) string {
	if n > -1024 && n < 1024 {
		return strconv.FormatInt(n, 10) + " B"
	}
	v, unit := float64(n), 0
	for math.Abs(v) >= 1023.5 {
		v /= 1024
		unit++
	}
	digits := 0
	if math.Abs(v) < 9.95 {
		digits = 1
	}
	return strconv.FormatFloat(v, 'f', digits, 64) + " " + "KMGTPE"[unit-1:unit] + "iB"
}

// Duration writes a time span for people: 350ms, 12.3s, 3m20s, 1h2m3s, 2d3h4m.
func Duration(d time.Duration) string {
	if d < 0 {
		if d == math.MinInt64 {
			d++
		}
		return "-" + Duration(-d)
	}
	switch {
	case d < time.Millisecond:
		return d.String()
	case d < 999500*time.Microsecond:
		return d.Round(time.Millisecond).String()
	case d < 59950*time.Millisecond:
		return d.Round(100 * time.Millisecond).String()
	}
	s := int64(d.Round(time.Second) / time.Second)
	days, h, m := s/86400, s/3600%24, s/60%60
	switch {
	case days > 0:
		return fmt.Sprintf("%dd%dh%dm", days, h, m)
	case h > 0:
		return fmt.Sprintf("%dh%dm%ds", h, m, s%60)
	default:
		return fmt.Sprintf("%dm%ds", m, s%60)
	}
}

// Count writes a number for people, in groups of three: 1,234,567.
func Count(n int64) string {
	digits := strconv.FormatInt(n, 10)
	var b strings.Builder
	if digits[0] == '-' {
		b.WriteByte('-')
		digits = digits[1:]
	}
	for i, c := range []byte(digits) {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteByte(c)
	}
	return b.String()
}
