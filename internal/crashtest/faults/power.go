package faults

import (
	"bytes"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
)

// What a power cut may take: the changes of files that were not flushed. Of these any
// may have reached the disk, in any order, and of each a part.

// sector is how much a disk writes whole.
const sector = 512

// files are those that are watched, by the address of SQLite's file and by path. They
// stay open: closing a file would end SQLite's locks on it.
var (
	files = map[uintptr]*watched{}
	paths = map[string]*watched{}
)

// watched is a file whose changes are remembered until they are flushed.
type watched struct {
	file    *os.File
	changes []change
}

// change is a write of data at an offset, or the cut of the file there if there is none.
type change struct {
	offset int64
	data   []byte
	before []byte // what stood there
	size   int64  // of the file before
}

// watch begins to watch a file, with the disk locked.
func watch(file uintptr, path string) {
	w := paths[path]
	if w == nil {
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			delete(files, file)
			return // it is only read
		}
		w = &watched{file: f}
		paths[path] = w
	}
	files[file] = w
}

func changed(file uintptr, offset int64, data []byte) {
	disk.Lock()
	defer disk.Unlock()
	w := files[file]
	if w == nil {
		return
	}
	info, err := w.file.Stat()
	if err != nil {
		panic(err)
	}
	c := change{offset: offset, data: bytes.Clone(data), size: info.Size()}
	n := int64(len(data))
	if data == nil {
		n = max(0, c.size-offset)
	}
	c.before = make([]byte, n)
	got, _ := w.file.ReadAt(c.before, offset) // less beyond the end
	c.before = c.before[:got]
	w.changes = append(w.changes, c)
}

func flushed(file uintptr) {
	disk.Lock()
	defer disk.Unlock()
	if w := files[file]; w != nil {
		w.changes = nil
	}
}

func removed(path string) {
	disk.Lock()
	defer disk.Unlock()
	delete(paths, path)
}

// cutPower leaves of each file what stood there when it was last flushed, and some of
// the changes since.
func cutPower(seed int) {
	rng := rand.New(rand.NewPCG(uint64(seed), 1))
	kept := []float64{0, 0.5, 0.9, 1}[rng.IntN(4)]
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		w := paths[path]
		for i := len(w.changes) - 1; i >= 0; i-- {
			c := w.changes[i]
			must(w.file.Truncate(c.size))
			write(w.file, c.before, c.offset)
		}
		for _, c := range w.changes {
			switch {
			case rng.Float64() >= kept:
			case c.data == nil:
				must(w.file.Truncate(c.offset))
			case rng.IntN(8) == 0:
				write(w.file, c.data[:len(c.data)/sector/2*sector], c.offset)
			default:
				write(w.file, c.data, c.offset)
			}
		}
	}
}

func write(f *os.File, data []byte, offset int64) {
	_, err := f.WriteAt(data, offset)
	must(err)
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
