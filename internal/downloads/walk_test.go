package downloads

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// plot is a directory that a test fills, and the root of it.
type plot struct {
	t    testing.TB
	path string
	root *os.Root
}

func newPlot(t testing.TB) *plot {
	t.Helper()
	p := &plot{t: t, path: t.TempDir()}
	var err error
	p.root, err = os.OpenRoot(p.path)
	p.ok(err)
	t.Cleanup(func() { p.root.Close() })
	return p
}

func (p *plot) ok(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

func (p *plot) at(name string) string { return filepath.Join(p.path, name) }

func (p *plot) write(name, content string) {
	p.t.Helper()
	p.ok(os.MkdirAll(filepath.Dir(p.at(name)), 0o755))
	p.ok(os.WriteFile(p.at(name), []byte(content), 0o644))
}

// seen is what a walk told.
type seen struct {
	names, passed, failed []string
}

// walk walks the plot, and calls between with each batch. It fails the test if
// the walk does not come to an end.
func (p *plot) walk(between func([]entry) error) seen {
	p.t.Helper()
	var s seen
	done := make(chan error, 1)
	go func() {
		done <- walk(p.t.Context(), p.root, func(batch []entry) error {
			for _, e := range batch {
				s.names = append(s.names, e.name)
			}
			if between != nil {
				return between(batch)
			}
			return nil
		}, func(reason string) { s.passed = append(s.passed, reason) },
			func(name string, err error) { s.failed = append(s.failed, name+": "+cause(err).Error()) })
	}()
	select {
	case err := <-done:
		p.ok(err)
	case <-time.After(10 * time.Second):
		buf := make([]byte, 64<<10)
		p.t.Fatalf("the walk hangs\n%s", buf[:runtime.Stack(buf, true)])
	}
	slices.Sort(s.names)
	return s
}

func (s seen) want(t testing.TB, names ...string) {
	t.Helper()
	slices.Sort(names)
	if !slices.Equal(s.names, names) {
		t.Errorf("the walk saw\n%q, want\n%q", s.names, names)
	}
}

func TestWalk(t *testing.T) {
	t.Parallel()
	p := newPlot(t)
	want := []string{"a", "sub/b", "sub/deeper/c", "sub/deeper/\xff", "link", "dirlink", "fifo", ".hidden", "loop"}
	for _, name := range want[:4] {
		p.write(name, "x")
	}
	p.write(".hidden", "x")
	p.ok(os.Mkdir(p.at("nothing"), 0o755))
	p.ok(os.Symlink("a", p.at("link")))
	p.ok(os.Symlink("sub", p.at("dirlink")))
	p.ok(os.Symlink("loop", p.at("loop")))
	p.ok(syscall.Mkfifo(p.at("fifo"), 0o644))
	s := p.walk(nil)
	s.want(t, want...)
	if len(s.passed)+len(s.failed) > 0 {
		t.Errorf("passed over %q, failed %q", s.passed, s.failed)
	}
}

// TestWalkLarge walks a directory of more entries than are read at once, with
// more directories than a batch between them.
func TestWalkLarge(t *testing.T) {
	t.Parallel()
	p := newPlot(t)
	var want []string
	for i := range 2*walkBatch + 7 {
		name := fmt.Sprintf("f%04d", i)
		p.ok(os.WriteFile(p.at(name), nil, 0o644))
		want = append(want, name)
		if i%2 == 0 {
			name = fmt.Sprintf("d%04d", i)
			p.ok(os.Mkdir(p.at(name), 0o755))
			if i%50 == 0 {
				p.write(name+"/x", "")
				want = append(want, name+"/x")
			}
		}
	}
	most := 0
	p.walk(func(batch []entry) error {
		most = max(most, len(batch))
		return nil
	}).want(t, want...)
	if most > walkBatch {
		t.Errorf("a batch had %d entries", most)
	}
}

// TestWalkDeep: what lies too deep is passed over and counted, and neither
// deep nor long paths are a problem.
func TestWalkDeep(t *testing.T) {
	t.Parallel()
	p := newPlot(t)
	long := strings.Repeat("d", 255) // 32 of them are longer than a path may be
	dir := p.root
	var want []string
	var name string
	for range maxDepth + 2 {
		f, err := dir.Create("x")
		p.ok(err)
		f.Close()
		if want = append(want, name+"x"); len(want) > maxDepth+1 {
			want = want[:maxDepth+1]
		}
		p.ok(dir.Mkdir(long, 0o755))
		if dir, err = dir.OpenRoot(long); err != nil {
			t.Fatal(err)
		}
		defer dir.Close()
		name += long + "/"
	}
	s := p.walk(nil)
	s.want(t, want...)
	if !slices.Equal(s.passed, []string{tooDeep}) || len(s.failed) > 0 {
		t.Errorf("passed over %q, failed %q", s.passed, s.failed)
	}
}

// TestWalkStops: an error of the one who takes the entries ends it, and so does
// the context.
func TestWalkStops(t *testing.T) {
	t.Parallel()
	p := newPlot(t)
	p.write("a", "x")
	p.write("sub/b", "x")
	enough := errors.New("enough")
	calls := 0
	none := func(string, error) { t.Error("it failed") }
	err := walk(t.Context(), p.root, func([]entry) error { calls++; return enough }, func(string) {}, none)
	if err != enough || calls != 1 {
		t.Errorf("%v after %d batches", err, calls)
	}
	ctx, cancel := context.WithCancel(t.Context())
	calls = 0
	err = walk(ctx, p.root, func([]entry) error { calls++; cancel(); return nil }, func(string) {}, none)
	if !errors.Is(err, context.Canceled) || calls != 1 {
		t.Errorf("%v after %d batches", err, calls)
	}
}

// TestWalkSwapped puts something else in the place of a directory between the
// moment when it is listed and the one when it is opened. Nothing outside of the
// root is seen, nothing is followed, and nothing blocks.
func TestWalkSwapped(t *testing.T) {
	t.Parallel()
	outside := t.TempDir()
	if err := os.WriteFile(filepath.Join(outside, "secret"), []byte("secret"), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, swap := range map[string]func(path string) error{
		"a link to the outside":       func(path string) error { return os.Symlink(outside, path) },
		"a link up and out":           func(path string) error { return os.Symlink("../"+filepath.Base(outside), path) },
		"a dangling link":             func(path string) error { return os.Symlink("gone", path) },
		"a link to itself":            func(path string) error { return os.Symlink("sub", path) },
		"a link to the root":          func(path string) error { return os.Symlink(".", path) },
		"a link to another directory": func(path string) error { return os.Symlink("other", path) },
		"a file":                      func(path string) error { return os.WriteFile(path, []byte("x"), 0o644) },
		"a FIFO":                      func(path string) error { return syscall.Mkfifo(path, 0o644) },
		"nothing":                     func(path string) error { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlot(t)
			p.write("sub/inside", "x")
			p.write("other/y", "y")
			swapped := false
			// Whoever hangs on a FIFO is let go in the end.
			defer func() {
				if fd, err := syscall.Open(p.at("sub"), syscall.O_RDWR|syscall.O_NONBLOCK, 0); err == nil {
					syscall.Close(fd)
				}
			}()
			s := p.walk(func([]entry) error {
				if swapped {
					return nil
				}
				swapped = true
				if err := os.Rename(p.at("sub"), p.at("gone-"+name)); err != nil {
					return err
				}
				if err := swap(p.at("sub")); err != nil {
					return err
				}
				// What lies here was seen by its listing; this is of no interest.
				return os.RemoveAll(p.at("gone-" + name))
			})
			s.want(t, "other/y")
		})
	}
}

// TestWalkReplaced replaces a directory while it is walked.
func TestWalkReplaced(t *testing.T) {
	t.Parallel()
	outside := t.TempDir()
	for i := range 2 * walkBatch {
		if err := os.WriteFile(filepath.Join(outside, fmt.Sprintf("f%04d", i)), []byte("secret"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for name, link := range map[string]bool{"a link": true, "another directory": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlot(t)
			for i := range 2 * walkBatch {
				p.write(fmt.Sprintf("sub/f%04d", i), "inside")
			}
			swapped := false
			s := p.walk(func(batch []entry) error {
				for _, e := range batch {
					if e.info.Size() != int64(len("inside")) {
						return fmt.Errorf("%s is that of the outside", e.name)
					}
				}
				if swapped || len(batch) == 0 {
					return nil
				}
				swapped = true
				if err := os.Rename(p.at("sub"), p.at("moved")); err != nil {
					return err
				}
				if link {
					return os.Symlink(outside, p.at("sub"))
				}
				return os.Mkdir(p.at("sub"), 0o755)
			})
			if !swapped || len(s.names) >= 2*walkBatch {
				t.Errorf("%d entries were seen, swapped: %v", len(s.names), swapped)
			}
		})
	}
}

// TestReadSwapped puts something else in the place of a file before it is read.
func TestReadSwapped(t *testing.T) {
	t.Parallel()
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("secret"), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, swap := range map[string]func(p *plot) error{
		"a link to the outside":             func(p *plot) error { return os.Symlink(secret, p.at("x")) },
		"a link up and out":                 func(p *plot) error { rel, _ := filepath.Rel(p.path, secret); return os.Symlink(rel, p.at("x")) },
		"a link to another file":            func(p *plot) error { return os.Symlink("other", p.at("x")) },
		"a link by an absolute path inside": func(p *plot) error { return os.Symlink(p.at("other"), p.at("x")) },
		"a dangling link":                   func(p *plot) error { return os.Symlink("gone", p.at("x")) },
		"a link to itself":                  func(p *plot) error { return os.Symlink("x", p.at("x")) },
		"a directory":                       func(p *plot) error { return os.Mkdir(p.at("x"), 0o755) },
		"a FIFO":                            func(p *plot) error { return syscall.Mkfifo(p.at("x"), 0o644) },
		"nothing":                           func(p *plot) error { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlot(t)
			p.write("other", "other")
			p.ok(swap(p))
			done := make(chan struct{})
			go func() {
				defer close(done)
				if _, c, err := readFile(t.Context(), newInspector(), p.root, "x"); c != nil {
					t.Errorf("it was read: %q", c.Head)
				} else if err == nil {
					t.Error("neither a content nor an error")
				}
			}()
			select {
			case <-done:
			case <-time.After(10 * time.Second):
				t.Error("it hangs")
			}
		})
	}
}

// asked is a context that does something whenever it is asked, which reading
// does between two reads.
type asked struct {
	context.Context
	do func()
}

func (a asked) Err() error {
	a.do()
	return a.Context.Err()
}

// TestReadChanging reads files that change meanwhile: once, so that the second
// try succeeds, and always.
func TestReadChanging(t *testing.T) {
	t.Parallel()
	content := strings.Repeat("0123456789abcdef", 3*bufferSize/16)
	for name, change := range map[string]func(path string) error{
		"longer": func(path string) error { return appendTo(path, "more") },
		"shorter": func(path string) error {
			info, err := os.Stat(path)
			if err != nil {
				return err
			}
			return os.Truncate(path, max(0, info.Size()-1))
		},
		"other": func(path string) error { // of the same size
			f, err := os.OpenFile(path, os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			defer f.Close()
			if _, err = f.WriteAt([]byte("changed"), 1000); err != nil {
				return err
			}
			info, err := f.Stat()
			if err != nil {
				return err
			}
			return os.Chtimes(path, time.Time{}, info.ModTime().Add(time.Second))
		},
		"touched": func(path string) error {
			info, err := os.Stat(path)
			if err != nil {
				return err
			}
			return os.Chtimes(path, time.Time{}, info.ModTime().Add(time.Microsecond))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlot(t)
			p.write("x", content)
			changes := 0
			ctx := asked{t.Context(), func() {
				if changes++; changes == 2 { // in the middle of the first try
					p.ok(change(p.at("x")))
				}
			}}
			read, c, err := readFile(ctx, newInspector(), p.root, "x")
			p.ok(err)
			now, err := os.ReadFile(p.at("x"))
			p.ok(err)
			info, err := os.Stat(p.at("x"))
			p.ok(err)
			if sum := sha256.Sum256(now); c.Shasum != hex.EncodeToString(sum[:]) || c.Size != int64(len(now)) || fileID(read) != fileID(info) {
				t.Errorf("read as %s of %d bytes, %+v", c.Shasum, c.Size, fileID(read))
			}

			if name == "shorter" || name == "touched" {
				return // it takes its time, and is no other than those
			}
			// It asks four times in a try, at least.
			asks := 0
			_, c, err = readFile(asked{t.Context(), func() {
				if asks++; asks%3 == 0 {
					p.ok(change(p.at("x")))
				}
			}}, newInspector(), p.root, "x")
			if !errors.Is(err, errChanged) || c != nil {
				t.Errorf("a file that never holds still: %v, %v", c, err)
			}
		})
	}

	// Nobody waits longer for a file to hold still than the context says.
	p := newPlot(t)
	p.write("x", content)
	ctx, cancel := context.WithCancel(t.Context())
	changes := 0
	_, c, err := readFile(asked{ctx, func() {
		if changes++; changes == 2 {
			p.ok(appendTo(p.at("x"), "more"))
			cancel()
		}
	}}, newInspector(), p.root, "x")
	if !errors.Is(err, context.Canceled) || c != nil {
		t.Errorf("a context that ended: %v, %v", c, err)
	}
}

// TestReadGrowing: a file that grows as fast as it is read does not keep a
// reader for ever.
func TestReadGrowing(t *testing.T) {
	t.Parallel()
	p := newPlot(t)
	p.write("x", string(bytes.Repeat([]byte("x"), 2*bufferSize)))
	more := strings.Repeat("y", bufferSize)
	reads, endless := 0, 200
	_, c, err := readFile(asked{t.Context(), func() {
		if reads++; reads < endless { // let it come to an end here
			p.ok(appendTo(p.at("x"), more))
		}
	}}, newInspector(), p.root, "x")
	if !errors.Is(err, errChanged) || c != nil {
		t.Errorf("%v, %v", c, err)
	}
	if reads >= endless {
		t.Error("it was read for as long as it grew")
	}
}

func appendTo(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}
