package render

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"io"
	"strings"
	"unicode"

	"midden/internal/plain"
)

// csvRows writes a header and one record a row.
type csvRows struct {
	buf    *bufio.Writer
	w      *csv.Writer
	head   []string
	begun  bool
	record []string
}

func newCSV(w io.Writer, columns []Column) *csvRows {
	buf := bufio.NewWriterSize(w, bufferSize)
	c := &csvRows{buf: buf, w: csv.NewWriter(buf), record: make([]string, len(columns))}
	for _, col := range columns {
		c.head = append(c.head, csvText(col.Name))
	}
	return c
}

func (c *csvRows) row(values []value) error {
	if err := c.header(); err != nil {
		return err
	}
	for i, v := range values {
		c.record[i] = csvCell(v)
	}
	return c.write(c.record)
}

// csvCell is v as a cell. JSON stays JSON, in one line and with escapes of its
// own for what cannot be seen.
func csvCell(v value) string {
	if raw, ok := v.(json.RawMessage); ok && len(raw) > 0 && (raw[0] == '[' || raw[0] == '{') {
		var line bytes.Buffer
		if err := json.Compact(&line, raw); err == nil {
			return string(plain.EscapeJSON(line.Bytes()))
		}
	}
	text, number := exact(v)
	if number {
		return text
	}
	return csvText(text)
}

func (c *csvRows) header() error {
	if c.begun {
		return nil
	}
	c.begun = true
	return c.write(c.head)
}

// write writes a record. One empty field would be an empty line, which readers
// skip: it is written as "".
func (c *csvRows) write(record []string) error {
	if len(record) != 1 || record[0] != "" {
		return c.w.Write(record)
	}
	c.w.Flush()
	if err := c.w.Error(); err != nil {
		return err
	}
	_, err := c.buf.WriteString("\"\"\n")
	return err
}

func (c *csvRows) flush() error {
	if err := c.header(); err != nil {
		return err
	}
	c.w.Flush()
	if err := c.w.Error(); err != nil {
		return err
	}
	return c.buf.Flush()
}

func (c *csvRows) end() error { return c.flush() }

// csvText makes s fit for a cell: escaped, and with a ' in front if a
// spreadsheet would take it for a formula.
func csvText(s string) string {
	escaped := Escape(s)
	if startsFormula(s) || startsFormula(escaped) {
		return "'" + escaped
	}
	return escaped
}

// startsFormula reports whether s starts with a sign that makes a spreadsheet
// calculate. White space, quotes and characters that are not seen may stand
// before it: importers drop them.
func startsFormula(s string) bool {
	rest := strings.TrimLeftFunc(s, func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r) || unicode.Is(unicode.Cf, r) ||
			strings.ContainsRune("\"'`‘’“”＂＇", r)
	})
	return strings.ContainsAny(s[:len(s)-len(rest)], "\t\r") ||
		strings.IndexAny(rest, "=+-@＝＋－＠﹦﹢﹣﹫") == 0
}
