package config

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"
)

// Default is the file that is read if none is named.
const Default = "midden.toml"

// Config is what a configuration file sets. The tag "takes" of a setting ends
// the sentence "<name> takes …" in errors.
type Config struct {
	// DB is the database, in any form that --db takes; "" if the file does not
	// say. A relative path in it is meant from the directory of the file.
	DB string `toml:"db" takes:"text in quotes, as in db = \"midden.db\""`
	// NewEnrichment is the staging switch; nil if the file does not say.
	NewEnrichment *bool `toml:"use_new_enrichment" takes:"true or false, without quotes"`

	// VirusTotal is how VirusTotal is asked.
	VirusTotal VirusTotal `toml:"virustotal" takes:"a heading of its own: [virustotal]"`
	// Further sources of verdicts. Each is off unless the file says otherwise.
	Hashlookup    Hashlookup `toml:"hashlookup" takes:"a heading of its own: [hashlookup]"`
	MalwareBazaar Abusech    `toml:"malwarebazaar" takes:"a heading of its own: [malwarebazaar]"`
	URLhaus       Abusech    `toml:"urlhaus" takes:"a heading of its own: [urlhaus]"`
	// Elastic is which Elasticsearch or OpenSearch is told.
	Elastic Elastic `toml:"elastic" takes:"a heading of its own: [elastic]"`
	// Sensors are what the file says of sensors.
	Sensors []Sensor `toml:"sensor" takes:"a heading of its own for each sensor: [[sensor]]"`

	// Path is the file as it was named; "" if there is none.
	Path string `toml:"-"`
}

// VirusTotal is what a configuration file says of VirusTotal. What is 0 or "" it
// does not say.
type VirusTotal struct {
	Key     string `toml:"key" takes:"a reference to the key in quotes, such as \"env:VT_API_KEY\" or \"file:/etc/midden/virustotal.key\""`
	BaseURL string `toml:"base_url" takes:"the URL of a server that answers like VirusTotal, in quotes"`
	// Requests at the most. VirusTotal's own limits count, too.
	PerMinute int64 `toml:"per_minute" takes:"a number of requests, without quotes"`
	PerDay    int64 `toml:"per_day" takes:"a number of requests, without quotes"`
	PerMonth  int64 `toml:"per_month" takes:"a number of requests, without quotes"`
	// Cache is a directory where answers are kept as files, too.
	Cache string `toml:"cache" takes:"a directory in quotes"`
	// AskAgain is how long answers count.
	AskAgain AskAgain `toml:"ask_again" takes:"a heading of its own: [virustotal.ask_again]"`
	// Ignore are hashes of files that are not asked about.
	Ignore []string `toml:"ignore" takes:"SHA-256 hashes in quotes, between brackets"`
}

// Hashlookup is what a configuration file says of CIRCL's list of known files.
type Hashlookup struct {
	Use       bool   `toml:"use" takes:"true or false, without quotes"`
	BaseURL   string `toml:"base_url" takes:"the URL of a server that answers like hashlookup, in quotes"`
	PerMinute int64  `toml:"per_minute" takes:"a number of requests, without quotes"`
}

// Abusech is what a configuration file says of a service of abuse.ch. It is asked
// if there is a key.
type Abusech struct {
	Key       string `toml:"key" takes:"a reference to the Auth-Key in quotes, such as \"file:/etc/midden/abusech.key\""`
	BaseURL   string `toml:"base_url" takes:"the URL of a server that answers like the service, in quotes"`
	PerMinute int64  `toml:"per_minute" takes:"a number of requests, without quotes"`
}

// Elastic is what a configuration file says of a cluster. What is secret in it are
// references.
type Elastic struct {
	URL      []string `toml:"url" takes:"URLs of a cluster's nodes in quotes, between brackets, as in [\"https://localhost:9200\"]"`
	CloudID  string   `toml:"cloud_id" takes:"the id of a cluster of Elastic Cloud, in quotes"`
	User     string   `toml:"user" takes:"the name of a user in quotes"`
	Password string   `toml:"password" takes:"a reference to the password in quotes, such as \"file:/etc/midden/elastic.password\""`
	APIKey   string   `toml:"api_key" takes:"a reference to the key in quotes, such as \"file:/etc/midden/elastic.key\""`
	CAFile   string   `toml:"ca_file" takes:"a file of certificates in quotes"`
	Prefix   string   `toml:"prefix" takes:"the beginning of the names of indices, in quotes"`
	Gzip     bool     `toml:"gzip" takes:"true or false, without quotes"`
}

// AskAgain is how long an answer counts; what is 0 the file does not say.
type AskAgain struct {
	Unknown        []Span `toml:"unknown" takes:"spans in quotes, between brackets, as in [\"1h\", \"6h\", \"1d\"]"`
	Young          Span   `toml:"young" takes:"a span in quotes, such as \"1d\""`
	YoungFor       Span   `toml:"young_for" takes:"a span in quotes, such as \"7d\""`
	Malicious      Span   `toml:"malicious" takes:"a span in quotes, such as \"30d\""`
	MaliciousLater Span   `toml:"malicious_later" takes:"a span in quotes, such as \"90d\""`
	LaterAfter     Span   `toml:"later_after" takes:"a span in quotes, such as \"90d\""`
	Other          Span   `toml:"other" takes:"a span in quotes, such as \"30d\""`
}

// Span is a span of time, such as 90m, 6h, 3d or 4w. It is no number, so that one
// without a unit is none.
type Span struct{ time.Duration }

// spanError is a text that is no span.
type spanError string

func (e spanError) Error() string { return fmt.Sprintf("%q is no span of time", string(e)) }

// UnmarshalText reads a span.
func (s *Span) UnmarshalText(text []byte) error {
	units := map[byte]time.Duration{'s': time.Second, 'm': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour, 'w': 7 * 24 * time.Hour}
	if len(text) < 2 || units[text[len(text)-1]] == 0 {
		return spanError(text)
	}
	n, err := strconv.ParseUint(string(text[:len(text)-1]), 10, 16)
	if err != nil || n == 0 {
		return spanError(text)
	}
	s.Duration = time.Duration(n) * units[text[len(text)-1]]
	return nil
}

// Sensor is what a configuration file says of a honeypot.
type Sensor struct {
	Name string `toml:"name" takes:"text in quotes, as in name = \"dmz-1\""`
	// Downloads is the directory where it keeps what attackers dropped; "" if the
	// file does not say. A relative path is meant from the directory of the file.
	Downloads string `toml:"downloads" takes:"text in quotes, as in downloads = \"/srv/cowrie/var/lib/cowrie/downloads\""`
}

// Load reads a configuration file. For "" it reads Default in the current
// directory, and returns an empty Config if that is not there; a file that was
// named and is not there is fs.ErrNotExist. What is wrong in the file comes as
// one line that begins "file:line:".
func Load(path string) (*Config, error) {
	c := &Config{Path: path}
	if path == "" {
		c.Path = Default
	}
	text, err := os.ReadFile(c.Path)
	switch {
	case path == "" && errors.Is(err, fs.ErrNotExist):
		return &Config{}, nil
	case err != nil:
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	if err := toml.NewDecoder(bytes.NewReader(text)).DisallowUnknownFields().Decode(c); err != nil {
		return nil, fmt.Errorf("%s:%w", c.Path, explain(err, text))
	}
	for i, s := range c.Sensors {
		if s.Name == "" {
			return nil, fmt.Errorf("%s:%d: this sensor has no name", c.Path, headingLine(text, i))
		}
	}
	return c, nil
}

// headingLine returns the line of the heading of a sensor, counted from 0.
func headingLine(text []byte, sensor int) int {
	for i, line := range strings.Split(string(text), "\n") {
		if strings.Trim(line, "[] \t\r") == "sensor" {
			if sensor--; sensor < 0 {
				return i + 1
			}
		}
	}
	return 1 // it is written in some other way
}

// UseNewEnrichment says whether files are to be enriched in the new way. set is
// false if neither the environment nor the file says: then the database decides.
// from is what said it, USE_NEW_ENRICHMENT or the path of the file.
//
// The variable is of cowrieprocessor, and true for the same texts: "true" in any
// case. All others mean false, "1" and "yes", too.
func (c *Config) UseNewEnrichment(getenv func(string) string) (on, set bool, from string) {
	const variable = "USE_NEW_ENRICHMENT"
	if text := getenv(variable); text != "" {
		return strings.EqualFold(strings.TrimSpace(text), "true"), true, variable
	}
	if c.NewEnrichment != nil {
		return *c.NewEnrichment, true, c.Path
	}
	return false, false, ""
}

// explain says for people what the decoder found wrong in text: "line: what".
func explain(err error, text []byte) error {
	var unknown *toml.StrictMissingError
	if errors.As(err, &unknown) {
		first := &unknown.Errors[0]
		line, _ := first.Position()
		table := strings.Join(first.Key()[:len(first.Key())-1], ".")
		return fmt.Errorf("%d: there is no setting %q; there are %s",
			line, strings.Join(first.Key(), "."), strings.Join(settings(table), ", "))
	}
	var span spanError
	if errors.As(err, &span) {
		// The decoder does not always say where it stands.
		for i, line := range strings.Split(string(text), "\n") {
			name, value, _ := strings.Cut(line, "=")
			if what := takes(strings.TrimSpace(name)); strings.HasPrefix(what, "span") || strings.HasPrefix(what, "a span") {
				if strings.Contains(value, string(span)) {
					return fmt.Errorf("%d: virustotal.ask_again.%s takes %s", i+1, strings.TrimSpace(name), what)
				}
			}
		}
	}
	var wrong *toml.DecodeError
	if !errors.As(err, &wrong) {
		return fmt.Errorf(" %w", err)
	}
	line, _ := wrong.Position()
	if key := wrong.Key(); len(key) > 0 && toml.Unmarshal(text, &map[string]any{}) == nil {
		// Whatever takes any value takes this file: what is wrong is the type.
		for n := len(key); n > 0; n-- {
			if name := strings.Join(key[:n], "."); takes(name) != "" {
				return fmt.Errorf("%d: %s takes %s", line, name, takes(name))
			}
		}
	}
	message := strings.TrimPrefix(wrong.Error(), "toml: ")
	// The usual reason for broken TOML is a value without quotes, and the decoder
	// does not say of which key.
	name, _, _ := strings.Cut(strings.Split(string(text), "\n")[line-1], "=")
	name = strings.TrimSpace(name)
	if what := takes(name); what != "" && !strings.Contains(message, name) {
		return fmt.Errorf("%d: %s takes %s (%s)", line, name, what, message)
	}
	return fmt.Errorf("%d: %s", line, message)
}

// eachSetting calls f for each setting, with what it takes. Those of a table
// follow it, with its name before theirs.
func eachSetting(of reflect.Type, before string, f func(name, takes string)) {
	for _, field := range reflect.VisibleFields(of) {
		name := field.Tag.Get("toml")
		if name == "-" || name == "" { // or a part of a span
			continue
		}
		f(before+name, field.Tag.Get("takes"))
		of := field.Type
		if of.Kind() == reflect.Slice {
			of = of.Elem()
		}
		if of.Kind() == reflect.Struct {
			eachSetting(of, before+name+".", f)
		}
	}
}

// settings returns the names of the settings of a table, or of those that stand in
// none if it has none.
func settings(table string) (names []string) {
	eachSetting(reflect.TypeFor[Config](), "", func(name, _ string) {
		of := ""
		if i := strings.LastIndexByte(name, '.'); i >= 0 {
			of = name[:i]
		}
		if strings.EqualFold(of, table) {
			names = append(names, name)
		}
	})
	if names == nil && table != "" {
		return settings("")
	}
	return names
}

// takes returns what a setting takes, and "" if there is no such setting. Case
// does not matter, as it does not for the decoder. A setting of a table may be
// named without it.
func takes(name string) (what string) {
	eachSetting(reflect.TypeFor[Config](), "", func(setting, takes string) {
		short := setting[strings.LastIndexByte(setting, '.')+1:]
		if strings.EqualFold(setting, name) || what == "" && strings.EqualFold(short, name) {
			what = takes
		}
	})
	return what
}
