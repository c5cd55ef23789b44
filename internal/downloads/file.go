package downloads

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"midden/internal/cowrie"
)

// errChanged says that a file did not hold still.
var errChanged = errors.New("it changed while it was read")

// errTooLarge says that a file has grown beyond what is read.
var errTooLarge = errors.New("it is too large")

// tries is how often a file that changes is read, and patience the pause before
// the second time.
const (
	tries    = 3
	patience = 100 * time.Millisecond
)

// readFile reads a file of a directory. If it is another one by now, or changes,
// it is read again.
func readFile(ctx context.Context, in *inspector, root *os.Root, name string) (info fs.FileInfo, c *cowrie.Content, err error) {
	for try := range tries {
		if try > 0 {
			select {
			case <-time.After(patience << try):
			case <-ctx.Done():
				return info, nil, ctx.Err()
			}
		}
		if info, c, err = readOnce(ctx, in, root, name); !errors.Is(err, errChanged) {
			return info, c, err
		}
	}
	return info, nil, err
}

func readOnce(ctx context.Context, in *inspector, root *os.Root, name string) (fs.FileInfo, *cowrie.Content, error) {
	f, before, err := openNow(root, name, 0)
	if err != nil {
		return before, nil, err
	}
	defer f.Close()
	switch {
	case !before.Mode().IsRegular():
		return before, nil, errChanged
	case in.limit > 0 && before.Size() > in.limit:
		return before, nil, errTooLarge
	}
	// No more than it had: it may grow as fast as it is read.
	c, err := in.inspect(ctx, io.LimitReader(f, before.Size()+1), f)
	if err != nil {
		return before, nil, err
	}
	after, err := f.Stat()
	if err != nil {
		return before, nil, err
	}
	if fileID(after) != fileID(before) || c.Size != before.Size() {
		return after, nil, errChanged
	}
	return before, c, nil
}

// openNow opens what stands under a name itself: not what a link leads to, and
// without waiting, if it has become a link or a FIFO.
func openNow(root *os.Root, name string, flag int) (*os.File, fs.FileInfo, error) {
	link, err := root.Lstat(name)
	if err != nil {
		return nil, nil, err
	}
	if mode := link.Mode(); !mode.IsRegular() && !mode.IsDir() {
		return nil, link, errChanged
	}
	f, err := root.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK|flag, 0)
	if err != nil {
		return nil, link, err
	}
	info, err := f.Stat()
	if err == nil && !os.SameFile(link, info) {
		err = errChanged
	}
	if err != nil {
		f.Close()
		return nil, link, err
	}
	return f, info, nil
}

// isGone reports whether an error says that nothing stands under a name, or that
// a directory on the way to it is none any more.
func isGone(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}

func fileID(info fs.FileInfo) cowrie.FileID {
	id := cowrie.FileID{Size: info.Size(), ModTime: info.ModTime().UnixNano()}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		id.Inode = st.Ino
	}
	return id
}

// cause is an error without the path that stands before it in a message anyway.
func cause(err error) error {
	var in *fs.PathError
	if errors.As(err, &in) {
		return in.Err
	}
	return err
}
