package render

import (
	"errors"
	"fmt"
	"io"
)

// form is one way to write rows.
type form interface {
	row([]value) error
	// flush writes out what is complete.
	flush() error
	// end writes what comes after the last row.
	end() error
}

// Writer writes rows in one format. It is for one goroutine.
type Writer struct {
	columns []Column
	form    form
	values  []value
	err     error // the first failure to write; nothing is written after it
	closed  bool
}

// New returns a Writer of rows with these columns. json, jsonl and csv are
// written as rows come, through a buffer; a table when some thousands of rows are
// known, and by Close. An f that is not one of the four formats is written as a table.
func New(w io.Writer, f Format, columns []Column) *Writer {
	return newWriter(w, f, columns, terminalWidth(w))
}

func newWriter(w io.Writer, f Format, columns []Column, width int) *Writer {
	out := &Writer{columns: columns, values: make([]value, len(columns))}
	switch f {
	case JSON:
		out.form = newJSON(w, columns)
	case JSONL:
		out.form = newJSONL(w, columns)
	case CSV:
		out.form = newCSV(w, columns)
	default:
		out.form = &table{w: w, columns: columns, width: width}
	}
	return out
}

// Row writes one row: a value for each column, OnlyData ones included. A value
// is a string, a number, a bool, a time.Time (zero is absent), a time.Duration,
// a []string, a json.RawMessage, an SQL null type, a pointer to one of them (nil
// is absent), or nil. A row that is refused leaves no trace in the output.
func (w *Writer) Row(values ...any) error {
	if w.closed {
		return errors.New("write a row: the output is closed")
	}
	if w.err != nil {
		return w.err
	}
	if len(values) != len(w.columns) {
		return fmt.Errorf("write a row: %d values for %d columns", len(values), len(w.columns))
	}
	for i, v := range values {
		n, err := normal(v)
		if err != nil {
			return fmt.Errorf("write a row: column %s: %w", w.columns[i].Name, err)
		}
		w.values[i] = n
	}
	w.err = w.form.row(w.values)
	return w.err
}

// Flush writes out the rows so far, for output that is read while it grows. It
// does nothing for a table.
func (w *Writer) Flush() error {
	if w.err == nil && !w.closed {
		w.err = w.form.flush()
	}
	return w.err
}

// Close writes what is left and returns the first error of writing. Without
// rows, json is [] and csv its header; jsonl and a table are empty. It does not
// close the writer below. Closing twice is closing once.
func (w *Writer) Close() error {
	if w.closed {
		return w.err
	}
	w.closed = true
	if w.err == nil {
		w.err = w.form.end()
	}
	return w.err
}
