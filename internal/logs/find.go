package logs

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// Found is a file that may be a log.
type Found struct {
	Path    string
	Size    int64 // bytes on disk
	ModTime int64 // nanoseconds since 1970
	Inode   uint64
	Named   bool // by the user; a file in a directory is a log only if it looks like one
}

// Problem is a path that could not be read, or was passed over.
type Problem struct {
	Path string
	Err  error
}

// Find lists the files that paths lead to, directories walked, oldest first:
// what is found is best read in the order in which it was written. A path
// that cannot be followed is a problem and stops nothing. What in a directory
// is no regular file is left out without a word. The paths found are absolute.
// keep, if not nil, is asked of each file, in no order, whether to list it.
func Find(ctx context.Context, paths []string, keep func(Found) bool) (files *Files, problems []Problem, err error) {
	files = &Files{}
	add := func(path string, info fs.FileInfo, named bool) {
		if f := found(path, info, named); keep == nil || keep(f) {
			files.add(f)
		}
	}
	roots := map[string]bool{}
	var dirs []string // to be walked
	for _, path := range paths {
		root, err := filepath.Abs(path)
		if err != nil {
			problems = append(problems, Problem{path, err})
			continue
		}
		if roots[root] {
			continue
		}
		roots[root] = true
		info, err := os.Stat(root)
		switch {
		case err != nil:
			problems = append(problems, Problem{root, err})
		case info.IsDir():
			dirs = append(dirs, root)
		case !info.Mode().IsRegular():
			problems = append(problems, Problem{root, &os.PathError{Op: "read", Path: root, Err: ErrNotRegular}})
		default:
			add(root, info, true)
		}
	}
	for len(dirs) > 0 && ctx.Err() == nil {
		last := len(dirs) - 1
		dir := dirs[last]
		below, err := list(ctx, dir, roots, add)
		if err != nil && !errors.Is(err, fs.ErrNotExist) { // it may be gone by now
			problems = append(problems, Problem{dir, err})
		}
		dirs = append(dirs[:last], below...)
	}
	files.sort()
	return files, problems, ctx.Err()
}

// walkBatch is how many entries of a directory are held at once.
const walkBatch = 1000

// list calls add for the files in a directory, and returns the directories in it. Links
// to files are followed, links to directories are not. What is a root of its own
// is left to that one.
func list(ctx context.Context, dir string, roots map[string]bool, add func(string, fs.FileInfo, bool)) (below []string, err error) {
	// What has become a FIFO meanwhile would be waited for.
	d, err := os.OpenFile(dir, os.O_RDONLY|syscall.O_DIRECTORY, 0)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	for ctx.Err() == nil {
		entries, err := d.ReadDir(walkBatch)
		for _, e := range entries {
			path := filepath.Join(dir, e.Name())
			mode := e.Type()
			switch {
			case roots[path]:
			case mode.IsDir():
				below = append(below, path)
			case mode.IsRegular() || mode&fs.ModeSymlink != 0:
				if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
					add(path, info, false)
				}
			}
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return below, err
		}
	}
	return below, nil
}

func found(path string, info fs.FileInfo, named bool) Found {
	f := Found{Path: path, Size: info.Size(), ModTime: info.ModTime().UnixNano(), Named: named}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		f.Inode = st.Ino
	}
	return f
}

// Found tells of an open file as it was when it was opened.
func (f *File) Found() Found { return found(f.Path, f.info, false) }
