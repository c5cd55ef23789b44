package report

import (
	"cmp"
	"iter"
	"slices"
	"strings"
)

// tally counts values. Its exported fields are what is kept of one.
type tally struct {
	Values []string
	Counts []int64

	places map[string]int32
}

// add counts a value and returns its place.
func (t *tally) add(value string, n int64) int32 {
	if t.places == nil {
		t.places = make(map[string]int32, len(t.Values))
		for i, v := range t.Values {
			t.places[v] = int32(i)
		}
	}
	i, known := t.places[value]
	if !known {
		i = int32(len(t.Values))
		t.places[value] = i
		t.Values, t.Counts = append(t.Values, value), append(t.Counts, 0)
	}
	t.Counts[i] += n
	return i
}

// addAll adds what another one counted.
func (t *tally) addAll(o *tally) {
	for i, v := range o.Values {
		t.add(v, o.Counts[i])
	}
}

func (t *tally) unique() int64 { return int64(len(t.Values)) }

// top returns the most frequent values.
func (t *tally) top(n int) []Count {
	return first(n, func(yield func(Count) bool) {
		for i, v := range t.Values {
			if !yield(Count{v, t.Counts[i]}) {
				return
			}
		}
	}, func(a, b Count) int { return cmp.Or(cmp.Compare(b.Count, a.Count), strings.Compare(a.Value, b.Value)) })
}

// first returns the n first values in an order, in which no two are the same.
func first[T any](n int, values iter.Seq[T], order func(a, b T) int) []T {
	list := make([]T, 0, n)
	for v := range values {
		if len(list) == n && (n == 0 || order(v, list[n-1]) >= 0) {
			continue
		}
		i, _ := slices.BinarySearchFunc(list, v, order)
		if len(list) == n {
			list = list[:n-1]
		}
		list = slices.Insert(list, i, v)
	}
	return list
}
