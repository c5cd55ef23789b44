package store

import (
	"context"
	"database/sql"
	"fmt"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"midden/internal/cowrie"
)

// table is a table of version 4, as it is copied into another database.
type table struct {
	name string
	// old: cowrieprocessor has it, too.
	old bool
	// kept: reports add to it, too.
	kept bool
	// without are columns that say nothing in another database, or are made there.
	without []string
	// where leaves out rows that are there already, or are of nobody's use there.
	where string
}

// tables are all tables but maintenance, which is of its own database, in the order
// in which they are copied. Each has a primary key.
var tables = []table{
	{name: "schema_state", where: `"key" <> 'schema_version'`},
	{name: "sources"},
	{name: "event_segments", without: []string{"month"}},
	{name: "dropped_segments"},
	{name: "session_summaries", old: true},
	{name: "command_stats", old: true},
	{name: "sessionless_events"},
	{name: "dead_letter_events", old: true},
	{name: "files"},
	{name: "file_sightings"},
	{name: "file_sums"},
	{name: "file_verdicts"},
	{name: "sensor_days"},
	{name: "login_stats"},
	{name: "report_days", kept: true, without: []string{"maker"}, where: `maker IS NULL`},
	{name: "session_sums", kept: true},
	{name: "depots"},
	{name: "depot_entries"},
	{name: "lookups", without: []string{"leased_until"}},
	{name: "quota"},
	{name: "quota_limits"},
	{name: "quota_requests"},
	{name: "publishing"},
	{name: "outbox"},
	{name: "ingest_cursors", old: true},
	{name: "log_files"},
}

func tableOf(name string) *table {
	return &tables[slices.IndexFunc(tables, func(t table) bool { return t.name == name })]
}

// Tables returns the names of the tables that are copied, in order: those that
// cowrieprocessor has, or all.
func Tables(old bool) (names []string) {
	for _, t := range tables {
		if t.old || !old {
			names = append(names, t.name)
		}
	}
	return names
}

// SameTables returns the names of the tables that are the same in two copies, whatever reports
// were made of them.
func SameTables() (names []string) {
	for _, t := range tables {
		if !t.kept {
			names = append(names, t.name)
		}
	}
	return names
}

// Columns returns the columns of a table that are copied or in its key, in order;
// none if there is no such table.
func (s *Store) Columns(ctx context.Context, table string) ([]cowrie.Column, error) {
	return s.columns(ctx, s.db, table)
}

// Columns is Store.Columns.
func (sn *Snapshot) Columns(ctx context.Context, table string) ([]cowrie.Column, error) {
	return sn.s.columns(ctx, sn.tx, table)
}

func (s *Store) columns(ctx context.Context, db querier, table string) ([]cowrie.Column, error) {
	var list []cowrie.Column
	err := s.eachOf(ctx, db, s.engine.Columns, []any{table}, func(scan func(...any) error) error {
		var c cowrie.Column
		var declared string
		if err := scan(&c.Name, &declared, &c.Key, &c.Generated); err != nil {
			return err
		}
		if c.Own = ownType(declared); c.Own == "" {
			return fmt.Errorf("the column %s.%s is of the unknown type %q", table, c.Name, declared)
		}
		if !slices.Contains(tableOf(table).without, c.Name) {
			list = append(list, c)
		}
		return nil
	})
	return list, err
}

// ownType is the type of a column that is declared in SQLite or PostgreSQL.
func ownType(declared string) cowrie.Type {
	declared, _, _ = strings.Cut(strings.ToLower(declared), "(")
	switch declared {
	case "integer", "bigint":
		return cowrie.Integer
	case "real", "double precision":
		return cowrie.Number
	case "boolean":
		return cowrie.Truth
	case "text", "varchar", "character varying", "json", "date": // SQLite has a text for a day
		return cowrie.Text
	case "blob", "bytea":
		return cowrie.Bytes
	case "datetime", "timestamp with time zone":
		return cowrie.Moment
	}
	return ""
}

// Rows calls f for each row of a table behind a key, in order of the key; for all
// if it is nil. Bytes in a row are valid until the next one.
func (sn *Snapshot) Rows(ctx context.Context, t *cowrie.Table, after []any, f func(cowrie.Row) error) error {
	return sn.s.rows(ctx, sn.tx, t, after, f)
}

// Rows calls f for each row of a table, in no order.
func (s *Store) Rows(ctx context.Context, t *cowrie.Table, f func(cowrie.Row) error) error {
	return s.rows(ctx, s.engine.Scan, &cowrie.Table{Name: t.Name, Columns: t.Columns}, nil, f)
}

func (s *Store) rows(ctx context.Context, db querier, t *cowrie.Table, after []any, f func(cowrie.Row) error) error {
	columns := slices.Concat(t.Columns, t.Key)
	query, args := rowsQuery(t, after)
	values, into := make([]lent, len(columns)), make([]any, len(columns))
	for i := range into {
		into[i] = &values[i]
	}
	n := int64(0)
	return s.eachOf(ctx, db, query, args, func(scan func(...any) error) error {
		n++
		if err := scan(into...); err != nil {
			return err
		}
		row := make([]any, len(columns))
		size := int64(len(t.Columns)) * valueSize
		for i, c := range columns {
			v, ok := valueOf(values[i].value, c.Type)
			if !ok {
				return fmt.Errorf("%s, row %s: %s is %.100q, which is no %s: put it right by SQL",
					t.Name, rowName(t, values, n), c.Name, fmt.Sprint(values[i].value), c.Type)
			}
			if row[i] = v; i < len(t.Columns) {
				size += sizeOf(v)
			}
		}
		err := f(cowrie.Row{Values: row[:len(t.Columns)], Key: row[len(t.Columns):], Size: size})
		if size >= large {
			clear(values)
			clear(row[:len(t.Columns)])
			debug.FreeOSMemory()
		}
		return err
	})
}

// lent is a value as the driver has it: bytes are not copied.
type lent struct{ value any }

func (l *lent) Scan(v any) error {
	l.value = v
	return nil
}

func rowsQuery(t *cowrie.Table, after []any) (query string, args []any) {
	var where conditions
	if w := tableOf(t.Name).where; w != "" {
		where.add(w)
	}
	key := namesOf(t.Key)
	if after != nil {
		where.add(`(`+key+`) > (`+placeholders(len(t.Key))+`)`, values(t.Key, after)...)
	}
	query = `SELECT ` + namesOf(slices.Concat(t.Columns, t.Key)) + ` FROM ` + t.Name + where.clause()
	if key != "" {
		query += ` ORDER BY ` + key
	}
	return query, where.args
}

// namesOf are the names of columns, in quotes.
func namesOf(columns []cowrie.Column) string {
	var names []string
	for _, c := range columns {
		names = append(names, `"`+c.Name+`"`)
	}
	return strings.Join(names, ", ")
}

// rowName says which row it is: its key, or, where none was asked for, its number.
func rowName(t *cowrie.Table, values []lent, n int64) string {
	if len(t.Key) == 0 {
		return strconv.FormatInt(n, 10)
	}
	var key []any
	for _, l := range values[len(t.Columns):] {
		key = append(key, l.value)
	}
	return fmt.Sprintf("%.200q", fmt.Sprint(key...))
}

// valueOf is a value of a type, whichever engine it comes from; false if it is
// none. What SQLite has made of a number in a column of JSON is a text again.
func valueOf(v any, t cowrie.Type) (any, bool) {
	if v == nil {
		return nil, true
	}
	switch t {
	case cowrie.Integer:
		n, ok := v.(int64)
		return n, ok
	case cowrie.Number:
		switch v := v.(type) {
		case float64:
			return v, true
		case int64:
			return float64(v), true
		}
	case cowrie.Truth:
		switch v := v.(type) {
		case bool:
			return v, true
		case int64:
			return v != 0, v == 0 || v == 1
		}
	case cowrie.Text:
		switch v := v.(type) {
		case string:
			return v, true
		case []byte:
			return string(v), true
		case int64:
			return strconv.FormatInt(v, 10), true
		case float64:
			return strconv.FormatFloat(v, 'g', -1, 64), true
		case time.Time: // a day
			return v.Format(time.DateOnly), true
		}
	case cowrie.Bytes:
		switch v := v.(type) {
		case []byte:
			if v == nil { // SQLite's driver has this for none
				v = []byte{}
			}
			return v, true
		case string:
			return []byte(v), true
		}
	case cowrie.Moment:
		switch v := v.(type) {
		case time.Time:
			return cowrie.Time(v.UnixMicro()), true
		case string:
			at, ok := cowrie.ParseTime([]byte(v))
			return at, ok
		}
	}
	return nil, false
}

// valueSize is how many bytes a value takes in memory besides what it points to.
const valueSize = 16

func sizeOf(v any) int64 {
	switch v := v.(type) {
	case string:
		return int64(len(v))
	case []byte:
		return int64(len(v))
	}
	return 0
}

// values returns values as the columns of a database take them.
func values(columns []cowrie.Column, row []any) []any {
	list := make([]any, len(row))
	for i, v := range row {
		list[i] = v
		if at, ok := v.(cowrie.Time); ok {
			if list[i] = at.String(); columns[i].Own == cowrie.Moment {
				list[i] = at.SQL()
			}
		}
	}
	return list
}

// Weight returns how many rows tables have, and about how many bytes.
func (sn *Snapshot) Weight(ctx context.Context, tables []string) (rows, bytes int64, err error) {
	for _, name := range tables {
		size := strconv.Itoa(usualRow)
		if name == "event_segments" {
			size = `length(events)`
		}
		var n int64
		var b sql.NullInt64
		if err := sn.tx.QueryRowContext(ctx, `SELECT count(*), sum(`+size+`) FROM `+name).Scan(&n, &b); err != nil {
			return 0, 0, sn.s.explain(err)
		}
		rows += n
		bytes += b.Int64
	}
	return rows, bytes, nil
}

// usualRow is how many bytes a row has in memory, about, if it is not of a segment.
const usualRow = 400
