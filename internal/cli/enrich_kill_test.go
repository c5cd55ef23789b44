package cli

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"midden/internal/enrich/virustotal/vttest"
	"midden/internal/store/storetest"
)

// knows has the server know every other of the files.
func (s *station) knows(files []string) {
	for i, f := range files {
		if i%2 == 0 {
			s.vt.Add(vttest.File{SHA256: f, Stats: &vttest.Stats{Malicious: i, Undetected: 60 - i}, Label: "trojan.made/up",
				LastAnalysis: s.now.AddDate(0, 0, -i-1), FirstSubmission: s.now.AddDate(-1, 0, -i)})
		}
	}
}

// answers checks a database that nobody has open and returns its canonical text,
// without the times at which answers came, and how the lookups stand.
func (s *station) answers() string {
	s.t.Helper()
	well(s.t, copyDatabase(s.t, s.db))
	path := copyDatabase(s.t, s.db)
	db := storetest.Connect(s.t, path)
	for _, statement := range []string{
		`UPDATE file_verdicts SET observed_at = 'then'`, // fails if an answer is there twice
		`UPDATE files SET vt_checked_at = 'then' WHERE vt_checked_at IS NOT NULL`,
	} {
		if _, err := db.Exec(statement); err != nil {
			s.t.Fatalf("%s: %v", statement, err)
		}
	}
	lookups := table(s.t, db, `SELECT shasum, state, failures, error, leased_until FROM lookups ORDER BY shasum`)
	db.Close()
	return canonical(s.t, path) + strings.Join(lookups, "\n")
}

// counted fails the test unless the ledger counts all that the server saw, and at
// the most so many requests that never got there.
func (s *station) counted(lost int) {
	s.t.Helper()
	for _, period := range []string{"day", "month"} {
		used, saw := 0, s.vt.LookUps()
		for _, row := range s.rows(`SELECT CAST(sum(used) AS TEXT) FROM quota WHERE period = ?`, period) {
			fmt.Sscanf(strings.Trim(row, `["]`), "%d", &used)
		}
		if used < saw || used > saw+lost {
			s.t.Errorf("the ledger of the %s counts %d requests, and there were %d", period, used, saw)
		}
	}
}

// TestKillEnrich kills a run before and after commits, and while a request is on its
// way. What comes out is what an undisturbed run brings. Each kill costs a request for
// each answer that was under way, and the ledger has all of them.
func TestKillEnrich(t *testing.T) {
	t.Parallel()
	files := hashes(9)
	calm := newStation(t, rich(), files...)
	calm.knows(files)
	calm.enrich(0)
	want := calm.answers()
	for _, c := range []struct {
		name, config string
		workers      int
	}{{"one", "per_minute = 20", 1}, {"many", "", 16}} {
		for _, point := range []string{"enrich: before commit", "enrich: after commit"} {
			t.Run(c.name+" "+point, func(t *testing.T) {
				t.Parallel()
				s := newStation(t, rich(), files...)
				s.knows(files)
				s.config(c.config + "\nkey = \"file:key\"")
				kills := 0
				for _, nth := range []int{1, 2, 1, 3} {
					if s.call(fmt.Sprintf("MIDDEN_TEST_KILL_AT=%s#%d", point, nth), "enrich", "-q").killed {
						kills++
					}
					s.counted(kills * (c.workers - 1))
					s.pass(6 * time.Minute) // leases end
				}
				s.enrich(0)
				if kills < 2 || c.workers == 1 && kills < 4 {
					t.Errorf("it was killed %d times only", kills)
				}
				for _, f := range files {
					most := 1 + kills
					if c.workers == 1 && strings.HasSuffix(point, "after commit") { // nothing was under way
						most = 1
					}
					if n := s.vt.Asked(f); n < 1 || n > most {
						t.Errorf("%s was asked about %d times, with %d kills", f, n, kills)
					}
				}
				if n := s.vt.LookUps(); c.workers == 1 && n > len(files)+kills {
					t.Errorf("%d look-ups with %d kills", n, kills)
				}
				s.counted(kills * (c.workers - 1))
				same(t, want, s.answers())
			})
		}
	}
	t.Run("cached", func(t *testing.T) {
		t.Parallel()
		// What is killed between cache and database is taken from the cache: of what
		// VirusTotal knows, nothing is asked twice.
		s := newStation(t, rich(), files...)
		s.knows(files)
		s.pass(time.Since(s.clock()) - time.Hour) // an entry of the future counts for nothing
		s.config("per_minute = 20\nkey = \"file:key\"\ncache = \"cache\"")
		for _, nth := range []int{1, 2, 3} {
			s.call(fmt.Sprintf("MIDDEN_TEST_KILL_AT=enrich: before commit#%d", nth), "enrich", "-q")
			s.pass(6 * time.Minute) // leases end
		}
		s.enrich(0)
		for i, f := range files {
			if n := s.vt.Asked(f); n != 1 && (i%2 == 0 || n < 1) {
				t.Errorf("%s was asked about %d times", f, n)
			}
		}
		same(t, want, s.answers())
		s.call("", "-q", "doctor").with(0)
	})
	t.Run("stalled", func(t *testing.T) {
		t.Parallel()
		s := newStation(t, rich(), files...)
		s.knows(files)
		s.config("per_minute = 20")
		for i, fault := range []vttest.Fault{vttest.Stall(), vttest.StallMidway()} {
			s.vt.FailFile(files[5-i], 1, fault)
			before := s.vt.Asked(files[5-i])
			cmd := s.start()
			await(t, "it asks", func() bool { return s.vt.Asked(files[5-i]) > before })
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			cmd.Wait()
			s.counted(0)
			// What was under way is not asked about at once, since nobody knows that its
			// process is gone.
			s.pass(6 * time.Minute)
		}
		s.enrich(0)
		for i, f := range files {
			n, most := s.vt.Asked(f), 1
			if i == 4 || i == 5 {
				most = 2
			}
			if n < 1 || n > most {
				t.Errorf("%s was asked about %d times", f, n)
			}
		}
		s.counted(0)
		same(t, want, s.answers())
	})
}

// start starts a run.
func (s *station) start(args ...string) *exec.Cmd {
	s.t.Helper()
	cmd := midden(s.t, append([]string{"--db", s.db, "--config", filepath.Join(s.dir, "midden.toml"), "-q", "enrich"}, args...)...)
	cmd.Env = append(cmd.Environ(), "USE_NEW_ENRICHMENT=", "VT_API_KEY=file:"+filepath.Join(s.dir, "key"))
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { cmd.Process.Kill() })
	return cmd
}

// TestEnrichBesideLoad: two runs and a load at once. Each file is asked about once,
// and all that is found is what one after the other finds.
func TestEnrichBesideLoad(t *testing.T) {
	t.Parallel()
	const n = 60
	files := hashes(2 * n)
	s, calm := newStation(t, rich(), files[:n]...), newStation(t, rich(), files[:n]...)
	for _, s := range []*station{s, calm} {
		s.knows(files[:50]) // beyond, there would be no such number of engines
		s.log("more.json", n, files[n:]...)
	}
	run(t, []int{0}, "-q", "--db", calm.db, "load", filepath.Join(calm.dir, "more.json"))
	calm.enrich(0)

	var running sync.WaitGroup
	for range 2 {
		running.Go(func() { s.call("", "-q", "enrich").with(0) })
	}
	running.Go(func() { run(t, []int{0}, "-q", "--db", s.db, "load", filepath.Join(s.dir, "more.json")) })
	running.Wait()
	s.enrich(0) // what came too late
	for _, f := range files {
		if n := s.vt.Asked(f); n != 1 {
			t.Errorf("%s was asked about %d times", f, n)
		}
	}
	s.counted(0)
	same(t, calm.answers(), s.answers())
}

// TestEnrichTwoQuota: two runs that share a small quota do not exceed it, and end
// with 6.
func TestEnrichTwoQuota(t *testing.T) {
	t.Parallel()
	s := newStation(t, vttest.Account{Key: canaryKey, User: "u", Minute: 40, Day: 25, Month: 1000}, hashes(60)...)
	var running sync.WaitGroup
	for range 3 {
		running.Go(func() { s.call("", "enrich", "--max-wait", "0s").with(6).says() })
	}
	running.Wait()
	if s.vt.LookUps() != 25 {
		t.Errorf("%d look-ups, of 25", s.vt.LookUps())
	}
	for _, r := range s.vt.Requests() {
		if r.Status == 429 {
			t.Errorf("a request was refused: %s", fmt.Sprint(r))
		}
	}
	s.counted(0)
}
