package sqlite

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"midden/internal/store"
)

// hold takes a lock of a database, such as that of its maintenance: of several processes one has
// it, until it lets go or ends, however it ends. It is a lock on a file of its
// own beside the database: one on the database file would not survive that
// SQLite closes another descriptor of it. what is told to those who come in
// vain; the error is then a *store.HeldError.
func hold(path string, lock store.Lock, what string) (release func(), err error) {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real // the file has one lock, whatever it is called
	}
	name := path + "-" + string(lock)
	for try := 0; ; try++ {
		// Not through a link that somebody put there: what it leads to would be emptied.
		f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR|unix.O_NOFOLLOW, 0o600)
		if err != nil {
			return nil, fmt.Errorf("the database cannot be written: beside it there has to be a lock (%w)", err)
		}
		if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
			by, _ := io.ReadAll(io.LimitReader(f, 512))
			f.Close()
			switch {
			case err != unix.EWOULDBLOCK && err != unix.EINTR:
				return nil, fmt.Errorf("lock %s: %w", name, err)
			case try < looks:
				time.Sleep(lookAgain)
				continue
			}
			return nil, &store.HeldError{By: strings.TrimSpace(string(by))}
		}
		if removed(f, name) { // by the one who had it before
			f.Close()
			continue
		}
		host, _ := os.Hostname()
		f.Truncate(0)
		fmt.Fprintf(f, "midden %s, process %d on %s since %s\n", what, os.Getpid(), host, time.Now().UTC().Format(time.RFC3339))
		return func() {
			os.Remove(name)
			f.Close()
		}, nil
	}
}

// The lock may be held for a moment by someone who only asks whether it is free.
const (
	looks     = 4
	lookAgain = 50 * time.Millisecond
)

// removed reports whether name is not the file f any more.
func removed(f *os.File, name string) bool {
	here, err := f.Stat()
	if err != nil {
		return true
	}
	there, err := os.Stat(name)
	return err != nil || !os.SameFile(here, there)
}
