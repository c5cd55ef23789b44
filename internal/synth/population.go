package synth

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math/bits"
)

// kind is how a file comes to a sensor.
type kind uint8

const (
	keyFile   kind = iota // a redirect to authorized_keys
	scriptKit             // fetched, a shell script
	binaryKit             // fetched, one of several architectures
	inputFile             // standard input of a command
	sentFile              // sent by SFTP or SCP
)

// file is one content of the population.
type file struct {
	index int32
	sum   hash
	kind  kind
	name  string
	place uint64 // decides on the hosts that it is fetched from
}

func (f *file) hex() string { return hex.EncodeToString(f.sum[:]) }

// population is the files that attackers have. Which file a place holds
// follows from seed and place, so that sensors share them and none is stored.
type population struct {
	seed uint64
	n    int
}

// emptyPlace is where the population has the empty file.
const emptyPlace = 13

func (p population) file(i int) file {
	x := mix(p.seed ^ mix(uint64(i)^0x66696c65))
	f := file{index: int32(i), place: x, kind: binaryKit}
	switch i % 32 {
	case 0, 11, 22:
		f.kind = keyFile
	case 2, 5, 8, 14, 17, 20, 26, 29:
		f.kind = scriptKit
	case 7, 19, 30:
		f.kind = inputFile
	case 9, 25, emptyPlace:
		f.kind = sentFile
	}
	if i == emptyPlace {
		f.sum = sha256.Sum256(nil)
	} else {
		for k := range 4 {
			x = mix(x)
			binary.LittleEndian.PutUint64(f.sum[8*k:], x)
		}
	}
	campaign := campaigns[f.place%uint64(len(campaigns))]
	switch f.kind {
	case keyFile:
		f.name = "authorized_keys"
	case scriptKit:
		f.name = campaign + ".sh"
	case binaryKit:
		f.name = campaign + "." + architectures[f.place>>16%uint64(len(architectures))]
	default:
		f.name = campaign
	}
	return f
}

// draw picks a place by Zipf's law (exponent 1), in integers: a power of two
// evenly, a number from it up to its double evenly, kept with a chance of the
// power over the number. Place 0 is the most common.
func (p population) draw(d dice) int {
	octaves := bits.Len(uint(p.n))
	for {
		low := 1 << d.below(octaves)
		rank := low + d.below(low)
		if d.below(rank) < low && rank <= p.n {
			return rank - 1
		}
	}
}
