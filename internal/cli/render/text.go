package render

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"time"

	"midden/internal/plain"
)

// timeForm is RFC 3339 with microseconds, for times in UTC.
const timeForm = "2006-01-02T15:04:05.000000Z"

func timeText(t time.Time) string { return t.UTC().Format(timeForm) }

// seconds writes d as a decimal number of seconds, exactly.
func seconds(d time.Duration) string {
	whole, rest := int64(d/time.Second), int64(d%time.Second)
	sign := ""
	if d < 0 {
		sign, whole, rest = "-", -whole, -rest
	}
	s := sign + strconv.FormatInt(whole, 10)
	if rest == 0 {
		return s
	}
	fraction := strconv.FormatInt(int64(time.Second)+rest, 10)[1:]
	return s + "." + strings.TrimRight(fraction, "0")
}

// exact is v as text, with no regard to who reads it; number says that the text
// is a number that this program wrote.
func exact(v value) (text string, number bool) {
	switch v := v.(type) {
	case string:
		return v, false
	case int64:
		return strconv.FormatInt(v, 10), true
	case uint64:
		return strconv.FormatUint(v, 10), true
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64), true
	case bool:
		return strconv.FormatBool(v), false
	case time.Time:
		return timeText(v), false
	case time.Duration:
		return seconds(v), true
	case []string:
		return strings.Join(v, ", "), false
	case json.RawMessage:
		return string(v), false
	}
	return "", false
}

// human is v as a table shows it: one line, harmless on a terminal.
func human(k Kind, v value) string {
	if v == nil {
		return "-"
	}
	switch v := v.(type) {
	case bool:
		if v {
			return "yes"
		}
		return "no"
	case time.Duration:
		return plain.Duration(v)
	case int64:
		switch {
		case k == Bytes:
			return plain.Bytes(v)
		case k == Duration && v > -maxSeconds && v < maxSeconds:
			return plain.Duration(time.Duration(v) * time.Second)
		}
	case float64:
		if k == Duration && math.Abs(v) < float64(maxSeconds) {
			return plain.Duration(time.Duration(v * float64(time.Second)))
		}
	}
	text, _ := exact(v)
	return Escape(Defang(text))
}

// maxSeconds is how many seconds a time.Duration holds.
const maxSeconds = int64(math.MaxInt64 / time.Second)
