package store

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"midden/internal/cowrie"
)

// Times stand in two forms: in columns that cowrieprocessor made, in its own,
// so that it can go on reading them; in all others as RFC 3339.

// earlier and later are expressions for the earlier and the later of two times,
// of which either may be NULL.
func earlier(x, y string) string {
	return "CASE WHEN " + x + " <= " + y + " THEN " + x + " ELSE coalesce(" + y + ", " + x + ") END"
}

func later(x, y string) string {
	return "CASE WHEN " + x + " >= " + y + " THEN " + x + " ELSE coalesce(" + y + ", " + x + ") END"
}

// timeText is a time for a column of midden's own.
func timeText(t cowrie.Time) any { return orNull(t.String()) }

// timeSQL is a time for a column of cowrieprocessor's.
func timeSQL(t cowrie.Time) any { return orNull(t.SQL()) }

// bound is a time that rows are compared with, in the form of their column. Where it has no
// text, it is before or behind all that have one: PostgreSQL knows these words, and as texts
// they sort so.
func bound(text func(cowrie.Time) string, t cowrie.Time) string {
	switch {
	case t < cowrie.MinTime:
		return "-infinity"
	case t > cowrie.MaxTime:
		return "infinity"
	}
	return text(t)
}

// bounds are those of a span, for columns of midden's own.
func bounds(span cowrie.Span) []any {
	return []any{bound(cowrie.Time.String, span.From), bound(cowrie.Time.String, span.To)}
}

// orNull is NULL for the empty text.
func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func orNull64(n int64, null bool) any {
	if null {
		return nil
	}
	return n
}

// scanTime reads a time in any of the forms; what is none is NoTime.
type scanTime struct{ t *cowrie.Time }

func (s scanTime) Scan(src any) error {
	*s.t = cowrie.NoTime
	switch v := src.(type) {
	case string:
		*s.t, _ = cowrie.ParseTime([]byte(v))
	case []byte:
		*s.t, _ = cowrie.ParseTime(v)
	case time.Time:
		*s.t = cowrie.Time(v.UnixMicro())
	}
	return nil
}

// scanText reads a text that may be NULL, which is "".
type scanText struct{ s *string }

func (s scanText) Scan(src any) error {
	if text, ok := src.(string); ok {
		*s.s = text
		return nil
	}
	var n sql.NullString
	err := n.Scan(src)
	*s.s = n.String
	return err
}

// scanFloat reads a number that may be NULL, which is -1.
type scanFloat struct{ f *float64 }

func (s scanFloat) Scan(src any) error {
	var n sql.NullFloat64
	err := n.Scan(src)
	*s.f = -1
	if n.Valid {
		*s.f = n.Float64
	}
	return err
}

// scanJSON reads JSON into what it points to.
type scanJSON struct{ into any }

func (s scanJSON) Scan(src any) error {
	switch v := src.(type) {
	case string:
		return json.Unmarshal([]byte(v), s.into)
	case []byte:
		return json.Unmarshal(v, s.into)
	}
	return fmt.Errorf("%T is no JSON", src)
}

func jsonText(v any) (string, error) {
	text, err := json.Marshal(v)
	return string(text), err
}
