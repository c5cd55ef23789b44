package secret

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// fake is a program in a PATH of its own, a real process, that answers what it
// is told to and writes down how it was called.
type fake struct {
	dir string
}

// script: what it reads from stdin must be nothing, at once.
const script = `#!/bin/sh
for a in "$@"; do printf '%s\n' "$a"; done >"$FAKE/args"
echo "$0" >>"$FAKE/calls"
cat >"$FAKE/stdin"
[ -f "$FAKE/stderr" ] && cat "$FAKE/stderr" >&2
[ -f "$FAKE/stdout" ] && cat "$FAKE/stdout"
[ -f "$FAKE/then" ] && . "$FAKE/then"
exit 0
`

// installed puts programs into a PATH, before those of the system.
func installed(t *testing.T, names ...string) *fake {
	t.Helper()
	f := &fake{t.TempDir()}
	bin := filepath.Join(f.dir, "bin")
	if err := os.Mkdir(bin, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if err := os.WriteFile(filepath.Join(bin, name), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("FAKE", f.dir)
	t.Setenv("PATH", bin+":/usr/bin:/bin")
	return f
}

// answers sets what the program writes and what it does then, in shell.
func (f *fake) answers(t *testing.T, stdout, stderr, then string) {
	t.Helper()
	for name, text := range map[string]string{"stdout": stdout, "stderr": stderr, "then": then} {
		if err := os.WriteFile(filepath.Join(f.dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	os.Remove(filepath.Join(f.dir, "args"))
}

// args returns what the program was called with.
func (f *fake) args(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(f.dir, "args"))
	if err != nil {
		t.Fatalf("the program was not run: %v", err)
	}
	if hasCanary(string(text)) {
		t.Errorf("the secret is among the arguments: %q", text)
	}
	if stdin, err := os.ReadFile(filepath.Join(f.dir, "stdin")); err != nil || len(stdin) > 0 {
		t.Errorf("stdin: %q, %v", stdin, err)
	}
	return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
}

// ran reports whether the program was called since answers.
func (f *fake) ran() bool {
	_, err := os.Stat(filepath.Join(f.dir, "args"))
	return err == nil
}

// awsAnswer is the shape that the documentation of aws shows.
func awsAnswer(secretString string) string {
	return fmt.Sprintf(`{
    "ARN": "arn:aws:secretsmanager:us-west-2:123456789012:secret:MyTestSecret-a1b2c3",
    "Name": "MyTestSecret",
    "VersionId": "a1b2c3d4-5678-90ab-cdef-EXAMPLE11111",
    "SecretString": %s,
    "VersionStages": [
        "AWSCURRENT"
    ],
    "CreatedDate": 1523477145.713
}
`, secretString)
}

const (
	canaryObject = `"{\"key\":\"canary\\u003c5d41402abc4b2a76b9719d911017c592\",\"a.b\":\"dotted\",\"n\":12345678901234567890,\"list\":[\"canary\"],\"null\":null,\"empty\":\"\"}"`
	vaultTwo     = `{"request_id":"r","lease_id":"","data":{"data":{"passcode":"canary<5d41402abc4b2a76b9719d911017c592"},"metadata":{"version":1}},"warnings":null}`
	vaultOne     = `{"data":{"passcode":"canary<5d41402abc4b2a76b9719d911017c592"}}`
)

func TestTools(t *testing.T) {
	t.Setenv("AWS_REGION", "")
	f := installed(t, "op", "aws", "vault", "sops")
	o := Options{Dir: f.dir}
	get := []string{"secretsmanager", "get-secret-value", "--secret-id"}
	for _, tt := range []struct {
		reference, stdout string
		want              string // canary if ""
		args              []string
	}{
		{"op://app-prod/db/password", canary + "\n", "", []string{"read", "op://app-prod/db/password"}},
		{"op://My Vault/The item/a section/api key", canary + "\n", "", []string{"read", "op://My Vault/The item/a section/api key"}},
		{"op://v/i/code?attribute=otp", "123456\n", "123456", []string{"read", "op://v/i/code?attribute=otp"}},
		{"op://v/i/$(touch x);`y`&'\"", canary, "", []string{"read", "op://v/i/$(touch x);`y`&'\""}}, // no shell

		{"aws-sm://MyTestSecret", awsAnswer(`"canary\u003c5d41402abc4b2a76b9719d911017c592"`), "", append(get[:3:3], "MyTestSecret", "--output", "json")},
		{"aws-sm://prod/midden#key", awsAnswer(canaryObject), "", append(get[:3:3], "prod/midden", "--output", "json")},
		{"aws-sm://us-east-1/prod/midden#key", awsAnswer(canaryObject), "", append(get[:3:3], "prod/midden", "--output", "json", "--region", "us-east-1")},
		{"aws-sm://us-gov-west-1/x#a.b", awsAnswer(canaryObject), "dotted", append(get[:3:3], "x", "--output", "json", "--region", "us-gov-west-1")},
		{"aws-sm://my-long-app/x#n", awsAnswer(canaryObject), "12345678901234567890", append(get[:3:3], "my-long-app/x", "--output", "json")},
		{"aws-sm://one", awsAnswer(`"{\"key\":\"canary\\u003c5d41402abc4b2a76b9719d911017c592\"}"`), "", append(get[:3:3], "one", "--output", "json")},
		{"aws-sm://arn:aws:secretsmanager:us-west-2:123456789012:secret:T-a1b2c3", awsAnswer(`"` + canary + `"`), "",
			append(get[:3:3], "arn:aws:secretsmanager:us-west-2:123456789012:secret:T-a1b2c3", "--output", "json")},

		{"vault://secret/creds#passcode", canary, "", []string{"kv", "get", "-field=passcode", "secret/creds"}},
		{"vault://secret/creds", vaultTwo, "", []string{"kv", "get", "-format=json", "secret/creds"}},
		{"vault://kv/creds", vaultOne, "", []string{"kv", "get", "-format=json", "kv/creds"}},
		{"vault://kv/creds", `{"data":{"data":"mine"}}`, "mine", []string{"kv", "get", "-format=json", "kv/creds"}},

		{"sops://keys.yaml#virustotal.key", canary, "", []string{"-d", "--output-type", "json", "--extract", `["virustotal"]["key"]`, f.dir + "/keys.yaml"}},
		{"sops:///etc/keys.json#keys.1.x", canary, "", []string{"-d", "--output-type", "json", "--extract", `["keys"][1]["x"]`, "/etc/keys.json"}},
		{"sops://keys.json", `{"key": "canary\u003c5d41402abc4b2a76b9719d911017c592"}`, "", []string{"-d", "--output-type", "json", f.dir + "/keys.json"}},
	} {
		f.answers(t, tt.stdout, "a warning that nobody needs\n", "")
		s, err := Resolve(t.Context(), tt.reference, o)
		if err != nil {
			t.Errorf("%s: %v", tt.reference, err)
			continue
		}
		if tt.want == "" {
			tt.want = canary
		}
		if s.Reveal() != tt.want {
			t.Errorf("%s: %q, want %q", tt.reference, s.Reveal(), tt.want)
		}
		if d := cmp.Diff(tt.args, f.args(t)); d != "" {
			t.Errorf("%s: arguments (-want +got):\n%s", tt.reference, d)
		}
	}

	f.answers(t, awsAnswer(`"x"`), "", "")
	o.Getenv = environment("AWS_REGION", "eu-west-1")
	if _, err := Resolve(t.Context(), "aws-sm://x", o); err != nil {
		t.Error(err)
	}
	if d := cmp.Diff(append(get[:3:3], "x", "--output", "json", "--region", "eu-west-1"), f.args(t)); d != "" {
		t.Errorf("AWS_REGION: %s", d)
	}

	// A file that looks like an option.
	f.answers(t, canary, "", "")
	if _, err := Resolve(t.Context(), "sops://-i#a", Options{}); err != nil {
		t.Error(err)
	}
	if args := f.args(t); args[len(args)-1] != "./-i" {
		t.Errorf("%q", args)
	}
}

// TestToolsAreNotAsked: what is wrong in a reference is seen before.
func TestToolsAreNotAsked(t *testing.T) {
	f := installed(t, "op", "aws", "vault", "sops")
	f.answers(t, canary, "", "")
	for reference, why := range map[string]string{
		"op://":                     "op://VAULT/ITEM/FIELD",
		"op://vault/item":           "op://VAULT/ITEM/FIELD",
		"op://a/b/c/d/e":            "op://VAULT/ITEM/SECTION/FIELD",
		"op://a//c":                 "op://VAULT/ITEM/FIELD",
		"op://a/b/ ?attribute=otp":  "op://VAULT/ITEM/FIELD",
		"aws-sm://":                 "name or ARN",
		"aws-sm://us-east-1/":       "name or ARN",
		"aws-sm://--debug":          "name or ARN",
		"aws-sm://us-east-1/-x":     "name or ARN",
		"aws-sm://file:///etc/x":    "name or ARN",
		"aws-sm://a b":              "name or ARN",
		"aws-sm://x#":               "nothing follows #",
		"vault://":                  "vault://PATH#FIELD",
		"vault://#x":                "vault://PATH#FIELD",
		"vault://-address=http://x": "neither begins with -",
		"vault://x#-y":              "neither begins with -",
		"vault://x#":                "nothing follows #",
		"sops://":                   "names no file",
		"sops://#a":                 "names no file",
		"sops://x#":                 "nothing follows #",
		"sops://x#a..b":             "keys with dots",
		"sops://x#.a":               "keys with dots",
		`sops://x#a"]["b`:           "keys with dots",
		"sops://x#a[0]":             "keys with dots",
	} {
		says(t, mustFail(t, t.Context(), reference, Options{}), reference, why)
		if f.ran() {
			t.Errorf("%s: the program was run", reference)
			f.answers(t, canary, "", "")
		}
	}
}

func TestAnswersThatAreNoSecret(t *testing.T) {
	f := installed(t, "op", "aws", "vault", "sops")
	many := strings.Repeat(canary+"\n", 2000)
	for _, tt := range []struct{ reference, stdout, why string }{
		{"op://a/b/c", "", "empty"},
		{"op://a/b/c", "\n", "empty"},
		{"op://a/b/c", canary + "\n" + canary + "\n", "line end"},
		{"op://a/b/c", canary + "\x1b[0m", "not seen"},
		{"op://a/b/c", many, "longer than 64"},
		{"op://a/b/c", "env:" + canary, "reference itself"},

		{"aws-sm://x", "", "no JSON object"},
		{"aws-sm://x", canary, "no JSON object"},
		{"aws-sm://x", "null", "no JSON object"},
		{"aws-sm://x", awsAnswer(`"a"`) + canary, "no JSON object"},
		{"aws-sm://x", `{"SecretBinary": "Y2FuYXJ5"}`, "no SecretString"},
		{"aws-sm://x", awsAnswer(`""`), "empty"},
		{"aws-sm://x", awsAnswer(`"canary\n5d41402abc4b2a"`), "line end"},
		{"aws-sm://x", awsAnswer(`"canary\ud800"`), "not seen"},
		{"aws-sm://x", awsAnswer(canaryObject), "6 fields: name one by #KEY"},
		{"aws-sm://x#key", awsAnswer(`"canary"`), "no JSON object, in which"},
		{"aws-sm://x#key", awsAnswer(`"[\"canary\"]"`), "no JSON object, in which"},
		{"aws-sm://x#other", awsAnswer(canaryObject), "no such #KEY"},
		{"aws-sm://x#Key", awsAnswer(canaryObject), "no such #KEY"},
		{"aws-sm://x#list", awsAnswer(canaryObject), "neither a text nor a number"},
		{"aws-sm://x#null", awsAnswer(canaryObject), "neither a text nor a number"},
		{"aws-sm://x#empty", awsAnswer(canaryObject), "empty"},

		{"vault://x#y", "", "empty"},
		{"vault://x", canary, "no JSON object"},
		{"vault://x", `{"errors":["canary"]}`, "no JSON object with data"},
		{"vault://x", `{"data":{"canary":"canary","canary2":"canary"}}`, "2 fields: name one by #FIELD"},
		{"vault://x", `{"data":{}}`, "0 fields"},
		{"vault://x", `{"data":{"data":{"a":{"canary":1}},"metadata":{}}}`, "neither a text nor a number"},

		{"sops://x", canary, "no JSON object"},
		{"sops://x", `{"a":"canary","b":"canary"}`, "2 fields: name one by #A.B"},
		{"sops://x#a", "{\n\t\"canary\": \"canary\"\n}", "line end"},
		{"sops://x#a", "", "empty"},
	} {
		f.answers(t, tt.stdout, canary, "")
		says(t, mustFail(t, t.Context(), tt.reference, Options{}), tt.reference, tt.why)
		f.args(t)
	}
}

func TestToolThatFails(t *testing.T) {
	f := installed(t, "op", "aws", "vault", "sops")
	references := []string{"op://a/b/c", "aws-sm://x#k", "vault://x", "vault://x#y", "sops://x", "sops://x#a"}
	for _, reference := range references {
		f.answers(t, "", "[ERROR] 2024/01/01 you are not\n  signed in \x1b[31m\n", "exit 6")
		err := mustFail(t, t.Context(), reference, Options{})
		says(t, err, reference, "failed (exit status 6): [ERROR] 2024/01/01 you are not signed in \\x1b[31m")
		var failed *exec.ExitError
		if errors.As(err, &failed) {
			t.Error("the error carries all that the program wrote")
		}

		f.answers(t, "", "", "kill -9 $$")
		says(t, mustFail(t, t.Context(), reference, Options{}), "killed", "does not say why")

		// It says what it should not.
		for _, stdout := range []string{canary, canary + "\n", awsAnswer(canaryObject), awsAnswer(`"` + canary + `"`), "key: " + canary + "\ne\ne\ne\n"} {
			f.answers(t, stdout, "cannot send canary<5d41402abc4b2a76b9719d911017c592, sorry (e)\n", "exit 1")
			says(t, mustFail(t, t.Context(), reference, Options{}), "cannot send ", shown, "sorry (e)")
		}
		// Even without an answer to compare with, a key is seen to be one.
		f.answers(t, "", "token canary_5d41402abc4b2a76b9719d911017c592 expired", "exit 1")
		says(t, mustFail(t, t.Context(), reference, Options{}), "token [secret] expired")

		f.answers(t, "", strings.Repeat("long \xff", 100_000), "exit 1")
		if err := mustFail(t, t.Context(), reference, Options{}); len(err.Error()) > 2000 {
			t.Errorf("%d characters: %.100s", len(err.Error()), err)
		}
	}
}

func TestToolThatIsNotInstalled(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	for reference, program := range map[string]string{"op://a/b/c": "op (the command-line tool of 1Password)", "aws-sm://x": "aws (", "vault://x#y": "vault (", "sops://x#a": "sops ("} {
		err := mustFail(t, t.Context(), reference, Options{})
		says(t, err, reference, "needs the program "+program)
		if !errors.Is(err, exec.ErrNotFound) {
			t.Errorf("no exec.ErrNotFound: %v", err)
		}
	}
	// One that cannot be run.
	f := installed(t)
	if err := os.WriteFile(filepath.Join(f.dir, "bin", "op"), []byte("\x7fELF"), 0o755); err != nil {
		t.Fatal(err)
	}
	says(t, mustFail(t, t.Context(), "op://a/b/c", Options{}), "run op: ")
}

func TestToolThatDoesNotAnswer(t *testing.T) {
	f := installed(t, "op", "vault")
	f.answers(t, canary, canary, "exec sleep 600")
	err := mustFail(t, t.Context(), "op://a/b/c", Options{Timeout: 100 * time.Millisecond})
	says(t, err, "op://a/b/c", "op did not answer within 100ms")
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("no context.DeadlineExceeded: %v", err)
	}

	// It is called off while it runs.
	f.answers(t, canary, canary, `: >"$FAKE/running"; exec sleep 600`)
	ctx, cancel := context.WithCancel(t.Context())
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		defer cancel()
		for ctx.Err() == nil {
			if _, err := os.Stat(filepath.Join(f.dir, "running")); err == nil {
				return
			}
			time.Sleep(time.Millisecond)
		}
	}()
	err = mustFail(t, ctx, "vault://x#y", Options{})
	cancel()
	<-watched
	if !errors.Is(err, context.Canceled) {
		t.Errorf("no context.Canceled: %v", err)
	}

	// It never ends its answer.
	f.answers(t, "", "", `while :; do echo canary; done`)
	says(t, mustFail(t, t.Context(), "op://a/b/c", Options{}), "longer than 64")
}

// TestToolThatLeavesOneBehind: op leaves a program that has its output open.
func TestToolThatLeavesOneBehind(t *testing.T) {
	f := installed(t, "op")
	f.answers(t, canary, "", `sleep 600 & echo $! >"$FAKE/left"`)
	defer func() {
		var pid int
		text, _ := os.ReadFile(filepath.Join(f.dir, "left"))
		if _, err := fmt.Sscan(string(text), &pid); err != nil || pid < 2 {
			t.Fatalf("what was left behind: %q, %v", text, err)
		}
		if p, err := os.FindProcess(pid); err == nil {
			p.Kill()
		}
	}()
	if s, err := Resolve(t.Context(), "op://a/b/c", Options{}); err != nil || s.Reveal() != canary {
		t.Errorf("%v", err)
	}
}

func TestRunOfTheCaller(t *testing.T) {
	var called []string
	o := Options{Run: func(ctx context.Context, name string, args ...string) ([]byte, error) {
		if _, ok := ctx.Deadline(); !ok {
			t.Error("no time limit")
		}
		called = append([]string{name}, args...)
		return []byte(canary), nil
	}}
	s, err := Resolve(t.Context(), "vault://x#y", o)
	if err != nil || s.Reveal() != canary {
		t.Error(err)
	}
	if d := cmp.Diff([]string{"vault", "kv", "get", "-field=y", "x"}, called); d != "" {
		t.Error(d)
	}
	for why, answer := range map[string]func() ([]byte, error){
		"longer than 64":      func() ([]byte, error) { return make([]byte, maxAnswer+1), nil },
		"needs the program":   func() ([]byte, error) { return nil, fmt.Errorf("look: %w", exec.ErrNotFound) },
		"run vault: [secret]": func() ([]byte, error) { return []byte(canary), errors.New(canary) },
		"does not say why":    func() ([]byte, error) { return nil, &exec.ExitError{} },
	} {
		o.Run = func(context.Context, string, ...string) ([]byte, error) { return answer() }
		says(t, mustFail(t, t.Context(), "vault://x#y", o), why)
	}
}

func TestExcerpt(t *testing.T) {
	for _, tt := range []struct{ said, answer, want string }{
		{"", "", ""},
		{"a\n b\tc ", "", "a b c"},
		{"bad password-tail.", "pass\npassword-tail\n", "bad [secret]."}, // the longest first
		{"secret s", "s\ne\ne\nsecret\n", "[secret] s"},                  // what hides is not hidden again
		{"it is x", "x\n", "it is [secret]"},                             // the whole, however short
		{"two words, two", "two words\n", "[secret], two"},
		{`pw "key"`, `{"a":"key1","b":"pw\"key"}`, `pw "key"`}, // too short to be one
		{"\x1b]0;x\a \xff", "", `\x1b]0;x\x07 \xff`},
		{strings.Repeat("ü ", 300), "", strings.Repeat("ü ", 150) + "…"},
	} {
		if got := excerpt(tt.said, tt.answer); got != tt.want {
			t.Errorf("excerpt(%q, %q)\n got %q\nwant %q", tt.said, tt.answer, got, tt.want)
		}
	}
}
