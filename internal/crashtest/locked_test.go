package crashtest

import (
	"database/sql"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// TestLocked keeps the database locked for more than a minute while each operation wants to
// write: it waits, others read meanwhile, and then it goes on. "make test" does that with
// loading alone, and no longer than it must (TestLockedDatabase).
func TestLocked(t *testing.T) {
	t.Parallel()
	if soak == 0 {
		t.Skip("of a soak alone: it takes minutes")
	}
	for i := range operations {
		o := &operations[i]
		if o.db != nil {
			continue // nobody else has it
		}
		kind := onSQLite
		if !slices.Contains(o.kinds, kind) {
			kind = takenOver
		}
		t.Run(o.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, kind, nil, rand.New(rand.NewPCG(uint64(i), 6)))
			w.prepareFor(o)
			if o.feed != nil {
				o.feed(w)
			}
			if o.prepare != nil {
				o.prepare(w)
			}
			release := w.lock()
			p := w.run(o.args(w)...)
			locked := 65 * time.Second
			if o.name == "migrate" {
				locked = 45 * time.Second // it gives up after a minute
			}
			time.Sleep(locked) // that is what it is about
			if !p.alive() {
				t.Fatalf("it did not wait: %d %s", p.code, &p.errs)
			}
			if w.migrated {
				w.run("files", "list").with(0)
			}
			release()
			if o.follows {
				await(t, "it has stored what there was", func() bool { return storedEvents(t, w.db) > 0 })
				p.stop()
			} else {
				p.with(o.codes...)
			}
			w.check()
			w.compare(true)
		})
	}
}

// lock locks the database as one who writes does.
func (w *world) lock() (release func()) {
	w.t.Helper()
	db, err := sql.Open("sqlite", w.db+"?_txlock=immediate")
	if err != nil {
		w.t.Fatal(err)
	}
	tx, err := db.Begin()
	if err != nil {
		w.t.Fatal(err)
	}
	return func() {
		if err := tx.Rollback(); err != nil {
			w.t.Fatal(err)
		}
		db.Close()
	}
}
