package render

import "fmt"

// Format is one of the four forms of output.
type Format string

// The forms, as they are written on the command line.
const (
	Table Format = "table"
	JSON  Format = "json"
	JSONL Format = "jsonl"
	CSV   Format = "csv"
)

// ParseFormat reads the name of a format, in lower case as it is documented.
func ParseFormat(s string) (Format, error) {
	switch f := Format(s); f {
	case Table, JSON, JSONL, CSV:
		return f, nil
	}
	return "", fmt.Errorf("unknown output format %s: want table, json, jsonl or csv", quote(s))
}
