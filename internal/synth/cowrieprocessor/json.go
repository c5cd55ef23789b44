package cowrieprocessor

import (
	"bytes"
	"math"
	"slices"
	"strconv"
	"unicode/utf8"
)

// The tool read every line with Python's json.loads and wrote it with
// json.dumps. What differs from the line is white space, escapes, floats and
// members that are there twice; so this reads and writes as those two do.

// value is a JSON value.
type value struct {
	kind kind
	text []byte   // a scalar, as json.dumps writes it; strings with their quotes
	kids []member // of an array (without keys) or an object
}

type member struct {
	key   []byte // with its quotes
	value value
}

type kind byte

const (
	absent kind = iota
	null
	boolean
	number
	text
	array
	object
)

// maxDepth is where Python's recursion ends.
const maxDepth = 990

// reader reads JSON. Values are its own until it reads the next line.
type reader struct {
	src   []byte
	pos   int
	depth int
	open  []member // of the arrays and objects that are not read to their end
	kids  []member // of those that are
	texts []byte   // strings that are not written as they were read
}

// read reads a line that holds one value and nothing else.
func (r *reader) read(line []byte) (value, bool) {
	r.src, r.pos, r.depth = line, 0, 0
	r.open, r.kids, r.texts = r.open[:0], r.kids[:0], r.texts[:0]
	v, ok := r.value()
	r.space()
	return v, ok && r.pos == len(r.src)
}

func (r *reader) space() {
	for r.pos < len(r.src) {
		switch r.src[r.pos] {
		case ' ', '\t', '\n', '\r':
			r.pos++
		default:
			return
		}
	}
}

// next returns the next byte that is no white space, 0 at the end.
func (r *reader) next() byte {
	r.space()
	if r.pos == len(r.src) {
		return 0
	}
	return r.src[r.pos]
}

func (r *reader) value() (value, bool) {
	switch c := r.next(); c {
	case '"':
		t, ok := r.string()
		return value{kind: text, text: t}, ok
	case '{', '[':
		return r.container(c)
	}
	for _, w := range words {
		if bytes.HasPrefix(r.src[r.pos:], w.text) {
			r.pos += len(w.text)
			return w, true
		}
	}
	return r.number()
}

var words = []value{
	{kind: null, text: []byte("null")},
	{kind: boolean, text: []byte("true")},
	{kind: boolean, text: []byte("false")},
	{kind: number, text: []byte("NaN")},
	{kind: number, text: []byte("Infinity")},
	{kind: number, text: []byte("-Infinity")},
}

func (r *reader) container(c byte) (value, bool) {
	v, end := value{kind: array}, byte(']')
	if c == '{' {
		v.kind, end = object, '}'
	}
	if r.depth++; r.depth > maxDepth {
		return v, false
	}
	r.pos++
	first := len(r.open)
	if r.next() == end {
		r.pos++
		r.depth--
		return v, true
	}
	seen := uint64(0)
	for {
		var m member
		ok := true
		if v.kind == object {
			if r.next() != '"' {
				return v, false
			}
			if m.key, ok = r.string(); !ok || r.next() != ':' {
				return v, false
			}
			r.pos++
		}
		if m.value, ok = r.value(); !ok {
			return v, false
		}
		if at := r.twice(first, m.key, &seen); at >= 0 {
			r.open[at].value = m.value // the last one counts, where the first stood
		} else {
			r.open = append(r.open, m)
		}
		switch r.next() {
		case ',':
			r.pos++
		case end:
			r.pos++
			r.depth--
			from := len(r.kids)
			r.kids = append(r.kids, r.open[first:]...)
			r.open = r.open[:first]
			v.kids = r.kids[from:len(r.kids):len(r.kids)]
			return v, true
		default:
			return v, false
		}
	}
}

// twice returns where a key is already among the open members, or -1. Seen
// holds a bit for each kind of key so far, as nearly all keys are new.
func (r *reader) twice(first int, key []byte, seen *uint64) int {
	if key == nil {
		return -1
	}
	n := len(key)
	bit := uint64(1) << ((uint(key[n/2])*7 + uint(key[n-2])*3 + uint(n)) % 64)
	if *seen&bit != 0 {
		for i, m := range r.open[first:] {
			if bytes.Equal(m.key, key) {
				return first + i
			}
		}
	}
	*seen |= bit
	return -1
}

func (r *reader) number() (value, bool) {
	from, real := r.pos, false
	digits := func() bool {
		at := r.pos
		for r.pos < len(r.src) && r.src[r.pos]-'0' <= 9 {
			r.pos++
		}
		return r.pos > at
	}
	at := func(i int) byte {
		if i < len(r.src) {
			return r.src[i]
		}
		return 0
	}
	if at(r.pos) == '-' {
		r.pos++
	}
	if at(r.pos) == '0' {
		r.pos++
	} else if !digits() {
		return value{}, false
	}
	// As in Python, what does not go on as a fraction or an exponent is not
	// the number's.
	if at(r.pos) == '.' && at(r.pos+1)-'0' <= 9 {
		r.pos++
		real = digits()
	}
	if e := at(r.pos); e == 'e' || e == 'E' {
		sign := 0
		if s := at(r.pos + 1); s == '+' || s == '-' {
			sign = 1
		}
		if at(r.pos+1+sign)-'0' <= 9 {
			r.pos += 1 + sign
			real = digits()
		}
	}
	t := r.src[from:r.pos]
	if real {
		f, _ := strconv.ParseFloat(string(t), 64) // beyond its range it is infinite
		from := len(r.texts)
		r.texts = appendFloat(r.texts, f)
		t = r.texts[from:len(r.texts):len(r.texts)]
	} else if string(t) == "-0" {
		t = t[1:]
	}
	return value{kind: number, text: t}, true
}

// appendFloat appends a float as Python's repr does.
func appendFloat(b []byte, f float64) []byte {
	switch {
	case math.IsInf(f, 1):
		return append(b, "Infinity"...)
	case math.IsInf(f, -1):
		return append(b, "-Infinity"...)
	}
	if a := math.Abs(f); a != 0 && (a < 1e-4 || a >= 1e16) {
		return strconv.AppendFloat(b, f, 'e', -1, 64)
	}
	from := len(b)
	b = strconv.AppendFloat(b, f, 'f', -1, 64)
	if !bytes.ContainsRune(b[from:], '.') {
		b = append(b, ".0"...)
	}
	return b
}

// plain holds which bytes json.dumps writes as they are.
var plain = func() (t [256]bool) {
	for c := ' '; c <= '~'; c++ {
		t[c] = c != '"' && c != '\\'
	}
	return t
}()

// string reads a string and returns it as json.dumps writes it.
func (r *reader) string() ([]byte, bool) {
	from, same := r.pos, true
	for i := from + 1; i < len(r.src); i++ {
		c := r.src[i]
		switch {
		case plain[c]:
		case c == '"':
			r.pos = i + 1
			if !same {
				at := len(r.texts)
				r.texts = appendQuoted(r.texts, unescape(r.src[from+1:i]))
				return r.texts[at:len(r.texts):len(r.texts)], true
			}
			return r.src[from:r.pos:r.pos], true
		case c == '\\':
			i++
			switch e := at(r.src, i); e {
			case '"', '\\', 'n', 'r', 't', 'b', 'f':
			case '/':
				same = false
			case 'u':
				u, ok := unit(r.src[i+1:])
				if !ok {
					return nil, false
				}
				same = same && isEscaped(u) && !bytes.ContainsAny(r.src[i+1:i+5], "ABCDEF")
				i += 4
			default:
				return nil, false
			}
		case c < ' ':
			return nil, false
		default:
			same = false
		}
	}
	return nil, false
}

func at(b []byte, i int) byte {
	if i < len(b) {
		return b[i]
	}
	return 0
}

// unit reads the four hex digits of a \u.
func unit(b []byte) (u uint32, ok bool) {
	if len(b) < 4 {
		return 0, false
	}
	for _, c := range b[:4] {
		switch {
		case c-'0' <= 9:
			u = u<<4 | uint32(c-'0')
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			u = u<<4 | uint32(c|0x20-'a'+10)
		default:
			return 0, false
		}
	}
	return u, true
}

// isEscaped says whether json.dumps writes a UTF-16 unit as \uXXXX.
func isEscaped(u uint32) bool {
	switch u {
	case '\n', '\r', '\t', '\b', '\f':
		return false
	}
	return u < ' ' || u > '~'
}

// unescape returns the text between the quotes of a valid string. Half of a
// surrogate pair becomes the three bytes that UTF-8 would have for it.
func unescape(b []byte) []byte {
	if bytes.IndexByte(b, '\\') < 0 {
		return b
	}
	out := make([]byte, 0, len(b))
	for i := 0; i < len(b); i++ {
		if b[i] != '\\' {
			out = append(out, b[i])
			continue
		}
		i++
		switch b[i] {
		case 'n':
			out = append(out, '\n')
		case 'r':
			out = append(out, '\r')
		case 't':
			out = append(out, '\t')
		case 'b':
			out = append(out, '\b')
		case 'f':
			out = append(out, '\f')
		case 'u':
			u, _ := unit(b[i+1:])
			i += 4
			if u>>10 == 0xd800>>10 && at(b, i+1) == '\\' && at(b, i+2) == 'u' {
				if low, _ := unit(b[i+3:]); low>>10 == 0xdc00>>10 {
					out = utf8.AppendRune(out, rune(u&0x3ff<<10|low&0x3ff)+0x10000)
					i += 6
					continue
				}
			}
			if u>>11 == 0xd800>>11 {
				out = append(out, 0xe0|byte(u>>12), 0x80|byte(u>>6&0x3f), 0x80|byte(u&0x3f))
				continue
			}
			out = utf8.AppendRune(out, rune(u))
		default: // a quote, a backslash, a slash
			out = append(out, b[i])
		}
	}
	return out
}

// appendQuoted appends a text as json.dumps writes it, with quotes. It takes
// what unescape returns.
func appendQuoted(b, s []byte) []byte {
	b = append(b, '"')
	for i := 0; i < len(s); {
		c := s[i]
		if plain[c] {
			b = append(b, c)
			i++
			continue
		}
		size := 1
		switch c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\n':
			b = append(b, `\n`...)
		case '\r':
			b = append(b, `\r`...)
		case '\t':
			b = append(b, `\t`...)
		case '\b':
			b = append(b, `\b`...)
		case '\f':
			b = append(b, `\f`...)
		default:
			var r rune
			r, size = utf8.DecodeRune(s[i:])
			if c == 0xed && size == 1 && len(s) >= i+3 && s[i+1]>>5 == 5 {
				r, size = 0xd000|rune(s[i+1]&0x3f)<<6|rune(s[i+2]&0x3f), 3
			}
			if r >= 0x10000 {
				r -= 0x10000
				b = appendUnit(b, 0xd800+uint32(r>>10))
				r = 0xdc00 + r&0x3ff
			}
			b = appendUnit(b, uint32(r))
		}
		i += size
	}
	return append(b, '"')
}

func appendUnit(b []byte, u uint32) []byte {
	const hexDigits = "0123456789abcdef"
	return append(b, '\\', 'u', hexDigits[u>>12&15], hexDigits[u>>8&15], hexDigits[u>>4&15], hexDigits[u&15])
}

// appendValue appends a value with the given separators.
func appendValue(b []byte, v value, comma, colon string) []byte {
	switch v.kind {
	case array:
		b = append(b, '[')
	case object:
		b = append(b, '{')
	default:
		return append(b, v.text...)
	}
	for i, m := range v.kids {
		if i > 0 {
			b = append(b, comma...)
		}
		if v.kind == object {
			b = append(append(b, m.key...), colon...)
		}
		b = appendValue(b, m.value, comma, colon)
	}
	if v.kind == array {
		return append(b, ']')
	}
	return append(b, '}')
}

// sortKeys sorts the members of all objects, in place, by the code points of
// their keys.
func sortKeys(v value) {
	if v.kind == object {
		slices.SortFunc(v.kids, func(a, b member) int {
			x, y := a.key[1:len(a.key)-1], b.key[1:len(b.key)-1]
			return bytes.Compare(unescape(x), unescape(y))
		})
	}
	for _, m := range v.kids {
		if m.value.kids != nil {
			sortKeys(m.value)
		}
	}
}

// get returns a member of an object; absent if there is none.
func (v value) get(key string) value {
	for _, m := range v.kids {
		if len(m.key) == len(key)+2 && string(m.key[1:len(m.key)-1]) == key {
			return m.value
		}
	}
	return value{}
}

// set gives a member of an object a value, at its place or at the end.
func (v *value) set(key string, to value) {
	for i, m := range v.kids {
		if string(m.key[1:len(m.key)-1]) == key {
			v.kids[i].value = to
			return
		}
	}
	v.kids = append(v.kids, member{strconv.AppendQuote(nil, key), to})
}

// isTrue is Python's bool.
func (v value) isTrue() bool {
	switch v.kind {
	case boolean:
		return v.text[0] == 't'
	case number:
		f, err := strconv.ParseFloat(string(v.text), 64)
		return err != nil || f != 0
	case text:
		return len(v.text) > 2
	}
	return len(v.kids) > 0
}

// plainText returns the text of a string, nil for anything else.
func (v value) plainText() []byte {
	if v.kind != text {
		return nil
	}
	return unescape(v.text[1 : len(v.text)-1])
}
