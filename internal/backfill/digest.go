package backfill

import (
	"encoding/binary"
	"hash/maphash"

	"midden/internal/cowrie"
)

// digest stands for a sighting and its place. Sums of digests are compared, so
// that order does not matter.
type digest [2]uint64

// total is how many sightings there are in a range, and the sum of their digests.
type total struct {
	count int64
	sum   digest
}

func add(totals map[where]*total, w where, d digest) {
	t := totals[w]
	if t == nil {
		t = &total{}
		totals[w] = t
	}
	t.count++
	t.sum[0] += d[0]
	t.sum[1] += d[1]
}

// hasher makes digests. Both sides are made by the same one; they are never
// stored.
type hasher struct {
	seeds [2]maphash.Seed
	text  []byte
}

func newHasher() *hasher {
	return &hasher{seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}}
}

// of returns the digest of all that an event itself says of a sighting. The
// sensor may be known from elsewhere; the sighting's key covers it.
func (h *hasher) of(s *cowrie.Sighting, p cowrie.Place) digest {
	b := h.text[:0]
	for _, part := range []string{s.Shasum, s.Session, string(s.Kind), s.SrcIP, s.Filename, s.Destfile, s.URL, s.Outfile} {
		b = binary.AppendUvarint(b, uint64(len(part)))
		b = append(b, part...)
	}
	duplicate := byte(0)
	if s.Duplicate != nil {
		duplicate = 1
		if *s.Duplicate {
			duplicate = 2
		}
	}
	b = append(b, duplicate)
	for _, n := range []int64{int64(s.SeenAt), p.Segment, int64(p.Index), p.Raw} {
		b = binary.LittleEndian.AppendUint64(b, uint64(n))
	}
	h.text = b
	return digest{maphash.Bytes(h.seeds[0], b), maphash.Bytes(h.seeds[1], b)}
}
