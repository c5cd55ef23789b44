package logs

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"

	"midden/internal/cowrie"
)

// format says how the records of a log are told apart.
type format int

const (
	lines   format = iota // an event a line, as Cowrie writes them
	objects               // objects over several lines, or elements of one array
)

// detect reads up to the first record, to tell the format and to take the
// record's fingerprint.
func (r *Reader) detect() {
	for size := 64 << 10; ; size *= 4 {
		r.fill(min(size, MaxRecord+1))
		done := r.err != nil || len(r.buf) > MaxRecord
		start := skipSpace(r.buf)
		if len(start) == 0 && !done {
			continue
		}
		if r.detectIn(start, done) || done {
			return
		}
	}
}

// detectIn looks for the first record in what was read so far; done says that
// there will be no more. It reports false if more is needed.
func (r *Reader) detectIn(start []byte, done bool) bool {
	line, _, ended := bytes.Cut(start, []byte("\n"))
	if !ended && !done {
		return false
	}
	_, err := cowrie.Parse(line)
	if err == nil {
		r.identify(line)
		return true
	}
	if first, isArray := firstElement(start); first != nil && (isArray || ended && err == cowrie.ErrCut) {
		var f framer
		end, what := f.next(first, done)
		if end == 0 && !done {
			return false
		}
		if what == whole {
			if e, err := cowrie.Parse(first[:end]); err == nil && (!isArray || e.ID != "") {
				r.format = objects
				r.identify(first[:end])
				return true
			}
		}
	}
	if unfinished(start) && len(r.buf) <= MaxRecord {
		return true
	}
	if ended || len(r.buf) > MaxRecord {
		r.identify(line[:min(len(line), MaxRecord)])
	}
	return true
}

// unfinished reports whether the content is no more than the beginning of an
// object: of one that spans lines, say, in a file that is still being copied.
func unfinished(start []byte) bool {
	first, isArray := firstElement(start)
	if first == nil {
		return isArray && len(skipSpace(start[1:])) == 0
	}
	_, err := cowrie.Parse(first)
	return err == cowrie.ErrCut
}

// identify takes the fingerprint of the first record. Two texts of an event
// that differ only in white space have the same.
func (r *Reader) identify(record []byte) {
	record = bytes.TrimSpace(record)
	sum := sha256.Sum256(record)
	if isObject(record) {
		sum = cowrie.Identity(record)
	}
	r.first = hex.EncodeToString(sum[:])
}

// firstElement returns what begins at the first brace, and whether that is
// the first element of an array; nil if something else comes first.
func firstElement(start []byte) (element []byte, isArray bool) {
	if len(start) > 0 && start[0] == '[' {
		isArray = true
		start = skipSpace(start[1:])
	}
	if len(start) == 0 || start[0] != '{' {
		return nil, isArray
	}
	return start, isArray
}

// skipSpace returns b without white space and byte order mark at its beginning.
func skipSpace(b []byte) []byte {
	b = bytes.TrimPrefix(b, []byte("\xef\xbb\xbf"))
	return bytes.TrimLeft(b, " \t\r\n")
}

// frame says what a framer made of a stretch.
type frame int

const (
	more    frame = iota // the record goes on behind the stretch
	whole                // an object, from its first brace to its last
	rubbish              // no object; it ends where the next record may begin
)

// framer finds where a record ends among objects that may span lines. It is
// an ordinary bracket counter, except that an object which is broken (a cut
// file, say) is over at the latest where a line begins with a brace: nothing
// that prints JSON over several lines begins a line inside an object so.
type framer struct {
	pos      int // how far the stretch was looked at
	depth    int
	inString bool
	broken   bool
}

// next looks for the end of the record that data begins with. It may be
// called again with the same beginning and more behind it. It returns 0 and
// more until the end is there; done says that nothing more will come.
func (f *framer) next(data []byte, done bool) (end int, what frame) {
	if len(data) > 0 && data[0] != '{' {
		return f.line(data, done)
	}
	for ; f.pos < len(data); f.pos++ {
		c := data[f.pos]
		if c == '\n' {
			if f.pos+1 == len(data) {
				break // whether the next line begins with a brace is not known yet
			}
			if data[f.pos+1] == '{' && f.depth > 0 {
				return f.end(f.pos+1, rubbish)
			}
			f.broken = f.broken || f.inString
		}
		switch {
		case f.broken:
		case f.inString:
			switch c {
			case '\\':
				if f.pos+1 == len(data) {
					return 0, more
				}
				if data[f.pos+1] != '\n' {
					f.pos++
				}
			case '"':
				f.inString = false
			}
		case c == '"':
			f.inString = true
		case c == '{' || c == '[':
			f.depth++
		case c == '}' || c == ']':
			if f.depth--; f.depth == 0 {
				return f.end(f.pos+1, whole)
			}
		}
	}
	return 0, more
}

// line takes something between objects that is none, up to the end of its line.
func (f *framer) line(data []byte, done bool) (end int, what frame) {
	if i := bytes.IndexByte(data[f.pos:], '\n'); i >= 0 {
		return f.end(f.pos+i+1, rubbish)
	}
	if done && len(data) > 0 {
		return f.end(len(data), rubbish)
	}
	f.pos = len(data)
	return 0, more
}

func (f *framer) end(at int, what frame) (int, frame) {
	*f = framer{}
	return at, what
}

// nextObjects returns a block of objects that may span lines.
func (r *Reader) nextObjects() (*Block, error) {
	var f framer
	var ends []int // of the records, in buf
	done := 0      // how far buf is known to be records
	for size := BlockSize; ; size *= 2 {
		r.fill(min(size, MaxRecord+1))
		for {
			gap := between(r.buf[done:])
			end, what := f.next(r.buf[done+gap:], false)
			if what == more {
				break
			}
			done += gap + end
			ends = append(ends, done)
		}
		if len(ends) > 0 || r.err != nil {
			break
		}
		if len(r.buf) > MaxRecord {
			return r.tooLong()
		}
	}
	if len(ends) == 0 {
		r.consume(done + between(r.buf[done:]))
		return nil, r.err
	}
	start := r.at
	if r.err != nil {
		done += between(r.buf[done:])
	}
	data := r.take(done)[:ends[len(ends)-1]]
	blankGaps(data, ends)
	return &Block{Start: start, Lines: cowrie.Lines{Data: data, Ends: ends}}, nil
}

// between returns the length of what stands between two objects: white space,
// and the brackets and commas of an array.
func between(b []byte) int {
	return len(b) - len(bytes.TrimLeft(b, "\xef\xbb\xbf \t\r\n,[]"))
}

// blankGaps overwrites the brackets and commas between records, which are the
// array's and not the records', with spaces.
func blankGaps(data []byte, ends []int) {
	from := 0
	for _, end := range ends {
		gap := between(data[from:end])
		for i := from; i < from+gap; i++ {
			data[i] = ' '
		}
		from = end
	}
}
