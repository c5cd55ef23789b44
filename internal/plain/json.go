package plain

import "unicode/utf8"

// AppendJSON appends s to dst as a JSON string. It parses back to s exactly,
// save that each byte that is not UTF-8 becomes U+FFFD. Characters that Escape
// would escape are written \uNNNN, so that the JSON is harmless on a terminal;
// <, > and & are left as they are.
func AppendJSON(dst []byte, s string) []byte {
	dst = append(dst, '"')
	for i := 0; i < len(s); {
		if c := s[i]; c >= ' ' && c <= '~' {
			if c == '"' || c == '\\' {
				dst = append(dst, '\\')
			}
			dst = append(dst, c)
			i++
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == '\n':
			dst = append(dst, `\n`...)
		case r == '\r':
			dst = append(dst, `\r`...)
		case r == '\t':
			dst = append(dst, `\t`...)
		case r == utf8.RuneError && n == 1, !shown(r):
			dst = appendUnicode(dst, r)
		default:
			dst = append(dst, s[i:i+n]...)
		}
		i += n
	}
	return append(dst, '"')
}

// EscapeJSON takes valid JSON and returns JSON of the same meaning that is
// harmless on a terminal: what acts or is not seen stands as \uNNNN, and a byte
// that is not UTF-8 as \ufffd. White space between values is left alone, line
// ends included. The result may share memory with b.
func EscapeJSON(b []byte) []byte {
	clean := func(c byte) bool { return c < 0x7f }
	start := 0
	for start < len(b) && clean(b[start]) {
		start++
	}
	if start == len(b) {
		return b
	}
	out := make([]byte, start, len(b)+16)
	copy(out, b)
	for i := start; i < len(b); {
		if clean(b[i]) {
			out = append(out, b[i])
			i++
			continue
		}
		// Valid JSON has such bytes in strings only, where \u may stand.
		r, n := utf8.DecodeRune(b[i:])
		if shown(r) && !(r == utf8.RuneError && n == 1) {
			out = append(out, b[i:i+n]...)
		} else {
			out = appendUnicode(out, r)
		}
		i += n
	}
	return out
}

func appendUnicode(dst []byte, r rune) []byte {
	unit := func(u rune) {
		dst = append(dst, '\\', 'u', hexDigits[u>>12&0xf], hexDigits[u>>8&0xf], hexDigits[u>>4&0xf], hexDigits[u&0xf])
	}
	if r <= 0xFFFF {
		unit(r)
		return dst
	}
	r -= 0x10000
	unit(0xD800 + r>>10)
	unit(0xDC00 + r&0x3FF)
	return dst
}
