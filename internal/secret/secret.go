package secret

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
)

// shown is what any Secret looks like, the empty one included.
const shown = "[secret]"

// Secret is a text that is shown nowhere. The zero value is the empty text.
// Secrets can be compared with == and be keys of maps.
type Secret struct {
	// Not the text, for what does not ask the methods: fmt does not for a field
	// that is not exported, nor for %p, and prints an address.
	kept *kept
}

// kept holds a text where packages that follow pointers do not get either, as
// those do that print differences.
type kept struct {
	text func() string
}

// known has the kept of each text, so that equal texts have the same one and
// comparing them takes the same time for all. A program has a handful of
// secrets: none is forgotten.
var known sync.Map

// New returns text as a Secret. Any text will do. It is kept as long as the
// program runs.
func New(text string) Secret {
	if text == "" {
		return Secret{}
	}
	text = strings.Clone(text) // and not the file that it was a part of
	k, _ := known.LoadOrStore(text, &kept{func() string { return text }})
	return Secret{k.(*kept)}
}

// Reveal returns the text. It is the only way to it: what it returns must go to
// the service that asks for it and nowhere else.
func (s Secret) Reveal() string {
	if s.IsZero() {
		return ""
	}
	return s.kept.text()
}

// IsZero reports whether the text is empty.
func (s Secret) IsZero() bool { return s == Secret{} }

// Equal reports whether both texts are the same, as == does. Packages that
// compare by reflection look for it.
func (s Secret) Equal(other Secret) bool { return s == other }

// Fingerprint returns 12 hex digits that name the secret, the same on all hosts,
// and "" for the empty one: 48 bits of the SHA-256 of a fixed prefix and the
// text. Two keys have the same one once in 281 trillion.
//
// It is for keys that machines made, such as the 64 hex digits of VirusTotal:
// nobody gets there by guessing. Who sees the fingerprint of a password that
// people chose can test guesses with it, and no length would both prevent that
// and tell keys apart: never store or show one of those.
func (s Secret) Fingerprint() string {
	if s.IsZero() {
		return ""
	}
	sum := sha256.Sum256([]byte("midden secret fingerprint\x00" + s.Reveal()))
	return hex.EncodeToString(sum[:6])
}

// String returns "[secret]", as do all the following.
func (Secret) String() string { return shown }

// GoString is for %#v.
func (Secret) GoString() string { return shown }

// Format is for all verbs.
func (Secret) Format(f fmt.State, _ rune) { io.WriteString(f, shown) }

// LogValue is for slog.
func (Secret) LogValue() slog.Value { return slog.StringValue(shown) }

// MarshalText is for TOML, YAML, XML and keys of maps.
func (Secret) MarshalText() ([]byte, error) { return []byte(shown), nil }

// MarshalJSON is for JSON.
func (Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + shown + `"`), nil }

// MarshalBinary is for gob.
func (Secret) MarshalBinary() ([]byte, error) { return []byte(shown), nil }
