package config

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/pelletier/go-toml/v2"
)

// FuzzLoad: a file is taken, and says what TOML says; or it is refused in one line,
// which names a line that the file has.
func FuzzLoad(f *testing.F) {
	for _, text := range []string{
		"", "db = 'x.db'\nuse_new_enrichment = true\n", "[[sensor]]\nname = 'a'\ndownloads = 'x/y'\n[[sensor]]\n", "sensor = [{}, {name = 'x'}]",
		"[virustotal]\nkey = 'env:K'\nper_day = 7\nignore = ['a']\n[virustotal.ask_again]\nunknown = ['90m', '2w']\nyoung = '3 days'",
		"[hashlookup]\nuse = true\n[urlhaus]\nkey = 1", "db", "db = \"\"\"\nx\n\n", "\xff", "\xef\xbb\xbfdb = 'x'", "a.b.c = 1", "[a]\n[a]", "= 1", "\"\" = 1",
		"db = 1979-05-27T07:32:00Z\r\n", "\r", "[virustotal]\nper_day = 99999999999999999999", "virustotal = 'x'", "virustotal.ask_again.young = ''", "\x00",
	} {
		f.Add([]byte(text))
	}
	form := regexp.MustCompile(`^c\.toml:(\d+): [^\n]+$`)
	f.Fuzz(func(t *testing.T, text []byte) {
		t.Chdir(t.TempDir())
		if err := os.WriteFile("c.toml", text, 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := Load("c.toml")
		if err != nil {
			m := form.FindStringSubmatch(err.Error())
			if m == nil {
				t.Fatalf("%q: %q", text, err)
			}
			if n, err := strconv.Atoi(m[1]); err != nil || n < 1 || n > strings.Count(string(text), "\n")+1 {
				t.Fatalf("%q has no line %d", text, n)
			}
			return
		}
		for _, s := range c.Sensors {
			if s.Name == "" {
				t.Fatalf("%q: a sensor without a name", text)
			}
		}
		for _, span := range c.VirusTotal.AskAgain.Unknown {
			if span.Duration <= 0 {
				t.Fatalf("%q: a span of %v", text, span)
			}
		}
		again := map[string]any{}
		if err := toml.Unmarshal(text, &again); err != nil {
			t.Fatalf("%q was taken, but is no TOML: %v", text, err)
		}
		for name, value := range again {
			if strings.EqualFold(name, "db") && len(again) == 1 && value != c.DB {
				t.Fatalf("%q is %q", text, c.DB)
			}
		}
	})
}

// FuzzKey: what stands where a key should is in no error, however broken the file is
// around it.
func FuzzKey(f *testing.F) {
	const canary = "c0ffee00c0ffee00c0ffee00"
	for _, s := range [][2]string{{"'", "'"}, {"\"", "\""}, {"", ""}, {"'", "\n"}, {"[", "]"}, {"{a = '", "'}"}, {"'''", "''"}, {"'", "' x"}, {"\"\\", "\""}, {"0x", ""}, {"+", "e1"}, {"1", ":00"}} {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, before, behind string) {
		if strings.ContainsAny(before, "\r\n") {
			return // it stands in no value then
		}
		path := filepath.Join(t.TempDir(), "c.toml")
		for _, heading := range []string{"[virustotal]\nkey = ", "urlhaus.key = ", "malwarebazaar = { key = "} {
			if err := os.WriteFile(path, []byte(heading+before+canary+behind), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := Load(path); err != nil && strings.Contains(err.Error(), canary) {
				t.Fatalf("%v", err)
			}
		}
	})
}
