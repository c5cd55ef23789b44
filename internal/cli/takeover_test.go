package cli

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"

	"midden/internal/store"
)

// killAt has the program kill itself at a named point: NAME or NAME#N, where
// NAME is the beginning of the point's name, and N says the how many-th time.
func killAt(at string) {
	if at == "" {
		return
	}
	name, nth, _ := strings.Cut(at, "#")
	n, err := strconv.Atoi(nth)
	if nth != "" && err != nil {
		fmt.Fprintln(os.Stderr, "MIDDEN_TEST_KILL_AT:", err)
		os.Exit(99)
	}
	reached := 0
	store.Point = func(point string) {
		if strings.HasPrefix(point, name) {
			if reached++; reached >= max(n, 1) {
				syscall.Kill(os.Getpid(), syscall.SIGKILL)
				select {}
			}
		}
	}
}
