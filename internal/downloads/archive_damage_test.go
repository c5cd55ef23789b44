package downloads

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/bzip2"
	"context"
	"io"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

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
