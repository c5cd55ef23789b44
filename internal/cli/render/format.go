package render

import (
	"fmt"
	"slices"
	"strings"
)

// Format is one of the forms of output.
type Format string

// The forms, as they are written on the command line.
const (
	Table Format = "table"
	JSON  Format = "json"
	JSONL Format = "jsonl"
	CSV   Format = "csv"
)

// ParseFormat reads the name of a format, in lower case as it is documented: one of
// the four, or one of those that a command has besides and writes itself.
func ParseFormat(s string, besides ...Format) (Format, error) {
	all := append([]Format{Table, JSON, JSONL, CSV}, besides...)
	if slices.Contains(all, Format(s)) {
		return Format(s), nil
	}
	names := make([]string, len(all))
	for i, f := range all {
		names[i] = string(f)
	}
	last := len(names) - 1
	return "", fmt.Errorf("unknown output format %s: want %s or %s", quote(s), strings.Join(names[:last], ", "), names[last])
}
