package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"midden/internal/synth"
)

// yard writes n small files, a few contents more than once, and a tar of them,
// and returns where they are.
func yard(t testing.TB, n int) (dir, archive string) {
	t.Helper()
	top := t.TempDir()
	dir, archive = filepath.Join(top, "downloads"), filepath.Join(top, "downloads.tar")
	if err := os.MkdirAll(filepath.Join(dir, "sub"), 0o755); err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC) // as tarball has it
	var members []member
	for i := range n {
		m := member{fmt.Sprintf("f%05d", i), fmt.Sprint("content ", i%(n-n/50))}
		if i%10 == 0 {
			m.name = "sub/" + m.name
		}
		members = append(members, m)
		path := filepath.Join(dir, m.name)
		if err := os.WriteFile(path, []byte(m.content), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(archive, tarball(t, members...), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir, archive
}

// TestKillScanRestless kills scans of a directory with a file that does not hold still.
// While that is tried again and again, what else there is is committed.
func TestKillScanRestless(t *testing.T) {
	t.Parallel()
	dir, _ := yard(t, 200)
	restless := filepath.Join(dir, "restless")
	captureAs(t, restless, strings.Repeat("0123456789abcdef", 1<<16), 1)
	f, err := os.OpenFile(restless, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	stop := make(chan struct{})
	var writer sync.WaitGroup
	writer.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				f.Write([]byte("x"))
			}
		}
	})
	db := filepath.Join(t.TempDir(), "killed.db")
	args := []string{"-q", "--db", db, "scan", dir}
	for _, point := range []string{"before commit", "after commit", "before commit", "after commit"} {
		if !killed(t, "scan: "+point, args...) {
			t.Errorf("there was no %s", point)
		}
	}
	if n := query(t, db, `SELECT count(*) FROM depot_entries`); n[0] != "201" {
		t.Errorf("%s entries are noted", n)
	}
	close(stop)
	writer.Wait()
	if err := os.Chtimes(restless, time.Time{}, time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)); err != nil {
		t.Fatal(err)
	}
	calm := filepath.Join(t.TempDir(), "calm.db")
	call(t, "", "-q", "--db", calm, "scan", dir).with(0)
	call(t, "", args...).with(0)
	// It may have held still while it was read; then it was another file.
	got := dump(t, db)
	for line := range strings.Lines(dump(t, calm)) {
		if !strings.Contains(got, line) {
			t.Errorf("it lacks %s", line)
		}
	}
}

// TestScanProcesses scans the same places with several processes at once, while
// others load, read, and verify.
func TestScanProcesses(t *testing.T) {
	t.Parallel()
	dir, archive := yard(t, 200)
	top := filepath.Dir(dir)
	logs, calm, db := filepath.Join(top, "logs"), filepath.Join(top, "calm.db"), filepath.Join(top, "midden.db")
	if _, err := (synth.Options{Seed: 83, Events: 500, FileShare: 0.2}).WriteTree(t.Context(), logs, "mixed"); err != nil {
		t.Fatal(err)
	}
	// Some of the files are in the logs.
	var log strings.Builder
	for i := range 50 {
		log.WriteString(transfer("one", "download", hashOf(fmt.Sprint("content ", i)), i%24, ""))
	}
	captureAs(t, filepath.Join(logs, "of-the-files.json"), log.String(), 1)
	run(t, []int{0}, "-q", "--db", calm, "load", logs)
	run(t, []int{0}, "-q", "--db", calm, "scan", "--sensor", "one", dir)
	var writers sync.WaitGroup
	for _, args := range [][]string{
		{"scan", "--sensor", "one", dir}, {"scan", "--sensor", "one", dir}, {"scan", "--sensor", "one", archive}, {"load", logs},
	} {
		writers.Go(func() {
			if out, err := midden(t, append([]string{"-q", "--db", db}, args...)...).CombinedOutput(); err != nil {
				t.Errorf("%v: %v: %s", args, err, out)
			}
		})
	}
	done := make(chan struct{})
	var readers sync.WaitGroup
	readers.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
			}
			if _, err := os.Stat(db); err != nil {
				continue
			}
			for _, args := range [][]string{{"files", "list"}, {"scan", "--report"}} {
				if out, err := midden(t, append([]string{"-q", "--db", db}, args...)...).CombinedOutput(); err != nil {
					t.Errorf("%v: %v: %s", args, err, out)
				}
			}
		}
	})
	writers.Wait()
	close(done)
	readers.Wait()
	same(t, dump(t, calm), dump(t, db))
	call(t, "", "-q", "--db", db, "verify").with(0)
}
