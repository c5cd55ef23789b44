package crashtest

import (
	"fmt"
	"math/rand/v2"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"midden/internal/crashtest/faults"
)

// TestDiskFaults has the disk fail at one operation after the other, under each of what
// midden does: once, or from then on, or with no room left. What comes is an error that
// says so, and nothing is lost.
func TestDiskFaults(t *testing.T) {
	t.Parallel()
	for i := range operations {
		o := &operations[i]
		if o.follows {
			continue // it loads as load does
		}
		kind := onSQLite
		if !slices.Contains(o.kinds, kind) {
			kind = takenOver
		}
		for _, fault := range []string{faults.DiskErrors, faults.DiskError, faults.DiskFull} {
			name := o.name + " " + fault
			if soak == 0 && !slices.Contains(quick, name) {
				continue
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				sweep(t, newWorld(t, kind, nil, rand.New(rand.NewPCG(uint64(i), 2))), o, fault)
			})
		}
	}
}

// quick are those that "make test" has time for.
var quick = []string{"load errors", "create error", "copy full", "compact errors", "backfill full"}

// sweep has an operation meet a fault at its first operation on the disk, its second, and
// so on, until it does not get that far.
func sweep(t *testing.T, w *world, o *operation, fault string) {
	w.prepareFor(o)
	failures, borne := 0, 0
	for n := 1; borne < longer(1, 10); n = following(n) {
		if o.feed != nil {
			o.feed(w)
		}
		if o.prepare != nil {
			o.prepare(w)
		}
		p := w.do(o, fmt.Sprintf("%s=%s#%d", faults.Disk, fault, n))
		p.wait()
		if slices.Contains(o.codes, p.code) {
			borne++ // it was not met, or did no harm
		} else {
			borne = 0
			failures++
			p.tellsOfDisk()
		}
		if w.check(); t.Failed() {
			t.Fatalf("%s at %d: %s", fault, n, &p.errs)
		}
		if o.ready != nil && !o.ready(w) {
			break // a take-over is done once
		}
	}
	if failures < 1 && !o.reads {
		t.Errorf("it failed %d times only", failures)
	}
	t.Logf("%d failures", failures)
	if w.finish(true); soak > 0 {
		w.compare(true)
	}
}

// prepareFor does what must have been done before an operation.
func (w *world) prepareFor(o *operation) {
	w.t.Helper()
	if w.kind != takenOver || o.name == "migrate" {
		return
	}
	w.run("migrate").with(0)
	w.migrated = true
	if o.name != "backfill" {
		w.run("backfill", "run").with(0, 3)
	}
}

// following is the next operation that is to fail: in a soak every one.
func following(n int) int {
	if soak > 0 {
		return n + 1
	}
	return 6*n + 1
}

// tellsOfDisk fails the test unless the program ended with 1 and a word about the disk.
func (p *process) tellsOfDisk() {
	p.t.Helper()
	for _, text := range []string{"the disk is full", "the disk failed"} {
		if p.code == 1 && strings.Contains(p.errs.String(), text) {
			return
		}
	}
	p.t.Errorf("midden %v ended with %d: %s", p.args, p.code, &p.errs)
}

// TestDiskFull limits how large a file may become, first to nearly nothing and then to
// more and more, until each operation gets through.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	name, err := exec.LookPath("midden")
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range []string{onSQLite, takenOver}[:longer(1, 2)] {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, kind, nil, rand.New(rand.NewPCG(7, 3)))
			for range longer(12, 40) {
				w.sensor.act()
			}
			for i := range operations {
				o := &operations[i]
				if o.follows || o.db != nil || !slices.Contains(o.kinds, kind) || o.ready != nil && !o.ready(w) {
					continue
				}
				if o.prepare != nil {
					o.prepare(w)
				}
				for blocks := longer(24, 8); ; blocks = blocks * longer(12, 3) / 2 { // of 512 bytes
					args := append([]string{"-c", fmt.Sprintf(`ulimit -f %d; exec "$0" "$@"`, blocks), name, "--db", w.db, "-q"}, o.args(w)...)
					p := startAs(t, nil, w.vt.environment(), "sh", args...)
					p.wait()
					w.check()
					if slices.Contains(o.codes, p.code) {
						break
					}
					if p.tellsOfDisk(); t.Failed() || blocks > 1e6 {
						t.Fatalf("%s with %d blocks", o.name, blocks)
					}
				}
			}
			w.compare(true)
		})
	}
}
