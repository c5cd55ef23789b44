// Command midden keeps what Cowrie honeypots leave behind.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"midden/internal/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// A second signal ends the program at once.
	context.AfterFunc(ctx, stop)
	os.Exit(cli.Main(ctx, os.Args[1:], os.Stdout, os.Stderr))
}
