package render

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"

	"midden/internal/plain"
)

const bufferSize = 64 << 10

// jsonRows writes one object a row, as the elements of an array or as lines.
type jsonRows struct {
	w     *bufio.Writer
	array bool
	keys  [][]byte // `"name":` for each column
	rows  int64
	buf   []byte
}

func newJSON(w io.Writer, columns []Column) *jsonRows {
	j := newJSONL(w, columns)
	j.array = true
	return j
}

func newJSONL(w io.Writer, columns []Column) *jsonRows {
	j := &jsonRows{w: bufio.NewWriterSize(w, bufferSize)}
	for _, c := range columns {
		j.keys = append(j.keys, append(plain.AppendJSON(nil, c.Name), ':'))
	}
	return j
}

func (j *jsonRows) row(values []value) error {
	b := j.buf[:0]
	switch {
	case j.array && j.rows == 0:
		b = append(b, "[\n"...)
	case j.array:
		b = append(b, ",\n"...)
	}
	b = append(b, '{')
	for i, v := range values {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, j.keys[i]...)
		b = appendJSON(b, v)
	}
	b = append(b, '}')
	if !j.array {
		b = append(b, '\n')
	}
	j.buf = b
	j.rows++
	_, err := j.w.Write(b)
	return err
}

func (j *jsonRows) flush() error { return j.w.Flush() }

func (j *jsonRows) end() error {
	var tail string
	switch {
	case j.array && j.rows == 0:
		tail = "[]\n"
	case j.array:
		tail = "\n]\n"
	}
	if _, err := j.w.WriteString(tail); err != nil {
		return err
	}
	return j.w.Flush()
}

// appendJSON appends v as JSON, on one line.
func appendJSON(b []byte, v value) []byte {
	switch v := v.(type) {
	case nil:
		return append(b, "null"...)
	case []string:
		b = append(b, '[')
		for i, s := range v {
			if i > 0 {
				b = append(b, ',')
			}
			b = plain.AppendJSON(b, s)
		}
		return append(b, ']')
	case json.RawMessage:
		var line bytes.Buffer
		if err := json.Compact(&line, v); err != nil {
			return plain.AppendJSON(b, string(v))
		}
		return append(b, plain.EscapeJSON(line.Bytes())...)
	case bool:
		text, _ := exact(v)
		return append(b, text...)
	}
	text, number := exact(v)
	if number {
		return append(b, text...)
	}
	return plain.AppendJSON(b, text)
}
