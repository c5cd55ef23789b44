package cowrie

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"math/bits"
	"unicode/utf8"
)

// MaxDepth is how many arrays and objects may stand inside one another, the
// event's own object included. It is the limit of encoding/json.
const MaxDepth = 10000

// Why a line is not an event. The text of each is the reason of its dead letter.
var (
	ErrNotObject = errors.New("not a JSON object")
	ErrSyntax    = errors.New("broken JSON")
	ErrTrailing  = errors.New("more than one JSON value on the line")
	ErrDepth     = errors.New("JSON nested too deeply")
	ErrCut       = errors.New("JSON cut off")
)

// kind says what a JSON value is.
type kind byte

const (
	absent  kind = iota
	plain        // a string without escapes
	escaped      // a string with escapes
	number
	boolean
	null
	nested // an object or an array
)

// value is a JSON value where it stands in the line; nothing is copied.
type value struct {
	raw  []byte // strings without their quotes
	kind kind
}

func (v value) isString() bool { return v.kind == plain || v.kind == escaped }

// text returns the string, unescaped; "" for anything that is not a string.
func (v value) text() string {
	switch v.kind {
	case plain:
		return string(v.raw)
	case escaped:
		return string(unescape(v.raw))
	}
	return ""
}

// scalar is text, or the digits of a number.
func (v value) scalar() string {
	if v.kind == number {
		return string(v.raw)
	}
	return v.text()
}

// bytes is text without a copy where there is nothing to unescape.
func (v value) bytes() []byte {
	switch v.kind {
	case plain:
		return v.raw
	case escaped:
		return unescape(v.raw)
	}
	return nil
}

// scanner reads one JSON object in a single pass: it holds the whole line to
// RFC 8259 and reports the members of the outermost object. It accepts what
// encoding/json accepts, and nothing else.
type scanner struct {
	data  []byte
	pos   int
	stack []byte // '{' or '[' of each container that is open
}

// object reads data as one JSON object, with white space around it, and calls
// member for each member of the outermost object, in order. A name that
// occurs twice is reported twice. It returns the bytes of the object.
func (s *scanner) object(data []byte, member func(name []byte, v value)) ([]byte, error) {
	s.data, s.pos = data, 0
	s.space()
	if s.pos == len(data) || data[s.pos] != '{' {
		return nil, ErrNotObject
	}
	start := s.pos
	s.pos++
	s.space()
	if s.peek() == '}' {
		s.pos++
	} else if err := s.members(member); err != nil {
		return nil, err
	}
	end := s.pos
	s.space()
	if s.pos != len(data) {
		return nil, ErrTrailing
	}
	return data[start:end], nil
}

func (s *scanner) members(member func(name []byte, v value)) error {
	for {
		if s.peek() != '"' {
			return s.broken()
		}
		name, err := s.str()
		if err != nil {
			return err
		}
		s.space()
		if s.peek() != ':' {
			return s.broken()
		}
		s.pos++
		s.space()
		v, err := s.value()
		if err != nil {
			return err
		}
		if name.kind == escaped {
			name.raw = unescape(name.raw)
		}
		member(name.raw, v)
		s.space()
		switch s.peek() {
		case ',':
			s.pos++
			s.space()
		case '}':
			s.pos++
			return nil
		default:
			return s.broken()
		}
	}
}

// value reads the value at pos. Containers are walked without recursion, so
// that depth costs a byte each and not a stack frame.
func (s *scanner) value() (value, error) {
	switch c := s.peek(); {
	case c == '"':
		return s.str()
	case c == '{' || c == '[':
		start := s.pos
		if err := s.container(); err != nil {
			return value{}, err
		}
		return value{raw: s.data[start:s.pos], kind: nested}, nil
	default:
		return s.scalar()
	}
}

func (s *scanner) scalar() (value, error) {
	start := s.pos
	switch c := s.peek(); {
	case c == '-' || c >= '0' && c <= '9':
		if err := s.number(); err != nil {
			return value{}, err
		}
		return value{raw: s.data[start:s.pos], kind: number}, nil
	case c == 't':
		return s.word("true", boolean)
	case c == 'f':
		return s.word("false", boolean)
	case c == 'n':
		return s.word("null", null)
	}
	return value{}, s.broken()
}

func (s *scanner) word(w string, k kind) (value, error) {
	rest := s.data[s.pos:]
	if len(rest) < len(w) {
		if string(rest) == w[:len(rest)] {
			return value{}, ErrCut
		}
		return value{}, ErrSyntax
	}
	if string(rest[:len(w)]) != w {
		return value{}, ErrSyntax
	}
	v := value{raw: rest[:len(w)], kind: k}
	s.pos += len(w)
	return v, nil
}

// container reads the array or object that begins at pos.
func (s *scanner) container() error {
	s.stack = s.stack[:0]
	for {
		// At the beginning of a value.
		switch c := s.peek(); c {
		case '{', '[':
			if len(s.stack)+2 > MaxDepth { // the outermost object counts
				return ErrDepth
			}
			s.stack = append(s.stack, c)
			s.pos++
			s.space()
			if s.peek() == c+2 { // '{'+2 is '}', '['+2 is ']'
				s.pos++
				s.stack = s.stack[:len(s.stack)-1]
				break
			}
			if c == '{' {
				if err := s.name(); err != nil {
					return err
				}
			}
			continue
		case '"':
			if _, err := s.str(); err != nil {
				return err
			}
		default:
			if _, err := s.scalar(); err != nil {
				return err
			}
		}
		// After a value: close what it ends, or go on to the next one.
		for {
			if len(s.stack) == 0 {
				return nil
			}
			open := s.stack[len(s.stack)-1]
			s.space()
			c := s.peek()
			if c == open+2 {
				s.pos++
				s.stack = s.stack[:len(s.stack)-1]
				continue
			}
			if c != ',' {
				return s.broken()
			}
			s.pos++
			s.space()
			if open == '{' {
				if err := s.name(); err != nil {
					return err
				}
			}
			break
		}
	}
}

// name reads a member's name and colon inside a nested object.
func (s *scanner) name() error {
	if s.peek() != '"' {
		return s.broken()
	}
	if _, err := s.str(); err != nil {
		return err
	}
	s.space()
	if s.peek() != ':' {
		return s.broken()
	}
	s.pos++
	s.space()
	return nil
}

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// str reads the string that begins at pos.
func (s *scanner) str() (value, error) {
	data := s.data
	start := s.pos + 1
	i := start
	k := plain
	for {
		// Eight bytes at a time up to the first quote, backslash or control.
		for i+8 <= len(data) {
			w := binary.LittleEndian.Uint64(data[i:])
			quote := w ^ ones*'"'
			slash := w ^ ones*'\\'
			stop := ((quote - ones) &^ quote) | ((slash - ones) &^ slash) | ((w - ones*0x20) &^ w)
			if stop &= highs; stop != 0 {
				i += bits.TrailingZeros64(stop) / 8
				break
			}
			i += 8
		}
		if i >= len(data) {
			return value{}, ErrCut
		}
		switch c := data[i]; {
		case c == '"':
			s.pos = i + 1
			return value{raw: data[start:i], kind: k}, nil
		case c == '\\':
			k = escaped
			n, err := escapeLen(data[i:])
			if err != nil {
				return value{}, err
			}
			i += n
		case c < 0x20:
			return value{}, ErrSyntax
		default:
			i++
		}
	}
}

// escapeLen returns the length of the escape at the beginning of b.
func escapeLen(b []byte) (int, error) {
	if len(b) < 2 {
		return 0, ErrCut
	}
	switch b[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2, nil
	case 'u':
		for i := 2; i < 6; i++ {
			if i >= len(b) {
				return 0, ErrCut
			}
			if unhex(b[i]) < 0 {
				return 0, ErrSyntax
			}
		}
		return 6, nil
	}
	return 0, ErrSyntax
}

func (s *scanner) number() error {
	if s.peek() == '-' {
		s.pos++
	}
	switch c := s.peek(); {
	case c == '0':
		s.pos++
	case c >= '1' && c <= '9':
		s.digits()
	default:
		return s.broken()
	}
	if s.peek() == '.' {
		s.pos++
		if s.digits() == 0 {
			return s.broken()
		}
	}
	if c := s.peek(); c == 'e' || c == 'E' {
		s.pos++
		if c := s.peek(); c == '+' || c == '-' {
			s.pos++
		}
		if s.digits() == 0 {
			return s.broken()
		}
	}
	return nil
}

func (s *scanner) digits() (n int) {
	for c := s.peek(); c >= '0' && c <= '9'; c = s.peek() {
		s.pos++
		n++
	}
	return n
}

// peek returns the byte at pos, 0 at the end.
func (s *scanner) peek() byte {
	if s.pos < len(s.data) {
		return s.data[s.pos]
	}
	return 0
}

func (s *scanner) space() {
	for s.pos < len(s.data) && isSpace(s.data[s.pos]) {
		s.pos++
	}
}

// broken tells a line that ends too early from one that is wrong.
func (s *scanner) broken() error {
	if s.pos >= len(s.data) {
		return ErrCut
	}
	return ErrSyntax
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

// unescape undoes the escapes of a valid JSON string. A lone surrogate becomes
// the three bytes that UTF-8 would give it if it allowed surrogates, so that
// different strings stay different.
func unescape(b []byte) []byte {
	out := make([]byte, 0, len(b))
	for i := 0; i < len(b); {
		if b[i] != '\\' {
			out = append(out, b[i])
			i++
			continue
		}
		switch c := b[i+1]; c {
		case 'b':
			out = append(out, '\b')
		case 'f':
			out = append(out, '\f')
		case 'n':
			out = append(out, '\n')
		case 'r':
			out = append(out, '\r')
		case 't':
			out = append(out, '\t')
		case 'u':
			r := hex4(b[i+2:])
			if r&0xfc00 == 0xd800 && i+12 <= len(b) && b[i+6] == '\\' && b[i+7] == 'u' {
				if low := hex4(b[i+8:]); low&0xfc00 == 0xdc00 {
					out = utf8.AppendRune(out, 0x10000+(r&0x3ff)<<10+low&0x3ff)
					i += 12
					continue
				}
			}
			if r&0xf800 == 0xd800 {
				out = append(out, 0xed, 0x80|byte(r>>6)&0x3f, 0x80|byte(r)&0x3f)
			} else {
				out = utf8.AppendRune(out, r)
			}
			i += 6
			continue
		default: // " \ /
			out = append(out, c)
		}
		i += 2
	}
	return out
}

func hex4(b []byte) rune {
	var r int
	for _, c := range b[:4] {
		r = r<<4 | unhex(c)
	}
	return rune(r)
}

func unhex(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// Compact appends src, which must be valid JSON, to dst without the white
// space between its tokens.
func Compact(dst, src []byte) []byte {
	compact(src, func(part []byte) { dst = append(dst, part...) })
	return dst
}

// Identity is what makes an event the same event: the SHA-256 of its text
// without the white space between its tokens.
func Identity(text []byte) [sha256.Size]byte {
	h := sha256.New()
	compact(text, func(part []byte) { h.Write(part) })
	var sum [sha256.Size]byte
	h.Sum(sum[:0])
	return sum
}

// compact calls f with the parts of src that no white space stands between.
func compact(src []byte, f func([]byte)) {
	inString := false
	from := 0
	for i := 0; i < len(src); i++ {
		c := src[i]
		switch {
		case inString:
			switch c {
			case '\\':
				i++
			case '"':
				inString = false
			}
		case c == '"':
			inString = true
		case isSpace(c):
			if i > from {
				f(src[from:i])
			}
			from = i + 1
		}
	}
	if from < len(src) {
		f(src[from:])
	}
}
