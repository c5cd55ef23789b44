package downloads

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
)

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
