package synth

import (
	"math/bits"
	"math/rand/v2"
)

// dice is the source of chance. It works in integers only, so that every
// machine throws the same.
type dice struct{ pcg *rand.PCG }

func newDice(seed, stream uint64) dice {
	return dice{rand.NewPCG(mix(seed), mix(stream^0x73796e7468))}
}

// below returns a number from 0 to n-1.
func (d dice) below(n int) int {
	hi, _ := bits.Mul64(d.pcg.Uint64(), uint64(n))
	return int(hi)
}

// between returns a number from lo to hi-1.
func (d dice) between(lo, hi int64) int64 {
	r, _ := bits.Mul64(d.pcg.Uint64(), uint64(hi-lo))
	return lo + int64(r)
}

// percent is true in p of 100 throws.
func (d dice) percent(p int) bool { return d.below(100) < p }

// perMille is true in p of 1000 throws.
func (d dice) perMille(p int) bool { return d.below(1000) < p }

// few returns a number from 1 to most; about mean, small ones likelier.
func (d dice) few(mean, most int) int {
	n := 1
	for n < most && d.below(mean) != 0 {
		n++
	}
	return n
}

func pick[T any](d dice, of []T) T { return of[d.below(len(of))] }

// low picks with a leaning to the front: lists are sorted by how common a word is.
func low[T any](d dice, of []T) T { return of[min(d.below(len(of)), d.below(len(of)))] }

// mix scatters a number over 64 bits (splitmix64).
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// scatter48 maps each 48-bit number to another, no two to the same.
func scatter48(x uint64) uint64 {
	const mask = 1<<48 - 1
	for _, odd := range [...]uint64{0xbf58476d1ce4e5b9, 0x94d049bb133111eb, 0x9e3779b97f4a7c15} {
		x = x * odd & mask
		x ^= x >> 23
	}
	return x
}

// scale returns a*b/c without overflow; it needs a <= c.
func scale(a, b, c uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	if hi >= c { // a == c rounds to b; c == 0 has nothing to share out
		return b
	}
	q, _ := bits.Div64(hi, lo, c)
	return q
}
