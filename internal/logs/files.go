package logs

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"iter"
	"path/filepath"
	"slices"
	"unsafe"
)

// Files are files that were found. There may be millions: each takes its name
// and some 25 bytes, and has a path only when its turn comes.
type Files struct {
	list []entry
	dirs []directory
	size int64
}

// entry is what the order of files goes by.
type entry struct {
	modTime int64
	dir     uint32 // its place in dirs
	at      uint32 // its place in the directory's files
}

// directory has files that were added one after the other.
type directory struct {
	path  string // with the separator at its end
	named bool   // its files were named
	files []byte // of each its size, its inode, and its name after the name's length
}

// maxDirectory is how many bytes tell of the files in a directory, so that no
// long ones must be copied when there are more. A larger one stands several times.
const maxDirectory = 1 << 20

// Len returns how many files there are.
func (l *Files) Len() int { return len(l.list) }

// Size returns how many bytes they have on disk.
func (l *Files) Size() int64 { return l.size }

// Memory returns how many bytes the list takes.
func (l *Files) Memory() int64 {
	n := cap(l.list)*int(unsafe.Sizeof(entry{})) + cap(l.dirs)*int(unsafe.Sizeof(directory{}))
	for _, d := range l.dirs {
		n += len(d.path) + cap(d.files)
	}
	return int64(n)
}

// All returns the files in their order.
func (l *Files) All() iter.Seq[Found] {
	return func(yield func(Found) bool) {
		for _, e := range l.list {
			size, inode, name := l.read(e)
			d := &l.dirs[e.dir]
			if !yield(Found{Path: d.path + string(name), Size: size, ModTime: e.modTime, Inode: inode, Named: d.named}) {
				return
			}
		}
	}
}

func (l *Files) read(e entry) (size int64, inode uint64, name []byte) {
	b := l.dirs[e.dir].files[e.at:]
	var numbers [3]uint64
	for i := range numbers {
		n := 0
		numbers[i], n = binary.Uvarint(b)
		b = b[n:]
	}
	return int64(numbers[0]), numbers[1], b[:numbers[2]]
}

func (l *Files) add(f Found) {
	path, name := filepath.Split(f.Path)
	last := len(l.dirs) - 1
	if last < 0 || l.dirs[last].path != path || l.dirs[last].named != f.Named || len(l.dirs[last].files) > maxDirectory {
		l.dirs = append(l.dirs, directory{path: path, named: f.Named})
		last++
	}
	d := &l.dirs[last]
	l.list = append(l.list, entry{f.ModTime, uint32(last), uint32(len(d.files))})
	for _, n := range []uint64{uint64(f.Size), f.Inode, uint64(len(name))} {
		d.files = binary.AppendUvarint(d.files, n)
	}
	d.files = append(d.files, name...)
	l.size += f.Size
}

// sort puts the oldest first, and those of one time in the order of their paths.
func (l *Files) sort() {
	var one, other []byte
	path := func(buf []byte, e entry) []byte {
		_, _, name := l.read(e)
		return append(append(buf, l.dirs[e.dir].path...), name...)
	}
	slices.SortFunc(l.list, func(a, b entry) int {
		if order := cmp.Compare(a.modTime, b.modTime); order != 0 {
			return order
		}
		one, other = path(one[:0], a), path(other[:0], b)
		return bytes.Compare(one, other)
	})
}
