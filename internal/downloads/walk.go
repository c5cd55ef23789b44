package downloads

import (
	"context"
	"io"
	"io/fs"
	"os"
	"path"

	"golang.org/x/sys/unix"
)

// entry is what a directory has under a name.
type entry struct {
	name string // its path below the root
	info fs.FileInfo
}

const (
	walkBatch = 512
	maxDepth  = 32 // of directories
)

// walk calls f for what is below a root, directories left out, some at once. It
// stays inside of the root, follows no link, and holds no more than a batch and
// a directory for each level. pass is told of directories that are passed over,
// fail of what cannot be looked at. What is gone by the time it is looked at was
// never there.
func walk(ctx context.Context, root *os.Root, f func([]entry) error, pass func(reason string), fail func(name string, err error)) error {
	var dir func(name string, depth int) error
	dir = func(name string, depth int) error {
		d, _, err := openNow(root, name, unix.O_DIRECTORY)
		if err != nil {
			if !isGone(err) {
				fail(name, err)
			}
			return nil
		}
		defer d.Close()
		for {
			if err := ctx.Err(); err != nil {
				return err
			}
			list, readErr := d.ReadDir(walkBatch)
			batch := make([]entry, 0, len(list))
			var below []string
			for _, e := range list {
				name := path.Join(name, e.Name())
				if e.IsDir() {
					below = append(below, name)
					continue
				}
				info, err := root.Lstat(name)
				switch {
				case isGone(err):
				case err != nil:
					fail(name, err)
				case info.IsDir():
					below = append(below, name)
				default:
					batch = append(batch, entry{name, info})
				}
			}
			if err := f(batch); err != nil {
				return err
			}
			for _, name := range below {
				if depth == maxDepth {
					pass(tooDeep)
					continue
				}
				if err := dir(name, depth+1); err != nil {
					return err
				}
			}
			if readErr == io.EOF {
				return nil
			}
			if readErr != nil {
				if !isGone(readErr) {
					fail(name, readErr)
				}
				return nil
			}
		}
	}
	return dir(".", 0)
}
