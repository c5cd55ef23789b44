// Package faults has the program die, or its disk fail, at an exact place: for tests.
//
// The environment comes in. It is read by test programs alone: no product code knows
// this package.
package faults

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"

	"midden/internal/store"
)

// The variables, each NAME or NAME#N: what, and the how many-th time.
const (
	// KillAt names a point of store.Point, or the beginning of its name.
	KillAt = "MIDDEN_TEST_KILL_AT"
	// Disk names a fault of the disk below SQLite: one of the constants below.
	Disk = "MIDDEN_TEST_DISK"
)

// Arm does what the environment asks for.
func Arm() {
	if at := os.Getenv(KillAt); at != "" {
		armPoint(parse(KillAt, at))
	}
	if at := os.Getenv(Disk); at != "" {
		armDisk(parse(Disk, at))
	}
}

func parse(variable, at string) (name string, nth int) {
	name, digits, numbered := strings.Cut(at, "#")
	if !numbered {
		return name, 1
	}
	nth, err := strconv.Atoi(digits)
	if err != nil || nth < 1 {
		refuse(variable, at)
	}
	return name, nth
}

func refuse(variable, value string) {
	fmt.Fprintf(os.Stderr, "%s=%s makes no sense\n", variable, value)
	os.Exit(99)
}

func armPoint(name string, nth int) {
	reached := 0
	store.Point = func(point string) {
		if strings.HasPrefix(point, name) {
			if reached++; reached >= nth {
				die()
			}
		}
	}
}

// die ends the program as kill -9 does.
func die() {
	syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}
