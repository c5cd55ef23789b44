package bench

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// TestMain is also a program that takes memory, if it is asked to.
func TestMain(m *testing.M) {
	if os.Getenv("MIDDEN_BENCH_TAKE") != "" {
		taken := make([]byte, 100<<20)
		for i := range taken {
			taken[i] = byte(i)
		}
		os.Exit(int(taken[7]))
	}
	os.Exit(m.Run())
}

func TestUsage(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := program{name: self, env: []string{"MIDDEN_BENCH_TAKE=yes"}, fine: 7}
	u, err := p.run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if u.Peak < 100<<20 || u.CPU <= 0 || u.Wall <= 0 {
		t.Errorf("a program that takes 100 MB has taken %+v", u)
	}
	// What it starts counts, too.
	u, err = program{name: "sh", args: []string{"-c", `"$0" || true`, self}, env: p.env}.run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if u.Peak < 100<<20 || u.CPU <= 0 {
		t.Errorf("a shell that runs a program that takes 100 MB has taken %+v", u)
	}
}

func TestProgramFails(t *testing.T) {
	t.Parallel()
	p := program{name: "sh", args: []string{"-c", "printf 'so %s so' and >&2; exit 3"}}
	_, err := p.run(t.Context())
	var code *exec.ExitError
	if !errors.As(err, &code) || !strings.Contains(err.Error(), "so and so") {
		t.Errorf("%v", err)
	}
	p.fine = 3
	if _, err := p.run(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestProgramEnds: what a program has started ends with it when nobody wants it any more.
func TestProgramEnds(t *testing.T) {
	t.Parallel()
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	ctx, stop := context.WithCancel(t.Context())
	wait, err := program{name: "sh", args: []string{"-c", "sleep 1000 | { echo; cat; }"}, stdout: write}.start(ctx)
	if err != nil {
		t.Fatal(err)
	}
	write.Close()
	if _, err := read.Read(make([]byte, 1)); err != nil { // it is there
		t.Fatal(err)
	}
	stop()
	if _, err := wait(); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if err := read.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if rest, err := io.ReadAll(read); err != nil { // its end comes once nobody can write any more
		t.Errorf("%q, %v", rest, err)
	}
}

func TestMedian(t *testing.T) {
	t.Parallel()
	r := runs{}
	for _, u := range []Usage{{5 * time.Second, 1, 9}, {1 * time.Second, 2, 7}, {3 * time.Second, 3, 8}} {
		r.add("x", u)
	}
	if got, want := r.of("x"), (Usage{3 * time.Second, 2, 8}); got != want {
		t.Errorf("%v, not %v", got, want)
	}
}
