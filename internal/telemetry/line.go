package telemetry

import (
	"fmt"
	"log/slog"
	"strings"
	"time"

	"midden/internal/plain"
)

// harmless makes text fit for a line on a terminal.
func harmless(s string) string { return plain.Escape(plain.Defang(s)) }

func levelName(l slog.Level) string { return strings.ToLower(l.String()) }

// appendAttr appends " key=value", or that for each member of a group.
func appendAttr(b []byte, prefix string, a slog.Attr) []byte {
	v := a.Value.Resolve()
	if a.Equal(slog.Attr{}) {
		return b
	}
	if v.Kind() == slog.KindGroup {
		if a.Key != "" {
			prefix += a.Key + "."
		}
		for _, member := range v.Group() {
			b = appendAttr(b, prefix, member)
		}
		return b
	}
	b = append(b, ' ')
	b = append(b, word(prefix+a.Key)...)
	b = append(b, '=')
	return append(b, word(valueText(v))...)
}

func valueText(v slog.Value) string {
	switch v.Kind() {
	case slog.KindTime:
		return v.Time().UTC().Format(time.RFC3339Nano)
	case slog.KindDuration:
		return plain.Duration(v.Duration())
	case slog.KindAny:
		return fmt.Sprint(v.Any()) // prefers Error and String, and survives their panics
	}
	return v.String()
}

// word writes s as it is, or in quotes where it would not read as one word.
func word(s string) string {
	s = plain.Defang(s)
	if s == "" || strings.ContainsAny(s, " =\"") {
		return plain.Quote(s)
	}
	return plain.Escape(s)
}
