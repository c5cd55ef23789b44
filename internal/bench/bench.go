package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Options say what is measured; Default has some.
type Options struct {
	Midden    string // the program
	Checkout  string // where its source is
	Events    int    // that are loaded
	Rounds    int    // whose medians count
	RawEvents int    // of the database of cowrieprocessor
	Sizes     []int  // numbers of events between which growth is shown
	Megabytes int    // of captured files
	Entries   int    // captured files that are small
	Parts     []string
	Say       func(string) // told what is being done
}

// Usual is how many events docs/performance.md loads.
const Usual = 2_000_000

// Default are the sizes that go with a number of events, all parts, and rounds enough.
func Default(events int) Options {
	return Options{Events: events, Rounds: 3, RawEvents: events * 5 / 2, Sizes: []int{events / 10, events, events * 10},
		Megabytes: max(events/1000, 10), Entries: events / 20, Parts: PartNames()}
}

// parts are what can be measured alone. Those that share logs stand together.
var parts = []struct {
	name   string
	shares bool
	run    func(*bench, context.Context) error
}{
	{"load", true, (*bench).load},
	{"questions", true, (*bench).questions},
	{"postgres", true, (*bench).postgres},
	{"profile", true, (*bench).profile},
	{"takeover", false, (*bench).takeOver},
	{"scan", false, (*bench).scan},
	{"lookups", false, (*bench).lookups},
	{"reports", false, (*bench).reports},
	{"growth", false, (*bench).growth},
}

// PartNames are the names of all parts.
func PartNames() []string {
	names := make([]string, len(parts))
	for i, p := range parts {
		names[i] = p.name
	}
	return names
}

// bench is one run.
type bench struct {
	Options
	dir    string // of everything
	logs   *logs
	duckdb string // the program, once it is built
	page   *Page
}

// Run measures. What it has when something fails, or ctx ends, is of no use.
func Run(ctx context.Context, o Options) (page *Page, err error) {
	for _, name := range o.Parts {
		if !slices.Contains(PartNames(), name) {
			return nil, fmt.Errorf("there is no part %q: parts are %s", name, strings.Join(PartNames(), ", "))
		}
	}
	b := &bench{Options: o, page: &Page{Rounds: o.Rounds}}
	if b.dir, err = os.MkdirTemp("", "midden-bench-"); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(b.dir)) }()
	start := time.Now()
	if err := b.machine(ctx); err != nil {
		return nil, err
	}
	for _, p := range parts {
		if !slices.Contains(o.Parts, p.name) {
			continue
		}
		if !p.shares && b.logs != nil {
			if err := os.RemoveAll(b.logs.dir); err != nil {
				return nil, err
			}
			b.logs = nil
		}
		if err := p.run(b, ctx); err != nil {
			return nil, fmt.Errorf("%s: %w", p.name, err)
		}
	}
	b.page.Took = time.Since(start)
	var own syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &own); err != nil {
		return nil, err
	}
	b.page.Least = usage(0, &own).Peak
	return b.page, nil
}

func (b *bench) say(format string, args ...any) { b.Say(fmt.Sprintf(format, args...)) }

// within makes a folder for what a part writes, and removes it when the part is over.
func (b *bench) within(name string, do func(dir string) error) error {
	dir := filepath.Join(b.dir, name)
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	return errors.Join(do(dir), os.RemoveAll(dir))
}

// midden is the program with a database. Of logs it may say that some lines are no events.
func (b *bench) midden(db string, args ...string) program {
	return program{name: b.Midden, args: append([]string{"-q", "--db", db}, args...), dir: b.dir, fine: 3}
}

// logs are synthetic logs.
type logs struct {
	dir string
	Synthetic
}

// Synthetic tells what "midden synth" has written.
type Synthetic struct {
	Events, Sessions, Files, Sightings, Bytes int64
}

func (s Synthetic) BytesPerEvent() int64 { return s.Bytes / s.Events }

// synth writes logs into a folder, or what it is told to.
func (b *bench) synth(ctx context.Context, dir string, events int, more ...string) (*logs, error) {
	args := append([]string{"-q", "synth", "--events", strconv.Itoa(events), "--sensors", "4", "--compress", "none", "-o", "json"}, more...)
	out, _, err := program{name: b.Midden, args: append(args, dir)}.output(ctx)
	if err != nil {
		return nil, err
	}
	l := &logs{dir: dir}
	return l, json.Unmarshal([]byte(out), &l.Synthetic)
}

// shared returns the logs that several parts measure with.
func (b *bench) shared(ctx context.Context) (*logs, error) {
	if b.logs != nil {
		return b.logs, nil
	}
	b.say("writing logs of %d events", b.Events)
	var err error
	b.logs, err = b.synth(ctx, filepath.Join(b.dir, "logs"), b.Events)
	return b.logs, err
}

// inRounds does something b.Rounds times.
func (b *bench) inRounds(part string, do func() error) error {
	for round := range b.Rounds {
		b.say("%s: round %d of %d", part, round+1, b.Rounds)
		if err := do(); err != nil {
			return err
		}
	}
	return nil
}

// repeat returns the medians of several runs of something quick.
func (p program) repeat(ctx context.Context, times int) (Usage, error) {
	r := runs{}
	for range times {
		u, err := p.run(ctx)
		if err != nil {
			return Usage{}, err
		}
		r.add("", u)
	}
	return r.of(""), nil
}

// measure runs programs one after the other.
func (r runs) measure(ctx context.Context, what string, p program) error {
	u, err := p.run(ctx)
	r.add(what, u)
	return err
}

// removeDatabase removes an SQLite database and what lies beside it.
func removeDatabase(path string) error {
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := os.Remove(path + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

func size(path string) (int64, error) {
	info, err := os.Stat(path)
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// number reads the number that a program has printed.
func number(text string) (int64, error) { return strconv.ParseInt(strings.TrimSpace(text), 10, 64) }
