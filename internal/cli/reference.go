package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Reference returns the command reference as Markdown.
func Reference() string {
	var b strings.Builder
	root := (&app{stdout: io.Discard, stderr: io.Discard}).root()
	fmt.Fprintf(&b, "# Commands\n\n<!-- Written by \"make docs\"; edit the commands instead. -->\n\n%s\n\n", root.Long)
	b.WriteString("Flags of every command:\n\n")
	flagTable(&b, root.PersistentFlags())
	b.WriteString(`
Data goes to standard output, everything else to standard error. Exit codes:

| code | meaning |
|---|---|
| 0 | done |
| 1 | failed |
| 2 | the command line or the configuration file is wrong |
| 3 | done in part: dead letters, or inputs that cannot be read; the rest is committed |
| 4 | another process kept the database locked |
| 5 | a check found a difference |
| 7 | the database is of a version that cannot be used; the message says what mends it |
| 130, 143 | stopped by a signal; all that was read is committed |
`)
	for _, cmd := range root.Commands() {
		commandReference(&b, cmd)
	}
	return b.String()
}

func commandReference(b *strings.Builder, cmd *cobra.Command) {
	if cmd.Hidden || cmd.Name() == "help" || cmd.Name() == "completion" {
		return
	}
	if !cmd.HasSubCommands() || cmd.Annotations[works] != "" {
		commandSection(b, cmd)
	}
	for _, child := range cmd.Commands() {
		commandReference(b, child)
	}
}

func commandSection(b *strings.Builder, cmd *cobra.Command) {
	about := cmd.Long
	if about == "" {
		about = cmd.Short + "."
	}
	fmt.Fprintf(b, "\n## %s\n\n```\n%s\n```\n\n%s\n", cmd.CommandPath(), cmd.UseLine(), about)
	if cmd.Example != "" {
		fmt.Fprintf(b, "\n```sh\n%s\n```\n", strings.ReplaceAll(strings.TrimPrefix(cmd.Example, "  "), "\n  ", "\n"))
	}
	if cmd.LocalFlags().HasAvailableFlags() {
		b.WriteString("\n")
		flagTable(b, cmd.LocalNonPersistentFlags())
	}
}

func flagTable(b *strings.Builder, flags *pflag.FlagSet) {
	b.WriteString("| flag | |\n|---|---|\n")
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Name == "help" {
			return
		}
		name := "--" + f.Name
		if f.Shorthand != "" {
			name = "-" + f.Shorthand + ", " + name
		}
		if kind, _ := pflag.UnquoteUsage(f); kind != "" {
			name += " " + kind
		}
		usage := f.Usage
		if f.DefValue != "" && f.DefValue != "false" && f.DefValue != "0" {
			usage += fmt.Sprintf(" (default %s)", f.DefValue)
		}
		fmt.Fprintf(b, "| `%s` | %s |\n", name, strings.ReplaceAll(usage, "|", "\\|"))
	})
}
