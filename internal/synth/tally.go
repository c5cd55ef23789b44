package synth

import "math/bits"

// tally counts lines as they are written.
type tally struct {
	Stats
	files bitset
}

func (t *tally) count(m mark, size int) {
	t.Events++
	t.Bytes += int64(size)
	switch m.what {
	case download:
		t.Downloads++
		t.files.add(int(m.file))
	case upload:
		t.Uploads++
		t.files.add(int(m.file))
	case failedTransfer:
		t.FailedTransfers++
	case command:
		t.Commands++
	case login:
		t.Logins++
	}
}

// add adds the counts of another sensor, whose sessions are others and whose
// files may be the same.
func (t *tally) add(u tally) {
	t.Events += u.Events
	t.Sessions += u.Sessions
	t.Downloads += u.Downloads
	t.Uploads += u.Uploads
	t.FailedTransfers += u.FailedTransfers
	t.Commands += u.Commands
	t.Logins += u.Logins
	t.Bytes += u.Bytes
	for i, word := range u.files {
		t.files[i] |= word
	}
}

func (t *tally) stats() Stats {
	s := t.Stats
	s.Sightings = s.Downloads + s.Uploads
	s.Files = t.files.size()
	return s
}

// bitset is a set of files by their index.
type bitset []uint64

func newBitset(n int) bitset { return make(bitset, (n+63)/64) }

func (b bitset) has(i int) bool { return b[i/64]>>(i%64)&1 != 0 }

func (b bitset) add(i int) { b[i/64] |= 1 << (i % 64) }

func (b bitset) size() (n int) {
	for _, word := range b {
		n += bits.OnesCount64(word)
	}
	return n
}
