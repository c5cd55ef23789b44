package downloads

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"midden/internal/cowrie"
)

// errChanged says that a file did not hold still.
var errChanged = errors.New("it changed while it was read")

// tries is how often a file that changes is read, and patience the pause before
// the second time.
const (
	tries    = 3
	patience = 100 * time.Millisecond
)

// readFile reads a file of a directory. If it is another one by now, or changes,
// it is read again.
func readFile(ctx context.Context, in *inspector, root *os.Root, name string) (id cowrie.FileID, c *cowrie.Content, err error) {
	for try := range tries {
		if try > 0 {
			select {
			case <-time.After(patience << try):
			case <-ctx.Done():
				return id, nil, ctx.Err()
			}
		}
		if id, c, err = readOnce(ctx, in, root, name); !errors.Is(err, errChanged) {
			return id, c, err
		}
	}
	return id, nil, err
}

func readOnce(ctx context.Context, in *inspector, root *os.Root, name string) (cowrie.FileID, *cowrie.Content, error) {
	// Neither waits a FIFO for its writer, nor is a link followed.
	f, err := root.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOFOLLOW, 0)
	if err != nil {
		return cowrie.FileID{}, nil, err
	}
	defer f.Close()
	before, err := f.Stat()
	if err != nil {
		return cowrie.FileID{}, nil, err
	}
	id := fileID(before)
	if !before.Mode().IsRegular() {
		return id, nil, errChanged
	}
	c, err := in.inspect(ctx, f, f)
	if err != nil {
		return id, nil, err
	}
	after, err := f.Stat()
	if err != nil {
		return id, nil, err
	}
	if fileID(after) != id || c.Size != id.Size {
		return id, nil, errChanged
	}
	return id, c, nil
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
