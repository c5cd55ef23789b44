package downloads_test

import (
	"crypto/md5"
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// maxSize is that of the scans here.
const maxSize = 100_000

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
