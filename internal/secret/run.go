package secret

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"time"

	"midden/internal/plain"
)

// programs are what the user knows the programs by.
var programs = map[string]string{
	"op":    "the command-line tool of 1Password",
	"aws":   "the command-line tool of AWS",
	"vault": "the command-line tool of HashiCorp Vault",
	"sops":  "SOPS",
}

var errTooLong = errors.New("its answer is too long")

// ask runs a program and returns its answer. Errors hold none of the answer.
func (o Options) ask(ctx context.Context, name string, args ...string) ([]byte, error) {
	within, stop := context.WithTimeout(ctx, o.Timeout)
	defer stop()
	answer, err := o.Run(within, name, args...)
	var failed *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case within.Err() != nil && err != nil:
		return nil, fmt.Errorf("%s did not answer within %s: %w", name, o.Timeout, within.Err())
	case errors.Is(err, exec.ErrNotFound):
		return nil, fmt.Errorf("this needs the program %s (%s): %w", name, programs[name], exec.ErrNotFound)
	case errors.Is(err, errTooLong), err == nil && len(answer) > maxAnswer:
		return nil, fmt.Errorf("the answer of %s is longer than %s, and so no key or password", name, plain.Bytes(maxAnswer))
	case errors.As(err, &failed):
		// It is not wrapped: it carries the whole of what the program wrote.
		why := excerpt(string(failed.Stderr), string(answer))
		if why == "" {
			why = "it does not say why"
		}
		return nil, fmt.Errorf("%s failed (%s): %s", name, failed.ProcessState, why)
	case err != nil:
		return nil, fmt.Errorf("run %s: %s", name, excerpt(err.Error(), string(answer)))
	}
	return answer, nil
}

// run runs a program: no shell, nothing to read, its own output kept short.
func run(ctx context.Context, name string, args ...string) ([]byte, error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	stdout := &head{max: maxAnswer, overflow: stop}
	stderr := &head{max: maxAnswer}
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdout, cmd.Stderr = stdout, stderr
	// A program may leave one behind that serves the next call, with its output
	// still open: op does.
	cmd.WaitDelay = time.Second
	err := cmd.Run()
	if errors.Is(err, exec.ErrWaitDelay) {
		err = nil
	}
	if stdout.dropped {
		return nil, errTooLong
	}
	var failed *exec.ExitError
	if errors.As(err, &failed) {
		failed.Stderr = stderr.kept
	}
	return stdout.kept, err
}

// head keeps the beginning of what is written to it.
type head struct {
	max      int
	overflow func() // called when more than max bytes come; nil for nothing
	kept     []byte
	dropped  bool
}

func (h *head) Write(p []byte) (int, error) {
	n := min(len(p), h.max-len(h.kept))
	h.kept = append(h.kept, p[:n]...)
	if n < len(p) {
		h.dropped = true
		if h.overflow != nil {
			h.overflow()
		}
	}
	return len(p), nil
}

const maxExcerpt = 300 // characters

// token is what may be a key or a session: long, and no word of any language.
var token = regexp.MustCompile(`[A-Za-z0-9_+=-]{32,}`)

// excerpt returns the beginning of what a program says as one line to be shown,
// without anything that stands in its answer, too, or looks like a key.
func excerpt(said, answer string) string {
	// The longest first: a part of it that is hidden would keep it from being
	// found. All in one go: what hides one must not be searched for the next.
	pieces := []string{strings.TrimSpace(answer)}
	for _, separators := range []string{"\r\n", " \t\r\n\"'\\{}[],:"} {
		for _, piece := range strings.FieldsFunc(answer, func(r rune) bool { return strings.ContainsRune(separators, r) }) {
			if piece = strings.TrimSpace(piece); len(piece) >= 4 {
				pieces = append(pieces, piece)
			}
		}
	}
	slices.SortStableFunc(pieces, func(a, b string) int { return len(b) - len(a) })
	var hide []string
	for _, piece := range pieces {
		if piece != "" {
			hide = append(hide, piece, shown)
		}
	}
	said = strings.NewReplacer(hide...).Replace(said)
	said = token.ReplaceAllString(said, shown)
	said = strings.Join(strings.Fields(said), " ")
	n := 0
	for i := range said {
		if n++; n > maxExcerpt {
			return plain.Escape(said[:i]) + "…"
		}
	}
	return plain.Escape(said)
}
