package render

import (
	"fmt"
	"io"
	"strings"

	"midden/internal/plain"
)

// Field is one field of a record.
type Field struct {
	Name  string // the key in JSON and the head of the column in CSV
	Title string // the name in a table; Name in words if empty
	Kind  Kind
	Value any // as in Writer.Row
}

func (f Field) title() string {
	title := f.Title
	if title == "" {
		title = words(f.Name)
		if title != "" {
			title = strings.ToUpper(title[:1]) + title[1:]
		}
	}
	return Escape(title) + ":"
}

// Record writes one object, its fields in order: an object in json, one line in
// jsonl, a header and a record in csv, and in a table a line for each field, its
// name and its value, which is never shortened.
func Record(w io.Writer, f Format, fields []Field) error {
	columns := make([]Column, len(fields))
	values := make([]any, len(fields))
	for i, field := range fields {
		columns[i] = Column{Name: field.Name, Kind: field.Kind}
		values[i] = field.Value
	}
	switch f {
	case JSONL, CSV:
		out := New(w, f, columns)
		if err := out.Row(values...); err != nil {
			return err
		}
		return out.Close()
	}

	var b strings.Builder
	lines := make([][]string, len(fields))
	b.WriteString("{")
	for i, field := range fields {
		v, err := normal(field.Value)
		if err != nil {
			return fmt.Errorf("write a record: %s: %w", field.Name, err)
		}
		if f != JSON {
			lines[i] = []string{field.title(), human(field.Kind, v)}
			continue
		}
		if i > 0 {
			b.WriteString(",")
		}
		b.WriteString("\n  ")
		b.Write(plain.AppendJSON(nil, field.Name))
		b.WriteString(": ")
		b.Write(appendJSON(nil, v))
	}
	if len(fields) > 0 {
		b.WriteString("\n")
	}
	b.WriteString("}\n")
	text := b.String()
	if f != JSON {
		text = ""
		if len(lines) > 0 {
			text = align(lines, []bool{false, false})
		}
	}
	_, err := io.WriteString(w, text)
	return err
}
