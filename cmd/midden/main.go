// Command midden keeps what Cowrie honeypots leave behind.
package main

import (
	"os"

	"midden/internal/cli"
)

func main() { os.Exit(cli.Main(cli.Signals(), os.Args[1:], os.Stdout, os.Stderr)) }
