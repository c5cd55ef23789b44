package report

import (
	"bytes"
	"cmp"
	"iter"
	"slices"
	"strings"

	"midden/internal/cowrie"
)

// tally counts values. There may be millions: each is held once.
type tally struct {
	places map[string]int32
	counts []int64
}

// add counts a value and returns its place.
func (t *tally) add(value string, n int64) int32 {
	if t.places == nil {
		t.places = map[string]int32{}
	}
	i, known := t.places[value]
	if !known {
		i = int32(len(t.counts))
		t.places[value] = i
		t.counts = append(t.counts, 0)
	}
	t.counts[i] += n
	return i
}

// addText is add for a value that is to be copied, if it is new.
func (t *tally) addText(value []byte, n int64) {
	if i, known := t.places[string(value)]; known {
		t.counts[i] += n
		return
	}
	t.add(string(value), n)
}

func (t *tally) unique() int64 { return int64(len(t.counts)) }

// all are the values and how often each was counted, in no order.
func (t *tally) all(yield func(Count) bool) {
	for value, i := range t.places {
		if !yield(Count{value, t.counts[i]}) {
			return
		}
	}
}

// values are the values by their place.
func (t *tally) values() []string {
	values := make([]string, len(t.counts))
	for value, i := range t.places {
		values[i] = value
	}
	return values
}

// top returns the most frequent values.
func (t *tally) top(n int) []Count { return first(n, t.all, moreFrequent) }

func moreFrequent(a, b Count) int {
	return cmp.Or(cmp.Compare(b.Count, a.Count), strings.Compare(a.Value, b.Value))
}

// addresses counts addresses: nearly all are four bytes.
type addresses struct {
	four   map[uint32]int64
	others tally
}

func (a *addresses) unique() int64 { return int64(len(a.four)) + a.others.unique() }

func (a *addresses) top(n int) []Count {
	type count struct {
		at uint32
		n  int64
	}
	list := a.others.top(n)
	for _, c := range first(n, func(yield func(count) bool) {
		for at, n := range a.four {
			if !yield(count{at, n}) {
				return
			}
		}
	}, func(x, y count) int {
		if x.n != y.n {
			return cmp.Compare(y.n, x.n)
		}
		var a, b [len("255.255.255.255")]byte
		return bytes.Compare(cowrie.AppendIPv4(a[:0], x.at), cowrie.AppendIPv4(b[:0], y.at))
	}) {
		list = append(list, Count{string(cowrie.AppendIPv4(nil, c.at)), c.n})
	}
	return first(n, slices.Values(list), moreFrequent)
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
