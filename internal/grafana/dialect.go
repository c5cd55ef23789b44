package grafana

import (
	"fmt"
	"maps"
	"slices"
	"text/template"
)

// dialects are the functions of the statements. Grafana replaces what begins with $; its
// macros take a bare column, since they end at the first closing parenthesis. A time
// is compared as it is stored, so that an index finds it.
//
//	during C     the time in the column C is one of the dashboard's
//	days C       the same of a UTC day
//	bucket C     the beginning of the stretch of a series that the time is in
//	day C        a UTC day as the time of a series
//	sensor C     the sensor is one of those chosen
//	sessions C   as during, of a time of session_summaries
//	time C       a time of session_summaries, for a table
//	epoch E      a time as seconds since 1970
//	now          seconds since 1970
var dialects = map[string]template.FuncMap{
	"postgresql": {
		"during": func(c string) string { return fmt.Sprintf("$__timeFilter(%s)", c) },
		"days": func(c string) string {
			return fmt.Sprintf("%s BETWEEN date(timezone('UTC', $__timeFrom()::timestamptz)) AND date(timezone('UTC', $__timeTo()::timestamptz))", c)
		},
		"bucket":   func(c string) string { return fmt.Sprintf("$__timeGroup(%s, $__interval)", c) },
		"day":      func(c string) string { return fmt.Sprintf("extract(epoch FROM %s)", c) },
		"sessions": func(c string) string { return fmt.Sprintf("$__timeFilter(%s)", c) },
		"sensor":   sensorChosen,
		"time":     func(c string) string { return c },
		"epoch":    func(c string) string { return fmt.Sprintf("extract(epoch FROM %s)", c) },
		"now":      func() string { return "extract(epoch FROM now())" },
	},
	"sqlite": {
		"during": func(c string) string { return between(c, "%Y-%m-%dT%H:%M:%S") },
		"days":   func(c string) string { return between(c, "%Y-%m-%d") },
		"bucket": func(c string) string {
			return fmt.Sprintf("unixepoch(%s) / ($__interval_ms / 1000) * ($__interval_ms / 1000)", c)
		},
		"day":      func(c string) string { return fmt.Sprintf("unixepoch(%s)", c) },
		"sessions": func(c string) string { return between(c, "%Y-%m-%d %H:%M:%S") },
		"sensor":   sensorChosen,
		"time":     func(c string) string { return fmt.Sprintf("replace(%s, ' ', 'T') || 'Z'", c) },
		"epoch":    func(c string) string { return fmt.Sprintf("unixepoch(%s)", c) },
		"now":      func() string { return "unixepoch()" },
	},
}

// between compares a text of SQLite, which may go on with a fraction of a second, with
// the dashboard's times, which Grafana tells in milliseconds.
func between(column, form string) string {
	return fmt.Sprintf("%[1]s BETWEEN strftime('%[2]s', $__from / 1000, 'unixepoch') AND strftime('%[2]s', $__to / 1000, 'unixepoch')", column, form)
}

func sensorChosen(column string) string {
	return fmt.Sprintf("COALESCE(%s, '') IN (${sensor:sqlstring})", column)
}

func sortedKeys(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }
