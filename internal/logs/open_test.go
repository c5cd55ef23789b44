package logs

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"

	"midden/internal/cowrie"
)

// content reads all that a file holds, and the error that ended it.
func content(t testing.TB, data []byte) ([]byte, *File, error) {
	t.Helper()
	f, err := Open(write(t, data))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	got, err := io.ReadAll(f.input)
	return got, f, err
}

func TestCompressionByContent(t *testing.T) {
	z, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	bz, err := os.ReadFile("testdata/three.bz2")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		data []byte
		want string
	}{
		{"cowrie.json.gz", []byte(a + "\n"), ""},
		{"cowrie.json", packed([]byte(a + "\n")), "gzip"},
		{"cowrie.bz2", packed([]byte(a + "\n")), "gzip"},
		{"cowrie.gz", bz, "bzip2"},
		{"cowrie.txt", z.EncodeAll([]byte(a+"\n"), nil), "zstd"},
		{"BZh is a word", []byte("BZh9"), ""},
		{"BZh0 is no bzip2", []byte("BZh0 garbage and more"), ""},
		{"empty.gz", nil, ""},
		{"one byte", []byte{0x1f}, ""},
	} {
		path := filepath.Join(t.TempDir(), tt.name)
		if err := os.WriteFile(path, tt.data, 0o644); err != nil {
			t.Fatal(err)
		}
		f, r, err := reader(t, path)
		if err != nil || f.Compression != tt.want {
			t.Errorf("%s: compression %q, %v; want %q", tt.name, f.Compression, err, tt.want)
			continue
		}
		if r.LooksLikeLog() != bytes.Contains([]byte(tt.name), []byte("cowrie")) {
			t.Errorf("%s: looks like a log: %v", tt.name, r.LooksLikeLog())
		}
	}
}

func TestEmpty(t *testing.T) {
	z, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{"plain": nil, "gzip": packed(nil), "zstd": z.EncodeAll(nil, []byte{0x28, 0xb5, 0x2f, 0xfd, 0x24, 0, 1, 0, 0, 0x99, 0xe9, 0xd8, 0x51})} {
		_, r, err := reader(t, write(t, data))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if b, err := r.Next(); b != nil || err != io.EOF || r.Fingerprint() != "" || r.Pending() != 0 || r.Position() != 0 || r.LooksLikeLog() {
			t.Errorf("%s: block %v, %v; fingerprint %q, %d pending", name, b, err, r.Fingerprint(), r.Pending())
		}
	}
}

// TestWhatCanBeReadIsRead: a damaged file gives all that its kind of
// compression still can, whether it was cut or changed, and never more.
func TestWhatCanBeReadIsRead(t *testing.T) {
	whole := manyLines()
	z, err := zstd.NewWriter(nil, zstd.WithWindowSize(1<<16))
	if err != nil {
		t.Fatal(err)
	}
	bz, err := os.ReadFile("testdata/many.bz2")
	if err != nil {
		t.Fatal(err)
	}
	unpacked, _, err := content(t, bz)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name    string
		data    []byte
		content []byte
		step    int // content that may be lost before the cut
	}{
		{"gzip", packed(whole), whole, 64 << 10},
		{"zstd", z.EncodeAll(whole, nil), whole, 128 << 10},
		{"bzip2", bz, unpacked, 100_000},
	} {
		for i := 1; i < 16; i++ {
			at := len(tt.data) * i / 16
			least := len(tt.content)*i/16 - tt.step - tt.step/2 // packing is not even
			cut, _, err := content(t, tt.data[:at])
			if err == nil || !bytes.HasPrefix(tt.content, cut) || len(cut) < least {
				t.Errorf("%s cut at %d/16: %d bytes of %d, %v", tt.name, i, len(cut), len(tt.content), err)
			}
			if !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("%s cut at %d/16: the error is %v", tt.name, i, err)
			}
			if i == 8 { // so it is for whoever reads records
				whole := bytes.Count(cut, []byte("\n"))
				got := read(t, write(t, tt.data[:at]), cut)
				if got.err == nil || len(got.records) != whole || got.pending != int64(len(cut)-bytes.LastIndexByte(cut, '\n')-1) {
					t.Errorf("%s cut in half: %d records of %d, %d bytes pending, %v", tt.name, len(got.records), whole, got.pending, got.err)
				}
			}
			bad := bytes.Clone(tt.data)
			bad[at] ^= 0x10
			changed, _, err := content(t, bad)
			// What stands in the damaged stretch may be wrong before the check
			// sum tells; what stands before it may not.
			if same := commonPrefix(tt.content, changed); err == nil || same < least {
				t.Errorf("%s changed at %d/16: the first %d of %d bytes, %v", tt.name, i, same, len(tt.content), err)
			}
		}
	}
}

func commonPrefix(a, b []byte) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

// TestRewind goes back to the beginning while much is unread.
func TestRewind(t *testing.T) {
	bz, err := os.ReadFile("testdata/many.bz2")
	if err != nil {
		t.Fatal(err)
	}
	unpacked, _, err := content(t, bz)
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{"plain": unpacked, "gzip": packed(unpacked), "bzip2": bz} {
		_, r, err := reader(t, write(t, data))
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if digest, err := r.Advance(1000); err != nil || digest != hexSum(unpacked[:1000]) {
				t.Errorf("%s: %s, %v", name, digest, err)
			}
			if n := r.BytesRead(); n <= 0 || n > int64(len(data)) {
				t.Errorf("%s: %d bytes read of %d", name, n, len(data))
			}
			if err := r.Rewind(); err != nil {
				t.Fatal(err)
			}
		}
		if got := drain(t, r, unpacked); got.err != nil || len(got.records) != bytes.Count(unpacked, []byte("\n")) {
			t.Errorf("%s: %d records, %v", name, len(got.records), got.err)
		}
	}
}

func hexSum(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// TestZstdWindow: a frame that asks for more memory than a log needs is
// refused before any is taken.
func TestZstdWindow(t *testing.T) {
	frame := func(window byte) []byte {
		// Magic, a descriptor that says nothing, a window of 2^(10+window/8)
		// bytes, a last raw block of one byte.
		return []byte{0x28, 0xb5, 0x2f, 0xfd, 0x00, window, 0x09, 0x00, 0x00, '{'}
	}
	if got, _, err := content(t, frame(16<<3)); err != nil || string(got) != "{" {
		t.Errorf("a window of 64 MB: %q, %v", got, err)
	}
	for _, exponent := range []byte{17, 21, 31} {
		if got, _, err := content(t, frame(exponent<<3)); !errors.Is(err, zstd.ErrWindowSizeExceeded) || len(got) > 0 {
			t.Errorf("a window of 2^%d bytes: %q, %v", exponent+10, got, err)
		}
		// So it is when it comes behind a frame that is well.
		got, _, err := content(t, append(frame(0), frame(exponent<<3)...))
		if !errors.Is(err, zstd.ErrWindowSizeExceeded) || string(got) != "{" {
			t.Errorf("a second frame with a window of 2^%d bytes: %q, %v", exponent+10, got, err)
		}
	}
	if _, _, err := content(t, append(frame(0), "garbage"...)); err == nil {
		t.Error("garbage behind a frame is no error")
	}
}

// TestCutBehindObject: what looks like a whole object at the end of a damaged
// file may go on.
func TestCutBehindObject(t *testing.T) {
	var data bytes.Buffer
	z := gzip.NewWriter(&data)
	io.WriteString(z, a+"\n"+b)
	z.Flush()
	got := read(t, write(t, data.Bytes()), []byte(a+"\n"+b))
	if !cmp.Equal(got.records, []string{a}) || got.pending != int64(len(b)) || !errors.Is(got.err, io.ErrUnexpectedEOF) {
		t.Errorf("records %q, %d bytes pending, %v", got.records, got.pending, got.err)
	}
}

// TestBrokenFromTheStart: a file of which nothing can be read is an error of
// the reader, one of which something can be is not.
func TestBrokenFromTheStart(t *testing.T) {
	data := packed(manyLines())
	if _, _, err := reader(t, write(t, data[:12])); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("cut behind the header: %v", err)
	}
	// A log that breaks off within its first record will not go on.
	var first bytes.Buffer
	z := gzip.NewWriter(&first)
	io.WriteString(z, b[:20])
	z.Flush()
	if _, _, err := reader(t, write(t, first.Bytes())); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("cut within the first record: %v", err)
	}
	_, r, err := reader(t, write(t, data[:len(data)/2]))
	if err != nil || r.Fingerprint() == "" {
		t.Errorf("cut in the middle: %v", err)
	}
}

func TestNeverBlocks(t *testing.T) {
	dir := t.TempDir()
	socket := filepath.Join(dir, "socket")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	loop := filepath.Join(dir, "loop")
	if err := os.Symlink(loop, loop); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{socket, loop, filepath.Join(dir, "gone"), "/dev/zero"} {
		if f, err := Open(path); err == nil {
			f.Close()
			t.Errorf("%s was opened", path)
		}
	}
	files, problems, err := Find(t.Context(), []string{socket, loop, filepath.Join(dir, "gone"), "/dev/zero"}, nil)
	if files.Len() != 0 || len(problems) != 4 || err != nil {
		t.Errorf("files %v, problems %v, %v", files, problems, err)
	}
	for _, p := range problems {
		if want := p.Path == socket || p.Path == "/dev/zero"; errors.Is(p.Err, ErrNotRegular) != want {
			t.Errorf("%s: %v", p.Path, p.Err)
		}
	}
	// In a directory they are left out without a word.
	if files, problems, err := Find(t.Context(), []string{dir}, nil); files.Len()+len(problems) != 0 || err != nil {
		t.Errorf("files %v, problems %v, %v", files, problems, err)
	}
}

func TestLooksLikeLog(t *testing.T) {
	for content, want := range map[string]bool{
		a: true, "\n \t{": true, "\xef\xbb\xbf{": true, "[ {": true, "[\n{\n": true,
		"": false, " \n": false, "x" + a: false, "[1": false, "[": false, "[[{": false, "\x7fELF": false, "\"{": false,
	} {
		_, r, err := reader(t, write(t, []byte(content)))
		if err != nil {
			t.Fatal(err)
		}
		if got := r.LooksLikeLog(); got != want {
			t.Errorf("%q: %v, want %v", content, got, want)
		}
	}
}

// TestRefresh reads what came to an open file under another name.
func TestRefresh(t *testing.T) {
	path := write(t, []byte(a+"\n"))
	f, r, err := reader(t, path)
	if err != nil {
		t.Fatal(err)
	}
	mark := drain(t, r, []byte(a+"\n")).mark
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path+".1", []byte(a+"\n"+b+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := f.Refresh(); err != nil {
		t.Fatal(err)
	}
	if r, err = NewReader(f); err != nil || !r.Resume(mark) {
		t.Fatalf("not known again: %v", err)
	}
	if got := drain(t, r, []byte(a+"\n"+b+"\n")); !cmp.Equal(got.records, []string{b}) {
		t.Errorf("records %q", got.records)
	}
	if f.Found().Size != int64(len(a)+len(b)+2) || f.Info().Size() != f.Found().Size {
		t.Errorf("size %d", f.Found().Size)
	}
}

func TestAdvanceTooFar(t *testing.T) {
	_, r, err := reader(t, write(t, []byte(a+"\n")))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Advance(int64(len(a)) + 2); err != io.ErrUnexpectedEOF {
		t.Errorf("%v", err)
	}
	if err := r.Rewind(); err != nil {
		t.Fatal(err)
	}
	if got := drain(t, r, []byte(a+"\n")); !cmp.Equal(got.records, []string{a}) {
		t.Errorf("records %q", got.records)
	}
}

// TestResumeStays: a reader that does not resume goes on where it was.
func TestResumeStays(t *testing.T) {
	content := []byte(a + "\n" + b + "\n")
	mark := read(t, write(t, content), content).mark
	if _, r, err := reader(t, write(t, packed(content))); err != nil || r.Resume(cowrie.Mark{Position: 20, State: mark.State}) {
		t.Errorf("a packed file was resumed, %v", err)
	}
	damaged := func(change func(*cowrie.Mark)) cowrie.Mark {
		m := mark
		change(&m)
		return m
	}
	for name, m := range map[string]cowrie.Mark{
		"zero":       {},
		"too far":    damaged(func(m *cowrie.Mark) { m.Position++ }),
		"other tail": damaged(func(m *cowrie.Mark) { m.Tail = append([]byte("x"), m.Tail[1:]...) }),
		"long tail":  damaged(func(m *cowrie.Mark) { m.Position = 3 }),
		"no state":   damaged(func(m *cowrie.Mark) { m.State = nil }),
		"bad state":  damaged(func(m *cowrie.Mark) { m.State = []byte("sha\x03 and no more") }),
	} {
		_, r, err := reader(t, write(t, content))
		if err != nil {
			t.Fatal(err)
		}
		if r.Resume(m) {
			t.Errorf("%s: resumed", name)
			continue
		}
		if got := drain(t, r, content); len(got.records) != 2 {
			t.Errorf("%s: records %q", name, got.records)
		}
	}
}

// TestTooLong takes a record as long as may be and one that is longer, whose
// end comes later.
func TestTooLong(t *testing.T) {
	const begin = `{"eventid":"x","input":"`
	just := begin + strings.Repeat("y", MaxRecord-len(begin)-2) + `"}`
	long := begin + strings.Repeat("y", MaxRecord+1000)
	path := write(t, []byte(a+"\n"+just+"\n"+long))
	_, r, err := reader(t, path)
	if err != nil {
		t.Fatal(err)
	}
	first := drain(t, r, nil)
	if len(first.records) != 2 || first.records[1] != just {
		t.Errorf("%d records", len(first.records))
	}
	start := int64(len(a) + len(just) + 2)
	if first.pending != int64(len(long)) || first.mark.Position != start || r.Position() != start {
		t.Errorf("%d bytes pending, read to %d and %d", first.pending, first.mark.Position, r.Position())
	}
	if diff := cmp.Diff(first.mark, r.mark()); diff != "" {
		t.Errorf("the record that is not whole left a trace:\n%s", diff)
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString("\r\n" + b + "\n"); err != nil {
		t.Fatal(err)
	}
	if _, r, err = reader(t, path); err != nil || !r.Resume(first.mark) {
		t.Fatalf("not known again: %v", err)
	}
	block, err := r.Next()
	if err != nil || block.TooLong == nil {
		t.Fatalf("%+v, %v", block, err)
	}
	want := &cowrie.DeadLetter{Length: int64(len(long) + 1), Digest: hexSum([]byte(long + "\r")), Reason: ErrTooLong.Error()}
	if diff := cmp.Diff(want, block.TooLong); diff != "" || block.From != start || block.Start != start {
		t.Errorf("from %d\n%s", block.Start, diff)
	}
	if rest := drain(t, r, nil); !cmp.Equal(rest.records, []string{b}) || rest.pending != 0 {
		t.Errorf("then %q, %d bytes pending", rest.records, rest.pending)
	}
}

func TestFindOrder(t *testing.T) {
	dir := t.TempDir()
	put := func(name string, age int) string {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(name), 0o644); err != nil {
			t.Fatal(err)
		}
		when := time.Unix(1_700_000_000-int64(age), 5)
		if err := os.Chtimes(path, when, when); err != nil {
			t.Fatal(err)
		}
		return path
	}
	b, a, old := put("d/b", 1), put("d/a", 1), put("d/e/old", 99)
	fresh := put("fresh", 0)
	link := filepath.Join(dir, "to-d")
	if err := os.Symlink("d", link); err != nil {
		t.Fatal(err)
	}
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	relative, err := filepath.Rel(here, fresh)
	if err != nil {
		t.Fatal(err)
	}
	type file struct {
		path  string
		named bool
	}
	for _, tt := range []struct {
		name  string
		paths []string
		want  []file
	}{
		{"by time, then by name", []string{fresh, filepath.Join(dir, "d")}, []file{{old, false}, {a, false}, {b, false}, {fresh, true}}},
		{"twice", []string{fresh, filepath.Join(dir, "d", "..", "fresh"), fresh}, []file{{fresh, true}}},
		{"relative", []string{relative, fresh}, []file{{fresh, true}}},
		{"named, then walked", []string{a, filepath.Join(dir, "d")}, []file{{old, false}, {a, true}, {b, false}}},
		{"walked, then named", []string{filepath.Join(dir, "d"), a}, []file{{old, false}, {a, true}, {b, false}}},
		{"a link to a directory, named", []string{link}, []file{{filepath.Join(link, "e", "old"), false}, {filepath.Join(link, "a"), false}, {filepath.Join(link, "b"), false}}},
		{"a root in a root", []string{dir, filepath.Join(dir, "d", "e"), filepath.Join(dir, "d")}, []file{{old, false}, {a, false}, {b, false}, {fresh, false}}},
		{"one directory twice", []string{filepath.Join(dir, "d"), filepath.Join(dir, "d", "e", "..")}, []file{{old, false}, {a, false}, {b, false}}},
		{"a link to a directory, named, in a root", []string{link, dir}, []file{{old, false}, {filepath.Join(link, "e", "old"), false},
			{a, false}, {b, false}, {filepath.Join(link, "a"), false}, {filepath.Join(link, "b"), false}, {fresh, false}}},
		{"a root in a root that is a link", []string{filepath.Join(link, "e"), link}, []file{{filepath.Join(link, "e", "old"), false}, {filepath.Join(link, "a"), false}, {filepath.Join(link, "b"), false}}},
		{"nothing", nil, nil},
	} {
		files, problems, err := Find(t.Context(), tt.paths, nil)
		if err != nil || len(problems) > 0 {
			t.Errorf("%s: %v, %v", tt.name, problems, err)
		}
		var got []file
		for f := range files.All() {
			got = append(got, file{f.Path, f.Named})
			info, err := os.Stat(f.Path)
			if err != nil || f.Size != info.Size() || f.ModTime != info.ModTime().UnixNano() || f.Inode == 0 {
				t.Errorf("%s: %+v, %v", tt.name, f, err)
			}
		}
		if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(file{})); diff != "" {
			t.Errorf("%s:\n%s", tt.name, diff)
		}
	}
}

func TestFindUnreadable(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("SKIPPED: root can read every directory")
	}
	dir := t.TempDir()
	shut := filepath.Join(dir, "shut")
	if err := os.Mkdir(shut, 0); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "open"), []byte(a), 0o644); err != nil {
		t.Fatal(err)
	}
	files, problems, err := Find(t.Context(), []string{dir}, nil)
	if err != nil || files.Len() != 1 || len(problems) != 1 || problems[0].Path != shut || !errors.Is(problems[0].Err, os.ErrPermission) {
		t.Errorf("files %v, problems %v, %v", files, problems, err)
	}
}

func TestFindStops(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "log"), []byte(a), 0o644); err != nil {
		t.Fatal(err)
	}
	if files, _, err := Find(ctx, []string{dir}, nil); err == nil || files.Len() > 0 || !strings.Contains(err.Error(), "canceled") {
		t.Errorf("files %v, %v", files, err)
	}
}

// TestWrittenAnew: a log that is emptied and written anew while it is read, as
// copytruncate does, gives no line that is of both.
func TestWrittenAnew(t *testing.T) {
	before, after := manyLines(), []byte(nil)
	for i := range 40000 {
		after = fmt.Appendf(after, `{"session":"new%d","eventid":"cowrie.session.connect","timestamp":"2026-01-01T00:00:00Z"}`+"\n", i)
	}
	for _, c := range []struct {
		name string
		step func(f *File) (*Reader, error) // until it is written anew
	}{
		{"when it is opened", nil},
		{"when its first record is read", func(f *File) (*Reader, error) { return NewReader(f) }},
		{"when it goes on", func(f *File) (*Reader, error) {
			r, err := NewReader(f)
			if err != nil {
				return nil, err
			}
			b, err := r.Next()
			if err != nil || !r.Resume(b.Mark) {
				t.Fatalf("it does not resume: %v", err)
			}
			return r, nil
		}},
		{"when it goes back", func(f *File) (*Reader, error) {
			r, err := NewReader(f)
			if err == nil {
				_, err = r.Advance(3 << 20)
			}
			return r, err
		}},
	} {
		path := write(t, bytes.Repeat(before, 1+4<<20/len(before)))
		f, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		var r *Reader
		if c.step != nil {
			if r, err = c.step(f); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(path, after, 0o644); err != nil {
			t.Fatal(err)
		}
		if r == nil {
			if r, err = NewReader(f); err != nil {
				t.Fatal(err)
			}
		} else if c.name == "when it goes back" {
			if err := r.Rewind(); err != nil {
				t.Fatal(err)
			}
		}
		for {
			b, err := r.Next()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v", c.name, err)
			}
			for _, line := range records(b) {
				if !bytes.Contains(before, []byte(line)) {
					t.Fatalf("%s: it reads %s", c.name, line)
				}
			}
		}
	}
}

// TestSmallFile: a log of one line does not cost the memory of a large one. There may be
// a million of them.
func TestSmallFile(t *testing.T) {
	path := write(t, []byte(`{"eventid":"cowrie.session.connect","session":"1"}`+"\n"))
	const times = 50
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range times {
		f, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		r, err := NewReader(f)
		if err == nil {
			_, err = r.Next()
		}
		if f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	runtime.ReadMemStats(&after)
	if each := (after.TotalAlloc - before.TotalAlloc) / times; each > BlockSize/4 {
		t.Errorf("it takes %d bytes", each)
	}
}
