package elastic

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"midden/internal/cowrie"
	"midden/internal/report"
)

var update = flag.Bool("update", false, "write the golden files anew")

// noon is when the documents of tests are built.
var noon = time.Date(2026, 3, 28, 12, 0, 0, 0, time.UTC)

func moment(t testing.TB, s string) cowrie.Time {
	t.Helper()
	at, ok := cowrie.ParseTime([]byte(s))
	if !ok {
		t.Fatal(s)
	}
	return at
}

func ptr[T any](v T) *T { return &v }

// examples are changes of all kinds, with all fields and with none.
func examples(t testing.TB) map[string]*cowrie.Change {
	const sha = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03"
	seen := moment(t, "2026-03-27T23:59:59.123456Z")
	sighting := cowrie.Sighting{Shasum: sha, Session: "a1b2c3d4e5f6", Kind: cowrie.Download, SeenAt: seen, Sensor: "dmz-1",
		SrcIP: "192.0.2.7", Destfile: "/tmp/.x/bins.SH", URL: "http://user:pw@198.51.100.9:8080/a/bins.sh?x=1", Outfile: "var/lib/cowrie/downloads/" + sha, Duplicate: ptr(true)}
	bare := cowrie.Sighting{Shasum: sha, Kind: cowrie.Disk, SeenAt: cowrie.NoTime}
	known := cowrie.NewVerdict(sha, cowrie.SourceVirusTotal, moment(t, "2026-03-28T06:00:00Z"))
	known.Malicious, known.Suspicious, known.Undetected, known.Harmless, known.Total = 41, 1, 20, 0, 62
	known.Classification, known.Description = "trojan.mirai/gafgyt", "ELF"
	known.AnalysedAt, known.FirstSubmission = moment(t, "2026-03-28T05:00:00Z"), moment(t, "2026-03-28T04:59:59Z")
	before := known
	before.Malicious, before.Classification = 3, ""
	unknown := cowrie.NewVerdict(sha, cowrie.SourceMalwareBazaar, moment(t, "2026-03-28T06:00:00Z"))
	full := &cowrie.PublishedFile{KnownFile: cowrie.KnownFile{File: cowrie.File{Shasum: sha, First: seen, Last: seen, Sightings: 3, Session: "a1b2c3d4e5f6",
		Name: "bins.SH", URL: "http://198.51.100.9/a/bins.sh"}, Size: ptr(int64(1234)), MimeType: "application/x-executable",
		SHA1: strings.Repeat("a", 40), MD5: strings.Repeat("b", 32), Entropy: ptr(7.9), Head: "7f454c46", Interpreter: "sh", ELFClass: ptr(int64(32)),
		ELFOrder: "little", ELFMachine: "mips", ELFLinkage: "static", ELFStripped: ptr(false), VTClassification: "trojan.mirai/gafgyt",
		VTDescription: "ELF", VTMalicious: ptr(int64(41)), VTTotal: ptr(int64(62)), VTFirstSeen: known.FirstSubmission,
		VTLastAnalysis: known.AnalysedAt, VTCheckedAt: known.ObservedAt, EnrichmentStatus: "known"}, Verdict: &known, TimesSubmitted: ptr(int64(7))}
	empty := &cowrie.PublishedFile{KnownFile: cowrie.KnownFile{File: cowrie.File{Shasum: sha, First: cowrie.NoTime, Last: cowrie.NoTime},
		VTFirstSeen: cowrie.NoTime, VTLastAnalysis: cowrie.NoTime, VTCheckedAt: cowrie.NoTime, EnrichmentStatus: "pending"}}
	return map[string]*cowrie.Change{
		"sighting":        {Kind: cowrie.KindSighting, Key: "00ff/a1b2c3d4e5f6", Sighting: &sighting},
		"sighting-bare":   {Kind: cowrie.KindSighting, Key: "00ff/", Sighting: &bare},
		"file":            {Kind: cowrie.KindFile, Key: sha, File: full},
		"file-bare":       {Kind: cowrie.KindFile, Key: sha, File: empty},
		"verdict":         {Kind: cowrie.KindVerdict, Key: sha + "/x/virustotal", Verdict: &cowrie.PublishedVerdict{Verdict: known, Before: &before, TimesSubmitted: ptr(int64(7))}},
		"verdict-unknown": {Kind: cowrie.KindVerdict, Key: sha + "/x/malwarebazaar", Verdict: &cowrie.PublishedVerdict{Verdict: unknown}},
	}
}

// TestDocuments: documents are those of the golden files, and every field of them is
// mapped, but for those that are there to be read only.
func TestDocuments(t *testing.T) {
	t.Parallel()
	mapped := flatten(template("ecs.json")["properties"])
	for name, c := range examples(t) {
		body, err := build(c, noon)
		if err != nil {
			t.Fatal(err)
		}
		var pretty bytes.Buffer
		if err := json.Indent(&pretty, body, "", "  "); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		pretty.WriteByte('\n')
		path := filepath.Join("testdata", name+".json")
		if *update {
			if err := os.WriteFile(path, pretty.Bytes(), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(string(want), pretty.String()); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
		var document map[string]any
		if err := json.Unmarshal(body, &document); err != nil {
			t.Fatal(err)
		}
		for field := range flatten(document) {
			field, _, _ = strings.Cut(field, "[")
			if mapped[strings.ReplaceAll(field, ".", ".properties.")+".type"] == "" {
				t.Errorf("%s: %s is not mapped", name, field)
			}
		}
	}
}

// TestSameVerdict: a verdict that says the same as the one before is not told.
func TestSameVerdict(t *testing.T) {
	t.Parallel()
	c := examples(t)["verdict"]
	c.Verdict.Before = &c.Verdict.Verdict
	if body, err := build(c, noon); body != nil || err != nil {
		t.Errorf("%s, %v", body, err)
	}
}

// odd are texts as attackers send them.
var odd = []string{"", "\x00", "a\x00b", "\xff\xfe", "\xed\xa0\x80", "\xed\xb0\x80", "\xf4\x90\x80\x80", "1e5", "2026-01-01", "NaN", "null", "true", "[]", "{}",
	`"`, `\`, "\u2028", "\u202e", "\ufeff", "<script>", "\r\n{\"delete\":{}}\n", strings.Repeat("é", 2048), strings.Repeat("\xff", 4096), "::1%eth0", "1.2.3.4.5",
	"http://[::1]:99999/%zz", "http://a\x00b/", "//x", "http:///etc", "ftp://h:21/p", "\U0010ffff", "e\u0301", strings.Repeat("a", 4096), "a.\xff"}

// hostile returns changes whose every text is one of those.
func hostile(t testing.TB, s string, n int) []*cowrie.Change {
	list := []*cowrie.Change{}
	for _, name := range []string{"sighting", "file", "verdict"} {
		c := examples(t)[name]
		switch {
		case c.Sighting != nil:
			o := c.Sighting
			o.Session, o.Sensor, o.SrcIP, o.Filename, o.Destfile, o.URL, o.Outfile = s, s, s, s, s, s, s
			c.Key = strings.Repeat("0", 31) + string(rune('a'+n%26)) + "/" + s
		case c.File != nil:
			f := c.File
			f.Session, f.Name, f.URL, f.MimeType, f.Interpreter, f.VTClassification, f.VTDescription = s, s, s, s, s, s, s
			c.Key = strings.Repeat("0", 60) + string([]byte{'a' + byte(n/100), '0' + byte(n/10%10), '0' + byte(n%10), 'f'})
			f.Shasum = c.Key
		default:
			v := c.Verdict
			v.Classification, v.Description = s, s
			v.Before = nil
			c.Key += string([]byte{'a' + byte(n/100), '0' + byte(n/10%10), '0' + byte(n%10)})
		}
		list = append(list, c)
	}
	return list
}

// TestHostileDocuments: whatever attackers sent, a document is one line of JSON in UTF-8, and the
// time of a file can be any.
func TestHostileDocuments(t *testing.T) {
	t.Parallel()
	for i, s := range odd {
		for _, c := range hostile(t, s, i) {
			body, err := build(c, noon)
			if err != nil || !utf8.Valid(body) || !json.Valid(body) || bytes.ContainsAny(body, "\n\r") {
				t.Errorf("%.40q: %v: %.200q", s, err, body)
			}
			if id := documentID(c); len(id) > 64 || strings.Trim(id, "0123456789abcdef") != "" {
				t.Errorf("%.40q: the id is %q", s, id)
			}
		}
	}
}

// TestReportMappings: every field of a report is mapped.
func TestReportMappings(t *testing.T) {
	t.Parallel()
	mapped := flatten(template("reports.json")["properties"])
	var walk func(at string, of reflect.Type)
	walk = func(at string, of reflect.Type) {
		for of.Kind() == reflect.Slice || of.Kind() == reflect.Pointer {
			of = of.Elem()
		}
		if of.Kind() != reflect.Struct {
			if mapped[at+".type"] == "" {
				t.Errorf("%s is not mapped", at)
			}
			return
		}
		for _, f := range reflect.VisibleFields(of) {
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			walk(strings.TrimPrefix(at+".properties."+name, ".properties."), f.Type)
		}
	}
	walk("", reflect.TypeFor[report.Document]())
}

// TestReportFields: every name that the index templates of cowrieprocessor mapped is mapped.
func TestReportFields(t *testing.T) {
	t.Parallel()
	mapped := flatten(template("reports.json")["properties"])
	for _, field := range strings.Fields(`@timestamp generated_at report_type date sensor date_range year_week year_month days_included alerts
		sessions.total sessions.avg_commands sessions.max_commands sessions.min_commands sessions.file_downloads sessions.login_attempts
		sessions.vt_flagged sessions.dshield_flagged sessions.unique_ips sessions.unique_usernames sessions.unique_passwords sessions.avg_duration
		sessions.protocols.value sessions.protocols.count sessions.top_usernames.value sessions.top_usernames.count sessions.top_passwords.value
		sessions.top_combinations.value commands.total commands.unique commands.top.command commands.top.occurrences commands.top_commands.value
		commands.top_commands.count files.top.url files.top.occurrences files.downloads_total files.uploads_total files.unique_hashes
		files.unique_vt_classifications files.recent_vt_submissions files.vt_classifications_top.value files.vt_classifications_top.count
		files.top_hashes.value files.top_hashes.count abnormalities.uncommon_command_sessions abnormalities.recent_vt_submission_sessions
		enrichments.flagged.session enrichments.flagged.sensor enrichments.flagged.first_seen enrichments.flagged.last_seen enrichments.flagged.ips
		enrichments.flagged.files.hash enrichments.flagged.files.malicious enrichments.flagged.files.label enrichments.flagged.files.first_seen`) {
		if mapped[strings.ReplaceAll(field, ".", ".properties.")+".type"] == "" {
			t.Errorf("%s is not mapped", field)
		}
	}
}
