package downloads_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
)

// archiveForms are the ways in which a tree is packed.
func archiveForms(t testing.TB, f *forest) map[string][]byte {
	t.Helper()
	plain := tarOf(t, f.dir, "./")
	forms := map[string][]byte{
		"downloads.tar": plain,
		"downloads.tgz": packed(t, tarOf(t, f.dir, "data/cowrie/downloads/"), func(w io.Writer) (io.WriteCloser, error) { return gzip.NewWriter(w), nil }),
		"zst": packed(t, plain, func(w io.Writer) (io.WriteCloser, error) {
			return zstd.NewWriter(w, zstd.WithEncoderConcurrency(1))
		}),
		"downloads.zip": zipOf(t, f.dir),
	}
	if bzip2, err := exec.LookPath("bzip2"); err == nil {
		cmd := exec.Command(bzip2, "-c")
		cmd.Stdin = bytes.NewReader(plain)
		out, err := cmd.Output()
		must(t, err)
		forms["downloads.tar.bz2"] = out
	} else {
		t.Log("WITHOUT bzip2, which is not there")
	}
	return forms
}

func packed(t testing.TB, data []byte, to func(io.Writer) (io.WriteCloser, error)) []byte {
	t.Helper()
	var buf bytes.Buffer
	w, err := to(&buf)
	must(t, err)
	_, err = w.Write(data)
	must(t, err)
	must(t, w.Close())
	return buf.Bytes()
}

// packable calls f for what an archive can have of a directory.
func packable(t testing.TB, dir string, f func(name, path string, info fs.FileInfo)) {
	t.Helper()
	must(t, filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		if info.Size() < 1<<40 && info.Mode()&(fs.ModeSocket|fs.ModeDevice) == 0 {
			f(path[len(dir)+1:], path, info)
		}
		return nil
	}))
}

func tarOf(t testing.TB, dir, prefix string) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	packable(t, dir, func(name, path string, info fs.FileInfo) {
		to, _ := os.Readlink(path)
		h, err := tar.FileInfoHeader(info, to)
		must(t, err)
		if h.Name = prefix + name; info.IsDir() {
			h.Name += "/"
		}
		must(t, w.WriteHeader(h))
		if info.Mode().IsRegular() {
			data, err := os.ReadFile(path)
			must(t, err)
			_, err = w.Write(data)
			must(t, err)
		}
	})
	must(t, w.Close())
	return buf.Bytes()
}

func zipOf(t testing.TB, dir string) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := zip.NewWriter(&buf)
	packable(t, dir, func(name, path string, info fs.FileInfo) {
		h, err := zip.FileInfoHeader(info)
		must(t, err)
		if h.Name, h.Method = name, zip.Deflate; info.IsDir() {
			h.Name += "/"
		}
		out, err := w.CreateHeader(h)
		must(t, err)
		var data []byte
		switch {
		case info.Mode().IsRegular():
			data, err = os.ReadFile(path)
		case info.Mode()&fs.ModeSymlink != 0:
			var to string
			to, err = os.Readlink(path)
			data = []byte(to)
		}
		must(t, err)
		_, err = out.Write(data)
		must(t, err)
	})
	must(t, w.Close())
	return buf.Bytes()
}

// TestScanArchives: from each form of archive come the same files, facts and
// sightings as from the directory.
func TestScanArchives(t *testing.T) {
	t.Parallel()
	f := plant(t)
	calm := newDatabase(t)
	calm.scan(f.dir, f.first())
	want := calm.dump()
	for name, data := range archiveForms(t, f) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), name)
			write(t, path, string(data), day(9))
			db := newDatabase(t)
			first := f.first()
			first.Archives = 1
			s := db.scan(path, first)
			if diff := cmp.Diff(f.passed, s.Passed); diff != "" {
				t.Errorf("passed over (-want +got):\n%s", diff)
			}
			f.look(t, db)
			if got := db.dump(); got != want {
				t.Errorf("not the same as from the directory:\n%s", cmp.Diff(want, got))
			}
			if got := db.misnamed(); len(got) != len(f.misnamed) {
				t.Errorf("misnamed are %q, want %q", got, f.misnamed)
			}
			db.scan(path, sum{Archives: 1, Unchanged: 1})
			if got := db.dump(); got != want {
				t.Errorf("again adds something:\n%s", cmp.Diff(want, got))
			}

			// Touched, it is read again, and adds nothing.
			must(t, os.Chtimes(path, time.Time{}, day(10)))
			n := int64(len(f.captures))
			db.scan(path, sum{Archives: 1, Entries: n, Read: n, Misnamed: int64(len(f.misnamed))})
			if got := db.dump(); got != want {
				t.Errorf("read again it adds something:\n%s", cmp.Diff(want, got))
			}
		})
	}
}

// TestScanCapturedArchive: an archive is a capture where it lies in a directory,
// or bears its hash.
func TestScanCapturedArchive(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "in", "inner"), "inner", day(1))
	data := string(tarOf(t, filepath.Join(dir, "in"), ""))
	write(t, filepath.Join(dir, "downloads", "x.tar"), data, day(2))
	write(t, filepath.Join(dir, hashOf(data)), data, day(2))
	db := newDatabase(t)
	db.scan(filepath.Join(dir, "downloads"), sum{Files: 1, Sightings: 1, Facts: 1, Entries: 1, Read: 1})
	db.scan(filepath.Join(dir, hashOf(data)), sum{Entries: 1, Read: 1})
	if got := db.value(`SELECT group_concat(shasum) FROM files`); got != hashOf(data) {
		t.Errorf("there is %s, want %s", got, hashOf(data))
	}
}

// TestScanArchiveMended: an archive that was cut off or held the name of
// another content, and was put right, has no problem any more.
func TestScanArchiveMended(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	in := filepath.Join(dir, "in")
	for _, name := range []string{"a", "b", "c"} {
		write(t, filepath.Join(in, name), strings.Repeat(name, 5000), day(1))
	}
	wrong := hashOf("promised")
	write(t, filepath.Join(in, "d", wrong), "not what was promised", day(1))
	whole := string(tarOf(t, in, ""))
	path := filepath.Join(dir, "downloads.tar")
	write(t, path, whole[:strings.Index(whole, "bbbbbb")+2000], day(2))
	db := newDatabase(t)
	s := db.scan(path, sum{Files: 1, Sightings: 1, Facts: 1, Entries: 2, Read: 1, Archives: 1, Failed: 1})
	for _, p := range s.Unreadable {
		if !strings.HasPrefix(p.Path, path) || !strings.Contains(p.Err.Error(), "cut off") {
			t.Errorf("%s: %v", p.Path, p.Err)
		}
	}
	if got := db.problems(); len(got) != 1 || got["b"] == "" {
		t.Errorf("problems are %q", got)
	}
	db.scan(path, sum{Entries: 2, Read: 1, Archives: 1, Failed: 1}) // it is tried again

	write(t, path, whole, day(3))
	db.scan(path, sum{Files: 3, Sightings: 3, Facts: 3, Entries: 4, Read: 4, Archives: 1, Misnamed: 1})
	if got := db.problems(); len(got) > 0 {
		t.Errorf("problems that went away: %q", got)
	}
	if got := db.misnamed(); !slices.Equal(got, []string{"d/" + wrong}) {
		t.Errorf("misnamed are %q", got)
	}
	must(t, os.RemoveAll(filepath.Join(in, "d")))
	write(t, path, string(tarOf(t, in, "")), day(4))
	db.scan(path, sum{Entries: 3, Read: 3, Archives: 1})
	if got := db.misnamed(); len(got) > 0 {
		t.Errorf("misnamed and gone: %q", got)
	}
}
