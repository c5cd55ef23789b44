package virustotal

import (
	"net/url"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Key is a key of VirusTotal's API. However one is printed, formatted or
// encoded, what comes out is not the key: it stands in no field, so that even
// one in an unexported field of a struct that is printed stays hidden.
type Key struct{ reveal func() string }

// hidden stands where a secret would.
const hidden = "[hidden]"

// NewKey returns the key with this text. White space around it, such as the
// newline of a file, does not belong to it.
func NewKey(text string) Key {
	text = strings.TrimSpace(text)
	return Key{func() string { return text }}
}

func (k Key) text() string {
	if k.reveal == nil {
		return ""
	}
	return k.reveal()
}

// valid reports whether the key can be one: what it is made of is the same in
// a header, in a URL's path but for escapes, and in a quoted text.
func (k Key) valid() bool {
	for _, c := range k.text() {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !letter && !strings.ContainsRune("-._~+/=", c) {
			return false
		}
	}
	return true
}

func (k Key) String() string               { return hidden }
func (k Key) GoString() string             { return hidden }
func (k Key) MarshalText() ([]byte, error) { return []byte(hidden), nil }

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
