package plain

import (
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestEscape(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"empty", "", ""},
		{"plain", "uname -a; cat /proc/cpuinfo", "uname -a; cat /proc/cpuinfo"},
		{"NUL", "a\x00b", `a\x00b`},
		{"newline, tab, CR", "a\nb\tc\r", `a\x0ab\x09c\x0d`},
		{"DEL", "a\x7f", `a\x7f`},
		{"colour", "\x1b[31mred\x1b[0m", `\x1b[31mred\x1b[0m`},
		{"OSC 8 link", "\x1b]8;;http://evil.example\x07click\x1b]8;;\x07", `\x1b]8;;http://evil.example\x07click\x1b]8;;\x07`},
		{"OSC 52 clipboard", "\x1b]52;c;cm0gLXJm\x07", `\x1b]52;c;cm0gLXJm\x07`},
		{"C1 CSI", "\u009b31m", `\u009b31m`},
		{"C1 CSI as a byte", "\x9b31m", `\x9b31m`},
		{"bidi override", "a\u202egpj.exe", `a\u202egpj.exe`},
		{"bidi isolates and marks", "\u2066\u2069\u200e\u200f\u061c", `\u2066\u2069\u200e\u200f\u061c`},
		{"zero width", "a\u200bb\u200dc\ufeff\u2060\u00ad", `a\u200bb\u200dc\ufeff\u2060\u00ad`},
		{"Hangul filler, braille blank", "\u3164\u115f\u2800", `\u3164\u115f\u2800`},
		{"line and paragraph separators", "a\u2028b\u2029c\u0085", `a\u2028b\u2029c\u0085`},
		{"other spaces", "a\u00a0b\u3000c", `a\u00a0b\u3000c`},
		{"variation selector, tag", "❤\ufe0f\U000e0041", `❤\ufe0f\U000e0041`},
		{"private use, noncharacter", "\ue000\uffff\U0010ffff", `\ue000\uffff\U0010ffff`},
		{"invalid UTF-8", "caf\xe9 \xff\xfe", `caf\xe9 \xff\xfe`},
		{"surrogate half", "\xed\xa0\x80", `\xed\xa0\x80`},
		{"cut sequence", "\xe2\x82", `\xe2\x82`},
		{"a real U+FFFD", "\ufffd", "\ufffd"},
		{"scripts", "пароль 密码 كلمة ✓ 🦀", "пароль 密码 كلمة ✓ 🦀"},
		{"accents", "e\u0301 ế", "e\u0301 ế"},
		{"mark with nothing below", "\u0301a", `\u0301a`},
		{"mark beyond U+FFFF", "\U0001e00d", `\U0001e00d`},
		{"mark on an escape", "\x1b\u0301", `\x1b\u0301`},
		{"stacked marks", "a" + strings.Repeat("\u0301", 6), "a" + strings.Repeat("\u0301", 4) + `\u0301\u0301`},

		{"backslash", `C:\Windows\new`, `C:\Windows\new`},
		{"backslash at the end", `a\`, `a\`},
		{"typed newline", `echo -e "root\nroot"`, `echo -e "root\nroot"`},
		{"typed escape", `echo -e "\x7fELF\X7f\u202e\u20"`, `echo -e "\\x7fELF\X7f\\u202e\u20"`},
		{"typed long escape", `\U0001F600 \U1F600`, `\\U0001F600 \U1F600`},
		{"doubled backslash", `\\`, `\\\`},
		{"backslash before an escape", "\\\x1b", `\\\x1b`},
		{"backslash before a bad byte", "\\\xff", `\\\xff`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := Escape(c.in); got != c.want {
				t.Errorf("Escape(%q)\n got %s\nwant %s", c.in, got, c.want)
			}
		})
	}
}

func TestQuote(t *testing.T) {
	for in, want := range map[string]string{
		"":              `""`,
		"a b":           `"a b"`,
		`say "hi"`:      `"say \x22hi\x22"`,
		`end\" level=e`: `"end\\\x22 level=e"`,
		`typed \x22`:    `"typed \\x22"`,
		"\xff\ufffd":    `"\xff` + "\ufffd" + `"`,
	} {
		if got := Quote(in); got != want {
			t.Errorf("Quote(%q) = %s, want %s", in, got, want)
		}
	}
}

func FuzzEscape(f *testing.F) {
	for _, s := range []string{"", `\`, `\\x1b`, "\\\x1b", "\x1b[0m", "a\u0301\u0301", "\u009b\x9b", `\U0001f600`, "\\\u202e", "\\\u0301", `\x"`, "\U0001e00d"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		e := Escape(s)
		if r, bad := actsOrHides(e); bad {
			t.Errorf("Escape(%q) = %q has %U", s, e, r)
		}
		if back := unescape(e); back != s {
			t.Errorf("Escape(%q) = %s reads back as %q", s, e, back)
		}
		q := Quote(s)
		if inner := q[1 : len(q)-1]; strings.Contains(inner, `"`) || unescape(inner) != s {
			t.Errorf("Quote(%q) = %s reads back as %q", s, q, unescape(inner))
		}
	})
}

// actsOrHides finds what must not reach a terminal. It lists the ranges once
// more, in its own words, so that a slip in shown is seen.
func actsOrHides(s string) (rune, bool) {
	for i, r := range s {
		switch {
		case r == utf8.RuneError && !strings.HasPrefix(s[i:], "\ufffd"),
			r < 0x20, 0x7f <= r && r <= 0x9f,
			0x200b <= r && r <= 0x200f, 0x202a <= r && r <= 0x202e, 0x2060 <= r && r <= 0x206f,
			r == 0x061c, r == 0x2028, r == 0x2029, r == 0xfeff, r == 0x00ad,
			0xfe00 <= r && r <= 0xfe0f, 0xe0000 <= r && r <= 0xe0fff,
			unicode.In(r, unicode.C, unicode.Z) && r != ' ':
			return r, true
		}
	}
	return 0, false
}

var anEscape = regexp.MustCompile(`(?s)\\(?:\\|x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8})`)

// unescape is the inverse that the doc comment of Escape promises to exist.
func unescape(s string) string {
	return anEscape.ReplaceAllStringFunc(s, func(m string) string {
		if m == `\\` {
			return `\`
		}
		n, err := strconv.ParseUint(m[2:], 16, 32)
		if err != nil {
			panic(err)
		}
		if m[1] == 'x' {
			return string([]byte{byte(n)})
		}
		return string(rune(n))
	})
}
