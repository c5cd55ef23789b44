package crashtest

import (
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// apart has a program run in a user namespace, and others, under another number.
func apart(namespaces uintptr, id int) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Cloneflags: namespaces | syscall.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: id, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: id, HostID: os.Getgid(), Size: 1}}}
}

// TestReadOnly works on a database that must not be written: each operation says so, and
// changes nothing. On a read-only file system it can be read.
func TestReadOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t, onSQLite, nil, rand.New(rand.NewPCG(1, 4)))
	for range 20 {
		w.sensor.act()
	}
	w.run("load", w.sensor.logs()).with(0, 3)
	w.sensor.month()
	w.sensor.act()
	name, err := exec.LookPath("midden")
	if err != nil {
		t.Fatal(err)
	}
	place := t.TempDir()
	db := filepath.Join(place, "midden.db")
	copyFile(t, w.db, db)

	reading := [][]string{{"files", "list"}, {"sessions", "list"}, {"events"}, {"doctor", "--deep"}, {"verify"}, {"quota"}, {"scan", "--report"}, {"enrich", "--dry-run"}}
	var writing [][]string
	for i := range operations {
		o := &operations[i]
		if !slices.Contains(o.kinds, onSQLite) || o.follows || o.name == "copy" || o.db != nil { // that writes elsewhere
			continue
		}
		if o.prepare != nil {
			o.prepare(w)
		}
		if o.reads {
			reading = append(reading, o.args(w))
		} else {
			writing = append(writing, o.args(w))
		}
	}
	refused := func(start func(args ...string) *process, commands [][]string, says ...string) {
		t.Helper()
		for _, args := range commands {
			p := start(args...).with(1)
			if !slices.ContainsFunc(says, func(text string) bool { return strings.Contains(p.errs.String(), text) }) {
				t.Errorf("midden %v says: %s", args, &p.errs)
			}
		}
	}

	before := w.dump(w.db)
	t.Run("file system", func(t *testing.T) {
		mounted := func(args ...string) *process {
			return startAs(t, apart(syscall.CLONE_NEWNS, 0), w.vt.environment(), "sh", append([]string{"-c",
				`mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" || exit 99; shift; exec "$0" --db "$@"`, name, place, db, "-q"}, args...)...)
		}
		if p := mounted("version"); p.wait() || p.code == 99 {
			t.Skip("NOT TRIED: nothing can be mounted here")
		}
		for _, args := range reading {
			mounted(args...).with(0)
		}
		refused(mounted, writing, "its file system is read-only")
	})
	t.Run("rights", func(t *testing.T) {
		// A user of another name has no rights but those of the files' owner.
		as := func(args ...string) *process {
			return startAs(t, apart(0, 1000), w.vt.environment(), name, append([]string{"--db", db, "-q"}, args...)...)
		}
		if p := as("version"); p.wait() || p.code != 0 {
			t.Skip("NOT TRIED: nobody can be somebody else here")
		}
		for _, path := range []string{place, db} {
			if err := os.Chmod(path, 0o500); err != nil {
				t.Fatal(err)
			}
			refused(as, writing, "cannot be written", "cannot be opened")
			if err := os.Chmod(path, 0o700); err != nil {
				t.Fatal(err)
			}
		}
	})
	if after := w.dump(db); after != before { // it is a copy of it
		t.Error("the database has changed")
	}
}
