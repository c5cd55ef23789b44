package logs

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestFiles(t *testing.T) {
	long := strings.Repeat("n", 765)
	list := []Found{ // in their order
		{Path: "/a-b/x", ModTime: math.MinInt64},
		{Path: "/a/b/x", ModTime: -1, Size: 1},
		{Path: "/a-b/x", ModTime: 7, Size: math.MaxInt64 / 2, Inode: math.MaxUint64},
		{Path: "/a.x", ModTime: 7, Inode: 127, Named: true},
		{Path: "/a/" + long, ModTime: 7, Inode: 128, Size: 128},
		{Path: "/a0", ModTime: 7},
		{Path: "/ab", ModTime: 7, Named: true},
		{Path: "/a/zero", ModTime: math.MaxInt64},
	}
	backward := slices.Clone(list)
	slices.Reverse(backward)
	var files Files
	size := int64(0)
	for _, f := range backward {
		files.add(f)
		size += f.Size
	}
	files.sort()
	if diff := cmp.Diff(list, slices.Collect(files.All())); diff != "" {
		t.Error(diff)
	}
	if files.Len() != len(list) || files.Size() != size {
		t.Errorf("%d files of %d bytes", files.Len(), files.Size())
	}
	for f := range files.All() {
		if f.Path != list[0].Path {
			t.Errorf("it goes on with %s", f.Path)
		}
		break
	}
}

// TestFilesMemory: a hundred thousand files take some bytes each, in one directory or in many.
func TestFilesMemory(t *testing.T) {
	const n = 100_000
	top := "/" + strings.Repeat("deep/", 20)
	for _, inOne := range []int{n, 1000} {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		var files Files
		for i := range n {
			files.add(Found{Path: fmt.Sprintf("%s%d/cowrie.json.%d", top, i/inOne, i), Size: 4000, ModTime: int64(n-i) << 32, Inode: 1<<24 + uint64(i)})
		}
		files.sort()
		runtime.GC()
		runtime.ReadMemStats(&after)
		name := len("cowrie.json.12345")
		used := (int64(after.HeapAlloc) - int64(before.HeapAlloc)) / n
		if used > int64(name)+40 {
			t.Errorf("%d in a directory: each takes %d bytes, %d of them for its name", inOne, used, name)
		}
		if told := files.Memory() / n; told < used-4 || told > used+4 {
			t.Errorf("%d in a directory: each takes %d bytes, and %d are told", inOne, used, told)
		}
		for _, d := range files.dirs {
			if len(d.files) > 2*maxDirectory {
				t.Errorf("%d in a directory: %d bytes are in one piece", inOne, len(d.files))
			}
		}
		i := n
		for f := range files.All() {
			if i--; f.Path != fmt.Sprintf("%s%d/cowrie.json.%d", top, i/inOne, i) || f.Inode != 1<<24+uint64(i) {
				t.Fatalf("%d in a directory: %+v, not the %dth", inOne, f, i)
			}
		}
	}
}

// TestFindLarge finds what is in a directory that is read in several portions,
// and in one below many, with one of them open at a time.
func TestFindLarge(t *testing.T) {
	dir := t.TempDir()
	deep := filepath.Join(dir, strings.Repeat("d/", 40))
	if err := os.MkdirAll(deep, 0o755); err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{}
	put := func(path string) {
		want[path] = true
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	put(filepath.Join(deep, "log"))
	for i := range 2*walkBatch + 1 {
		put(filepath.Join(dir, fmt.Sprint(i)))
	}
	open := func() (n int) {
		list, _ := filepath.Glob("/proc/self/fd/*")
		for _, fd := range list {
			if to, err := os.Readlink(fd); err == nil && strings.HasPrefix(to, dir) {
				n++
			}
		}
		return n
	}
	files, problems, err := Find(t.Context(), []string{dir}, func(f Found) bool {
		if f.Path == filepath.Join(deep, "log") && open() > 1 {
			t.Errorf("%d are open", open())
		}
		return true
	})
	if err != nil || problems != nil {
		t.Fatal(problems, err)
	}
	got := map[string]bool{}
	for f := range files.All() {
		got[f.Path] = true
	}
	if diff := cmp.Diff(want, got); diff != "" || files.Len() != len(want) {
		t.Errorf("%d files: %s", files.Len(), diff)
	}
}

// TestFindRestless: a directory that is gone when its turn comes was never there,
// one that is no directory any more is a problem, and nothing is waited for.
func TestFindRestless(t *testing.T) {
	dir := t.TempDir()
	gone, other := filepath.Join(dir, "gone"), filepath.Join(dir, "other")
	for _, path := range []string{filepath.Join(gone, "log"), filepath.Join(other, "log"), filepath.Join(dir, "log"), filepath.Join(dir, "unwanted")} {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(a), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	files, problems, err := Find(t.Context(), []string{dir}, func(f Found) bool {
		if f.Path == filepath.Join(dir, "log") {
			os.RemoveAll(gone)
			os.RemoveAll(other)
			if err := syscall.Mkfifo(other, 0o600); err != nil {
				t.Error(err)
			}
		}
		return filepath.Base(f.Path) != "unwanted"
	})
	if err != nil || files.Len() != 1 || files.Size() != int64(len(a)) {
		t.Errorf("%d files of %d bytes, %v", files.Len(), files.Size(), err)
	}
	if len(problems) != 1 || problems[0].Path != other {
		t.Errorf("problems %v", problems)
	}
}
