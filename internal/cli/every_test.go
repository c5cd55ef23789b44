package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// example is a way to call a command.
type example struct {
	line string // the arguments, with $NAME for what a test puts there
	data bool   // it prints rows or a record, in the form that -o says
}

// examples has at least one for each command, in an order in which they can be run on
// one database: those that fill it come first.
var examples = []example{
	{"load $LOGS", true},
	{"load $LOGS --status-dir $STATUS", true},
	{"load --scan $LOGS", true},
	{"scan --sensor $SENSOR $DOWNLOADS --status-dir $STATUS", true},
	{"scan", true},
	{"cache import $CACHE", true},
	{"enrich", true},
	{"enrich --dry-run", true},
	{"scan --report", true},
	{"scan --report $DOWNLOADS", true},
	{"files list -n 0", true},
	{"files list --name * --since 2001-01-01", true},
	{"files changes --since 2001-01-01", true},
	{"files show $SHASUM", true},
	{"files show ffff", false},
	{"files history $SHASUM", true},
	{"sessions list -n 0", true},
	{"sessions list --flagged -n 0", true},
	{"sessions list --command *$TEXT*", true},
	{"sessions show $SESSION", true},
	{"sessions show $TEXT", false},
	{"events", false},
	{"events --session $SESSION", false},
	{"events --file $SHASUM", false},
	{"dead-letters list -n 0", true},
	{"dead-letters show 1", true},
	{"dead-letters retry", true},
	{"enrich queue list -n 0", true},
	{"enrich queue retry $SHASUM", true},
	{"enrich queue drop $SHASUM", true},
	{"quota", true},
	{"doctor --deep", true},
	{"migrate --dry-run", false},
	{"migrate", false},
	{"backfill run --dry-run", true},
	{"backfill run --status-dir $STATUS", true},
	{"backfill pause", false},
	{"backfill status", true},
	{"backfill resume", false},
	{"verify --repair", true},
	{"compact --dry-run", true},
	{"compact --yes --status-dir $STATUS", true},
	{"report daily 2026-01-01", true},
	{"report daily 2026-01-02 --section top_files", true},
	{"report weekly 2026-W01 --timezone Asia/Kathmandu", true},
	{"report monthly 2026-01 --top 1000", true},
	{"report monthly 2026-01 --sensor $TEXT", true},
	{"report daily $TEXT", false},
	{"copy --from $FROM --to $COPY --status-dir $STATUS", true},
	{"copy --verify-only --from $FROM --to $COPY", true},
	{"elastic install", false},
	{"elastic diff", false},
	{"elastic publish", true},
	{"report daily 2026-01-01 --publish", true},
	{"elastic publish --rebuild", true},
	{"elastic refused list", true},
	{"elastic refused retry", false},
	{"elastic stop", false},
	{"retain --events 18mo --dry-run", true},
	{"retain --events 18mo", true},
	{"report daily 2026-01-01 --sensor $SENSOR --as-of 2100-01-01", true},
	{"report daily 2026-01-01 -o html", false},
	{"report daily 2026-01-01 -o markdown", false},
	{"report weekly", true},
	{"report monthly 1999-01 --all-sensors", true},
	{"synth --events 10", false},
	{"version", false},
	{"help", false},
	{"help enrich queue", false},
	{"completion bash", false},
	{"__complete files list --name", false},
	{"load $TEXT", false},
	{"$TEXT", false},
	{"files list --since $TEXT", false},
	{"files list --status $TEXT", false},
	{"files list -o $TEXT", false},
}

// args returns the arguments, with values in place of names.
func (e example) args(values map[string]string) (args []string) {
	for _, arg := range strings.Fields(e.line) {
		args = append(args, os.Expand(arg, func(name string) string { return values[name] }))
	}
	return args
}

// TestExamples: there is an example of each command.
func TestExamples(t *testing.T) {
	root := (&app{stdout: io.Discard, stderr: io.Discard}).root()
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	for _, cmd := range commands(root) {
		name := strings.TrimPrefix(cmd.CommandPath(), "midden ")
		if strings.HasPrefix(name, "completion ") {
			name = "completion bash" // one of them will do
		}
		if !slices.ContainsFunc(examples, func(e example) bool { return strings.HasPrefix(e.line+" ", name+" ") }) {
			t.Errorf("%s has no example; write one into examples", cmd.CommandPath())
		}
	}
}

// commands returns those below cmd that do something.
func commands(cmd *cobra.Command) (list []*cobra.Command) {
	for _, child := range cmd.Commands() {
		if !child.HasSubCommands() || child.Annotations[works] != "" {
			list = append(list, child)
		}
		list = append(list, commands(child)...)
	}
	return list
}

// inside runs the program in this process, which takes less time. It may end in any
// way but by a bug.
func inside(t testing.TB, args ...string) (out, errs string) {
	t.Helper()
	var stdout, stderr strings.Builder
	code := Main(context.Background(), args, &stdout, &stderr)
	if !slices.Contains([]int{exitDone, exitFailed, exitUsage, exitPartial, exitDiffers, exitQuota, exitTryLater}, code) {
		t.Errorf("midden %q ended with %d: %s", args, code, stderr.String())
	}
	if testing.Verbose() {
		fmt.Fprintf(t.Output(), "midden %q: %d\n", args, code)
	}
	return stdout.String(), stderr.String()
}
