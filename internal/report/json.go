package report

import (
	"bytes"
	"encoding/json"

	"midden/internal/plain"
)

// JSON returns the report as JSON: on one line, or each key on its own, indented and
// with a prefix before each line but the first. It is exact, save that a byte that is
// not UTF-8 becomes U+FFFD, and harmless on a terminal.
func (d *Document) JSON(lines bool, prefix string) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if lines {
		e.SetIndent(prefix, "  ")
	}
	if err := e.Encode(d); err != nil {
		return nil, err
	}
	return plain.EscapeJSON(bytes.TrimSuffix(b.Bytes(), []byte("\n"))), nil
}
