package downloads_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
	"golang.org/x/sys/unix"

	"midden/internal/cowrie"
	"midden/internal/downloads"
	"midden/internal/store"
	"midden/internal/store/sqlite"
	"midden/internal/store/storetest"
)

var quiet = slog.New(slog.DiscardHandler)

// database is a database in a folder of the test's own.
type database struct {
	*store.Store
	t    testing.TB
	path string
	sql  *sql.DB // a connection of its own
}

// emptyDatabase is a new database. To make one takes longer than most scans here.
var emptyDatabase = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "midden")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "midden.db")
	s, err := sqlite.Open(context.Background(), path, sqlite.Options{Create: true, Write: true})
	if err != nil {
		return nil, err
	}
	if err := s.Close(); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
})

func newDatabase(t testing.TB) *database {
	t.Helper()
	path := filepath.Join(t.TempDir(), "midden.db")
	data, err := emptyDatabase()
	must(t, err)
	must(t, os.WriteFile(path, data, 0o600))
	s, err := sqlite.Open(t.Context(), path, sqlite.Options{Create: true, Write: true})
	must(t, err)
	db, err := sql.Open("sqlite", path+"?_pragma=busy_timeout(10000)")
	must(t, err)
	t.Cleanup(func() { db.Close(); s.Close() })
	return &database{s, t, path, db}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (db *database) dump() string {
	db.t.Helper()
	return storetest.Dump(db.t, db.Store, db.sql)
}

// value returns what a query says, in one text.
func (db *database) value(query string, args ...any) string {
	db.t.Helper()
	var text sql.NullString
	if err := db.sql.QueryRow(query, args...).Scan(&text); err != nil && !errors.Is(err, sql.ErrNoRows) {
		db.t.Fatal(err)
	}
	return text.String
}

// problems returns what is noted of entries that could not be read, by name.
func (db *database) problems() map[string]string {
	db.t.Helper()
	found := map[string]string{}
	must(db.t, db.Depots(db.t.Context(), func(d *cowrie.Depot) error {
		return db.EachDepotEntry(db.t.Context(), d, func(e *cowrie.DepotEntry) error {
			if e.Problem != "" {
				found[e.Name] = e.Problem
			}
			return nil
		})
	}))
	return found
}

// misnamed returns the names of other contents, as they are noted.
func (db *database) misnamed() (names []string) {
	db.t.Helper()
	must(db.t, db.Depots(db.t.Context(), func(d *cowrie.Depot) error {
		return db.EachDepotEntry(db.t.Context(), d, func(e *cowrie.DepotEntry) error {
			if downloads.Misnamed(e.Name, e.Shasum) {
				names = append(names, e.Name)
			}
			return nil
		})
	}))
	return names
}

// sum is a summary without what depends on the hour and the machine.
type sum struct {
	Files, Sightings, Facts, Entries, Unchanged, Read, Archives, Misnamed, Gone, Failed int64
}

func sumOf(s downloads.Summary) sum {
	return sum{s.Files, s.Sightings, s.Facts, s.Entries, s.Unchanged, s.Read, s.Archives, s.Misnamed, s.Gone, s.Failed}
}

// scan scans a place of sensor one, which must give this summary.
func (db *database) scan(path string, want sum) downloads.Summary {
	db.t.Helper()
	return db.scanOf("one", path, want)
}

func (db *database) scanOf(sensor, path string, want sum) downloads.Summary {
	db.t.Helper()
	s, err := downloads.Scan(db.t.Context(), db, []downloads.Place{{Path: path, Sensor: sensor}}, downloads.Options{Log: quiet, MaxSize: maxSize})
	must(db.t, err)
	if got := sumOf(s); got != want {
		db.t.Errorf("the scan of %s (-want +got):\n%s%v", path, cmp.Diff(want, got), s.Unreadable)
	}
	return s
}

// maxSize is that of the scans here.
const maxSize = 100_000

func hashOf(content string) string {
	sum := sha256.Sum256([]byte(content))
	return hex.EncodeToString(sum[:])
}

func write(t testing.TB, path, content string, at time.Time) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(path), 0o755))
	must(t, os.WriteFile(path, []byte(content), 0o644))
	must(t, os.Chtimes(path, time.Time{}, at))
}

// day is a day of January 2026.
func day(n int) time.Time { return time.Date(2026, 1, n, 12, 30, 45, 0, time.UTC) }

func seen(n int) string { return cowrie.FromStd(day(n)).String() }

// capture is a file of the tree that is read.
type capture struct {
	name, content string
	day           int
}

// captures are the files of the tree that are read: under the names that Cowrie
// gives, under those that people, other tools and attackers give, and under
// such as only nearly are names of working files.
func captures() (list []capture) {
	const hex32 = "0123456789abcdef0123456789abcdef"
	add := func(name string, content string) {
		list = append(list, capture{name, content, 1 + len(list)%25})
	}
	for i, format := range []string{"%s", "%s", "%s.bin", "%s.sample.1", "sub/%s", "sub/deeper/%s"} {
		content := fmt.Sprintf("#!/bin/sh\necho capture %d\n", i)
		add(fmt.Sprintf(format, hashOf(content)), content)
	}
	upper := "a capture under its hash in upper case"
	add(strings.ToUpper(hashOf(upper)), upper)
	for _, name := range []string{
		"malware", "sub/no hash", "-rf", " ", "...", `back\slash`, "a\nnewline\r\n", "\x1b[31mred\x1b]0;owned\x07",
		"\u202egnp.exe", "\xff\xfe\x80", "sub/\xc3(", "%s%n", "'; DROP TABLE files; --", "=cmd|' /C calc'!A0",
		strings.Repeat("n", 255), strings.Repeat("\xff", 255),
		"tmpABCDEFG", "tmpABCDEFGHI", "tmpABCD-FGH", "TMPABCDEFGH",
		"stdin_" + hex32[1:], "redir_" + hex32 + "0", "scp_" + strings.ToUpper(hex32), "gcc_" + hex32 + ".c", "sftp-" + hex32,
		"20180506-174452-25f8d2b1a1c3-1-stdin.log.gz", "0-redir-x", "0_scp_x", "0-sftp-x", ".gitignore.bak", "gitignore", "ttys/x",
	} {
		add(name, "the content of "+name)
	}
	add("large", strings.Repeat("large ", maxSize/6)+"12345"[:maxSize%6])
	return list
}

// wanted are contents, by hash, with the time of the earliest file of them.
func wanted(list []capture) map[string]capture {
	files := map[string]capture{}
	for _, c := range list {
		if have, ok := files[hashOf(c.content)]; !ok || c.day < have.day {
			files[hashOf(c.content)] = c
		}
	}
	return files
}

// workingFiles are names that Cowrie's working files have.
var workingFiles = []string{
	"tmpABCDEFGH", "sub/tmp0_a1B2c3", "stdin_0123456789abcdef0123456789abcdef", "redir_0123456789abcdef0123456789abcdef",
	"scp_0123456789abcdef0123456789abcdef", "sftp_0123456789abcdef0123456789abcdef", "gcc_0123456789abcdef0123456789abcdef",
	"20180506-174452-25f8d2b1a1c3-1-stdin.log", "20180506-174452-25f8d2b1a1c3-0-redir__tmp_x",
	"20180506-174452-25f8d2b1a1c3-2-scp_x.bin", "20180506-174452-25f8d2b1a1c3_sftp__root_x",
}

// forest is a tree with every kind of entry.
type forest struct {
	dir      string
	captures []capture
	misnamed []string         // of captures
	passed   map[string]int64 // what is passed over
	onDisk   map[string]int64 // the part of it that no archive can have
}

// secret stands outside of the tree.
const secret = "what stands outside of the downloads directory"

// plant makes the tree.
func plant(t testing.TB) *forest {
	t.Helper()
	top := t.TempDir()
	f := &forest{dir: filepath.Join(top, "downloads"), captures: captures(), passed: map[string]int64{}, onDisk: map[string]int64{}}
	at := func(name string) string { return f.dir + "/" + name }
	write(t, filepath.Join(top, "secret"), secret, day(1))
	write(t, filepath.Join(top, "outside", hashOf(secret)), secret, day(1))

	// The name of another content, twice; copies of a content, one of them older.
	for _, name := range []string{hashOf("another"), "sub/" + strings.ToUpper(hashOf("yet another")) + ".bin"} {
		f.captures = append(f.captures, capture{name, "misnamed: " + name, 20})
		f.misnamed = append(f.misnamed, name)
	}
	f.captures = append(f.captures, capture{"copy", f.captures[3].content, 28}, capture{"sub/older copy", f.captures[4].content, 1},
		capture{"sub/copy", f.captures[4].content, 27})
	for _, c := range f.captures {
		write(t, at(c.name), c.content, day(c.day))
	}

	pass := func(reason string, names ...string) {
		for _, name := range names {
			write(t, at(name), "passed over: "+name, day(2))
			f.passed[reason]++
		}
	}
	pass("working file of Cowrie", workingFiles...)
	pass(".gitignore", ".gitignore", "sub/.gitignore")
	pass("terminal recording", "tty/"+hashOf("input"), "sub/tty/20180506-174452-None-0i.log")
	for _, name := range []string{hashOf(""), "empty", "sub/empty"} {
		write(t, at(name), "", day(2))
		f.passed["empty file"]++
	}
	const large = "larger than 100000 bytes"
	write(t, at("larger"), strings.Repeat("x", maxSize+1), day(2))
	f.passed[large]++

	for name, to := range map[string]string{
		"link-in": hashOf(f.captures[0].content), "link-out": filepath.Join(top, "secret"), "link-up": "../secret", "link-dangling": "gone",
		"link-loop": "link-pool", "link-pool": "link-loop", "link-self": "link-self", "link-dir": "sub", "link-root": ".",
		"link-outside": filepath.Join(top, "outside"), "sub/link-above": "../..", hashOf("linked"): filepath.Join(top, "secret"),
		"20170101_http___files.invalid_x": hashOf(f.captures[0].content),
	} {
		must(t, os.Symlink(to, at(name)))
		f.passed["symbolic link"]++
	}
	for _, name := range []string{"fifo", hashOf("fifo"), "sub/fifo"} {
		must(t, syscall.Mkfifo(at(name), 0o644))
		f.passed["no regular file"]++
	}
	must(t, os.Mkdir(at("no file in it"), 0o755))

	// What no archive has.
	l, err := net.Listen("unix", at("socket"))
	must(t, err)
	t.Cleanup(func() { l.Close() })
	f.onDisk["no regular file"]++
	if err := syscall.Mknod(at(hashOf("device")), syscall.S_IFCHR|0o666, int(unix.Mkdev(1, 5))); err == nil { // /dev/zero
		f.onDisk["no regular file"]++
	} else {
		t.Logf("WITHOUT a device: %v", err)
	}
	sparse, err := os.Create(at(hashOf("sparse")))
	must(t, err)
	if err := sparse.Truncate(1 << 40); err == nil {
		f.onDisk[large]++
	} else {
		t.Logf("WITHOUT a sparse terabyte: %v", err)
		must(t, os.Remove(sparse.Name()))
	}
	must(t, sparse.Close())
	must(t, filepath.WalkDir(f.dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.IsDir() {
			err = os.Chtimes(path, time.Time{}, day(3))
		}
		return err
	}))
	return f
}

// allPassed is what is passed over on disk.
func (f *forest) allPassed() map[string]int64 {
	all := maps.Clone(f.passed)
	for why, n := range f.onDisk {
		all[why] += n
	}
	return all
}

// first is the summary of the first scan.
func (f *forest) first() sum {
	n, files := int64(len(f.captures)), int64(len(wanted(f.captures)))
	return sum{Files: files, Sightings: files, Facts: files, Entries: n, Read: n, Misnamed: int64(len(f.misnamed))}
}

// look fails the test if a database does not hold what the tree has.
func (f *forest) look(t *testing.T, db *database) {
	t.Helper()
	want := []string{}
	for shasum, c := range wanted(f.captures) {
		md5, sha1 := md5.Sum([]byte(c.content)), sha1.Sum([]byte(c.content))
		want = append(want, fmt.Sprint(shasum, " 1 ", seen(c.day), " ", seen(c.day), " 1 ", len(c.content), " ", hex.EncodeToString(sha1[:]), " ",
			hex.EncodeToString(md5[:]), " ", hex.EncodeToString([]byte(c.content[:min(64, len(c.content))])), " pending disk one ", seen(c.day)))
	}
	slices.Sort(want)
	var got []string
	rows, err := db.sql.Query(`SELECT concat_ws(' ', f.shasum, disk_only, first_seen, last_seen, sighting_count, file_size, sha1, md5, head,
		enrichment_status, kind, sensor, seen_at, f.session_id, f.filename, f.download_url, src_ip)
		FROM files f LEFT JOIN file_sightings s ON s.shasum = f.shasum ORDER BY 1`)
	must(t, err)
	defer rows.Close()
	for rows.Next() {
		var line string
		must(t, rows.Scan(&line))
		got = append(got, line)
	}
	must(t, rows.Err())
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("files with sightings (-want +got):\n%s", diff)
	}
	if n := db.value(`SELECT count(*) FROM files WHERE mime_type LIKE 'text/x-shellscript%' AND interpreter = 'sh'`); n != "6" {
		t.Errorf("%s scripts of sh, want 6", n)
	}
	if dump := db.dump(); strings.Contains(dump, hashOf(secret)) {
		t.Error("the file outside was read")
	}
}

// listing describes all that is below a directory.
func listing(t testing.TB, dir string) string {
	t.Helper()
	var b strings.Builder
	must(t, filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		st := info.Sys().(*syscall.Stat_t)
		fmt.Fprintf(&b, "%q %v %d %v %d %v\n", path, info.Mode(), info.Size(), info.ModTime(), st.Ino, st.Ctim)
		return nil
	}))
	return b.String()
}

// TestScanDirectory scans a tree with every kind of entry, and again.
func TestScanDirectory(t *testing.T) {
	t.Parallel()
	f := plant(t)
	db := newDatabase(t)
	before := listing(t, f.dir)
	s := db.scan(f.dir, f.first())
	if diff := cmp.Diff(f.allPassed(), s.Passed); diff != "" {
		t.Errorf("passed over (-want +got):\n%s", diff)
	}
	bytes := int64(0)
	for _, c := range f.captures {
		bytes += int64(len(c.content))
	}
	if s.Bytes != bytes || s.Batches < 1 {
		t.Errorf("%d bytes in %d batches, want %d", s.Bytes, s.Batches, bytes)
	}
	f.look(t, db)
	got := db.misnamed()
	slices.Sort(got)
	want := slices.Sorted(slices.Values(f.misnamed))
	if !slices.Equal(got, want) {
		t.Errorf("misnamed are %q, want %q", got, want)
	}
	if listing(t, f.dir) != before {
		t.Error("the scan changed the directory")
	}

	// The contents themselves are not kept.
	raw, err := os.ReadFile(db.path)
	must(t, err)
	wal, _ := os.ReadFile(db.path + "-wal")
	if text := string(raw) + string(wal); strings.Contains(text, strings.Repeat("large ", 4)) || !strings.Contains(text, hashOf(f.captures[0].content)) {
		t.Error("the database holds contents, or lacks hashes")
	}

	// Again, under another spelling of the path too, there is nothing to read.
	dump := db.dump()
	n := int64(len(f.captures))
	again := db.scan(f.dir+"/../downloads/.", sum{Entries: n, Unchanged: n})
	if diff := cmp.Diff(f.allPassed(), again.Passed); diff != "" {
		t.Errorf("passed over again (-want +got):\n%s", diff)
	}
	if got := db.dump(); got != dump {
		t.Errorf("again adds something:\n%s", cmp.Diff(dump, got))
	}
	db.scan(f.dir, sum{Entries: n, Unchanged: n})
}

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

// TestScanSingleFile scans files that are named themselves.
func TestScanSingleFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for i, name := range []string{"a", "b", hashOf("c"), "tmpABCDEFGH"} {
		write(t, filepath.Join(dir, name), name, day(i+1))
	}
	db := newDatabase(t)
	one := sum{Files: 1, Sightings: 1, Facts: 1, Entries: 1, Read: 1}
	db.scan(filepath.Join(dir, "a"), one)
	db.scan(filepath.Join(dir, "a"), sum{Entries: 1, Unchanged: 1})
	one.Misnamed = 1
	db.scan(filepath.Join(dir, hashOf("c")), one)
	db.scan(filepath.Join(dir, "tmpABCDEFGH"), sum{})
	// The directory is the same place, and nobody forgets the rest of it.
	db.scan(dir, sum{Files: 1, Sightings: 1, Facts: 1, Entries: 3, Unchanged: 2, Read: 1})
	db.scan(filepath.Join(dir, "a"), sum{Entries: 1, Unchanged: 1})
	db.scan(dir, sum{Entries: 3, Unchanged: 3})

	db.scan(filepath.Join(dir, "gone"), sum{Failed: 1})
	must(t, syscall.Mkfifo(filepath.Join(dir, "fifo"), 0o644))
	db.scan(filepath.Join(dir, "fifo"), sum{Failed: 1})
	db.scan("/dev/null", sum{Failed: 1})
}

// TestScanPlaces scans several places at once, one of them twice, one that is
// not there.
func TestScanPlaces(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a", "x"), "x", day(1))
	write(t, filepath.Join(dir, "b", "x"), "x", day(2))
	write(t, filepath.Join(dir, "b", "y"), "y", day(3))
	db := newDatabase(t)
	places := []downloads.Place{
		{Path: dir + "/a", Sensor: "one"}, {Path: dir + "/gone", Sensor: "one"}, {Path: dir + "/b/", Sensor: "two"},
		{Path: dir + "/a/../a", Sensor: "one"}, {Path: dir + "/b", Sensor: ""},
	}
	s, err := downloads.Scan(t.Context(), db, places, downloads.Options{Log: quiet})
	must(t, err)
	if want := (sum{Files: 2, Sightings: 5, Facts: 2, Entries: 5, Read: 5, Failed: 1}); sumOf(s) != want {
		t.Errorf("%+v, want %+v", sumOf(s), want)
	}
	if len(s.Unreadable) != 1 || s.Unreadable[0].Path != dir+"/gone" || !errors.Is(s.Unreadable[0].Err, fs.ErrNotExist) {
		t.Errorf("unreadable are %v", s.Unreadable)
	}
	// Of two sensors, the earlier one counts for the file; both are sightings.
	if got := db.value(`SELECT first_seen || last_seen || sighting_count FROM files WHERE shasum = ?`, hashOf("x")); got != seen(1)+seen(2)+"3" {
		t.Errorf("x is %s", got)
	}
	if got := db.value(`SELECT group_concat(coalesce(sensor, '-') || seen_at, ' ' ORDER BY sensor) FROM file_sightings WHERE shasum = ?`, hashOf("x")); got !=
		"-"+seen(2)+" one"+seen(1)+" two"+seen(2) {
		t.Errorf("the sightings of x are %s", got)
	}
}

// TestScanAgain changes a directory between scans.
func TestScanAgain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	for _, name := range []string{"touched", "replaced", "rewritten", "removed", "renamed", "kept", "emptied", "sub/a", "sub/b", "turned/x"} {
		write(t, at(name), "content of "+name, day(10))
	}
	db := newDatabase(t)
	db.scan(dir, sum{Files: 10, Sightings: 10, Facts: 10, Entries: 10, Read: 10})
	before := db.dump()

	// A later time of the same content does not move its sighting.
	must(t, os.Chtimes(at("touched"), time.Time{}, day(11)))
	db.scan(dir, sum{Entries: 10, Unchanged: 9, Read: 1})
	if got := db.dump(); got != before {
		t.Errorf("a touch adds something:\n%s", cmp.Diff(before, got))
	}
	// An earlier one does.
	must(t, os.Chtimes(at("touched"), time.Time{}, day(9)))
	db.scan(dir, sum{Entries: 10, Unchanged: 9, Read: 1})
	if got, want := db.dump(), strings.ReplaceAll(before, "content of touched", ""); got == want {
		t.Error("an earlier time is not noted")
	}
	if got := db.value(`SELECT seen_at || first_seen || last_seen || sighting_count FROM files JOIN file_sightings USING (shasum)
		WHERE shasum = ?`, hashOf("content of touched")); got != seen(9)+seen(9)+seen(9)+"1" {
		t.Errorf("the touched file is %s", got)
	}

	// Another content under the name is another file; the one before stays known.
	write(t, at("new"), "new content", day(12))
	must(t, os.Rename(at("new"), at("replaced"))) // another inode, another size
	f, err := os.OpenFile(at("rewritten"), os.O_WRONLY, 0)
	must(t, err)
	_, err = f.WriteString("CONTENT") // the same inode, the same size
	must(t, errors.Join(err, f.Close(), os.Chtimes(at("rewritten"), time.Time{}, day(13))))
	db.scan(dir, sum{Files: 2, Sightings: 2, Facts: 2, Entries: 10, Unchanged: 8, Read: 2})
	for _, content := range []string{"new content", "content of replaced", "CONTENT of rewritten", "content of rewritten"} {
		if db.value(`SELECT shasum FROM files WHERE shasum = ?`, hashOf(content)) == "" {
			t.Errorf("there is no %q", content)
		}
	}

	// The same time and size, but another inode: it is read.
	write(t, at("new"), "CONTENT of kept", day(10))
	must(t, os.Rename(at("new"), at("kept")))
	db.scan(dir, sum{Files: 1, Sightings: 1, Facts: 1, Entries: 10, Unchanged: 9, Read: 1})

	// What is gone is forgotten where it lay, but known for ever.
	known := db.dump()
	must(t, os.Remove(at("removed")))
	must(t, os.Rename(at("renamed"), at("sub/renamed")))
	must(t, os.Truncate(at("emptied"), 0))
	must(t, os.RemoveAll(at("turned")))
	must(t, os.WriteFile(at("turned"), nil, 0o644)) // a file where a directory was
	db.scan(dir, sum{Entries: 7, Unchanged: 6, Read: 1, Gone: 4})
	if got := db.dump(); got != known {
		t.Errorf("what is gone is not known any more:\n%s", cmp.Diff(known, got))
	}
	db.scan(dir, sum{Entries: 7, Unchanged: 7})
	must(t, os.RemoveAll(at("sub")))
	db.scan(dir, sum{Entries: 4, Unchanged: 4, Gone: 3})
	// What comes back is read, and is nothing new.
	write(t, at("sub/a"), "content of sub/a", day(20))
	db.scan(dir, sum{Entries: 5, Unchanged: 4, Read: 1})
	if got := db.dump(); got != known {
		t.Errorf("what comes back adds something:\n%s", cmp.Diff(known, got))
	}
}

// TestScanManyGone forgets all entries but one, of more than a walk hands over at once.
func TestScanManyGone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	const n = 600
	for i := range n {
		must(t, os.WriteFile(filepath.Join(dir, fmt.Sprintf("f%04d", i)), fmt.Append(nil, i%100), 0o644))
	}
	db := newDatabase(t)
	db.scan(dir, sum{Files: 100, Sightings: 100, Facts: 100, Entries: n, Read: n})
	db.scan(dir, sum{Entries: n, Unchanged: n})
	for i := range n - 1 {
		must(t, os.Remove(filepath.Join(dir, fmt.Sprintf("f%04d", i))))
	}
	db.scan(dir, sum{Entries: 1, Unchanged: 1, Gone: n - 1})
	db.scan(dir, sum{Entries: 1, Unchanged: 1})
	if got := db.value(`SELECT count(*) FROM depot_entries`); got != "1" {
		t.Errorf("%s entries are noted", got)
	}
}

// asNobody runs f with the rights of a user who owns nothing, where the test is
// run by root, who may read everything.
func asNobody(t testing.TB, db *database, f func()) {
	t.Helper()
	if os.Geteuid() != 0 {
		f()
		return
	}
	const nobody = 65534
	for _, path := range []string{db.path, db.path + "-wal", db.path + "-shm", filepath.Dir(db.path)} {
		if err := os.Chown(path, nobody, nobody); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
	}
	must(t, os.Chmod(filepath.Dir(filepath.Dir(db.path)), 0o755))
	if err := syscall.Seteuid(nobody); err != nil {
		t.Skipf("SKIPPED: root reads everything, and cannot become nobody: %v", err)
	}
	defer func() { must(t, syscall.Seteuid(0)) }()
	f()
}

// TestScanUnreadable meets files and directories that it may not read. It is run
// by itself: as whom, counts for the whole process.
func TestScanUnreadable(t *testing.T) {
	db := newDatabase(t)
	dir := t.TempDir()
	must(t, os.Chmod(filepath.Dir(dir), 0o755))
	at := func(name string) string { return filepath.Join(dir, name) }
	for _, name := range []string{"good", "bad", "removed", "closed/a", "closed/b", "listed/c"} {
		write(t, at(name), "content of "+name, day(10))
	}
	db.scan(at("good"), sum{Files: 1, Sightings: 1, Facts: 1, Entries: 1, Read: 1})
	db.scan(at("removed"), sum{Files: 1, Sightings: 1, Facts: 1, Entries: 1, Read: 1})
	for name, mode := range map[string]fs.FileMode{"bad": 0, "closed": 0, "listed": 0o744} { // neither to be opened; nothing in it to be looked at
		must(t, os.Chmod(at(name), mode))
		defer os.Chmod(at(name), 0o755)
	}
	asNobody(t, db, func() {
		s := db.scan(dir, sum{Entries: 3, Unchanged: 2, Failed: 3})
		said := map[string]string{}
		for _, p := range s.Unreadable {
			said[p.Path] = p.Err.Error()
		}
		want := map[string]string{at("bad"): "permission denied", at("closed"): "permission denied", at("listed"): "permission denied"}
		if diff := cmp.Diff(want, said); diff != "" {
			t.Errorf("unreadable (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(map[string]string{"bad": "permission denied"}, db.problems()); diff != "" {
			t.Errorf("problems (-want +got):\n%s", diff)
		}
		db.scan(dir, sum{Entries: 3, Unchanged: 2, Failed: 3}) // tried again
	})
	must(t, os.Remove(at("removed")))
	asNobody(t, db, func() {
		// That some entries cannot be read does not keep others from being forgotten.
		db.scan(dir, sum{Entries: 2, Unchanged: 1, Failed: 3, Gone: 1})
	})

	// A problem that went away is read then, whatever the file is.
	for name, mode := range map[string]fs.FileMode{"bad": 0o644, "closed": 0o755, "listed": 0o755} {
		must(t, os.Chmod(at(name), mode))
	}
	asNobody(t, db, func() {
		db.scan(dir, sum{Files: 4, Sightings: 4, Facts: 4, Entries: 5, Unchanged: 1, Read: 4})
		if got := db.problems(); len(got) > 0 {
			t.Errorf("problems that went away: %q", got)
		}
		db.scan(dir, sum{Entries: 5, Unchanged: 5})
	})
	// What is known and cannot be looked at is not forgotten.
	must(t, os.Chmod(at("closed"), 0))
	asNobody(t, db, func() { db.scan(dir, sum{Entries: 3, Unchanged: 3, Failed: 1}) })
	must(t, os.Chmod(at("closed"), 0o755))
	asNobody(t, db, func() { db.scan(dir, sum{Entries: 5, Unchanged: 5}) })
}

// between is a store that is told when entries were listed and are not yet read.
type between struct {
	downloads.Store
	do func(names []string)
}

func (b between) DepotEntries(ctx context.Context, d *cowrie.Depot, names []string) (map[string]cowrie.DepotEntry, error) {
	noted, err := b.Store.DepotEntries(ctx, d, names)
	b.do(names)
	return noted, err
}

// TestScanSwapped changes what was listed before it is read. Nothing outside is
// read, whatever comes; what is left is scanned.
func TestScanSwapped(t *testing.T) {
	t.Parallel()
	top := t.TempDir()
	write(t, filepath.Join(top, "outside", "x"), secret, day(1))
	outside := filepath.Join(top, "outside")
	change := func(f func(dir string) error) func(dir string) error { return f }
	for name, c := range map[string]struct {
		swap func(dir string) error
		want sum // with what is read and what fails
	}{
		"file, a link out": {change(func(dir string) error {
			return errors.Join(os.Remove(dir+"/sub/x"), os.Symlink(outside+"/x", dir+"/sub/x"))
		}), sum{Files: 1, Sightings: 1, Facts: 1, Entries: 2, Read: 1, Failed: 1}},
		"file, a link up": {change(func(dir string) error {
			return errors.Join(os.Remove(dir+"/sub/x"), os.Symlink("../../outside/x", dir+"/sub/x"))
		}), sum{Files: 1, Sightings: 1, Facts: 1, Entries: 2, Read: 1, Failed: 1}},
		"file, a FIFO": {change(func(dir string) error {
			return errors.Join(os.Remove(dir+"/sub/x"), syscall.Mkfifo(dir+"/sub/x", 0o644))
		}), sum{Files: 1, Sightings: 1, Facts: 1, Entries: 2, Read: 1, Failed: 1}},
		"file, a directory": {change(func(dir string) error {
			return errors.Join(os.Remove(dir+"/sub/x"), os.Mkdir(dir+"/sub/x", 0o755))
		}), sum{Files: 1, Sightings: 1, Facts: 1, Entries: 2, Read: 1, Failed: 1}},
		"file, another": {change(func(dir string) error {
			return errors.Join(os.WriteFile(dir+"/new", []byte("new"), 0o644), os.Rename(dir+"/new", dir+"/sub/x"))
		}), sum{Files: 2, Sightings: 2, Facts: 2, Entries: 2, Read: 2}},
		// What is gone by the time it is looked at was never there.
		"file, gone": {change(func(dir string) error {
			return os.Remove(dir + "/sub/x")
		}), sum{Files: 1, Sightings: 1, Facts: 1, Entries: 2, Read: 1}},
		"directory, a link out": {change(func(dir string) error {
			return errors.Join(os.RemoveAll(dir+"/sub"), os.Symlink(outside, dir+"/sub"))
		}), sum{Files: 1, Sightings: 1, Facts: 1, Entries: 2, Read: 1, Failed: 1}},
		"directory, a link up": {change(func(dir string) error {
			return errors.Join(os.RemoveAll(dir+"/sub"), os.Symlink("../outside", dir+"/sub"))
		}), sum{Files: 1, Sightings: 1, Facts: 1, Entries: 2, Read: 1, Failed: 1}},
		"directory, gone": {change(func(dir string) error {
			return os.RemoveAll(dir + "/sub")
		}), sum{Files: 1, Sightings: 1, Facts: 1, Entries: 2, Read: 1}},
		"grown beyond what is read": {change(func(dir string) error {
			return os.Truncate(dir+"/sub/x", 1<<40)
		}), sum{Files: 1, Sightings: 1, Facts: 1, Entries: 2, Read: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, err := os.MkdirTemp(top, "downloads")
			must(t, err)
			write(t, dir+"/a", "a", day(1))
			write(t, dir+"/sub/x", "inside", day(2))
			db := newDatabase(t)
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second) // for what would read a terabyte
			defer cancel()
			// Whoever waits for a FIFO's writer is let go in the end.
			hung := time.AfterFunc(10*time.Second, func() {
				if fd, err := syscall.Open(dir+"/sub/x", syscall.O_RDWR|syscall.O_NONBLOCK, 0); err == nil {
					t.Error("it hangs")
					syscall.Close(fd)
				}
			})
			defer hung.Stop()
			s, err := downloads.Scan(ctx, between{db, func(names []string) {
				if slices.Contains(names, "sub/x") {
					must(t, c.swap(dir))
				}
			}}, []downloads.Place{{Path: dir, Sensor: "one"}}, downloads.Options{Log: quiet})
			must(t, err)
			if got := sumOf(s); got != c.want {
				t.Errorf("(-want +got):\n%s%v", cmp.Diff(c.want, got), s.Unreadable)
			}
			if dump := db.dump(); strings.Contains(dump, hashOf(secret)) {
				t.Errorf("the file outside was read:\n%s", dump)
			}
			if n := int64(len(db.problems())); n != c.want.Failed {
				t.Errorf("%q are noted as problems", db.problems())
			}
			// Whatever it was, the next scan is content with what there is.
			next := sum{Entries: 1, Unchanged: 1, Gone: c.want.Failed}
			if name == "file, another" {
				next = sum{Entries: 2, Unchanged: 2}
			}
			if name == "grown beyond what is read" {
				must(t, os.Truncate(dir+"/sub/x", 3))
				next = sum{Files: 1, Sightings: 1, Facts: 1, Entries: 2, Unchanged: 1, Read: 1}
			}
			db.scan(dir, next)
		})
	}
}

// TestScanChanging: files that never hold still are reported, all others read,
// and the next scan reads them if they do by then.
func TestScanChanging(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "calm"), "calm", day(1))
	// It takes a while to read, so that it is written to meanwhile.
	path := filepath.Join(dir, "restless")
	write(t, path, strings.Repeat("0123456789abcdef", 1<<19), day(1))
	db := newDatabase(t)
	ctx, stop := context.WithCancel(t.Context())
	var writers sync.WaitGroup
	for range 2 * runtime.GOMAXPROCS(0) {
		writers.Go(func() {
			f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
			if err != nil {
				t.Error(err)
				return
			}
			defer f.Close()
			for ctx.Err() == nil {
				f.Write([]byte("x"))
			}
		})
	}
	s, err := downloads.Scan(t.Context(), db, []downloads.Place{{Path: dir, Sensor: "one"}}, downloads.Options{Log: quiet})
	stop()
	writers.Wait()
	must(t, err)
	if want := (sum{Files: 1, Sightings: 1, Facts: 1, Entries: 2, Read: 1, Failed: 1}); sumOf(s) != want {
		t.Errorf("%+v, want %+v", sumOf(s), want)
	}
	if len(s.Unreadable) != 1 || s.Unreadable[0].Path != path || !strings.Contains(s.Unreadable[0].Err.Error(), "changed while it was read") {
		t.Errorf("unreadable are %v", s.Unreadable)
	}
	if got := db.problems(); len(got) != 1 || !strings.Contains(got["restless"], "changed") {
		t.Errorf("problems are %q", got)
	}
	s, err = downloads.Scan(t.Context(), db, []downloads.Place{{Path: dir, Sensor: "one"}}, downloads.Options{Log: quiet})
	must(t, err)
	if want := (sum{Files: 1, Sightings: 1, Facts: 1, Entries: 2, Unchanged: 1, Read: 1}); sumOf(s) != want || len(db.problems()) > 0 {
		t.Errorf("when it holds still: %+v, want %+v; problems are %q", sumOf(s), want, db.problems())
	}
}

// stopping is a store that holds the scan up until the first entries are stored,
// and does something then.
type stopping struct {
	downloads.Store
	looked  int           // how often entries were looked up
	first   chan struct{} // closed when the first are stored
	stored  int
	after   func()
	failure error // of all that is stored later
}

func (s *stopping) DepotEntries(ctx context.Context, d *cowrie.Depot, names []string) (map[string]cowrie.DepotEntry, error) {
	if s.looked++; s.looked == 2 {
		<-s.first
		s.after()
	}
	return s.Store.DepotEntries(ctx, d, names)
}

func (s *stopping) AddFound(ctx context.Context, d *cowrie.Depot, found []cowrie.Found) (cowrie.ScanTally, error) {
	if s.stored > 0 && s.failure != nil {
		return cowrie.ScanTally{}, s.failure
	}
	tally, err := s.Store.AddFound(ctx, d, found)
	if s.stored += len(found); s.stored == len(found) {
		close(s.first)
	}
	return tally, err
}

// many is a directory of many files.
func many(t testing.TB, n int) string {
	t.Helper()
	dir := t.TempDir()
	for i := range n {
		write(t, filepath.Join(dir, fmt.Sprintf("f%04d", i)), fmt.Sprint("content ", i), day(1+i%28))
	}
	return dir
}

// TestScanStopped ends the context, and lets the database fail, in the middle:
// what was read is stored, nothing hangs, and the next scan does the rest.
func TestScanStopped(t *testing.T) {
	t.Parallel()
	const n = 600 // more than a walk hands over at once
	dir := many(t, n)
	calm := newDatabase(t)
	calm.scan(dir, sum{Files: n, Sightings: n, Facts: n, Entries: n, Read: n})
	want := calm.dump()
	broken := errors.New("the database is broken")
	for name, fault := range map[string]error{"context": context.Canceled, "database": broken} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := newDatabase(t)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			s := &stopping{Store: db, first: make(chan struct{}), after: cancel}
			if fault == broken {
				s.after, s.failure = func() {}, broken
			}
			sum1, err := downloads.Scan(ctx, s, []downloads.Place{{Path: dir, Sensor: "one"}}, downloads.Options{Log: quiet})
			if !errors.Is(err, fault) {
				t.Fatalf("it ended with %v, want %v", err, fault)
			}
			if s.stored == 0 || s.stored >= n || sum1.Files != int64(s.stored) || sum1.Failed > 0 {
				t.Errorf("%d of %d were stored, the summary says %+v %v", s.stored, n, sumOf(sum1), sum1.Unreadable)
			}
			if got := db.value(`SELECT count(*) FROM files WHERE md5 IS NOT NULL`); got != fmt.Sprint(s.stored) {
				t.Errorf("%s files with facts, want %d", got, s.stored)
			}
			left := int64(n - s.stored)
			db.scan(dir, sum{Files: left, Sightings: left, Facts: left, Entries: n, Unchanged: int64(s.stored), Read: left})
			if got := db.dump(); got != want {
				t.Errorf("it does not end the same:\n%.2000s", cmp.Diff(want, got))
			}
		})
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

// TestScanHostileNames: an archive's names do not lead anywhere, and messages
// say in which archive they stand.
func TestScanHostileNames(t *testing.T) {
	t.Parallel()
	hash := hashOf("promised")
	names := []string{"../../../../etc/" + hash, "/etc/" + hash, "a/../../" + hash, "./" + hash, "//" + hash, "\xff/" + hash}
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, name := range names {
		must(t, w.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644, Size: 5, ModTime: day(1)}))
		_, err := w.Write([]byte("wrong"))
		must(t, err)
	}
	must(t, w.Close())
	dir := t.TempDir()
	path := filepath.Join(dir, "downloads.tar")
	write(t, path, buf.String(), day(1))
	db := newDatabase(t)
	var log bytes.Buffer
	n := int64(len(names))
	s, err := downloads.Scan(t.Context(), db, []downloads.Place{{Path: path, Sensor: "one"}},
		downloads.Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
	must(t, err)
	if want := (sum{Files: 1, Sightings: 1, Facts: 1, Entries: n, Read: n, Archives: 1, Misnamed: n}); sumOf(s) != want {
		t.Errorf("%+v, want %+v", sumOf(s), want)
	}
	got := db.misnamed()
	slices.Sort(got)
	if want := slices.Sorted(slices.Values(names)); !slices.Equal(got, want) {
		t.Errorf("noted are %q, want %q", got, want)
	}
	for line := range strings.Lines(log.String()) {
		if !strings.Contains(line, path) {
			t.Errorf("a message that does not say where: %s", line)
		}
	}
}

// TestScanTimes: a file's time may be any that a file system has.
func TestScanTimes(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("/dev/shm", "midden") // in memory there are more of them than on most disks
	if err != nil {
		dir = t.TempDir()
	}
	defer os.RemoveAll(dir)
	want := map[string]string{}
	for _, at := range []time.Time{
		time.Date(2026, 1, 2, 3, 4, 5, 678901234, time.UTC),
		time.Date(1969, 12, 31, 23, 59, 59, 0, time.UTC), time.Date(1970, 1, 1, 0, 0, 1, 0, time.UTC),
		time.Date(2038, 1, 19, 3, 14, 8, 0, time.UTC), time.Date(2400, 1, 1, 0, 0, 0, 0, time.UTC),
	} {
		content := at.String()
		path := filepath.Join(dir, content)
		write(t, path, content, day(1))
		ts := unix.Timespec{Sec: at.Unix(), Nsec: int64(at.Nanosecond())} // os.Chtimes does not get as far
		must(t, unix.UtimesNanoAt(unix.AT_FDCWD, path, []unix.Timespec{ts, ts}, 0))
		if info, err := os.Stat(path); err != nil || !info.ModTime().Equal(at) {
			t.Logf("WITHOUT %v, which this file system does not have", at)
			must(t, os.Remove(path))
			continue
		}
		want[hashOf(content)] = cowrie.FromStd(at).String()
	}
	db := newDatabase(t)
	n := int64(len(want))
	db.scan(dir, sum{Files: n, Sightings: n, Facts: n, Entries: n, Read: n})
	for hash, at := range want {
		if got := db.value(`SELECT seen_at FROM file_sightings WHERE shasum = ?`, hash); got != at {
			t.Errorf("seen at %s, want %s", got, at)
		}
	}
	db.scan(dir, sum{Entries: n, Unchanged: n})
}

// TestScanAtOnce scans the same directory twice at once, each with a connection
// of its own.
func TestScanAtOnce(t *testing.T) {
	t.Parallel()
	const n = 400
	dir := many(t, n)
	calm, db := newDatabase(t), newDatabase(t)
	calm.scan(dir, sum{Files: n, Sightings: n, Facts: n, Entries: n, Read: n})
	var scans sync.WaitGroup
	var files [3]int64
	for i := range files {
		scans.Go(func() {
			s, err := sqlite.Open(t.Context(), db.path, sqlite.Options{Write: true})
			if err != nil {
				t.Error(err)
				return
			}
			defer s.Close()
			sum, err := downloads.Scan(t.Context(), s, []downloads.Place{{Path: dir, Sensor: "one"}}, downloads.Options{Log: quiet})
			if err != nil || sum.Failed > 0 || sum.Gone > 0 {
				t.Errorf("%v, %+v", err, sumOf(sum))
			}
			files[i] = sum.Files
		})
	}
	scans.Wait()
	if files[0]+files[1]+files[2] != n {
		t.Errorf("%v files were new, of %d", files, n)
	}
	if want, got := calm.dump(), db.dump(); want != got {
		t.Errorf("they do not end the same:\n%.2000s", cmp.Diff(want, got))
	}
	db.scan(dir, sum{Entries: n, Unchanged: n})
}

// TestScanObserved: progress comes to its end, and never goes back.
func TestScanObserved(t *testing.T) {
	t.Parallel()
	const n = 100
	dir := many(t, n)
	archive := filepath.Join(t.TempDir(), "downloads.tar")
	write(t, archive, string(tarOf(t, dir, "")), day(1))
	db := newDatabase(t)
	for _, path := range []string{dir, archive} {
		var last downloads.Progress
		_, err := downloads.Scan(t.Context(), db, []downloads.Place{{Path: path, Sensor: "one"}}, downloads.Options{Log: quiet, Observe: func(p downloads.Progress) {
			if p.FilesDone < last.FilesDone || p.BytesDone < last.BytesDone || p.Batches < last.Batches ||
				p.FilesDone > p.FilesTotal || p.BytesDone > p.BytesTotal || p.Place != path {
				t.Errorf("after %+v came %+v", last, p)
			}
			last = p
		}})
		must(t, err)
		if last.Batches == 0 || path == dir && (last.FilesDone != n || last.FilesTotal != n || last.BytesDone != last.BytesTotal) {
			t.Errorf("at last it was %+v", last)
		}
	}
}
