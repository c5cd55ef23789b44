package telemetry

import (
	"bytes"
	"io"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// openTerminal returns both ends of a pseudo-terminal of 100 columns.
func openTerminal(t *testing.T) (near, far *os.File) {
	t.Helper()
	near, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no pseudo-terminals here: %v", err)
	}
	t.Cleanup(func() { near.Close() })
	n, err := unix.IoctlGetInt(int(near.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetPointerInt(int(near.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	far, err = os.OpenFile("/dev/pts/"+strconv.Itoa(n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no pseudo-terminals here: %v", err)
	}
	t.Cleanup(func() { far.Close() })
	if err := unix.IoctlSetWinsize(int(far.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 100}); err != nil {
		t.Fatal(err)
	}
	return near, far
}

func TestProgressOnTerminal(t *testing.T) {
	t.Setenv("TERM", "xterm")
	near, far := openTerminal(t)
	read := make(chan string)
	go func() {
		var b bytes.Buffer
		_, _ = io.Copy(&b, near) // ends with an error when the far end is closed
		read <- b.String()
	}()

	log := NewLogger(far, slog.LevelInfo, false)
	p := NewProgress(far, log, "load")
	if p.bars == nil {
		t.Error("no bar on a terminal")
	}
	log.Info("a line")
	p.Close()
	far.Close()
	if got := strings.Join(shows(t, <-read), "\n"); !strings.HasSuffix(got, " info a line\n") || strings.Count(got, "\n") != 1 {
		t.Errorf("what is left on the screen: %q", got)
	}
}

func TestNoBarOnDumbTerminal(t *testing.T) {
	t.Setenv("TERM", "dumb")
	_, far := openTerminal(t)
	p := NewProgress(far, nil, "load")
	defer p.Close()
	if p.bars != nil {
		t.Error("a bar on a terminal that cannot move its cursor")
	}
}
