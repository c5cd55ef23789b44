package source

import (
	"encoding/json"
	"net/url"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"midden/internal/secret"
)

// hidden stands where a secret would.
const hidden = "[hidden]"

// NewKey returns the key with this text. White space around it, such as the
// newline of a file, does not belong to it.
func NewKey(text string) secret.Secret { return secret.New(strings.TrimSpace(text)) }

// valid reports whether a key can be one: what it is made of is the same in a
// header, in a URL's path but for escapes, and in a quoted text.
func valid(key string) bool {
	for _, c := range key {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !letter && !strings.ContainsRune("-._~+/=", c) {
			return false
		}
	}
	return true
}

// hide returns a function that takes these texts out of another, also where
// they are escaped as in URLs.
func hide(secrets ...string) func(string) string {
	var pairs []string
	for _, secret := range secrets {
		if secret == "" {
			continue
		}
		for _, form := range []string{secret, url.PathEscape(secret), url.QueryEscape(secret)} {
			pairs = append(pairs, form, hidden)
		}
	}
	return strings.NewReplacer(pairs...).Replace
}

// maxText is how many bytes of a text of a source are kept; the body keeps all.
const maxText = 256

// Clip cuts a text to 256 bytes, with "…" at its end, and no character in two.
func Clip(s string) string {
	if len(s) <= maxText {
		return s
	}
	end := maxText - len("…")
	for end > 0 && s[end]&0xc0 == 0x80 {
		end--
	}
	return s[:end] + "…"
}

// Text is a text of a source that every database can hold: valid UTF-8, without a NUL,
// and not too long.
func Text(s string) string {
	s = strings.ReplaceAll(strings.ToValidUTF8(s, "\ufffd"), "\x00", "\ufffd")
	return Clip(strings.TrimSpace(s))
}

// Decode reads a body as JSON. A member of another type than it should be is one that is
// missing; of what is no JSON, all are: nothing is set before that is known.
func Decode(body []byte, into any) { _ = json.Unmarshal(body, into) }

// printable escapes what does not show, or acts on a terminal, as Go does in
// its literals.
func printable(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		if unicode.IsPrint(r) && (r != utf8.RuneError || n > 1) {
			b.WriteString(s[i : i+n])
		} else {
			quoted := strconv.Quote(s[i : i+n])
			b.WriteString(quoted[1 : len(quoted)-1])
		}
		i += n
	}
	return b.String()
}
