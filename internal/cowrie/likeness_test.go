package cowrie_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"midden/internal/cowrie"
	"midden/internal/synth"
	"midden/internal/synth/cowrieprocessor"
)

var (
	oneHash     = strings.Repeat("1a", 32)
	anotherHash = strings.Repeat("2b", 32)
)

func TestLikeness(t *testing.T) {
	t.Parallel()
	const base = `{"eventid":"cowrie.command.input","session":"a1","timestamp":"2026-01-02T03:04:05.678900Z","input":"ls"}`
	file := `{"eventid":"cowrie.session.file_download","session":"a1","timestamp":"2026-01-02T03:04:05Z","shasum":"` + oneHash + `"}`
	change := func(text, old, new string) string {
		t.Helper()
		if !strings.Contains(text, old) {
			t.Fatalf("there is no %s in %s", old, text)
		}
		return strings.Replace(text, old, new, 1)
	}
	for _, c := range []struct {
		name  string
		a, b  string
		alike bool
	}{
		{"itself", base, base, true},
		{"white space", base, "  " + change(base, ",", " ,\n\t") + " ", true},
		{"another order", base, `{"input":"ls","timestamp":"2026-01-02T03:04:05.678900Z","session":"a1","eventid":"cowrie.command.input"}`, true},
		{"the input gone", base, change(base, `"ls"`, `null,"input_safe":"ls","input_hash":"00"`), true},
		{"another input", base, change(base, `"ls"`, `"id"`), true}, // the time tells
		{"more members", base, change(base, "{", `{"uuid":"u","src_ip":"192.0.2.1",`), true},
		{"escapes", base, change(base, "a1", `\u0061\u0031`), true},
		{"a time with a zone", base, change(base, "05.678900Z", "05.6789+0000"), true},
		{"a time elsewhere", base, change(base, "T03:04:05.678900Z", " 05:04:05.678900+02:00"), true},
		{"a finer time", base, change(base, ".678900", ".678900999"), true},
		{"a hash in upper case", file, change(file, oneHash, strings.ToUpper(oneHash)), true},
		{"a bad hash and none", change(file, oneHash, "short"), change(file, `,"shasum":"`+oneHash+`"`, ""), true},

		{"another session", base, change(base, "a1", "a2"), false},
		{"a session in upper case", base, change(base, "a1", "A1"), false},
		{"another id", base, change(base, "command.input", "command.failed"), false},
		{"a microsecond later", base, change(base, ".678900", ".678901"), false},
		{"another hash", file, change(file, oneHash, anotherHash), false},
		{"no hash", file, change(file, `,"shasum":"`+oneHash+`"`, ""), false},
		{"a letter that moves over", `{"eventid":"bc","session":"a","timestamp":"2026-01-02T03:04:05Z"}`, `{"eventid":"c","session":"ab","timestamp":"2026-01-02T03:04:05Z"}`, false},
		{"session and id exchanged", `{"eventid":"x","session":"y","timestamp":"2026-01-02T03:04:05Z"}`, `{"eventid":"y","session":"x","timestamp":"2026-01-02T03:04:05Z"}`, false},
	} {
		if got := cowrie.Likeness([]byte(c.a)) == cowrie.Likeness([]byte(c.b)); got != c.alike {
			t.Errorf("%s: alike is %v", c.name, got)
		}
		if got := cowrie.Likeness([]byte(c.b)) == cowrie.Likeness([]byte(c.a)); got != c.alike {
			t.Errorf("%s, the other way round: alike is %v", c.name, got)
		}
	}
	// Where something is lacking only the same event is like it, but for white space.
	for _, text := range []string{
		change(base, `"session":"a1",`, ""), change(base, `"a1"`, `""`), change(base, `"a1"`, "7"), change(base, `"a1"`, "null"),
		change(base, `"eventid":"cowrie.command.input",`, ""), change(base, `"cowrie.command.input"`, "5"),
		change(base, `"timestamp":"2026-01-02T03:04:05.678900Z",`, ""), change(base, "2026-01-02T", "yesterday "), change(base, `"2026-01-02T03:04:05.678900Z"`, "1767323045"),
		"garbage", `{"cut":`, "", "[1,2]",
	} {
		if cowrie.Likeness([]byte(text)) != cowrie.Identity([]byte(text)) {
			t.Errorf("%q is like others", text)
		}
	}
}

// TestLikenessOfOldCopies: every event is like the copy of it that cowrieprocessor
// stored, and like no other's; what was typed comes back from it.
func TestLikenessOfOldCopies(t *testing.T) {
	t.Parallel()
	altered, typed := 0, 0
	seen := map[[32]byte]string{}
	for sensor := range 4 {
		var buf bytes.Buffer
		o := synth.Options{Seed: 5, Events: 2500, Sensors: 4, Span: 24 * time.Hour, FileShare: 0.2}
		if _, err := o.Generate(t.Context(), &buf, sensor); err != nil {
			t.Fatal(err)
		}
		for line := range bytes.Lines(buf.Bytes()) {
			line = bytes.TrimSpace(line)
			copied := cowrieprocessor.Payload(line)
			like := cowrie.Likeness(line)
			if like != cowrie.Likeness(copied) {
				t.Errorf("%s is not like its copy %s", line, copied)
			}
			if other, ok := seen[like]; ok {
				t.Errorf("%s is like %s", line, other)
			}
			seen[like] = string(line)
			if cowrie.Identity(line) != cowrie.Identity(copied) {
				altered++
			}
			a, err := cowrie.Parse(line)
			if err != nil {
				t.Fatal(err)
			}
			b, err := cowrie.Parse(copied)
			if err != nil {
				t.Fatal(err)
			}
			if a.ID == "cowrie.command.input" && a.Input != "" && bytes.Contains(line, []byte(`"CMD: `)) {
				typed++
				if a.Input != b.Input {
					t.Errorf("%q was typed, but the copy says %q", a.Input, b.Input)
				}
			}
			if b.Input = a.Input; a != b {
				t.Errorf("%+v became %+v", a, b)
			}
		}
	}
	if altered < 100 || typed < 100 {
		t.Errorf("%d copies differ, of %d it is known what was typed: that tells little", altered, typed)
	}
}

// FuzzLikeness: an event is like its copy, whatever it holds that Python can tell apart.
func FuzzLikeness(f *testing.F) {
	const base = `{"eventid":"cowrie.command.input","session":"a1","timestamp":"2026-01-02T03:04:05.678900Z","input":"ls; id"}`
	for _, line := range []string{
		base, strings.ReplaceAll(base, `"a1"`, `"\u0061\u0000\n"`), strings.ReplaceAll(base, `"input"`, `"session":"b","input"`), strings.ReplaceAll(base, `678900Z`, `6+0200`),
		strings.ReplaceAll(base, "cowrie.command.input", "cowrie.session.file_download") + " ", strings.ReplaceAll(base, `"input":`, `"shasum":"`+strings.Repeat("A", 64)+`","input":`),
		strings.ReplaceAll(base, `"ls; id"`, `1e400`), strings.ReplaceAll(base, `"ls; id"`, `{"a":[-0,1.50,"\ud83d\ude00"]}`),
	} {
		f.Add([]byte(line))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		if _, err := cowrie.Parse(line); err != nil || !utf8.Valid(line) || bytes.Contains(bytes.ToLower(line), []byte(`\ud`)) {
			return // surrogates that are alone it tells apart no more
		}
		copied := cowrieprocessor.Payload(line)
		if bytes.HasPrefix(copied, []byte(`{"malformed"`)) || !json.Valid(copied) {
			return // it was none to Python, or its copy is none: Infinity
		}
		if like := cowrie.Likeness(line); like != cowrie.Likeness(copied) && like != cowrie.Identity(line) {
			t.Errorf("%q is not like its copy %q", line, copied)
		}
	})
}

// TestTyped: what was typed, of events as cowrieprocessor altered them.
func TestTyped(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ members, want string }{
		{`"input":"ls; id","message":"CMD: other"`, "ls; id"},
		{`"input":null,"input_safe":"ls [SC] id","message":"CMD: ls; id"`, "ls; id"},
		{`"input":null,"input_safe":"x [PIPE] y","message":"Command not found: x | y"`, "x | y"},
		{`"input":null,"input_safe":"x [PIPE] y","message":"Command found: x | y"`, "x | y"},
		{`"input":null,"realm":"passwd","input_safe":"a [SC] b","message":"INPUT (passwd): a;b"`, "a;b"},
		{`"input":null,"input_safe":"[URL]a/b","message":"CMD: http:\/\/a\/b\u0000"`, "http://a/b\x00"},
		{`"input":null,"input_safe":"","message":"CMD: "`, ""},
		{`"input":null,"input_safe":"safe","message":"cmd: ls"`, "safe"},
		{`"input":null,"input_safe":"safe","message":["CMD: ls"]`, "safe"},
		{`"input":null,"input_safe":"safe"`, "safe"},
		{`"input":null`, ""},
		{`"input":"","input_safe":"safe","message":"CMD: ls"`, ""},
		{`"input":5,"input_safe":"safe"`, ""},
		{`"input_safe":"safe","message":"CMD: ls"`, ""}, // it was never altered
	} {
		e, err := cowrie.Parse([]byte(`{"eventid":"cowrie.command.input",` + c.members + `}`))
		if err != nil {
			t.Fatal(err)
		}
		if e.Input != c.want {
			t.Errorf("%s: %q, want %q", c.members, e.Input, c.want)
		}
	}
}
