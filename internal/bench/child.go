package bench

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Usage is what a program took: from its start to its end, with the processes that it
// started and waited for.
type Usage struct {
	Wall, CPU time.Duration // CPU: user and system
	Peak      int64         // bytes of the largest process
}

// usage reads what the system counted for a child. Linux does not count less memory than
// the process had that started it, which is why this one stays small.
func usage(wall time.Duration, r *syscall.Rusage) Usage {
	return Usage{Wall: wall, CPU: time.Duration(r.Utime.Nano() + r.Stime.Nano()), Peak: int64(r.Maxrss) << 10}
}

// program is a program that is to be measured.
type program struct {
	name   string
	args   []string
	dir    string
	env    []string  // besides this process's
	stdout io.Writer // nil: nowhere
	fine   int       // an exit code that is as good as 0
}

// start starts the program; wait waits for it. A ctx that ends lets it end in order.
func (p program) start(ctx context.Context) (wait func() (Usage, error), err error) {
	cmd := exec.CommandContext(ctx, p.name, p.args...)
	// A group of its own, so that what it has started ends, too.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = time.Minute
	var said bytes.Buffer
	cmd.Dir, cmd.Stdout, cmd.Stderr = p.dir, p.stdout, &said
	if p.env != nil {
		cmd.Env = append(cmd.Environ(), p.env...)
	}
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return func() (Usage, error) {
		err := cmd.Wait()
		wall := time.Since(began)
		if err != nil && (p.fine == 0 || cmd.ProcessState.ExitCode() != p.fine) {
			if ctx.Err() != nil {
				err = context.Cause(ctx)
			}
			return Usage{}, fmt.Errorf("%s %s: %w\n%s", filepath.Base(p.name), strings.Join(p.args, " "), err, said.Bytes())
		}
		return usage(wall, cmd.ProcessState.SysUsage().(*syscall.Rusage)), nil
	}, nil
}

func (p program) run(ctx context.Context) (Usage, error) {
	wait, err := p.start(ctx)
	if err != nil {
		return Usage{}, err
	}
	return wait()
}

// output runs the program and returns what it wrote to standard output.
func (p program) output(ctx context.Context) (string, Usage, error) {
	var out bytes.Buffer
	p.stdout = &out
	u, err := p.run(ctx)
	return out.String(), u, err
}

// lines runs the program and calls do with each line that it wrote to standard output. It does not
// hold them, so that this process stays small: see usage.
func (p program) lines(ctx context.Context, do func(line []byte) error) (Usage, error) {
	file, err := os.CreateTemp("", "midden-bench-lines-")
	if err != nil {
		return Usage{}, err
	}
	defer os.Remove(file.Name())
	defer file.Close()
	p.stdout = file
	u, err := p.run(ctx)
	if err != nil {
		return u, err
	}
	return u, linesOf(file.Name(), do)
}

// runs are measurements by what was measured, one of each round.
type runs map[string][]Usage

func (r runs) add(what string, u Usage) { r[what] = append(r[what], u) }

// of returns the medians of what was measured.
func (r runs) of(what string) Usage {
	return Usage{
		Wall: median(r[what], func(u Usage) time.Duration { return u.Wall }),
		CPU:  median(r[what], func(u Usage) time.Duration { return u.CPU }),
		Peak: median(r[what], func(u Usage) int64 { return u.Peak }),
	}
}

// median of an even number of values is the lower one in the middle.
func median[T cmp.Ordered](us []Usage, of func(Usage) T) T {
	values := make([]T, len(us))
	for i, u := range us {
		values[i] = of(u)
	}
	slices.Sort(values)
	return values[(len(values)-1)/2]
}
