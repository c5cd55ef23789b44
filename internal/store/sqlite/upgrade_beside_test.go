package sqlite_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"midden/internal/store"
	"midden/internal/store/migrate"
	"midden/internal/store/sqlite"
)

func TestUpgradeHeld(t *testing.T) {
	t.Parallel()
	path, db := old(t, 3, logLines()[:10])
	db.Close()
	entered, leave := make(chan struct{}), make(chan struct{})
	first := make(chan error)
	go func() {
		first <- sqlite.Upgrade(t.Context(), path, func(*migrate.Plan) error {
			close(entered)
			<-leave
			return nil
		}, func(int) {})
	}()
	<-entered
	_, err := tryUpgrade(t, path)
	var held *store.HeldError
	if !errors.As(err, &held) || !errors.Is(err, store.ErrLocked) || !strings.Contains(held.By, fmt.Sprintf("midden migrate, process %d ", os.Getpid())) {
		t.Errorf("the second one got %v", err)
	}
	if _, err := sqlite.Plan(t.Context(), path); err != nil {
		t.Errorf("a plan is nobody's business: %v", err)
	}
	close(leave)
	if err := <-first; err != nil {
		t.Error(err)
	}
	if steps := upgrade(t, path); steps != nil {
		t.Errorf("afterwards: %v", steps)
	}
	if left, err := filepath.Glob(path + "-maintenance"); err != nil || left != nil {
		t.Errorf("%v is left (%v)", left, err)
	}
}

// TestUpgradeAtOnce has several goroutines and processes upgrade at once: one
// does, the others say that they are held off or find it done.
func TestUpgradeAtOnce(t *testing.T) {
	t.Parallel()
	path, db := old(t, 1, logLines())
	run(t, db, `PRAGMA journal_mode = delete`)
	db.Close()
	var wg sync.WaitGroup
	var mu sync.Mutex
	worked := 0
	for range 4 {
		wg.Go(func() {
			steps := 0
			err := sqlite.Upgrade(t.Context(), path, func(*migrate.Plan) error { return nil }, func(int) { steps++ })
			mu.Lock()
			defer mu.Unlock()
			var held *store.HeldError
			switch {
			case err == nil && steps > 0:
				worked++
			case err != nil && !errors.As(err, &held):
				t.Error(err)
			}
		})
	}
	for range 2 {
		wg.Go(func() {
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestUpgradeHelper$", "-test.v")
			cmd.Env = append(os.Environ(), "MIDDEN_TEST_UPGRADE="+path)
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Errorf("%v: %s", err, out)
			}
			mu.Lock()
			defer mu.Unlock()
			if bytes.Contains(out, []byte("upgraded by 5 steps")) || bytes.Contains(out, []byte("upgraded by 6 steps")) {
				worked++
			}
		})
	}
	wg.Wait()
	if worked != 1 {
		t.Errorf("%d of them did it", worked)
	}
	if events, _ := use(t, path, logLines()...); events != 0 {
		t.Errorf("%d events are new", events)
	}
}

// TestUpgradeHelper is a process of TestUpgradeAtOnce.
func TestUpgradeHelper(t *testing.T) {
	path := os.Getenv("MIDDEN_TEST_UPGRADE")
	if path == "" {
		t.Skip("it is run by TestUpgradeAtOnce")
	}
	steps, err := tryUpgrade(t, path)
	var held *store.HeldError
	if err != nil && !errors.As(err, &held) {
		t.Fatal(err)
	}
	t.Logf("upgraded by %d steps", len(steps))
}

func TestHoldOfStore(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "m.db")
	a, err := open(t, path, true)
	if err != nil {
		t.Fatal(err)
	}
	b, err := open(t, path, false)
	if err != nil {
		t.Fatal(err)
	}
	release, err := a.Hold("backfill run")
	if err != nil {
		t.Fatal(err)
	}
	var held *store.HeldError
	if _, err := b.Hold("compact"); !errors.As(err, &held) || !strings.Contains(err.Error(), "midden backfill run, process") {
		t.Errorf("got %v", err)
	}
	if _, err := a.Hold("compact"); !errors.As(err, &held) { // nor can the same one have it twice
		t.Errorf("got %v", err)
	}
	release()
	again, err := b.Hold("compact")
	if err != nil {
		t.Fatal(err)
	}
	again()
	// Many at once: never two have it.
	var wg sync.WaitGroup
	var inside, most, times int
	var mu sync.Mutex
	for i := range 4 {
		s := a
		if i%2 == 1 {
			s = b
		}
		wg.Go(func() {
			for range 15 {
				release, err := s.Hold("test")
				if err != nil {
					if !errors.Is(err, store.ErrLocked) {
						t.Error(err)
					}
					continue
				}
				mu.Lock()
				inside++
				times++
				most = max(most, inside)
				mu.Unlock()
				mu.Lock()
				inside--
				mu.Unlock()
				release()
			}
		})
	}
	wg.Wait()
	if most != 1 || times == 0 {
		t.Errorf("%d had it at once, %d times in all", most, times)
	}
}
