package copy

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/maphash"
	"math"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"midden/internal/cowrie"
)

// sum stands for all rows of a table, in whatever order they come: the sums of two
// hashes of each. Their seeds are drawn anew in every run, so that nobody can make
// rows up that have the same.
type sum struct {
	rows, bytes int64
	hashes      [2]uint64
}

type hasher struct {
	seeds [2]maphash.Seed
}

func newHasher() *hasher {
	return &hasher{[2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}}
}

// add adds a row. text is room for its form.
func (h *hasher) add(s *sum, row cowrie.Row, text []byte) []byte {
	text = text[:0]
	for _, v := range row.Values {
		text = h.appendValue(text, v)
	}
	for i, seed := range h.seeds {
		s.hashes[i] += maphash.Bytes(seed, text)
	}
	s.rows++
	s.bytes += row.Size
	return text
}

// long is from what size on the hashes of a value stand for it.
const long = 4 << 10

// appendValue appends the one form of a value.
func (h *hasher) appendValue(b []byte, v any) []byte {
	number := func(kind byte, n uint64) []byte { return binary.BigEndian.AppendUint64(append(b, kind), n) }
	switch v := v.(type) {
	case nil:
		return append(b, 0)
	case int64:
		return number(1, uint64(v))
	case float64:
		return number(2, math.Float64bits(v))
	case bool:
		if v {
			return append(b, 3, 1)
		}
		return append(b, 3, 0)
	case cowrie.Time:
		return number(4, uint64(v))
	case string:
		b = number(5, uint64(len(v)))
		if len(v) < long {
			return append(b, v...)
		}
		for _, seed := range h.seeds {
			b = binary.BigEndian.AppendUint64(b, maphash.String(seed, v))
		}
		return b
	case []byte:
		b = number(6, uint64(len(v)))
		if len(v) < long {
			return append(b, v...)
		}
		for _, seed := range h.seeds {
			b = binary.BigEndian.AppendUint64(b, maphash.Bytes(seed, v))
		}
		return b
	}
	panic(fmt.Sprintf("a value is of the Go type %T", v))
}

// compare reads all tables on both sides. It returns the names of those that differ.
func (r *run) compare(ctx context.Context, tables []*cowrie.Table) (differ []string, err error) {
	h := newHasher()
	r.sum.Tables, r.sum.Rows, r.sum.Bytes, r.sum.Damaged = len(tables), 0, 0, 0
	for _, t := range tables {
		var have, want sum
		both, ctx := errgroup.WithContext(ctx)
		both.Go(func() error {
			var text []byte
			return r.to.Rows(ctx, t, func(row cowrie.Row) error {
				text = h.add(&have, row, text)
				return nil
			})
		})
		both.Go(func() error {
			var text []byte
			var rows, bytes int64
			unordered := &cowrie.Table{Name: t.Name, Columns: t.Columns}
			return r.from.Rows(ctx, unordered, nil, func(row cowrie.Row) error {
				text = h.add(&want, row, text)
				rows++
				if bytes += row.Size; bytes > batchBytes {
					r.seen(r.job, rows, bytes)
					r.observe(t.Name)
					rows, bytes = 0, 0
				}
				return nil
			})
		})
		if err := both.Wait(); err != nil {
			return nil, fmt.Errorf("compare %s: %w", t.Name, err)
		}
		if have != want {
			r.Log.Warn("a table differs", "table", t.Name, "rows", have.rows, "of", want.rows)
			differ = append(differ, t.Name)
		}
		r.sum.Rows += have.rows
		r.sum.Bytes += have.bytes
	}
	if len(differ) > 0 {
		return differ, nil
	}
	return nil, r.to.Damaged(ctx, func(id int64, damage error) error {
		r.Log.Warn("the source has a damaged segment, and so has the copy", "segment", id, "damage", damage)
		r.sum.Damaged++
		return nil
	})
}

// ErrDiffers says that two databases do not hold the same.
var ErrDiffers = errors.New("the databases differ")

// Compare reads two databases and changes nothing. The error is an ErrDiffers that
// names the tables that are not the same.
func Compare(ctx context.Context, from Source, to Target, o Options) (Summary, error) {
	start := time.Now()
	r := &run{Options: o, from: from, to: to, job: cowrie.NewJob(JobName)}
	rows, bytes, err := from.Weight(ctx, o.Tables)
	if err != nil {
		return r.sum, err
	}
	r.job.RowsTotal, r.job.BytesTotal = rows, bytes
	tables, err := r.shapes(ctx)
	if err != nil {
		return r.sum, err
	}
	differ, err := r.compare(ctx, tables)
	if err == nil && len(differ) > 0 {
		err = fmt.Errorf("%w: %s", ErrDiffers, strings.Join(differ, ", "))
	}
	r.sum.Elapsed = time.Since(start)
	return r.sum, err
}
