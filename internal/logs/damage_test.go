package logs

import (
	"bytes"
	stdgzip "compress/gzip"
	"errors"
	"io"
	"os"
	"slices"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// parts is content in members or frames, and where each of them ends.
type parts struct {
	data []byte
	ends map[int][]byte // the content up to there
}

func (p *parts) add(packed, content []byte) {
	before := p.ends[len(p.data)]
	p.data = append(p.data, packed...)
	if p.ends == nil {
		p.ends = map[int][]byte{0: nil}
	}
	p.ends[len(p.data)] = slices.Concat(before, content)
}

// checkDamaged cuts a packed file and changes a byte: what is read is what was
// packed, and if it is less, or something else, there is an error.
func checkDamaged(t testing.TB, p *parts, cut, at int, flip byte) {
	t.Helper()
	data := bytes.Clone(p.data[:cut])
	if at < cut {
		data[at] ^= flip
	} else {
		flip = 0
	}
	got, f, err := content(t, data)
	if f.Compression == "" {
		return // so little is left that nothing tells what it was
	}
	whole := p.ends[len(p.data)]
	want, border := p.ends[cut]
	switch {
	case p.unsigned(data, at):
	case flip == 0 && border:
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%s: %d bytes of %d, %v", f.Compression, len(got), len(want), err)
		}
	case flip == 0:
		if !errors.Is(err, io.ErrUnexpectedEOF) || !bytes.HasPrefix(whole, got) {
			t.Fatalf("%s cut at %d of %d: %d bytes, %v", f.Compression, cut, len(p.data), len(got), err)
		}
	case err == nil && !(border && bytes.Equal(got, want)):
		t.Fatalf("%s with byte %d of %d changed by %#x, cut at %d: %d bytes of %d, and no error", f.Compression, at, len(p.data), flip, cut, len(got), len(whole))
	}
}

// unsigned reports whether a frame of zstd had a checksum, until the byte at some place was changed:
// what is behind it can be cut off then, and nothing tells.
func (p *parts) unsigned(data []byte, at int) bool {
	const descriptor, hasChecksum = 4, 1 << 2
	_, begins := p.ends[at-descriptor]
	return begins && bytes.HasPrefix(data, []byte("\x28\xb5\x2f\xfd")) && at < len(data) &&
		p.data[at]&hasChecksum != 0 && data[at]&hasChecksum == 0
}

func zstdPacked(t testing.TB, content []byte) []byte {
	t.Helper()
	z, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithZeroFrames(true))
	if err != nil {
		t.Fatal(err)
	}
	return z.EncodeAll(content, nil)
}

// TestEveryCut cuts a file of two members at each byte, and changes each.
func TestEveryCut(t *testing.T) {
	first, second := []byte(a+"\n"+b+"\n"), []byte(c+"\n")
	var gz, zst, bz parts
	gz.add(packed(first), first)
	gz.add(packed(second), second)
	zst.add(zstdPacked(t, first), first)
	zst.add(zstdPacked(t, second), second)
	three, err := os.ReadFile("testdata/three.bz2")
	if err != nil {
		t.Fatal(err)
	}
	for i, stream := range bytes.SplitAfter(three, []byte("BZh")) {
		if i == 0 {
			continue // BZh alone
		}
		stream = append([]byte("BZh"), bytes.TrimSuffix(stream, []byte("BZh"))...)
		unpacked, _, err := content(t, stream)
		if err != nil {
			t.Fatal(err)
		}
		bz.add(stream, unpacked)
	}
	for _, p := range []*parts{&gz, &zst, &bz} {
		for i := range p.data {
			checkDamaged(t, p, i, i, 0)
			checkDamaged(t, p, len(p.data), i, 1<<(i%8))
		}
	}
}

// FuzzDamaged damages files of two members.
func FuzzDamaged(f *testing.F) {
	f.Add([]byte(a+"\n"+b+"\n"), false, uint16(10), uint16(60), uint16(30), byte(1))
	f.Add([]byte(a+"\n"+b+"\n"), true, uint16(10), uint16(60), uint16(30), byte(0x80))
	f.Add(bytes.Repeat([]byte(c+"\n"), 100), true, uint16(500), uint16(200), uint16(12), byte(0xff))
	f.Add([]byte("abcdef"), true, uint16(10), uint16(20), uint16(4), byte(4))
	f.Add([]byte{}, false, uint16(0), uint16(0), uint16(0), byte(0))
	f.Fuzz(func(t *testing.T, text []byte, isZstd bool, border, cut, at uint16, flip byte) {
		pack := packed
		if isZstd {
			pack = func(text []byte) []byte { return zstdPacked(t, text) }
		}
		var p parts
		n := int(border) % (len(text) + 1)
		p.add(pack(text[:n]), text[:n])
		p.add(pack(text[n:]), text[n:])
		checkDamaged(t, &p, len(p.data)-int(cut)%(len(p.data)+1), int(at)%len(p.data), flip)
	})
}

// reserved reports whether the header of a member sets a bit that none may set.
func reserved(data []byte) bool {
	for _, rest := range bytes.Split(data, []byte("\x1f\x8b\x08"))[1:] {
		if len(rest) > 0 && rest[0] >= 0x20 {
			return true
		}
	}
	return false
}

// FuzzGzip holds the reader of gzip to the standard library's.
func FuzzGzip(f *testing.F) {
	one := packed([]byte(a + "\n"))
	for _, tail := range []string{"", "\x00\x00\x00", "\x1f", "\x00\x1f\x8b", "rubbish", string(one), "\x00" + string(one)} {
		f.Add(append(bytes.Clone(one), tail...))
	}
	for _, flags := range []byte{0x01, 0x02, 0x04, 0x08, 0x10, 0x1f, 0x20} { // text, CRC, extra, name, comment, all, reserved
		odd := bytes.Clone(one)
		odd[3] = flags
		f.Add(odd)
	}
	const most = 16 << 20
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := Open(write(t, data))
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		if file.Compression != "gzip" {
			return
		}
		got, err := io.ReadAll(io.LimitReader(file.input, most))
		var want []byte
		z, wantErr := stdgzip.NewReader(bytes.NewReader(data))
		if wantErr == nil {
			want, wantErr = io.ReadAll(io.LimitReader(z, most))
		}
		// RFC 1952 wants an error where a reserved bit is set; the library passes over it.
		if wantErr == nil && err != nil && reserved(data) {
			return
		}
		// Zeros behind a member are an error for the library alone. Where both fail, one
		// may have handed over more than the other.
		if wantErr == nil && err != nil || err == nil && wantErr != nil && !errors.Is(wantErr, stdgzip.ErrHeader) && !errors.Is(wantErr, io.ErrUnexpectedEOF) {
			t.Fatalf("%v, but the standard library says %v", err, wantErr)
		}
		if err == nil && !bytes.Equal(got, want) && (wantErr == nil || !bytes.HasPrefix(got, want)) {
			t.Fatalf("%d bytes, want %d", len(got), len(want))
		}
	})
}
