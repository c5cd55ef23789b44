package downloads

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"runtime"
	"strings"
	"testing"
)

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
