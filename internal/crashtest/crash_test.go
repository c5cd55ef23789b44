package crashtest

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"midden/internal/crashtest/faults"
	"midden/internal/store/postgres/pgtest"
)

// TestCrash is promise 3, and with it 1, 2, 4, 5 and 9: what midden does is killed, again
// and again, and ends where it would have ended without that.
//
// A history is a database and what comes to it; the seed of one says all of it, save what
// the time of day says: MIDDEN_SOAK_SEED=N runs the one of that seed alone.
func TestCrash(t *testing.T) {
	t.Parallel()
	began := time.Now()
	var seed atomic.Uint64
	only, _ := strconv.ParseUint(os.Getenv("MIDDEN_SOAK_SEED"), 10, 64)
	next := func() (uint64, bool) {
		n := seed.Add(1)
		switch {
		case only > 0:
			return only, n == 1
		case soak > 0:
			return n, time.Since(began) < soak && !t.Failed()
		}
		return n, n <= uint64(len(all))
	}
	var lanes sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		lanes.Go(func() {
			lane := &lane{t: t}
			for n, more := next(); more; n, more = next() {
				t.Run(fmt.Sprint("seed ", n), func(t *testing.T) { lane.history(t, n) })
			}
		})
	}
	lanes.Wait()
	t.Logf("%s", tried.report())
}

// trialsPerHistory is after how many trials there is a new database, and
// trialsPerComparison after how many all work is done and compared.
func trialsPerHistory() (history, comparison int) {
	if soak > 0 {
		return 30, 15
	}
	return 6, 6
}

// lane runs one history after the other. Its server may crash without disturbing others.
type lane struct {
	t      *testing.T
	server *pgtest.Server
}

func (l *lane) history(t *testing.T, seed uint64) {
	kind := all[seed%uint64(len(all))]
	if kind == onPostgres && l.server == nil {
		l.server = pgtest.Start(l.t, "fsync=off", "full_page_writes=off")
	}
	w := newWorld(t, kind, l.server, rand.New(rand.NewPCG(seed, 1)))
	trials, comparison := trialsPerHistory()
	for n := 1; n <= trials; n++ {
		for range 1 + w.rng.IntN(3) {
			w.sensor.act()
		}
		what := w.trial(n)
		w.check()
		if n%comparison == 0 && !t.Failed() {
			w.compare(n == trials)
		}
		if t.Failed() {
			t.Fatalf("seed %d, trial %d: %s", seed, n, what)
		}
	}
}

// trial does one operation, disturbs it, and returns what it did.
func (w *world) trial(n int) (what string) {
	possible := w.possible()
	if n < 8 || n%2 == 0 { // it is the last that is done to raw events
		possible = slices.DeleteFunc(possible, func(o *operation) bool { return o.name == "compact" })
	}
	o := possible[w.rng.IntN(len(possible))]
	if soak == 0 { // few trials: one of each
		o = possible[n%len(possible)]
	}
	if o.prepare != nil {
		o.prepare(w)
	}
	how := w.disturbances(o)
	d := how[w.rng.IntN(len(how))]
	what = o.name + ", " + d.name

	var other *process
	var beside *operation
	if len(o.beside) > 0 && !d.alone && w.rng.IntN(3) == 0 {
		name := o.beside[w.rng.IntN(len(o.beside))]
		if i := slices.IndexFunc(possible, func(o *operation) bool { return o.name == name }); i >= 0 {
			beside = possible[i]
			what += ", beside " + name
			other = w.do(beside)
		}
	}
	p := w.do(o, d.env...)
	disturbed := make(chan bool, 1)
	go func() { disturbed <- d.during != nil && d.during(w, o, p) }()
	if o.follows {
		for range 2 + w.rng.IntN(4) {
			w.sensor.act()
			time.Sleep(time.Duration(w.rng.IntN(40)) * time.Millisecond) // the sensor's own pace
		}
		if d.during == nil || d.server {
			<-disturbed
			disturbed <- true
			p.cmd.Process.Signal(syscall.SIGTERM)
		}
	}
	hit := <-disturbed
	codes := o.codes
	if d.server {
		codes = append([]int{75}, codes...)
	}
	if !p.wait() {
		p.with(codes...)
	} else {
		hit = true
	}
	if hit {
		tried.count(w.kind, o.name, d.name)
	} else {
		o.ended(p.took)
	}
	if other != nil {
		codes := beside.codes
		if d.server {
			codes = append([]int{75}, codes...)
		}
		other.with(codes...)
	}
	return what
}

// disturbance is a way to disturb an operation.
type disturbance struct {
	name string
	env  []string
	// during, if not nil, is called while the operation is at work; it reports whether
	// it came in time.
	during func(*world, *operation, *process) bool
	// server: it is the database server that it is done to.
	server bool
	// alone: no other process can be at work meanwhile.
	alone bool
}

// disturbances returns the ways to disturb an operation, some more than once.
func (w *world) disturbances(o *operation) []disturbance {
	at := w.rng.Float64()
	kill := disturbance{name: "kill -9 at random", during: func(_ *world, o *operation, p *process) bool {
		select {
		case <-p.ended:
		case <-time.After(time.Duration(at * float64(o.takes()))):
		}
		return p.cmd.Process.Kill() == nil
	}}
	list := slices.Repeat([]disturbance{kill}, longer(1, 3))
	for _, point := range append([]string{"before commit", "after commit"}, o.points...) {
		nth := 1 + w.rng.IntN(3)
		if point == "migrate" {
			nth = 1 + w.rng.IntN(8)
		}
		list = append(list, disturbance{name: "killed at \"" + point + "\"", env: []string{fmt.Sprintf("%s=%s#%d", faults.KillAt, point, nth)}})
	}
	if w.server == nil {
		disk := func(fault string) []string {
			return []string{fmt.Sprintf("%s=%s#%d", faults.Disk, fault, 1+int(w.rng.ExpFloat64()*60))}
		}
		list = append(list, disturbance{name: "killed in a write", env: disk(faults.DiskKill)}, disturbance{name: "killed in a write", env: disk(faults.DiskKill)})
		if !o.forgets {
			list = append(list, disturbance{name: "power cut", env: disk(faults.DiskCut), alone: true})
		}
		return list
	}
	later := func(do func(*world) bool) func(*world, *operation, *process) bool {
		return func(w *world, o *operation, p *process) bool {
			select {
			case <-p.ended:
				return false
			case <-time.After(time.Duration(at * float64(o.takes()))):
			}
			return p.alive() && do(w)
		}
	}
	return append(list,
		disturbance{name: "connections ended", server: true, during: later((*world).endConnections)},
		disturbance{name: "connections ended", server: true, during: later((*world).endConnections)},
		disturbance{name: "server process killed", server: true, during: later((*world).killBackend)},
		disturbance{name: "server crashed", server: true, during: later((*world).crashServer)})
}

// endConnections has the server end all connections to the database.
func (w *world) endConnections() (did bool) {
	w.ask(`SELECT count(pg_terminate_backend(pid)) > 0 FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`, &did)
	return did
}

// killBackend kills a process of the server, which then ends all others and recovers.
func (w *world) killBackend() bool {
	var pid int
	w.ask(`SELECT coalesce(max(pid), 0) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`, &pid)
	if pid == 0 || syscall.Kill(pid, syscall.SIGKILL) != nil {
		return false
	}
	for syscall.Kill(pid, 0) == nil {
		time.Sleep(time.Millisecond) // until the server has seen it
	}
	w.server.Await(w.t)
	return true
}

// crashServer stops the server as a crash does, and starts it again.
func (w *world) crashServer() bool {
	w.server.Stop(w.t, "immediate")
	w.server.Run(w.t)
	return true
}

func (w *world) ask(query string, into any) {
	ctx := context.Background()
	c, err := pgx.Connect(ctx, w.db)
	if err != nil {
		w.t.Error(err)
		return
	}
	defer c.Close(ctx)
	if err := c.QueryRow(ctx, query).Scan(into); err != nil {
		w.t.Error(err)
	}
}

// times are how long operations take, so that random moments fall within them.
var times = struct {
	sync.Mutex
	of map[string]time.Duration
}{of: map[string]time.Duration{}}

func (o *operation) takes() time.Duration {
	times.Lock()
	defer times.Unlock()
	if d, ok := times.of[o.name]; ok {
		return d
	}
	return 200 * time.Millisecond
}

func (o *operation) ended(after time.Duration) {
	times.Lock()
	defer times.Unlock()
	if d, ok := times.of[o.name]; ok && !o.follows {
		after = (3*d + after) / 4
	}
	times.of[o.name] = min(after, time.Second)
}

// tally counts trials.
type tally struct {
	sync.Mutex
	of map[[3]string]int
}

var tried = tally{of: map[[3]string]int{}}

func (c *tally) count(kind, operation, how string) {
	c.Lock()
	defer c.Unlock()
	c.of[[3]string{kind, operation, how}]++
}

// report is a table of the trials: by operation and what was done to it, and by database.
func (c *tally) report() string {
	c.Lock()
	defer c.Unlock()
	sums := map[[2]string]map[string]int{}
	for row, n := range c.of {
		for _, what := range [][2]string{{row[1], row[2]}, {row[1], "all"}, {"all", row[2]}, {"all", "all"}} {
			if sums[what] == nil {
				sums[what] = map[string]int{}
			}
			sums[what][row[0]] += n
			sums[what]["all"] += n
		}
	}
	kinds := append(slices.Clone(all), "all")
	var b strings.Builder
	fmt.Fprintf(&b, "%d trials\n| operation | disturbed | %s |\n|---|---|%s\n", sums[[2]string{"all", "all"}]["all"],
		strings.Join(kinds, " | "), strings.Repeat("---|", len(kinds)))
	for _, what := range slices.SortedFunc(maps.Keys(sums), func(a, b [2]string) int { return slices.Compare(a[:], b[:]) }) {
		fmt.Fprintf(&b, "| %s | %s |", what[0], what[1])
		for _, kind := range kinds {
			fmt.Fprintf(&b, " %d |", sums[what][kind])
		}
		b.WriteString("\n")
	}
	return b.String()
}
