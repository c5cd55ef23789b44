package synth

import (
	"strconv"
	"unicode/utf8"
)

// style is how Python's json.dumps was told to write separators.
type style struct {
	comma   string // between members, with the next name's quote
	colon   string // after a name, with its closing quote
	between string // between the elements of a list
}

var (
	spaced  = style{comma: `, "`, colon: `": `, between: `, `}
	compact = style{comma: `,"`, colon: `":`, between: `,`}
)

// plain holds which bytes json.dumps writes as they are.
var plain = func() (t [256]bool) {
	for c := 0x20; c < 0x80; c++ {
		t[c] = c != '"' && c != '\\'
	}
	return t
}()

const hexDigits = "0123456789abcdef"

// appendEscaped appends s as json.dumps writes it inside quotes: everything
// but ASCII as \uXXXX, beyond the basic plane as two of them. A byte that is
// not UTF-8 becomes the lone surrogate that Python's surrogateescape gives.
func appendEscaped(b []byte, s string) []byte {
	done := 0
	for i := 0; i < len(s); {
		c := s[i]
		if plain[c] {
			i++
			continue
		}
		b = append(b, s[done:i]...)
		size := 1
		switch {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c == '\n':
			b = append(b, `\n`...)
		case c == '\r':
			b = append(b, `\r`...)
		case c == '\t':
			b = append(b, `\t`...)
		case c == '\b':
			b = append(b, `\b`...)
		case c == '\f':
			b = append(b, `\f`...)
		case c < 0x20:
			b = appendUnit(b, uint32(c))
		default:
			var r rune
			r, size = utf8.DecodeRuneInString(s[i:])
			switch {
			case r == utf8.RuneError && size == 1:
				b = appendUnit(b, 0xdc00+uint32(c))
			case r >= 0x10000:
				u := uint32(r) - 0x10000
				b = appendUnit(b, 0xd800+u>>10)
				b = appendUnit(b, 0xdc00+u&0x3ff)
			default:
				b = appendUnit(b, uint32(r))
			}
		}
		i += size
		done = i
	}
	return append(b, s[done:]...)
}

// appendUnit appends one UTF-16 unit as \uXXXX.
func appendUnit(b []byte, u uint32) []byte {
	return append(b, '\\', 'u', hexDigits[u>>12&15], hexDigits[u>>8&15], hexDigits[u>>4&15], hexDigits[u&15])
}

// appendList appends a list of texts that need no escaping.
func appendList(b []byte, st style, list []string) []byte {
	b = append(b, '[')
	for i, s := range list {
		if i > 0 {
			b = append(b, st.between...)
		}
		b = append(b, '"')
		b = append(b, s...)
		b = append(b, '"')
	}
	return append(b, ']')
}

// member appends a comma and a name, up to where the value begins.
func (v *visit) member(name string) {
	v.buf = append(v.buf, v.style.comma...)
	v.buf = append(v.buf, name...)
	v.buf = append(v.buf, v.style.colon...)
}

// word appends a member whose text needs no escaping.
func (v *visit) word(name, value string) {
	v.member(name)
	v.buf = append(v.buf, '"')
	v.buf = append(v.buf, value...)
	v.buf = append(v.buf, '"')
}

// text appends a member of any text.
func (v *visit) text(name, value string) {
	v.member(name)
	v.buf = append(v.buf, '"')
	v.buf = appendEscaped(v.buf, value)
	v.buf = append(v.buf, '"')
}

// texts appends a member whose text is the parts, one after another.
func (v *visit) texts(name string, parts []string) {
	v.member(name)
	v.buf = append(v.buf, '"')
	for _, p := range parts {
		v.buf = appendEscaped(v.buf, p)
	}
	v.buf = append(v.buf, '"')
}

// integer appends a member with a whole number.
func (v *visit) integer(name string, n int) {
	v.member(name)
	v.buf = strconv.AppendInt(v.buf, int64(n), 10)
}

// truth appends a member that is true or false.
func (v *visit) truth(name string, is bool) {
	v.member(name)
	v.buf = strconv.AppendBool(v.buf, is)
}

// raw appends a member whose value is written already.
func (v *visit) raw(name, value string) {
	v.member(name)
	v.buf = append(v.buf, value...)
}
