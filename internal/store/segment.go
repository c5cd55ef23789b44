package store

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"runtime/debug"
	"slices"
	"strconv"

	"github.com/klauspost/compress/zstd"

	"midden/internal/cowrie"
)

// segmentSize is how large the text of a segment may become, in bytes, by
// adding to it. One chunk alone may be larger.
const segmentSize = 1 << 20

// large is from what size on, in bytes, the text of a segment is let go of at
// once when it is done with. Only a single enormous event makes one.
const large = 8 << 20

// maxSegment is how large the text of a segment may be, in bytes: a damaged one
// that says it is larger gets no memory.
const maxSegment = 256 << 20

// done lets go of a text.
func done(text *[]byte) {
	size := len(*text)
	*text = nil
	if size >= large {
		debug.FreeOSMemory()
	}
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// sealed is the text of events as a segment holds it.
type sealed struct {
	blob     []byte // zstd
	size     int    // of the text, bytes
	checksum uint32 // CRC-32C of the text
}

// sealer compresses and decompresses the text of segments. Its methods may be
// called from any goroutine.
type sealer struct {
	enc *zstd.Encoder
	dec *zstd.Decoder
}

func newSealer() (*sealer, error) {
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedBetterCompression), zstd.WithWindowSize(segmentSize),
		zstd.WithEncoderCRC(false), zstd.WithLowerEncoderMem(true))
	if err != nil {
		return nil, err
	}
	dec, err := zstd.NewReader(nil, zstd.WithDecoderMaxMemory(maxSegment), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderConcurrency(1))
	if err != nil {
		return nil, err
	}
	return &sealer{enc, dec}, nil
}

func (s *sealer) close() {
	s.enc.Close()
	s.dec.Close()
}

func (s *sealer) seal(text []byte) *sealed {
	room := len(text)/8 + 64
	if len(text) >= large {
		room = len(text) + len(text)/16 // growing step by step would take more
	}
	blob := s.enc.EncodeAll(text, make([]byte, 0, room))
	if len(text) >= large && len(blob) < cap(blob)/4 { // beside a blob that fills it, a second one is too much
		blob = bytes.Clone(blob)
	}
	return &sealed{blob: blob, size: len(text), checksum: crc32.Checksum(text, castagnoli)}
}

func (s *sealer) open(id int64, seg *sealed) ([]byte, error) {
	if seg.size < 0 || seg.size > maxSegment {
		return nil, fmt.Errorf("event segment %d is damaged: it cannot have %d bytes", id, seg.size)
	}
	text, err := s.dec.DecodeAll(seg.blob, make([]byte, 0, seg.size))
	if err != nil {
		return nil, fmt.Errorf("event segment %d is damaged: %w", id, err)
	}
	if len(text) != seg.size || crc32.Checksum(text, castagnoli) != seg.checksum {
		return nil, fmt.Errorf("event segment %d is damaged: its checksum is wrong", id)
	}
	return text, nil
}

// Seal does the part of appending a chunk that needs no database: it
// compresses the chunk's events and lets go of their text. It may be called
// from any goroutine.
func (s *Store) Seal(c *cowrie.Chunk) {
	if c.Gathered == nil {
		return
	}
	c.Sealed = s.seal.seal(c.Gathered.Text)
	c.Gathered.Text = nil
}

// segmentSet is the segments in which events of a session stand, as ranges of
// ids: in the database JSON, an id for itself and [first,last] for a range.
type segmentSet []segmentRange

func parseSegments(text string) (segmentSet, error) {
	if text == "" {
		return nil, nil
	}
	var set segmentSet
	if err := json.Unmarshal([]byte(text), &set); err != nil {
		return nil, fmt.Errorf("segments of a session: %w", err)
	}
	last := int64(0)
	for _, r := range set {
		if r[0] <= last || r[1] < r[0] || r[1] > maxID {
			return nil, fmt.Errorf("segments of a session: %.40q is no ascending list of ids", text)
		}
		last = r[1]
	}
	return set, nil
}

// maxID is above every id of a segment, and far from where counting ends.
const maxID = 1 << 53

type segmentRange [2]int64

func (r *segmentRange) UnmarshalJSON(text []byte) error {
	if text[0] == '[' {
		var list []int64 // not the array itself, which a shorter list would fit
		if err := json.Unmarshal(text, &list); err != nil || len(list) != 2 {
			return fmt.Errorf("%.40q is no range", text)
		}
		*r = segmentRange(list)
		return nil
	}
	err := json.Unmarshal(text, &r[0])
	r[1] = r[0]
	return err
}

func (set segmentSet) String() string {
	if len(set) == 0 {
		return ""
	}
	text := []byte{'['}
	for i, r := range set {
		if i > 0 {
			text = append(text, ',')
		}
		if r[0] == r[1] {
			text = strconv.AppendInt(text, r[0], 10)
		} else {
			text = fmt.Appendf(text, "[%d,%d]", r[0], r[1])
		}
	}
	return string(append(text, ']'))
}

// add adds a segment's id. Ids mostly come in ascending order.
func (set segmentSet) add(id int64) segmentSet {
	for i := len(set) - 1; i >= 0; i-- {
		r := &set[i]
		switch {
		case id >= r[0] && id <= r[1]:
			return set
		case id == r[1]+1:
			r[1] = id
			return set
		case id > r[1]:
			return append(set[:i+1], append(segmentSet{{id, id}}, set[i+1:]...)...)
		}
	}
	return append(segmentSet{{id, id}}, set...)
}

// joined returns the same ids in ascending order, in as few ranges as can be; set may
// be in any order.
func (set segmentSet) joined() (joined segmentSet) {
	slices.SortFunc(set, func(a, b segmentRange) int { return cmp.Compare(a[0], b[0]) })
	for _, r := range set {
		if n := len(joined); n > 0 && r[0] <= joined[n-1][1]+1 {
			joined[n-1][1] = max(joined[n-1][1], r[1])
		} else {
			joined = append(joined, r)
		}
	}
	return joined
}

// each calls f for each id, in ascending order.
func (set segmentSet) each(f func(id int64) error) error {
	for _, r := range set {
		for id := r[0]; id <= r[1]; id++ {
			if err := f(id); err != nil {
				return err
			}
		}
	}
	return nil
}

// eachLine calls f for each line of a segment's text.
func eachLine(text []byte, f func(index int, line []byte) error) error {
	for index := 0; len(text) > 0; index++ {
		end := bytes.IndexByte(text, '\n')
		if err := f(index, text[:end]); err != nil {
			return err
		}
		text = text[end+1:]
	}
	return nil
}
