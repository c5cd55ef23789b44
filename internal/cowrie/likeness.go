package cowrie

import (
	"crypto/sha256"
	"encoding/binary"
)

// Likeness is what an event has in common with the copy of it that
// cowrieprocessor stored: its session, id and time, and for files the hash.
// That program altered payloads, so that their Identity is another. Where an
// event lacks a session, an id or a time its Likeness is its Identity.
func Likeness(text []byte) [sha256.Size]byte {
	r := newReader()
	_, err := r.read(text)
	f := &r.fields
	session, id, t := f.session.bytes(), f.eventid.bytes(), f.time()
	if err != nil || len(session) == 0 || len(id) == 0 || t == NoTime {
		return Identity(text)
	}
	shasum, _ := Shasum(f.shasum.bytes())
	b := make([]byte, 0, 256)
	for _, part := range [][]byte{session, id, []byte(shasum)} {
		b = binary.AppendUvarint(b, uint64(len(part)))
		b = append(b, part...)
	}
	return sha256.Sum256(binary.LittleEndian.AppendUint64(b, uint64(t)))
}
