package logs

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
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
func Find(ctx context.Context, paths []string) (files []Found, problems []Problem, err error) {
	place := map[string]int{} // of each path in files, if there is more than one way to them
	add := func(path string, info fs.FileInfo, named bool) {
		if len(paths) > 1 {
			if i, ok := place[path]; ok {
				files[i].Named = files[i].Named || named
				return
			}
			place[path] = len(files)
		}
		files = append(files, found(path, info, named))
	}
	for _, root := range paths {
		root, err := filepath.Abs(root)
		if err != nil {
			problems = append(problems, Problem{root, err})
			continue
		}
		info, err := os.Stat(root)
		switch {
		case err != nil:
			problems = append(problems, Problem{root, err})
		case info.IsDir():
			problems = append(problems, walk(ctx, root, func(path string, info fs.FileInfo) { add(path, info, false) })...)
		case !info.Mode().IsRegular():
			problems = append(problems, Problem{root, &os.PathError{Op: "read", Path: root, Err: ErrNotRegular}})
		default:
			add(root, info, true)
		}
	}
	slices.SortStableFunc(files, func(a, b Found) int {
		return cmp.Or(cmp.Compare(a.ModTime, b.ModTime), cmp.Compare(a.Path, b.Path))
	})
	return files, problems, ctx.Err()
}

// walk calls add for every regular file below root. Links to files are
// followed, links to directories are not.
func walk(ctx context.Context, root string, add func(string, fs.FileInfo)) (problems []Problem) {
	// A root that is itself a link to a directory is meant.
	start := root
	if target, err := filepath.EvalSymlinks(root); err == nil {
		start = target
	}
	filepath.WalkDir(start, func(path string, d fs.DirEntry, err error) error {
		if ctx.Err() != nil {
			return fs.SkipAll
		}
		shown := path
		if rel, e := filepath.Rel(start, path); e == nil {
			shown = filepath.Join(root, rel)
		}
		if err != nil {
			if !errors.Is(err, fs.ErrNotExist) { // it may be gone by now
				problems = append(problems, Problem{shown, err})
			}
			return nil
		}
		mode := d.Type()
		if mode&fs.ModeSymlink != 0 || mode.IsRegular() {
			if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
				add(shown, info)
			}
		}
		return nil
	})
	return problems
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
