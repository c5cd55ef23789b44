package config

import (
	"errors"
	"io/fs"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestLoad(t *testing.T) {
	yes, no := true, false
	for _, c := range []struct {
		text string
		want Config
	}{
		{"", Config{}},
		{"# nothing but a comment\n", Config{}},
		{"db = \"x.db\"\n", Config{DB: "x.db"}},
		{"db = 'C:\\x.db'\r\nuse_new_enrichment = true\r\n", Config{DB: `C:\x.db`, NewEnrichment: &yes}},
		{"use_new_enrichment = false", Config{NewEnrichment: &no}},
		{"[[sensor]]\nname = 'a'\ndownloads = 'x/y'\n[[sensor]]\nname = 'b'\n",
			Config{Sensors: []Sensor{{Name: "a", Downloads: "x/y"}, {Name: "b"}}}},
		{"[virustotal]\nkey = 'env:K'\nper_day = 7\nignore = ['a']\n[virustotal.ask_again]\nunknown = ['90m', '2w']\n",
			Config{VirusTotal: VirusTotal{Key: "env:K", PerDay: 7, Ignore: []string{"a"},
				AskAgain: AskAgain{Unknown: []Span{{90 * time.Minute}, {14 * 24 * time.Hour}}}}}},
	} {
		t.Chdir(t.TempDir())
		for _, path := range []string{"", "named.toml"} {
			c.want.Path = path
			if path == "" {
				c.want.Path = "midden.toml"
			}
			write(t, c.want.Path, c.text)
			got, err := Load(path)
			if err != nil {
				t.Errorf("Load(%q) of %q: %v", path, c.text, err)
			} else if diff := cmp.Diff(&c.want, got); diff != "" {
				t.Errorf("Load(%q) of %q:\n%s", path, c.text, diff)
			}
		}
	}
}

func TestLoadNoFile(t *testing.T) {
	t.Chdir(t.TempDir())
	if c, err := Load(""); err != nil || !reflect.DeepEqual(c, &Config{}) {
		t.Errorf("no file at the default place: %+v, %v", c, err)
	}
	if _, err := Load(Default); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), Default) {
		t.Errorf("no file at a place that was named: %v", err)
	}
	if err := os.Mkdir(Default, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(""); err == nil {
		t.Error("a directory passes for a file")
	}
}

func TestErrors(t *testing.T) {
	const (
		there  = "; there are db, use_new_enrichment, virustotal, hashlookup, malwarebazaar, urlhaus, elastic, sensor"
		name   = `sensor.name takes text in quotes, as in name = "dmz-1"`
		text   = `db takes text in quotes, as in db = "midden.db"`
		truth  = `use_new_enrichment takes true or false, without quotes`
		broken = text + " ("
	)
	t.Chdir(t.TempDir())
	for _, c := range []struct{ text, want string }{
		// No such setting.
		{"# a comment\n\nuse_new_enrichmnt = true\n", `3: there is no setting "use_new_enrichmnt"` + there},
		{"db = 'x'\nwho = 1\nwhat = 2\n", `2: there is no setting "who"` + there},
		{"[db2]\nuser = 'x'\n", `1: there is no setting "db2"` + there},
		{"[[sensor]]\nname = 'x'\nlogpath = 'y'\n", `3: there is no setting "sensor.logpath"; there are sensor.name, sensor.downloads`},
		{"[virustotal.ask_again]\nold = '1d'\n", `2: there is no setting "virustotal.ask_again.old"; there are virustotal.ask_again.unknown, `},
		{"[urlhaus]\nuse = true\n", `2: there is no setting "urlhaus.use"; there are urlhaus.key, urlhaus.base_url, urlhaus.per_minute`},
		{"a.b = 1", `1: there is no setting "a.b"` + there},
		{"path = 'x'", `1: there is no setting "path"` + there},
		{"- = 1", `1: there is no setting "-"` + there},
		{`"a\u001b\nb" = 1`, `1: there is no setting "a\x1b\nb"` + there},
		// Another type.
		{"\ndb = 3", "2: " + text},
		{"db = true", "1: " + text},
		{"db = ['a']", "1: " + text},
		{"db = 2026-01-01", "1: " + text},
		{"[db]\npath = 'x'", "1: " + text},
		{"db.path = 'x'", "1: " + text},
		{"use_new_enrichment = 'true'", "1: " + truth},
		{"use_new_enrichment = 1", "1: " + truth},
		{"[[use_new_enrichment]]", "1: " + truth},
		{"[[sensor]]\nname = 1", "2: " + name},
		{"[virustotal]\nper_day = 'x'", "2: virustotal.per_day takes a number of requests, without quotes"},
		{"[virustotal.ask_again]\nyoung = 3", "2: virustotal.ask_again.young takes a span in quotes"},
		{"[virustotal.ask_again]\nyoung = '3 days'", "2: virustotal.ask_again.young takes a span in quotes"},
		{"[virustotal.ask_again]\nunknown = ['1h', 'x']", "2: virustotal.ask_again.unknown takes spans in quotes"},
		{"sensor = 'x'", "1: sensor takes a heading of its own for each sensor: [[sensor]]"},
		{"[[sensor]]\nname = x", "2: " + strings.TrimPrefix(name, "sensor.") + " ("},
		{"[[sensor]]\nname = 'x'\n[[sensor]]\ndownloads = 'y'\n", "3: this sensor has no name"},
		// No TOML.
		{"db = /srv/midden.db", "1: " + broken},
		{"db = 99999999999999999999", "1: " + broken},
		{"db = 'x", "1: " + broken},
		{"db = 'x'\nuse_new_enrichment = yes\n", "2: " + truth + " ("},
		{"use_new_enrichment=True", "1: " + truth + " ("},
		{"db = 'x'\ndb = 'y'", "2: key db is already defined"},
		{"db", "1: " + broken},
		{"db = \"\"\"\nx\n\n", "3: multiline basic string not terminated"},
		{"db = \"\xff\"", "1: "},
		{"\n\n\x00\n", "3: "},
		{"[db", "1: expected ']'"},
	} {
		write(t, "x.toml", c.text)
		_, err := Load("x.toml")
		if err == nil {
			t.Errorf("%q passes", c.text)
			continue
		}
		got := err.Error()
		if !strings.HasPrefix(got, "x.toml:"+c.want) {
			t.Errorf("%q: %s, want x.toml:%s", c.text, got, c.want)
		}
		if strings.Contains(got, "\n") || strings.Contains(got, "toml: ") || strings.Contains(got, "struct") {
			t.Errorf("%q: no message for people: %q", c.text, got)
		}
	}
}

// TestEveryField: a field is a setting, and says what it takes, or none at all.
func TestEveryField(t *testing.T) {
	for _, field := range reflect.VisibleFields(reflect.TypeFor[Config]()) {
		name, what := field.Tag.Get("toml"), field.Tag.Get("takes")
		if name == "" || (name == "-") != (what == "") {
			t.Errorf("field %s is setting %q and takes %q", field.Name, name, what)
		}
	}
}

func TestUseNewEnrichment(t *testing.T) {
	yes, no := true, false
	for _, c := range []struct {
		env     string
		file    *bool
		on, set bool
		from    string
	}{
		{"", nil, false, false, ""},
		{"", &yes, true, true, "my.toml"},
		{"", &no, false, true, "my.toml"},
		{"true", nil, true, true, "USE_NEW_ENRICHMENT"},
		{"TRUE", &no, true, true, "USE_NEW_ENRICHMENT"},
		{" True\n", nil, true, true, "USE_NEW_ENRICHMENT"},
		{"false", &yes, false, true, "USE_NEW_ENRICHMENT"},
		{"1", &yes, false, true, "USE_NEW_ENRICHMENT"},
		{"yes", nil, false, true, "USE_NEW_ENRICHMENT"},
		{"truee", nil, false, true, "USE_NEW_ENRICHMENT"},
		{" ", &yes, false, true, "USE_NEW_ENRICHMENT"},
	} {
		getenv := func(name string) string {
			if name == "USE_NEW_ENRICHMENT" {
				return c.env
			}
			return "true"
		}
		config := &Config{NewEnrichment: c.file, Path: "my.toml"}
		if on, set, from := config.UseNewEnrichment(getenv); on != c.on || set != c.set || from != c.from {
			t.Errorf("environment %q, file %v: %v, %v, %q, want %v, %v, %q", c.env, c.file != nil && *c.file, on, set, from, c.on, c.set, c.from)
		}
	}
}
