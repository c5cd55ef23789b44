package cowrie

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

const at = `"timestamp":"2024-05-06T07:08:09.101112Z",`

var (
	hash1 = strings.Repeat("1a", 32)
	hash2 = strings.Repeat("2b", 32)
)

// gather gathers lines, and checks what always holds.
func gather(t testing.TB, text, sensor string) *Gathered {
	t.Helper()
	g := Gather(Lines{Data: []byte(text)}, sensor, nil)
	checkSum(t, g, []byte(text))
	return g
}

func checkSum(t testing.TB, g *Gathered, data []byte) {
	t.Helper()
	if g.Lines != int64(g.Events+len(g.DeadLetters))+g.Blank {
		t.Errorf("%d lines, but %d events, %d dead letters and %d blank", g.Lines, g.Events, len(g.DeadLetters), g.Blank)
	}
	if n := bytes.Count(g.Text, []byte("\n")); n != g.Events || n > 0 && g.Text[len(g.Text)-1] != '\n' {
		t.Errorf("%d events, but the text has %d lines: %.300q", g.Events, n, g.Text)
	}
	for line := range bytes.Lines(g.Text) {
		if _, err := Parse(line); err != nil {
			t.Errorf("the text holds %.300q: %v", line, err)
		}
	}
	for _, d := range g.DeadLetters {
		there := data[d.Offset : d.Offset+d.Length]
		sum := sha256.Sum256(there)
		if hex.EncodeToString(sum[:]) != d.Digest {
			t.Errorf("at %d, length %d stands %.300q, which is not the dead letter", d.Offset, d.Length, there)
		}
		if d.Line != nil && !bytes.Equal(d.Line, there) {
			t.Errorf("dead letter %.300q, but at its place stands %.300q", d.Line, there)
		}
		if d.Reason == "" {
			t.Errorf("dead letter %.300q has no reason", d.Line)
		}
	}
}

// one gathers one event of session "s" and returns what became of it.
func one(t testing.TB, members string) (*Gathered, *Session) {
	t.Helper()
	g := gather(t, `{"session":"s",`+at+members+"}\n", "given")
	if g.Events != 1 || len(g.Sessions) != 1 {
		t.Fatalf("{%s}: %d events, %d sessions, %d dead letters", members, g.Events, len(g.Sessions), len(g.DeadLetters))
	}
	return g, g.Sessions["s"]
}

func TestSighting(t *testing.T) {
	when := mustTime(t, "2024-05-06T07:08:09.101112Z")
	yes, no := true, false
	const download, upload = `"eventid":"cowrie.session.file_download"`, `"eventid":"cowrie.session.file_upload"`
	sighting := func(kind Kind, more Sighting) *Sighting {
		more.Kind, more.Session, more.SeenAt, more.Sensor = kind, "s", when, "given"
		if more.Shasum == "" {
			more.Shasum = hash1
		}
		return &more
	}
	tests := []struct {
		name, members string
		want          *Sighting
		failed        int64
	}{
		{"wget", download + `,"url":"http://192.0.2.1/x","outfile":"var/lib/cowrie/downloads/` + hash1 + `","shasum":"` + hash1 + `","src_ip":"192.0.2.2"`,
			sighting(Download, Sighting{URL: "http://192.0.2.1/x", Outfile: "var/lib/cowrie/downloads/" + hash1, SrcIP: "192.0.2.2"}), 0},
		{"redirect", download + `,"duplicate":false,"outfile":"dl/x","shasum":"` + hash1 + `","destfile":"/root/.ssh/authorized_keys"`,
			sighting(Download, Sighting{Destfile: "/root/.ssh/authorized_keys", Outfile: "dl/x", Duplicate: &no}), 0},
		{"known to the sensor", download + `,"duplicate":true,"shasum":"` + hash1 + `"`, sighting(Download, Sighting{Duplicate: &yes}), 0},
		{"duplicate as text says nothing", download + `,"duplicate":"true","shasum":"` + hash1 + `"`, sighting(Download, Sighting{}), 0},
		{"standard input", download + `,"duplicate":false,"destfile":"","outfile":"x","shasum":"` + hash1 + `","url":"stdin"`,
			sighting(Download, Sighting{URL: "stdin", Outfile: "x", Duplicate: &no}), 0},
		{"upper case", download + `,"shasum":"` + strings.ToUpper(hash1) + `"`, sighting(Download, Sighting{}), 0},
		{"SFTP", upload + `,"filename":"a.sh","outfile":"x","shasum":"` + hash2 + `"`, sighting(Upload, Sighting{Shasum: hash2, Filename: "a.sh", Outfile: "x"}), 0},
		{"SCP", upload + `,"filename":"a.sh","url":"/tmp","destfile":"/tmp/a.sh","outfile":"` + hash1 + `","shasum":"` + hash1 + `","duplicate":true`,
			sighting(Upload, Sighting{Filename: "a.sh", URL: "/tmp", Destfile: "/tmp/a.sh", Outfile: hash1, Duplicate: &yes}), 0},
		{"address in IPv6", download + `,"src_ip":"::ffff:192.0.2.3","shasum":"` + hash1 + `"`, sighting(Download, Sighting{SrcIP: "192.0.2.3"}), 0},
		{"input beside a hash", download + `,"input":"x","shasum":"` + hash1 + `"`, sighting(Download, Sighting{}), 0},
		{"hash of an empty file", download + `,"shasum":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"`,
			sighting(Download, Sighting{Shasum: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}), 0},

		{"empty hash", download + `,"url":"http://192.0.2.1/x","outfile":"","shasum":""`, nil, 1},
		{"no hash", download + `,"url":"tftp://192.0.2.1/x","outfile":"tmp"`, nil, 1},
		{"hash that is none", download + `,"shasum":"` + hash1[1:] + `"`, nil, 1},
		{"hash that is a number", download + `,"shasum":5`, nil, 1},
		{"upload without a hash", upload + `,"filename":"x"`, nil, 1},
		{"input and an empty hash", download + `,"input":"x","shasum":""`, nil, 1},
		{"input and a URL", download + `,"input":"x","url":"http://192.0.2.1/"`, nil, 1},
		{"typed into scp", download + `,"realm":"scp","input":"ls"`, nil, 0},
		{"failed", `"eventid":"cowrie.session.file_download.failed","url":"http://192.0.2.1/x"`, nil, 1},
		{"failed, with a hash", `"eventid":"cowrie.session.file_download.failed","shasum":"` + hash1 + `"`, nil, 1},
		{"terminal log", `"eventid":"cowrie.log.closed","shasum":"` + hash1 + `","duplicate":false`, nil, 0},
		{"scan", `"eventid":"cowrie.virustotal.scanfile","sha256":"` + hash1 + `","shasum":"` + hash1 + `"`, nil, 0},
		{"misspelt", `"eventid":"cowrie.session.file_download_failed","shasum":"` + hash1 + `"`, nil, 0},
		{"upper-case id", `"eventid":"COWRIE.SESSION.FILE_DOWNLOAD","shasum":"` + hash1 + `"`, nil, 0},
		{"nested", `"eventid":"x","e":{` + download + `,"shasum":"` + hash1 + `"}`, nil, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g, s := one(t, tt.members)
			var want []Sighting
			if tt.want != nil {
				want = []Sighting{*tt.want}
			}
			if diff := cmp.Diff(want, g.Sightings); diff != "" {
				t.Error(diff)
			}
			if s.FailedTransfers != tt.failed {
				t.Errorf("%d failed transfers, want %d", s.FailedTransfers, tt.failed)
			}
			var downloads, uploads int64
			if tt.want != nil && tt.want.Kind == Download {
				downloads = 1
			} else if tt.want != nil {
				uploads = 1
			}
			if s.Downloads != downloads || s.Uploads != uploads {
				t.Errorf("%d downloads, %d uploads; want %d, %d", s.Downloads, s.Uploads, downloads, uploads)
			}
		})
	}
}

func TestSightingName(t *testing.T) {
	tests := []struct {
		s    Sighting
		want string
	}{
		{Sighting{Filename: "a", Destfile: "/tmp/b"}, "a"},
		{Sighting{Destfile: "/tmp/b"}, "b"},
		{Sighting{Destfile: "b"}, "b"},
		{Sighting{Destfile: "/tmp/"}, ""},
		{Sighting{URL: "http://192.0.2.1/c", Outfile: "d"}, ""},
	}
	for _, tt := range tests {
		if got := tt.s.Name(); got != tt.want {
			t.Errorf("the name of %+v is %q, want %q", tt.s, got, tt.want)
		}
	}
}

func TestVerdict(t *testing.T) {
	when := mustTime(t, "2024-05-06T07:08:09.101112Z")
	const scan = `"eventid":"cowrie.virustotal.scanfile",`
	base := NewVerdict(hash1, SourceScanfile, when)
	with := func(malicious, total int, analysed string) *Verdict {
		v := base
		v.Malicious, v.Total = malicious, total
		if analysed != "" {
			v.AnalysedAt = mustTime(t, analysed)
		}
		return &v
	}
	sum := `"sha256":"` + hash1 + `",`
	tests := []struct {
		name, members string
		want          *Verdict
	}{
		{"API v2", scan + sum + `"is_new":"false","positives":41,"total":60,"scan_date":"2018-05-13 23:00:01"`, with(41, 60, "2018-05-13T23:00:01Z")},
		{"API v3", scan + sum + `"is_new":"false","positives":0,"total":76,"scan_date":1700000000`, with(0, 76, "2023-11-14T22:13:20Z")},
		{"date unknown", scan + sum + `"is_new":"false","positives":1,"total":76,"scan_date":"unknown"`, with(1, 76, "")},
		{"no date", scan + sum + `"is_new":"false","positives":1,"total":76`, with(1, 76, "")},
		{"date zero", scan + sum + `"is_new":"false","positives":1,"total":76,"scan_date":0`, with(1, 76, "")},
		{"date in milliseconds", scan + sum + `"is_new":"false","positives":1,"total":76,"scan_date":1700000000000`, with(1, 76, "")},
		{"numbers as text", scan + sum + `"is_new":"false","positives":"12","total":"60"`, with(12, 60, "")},
		{"new", scan + sum + `"is_new":"true"`, with(-1, -1, "")},
		{"new, with numbers", scan + sum + `"is_new":"true","positives":0,"total":0,"scan_date":1700000000`, with(-1, -1, "")},
		{"new as a boolean", scan + sum + `"is_new":true,"positives":3,"total":4`, with(-1, -1, "")},
		{"not new as a boolean", scan + sum + `"is_new":false,"positives":3,"total":4`, with(3, 4, "")},
		{"upper case", scan + `"sha256":"` + strings.ToUpper(hash1) + `","is_new":"false","positives":3,"total":4`, with(3, 4, "")},
		{"negative", scan + sum + `"positives":-3,"total":4`, with(-1, -1, "")},
		{"fraction", scan + sum + `"positives":3.5,"total":4`, with(-1, -1, "")},
		{"huge", scan + sum + `"positives":1e999,"total":99999999999999999999`, with(-1, -1, "")},
		{"no total", scan + sum + `"positives":3`, with(-1, -1, "")},
		{"no hash", scan + `"positives":3,"total":4`, nil},
		{"shasum instead", scan + `"shasum":"` + hash1 + `","positives":3,"total":4`, nil},
		{"no time", scan + `"timestamp":"x",` + sum + `"positives":3,"total":4`, nil},
		{"URL", `"eventid":"cowrie.virustotal.scanurl",` + sum + `"positives":3,"total":4`, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g, _ := one(t, tt.members)
			var want []Verdict
			if tt.want != nil {
				want = []Verdict{*tt.want}
			}
			if diff := cmp.Diff(want, g.Verdicts); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestSessionOfOneEvent says what each kind of event adds to its session.
func TestSessionOfOneEvent(t *testing.T) {
	when := mustTime(t, "2024-05-06T07:08:09.101112Z")
	tests := []struct {
		name, members string
		add           func(*Session)
	}{
		{"unknown", `"eventid":"some.other.tool"`, func(*Session) {}},
		{"without an id", `"x":1`, func(*Session) {}},
		{"id is a number", `"eventid":5`, func(*Session) {}},
		{"old id", `"eventid":"KIPP0001"`, func(*Session) {}},
		{"connect", `"eventid":"cowrie.session.connect","src_ip":"192.0.2.1","protocol":"ssh"`, func(s *Session) { s.SrcIP, s.Protocol = "192.0.2.1", "ssh" }},
		{"IPv4 inside IPv6", `"eventid":"x","src_ip":"::ffff:192.0.2.1"`, func(s *Session) { s.SrcIP = "192.0.2.1" }},
		{"IPv4 inside IPv6, hex", `"eventid":"x","src_ip":"::ffff:c000:0201"`, func(s *Session) { s.SrcIP = "192.0.2.1" }},
		{"IPv6", `"eventid":"x","src_ip":"2001:db8::1"`, func(s *Session) { s.SrcIP = "2001:db8::1" }},
		{"IPv6 loopback", `"eventid":"x","src_ip":"::1"`, func(s *Session) { s.SrcIP = "::1" }},
		{"no address", `"eventid":"x","src_ip":"::ffff:host"`, func(s *Session) { s.SrcIP = "::ffff:host" }},
		{"empty address", `"eventid":"x","src_ip":""`, func(*Session) {}},
		{"sensor", `"eventid":"x","sensor":"own"`, func(s *Session) { s.Sensor = "own" }},
		{"empty sensor", `"eventid":"x","sensor":""`, func(*Session) {}},
		{"sensor is null", `"eventid":"x","sensor":null`, func(*Session) {}},
		{"command", `"eventid":"cowrie.command.input","input":" uname  -a\t; id "`, func(s *Session) {
			s.Commands = 1
			s.CommandStats = map[string]*CommandStat{"uname -a ; id": {1, when, when}}
		}},
		{"escaped command", `"eventid":"cowrie.command.input","input":"a\nb\u0000c"`, func(s *Session) {
			s.Commands = 1
			s.CommandStats = map[string]*CommandStat{"a b\x00c": {1, when, when}}
		}},
		{"empty command", `"eventid":"cowrie.command.input","input":""`, func(s *Session) {
			s.Commands = 1
			s.CommandStats = map[string]*CommandStat{"": {1, when, when}}
		}},
		{"failed command", `"eventid":"cowrie.command.failed","input":"x"`, func(*Session) {}},
		{"known command", `"eventid":"cowrie.command.success","input":"x"`, func(*Session) {}},
		{"session input", `"eventid":"cowrie.session.input","input":"x"`, func(*Session) {}},
		{"login failed", `"eventid":"cowrie.login.failed","username":"root","password":"x"`, func(s *Session) { s.LoginAttempts = 1 }},
		{"login", `"eventid":"cowrie.login.success","username":"root","password":"p\u00e4ss"`, func(s *Session) {
			s.LoginAttempts, s.LoginSuccesses, s.Username, s.Password, s.LoginAt = 1, 1, "root", "päss", when
		}},
		{"login by key", `"eventid":"cowrie.login.success","username":"root","key":"x"`, func(s *Session) {
			s.LoginAttempts, s.LoginSuccesses, s.Username, s.LoginAt = 1, 1, "root", when
		}},
		{"version", `"eventid":"cowrie.client.version","version":"SSH-2.0-Go"`, func(s *Session) { s.ClientVersion = "SSH-2.0-Go" }},
		{"version elsewhere", `"eventid":"x","version":"SSH-2.0-Go"`, func(*Session) {}},
		{"kex", `"eventid":"cowrie.client.kex","hassh":"abc"`, func(s *Session) { s.HASSH = "abc" }},
		{"kex without hassh", `"eventid":"cowrie.client.kex","hassh":["abc"]`, func(*Session) {}},
		{"message is a list", `"eventid":"cowrie.session.params","arch":"linux-x64-lsb","message":[]`, func(*Session) {}},

		{"duration", `"eventid":"cowrie.session.closed","duration":12.3456`, func(s *Session) { s.Duration = 12346 }},
		{"duration as text", `"eventid":"cowrie.session.closed","duration":"12.3"`, func(s *Session) { s.Duration = 12300 }},
		{"duration in milliseconds", `"eventid":"cowrie.session.closed","duration_ms":12345`, func(s *Session) { s.Duration = 12345 }},
		{"both durations", `"eventid":"cowrie.session.closed","duration":1,"duration_ms":12345`, func(s *Session) { s.Duration = 12345 }},
		{"duration zero", `"eventid":"cowrie.session.closed","duration":0`, func(s *Session) { s.Duration = 0 }},
		{"duration exponent", `"eventid":"cowrie.session.closed","duration":1.5e1`, func(s *Session) { s.Duration = 15000 }},
		{"no duration", `"eventid":"cowrie.session.closed"`, func(*Session) {}},
		{"negative duration", `"eventid":"cowrie.session.closed","duration":-1`, func(*Session) {}},
		{"endless duration", `"eventid":"cowrie.session.closed","duration":1e999`, func(*Session) {}},
		{"duration not a number", `"eventid":"cowrie.session.closed","duration":"NaN"`, func(*Session) {}},
		{"duration in words", `"eventid":"cowrie.session.closed","duration":"soon"`, func(*Session) {}},
		{"duration is a list", `"eventid":"cowrie.session.closed","duration":[1]`, func(*Session) {}},
		{"negative milliseconds", `"eventid":"cowrie.session.closed","duration_ms":-5,"duration":2`, func(s *Session) { s.Duration = 2000 }},
		{"duration of a log", `"eventid":"cowrie.log.closed","duration":12.3`, func(*Session) {}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			want := newSession("s")
			want.Events, want.First, want.Last, want.Sensor = 1, when, when, "given"
			tt.add(want)
			g, got := one(t, tt.members)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
			if g.First != when || g.Last != when || len(g.Sessionless) != 0 {
				t.Errorf("from %v to %v, %d without a session", g.First, g.Last, len(g.Sessionless))
			}
		})
	}
}

func TestSessionOfManyEvents(t *testing.T) {
	const text = `{"eventid":"cowrie.session.connect","timestamp":"2024-01-01T00:00:00Z","session":"s","src_ip":"192.0.2.1","protocol":"ssh","sensor":"hp"}
{"eventid":"cowrie.login.failed","timestamp":"2024-01-01T00:00:01Z","session":"s","username":"a","password":"b"}
{"eventid":"cowrie.login.success","timestamp":"2024-01-01T00:00:02Z","session":"s","username":"root","password":"1"}
{"eventid":"cowrie.command.input","timestamp":"2024-01-01T00:00:03Z","session":"s","input":"id"}
{"eventid":"cowrie.login.success","timestamp":"2024-01-01T00:00:04Z","session":"s","username":"admin","password":"2"}
{"eventid":"cowrie.command.input","timestamp":"2024-01-01T00:00:05Z","session":"s","input":"id "}
{"eventid":"cowrie.session.closed","timestamp":"2024-01-01T00:00:06Z","session":"s","duration":"6.0"}
{"eventid":"cowrie.session.connect","timestamp":"2024-01-01T00:00:07Z","session":"other"}
`
	g := gather(t, text, "hp")
	want := newSession("s")
	want.First, want.Last = mustTime(t, "2024-01-01T00:00:00Z"), mustTime(t, "2024-01-01T00:00:06Z")
	want.Duration, want.Sensor, want.SrcIP, want.Protocol = 6000, "hp", "192.0.2.1", "ssh"
	want.Events, want.Commands, want.LoginAttempts, want.LoginSuccesses = 7, 2, 3, 2
	want.Username, want.Password, want.LoginAt = "admin", "2", mustTime(t, "2024-01-01T00:00:04Z")
	want.CommandStats = map[string]*CommandStat{"id": {2, mustTime(t, "2024-01-01T00:00:03Z"), mustTime(t, "2024-01-01T00:00:05Z")}}
	if diff := cmp.Diff(want, g.Sessions["s"]); diff != "" {
		t.Error(diff)
	}
	if len(g.Sessions) != 2 || g.Sessions["other"] == nil || g.Sessions["other"].Events != 1 {
		t.Errorf("sessions: %v", g.Sessions)
	}
	if g.First != want.First || g.Last != mustTime(t, "2024-01-01T00:00:07Z") {
		t.Errorf("from %v to %v", g.First, g.Last)
	}
}

func TestSharedID(t *testing.T) {
	a, b, none := `{"eventid":"x","session":"s","sensor":"a"}`+"\n", `{"eventid":"x","session":"s","sensor":"b"}`+"\n", `{"eventid":"x","session":"s"}`+"\n"
	tests := []struct {
		text, given string
		shared      bool
		sensor      string
	}{
		{a + a, "given", false, "a"},
		{a + b, "given", true, "a"},
		{b + a, "", true, "a"},
		{a + none, "", false, "a"},
		{none + a, "a", false, "a"},
		{none + b, "a", true, "a"},
		{none + none, "", false, ""},
	}
	for _, tt := range tests {
		if s := gather(t, tt.text, tt.given).Sessions["s"]; s.SharedID != tt.shared || s.Sensor != tt.sensor {
			t.Errorf("%q, given %q: shared %v, sensor %q", tt.text, tt.given, s.SharedID, s.Sensor)
		}
	}
}

func TestSuspect(t *testing.T) {
	line := func(timestamp string) string {
		return fmt.Sprintf(`{"eventid":"x","session":"s","timestamp":%q}`+"\n", timestamp)
	}
	t1, t2, none := line("2024-01-01T00:00:01Z"), line("2024-01-01T00:00:02Z"), line("")
	tests := []struct {
		text              string
		suspect, timeless bool
	}{
		{t1, false, false},
		{t1 + t2, false, false},
		{t1 + t1, true, false},
		{t2 + t1, true, false},
		{t1 + none, true, true},
		{none, true, true},
		{none + t1, true, true},
	}
	for _, tt := range tests {
		if s := gather(t, tt.text, "").Sessions["s"]; s.Suspect != tt.suspect || s.Timeless != tt.timeless {
			t.Errorf("%q: suspect %v, timeless %v", tt.text, s.Suspect, s.Timeless)
		}
	}
}

// TestSessionAddTimeless: that an event without a time came is not forgotten
// when its portion is added to another.
func TestSessionAddTimeless(t *testing.T) {
	s := gather(t, `{"session":"s",`+at+`"eventid":"x"}`+"\n", "").Sessions["s"]
	s.Add(gather(t, `{"session":"s","eventid":"x"}`+"\n", "").Sessions["s"])
	if !s.Timeless || !s.Suspect {
		t.Errorf("timeless %v, suspect %v", s.Timeless, s.Suspect)
	}
}

func TestSessionless(t *testing.T) {
	const text = `{"eventid":"abuseipdb.reportedip"}
{"eventid":"a","session":"s"}
{ "eventid": "abuseipdb.reportedip" }
{"eventid":"b","session":""}
{"eventid":"b","session":7}
{"eventid":"cowrie.session.file_download","shasum":"1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a","timestamp":"2024-01-01T00:00:00Z"}
`
	g := gather(t, text, "hp")
	digest := func(s string) [sha256.Size]byte { return sha256.Sum256(Compact(nil, []byte(s))) }
	lines := strings.Split(text, "\n")
	want := []Sessionless{{0, digest(lines[0]), ""}, {2, digest(lines[0]), ""}, {3, digest(lines[3]), ""}, {4, digest(lines[4]), ""},
		{5, digest(lines[5]), "2024-01-01T00:00:00Z"}}
	if diff := cmp.Diff(want, g.Sessionless); diff != "" {
		t.Error(diff)
	}
	if len(g.Sessions) != 1 || g.Sessions["s"].Events != 1 {
		t.Errorf("sessions: %v", g.Sessions)
	}
	if len(g.Sightings) != 1 || g.Sightings[0].Shasum != hash1 || g.Sightings[0].Session != "" || g.Sightings[0].Sensor != "hp" || g.Sightings[0].Event != 5 {
		t.Errorf("sightings: %+v", g.Sightings)
	}
}

func TestSightingSensor(t *testing.T) {
	line := `{"eventid":"cowrie.session.file_download","session":"s","sensor":%q,"shasum":"` + hash1 + `"}` + "\n"
	for sensor, want := range map[string]string{"own": "own", "": "given"} {
		g := gather(t, fmt.Sprintf(line, sensor), "given")
		if got := g.Sightings[0].Sensor; got != want {
			t.Errorf("sensor %q: sighting of %q, want %q", sensor, got, want)
		}
	}
}

// TestLines says what lines become, and what of them is kept.
func TestLines(t *testing.T) {
	const a, b = `{"eventid":"a"}`, `{"eventid":"b" , "x":1}`
	long := `{"eventid":"` + strings.Repeat("x", maxDeadLetter)
	tests := []struct {
		name, data string
		text       string
		blank      int64
		dead       []string
	}{
		{"nothing", "", "", 0, nil},
		{"events", a + "\n" + b + "\n", a + "\n" + b + "\n", 0, nil},
		{"no last newline", a + "\n" + b, a + "\n" + b + "\n", 0, nil},
		{"one without newline", a, a + "\n", 0, nil},
		{"blank lines", "\n" + a + "\n\n \t \n" + b + "\n\n", a + "\n" + b + "\n", 4, nil},
		{"only blank", "\n\n \n", "", 3, nil},
		{"CRLF", a + "\r\n" + b + "\r\n\r\n", a + "\n" + b + "\n", 1, nil},
		{"CR at the end", a + "\r\n" + b + "\r", a + "\n" + b + "\n", 0, nil},
		{"BOM", "\xef\xbb\xbf" + a + "\n" + b + "\n", a + "\n" + b + "\n", 0, nil},
		{"BOM within", a + "\n\xef\xbb\xbf" + b + "\n", a + "\n" + b + "\n", 0, nil},
		{"BOM alone", "\xef\xbb\xbf\n" + a + "\n", a + "\n", 1, nil},
		{"white space around", "  " + a + "\t\n " + b + "\n", a + "\n" + b + "\n", 0, nil},
		{"white space in the second", a + "\n " + b + "\n" + a + "\n", a + "\n" + b + "\n" + a + "\n", 0, nil},
		{"dead first", "x\n" + a + "\n", a + "\n", 0, []string{"x"}},
		{"dead between", a + "\nx y\n" + b + "\n", a + "\n" + b + "\n", 0, []string{"x y"}},
		{"dead last", a + "\n" + b[:9] + "x", a + "\n", 0, []string{b[:9] + "x"}},
		{"dead in white space", "  x \r\n" + a + "\n", a + "\n", 0, []string{"x"}},
		{"dead behind a BOM", "\xef\xbb\xbf \xef\n" + a + "\n", a + "\n", 0, []string{"\xef"}},
		{"two objects", a + b + "\n" + a + "\n", a + "\n", 0, []string{a + b}},
		{"array", "[" + a + "]\n" + a + "\n", a + "\n", 0, []string{"[" + a + "]"}},
		{"scalars", "1\nnull\n\"x\"\n", "", 0, []string{"1", "null", `"x"`}},
		{"NUL", "\x00\n" + a + "\x00\n", "", 0, []string{"\x00", a + "\x00"}},
		{"number as id", `{"eventid":7}` + "\n", `{"eventid":7}` + "\n", 0, nil},
		{"no id", "{}\n", "{}\n", 0, nil},
		{"long", long[:maxDeadLetter] + "\n" + long[:maxDeadLetter+1] + "\n", "", 0, []string{long[:maxDeadLetter], long[:maxDeadLetter+1]}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g := gather(t, tt.data, "")
			if string(g.Text) != tt.text {
				t.Errorf("text %q\nwant %q", g.Text, tt.text)
			}
			if g.Blank != tt.blank {
				t.Errorf("%d blank, want %d", g.Blank, tt.blank)
			}
			if len(g.DeadLetters) != len(tt.dead) {
				t.Fatalf("%d dead letters, want %d", len(g.DeadLetters), len(tt.dead))
			}
			from := 0
			for i, d := range g.DeadLetters {
				offset := from + strings.Index(tt.data[from:], tt.dead[i])
				if strings.HasPrefix(tt.data, "\xef") {
					offset = 4
				}
				from = offset + len(tt.dead[i])
				if d.Offset != int64(offset) || d.Length != int64(len(tt.dead[i])) || (d.Line == nil) != (len(tt.dead[i]) > maxDeadLetter) {
					t.Errorf("dead letter %d at %d, length %d, kept %v; want %d, %d", i, d.Offset, d.Length, d.Line != nil, offset, len(tt.dead[i]))
				}
			}
		})
	}
}

// TestTextIsNotCopied: a log of events alone is kept where it stands.
func TestTextIsNotCopied(t *testing.T) {
	data := []byte(strings.Repeat(`{"eventid":"a","session":"s"}`+"\n", 100))
	g := Gather(Lines{Data: data}, "", nil)
	if !bytes.Equal(g.Text, data) || &g.Text[0] != &data[0] {
		t.Error("the text was copied")
	}
	if cap(g.Text) != len(g.Text) {
		t.Error("appending to the text would write into the data")
	}
	// Where something is left out the data must stay as it is.
	data = []byte("{\"a\":1}\nx\n{\"a\":2}\n{\"a\":3}\n")
	before := bytes.Clone(data)
	g = Gather(Lines{Data: data}, "", nil)
	if string(g.Text) != "{\"a\":1}\n{\"a\":2}\n{\"a\":3}\n" || !bytes.Equal(data, before) {
		t.Errorf("text %q, data %q", g.Text, data)
	}
}

// TestRecords takes records that span lines.
func TestRecords(t *testing.T) {
	build := func(records ...string) Lines {
		var l Lines
		for _, r := range records {
			l.Data = append(l.Data, r...)
			l.Ends = append(l.Ends, len(l.Data))
		}
		return l
	}
	pretty := "{\n  \"eventid\": \"a b\",\n  \"session\": \"s\",\n  \"list\": [\n    1,\n    \"x  y\"\n  ]\n}"
	const compact = `{"eventid":"a b","session":"s","list":[1,"x  y"]}` + "\n"
	tests := []struct {
		name  string
		lines Lines
		text  string
		dead  int
		blank int64
	}{
		{"pretty", build(pretty), compact, 0, 0},
		{"pretty, with newlines behind", build(pretty, "\n"+pretty, "\n"+pretty+"\n"), compact + compact + compact, 0, 0},
		{"pretty, newline belongs to the record", build(pretty+"\n", pretty+"\n"), compact + compact, 0, 0},
		{"on one line", build(`{"a": 1}`, ` {"b": 2}`), `{"a": 1}` + "\n" + `{"b": 2}` + "\n", 0, 0},
		{"mixed", build(`{"a": 1}`+"\n", pretty+"\n", `{"b": 2}`), `{"a": 1}` + "\n" + compact + `{"b": 2}` + "\n", 0, 0},
		{"one is broken", build(pretty, "\n{\n \"a\": \n", pretty), compact + compact, 1, 0},
		{"one is blank", build(pretty, "\n \n", pretty), compact + compact, 0, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			before := bytes.Clone(tt.lines.Data)
			g := Gather(tt.lines, "", nil)
			checkSum(t, g, before)
			if string(g.Text) != tt.text {
				t.Errorf("text %q\nwant %q", g.Text, tt.text)
			}
			if len(g.DeadLetters) != tt.dead || g.Blank != tt.blank || g.Lines != int64(len(tt.lines.Ends)) {
				t.Errorf("%d lines, %d dead letters, %d blank", g.Lines, len(g.DeadLetters), g.Blank)
			}
			if !bytes.Equal(tt.lines.Data, before) {
				t.Error("the data was changed")
			}
		})
	}
}

func TestSkip(t *testing.T) {
	const text = `{"eventid":"a","session":"s1"}
{"eventid":"b","session":"s2"}
{"eventid":"cowrie.session.file_download","shasum":"1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a","session":"s1"}
{"eventid":"c"}
x
`
	var asked []string
	g := Gather(Lines{Data: []byte(text)}, "", func(session string, text []byte) bool {
		asked = append(asked, session+" "+string(text[:14]))
		return session == "s1"
	})
	if diff := cmp.Diff([]string{`s1 {"eventid":"a"`, `s2 {"eventid":"b"`, `s1 {"eventid":"co`, ` {"eventid":"c"`}, asked, cmp.Transformer("head", func(s string) string { return s[:min(len(s), 15)] })); diff != "" {
		t.Error(diff)
	}
	if string(g.Text) != "{\"eventid\":\"b\",\"session\":\"s2\"}\n{\"eventid\":\"c\"}\n" {
		t.Errorf("text %q", g.Text)
	}
	if g.Lines != 5 || g.Events != 2 || len(g.DeadLetters) != 1 || len(g.Sightings) != 0 || len(g.Sessions) != 1 || g.Sessions["s2"] == nil {
		t.Errorf("%+v", g)
	}
	if len(g.Sessionless) != 1 || g.Sessionless[0].Event != 1 {
		t.Errorf("sessionless: %v", g.Sessionless)
	}
}

func TestClip(t *testing.T) {
	tests := []struct {
		in    string
		limit int
		want  string
	}{
		{"", 10, ""},
		{"1234567890", 10, "1234567890"},
		{"12345678901", 10, "1234567…"},
		{"123456é8901", 10, "123456…"},
		{"12345é78901", 10, "12345é…"},
		{"12345😀8901", 10, "12345…"},
		{"€€€€", 10, "€€…"},
	}
	for _, tt := range tests {
		got := clip([]byte(tt.in), tt.limit)
		if got != tt.want || len(got) > tt.limit {
			t.Errorf("clip(%q, %d) = %q, want %q", tt.in, tt.limit, got, tt.want)
		}
	}
}

// TestLimits: columns keep the beginning of long texts, the event keeps all.
func TestLimits(t *testing.T) {
	for _, char := range []string{"x", "é", "€", "😀"} {
		long := strings.Repeat(char, 5000)
		text := fmt.Sprintf(`{"session":"s","eventid":"cowrie.command.input","input":%[1]q}
{"session":"s","eventid":"cowrie.login.success","username":%[1]q,"password":%[1]q,"sensor":%[1]q,"src_ip":%[1]q,"protocol":%[1]q}
{"session":"s","eventid":"cowrie.client.version","version":%[1]q,"sensor":%[1]q}
{"session":"s","eventid":"cowrie.client.kex","hassh":%[1]q,"sensor":%[1]q}
{"session":"s","eventid":"cowrie.session.file_upload","shasum":%[2]q,"filename":%[1]q,"destfile":%[1]q,"url":%[1]q,"outfile":%[1]q,"sensor":%[1]q,"src_ip":%[1]q}
{"session":%[1]q,"eventid":"x"}
`, long, hash1)
		g := gather(t, text, "")
		if string(g.Text) != text {
			t.Error("the text is not exact")
		}
		s := g.Sessions["s"]
		if s == nil || len(g.Sessions) != 2 {
			t.Fatalf("%d sessions", len(g.Sessions))
		}
		check := func(what, got string, limit int) {
			t.Helper()
			if len(got) > limit || len(got) < limit-6 || !utf8.ValidString(got) || !strings.HasSuffix(got, char+"…") {
				t.Errorf("%s of %q: %d bytes, limit %d, ending %q", what, char, len(got), limit, got[max(0, len(got)-10):])
			}
		}
		for command := range s.CommandStats {
			check("command", command, maxCommand)
		}
		for id := range g.Sessions {
			if id != "s" {
				check("session", id, maxSession)
			}
		}
		for what, got := range map[string]string{"username": s.Username, "password": s.Password, "sensor": s.Sensor, "address": s.SrcIP,
			"protocol": s.Protocol, "version": s.ClientVersion, "HASSH": s.HASSH, "sighting's sensor": g.Sightings[0].Sensor, "sighting's address": g.Sightings[0].SrcIP} {
			check(what, got, maxName)
		}
		f := g.Sightings[0]
		for what, got := range map[string]string{"filename": f.Filename, "destfile": f.Destfile, "url": f.URL, "outfile": f.Outfile} {
			check(what, got, maxPath)
		}
		// Clipped again it stays the same: one sensor must not become two.
		if s.SharedID {
			t.Errorf("a long sensor name of %q is not equal to itself", char)
		}
	}
}

func TestNormalise(t *testing.T) {
	tests := []struct{ in, want string }{
		{"", ""}, {"id", "id"}, {"a b", "a b"}, {" a", "a"}, {"a ", "a"}, {"a  b", "a b"}, {"a\tb", "a b"}, {"a\nb\r\nc", "a b c"}, {"  ", ""}, {"a b c  d", "a b c d"},
		{"a\u00a0b", "a\u00a0b"}, {"a\u00a0b ", "a\u00a0b"}, // white space is ASCII's, whatever else is there
	}
	for _, tt := range tests {
		if got := normalise([]byte(tt.in)); got != tt.want {
			t.Errorf("normalise(%q) = %q, want %q", tt.in, got, tt.want)
		}
	}
}

// FuzzNormalise: white space is made even, and nothing else is changed.
func FuzzNormalise(f *testing.F) {
	for _, s := range []string{"", " ", "a\tb  c", "a\u00a0b", "\xff \x00", strings.Repeat("é ", maxCommand)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := normalise([]byte(s))
		want := strings.Join(strings.FieldsFunc(s, func(r rune) bool { return strings.ContainsRune(" \t\r\n", r) }), " ")
		if got != want && (len(want) <= maxCommand || len(got) > maxCommand || !strings.HasPrefix(want, strings.TrimSuffix(got, "…"))) {
			t.Fatalf("%q became %q", s, got)
		}
		if again := normalise([]byte(got)); again != got {
			t.Fatalf("%q became %q, and then %q", s, got, again)
		}
		spaced := regexp.MustCompile("[ \t\r\n]+").ReplaceAllString(s, " \n ")
		if other := normalise([]byte("\t" + spaced + " ")); other != got {
			t.Fatalf("%q is %q, but with more white space %q", s, got, other)
		}
	})
}

// TestOneOfEachShape reads one event of each shape that real logs have.
func TestOneOfEachShape(t *testing.T) {
	for _, name := range []string{"one-of-each-shape.jsonl", "hostile/real-hostile-lines.jsonl"} {
		data, err := os.ReadFile(sharedData(t, name))
		if err != nil {
			t.Fatal(err)
		}
		g := gather(t, string(data), "")
		if len(g.DeadLetters) != 0 || !bytes.Equal(g.Text, data) {
			t.Errorf("%s: %d events, %d dead letters, %d blank; %d bytes of %d kept", name, g.Events, len(g.DeadLetters), g.Blank, len(g.Text), len(data))
		}
	}
}

func FuzzGather(f *testing.F) {
	for _, s := range oddLines {
		f.Add([]byte(s + "\n" + oddLines[0] + "\r\n\n" + s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		before := bytes.Clone(data)
		g := Gather(Lines{Data: data}, "given", nil)
		if !bytes.Equal(data, before) {
			t.Fatal("the data was changed")
		}
		checkSum(t, g, data)
		lines := int64(bytes.Count(data, []byte("\n")))
		if len(data) > 0 && data[len(data)-1] != '\n' {
			lines++
		}
		if g.Lines != lines {
			t.Fatalf("%d lines, want %d", g.Lines, lines)
		}
	})
}
