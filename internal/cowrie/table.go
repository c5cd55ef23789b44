package cowrie

// Table is what two databases have in common of a table that is copied from one
// into the other.
type Table struct {
	Name    string
	Columns []Column
	Key     []Column // by which its rows are ordered
}

// Column is a column of a table.
type Column struct {
	Name string
	Type Type // of its values
	// Own is the type by which one database knows it: what is a time to one engine
	// may be a text to another.
	Own       Type
	Key       int  // its place in the primary key, counted from 1; 0 if it is not in it
	Generated bool // it follows from others
}

// Type says what the values of a column are, besides nil.
type Type string

// The types, and what their values are in Go.
const (
	Integer Type = "integer" // int64
	Number  Type = "number"  // float64
	Truth   Type = "truth"   // bool
	Text    Type = "text"    // string
	Bytes   Type = "bytes"   // []byte
	Moment  Type = "time"    // Time
)

// Row is a row of a table.
type Row struct {
	Values []any // of the columns
	Key    []any
	Size   int64 // of its values, bytes, about
}

// Rows are some rows of a table on their way from one database into another.
type Rows struct {
	*Table
	Rows  []Row
	Bytes int64
}
