package plain

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxMarks is how many combining marks may stand on one character. Living
// languages need fewer; more are there to draw over the neighbouring lines.
const maxMarks = 4

const hexDigits = "0123456789abcdef"

// Escape returns s as one line of valid UTF-8 that a terminal can only show.
// These are written as escapes, in lower-case hex:
//
//	\xNN        a control character below U+0020, DEL, or a byte that is not UTF-8
//	\uNNNN      another character that acts or is not seen: C1 controls, bidi
//	            controls, zero-width and format characters, variation selectors,
//	            line and paragraph separators, spaces other than U+0020, private
//	            and unassigned characters, a combining mark with nothing to stand
//	            on or the fifth one in a row
//	\UNNNNNNNN  the same beyond U+FFFF
//
// There is no \n and no \t: a newline is \x0a, so what an attacker typed as \n
// stays \n. A backslash of the text is left as it is, and doubled only where it
// would otherwise read as the start of an escape: before x and two hex digits, u
// and four, U and eight, before another backslash, and before anything that is
// escaped itself. So two different texts never look the same.
func Escape(s string) string {
	return escape(s, utf8.RuneError)
}

// Quote returns s escaped and between double quotes. A double quote in s is
// written \x22, so that the first one after the opening one is the end.
func Quote(s string) string {
	return `"` + escape(s, '"') + `"`
}

// escape is Escape that also escapes one further ASCII character, or none if
// also is utf8.RuneError.
func escape(s string, also rune) string {
	start := 0
	for start < len(s) && s[start] >= ' ' && s[start] <= '~' && s[start] != '\\' && rune(s[start]) != also {
		start++
	}
	if start == len(s) {
		return s
	}
	var b strings.Builder
	b.Grow(len(s) + 16)
	b.WriteString(s[:start])
	marks := 0
	if start == 0 {
		marks = maxMarks
	}
	for i := start; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		bad := r == utf8.RuneError && n == 1
		switch {
		case r == '\\':
			b.WriteByte('\\')
			if readsAsEscape(s[i+1:], also) {
				b.WriteByte('\\')
			}
			marks = 0
		case bad:
			writeHex(&b, 'x', rune(s[i]), 2)
			marks = maxMarks
		case !shown(r), r == also && also != utf8.RuneError:
			writeEscape(&b, r)
			marks = maxMarks
		case unicode.In(r, unicode.Mn, unicode.Me) && marks >= maxMarks:
			writeEscape(&b, r)
		case unicode.In(r, unicode.Mn, unicode.Me):
			b.WriteString(s[i : i+n])
			marks++
		default:
			b.WriteString(s[i : i+n])
			marks = 0
		}
		i += n
	}
	return b.String()
}

// readsAsEscape reports whether a single backslash before rest would be taken,
// with what follows, for an escape or for half of a doubled backslash.
func readsAsEscape(rest string, also rune) bool {
	if rest == "" {
		return false
	}
	switch rest[0] {
	case '\\':
		return true
	case 'x':
		return startsHex(rest[1:], 2)
	case 'u':
		return startsHex(rest[1:], 4)
	case 'U':
		return startsHex(rest[1:], 8)
	}
	r, n := utf8.DecodeRuneInString(rest)
	if r == utf8.RuneError {
		return n == 1
	}
	return r == also || !shown(r)
}

func startsHex(s string, n int) bool {
	if len(s) < n {
		return false
	}
	for _, c := range []byte(s[:n]) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') && (c < 'A' || c > 'F') {
			return false
		}
	}
	return true
}

func writeEscape(b *strings.Builder, r rune) {
	switch {
	case r < utf8.RuneSelf:
		writeHex(b, 'x', r, 2)
	case r <= 0xFFFF:
		writeHex(b, 'u', r, 4)
	default:
		writeHex(b, 'U', r, 8)
	}
}

func writeHex(b *strings.Builder, form byte, r rune, digits int) {
	b.WriteByte('\\')
	b.WriteByte(form)
	for shift := 4 * (digits - 1); shift >= 0; shift -= 4 {
		b.WriteByte(hexDigits[r>>shift&0xf])
	}
}

// shown reports whether a terminal shows r as itself: something is seen, and
// nothing else happens.
func shown(r rune) bool {
	if r < 0x7f {
		return r >= ' '
	}
	const brailleBlank = '\u2800' // a symbol by its category, a blank to the eye
	return unicode.IsPrint(r) && r != brailleBlank &&
		!unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
}
