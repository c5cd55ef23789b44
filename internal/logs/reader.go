package logs

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding"
	"encoding/hex"
	"fmt"
	"hash"
	"io"

	"midden/internal/cowrie"
)

// Sizes, in bytes.
const (
	BlockSize = 1 << 20  // of a block, unless one record is longer
	MaxRecord = 32 << 20 // of a record that is read; a longer one is only referred to
)

// Block is a stretch of whole records.
type Block struct {
	From  int64       // where it begins, in bytes of decompressed content
	Start int64       // where Lines.Data begins; From, or just behind it
	Mark  cowrie.Mark // where it ends
	Lines cowrie.Lines
	// TooLong, if not nil, is the one record of the block: longer than
	// MaxRecord, and therefore not in Lines.
	TooLong *cowrie.DeadLetter
}

// ErrTooLong is why a record longer than MaxRecord is a dead letter.
var ErrTooLong = fmt.Errorf("longer than %d MB", MaxRecord>>20)

// Reader reads the content of a file as records.
type Reader struct {
	file   *File
	format format
	first  string // the fingerprint

	buf    []byte // content that was read and not yet given out
	at     int64  // where buf begins
	digest hash.Hash
	tail   []byte
	err    error // what ended the content: io.EOF, or a failure
	// unfinished is the length of a last line that is too long to be held.
	unfinished int64
	resumed    bool // the next block may begin with the end of a line that was read without it
}

// NewReader reads up to the first record of f, to know its fingerprint and
// how its records are told apart. It is an error if a log cannot be read as
// far as that.
func NewReader(f *File) (*Reader, error) {
	r := &Reader{file: f, digest: sha256.New()}
	r.detect()
	if r.err != nil && r.err != io.EOF && r.first == "" && (len(r.buf) == 0 || r.LooksLikeLog()) {
		return nil, r.err
	}
	return r, nil
}

// Fingerprint identifies the first record: SHA-256, hex. It is "" while the
// file holds no whole record.
func (r *Reader) Fingerprint() string { return r.first }

// Position returns how far the content was given out, in bytes.
func (r *Reader) Position() int64 { return r.at }

// BytesRead returns how many bytes of the file, as it lies on disk, were read.
func (r *Reader) BytesRead() int64 { return r.file.offset }

// LooksLikeLog reports whether the content begins as a log does.
func (r *Reader) LooksLikeLog() bool {
	switch start := skipSpace(r.buf); {
	case len(start) == 0:
		return false
	case start[0] == '{':
		return true
	case start[0] == '[':
		start = skipSpace(start[1:])
		return len(start) > 0 && start[0] == '{'
	}
	return false
}

// Resume goes to a position that the same file was read to before, without
// reading what stands before it. It reports false, and stays where it is, if
// the file is compressed or the bytes before the position are not the same.
func (r *Reader) Resume(m cowrie.Mark) bool {
	if r.file.Compression != "" || r.file.info.Size() < m.Position || int64(len(m.Tail)) > m.Position {
		return false
	}
	tail := make([]byte, len(m.Tail))
	if _, err := r.file.file.ReadAt(tail, m.Position-int64(len(tail))); err != nil || !bytes.Equal(tail, m.Tail) {
		return false
	}
	if r.restore(m.State) != nil {
		return false
	}
	if _, err := r.file.file.Seek(m.Position, io.SeekStart); err != nil {
		return false
	}
	r.file.offset = m.Position
	r.file.input = &counter{r.file.file, &r.file.offset}
	r.buf, r.at, r.tail, r.err = nil, m.Position, tail, nil
	r.resumed = true
	return true
}

func (r *Reader) restore(state []byte) error {
	d := sha256.New()
	if err := d.(encoding.BinaryUnmarshaler).UnmarshalBinary(state); err != nil {
		return err
	}
	r.digest = d
	return nil
}

// Advance goes forward to a position, reading all that stands before it, and
// returns the SHA-256 of that, hex. The error is io.ErrUnexpectedEOF if the
// content is shorter.
func (r *Reader) Advance(position int64) (string, error) {
	for r.at < position {
		if len(r.buf) == 0 {
			r.fill(BlockSize)
		}
		if len(r.buf) == 0 {
			if r.err == io.EOF {
				return "", io.ErrUnexpectedEOF
			}
			return "", r.err
		}
		n := min(position-r.at, int64(len(r.buf)))
		r.consume(int(n))
	}
	r.resumed = position > 0
	return hex.EncodeToString(r.digest.Sum(nil)), nil
}

// Rewind goes back to the beginning.
func (r *Reader) Rewind() error {
	if err := r.file.rewind(); err != nil {
		return err
	}
	*r = Reader{file: r.file, format: r.format, first: r.first, digest: sha256.New()}
	return nil
}

// Next returns the next block. It returns io.EOF at the end of the content,
// and the reason if the content cannot be read to its end; what could be read
// has been returned before. Pending tells what was left. Nothing is returned
// while the file holds no whole record.
func (r *Reader) Next() (*Block, error) {
	if r.first == "" {
		return nil, cmp.Or(r.err, io.EOF)
	}
	from := r.at
	if err := r.finishLine(); err != nil {
		return nil, err
	}
	var b *Block
	var err error
	if r.format == lines {
		b, err = r.nextLines()
	} else {
		b, err = r.nextObjects()
	}
	if b == nil && r.at > from {
		b, err = &Block{Start: r.at}, nil // nothing but the end of a line, or white space
	}
	if b == nil {
		return nil, err
	}
	b.From = from
	b.Mark = r.mark()
	return b, nil
}

// Pending returns how many bytes at the end are no whole record.
func (r *Reader) Pending() int64 {
	if len(skipSpace(r.buf)) == 0 {
		return r.unfinished
	}
	return int64(len(r.buf))
}

// finishLine passes over the end of a line whose record was read before the
// newline was there.
func (r *Reader) finishLine() error {
	if !r.resumed {
		return nil
	}
	if len(r.tail) > 0 && r.tail[len(r.tail)-1] == '\n' {
		r.resumed = false
		return nil
	}
	r.fill(BlockSize)
	blank := len(r.buf) - len(bytes.TrimLeft(r.buf, " \t\r"))
	switch {
	case blank == len(r.buf) && r.err != nil:
		return r.err // the line may still end
	case blank < len(r.buf) && r.buf[blank] == '\n':
		r.consume(blank + 1)
	}
	r.resumed = false
	return nil
}

func (r *Reader) mark() cowrie.Mark {
	state, _ := r.digest.(encoding.BinaryMarshaler).MarshalBinary()
	return cowrie.Mark{Position: r.at, Digest: hex.EncodeToString(r.digest.Sum(nil)), State: state,
		Tail: bytes.Clone(r.tail)}
}

// fill reads until buf holds size bytes, or the content ends. It ends, too, where the
// file was emptied and written anew meanwhile (copytruncate): what was read then may be
// the beginning of one line and the end of another.
func (r *Reader) fill(size int) {
	if len(r.buf) >= size || r.err != nil {
		return
	}
	had := len(r.buf)
	if cap(r.buf) < size {
		grown := make([]byte, len(r.buf), size)
		copy(grown, r.buf)
		r.buf = grown
	}
	for len(r.buf) < size && r.err == nil {
		n, err := r.file.input.Read(r.buf[len(r.buf):size])
		r.buf = r.buf[:len(r.buf)+n]
		r.err = err
	}
	if r.file.Compression == "" && !r.sameFile() {
		r.buf, r.err = r.buf[:had], io.EOF
	}
}

// sameFile reports whether the file still begins as it did when it was opened. Asked
// after reading, it tells that what was read is of that content.
func (r *Reader) sameFile() bool {
	head := r.file.head
	if r.at == 0 {
		read := r.buf[:min(len(r.buf), headSize)]
		n := min(len(read), len(head))
		if !bytes.Equal(read[:n], head[:n]) {
			return false
		}
		if len(read) > len(head) {
			head = bytes.Clone(read)
		}
	}
	now := make([]byte, len(head))
	if _, err := r.file.file.ReadAt(now, 0); err != nil && err != io.EOF || !bytes.Equal(now, head) {
		return false
	}
	r.file.head = head
	return true
}

// headSize is by how many of its first bytes a file is known to be the same: a first event
// differs from others in that.
const headSize = 1024

// consume gives out the first n bytes of buf.
func (r *Reader) consume(n int) {
	gone := r.buf[:n]
	r.digest.Write(gone)
	if n >= cowrie.TailSize {
		r.tail = append(r.tail[:0], gone[n-cowrie.TailSize:]...)
	} else {
		r.tail = append(r.tail, gone...)
		if over := len(r.tail) - cowrie.TailSize; over > 0 {
			r.tail = append(r.tail[:0], r.tail[over:]...)
		}
	}
	r.buf = r.buf[n:]
	r.at += int64(n)
}

// take gives out the first n bytes of buf and leaves them to the caller.
func (r *Reader) take(n int) []byte {
	taken := r.buf[:n:n]
	rest := r.buf[n:]
	r.consume(n)
	if r.buf = bytes.Clone(rest); r.err == nil {
		r.buf = append(make([]byte, 0, max(BlockSize, len(rest))), rest...)
	}
	return taken
}

func (r *Reader) nextLines() (*Block, error) {
	for size := BlockSize; ; size *= 2 {
		r.fill(min(size, MaxRecord+1))
		if end := bytes.LastIndexByte(r.buf, '\n'); end >= 0 {
			start := r.at
			return &Block{Start: start, Lines: cowrie.Lines{Data: r.take(end + 1)}}, nil
		}
		if len(r.buf) > MaxRecord {
			return r.tooLong()
		}
		if r.err != nil {
			break
		}
	}
	// A last line without its newline is an event if it is a whole object.
	if r.err == io.EOF && isObject(r.buf) {
		start := r.at
		return &Block{Start: start, Lines: cowrie.Lines{Data: r.take(len(r.buf))}}, nil
	}
	return nil, r.err
}

func isObject(data []byte) bool {
	_, err := cowrie.Parse(skipSpace(data))
	return err == nil
}

// tooLong passes over a record that is longer than MaxRecord.
func (r *Reader) tooLong() (*Block, error) {
	next := []byte("\n") // what stands between the record and the next one
	if r.format == objects {
		next = []byte("\n{")
	}
	// Only a record that ends is a dead letter. Look for the end on a second
	// digest, so that a record that is still growing leaves no trace.
	content, tail, start := r.digest, bytes.Clone(r.tail), r.at
	clone, err := content.(hash.Cloner).Clone()
	if err != nil {
		return nil, err
	}
	r.digest = clone
	record := sha256.New()
	for {
		if i := bytes.Index(r.buf, next); i >= 0 {
			record.Write(r.buf[:i])
			r.consume(i + 1)
			break
		}
		n := len(r.buf) - len(next) + 1 // a part of next may stand at the end
		record.Write(r.buf[:n])
		r.consume(n)
		r.buf = bytes.Clone(r.buf)
		r.fill(BlockSize)
		if r.err != nil && !bytes.Contains(r.buf, next) {
			r.unfinished = r.at - start + int64(len(r.buf))
			r.digest, r.tail, r.at, r.buf = content, tail, start, nil
			return nil, r.err
		}
	}
	return &Block{Start: start, TooLong: &cowrie.DeadLetter{Length: r.at - start - 1,
		Digest: hex.EncodeToString(record.Sum(nil)), Reason: ErrTooLong.Error()}}, nil
}
