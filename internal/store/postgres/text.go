package postgres

import (
	"encoding/hex"
	"fmt"
	"strings"
	"unicode/utf8"
)

// PostgreSQL's text is UTF-8 without the character 0. What else attackers write is
// escaped: a byte b that cannot stand becomes the character escaped+b, of a range
// in which no letter ever will be. Such a character that stands in a text is
// taken for four bytes that cannot stand; so every text has a form of its own.
const escaped = '\U0010FF00'

// escape returns the form in which PostgreSQL can hold a text. Nearly every text
// is its own form.
func escape(s string) string {
	i := plain(s)
	if i == len(s) {
		return s
	}
	var b strings.Builder
	b.Grow(len(s) + 32)
	b.WriteString(s[:i])
	for i < len(s) {
		r, n := utf8.DecodeRuneInString(s[i:])
		if stands(r, n) {
			b.WriteString(s[i : i+n])
			i += n
			continue
		}
		for range n {
			b.WriteRune(escaped + rune(s[i]))
			i++
		}
	}
	return b.String()
}

// plain returns how many bytes at the beginning of a text stand as they are.
func plain(s string) int {
	i := 0
	for i < len(s) {
		if c := s[i]; c-1 < utf8.RuneSelf-1 { // ASCII, not 0
			i++
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		if !stands(r, n) {
			break
		}
		i += n
	}
	return i
}

// stands reports whether a character that takes n bytes stands as it is.
func stands(r rune, n int) bool {
	return r != 0 && r < escaped && (r != utf8.RuneError || n > 1)
}

// unescape undoes escape.
func unescape(s string) string {
	// Nearly no text has a character that begins with this byte.
	i := strings.IndexByte(s, 0xf4)
	if i < 0 {
		return s
	}
	b := make([]byte, 0, len(s))
	b = append(b, s[:i]...)
	for i < len(s) {
		r, n := utf8.DecodeRuneInString(s[i:])
		if r >= escaped {
			b = append(b, byte(r))
		} else {
			b = append(b, s[i:i+n]...)
		}
		i += n
	}
	return string(b)
}

// array returns texts, bytes or numbers as an array, in the form in which texts are escaped when
// they are sent.
func array(values []any) string {
	b := []byte{'{'}
	for i, v := range values {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, '"')
		switch v := v.(type) {
		case string:
			for j := range len(v) {
				if v[j] == '"' || v[j] == '\\' {
					b = append(b, '\\')
				}
				b = append(b, v[j])
			}
		case []byte:
			b = hex.AppendEncode(append(b, `\\x`...), v)
		default:
			b = fmt.Append(b, v)
		}
		b = append(b, '"')
	}
	return string(append(b, '}'))
}
