package cowrie

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"maps"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// oddLines are lines that parsers have tripped over.
var oddLines = []string{
	`{"eventid":"cowrie.command.input","timestamp":"2024-01-02T03:04:05.678901Z","session":"0123456789ab","src_ip":"192.0.2.1","sensor":"s","input":"uname -a"}`,
	`{"timestamp": "2018-05-14T00:06:12Z", "shasum": "E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855", "duplicate": false, "url": "http://192.0.2.9/x", "destfile": "/tmp/x", "filename": "x"}`,
	`{}`, ` { } `, "\t{\r\n}\n", `{"":""}`, `{"a":{}}`, `{"a":[]}`, `{"a":[{},[[]],{"b":{}}]}`,
	``, ` `, `[]`, `[{}]`, `null`, `1`, `"{}"`, `{`, `}`, `{]`, `{"a":[}`, `{"a":]}`, `{}{}`, `{} {}`, `{},`, `{}x`, "{}\x00", `x{}`,
	"\xef\xbb\xbf{}", "{}\v", "\f{}", "{\u00a0}", "{\u2028}",
	`{,}`, `{"a":1,}`, `{,"a":1}`, `{"a":1,,"b":2}`, `{"a":1 "b":2}`, `{"a" 1}`, `{"a":}`, `{"a"}`, `{"a":1:2}`, `{a:1}`, `{'a':1}`, `{1:2}`, `{null:1}`,
	`{"a":[1,]}`, `{"a":[,1]}`, `{"a":[1 2]}`, `{"a":[1}`, `{"a":{"b":1]}`, `{"a":{"b"}}`, `{"a":{"b":1,}}`, `{"a":{1:2}}`, `{"a":[`, `{"a":{`, `{"a":[[`, `{"a":{"b":`, `{"a":{"b"`,
	`{"a":0}`, `{"a":-0}`, `{"a":00}`, `{"a":01}`, `{"a":-01}`, `{"a":-}`, `{"a":+1}`, `{"a":1.}`, `{"a":.1}`, `{"a":1.0}`, `{"a":1e5}`, `{"a":1E+5}`, `{"a":1e}`, `{"a":1e+}`, `{"a":1.e1}`, `{"a":1e999}`, `{"a":-1e-999}`, `{"a":0x10}`, `{"a":1_0}`, `{"a":NaN}`, `{"a":Infinity}`, `{"a":-Infinity}`, `{"a":123456789012345678901234567890}`,
	`{"a":true}`, `{"a":tru}`, `{"a":trues}`, `{"a":tRue}`, `{"a":t`, `{"a":false}`, `{"a":fals`, `{"a":null}`, `{"a":nul}`, `{"a":nullx}`, `{"a":undefined}`,
	`{"eventid":null}`, `{"eventid":5}`, `{"eventid":["x"]}`, `{"eventid":{"eventid":"inner"}}`, `{"eventid":true}`, `{"x":{"eventid":"inner","session":"s"}}`,
	`{"eventid":"a","eventid":"b"}`, `{"eventid":"a","eventid":7}`, `{"eventid":7,"eventid":"a"}`, `{"Eventid":"a"}`, `{"EVENTID":"a","eventid":"b"}`, `{"eventid ":"a"}`,
	`{"event\u0069d":"escaped name"}`, `{"\u0065\u0076entid":"b","eventid":"c"}`, `{"eventid":"c","\u0065\u0076entid":"b"}`, `{"eventid\u0000":"x"}`,
	`{"input":"\"\\\/\b\f\n\r\t"}`, `{"input":"\u0000\u001f\u007f\u00e9\u20ac\uFFFF\uffFe"}`, `{"input":"\ud83d\ude00"}`, `{"input":"\ud83d"}`, `{"input":"\ude00"}`, `{"input":"\ude00\ud83d"}`, `{"input":"\ud83d\ud83d\ude00"}`, `{"input":"\ud83dx\ude00"}`, `{"input":"\ud83d\n\ude00"}`, `{"input":"\ud83d\u0041"}`, `{"input":"\uD83D\uDE00"}`, `{"input":"\udbff\udfff"}`, `{"input":"\ud83d\\ude00"}`,
	`{"input":"\x"}`, `{"input":"\u12"}`, `{"input":"\u123"}`, `{"input":"\u123g"}`, `{"input":"\U0041"}`, `{"input":"\`, `{"input":"\"`, `{"input":"\u`, `{"input":"\u00`, `{"input":"\'"}`, `{"input":"\0"}`, `{"input":"\a"}`,
	"{\"input\":\"a\tb\"}", "{\"input\":\"a\nb\"}", "{\"input\":\"\x00\"}", "{\"input\":\"\x1f\"}", "{\"input\":\"\x7f\"}", "{\"input\":\"1234567\x1f\"}", "{\"input\":\"12345678\x01\"}", "{\"inp\tut\":1}",
	"{\"input\":\"\xff\"}", "{\"input\":\"\xc0\x80\"}", "{\"input\":\"\xed\xa0\xbd\"}", "{\"input\":\"\xf4\x90\x80\x80\"}", "{\"input\":\"a\xe2\x82\"}", "{\"input\xff\":\"a\"}", "{\"input\":\"é€😀\"}", "{\"input\":\"\u2028\u2029\ufeff\"}",
	`{"input":"1234567"}`, `{"input":"12345678"}`, `{"input":"123456789"}`, `{"input":"1234567\\"}`, `{"input":"12345678\\\""}`, `{"input":"!!!!!!!!!!!!!!!!"}`, "{\"input\":\"\x80\x81\xa2\xdc\x9f\xa0\"}",
	`{"src_ip":"::ffff:192.0.2.1"}`, `{"src_ip":"::FFFF:c000:201"}`, `{"src_ip":"::1"}`, `{"src_ip":"::"}`, `{"src_ip":"2001:db8::1"}`, `{"src_ip":"::ffff:1.2.3"}`, `{"src_ip":"::x"}`, `{"src_ip":"\u003a:ffff:192.0.2.1"}`,
	`{"shasum":""}`, `{"shasum":"xyz"}`, `{"shasum":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b85"}`, `{"shasum":"g3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}`, `{"shasum":"\u00653b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}`,
	`{"timestamp":""}`, `{"timestamp":"2020-01-01T00:00:00.000000+0000"}`, `{"timestamp":1577836800}`, `{"timestamp":"2020\u002d01-01T00:00:00Z"}`,
	`{"session":"` + strings.Repeat("s", 128) + `"}`, `{"session":"` + strings.Repeat("s", 129) + `"}`, `{"session":"` + strings.Repeat("é", 100) + `"}`, `{"sensor":"` + strings.Repeat("€", 100) + `"}`, `{"sensor":"` + strings.Repeat("\x80", 300) + `"}`,
	`{"src_ip":"` + strings.Repeat("1", 300) + `"}`,
}

// jsonSpace is what JSON calls white space.
const jsonSpace = " \t\r\n"

// toUTF8 makes what encoding/json makes of a text: each byte that is no part
// of valid UTF-8 becomes U+FFFD. Three bytes of a lone surrogate, which we
// keep, stand for one U+FFFD.
func toUTF8(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); {
		if i+3 <= len(s) && s[i] == 0xed && s[i+1]&0xe0 == 0xa0 && s[i+2]&0xc0 == 0x80 {
			b.WriteRune(utf8.RuneError)
			i += 3
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		b.WriteRune(r)
		i += n
	}
	return b.String()
}

// rawSurrogate reports whether the bytes of a surrogate stand in the text
// itself: encoding/json makes three U+FFFD of them, toUTF8 one.
func rawSurrogate(s []byte) bool {
	for i := 0; i+3 <= len(s); i++ {
		if s[i] == 0xed && s[i+1]&0xe0 == 0xa0 && s[i+2]&0xc0 == 0x80 {
			return true
		}
	}
	return false
}

// oneRune makes one U+FFFD of a run of them.
func oneRune(s string) string {
	for strings.Contains(s, "\ufffd\ufffd") {
		s = strings.ReplaceAll(s, "\ufffd\ufffd", "\ufffd")
	}
	return s
}

// checkLine holds Parse to encoding/json.
func checkLine(t *testing.T, line []byte) {
	t.Helper()
	before := bytes.Clone(line)
	got, err := Parse(line)
	if !bytes.Equal(line, before) {
		t.Fatalf("Parse changed its input %q to %q", before, line)
	}
	trimmed := bytes.Trim(line, jsonSpace)
	want := json.Valid(trimmed) && trimmed[0] == '{'
	if (err == nil) != want {
		t.Fatalf("Parse(%.300q) = %v; a valid object for encoding/json: %v", line, err, want)
	}
	if err != nil {
		checkReason(t, line, trimmed, err)
		if got != (Event{}) {
			t.Fatalf("Parse(%.300q) = %+v with an error", line, got)
		}
		return
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(trimmed, &members); err != nil {
		t.Fatalf("encoding/json cannot decode what it calls valid: %v: %.300q", err, line)
	}
	raw := rawSurrogate(line)
	// field compares one field, which shape makes of the string.
	field := func(name, got string, shape func(string) string) {
		t.Helper()
		var want string
		if m := bytes.TrimSpace(members[name]); len(m) > 0 && m[0] == '"' {
			if err := json.Unmarshal(m, &want); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		want, have := shape(want), toUTF8(got)
		if raw {
			want, have = oneRune(want), oneRune(have)
		}
		if want != have {
			t.Fatalf("Parse(%.600q)\n%s = %q\nwant %q", line, name, have, want)
		}
	}
	same := func(s string) string { return s }
	// Clipping counts bytes, and there are more of them in U+FFFD than in what
	// it stands for. Long texts are compared only where the line is valid.
	clipped := func(limit int) func(string) string {
		return func(s string) string { return clip([]byte(s), limit) }
	}
	exact := utf8.Valid(line) && !bytes.Contains(bytes.ToLower(line), []byte(`\ud`))
	field("eventid", got.ID, same)
	field("input", got.Input, same)
	field("username", got.Username, same)
	field("password", got.Password, same)
	field("url", got.URL, same)
	field("filename", got.Filename, same)
	field("destfile", got.Destfile, same)
	if exact || len(members["session"]) < maxSession/3 {
		field("session", got.Session, clipped(maxSession))
	}
	if exact || len(members["sensor"]) < maxName/3 {
		field("sensor", got.Sensor, clipped(maxName))
	}
	if exact || len(members["src_ip"]) < maxName/3 {
		field("src_ip", got.SrcIP, func(s string) string {
			if a, err := netip.ParseAddr(s); err == nil && a.Is4In6() && strings.HasPrefix(s, "::") {
				return a.Unmap().String()
			}
			return clip([]byte(s), maxName)
		})
	}
	field("shasum", got.Shasum, func(s string) string {
		if len(s) != 64 || strings.Trim(s, "0123456789abcdefABCDEF") != "" {
			return ""
		}
		return strings.ToLower(s)
	})
	var stamp string
	if m := bytes.TrimSpace(members["timestamp"]); len(m) > 0 && m[0] == '"' {
		json.Unmarshal(m, &stamp)
	}
	if want, _ := ParseTime([]byte(stamp)); got.Time != want {
		t.Fatalf("Parse(%.300q).Time = %v, want %v", line, got.Time, want)
	}
	checkCompact(t, trimmed)
}

// checkReason holds the reasons of dead letters to what they say.
func checkReason(t *testing.T, line, trimmed []byte, err error) {
	t.Helper()
	switch {
	case !slices.Contains([]error{ErrNotObject, ErrSyntax, ErrTrailing, ErrDepth, ErrCut}, err):
		t.Fatalf("Parse(%.300q): unknown error %v", line, err)
	case (len(trimmed) == 0 || trimmed[0] != '{') != (err == ErrNotObject):
		t.Fatalf("Parse(%.300q) = %v", line, err)
	case err == ErrTrailing:
		var v json.RawMessage
		if json.NewDecoder(bytes.NewReader(trimmed)).Decode(&v) != nil {
			t.Fatalf("Parse(%.300q) = %v, but no value stands at its beginning", line, err)
		}
	case err == ErrCut:
		var v json.RawMessage
		if e := json.NewDecoder(bytes.NewReader(trimmed)).Decode(&v); e != io.ErrUnexpectedEOF {
			t.Fatalf("Parse(%.300q) = %v, but encoding/json says %v", line, err, e)
		}
	}
}

func checkCompact(t *testing.T, valid []byte) {
	t.Helper()
	var want bytes.Buffer
	if err := json.Compact(&want, valid); err != nil {
		t.Fatal(err)
	}
	got := Compact([]byte("before"), valid)
	if string(got) != "before"+want.String() {
		t.Fatalf("Compact(%.300q) = %.300q\nwant %.300q", valid, got, want.Bytes())
	}
	if again := Compact(nil, want.Bytes()); !bytes.Equal(again, want.Bytes()) {
		t.Fatalf("Compact is not idempotent: %.300q became %.300q", want.Bytes(), again)
	}
}

func FuzzLine(f *testing.F) {
	for _, s := range oddLines {
		f.Add([]byte(s))
	}
	f.Fuzz(checkLine)
}

// TestLineMutated holds Parse to encoding/json on lines that were made from
// the odd ones by chance, always the same.
func TestLineMutated(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	pieces := []string{`"`, `\`, `{`, `}`, `[`, `]`, `,`, `:`, ` `, "\n", `\u`, `\ud800`, `\udc00`, `\n`, "0", "-", "e", ".", "true", "null",
		"\x00", "\x1f", "\x7f", "\x80", "\xc3", "\xed\xa0\x80", "é", "😀", `"eventid":"x"`, `"input":"`, `,"session":"s"`, `"shasum":`, "::ffff:"}
	for range 30000 {
		line := []byte(oddLines[rnd.IntN(len(oddLines))])
		for range 1 + rnd.IntN(4) {
			i := rnd.IntN(len(line) + 1)
			j := min(len(line), i+rnd.IntN(4))
			switch rnd.IntN(6) {
			case 0: // cut
				line = line[:i]
			case 1: // leave out
				line = slices.Delete(line, i, j)
			case 2: // double
				line = slices.Insert(line, i, line[i:j]...)
			case 3: // change a byte
				if i < len(line) {
					line[i] ^= 1 << rnd.IntN(8)
				}
			case 4: // add a piece
				line = slices.Insert(line, i, []byte(pieces[rnd.IntN(len(pieces))])...)
			case 5: // add a piece of another line
				other := oddLines[rnd.IntN(len(oddLines))]
				k := rnd.IntN(len(other) + 1)
				line = slices.Insert(line, i, []byte(other[k:min(len(other), k+rnd.IntN(30))])...)
			}
		}
		checkLine(t, line)
	}
}

// TestLineBuilt checks valid objects made by chance, whose values are long
// enough to cross the scanner's eight-byte steps everywhere.
func TestLineBuilt(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	names := []string{"eventid", "timestamp", "session", "sensor", "src_ip", "input", "username", "password", "shasum", "url", "filename", "destfile", "x", "", "Eventid"}
	chars := []string{"a", "b", " ", `\"`, `\\`, `\/`, `\n`, `\u0041`, `\u00e9`, `\ud83d\ude00`, `\ud83d`, `\udead`, "é", "😀", "\xff", "\x7f", "!", "#", "[", "]"}
	space := func() string { return strings.Repeat(" ", max(0, rnd.IntN(6)-3)) }
	text := func() string {
		var b strings.Builder
		for range rnd.IntN(20) {
			b.WriteString(strings.Repeat(chars[rnd.IntN(len(chars))], 1+rnd.IntN(3)))
		}
		return `"` + b.String() + `"`
	}
	var value func(depth int) string
	value = func(depth int) string {
		switch k := rnd.IntN(12); {
		case k < 7 || depth > 4:
			return text()
		case k == 7:
			return []string{"0", "-0.5e-3", "12", "1e999"}[rnd.IntN(4)]
		case k == 8:
			return []string{"true", "false", "null"}[rnd.IntN(3)]
		case k == 9:
			var items []string
			for range rnd.IntN(4) {
				items = append(items, space()+value(depth+1)+space())
			}
			return "[" + strings.Join(items, ",") + "]"
		default:
			var items []string
			for range rnd.IntN(4) {
				items = append(items, space()+text()+space()+":"+space()+value(depth+1))
			}
			return "{" + space() + strings.Join(items, ",") + "}"
		}
	}
	for range 10000 {
		var members []string
		for range rnd.IntN(8) {
			members = append(members, space()+`"`+names[rnd.IntN(len(names))]+`"`+space()+":"+value(0))
		}
		line := []byte(space() + "{" + strings.Join(members, ",") + space() + "}" + space())
		if !json.Valid(line) {
			t.Fatalf("the test built something that is not JSON: %q", line)
		}
		checkLine(t, line)
	}
}

func TestParseReasons(t *testing.T) {
	tests := []struct {
		line string
		want error
	}{
		{`{}`, nil},
		{``, ErrNotObject}, {`[{}]`, ErrNotObject}, {`null`, ErrNotObject}, {`"x"`, ErrNotObject}, {"\xef\xbb\xbf{}", ErrNotObject},
		{`{}{}`, ErrTrailing}, {`{} x`, ErrTrailing}, {`{}}`, ErrTrailing},
		{`{`, ErrCut}, {`{"a`, ErrCut}, {`{"a\`, ErrCut}, {`{"a\u00`, ErrCut}, {`{"a"`, ErrCut}, {`{"a":`, ErrCut}, {`{"a":t`, ErrCut},
		{`{"a":-`, ErrCut}, {`{"a":1.`, ErrCut}, {`{"a":1e`, ErrCut}, {`{"a":1`, ErrCut}, {`{"a":[1,`, ErrCut}, {`{"a":{"b":{}`, ErrCut}, {`{"a":1,`, ErrCut},
		{`{"a":01}`, ErrSyntax}, {`{"a":'b'}`, ErrSyntax}, {"{\"a\":\"\t\"}", ErrSyntax}, {`{"a":1,}`, ErrSyntax}, {`{"a":txue}`, ErrSyntax}, {`{"a":tx`, ErrSyntax},
	}
	for _, tt := range tests {
		if _, err := Parse([]byte(tt.line)); err != tt.want {
			t.Errorf("Parse(%q) = %v, want %v", tt.line, err, tt.want)
		}
	}
}

func TestParseFields(t *testing.T) {
	got, err := Parse([]byte(`{"eventid":"cowrie.session.file_upload","timestamp":"2024-05-06T07:08:09.101112+0200","session":"abc","sensor":"hp-1",
		"src_ip":"::ffff:192.0.2.7","input":"a\tb","username":"\ud83d","password":"p\u0000w","shasum":"` + strings.Repeat("AB", 32) + `",
		"url":"/tmp/x","filename":"x","destfile":"/tmp/x","eventid2":"no","more":{"session":"inner"}}`))
	want := Event{ID: "cowrie.session.file_upload", Time: mustTime(t, "2024-05-06T05:08:09.101112Z"), Session: "abc", Sensor: "hp-1",
		SrcIP: "192.0.2.7", Input: "a\tb", Username: "\xed\xa0\xbd", Password: "p\x00w", Shasum: strings.Repeat("ab", 32),
		URL: "/tmp/x", Filename: "x", Destfile: "/tmp/x"}
	if err != nil || got != want {
		t.Errorf("got  %+v, %v\nwant %+v", got, err, want)
	}
}

// TestDepth holds the limit of nesting to that of encoding/json, and deeper
// lines to an error that comes before the end of the line is looked at.
func TestDepth(t *testing.T) {
	build := map[string]func(int) []byte{
		"arrays": func(n int) []byte {
			return []byte(`{"a":` + strings.Repeat("[", n-1) + strings.Repeat("]", n-1) + `}`)
		},
		"objects": func(n int) []byte {
			return []byte(strings.Repeat(`{"a":`, n-1) + `{}` + strings.Repeat(`}`, n-1))
		},
		"beside each other": func(n int) []byte {
			deep := strings.Repeat("[", n-1) + strings.Repeat("]", n-1)
			return []byte(`{"a":` + deep + `,"b":` + deep + `}`)
		},
	}
	for name, nest := range build {
		for _, n := range []int{2, MaxDepth - 1, MaxDepth, MaxDepth + 1} {
			line := nest(n)
			_, err := Parse(line)
			if valid := json.Valid(line); valid != (n <= MaxDepth) || valid != (err == nil) {
				t.Errorf("%d %s: %v; encoding/json: %v", n, name, err, valid)
			}
			if n > MaxDepth && err != ErrDepth {
				t.Errorf("%d %s: %v, want ErrDepth", n, name, err)
			}
			if err == nil {
				checkCompact(t, line)
			}
		}
	}
	for _, open := range []string{"[", `{"a":`, `[{"a":`} {
		line := []byte(`{"a":` + strings.Repeat(open, 100_000))
		if _, err := Parse(line); err != ErrDepth {
			t.Errorf("100,000 times %s: %v, want ErrDepth", open, err)
		}
		r := newReader()
		r.read(line)
		if got := len(r.scan.stack); got >= MaxDepth {
			t.Errorf("100,000 times %s: the stack grew to %d", open, got)
		}
	}
}

func TestCompact(t *testing.T) {
	tests := []struct{ in, want string }{
		{" { \"a b\" :\t[ 1 , 2 ]\r\n} ", `{"a b":[1,2]}`},
		{`{"a\" ":" \\" }`, `{"a\" ":" \\"}`},
		{`{"a":"<>&` + "\u2028" + `"}`, `{"a":"<>&` + "\u2028" + `"}`},
		{``, ``},
	}
	for _, tt := range tests {
		if got := Compact(nil, []byte(tt.in)); string(got) != tt.want {
			t.Errorf("Compact(%q) = %q, want %q", tt.in, got, tt.want)
		}
	}
}

// TestJSONTestSuite takes every file of the suite as a line, and as the value
// of a field.
func TestJSONTestSuite(t *testing.T) {
	files := tarFiles(t, sharedData(t, "hostile", "JSONTestSuite.tar.zst"))
	if len(files) < 300 {
		t.Fatalf("the suite has %d files", len(files))
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if !strings.HasSuffix(name, ".json") {
			continue
		}
		data := files[name]
		t.Run(name[strings.LastIndexByte(name, '/')+1:], func(t *testing.T) {
			checkLine(t, data)
			checkLine(t, slices.Concat([]byte(`{"x":1,"input":`), data, []byte(`,"eventid":"e"}`)))
			checkLine(t, slices.Concat([]byte(`{"a":{"b":[`), data, []byte(`]}}`)))
		})
	}
}

// TestNaughtyStrings takes every string of the list through every field.
func TestNaughtyStrings(t *testing.T) {
	data, err := os.ReadFile(sharedData(t, "hostile", "blns.base64.json"))
	if err != nil {
		t.Fatal(err)
	}
	var encoded []string
	if err := json.Unmarshal(data, &encoded); err != nil {
		t.Fatal(err)
	}
	if len(encoded) < 500 {
		t.Fatalf("the list has %d strings", len(encoded))
	}
	names := []string{"eventid", "timestamp", "session", "sensor", "src_ip", "input", "username", "password", "shasum", "url", "filename", "destfile"}
	for _, e := range encoded {
		s, err := base64.StdEncoding.DecodeString(e)
		if err != nil {
			t.Fatal(err)
		}
		members := map[string]string{}
		for _, name := range names {
			members[name] = string(s)
		}
		line, err := json.Marshal(members)
		if err != nil {
			t.Fatal(err)
		}
		checkLine(t, line)
		if got, _ := Parse(line); utf8.Valid(s) && got.Input != string(s) {
			t.Errorf("input = %q, want %q", got.Input, s)
		}
		checkLine(t, slices.Concat([]byte(`{"input":"`), s, []byte(`"}`)))
		checkLine(t, s)
	}
}

func TestRealHostileLines(t *testing.T) {
	f, err := os.Open(sharedData(t, "hostile", "real-hostile-lines.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	s := bufio.NewScanner(f)
	s.Buffer(nil, 16<<20)
	n := 0
	for ; s.Scan(); n++ {
		if e, err := Parse(s.Bytes()); err != nil || e.ID == "" {
			t.Errorf("line %d: %+v, %v", n+1, e, err)
		}
		checkLine(t, s.Bytes())
	}
	if n == 0 || s.Err() != nil {
		t.Errorf("%d lines, %v", n, s.Err())
	}
}

func TestShasum(t *testing.T) {
	lower := strings.Repeat("0123456789abcdef", 4)
	tests := []struct {
		in, want string
		ok       bool
	}{
		{lower, lower, true},
		{strings.ToUpper(lower), lower, true},
		{lower[1:], "", false},
		{lower + "0", "", false},
		{"", "", false},
		{"g" + lower[1:], "", false},
		{" " + lower[1:], "", false},
		{"\x00" + lower[1:], "", false},
	}
	for _, tt := range tests {
		if got, ok := Shasum([]byte(tt.in)); got != tt.want || ok != tt.ok {
			t.Errorf("Shasum(%q) = %q, %v", tt.in, got, ok)
		}
	}
}

func BenchmarkParse(b *testing.B) {
	line := []byte(oddLines[0])
	r := newReader()
	b.SetBytes(int64(len(line)))
	for b.Loop() {
		if _, err := r.read(line); err != nil {
			b.Fatal(err)
		}
	}
}
