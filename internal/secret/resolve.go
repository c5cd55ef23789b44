package secret

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"midden/internal/plain"
)

const (
	maxReference = 1 << 10  // bytes
	maxSecret    = 8 << 10  // bytes; no header of HTTP takes more
	maxAnswer    = 64 << 10 // bytes
)

// Options say how references are meant. The zero value will do.
type Options struct {
	// Getenv is os.Getenv if nil.
	Getenv func(name string) string
	// Dir is what relative paths of file: and sops:// are meant from, such as the
	// directory of the configuration file; "" is the current one.
	Dir string
	// AllowPlain takes a text that is no reference for the secret itself.
	AllowPlain bool
	// Timeout ends a program that does not answer; a minute if 0, so that a person
	// has the time to unlock a vault.
	Timeout time.Duration
	// Note takes what the user should know although the secret was found: one
	// line, harmless on a terminal. It may be nil.
	Note func(text string)
	// Run runs a program and returns what it wrote to stdout. The error of a
	// program that failed is an *exec.ExitError with its Stderr; the one for a
	// program that is not there is exec.ErrNotFound. os/exec is used if nil.
	Run func(ctx context.Context, name string, args ...string) ([]byte, error)
}

// form is a way to write a reference.
type form struct {
	prefix string
	shape  string // how it is written, for errors
	find   func(ctx context.Context, rest string, o Options) (string, error)
}

// find gets what follows the prefix. What is wrong with that is said without
// repeating it: the error of Resolve begins with the reference.
var forms = []form{
	{"env:", "env:NAME", fromEnvironment},
	{"${", "${NAME}", fromBraces},
	{"file:", "file:PATH", fromFile},
	{"op://", "op://VAULT/ITEM/FIELD", fromOnePassword},
	{"aws-sm://", "aws-sm://[REGION/]ID[#KEY]", fromAWS},
	{"vault://", "vault://PATH[#FIELD]", fromVault},
	{"sops://", "sops://PATH[#A.B]", fromSOPS},
}

func shapes() string {
	var all []string
	for _, f := range forms {
		all = append(all, f.shape)
	}
	return strings.Join(all[:len(all)-1], ", ") + " or " + all[len(all)-1]
}

// IsReference reports whether s is written as a reference, and not as a secret:
// whether it begins like one of the forms that Resolve knows. White space before
// it does not matter.
func IsReference(s string) bool {
	f, _ := formOf(strings.TrimSpace(s))
	return f != nil
}

// formOf returns the form of a reference and what follows its prefix, nil if
// there is none.
func formOf(reference string) (*form, string) {
	for i := range forms {
		if rest, ok := strings.CutPrefix(reference, forms[i].prefix); ok {
			return &forms[i], rest
		}
	}
	return nil, ""
}

// Resolve finds the secret that a reference names:
//
//	env:NAME, ${NAME}           an environment variable
//	file:PATH                   the content of a file; ~ is not expanded
//	op://VAULT/ITEM/FIELD       1Password, by its program op
//	aws-sm://[REGION/]ID[#KEY]  AWS Secrets Manager, by aws; KEY is one of the
//	                            secret's JSON object
//	vault://PATH[#FIELD]        HashiCorp Vault's key-value engine, by vault
//	sops://PATH[#A.B]           a file that SOPS encrypted, by sops; a number
//	                            is an index
//
// Without #, what has fields must have one and no more; that is the secret.
// Line ends at the end of what is found are dropped. What is then empty, longer
// than 8 KiB, no UTF-8, or holds a line end or another character that is not seen
// is an error: it was meant to be something else. So is a secret that is written
// as a reference.
//
// Errors begin with the reference, but hold no text that was found and none that
// may be the secret itself. They match fs.ErrNotExist for a file and
// exec.ErrNotFound for a program that is not there, and the error of ctx. A text
// that looks like a reference but has a scheme that Resolve does not know is an
// error even with AllowPlain; it names that scheme and no more.
func Resolve(ctx context.Context, reference string, o Options) (Secret, error) {
	if err := ctx.Err(); err != nil {
		return Secret{}, fmt.Errorf("find a secret: %w", err)
	}
	if o.Getenv == nil {
		o.Getenv = os.Getenv
	}
	if o.Timeout == 0 {
		o.Timeout = time.Minute
	}
	if o.Run == nil {
		o.Run = run
	}
	if o.Note == nil {
		o.Note = func(string) {}
	}
	trimmed := strings.TrimSpace(reference)
	f, rest := formOf(trimmed)
	if f == nil {
		return fromPlain(reference, o)
	}
	switch {
	case len(trimmed) > maxReference:
		return Secret{}, fmt.Errorf("the reference %s… is longer than %s", f.prefix, plain.Bytes(maxReference))
	case !isSeen(trimmed):
		return Secret{}, fmt.Errorf("the reference %s… holds a line end or another character that is not seen", f.prefix)
	}
	text, err := f.find(ctx, rest, o)
	if err == nil {
		text = strings.TrimRight(text, "\r\n")
		err = check(text)
	}
	if err == nil && IsReference(text) {
		err = errors.New("what is there is a reference itself, and no secret: name the place of the secret")
	}
	switch {
	case errors.Is(err, errNoName):
		return Secret{}, fmt.Errorf("the reference %s… (the rest is not shown): %w", f.prefix, err)
	case err != nil:
		return Secret{}, fmt.Errorf("the secret %s: %w", display(trimmed), err)
	}
	return New(text), nil
}

// fromPlain takes a text that is no reference for the secret, if that is allowed
// and nothing speaks against it.
func fromPlain(text string, o Options) (Secret, error) {
	trimmed := strings.TrimSpace(text)
	if trimmed == "" {
		return Secret{}, fmt.Errorf("a reference to a secret is empty: it takes %s", shapes())
	}
	if scheme := strangeScheme(trimmed); scheme != "" {
		return Secret{}, fmt.Errorf("no reference to a secret begins with %s (the rest is not shown): it takes %s", scheme, shapes())
	}
	if !o.AllowPlain {
		return Secret{}, fmt.Errorf("this is no reference to a secret, and not shown because it may be one: it takes %s", shapes())
	}
	if err := check(text); err != nil {
		return Secret{}, fmt.Errorf("the secret given as it is: %w", err)
	}
	return New(text), nil
}

// schemed begins with a scheme and two slashes. Schemes are short; what is long
// may be a key.
var schemed = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.-]{0,15}://`)

// dollared is a variable as shells know it.
var dollared = regexp.MustCompile(`^\$[A-Z_][A-Z0-9_]*$`)

// strangeScheme returns what text begins with if it looks like a reference, but
// has a scheme that there is not; otherwise "". A word and a colon alone say
// nothing (user:password): the word must be one slip of the pen from a scheme.
func strangeScheme(text string) string {
	if scheme := schemed.FindString(text); scheme != "" {
		return scheme
	}
	if dollared.MatchString(text) {
		return "$ alone"
	}
	word, _, ok := strings.Cut(text, ":")
	if !ok {
		return ""
	}
	for _, f := range forms {
		scheme, _, ok := strings.Cut(f.prefix, ":")
		lower := strings.ToLower(word)
		if ok && (lower == scheme || len(scheme) > 2 && isSlip(lower, scheme)) {
			return plain.Escape(word) + ":"
		}
	}
	return ""
}

// isSlip reports whether word becomes scheme when one byte of it is added,
// dropped, replaced, or swapped with the next one.
func isSlip(word, scheme string) bool {
	same := 0 // bytes at the beginning
	for same < len(word) && same < len(scheme) && word[same] == scheme[same] {
		same++
	}
	a, b := word[same:], scheme[same:]
	switch len(a) - len(b) {
	case 1:
		return a[1:] == b
	case -1:
		return a == b[1:]
	case 0:
		return a == "" ||
			a[1:] == b[1:] ||
			len(a) > 1 && a[0] == b[1] && a[1] == b[0] && a[2:] == b[2:]
	}
	return false
}

// isSeen reports whether text has only characters that a person sees, and
// spaces.
//
// The replacement character is none of them: a decoder of JSON puts it where it
// found no text.
func isSeen(text string) bool {
	return strings.IndexFunc(text, func(r rune) bool { return !unicode.IsPrint(r) || r == utf8.RuneError }) < 0
}

// check says what keeps text from being a secret, without showing it.
func check(text string) error {
	switch {
	case strings.TrimSpace(text) == "":
		return errors.New("it is empty")
	case len(text) > maxSecret:
		return fmt.Errorf("it is longer than %s, and so no key or password", plain.Bytes(maxSecret))
	case !utf8.ValidString(text):
		return errors.New("it is no text in UTF-8")
	case !isSeen(text):
		return errors.New("it holds a line end, or another character that is not seen")
	}
	return nil
}

// keyLike is what looks like a key, in what should be the name of one. Names
// that are as long have hyphens and the like.
var keyLike = regexp.MustCompile(`[A-Za-z0-9]{32,}`)

// display makes a reference fit to be shown. People put the key itself behind
// env: and file:.
func display(reference string) string {
	return plain.Escape(keyLike.ReplaceAllString(reference, shown))
}

// errNoName is for what follows env: or ${ and is no name: it may be the secret.
var errNoName = errors.New("it takes the name of an environment variable: letters, digits and _, no digit first")

var variable = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

func fromBraces(ctx context.Context, rest string, o Options) (string, error) {
	name, ok := strings.CutSuffix(rest, "}")
	if !ok {
		return "", errNoName
	}
	return fromEnvironment(ctx, name, o)
}

func fromEnvironment(_ context.Context, name string, o Options) (string, error) {
	if !variable.MatchString(name) {
		return "", errNoName
	}
	text := o.Getenv(name)
	if text == "" {
		return "", errors.New("the environment variable is not set, or empty")
	}
	return text, nil
}

// path returns where a path of a reference leads.
func (o Options) path(path string) (string, error) {
	if path == "" {
		return "", errors.New("it names no file")
	}
	if strings.HasPrefix(path, "//") && !strings.HasPrefix(path, "///") {
		return "", errors.New("a path has no // before it: file:key.txt is relative, file:/etc/key.txt is not")
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(o.Dir, path)
	}
	return filepath.Clean(path), nil
}
