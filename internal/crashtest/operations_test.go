package crashtest

import (
	"slices"
	"time"
)

// operation is something that midden does and that can be disturbed. A new one needs
// an entry below, and what finishes it in world.finishOn.
type operation struct {
	name string
	// kinds are the databases that it is done on.
	kinds []string
	// ready reports whether it can be done now; nil if always.
	ready func(*world) bool
	// feed brings it something to do, in place of all that goes on at a sensor; nil if it
	// is done once.
	feed func(*world)
	// prepare, if not nil, is done before.
	prepare func(*world)
	args    func(*world) []string
	// db is the database that it is done on; nil for the one that grows.
	db    func(*world) string
	codes []int // with which it ends if it is not disturbed
	// follows: it goes on until it is ended, while the sensor is at work.
	follows bool
	// beside are operations that may be at work at the same time.
	beside []string
	// points are the named points that it passes, besides those of any commit.
	points []string
	// reads: it answers, too, where nothing can be stored.
	reads bool
	// forgets: a power cut may take the note of what it has told others.
	forgets bool
}

var (
	all  = []string{onSQLite, onPostgres, takenOver}
	ours = []string{onSQLite, onPostgres}
)

func migrated(w *world) bool { return w.migrated }

func write(w *world) {
	w.sensor.act()
	w.sensor.rename(w.sensor.next(3)...)
}

var operations = []operation{
	{
		name: "load", kinds: all, ready: migrated,
		feed:   write,
		args:   func(w *world) []string { return []string{"load", "--patience", "1m", w.sensor.logs()} },
		codes:  []int{0, 3},
		beside: []string{"load", "scan", "enrich", "backfill"},
	},
	{
		name: "create", kinds: ours,
		feed:    func(*world) {},
		prepare: func(w *world) { w.fresh = w.newDatabase() },
		args:    func(w *world) []string { return []string{"load", "--patience", "1m", w.sensor.logs()} },
		db:      func(w *world) string { return w.fresh },
		codes:   []int{0, 3},
		points:  []string{"migrate"},
	},
	{
		name: "follow", kinds: all, ready: migrated, follows: true,
		feed:   write,
		args:   func(w *world) []string { return []string{"load", "--follow", "--patience", "1m", w.sensor.logs()} },
		codes:  []int{143},
		beside: []string{"load", "scan"},
	},
	{
		name: "scan", kinds: all, ready: migrated,
		feed: func(w *world) {
			w.sensor.capture()
			w.sensor.tar()
		},
		args: func(w *world) []string {
			place := w.sensor.downloads()
			if w.rng.IntN(2) == 0 {
				place = w.sensor.archive()
			}
			return []string{"scan", "--sensor", "one", place}
		},
		codes:  []int{0},
		beside: []string{"load", "scan"},
		points: []string{"scan: before commit", "scan: after commit"},
	},
	{
		name: "enrich", kinds: all, ready: migrated,
		feed: func(w *world) {
			w.sensor.rename(w.sensor.next(30)...)
			w.run("load", w.sensor.logs()).with(0, 3)
		},
		prepare: func(w *world) { w.vt.pass(lease) },
		args:    func(*world) []string { return []string{"enrich", "--max-wait", "0s"} },
		codes:   []int{0, 6},
		beside:  []string{"load", "enrich"},
		points:  []string{"enrich: before commit", "enrich: after commit"},
		forgets: true,
	},
	{
		name: "retain", kinds: ours,
		feed: func(w *world) {
			w.sensor.month()
			w.run("load", w.sensor.logs()).with(0, 3)
		},
		args:   func(*world) []string { return []string{"retain", "--events", "12mo"} },
		codes:  []int{0},
		beside: []string{"load"},
		points: []string{"retain: noted"},
	},
	{
		name: "report", kinds: ours,
		feed: func(w *world) {
			write(w)
			w.run("load", w.sensor.logs()).with(0, 3)
		},
		args:   func(w *world) []string { return report },
		codes:  []int{0},
		beside: []string{"load", "report"},
		reads:  true,
	},
	{
		name: "copy", kinds: ours,
		prepare: func(w *world) { w.renewTarget() },
		args:    func(w *world) []string { return []string{"copy", "--to", w.target} },
		codes:   []int{0},
		beside:  []string{"load", "enrich"},
		points:  []string{"copy: before commit", "copy: after commit"},
	},
	{
		name: "publish", kinds: ours,
		feed: func(w *world) {
			w.sensor.rename(w.sensor.next(30)...)
			w.run("load", w.sensor.logs()).with(0, 3)
		},
		prepare: func(w *world) { w.publish() },
		args:    func(*world) []string { return []string{"elastic", "publish"} },
		codes:   []int{0},
		beside:  []string{"load", "enrich"},
		points:  []string{"publish: before commit", "publish: after commit"},
		forgets: true,
	},
	{
		name: "migrate", kinds: []string{takenOver}, ready: func(w *world) bool { return !w.migrated },
		args:   func(*world) []string { return []string{"migrate"} },
		codes:  []int{0},
		points: []string{"migrate", "migrate: before commit"},
	},
	{
		name: "backfill", kinds: []string{takenOver}, ready: migrated,
		args:   func(*world) []string { return []string{"backfill", "run", "--batch", "16"} },
		codes:  []int{0, 3},
		beside: []string{"load"},
		points: []string{"backfill: before commit", "backfill: after commit"},
	},
	{
		name: "compact", kinds: []string{takenOver},
		ready:   func(w *world) bool { return w.migrated && w.backfilled() },
		prepare: func(w *world) { w.compacting = true },
		args:    func(*world) []string { return []string{"compact", "--yes"} },
		codes:   []int{0},
		beside:  []string{"load"},
		points: []string{"compact: before commit", "compact: after commit", "delete: before commit", "delete: after commit",
			"give back: PRAGMA temp_store", "give back: VACUUM", "give back: PRAGMA wal_checkpoint"},
	},
}

// report is a report of all days on which the sensor was at work. It goes back to before
// VirusTotal was asked, since when that was differs.
var report = []string{"report", "monthly", thisMonth.Format("2006-01"), "--as-of", time.Now().UTC().AddDate(0, 0, -1).Format(time.DateOnly), "-o", "json"}

// possible returns the operations that a world is ready for.
func (w *world) possible() (possible []*operation) {
	for i := range operations {
		if o := &operations[i]; slices.Contains(o.kinds, w.kind) && (o.ready == nil || o.ready(w)) {
			possible = append(possible, o)
		}
	}
	return possible
}
