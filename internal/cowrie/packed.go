package cowrie

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
)

// SumsVersion is the version of packed Sums: of their form, and of what is counted.
const SumsVersion = 1

// Packed sums are a byte, the version, and the sums that are not nothing in order of their
// key: what they are of and the text, or the number as a varint. Of each key its length is told
// that it shares with the one before, that of the rest, and the rest; then the numbers.

// packer packs sums that come in order.
type packer struct{ body, last []byte }

func newPacker() *packer { return &packer{body: []byte{SumsVersion}} }

func (p *packer) add(key []byte, s *sum) {
	if s.none() {
		return
	}
	shared := 0
	for shared < min(len(key), len(p.last)) && key[shared] == p.last[shared] {
		shared++
	}
	p.body = binary.AppendUvarint(p.body, uint64(shared))
	p.body = binary.AppendUvarint(p.body, uint64(len(key)-shared))
	p.body = append(p.body, key[shared:]...)
	p.body = binary.AppendVarint(p.body, s.n)
	if SumOf(key[0]) == SumCommand {
		p.body = binary.AppendVarint(p.body, s.sessions)
		p.body = binary.AppendUvarint(p.body, uint64(len(s.ids)))
		p.body = append(p.body, s.ids...)
	}
	p.last = append(p.last[:0], key...)
}

// packed returns what was packed; nil for nothing.
func (p *packer) packed() []byte {
	if len(p.body) == 1 {
		return nil
	}
	return p.body
}

// unpacker reads packed sums, one after the other.
type unpacker struct {
	rest []byte
	key  []byte
	sum  sum // ids are part of what is read
	err  error
}

var errSums = errors.New("sums of sessions are damaged")

// next reads the next one; false at the end, or if it is damaged.
func (u *unpacker) next() bool {
	if len(u.rest) == 0 || u.err != nil {
		return false
	}
	last := u.key
	shared := u.length(len(last))
	text := u.bytes()
	if u.err != nil {
		return false
	}
	if len(text) == 0 || shared < len(last) && text[0] <= last[shared] { // out of order
		u.err = errSums
		return false
	}
	u.key = append(last[:shared], text...)
	u.sum = sum{n: u.varint()}
	of := SumOf(u.key[0])
	switch {
	case of >= sumKinds:
		u.err = errSums
	case of.numbered():
		n, size := binary.Uvarint(u.key[1:])
		if size != len(u.key)-1 || size > 1 && u.key[size] == 0 || of == SumIPv4 && n > math.MaxUint32 {
			u.err = errSums
		}
	case of < SumAddress && len(u.key) > 1:
		u.err = errSums
	case of == SumCommand:
		u.sum.sessions = u.varint()
		u.sum.ids = u.bytes()
		if n := len(u.sum.ids); n > 0 && u.sum.ids[n-1] == 0 {
			u.err = errSums
		}
	}
	if u.sum.none() {
		u.err = errSums
	}
	return u.err == nil
}

// length reads a length that is at most so large.
func (u *unpacker) length(most int) int {
	n, size := binary.Uvarint(u.rest)
	if size <= 0 || n > uint64(most) {
		u.err = errSums
		return 0
	}
	u.rest = u.rest[size:]
	return int(n)
}

func (u *unpacker) varint() int64 {
	n, size := binary.Varint(u.rest)
	if size <= 0 {
		u.err = errSums
		return 0
	}
	u.rest = u.rest[size:]
	return n
}

// bytes reads a length and so many bytes.
func (u *unpacker) bytes() []byte {
	n := u.length(len(u.rest))
	if n > len(u.rest) {
		u.err = errSums
		return nil
	}
	b := u.rest[:n:n]
	u.rest = u.rest[n:]
	return b
}

// unpackers are those that have a next sum, as a heap: none comes before the one at half its place.
type unpackers []*unpacker

// sink puts the first one where it belongs.
func (h unpackers) sink() {
	for i := 0; ; {
		next := 2*i + 1
		if next >= len(h) {
			return
		}
		if next+1 < len(h) && bytes.Compare(h[next+1].key, h[next].key) < 0 {
			next++
		}
		if bytes.Compare(h[i].key, h[next].key) <= 0 {
			return
		}
		h[i], h[next] = h[next], h[i]
		i = next
	}
}

// merge calls f for each key of packed sums, in order, with what they add up to there.
func merge(bodies [][]byte, f func(key []byte, s *sum) error) error {
	var h unpackers
	for _, body := range bodies {
		if len(body) == 0 {
			continue
		}
		if body[0] != SumsVersion {
			return fmt.Errorf("%w: they are of another version", errSums)
		}
		u := &unpacker{rest: body[1:]}
		if u.next() {
			h = append(h, u)
		} else if u.err != nil {
			return u.err
		}
	}
	slices.SortFunc(h, func(x, y *unpacker) int { return bytes.Compare(x.key, y.key) })
	var key, ids []byte
	for len(h) > 0 {
		key = append(key[:0], h[0].key...)
		total := sum{ids: ids[:0]}
		for len(h) > 0 && bytes.Equal(h[0].key, key) {
			u := h[0]
			total.add(u.sum)
			if !u.next() {
				if u.err != nil {
					return u.err
				}
				h[0] = h[len(h)-1]
				h = h[:len(h)-1]
			}
			h.sink()
		}
		if !total.none() {
			if err := f(key, &total); err != nil {
				return err
			}
		}
		ids = total.ids
	}
	return nil
}

// MergeSums returns what packed sums add up to; nil for nothing.
func MergeSums(bodies ...[]byte) ([]byte, error) {
	p := newPacker()
	err := merge(bodies, func(key []byte, s *sum) error {
		p.add(key, s)
		return nil
	})
	return p.packed(), err
}

// SessionsIn returns of how many sessions packed sums are.
func SessionsIn(body []byte) (n int64) {
	_ = merge([][]byte{body}, func(key []byte, s *sum) error {
		if SumOf(key[0]) == SumSessions {
			n = s.n
		}
		return nil
	})
	return n
}

// Sum is one of the sums: of sessions that have something in common. It is valid until the
// next.
type Sum struct {
	Of       SumOf
	Text     []byte
	Number   int64
	N        int64 // sessions; of commands, logins and transfers how many of these
	Sessions int64 // those that ran a command
	ids      []byte
}

// Session returns the id of the only session that ran a command.
func (s *Sum) Session() string { return string(s.ids[:max(len(s.ids)-1, 0)]) }

// EachSum calls f for each sum of all those that are packed in some bodies, added up. Sums of
// sessions that there are are above 0: others are an error.
func EachSum(f func(*Sum), bodies ...[]byte) error {
	return merge(bodies, func(key []byte, s *sum) error {
		one := Sum{Of: SumOf(key[0]), N: s.n, Sessions: s.sessions, ids: s.ids}
		switch {
		case s.n < 0, one.Of == SumCommand && s.sessions <= 0:
			return fmt.Errorf("%w: they are of fewer sessions than none", errSums)
		case one.Of.numbered():
			n, _ := binary.Uvarint(key[1:])
			one.Number = int64(n)
		default:
			one.Text = key[1:]
		}
		f(&one)
		return nil
	})
}
