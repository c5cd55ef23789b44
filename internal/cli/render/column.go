package render

import (
	"strings"

	"midden/internal/plain"
)

// Kind says what a column holds. It decides how a table shows the column; how a
// value is written as JSON or CSV follows from its Go type.
type Kind int

// The kinds of columns.
const (
	Text     Kind = iota // free text, perhaps an attacker's
	URL                  // an address; like Text, and named for the reader
	Hash                 // never shortened
	Time                 // never shortened
	Int                  // to the right
	Bool                 // yes or no in a table
	Bytes                // a size in bytes: 1.5 KiB in a table, the integer elsewhere
	Duration             // a number is seconds: 3m20s in a table, seconds elsewhere
)

// Column is one column of the output.
type Column struct {
	// Optional: left out of a table in which no row has a value for it.
	Optional bool
	Name     string // the key in JSON and the head of the column in CSV
	Title    string // the head in a table; Name in upper-case words if empty
	Kind     Kind
	OnlyData bool // left out of tables
}

func (c Column) title() string {
	if c.Title != "" {
		return Escape(c.Title)
	}
	return Escape(strings.ToUpper(words(c.Name)))
}

// words turns a name of a column into words: src_ip becomes "src ip".
func words(name string) string {
	return strings.NewReplacer("_", " ", "-", " ").Replace(name)
}

// right reports whether a table sets the column to the right.
func (k Kind) right() bool { return k == Int || k == Bytes || k == Duration }

// shortens reports whether a table may shorten the column.
func (k Kind) shortens() bool { return k == Text || k == URL }

// Escape returns s as one line that a terminal can only show: control, bidi,
// invisible and undecodable characters stand as \x1b, \u202e, \xff.
func Escape(s string) string { return plain.Escape(s) }

// Defang makes the URLs in s unclickable: http becomes hxxp, and the dots of the
// host [.]. Text for a terminal is Escape(Defang(s)), in this order.
func Defang(s string) string { return plain.Defang(s) }

func quote(s string) string { return plain.Quote(s) }
