package downloads_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"midden/internal/cowrie"
	"midden/internal/downloads"
)

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
