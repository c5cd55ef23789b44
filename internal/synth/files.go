package synth

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
	"strconv"
)

// population is the files that attackers spread. They are the same for every
// sensor of a run; a file's index is its rank, the most common first.
type population struct {
	seed uint64
	size int
	zipf *rand.Zipf
}

func newPopulation(seed uint64, size int, rng *rand.Rand) population {
	return population{seed, size, rand.NewZipf(rng, 1.1, 1, uint64(size-1))}
}

// pick returns the index of a file: the one of rank k with a chance that falls
// as 1/k^1.1.
func (p population) pick() int { return int(p.zipf.Uint64()) }

// way is how a file comes to the sensor.
type way uint8

const (
	byWget way = iota
	byCurl
	byFTP
	byTFTP
	byRedirect
	byStdin
	bySFTP
	bySCP
)

// file is one file of the population.
type file struct {
	index int
	sha   string
	way   way
	name  string // its last name
	url   string // where wget and the like get it; "" for other ways
	dest  string // where it is put
	plain bool   // it is authorized_keys, not a program
}

const emptyRank = 9 // the empty file's, which real logs see often

// file returns a file. One of the same index always has the same hash, way
// and name; variant chooses among the hosts that serve it.
func (p population) file(index int, variant uint64) file {
	var b [16]byte
	binary.LittleEndian.PutUint64(b[:], p.seed)
	binary.LittleEndian.PutUint64(b[8:], uint64(index))
	sum := sha256.Sum256(b[:])
	h := binary.LittleEndian.Uint64(sum[:]) // drawn from the hash, apart from it
	h = mix(h)

	f := file{index: index}
	switch n := h % 100; {
	case index == 0: // the key that one botnet leaves everywhere
		f.way, f.plain = byRedirect, true
	case index == emptyRank:
		f.way, sum = bySFTP, sha256.Sum256(nil)
	case n < 46:
		f.way = byWget
	case n < 66:
		f.way = byCurl
	case n < 74:
		f.way = byTFTP
	case n < 80:
		f.way = byFTP
	case n < 90:
		f.way, f.plain = byRedirect, n < 88
	case n < 97:
		f.way = byStdin
	case n < 99:
		f.way = bySFTP
	default:
		f.way = bySCP
	}
	f.sha = hex.EncodeToString(sum[:])
	f.name = fileNames[h>>8%uint64(len(fileNames))]
	if h>>40&3 == 0 {
		f.name += strconv.Itoa(int(h >> 42 & 63))
	}
	dir := fileDirs[h>>16%uint64(len(fileDirs))]
	host := hostNames[(h>>24+variant%3)%uint64(len(hostNames))]
	switch f.way {
	case byWget, byCurl:
		f.url = "http://" + host + dir + f.name
		f.dest = "/tmp/" + f.name
	case byFTP:
		f.url = "ftp://anonymous:anonymous@" + host + ":21/" + f.name
		f.dest = "/tmp/" + f.name
	case byTFTP:
		f.url = "tftp://" + host + ":69/" + f.name
		f.dest = f.name
	case byRedirect:
		f.dest = "/tmp/." + f.name
		if f.plain {
			f.name, f.dest = "authorized_keys", "/root/.ssh/authorized_keys"
		}
	case bySCP:
		f.dest = "/tmp/" + f.name
	}
	return f
}

// typed returns the hash of the n-th of the inputs that sessions have typed. It
// is the hash of no file.
func (p population) typed(n int) string {
	var b [17]byte
	binary.LittleEndian.PutUint64(b[:], p.seed)
	binary.LittleEndian.PutUint64(b[8:], uint64(n))
	sum := sha256.Sum256(b[:])
	return hex.EncodeToString(sum[:])
}
