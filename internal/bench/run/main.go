// Run measures midden and prints what came of it; "make bench" calls it.
//
//	run MIDDEN CHECKOUT
//
// With its usual sizes and all parts it writes docs/performance.md of the checkout, too, and what was measured into
// internal/bench/testdata, of which a test makes the page again. The environment changes
// sizes: EVENTS, from which the others follow if they are not set: RAW_EVENTS, SIZES (several, divided by
// spaces), MEGABYTES, ENTRIES; ROUNDS; and PARTS, divided by commas, names what is to be measured.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"reflect"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"time"

	"midden/internal/bench"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: run MIDDEN CHECKOUT")
		os.Exit(2)
	}
	if err := run(ctx, os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, midden, checkout string) error {
	o, whole, err := options()
	if err != nil {
		return err
	}
	if o.Midden, err = filepath.Abs(midden); err != nil {
		return err
	}
	if o.Checkout, err = filepath.Abs(checkout); err != nil {
		return err
	}
	// Only what is measured is to count: no configuration of whoever runs this.
	for _, name := range []string{"MIDDEN_DB", "MIDDEN_CONFIG", "COWRIEPROC_DB_URL"} {
		if err := os.Unsetenv(name); err != nil {
			return err
		}
	}
	// What this process has is the least that can be told of others.
	debug.SetGCPercent(10)
	debug.SetMemoryLimit(6 << 20)
	o.Say = func(what string) { fmt.Fprintln(os.Stderr, time.Now().Format(time.TimeOnly), what) }
	page, err := bench.Run(ctx, o)
	if err != nil {
		return err
	}
	var text bytes.Buffer
	if err := page.Write(&text); err != nil {
		return err
	}
	if _, err := os.Stdout.Write(text.Bytes()); err != nil || !whole {
		return err
	}
	measured, err := json.MarshalIndent(page, "", "  ")
	if err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(filepath.Join(checkout, "internal/bench/testdata/measured.json"), append(measured, '\n'), 0o644),
		os.WriteFile(filepath.Join(checkout, "docs/performance.md"), text.Bytes(), 0o644))
}

// options are the default ones as the environment changes them; whole tells that it does not.
func options() (o bench.Options, whole bool, err error) {
	number := func(name string, into *int) {
		if text := os.Getenv(name); text != "" && err == nil {
			if *into, err = strconv.Atoi(text); err == nil && *into < 1 {
				err = strconv.ErrRange
			}
			if err != nil {
				err = fmt.Errorf("%s=%s is no number of things: %w", name, text, err)
			}
		}
	}
	events := bench.Usual
	number("EVENTS", &events)
	o = bench.Default(events)
	number("ROUNDS", &o.Rounds)
	number("RAW_EVENTS", &o.RawEvents)
	number("MEGABYTES", &o.Megabytes)
	number("ENTRIES", &o.Entries)
	if text := os.Getenv("SIZES"); text != "" && err == nil {
		o.Sizes = nil
		for _, field := range strings.Fields(text) {
			n, failed := strconv.Atoi(field)
			if failed != nil || n < 1 {
				return o, false, fmt.Errorf("SIZES=%s are no numbers of events", text)
			}
			o.Sizes = append(o.Sizes, n)
		}
	}
	if text := os.Getenv("PARTS"); text != "" {
		o.Parts = strings.Split(text, ",")
	}
	return o, reflect.DeepEqual(o, bench.Default(bench.Usual)), err
}
