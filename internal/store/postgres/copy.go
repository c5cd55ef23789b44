package postgres

import (
	"bytes"
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"midden/internal/cowrie"
	"midden/internal/store"
)

// What the store writes much of goes the quick ways of PostgreSQL: rows by COPY, in
// its binary form, and statements whose results nobody asks for in one go. Both pass
// database/sql as the only argument of a statement.

// rows are rows for a table, one behind the other.
type rows struct {
	table   string
	columns []string
	values  []any
}

// copyRows adds rows to a table.
func copyRows(ctx context.Context, tx *sql.Tx, table string, columns []string, values []any) error {
	_, err := tx.ExecContext(ctx, "COPY", rows{table, columns, values})
	return err
}

// pipeline are statements that are sent together.
type pipeline struct{ statements []store.Statement }

// together runs statements one after the other.
func together(ctx context.Context, tx *sql.Tx, statements []store.Statement) error {
	_, err := tx.ExecContext(ctx, "pipeline", &pipeline{statements})
	return err
}

func (c *conn) pipe(ctx context.Context, p *pipeline) (driver.Result, error) {
	var batch pgx.Batch
	for _, s := range p.statements {
		args := make([]any, len(s.Args))
		for i, v := range s.Args {
			value := driver.NamedValue{Ordinal: i + 1, Value: v}
			if err := c.CheckNamedValue(&value); err != nil {
				return nil, err
			}
			args[i] = value.Value
		}
		batch.Queue(numbered(s.Query), args...)
	}
	return driver.ResultNoRows, c.Conn.Conn().SendBatch(ctx, &batch).Close()
}

func (c *conn) copyIn(ctx context.Context, r *rows) (driver.Result, error) {
	columns := strings.Join(r.columns, ", ")
	types, err := c.typesOf(ctx, r.table, columns)
	if err != nil {
		return nil, err
	}
	data, err := encode(slices.Grow(c.buffer[:0], large(r.values)), types, r.values)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", r.table, err)
	}
	if cap(data) <= keptBuffer {
		c.buffer = data
	}
	tag, err := c.Conn.Conn().PgConn().CopyFrom(ctx, bytes.NewReader(data), `COPY `+r.table+` (`+columns+`) FROM STDIN (FORMAT binary)`)
	return driver.RowsAffected(tag.RowsAffected()), err
}

// large returns how many bytes the large ones of some values have: for these a
// buffer is not to grow step by step.
func large(values []any) (n int) {
	for _, v := range values {
		if b, ok := v.([]byte); ok && len(b) > keptBuffer {
			n += len(b) + 1<<10
		}
	}
	return n
}

// keptBuffer is how large a buffer a connection keeps, in bytes.
const keptBuffer = 4 << 20

// typesOf returns the types of columns. They are asked for once.
func (c *conn) typesOf(ctx context.Context, table, columns string) ([]uint32, error) {
	query := `SELECT ` + columns + ` FROM ` + table
	if types := c.types[query]; types != nil {
		return types, nil
	}
	described, err := c.Conn.Conn().PgConn().Prepare(ctx, "", query, nil)
	if err != nil {
		return nil, err
	}
	types := make([]uint32, len(described.Fields))
	for i, f := range described.Fields {
		types[i] = f.DataTypeOID
	}
	if c.types == nil {
		c.types = map[string][]uint32{}
	}
	c.types[query] = types
	return types, nil
}

// encode appends rows in the binary form of COPY.
func encode(b []byte, types []uint32, values []any) ([]byte, error) {
	b = append(b, "PGCOPY\n\xff\r\n\x00"...)
	b = append(b, make([]byte, 8)...) // no flags, no extension
	for i, v := range values {
		column := i % len(types)
		if column == 0 {
			b = binary.BigEndian.AppendUint16(b, uint16(len(types)))
		}
		var err error
		if b, err = encodeValue(b, types[column], v); err != nil {
			return nil, fmt.Errorf("column %d: %w", column+1, err)
		}
	}
	return binary.BigEndian.AppendUint16(b, math.MaxUint16), nil // the end: -1
}

// encodeValue appends a value behind its length.
func encodeValue(b []byte, oid uint32, v any) ([]byte, error) {
	number := func(n int64) ([]byte, error) {
		if oid != pgtype.Int8OID {
			return nil, fmt.Errorf("%d does not fit the type with oid %d", n, oid)
		}
		return binary.BigEndian.AppendUint64(append(b, 0, 0, 0, 8), uint64(n)), nil
	}
	switch v := v.(type) {
	case nil:
		return append(b, 0xff, 0xff, 0xff, 0xff), nil
	case int64:
		return number(v)
	case int:
		return number(int64(v))
	case float64:
		if oid != pgtype.Float8OID {
			break
		}
		return binary.BigEndian.AppendUint64(append(b, 0, 0, 0, 8), math.Float64bits(v)), nil
	case bool:
		if oid != pgtype.BoolOID {
			break
		}
		bit := byte(0)
		if v {
			bit = 1
		}
		return append(b, 0, 0, 0, 1, bit), nil
	case []byte:
		if oid != pgtype.ByteaOID {
			break
		}
		return append(binary.BigEndian.AppendUint32(b, uint32(len(v))), v...), nil
	case string:
		switch oid {
		case pgtype.TextOID, pgtype.VarcharOID:
			v = escape(v)
			return append(binary.BigEndian.AppendUint32(b, uint32(len(v))), v...), nil
		case pgtype.TimestamptzOID:
			at, ok := cowrie.ParseTime([]byte(v))
			if !ok {
				break
			}
			return binary.BigEndian.AppendUint64(append(b, 0, 0, 0, 8), uint64(at-since)), nil
		case pgtype.DateOID:
			at, ok := cowrie.ParseTime([]byte(v + "T00:00:00"))
			if !ok {
				break
			}
			return binary.BigEndian.AppendUint32(append(b, 0, 0, 0, 4), uint32(int32((at-since)/cowrie.DayLength))), nil
		}
	}
	return nil, fmt.Errorf("a value of the Go type %T does not fit the type with oid %d", v, oid)
}

// since is when PostgreSQL begins to count: 2000-01-01T00:00:00Z.
const since = cowrie.Time(946684800 * 1e6)
