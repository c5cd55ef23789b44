package secret

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// environment is a Getenv with these variables.
func environment(pairs ...string) func(string) string {
	return func(name string) string {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1]
			}
		}
		return ""
	}
}

// mustFail resolves a reference that is wrong, and returns the error, which must
// not show the canary and be one line that a terminal can only show.
func mustFail(t *testing.T, ctx context.Context, reference string, o Options) error {
	t.Helper()
	s, err := Resolve(ctx, reference, o)
	if err == nil {
		t.Fatalf("%.80q gives a secret", reference)
	}
	if !s.IsZero() {
		t.Errorf("%.80q gives both a secret and an error", reference)
	}
	for e := err; e != nil; e = errors.Unwrap(e) {
		text := e.Error()
		if hasCanary(text) {
			t.Errorf("%.80q: the error shows the secret: %s", reference, text)
		}
		if !isSeen(text) {
			t.Errorf("%.80q: the error is not one line: %q", reference, text)
		}
	}
	return err
}

// says reports that an error does not have the words it must.
func says(t *testing.T, err error, words ...string) {
	t.Helper()
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("not said: %q, but: %s", w, err)
		}
	}
}

func TestIsReference(t *testing.T) {
	for s, want := range map[string]bool{
		"env:VT_API_KEY": true, "${VT_API_KEY}": true, "file:key.txt": true, "file:/etc/key": true,
		"op://vault/item/field": true, "aws-sm://id": true, "vault://secret/x#y": true, "sops://x.yaml#a.b": true,
		" env:VT_API_KEY ": true,
		"env:":             true, "${": true, "${a b}": true, // wrong, but no secrets
		"": false, "VT_API_KEY": false, "$VT_API_KEY": false, "envv:X": false, "ENV:X": false, "op:x": false, "foo://x": false,
		canary: false,
	} {
		if got := IsReference(s); got != want {
			t.Errorf("IsReference(%q) = %t", s, got)
		}
	}
}

func TestEnvironment(t *testing.T) {
	o := Options{Getenv: environment("KEY", canary, "WITH_LINE_END", canary+"\r\n", "_k2", canary)}
	for _, reference := range []string{"env:KEY", "${KEY}", " env:KEY\n", "env:WITH_LINE_END", "${_k2}"} {
		s, err := Resolve(t.Context(), reference, o)
		if err != nil || s.Reveal() != canary {
			t.Errorf("%q: %q, %v", reference, s.Reveal(), err)
		}
	}
	t.Setenv("MIDDEN_TEST_SECRET", canary)
	if s, err := Resolve(t.Context(), "env:MIDDEN_TEST_SECRET", Options{}); err != nil || s.Reveal() != canary {
		t.Errorf("the real environment: %v", err)
	}

	says(t, mustFail(t, t.Context(), "env:MISSING", o), "env:MISSING", "not set")
	says(t, mustFail(t, t.Context(), "${MISSING}", o), "${MISSING}", "not set")
	// What is no name may be the secret.
	for _, reference := range []string{"env:", "env:" + canary, "env://KEY", "env: KEY", "env:A B", "env:9" + canary} {
		says(t, mustFail(t, t.Context(), reference, o), "env:…", "name of an environment variable")
	}
	for _, reference := range []string{"${", "${}", "${KEY", "${KEY}x", "${" + canary + "}", "${KEY:-" + canary + "}"} {
		says(t, mustFail(t, t.Context(), reference, o), "${…", "name of an environment variable")
	}
	// So may what is a name by chance.
	key := "canary5d41402abc4b2a76b9719d911017c592"
	says(t, mustFail(t, t.Context(), "env:"+key, o), "env:[secret]", "not set")
	says(t, mustFail(t, t.Context(), "file:"+key, o), "file:[secret]")
}

// TestStrangeSchemes: the tool before this one sent "env:VT_API_KEY" to
// VirusTotal.
func TestStrangeSchemes(t *testing.T) {
	for text, scheme := range map[string]string{
		"envv:" + canary:           " envv:",
		"evn:" + canary:            " evn:",
		"nv:" + canary:             " nv:",
		"ENV:" + canary:            " ENV:",
		"files:" + canary:          " files:",
		"flie:" + canary:           " flie:",
		"vault:" + canary:          " vault:",
		"sops:" + canary:           " sops:",
		"op:" + canary:             " op:",
		"aws_sm:" + canary:         " aws_sm:",
		"foo://" + canary:          " foo://",
		"gcp-sm://" + canary:       " gcp-sm://",
		"OP://" + canary:           " OP://",
		"https://u:" + canary:      " https://",
		"$VT_API_KEY":              " $ alone",
		" envv:" + canary + "\x1b": " envv:",
	} {
		for _, allow := range []bool{false, true} {
			says(t, mustFail(t, t.Context(), text, Options{AllowPlain: allow}), scheme, "env:NAME, ${NAME}, file:PATH")
		}
	}
	// These look like no reference: nothing of them is shown.
	for _, text := range []string{canary + "://x", "canary:x", "up:" + canary, ":" + canary, "$" + canary, "$", "éñv:" + canary} {
		says(t, mustFail(t, t.Context(), text, Options{}), "no reference", "sops://PATH[#A.B]")
		if s, err := Resolve(t.Context(), text, Options{AllowPlain: true}); err != nil || s.Reveal() != text {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestPlain(t *testing.T) {
	says(t, mustFail(t, t.Context(), canary, Options{}), "no reference", "env:NAME", "op://VAULT/ITEM/FIELD", "aws-sm://[REGION/]ID[#KEY]", "vault://PATH[#FIELD] or sops://")
	allow := Options{AllowPlain: true}
	if s, err := Resolve(t.Context(), canary, allow); err != nil || s.Reveal() != canary {
		t.Errorf("%v", err)
	}
	for _, o := range []Options{allow, {}} {
		says(t, mustFail(t, t.Context(), "", o), "empty", "env:NAME")
		says(t, mustFail(t, t.Context(), " \n", o), "empty", "env:NAME")
	}
	if s, err := Resolve(t.Context(), "env:KEY", Options{AllowPlain: true, Getenv: environment("KEY", "v")}); err != nil || s.Reveal() != "v" {
		t.Errorf("a reference is one still: %v", err)
	}
	says(t, mustFail(t, t.Context(), canary+"\nx", allow), "given as it is", "line end")
}

// TestWhatIsNoSecret looks at what is found, wherever it was.
func TestWhatIsNoSecret(t *testing.T) {
	for text, why := range map[string]string{
		"\n": "empty", "  ": "empty", "\r\n\r\n": "empty",
		canary + "\n" + canary:           "line end",
		"\n" + canary:                    "line end",
		canary + "\x00":                  "not seen",
		"\x1b[31m" + canary:              "not seen",
		"\ufeff" + canary:                "not seen",
		canary + "\u202e":                "not seen",
		canary + "\ufffd":                "not seen",
		canary + "\xff":                  "UTF-8",
		strings.Repeat(canary, 250):      "8.0 KiB",
		"env:" + canary:                  "reference itself",
		"op://canary/" + canary + "/key": "reference itself",
		"${canary}":                      "reference itself",
	} {
		says(t, mustFail(t, t.Context(), "env:KEY", Options{Getenv: environment("KEY", text)}), "env:KEY", why)
		path := filepath.Join(t.TempDir(), "key")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		says(t, mustFail(t, t.Context(), "file:"+path, Options{}), "file:"+path, why)
	}
	for _, text := range []string{"ü", "pass word", `back\slash"'`, "日本語", "x", strings.Repeat("k", maxSecret), "user:" + canary, "postgres://u@h"} {
		if s, err := Resolve(t.Context(), "env:KEY", Options{Getenv: environment("KEY", text)}); err != nil || s.Reveal() != text {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestWhatIsNoReference(t *testing.T) {
	says(t, mustFail(t, t.Context(), "file:a\n"+canary, Options{}), "file:…", "not seen")
	says(t, mustFail(t, t.Context(), "op://a/b/\x1b"+canary, Options{}), "op://…", "not seen")
	says(t, mustFail(t, t.Context(), "vault://"+strings.Repeat(canary, 30), Options{}), "vault://…", "longer than")
}

func TestFile(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{"key": canary + "\n", "dos": canary + "\r\n", "bare": canary, "~": canary} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("key", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	o := Options{Dir: dir, Note: func(text string) { t.Errorf("note: %s", text) }}
	for _, reference := range []string{"file:key", "file:./key", "file:dos", "file:bare", "file:link", "file:~", "file:" + dir + "/key", "file://" + dir + "/key"} {
		if s, err := Resolve(t.Context(), reference, o); err != nil || s.Reveal() != canary {
			t.Errorf("%s: %v", reference, err)
		}
	}

	err := mustFail(t, t.Context(), "file:missing", o)
	says(t, err, "file:missing", "no such file", "meant from")
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no fs.ErrNotExist: %v", err)
	}
	t.Setenv("HOME", dir)
	says(t, mustFail(t, t.Context(), "file:~/key", o), "~ stands for no directory")
	says(t, mustFail(t, t.Context(), "file:", o), "names no file")
	says(t, mustFail(t, t.Context(), "file://key", o), "//")
	says(t, mustFail(t, t.Context(), "file:"+dir, o), "directory")
	says(t, mustFail(t, t.Context(), "file:.", o), "directory")
	says(t, mustFail(t, t.Context(), "file:/dev/null", o), "no regular file")
	says(t, mustFail(t, t.Context(), "file:key/x", o), "not a directory")

	if err := syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	says(t, mustFail(t, t.Context(), "file:pipe", o), "no regular file") // and does not wait

	if err := os.WriteFile(filepath.Join(dir, "long"), []byte(strings.Repeat(canary+"\n", 2000)), 0o600); err != nil {
		t.Fatal(err)
	}
	says(t, mustFail(t, t.Context(), "file:long", o), "longer than 64")

	if os.Getuid() != 0 {
		if err := os.Chmod(filepath.Join(dir, "bare"), 0); err != nil {
			t.Fatal(err)
		}
		says(t, mustFail(t, t.Context(), "file:bare", o), "permission denied")
	}
}

func TestNoteOnWhatOthersCanRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, []byte(canary), 0o600); err != nil {
		t.Fatal(err)
	}
	for mode, want := range map[os.FileMode]bool{0o600: false, 0o640: false, 0o400: false, 0o644: true, 0o604: true, 0o444: true} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		var notes []string
		s, err := Resolve(t.Context(), "file:"+path, Options{Note: func(text string) { notes = append(notes, text) }})
		if err != nil || s.Reveal() != canary {
			t.Fatal(err)
		}
		if len(notes) == 1 != want || len(notes) > 1 || hasCanary(strings.Join(notes, "")) {
			t.Errorf("mode %o: %q", mode, notes)
		}
		if _, err := Resolve(t.Context(), "file:"+path, Options{}); err != nil {
			t.Errorf("mode %o, nobody to be told: %v", mode, err)
		}
	}
}

func TestResolveHonoursItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	o := Options{
		Getenv: func(string) string { t.Error("the environment was read"); return "" },
		Run: func(context.Context, string, ...string) ([]byte, error) {
			t.Error("a program was run")
			return nil, nil
		},
	}
	for _, reference := range []string{"env:KEY", "${KEY}", "file:/etc/hostname", "op://a/b/c", "aws-sm://a", "vault://a#b", "sops://a#b", canary} {
		if err := mustFail(t, ctx, reference, o); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", reference, err)
		}
	}
}

// FuzzResolve: what was found comes back whole or not at all, and no error tells it;
// nor does one tell a text that was written where a reference should be.
func FuzzResolve(f *testing.F) {
	const canary = "c0ffee00c0ffee00c0ffee00"
	for _, s := range [][2]string{{"", ""}, {"\n", "\r\n"}, {"\x00", ""}, {"\xff", ""}, {"env:", ""}, {"envy:", ""}, {"$", ""}, {"https://", ""}, {"user:", ""}, {"", strings.Repeat("a", maxSecret)}, {"${", "}"}} {
		f.Add(s[0], s[1], true)
		f.Add(s[0], s[1], false)
	}
	f.Fuzz(func(t *testing.T, before, behind string, plain bool) {
		text := before + canary + behind
		check := func(want string, s Secret, err error) {
			if err != nil && strings.Contains(err.Error(), canary) {
				t.Errorf("%q: %v", text, err)
			}
			if err == nil && s.Reveal() != want || err != nil && !s.IsZero() {
				t.Errorf("%q came back as %q, %v", text, s.Reveal(), err)
			}
		}
		s, err := Resolve(t.Context(), "env:K", Options{Getenv: environment("K", text)})
		check(strings.TrimRight(text, "\r\n"), s, err)
		if !IsReference(text) {
			s, err = Resolve(t.Context(), text, Options{AllowPlain: plain})
			check(text, s, err)
		}
	})
}
