// Command docs writes the command reference, made from the commands
// themselves, to standard output.
package main

import (
	"os"

	"midden/internal/cli"
)

func main() {
	os.Stdout.WriteString(cli.Reference())
}
