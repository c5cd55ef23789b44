package crashtest

import (
	"bytes"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"midden/internal/cli"
	"midden/internal/crashtest/faults"
)

// TestMain makes the test program the real one, too, under the name midden.
func TestMain(m *testing.M) {
	// A program with the race detector in it sleeps for a second before it ends.
	os.Setenv("GORACE", "atexit_sleep_ms=0 "+os.Getenv("GORACE"))
	// Databases are thrown away: they need no disk where there is memory.
	if info, err := os.Stat("/dev/shm"); err == nil && info.IsDir() && os.Getenv("TMPDIR") == "" {
		os.Setenv("TMPDIR", "/dev/shm")
	}
	testscript.Main(m, map[string]func(){"midden": program})
}

func program() {
	faults.Arm()
	os.Exit(cli.Main(cli.Signals(), os.Args[1:], os.Stdout, os.Stderr))
}

// soak is how long to try; 0 is for as long as "make test" has patience.
var soak, _ = time.ParseDuration(os.Getenv("MIDDEN_SOAK"))

// process is the program at work.
type process struct {
	t     testing.TB
	args  []string
	cmd   *exec.Cmd
	out   bytes.Buffer
	errs  bytes.Buffer
	ended chan struct{}
	code  int // -1 if a signal ended it
	took  time.Duration
}

// start starts the program, with more in its environment.
func start(t testing.TB, env []string, args ...string) *process {
	t.Helper()
	name, err := exec.LookPath("midden") // testscript.Main has put it there
	if err != nil {
		t.Fatal(err)
	}
	return startAs(t, nil, env, name, args...)
}

// startAs starts a program that becomes midden, with attributes if there are any.
func startAs(t testing.TB, attributes *syscall.SysProcAttr, env []string, name string, args ...string) *process {
	t.Helper()
	p := &process{t: t, args: args, cmd: exec.Command(name, args...), ended: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.errs
	p.cmd.Env, p.cmd.SysProcAttr = append(os.Environ(), env...), attributes
	began := time.Now()
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		p.cmd.Wait()
		p.code, p.took = p.cmd.ProcessState.ExitCode(), time.Since(began)
		close(p.ended)
	}()
	t.Cleanup(func() {
		p.cmd.Process.Kill()
		<-p.ended
	})
	return p
}

// wait waits for the end, and reports whether a signal was what ended it. A program
// that ends by itself must not tell people of its code's insides.
func (p *process) wait() (killed bool) {
	p.t.Helper()
	<-p.ended
	if p.code >= 0 && (strings.Contains(p.errs.String(), "goroutine ") || strings.Contains(p.errs.String(), "DATA RACE")) {
		p.t.Errorf("midden %v: %s", p.args, &p.errs)
	}
	return p.code < 0
}

// with waits for the end, which must be with one of the codes.
func (p *process) with(codes ...int) *process {
	p.t.Helper()
	if p.wait(); !slices.Contains(codes, p.code) {
		p.t.Fatalf("midden %v ended with %d, want %v:\n%s%s", p.args, p.code, codes, &p.out, &p.errs)
	}
	return p
}

// alive reports whether it has not ended.
func (p *process) alive() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}
