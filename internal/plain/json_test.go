package plain

import (
	"encoding/json"
	"testing"
	"unicode/utf8"
)

func TestAppendJSON(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"", `""`},
		{`a"b\c`, `"a\"b\\c"`},
		{"<a>&", `"<a>&"`},
		{"\x00\n\r\t\x7f", `"\u0000\n\r\t\u007f"`},
		{"\u009b\u202e\u2028", `"\u009b\u202e\u2028"`},
		{"a\xffb\xed\xa0\x80", `"a\ufffdb\ufffd\ufffd\ufffd"`},
		{"密码 🦀 \U000e0041", `"密码 🦀 \udb40\udc41"`},
	} {
		if got := string(AppendJSON(nil, c.in)); got != c.want {
			t.Errorf("AppendJSON(%q) = %s, want %s", c.in, got, c.want)
		}
	}
}

func TestEscapeJSON(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{`{"a": [1e999, "\u001b"]}` + "\n", `{"a": [1e999, "\u001b"]}` + "\n"},
		{"[\"\x7f\u009b密\U000e0041\xff\"]", `["\u007f\u009b密\udb40\udc41\ufffd"]`},
	} {
		if got := string(EscapeJSON([]byte(c.in))); got != c.want {
			t.Errorf("EscapeJSON(%q) = %s, want %s", c.in, got, c.want)
		}
	}
}

func FuzzJSON(f *testing.F) {
	for _, s := range []string{"", "\"\\", "\u202e\x7f", "\xff", "\U000e0041", "\ufffd"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		out := AppendJSON(nil, s)
		var got string
		if err := json.Unmarshal(out, &got); err != nil {
			t.Fatalf("AppendJSON(%q) = %q: %v", s, out, err)
		}
		if want := string([]rune(s)); got != want {
			t.Errorf("AppendJSON(%q) parses as %q", s, got)
		}
		if r, bad := actsOrHides(string(out)); bad {
			t.Errorf("AppendJSON(%q) = %q has %U", s, out, r)
		}

		if !json.Valid([]byte(s)) {
			return
		}
		escaped := EscapeJSON([]byte(s))
		if !utf8.Valid(escaped) {
			t.Errorf("EscapeJSON(%q) = %q is not UTF-8", s, escaped)
		}
		var a, b any
		errA, errB := json.Unmarshal([]byte(s), &a), json.Unmarshal(escaped, &b)
		if (errA == nil) != (errB == nil) {
			t.Fatalf("EscapeJSON(%q): %v, before: %v", s, errB, errA)
		}
		if ja, jb := mustMarshal(t, a), mustMarshal(t, b); ja != jb {
			t.Errorf("EscapeJSON(%q) = %q means %s, not %s", s, escaped, jb, ja)
		}
	})
}

func mustMarshal(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
