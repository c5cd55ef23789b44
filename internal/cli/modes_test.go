package cli

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"midden/internal/enrich/virustotal/vttest"
	"midden/internal/synth"
	"midden/internal/synth/cowrieprocessor"
)

// TestModes: whatever the umask is, what holds attackers' words is for its owner
// alone, also what a killed run leaves behind; status files are for monitoring, and
// nothing is for others to write.
func TestModes(t *testing.T) {
	t.Parallel()
	for _, umask := range []string{"000", "077"} {
		s := newStation(t, rich(), hash(1), hash(2))
		s.vt.Add(vttest.File{SHA256: hash(1), Stats: &vttest.Stats{Malicious: 40, Undetected: 20}})
		if err := os.Remove(s.db); err != nil {
			t.Fatal(err)
		}
		s.config(fmt.Sprintf("cache = %q\n", filepath.Join(s.dir, "made", "cache")))
		if err := os.Mkdir(filepath.Join(s.dir, "downloads"), 0o700); err != nil {
			t.Fatal(err)
		}
		s.write("downloads/a", "#!/bin/sh\n")
		old := filepath.Join(s.dir, "old.db")
		if _, err := cowrieprocessor.Write(t.Context(), old, cowrieprocessor.Options{Logs: synth.Options{Seed: 1, Events: 500, FileShare: 0.4}}); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(old, 0o600); err != nil {
			t.Fatal(err)
		}
		for _, run := range []struct{ kill, args string }{
			{"", "load cowrie.json --status-dir status"},
			{"", "enrich"},
			{"scan: before commit", "scan downloads --sensor a"},
			{"", "migrate --db old.db"},
			{"backfill: before commit", "backfill run --db old.db --status-dir status"},
		} {
			midden := midden(t)
			cmd := exec.Command("sh", append([]string{"-c", `umask ` + umask + `; exec "$0" "$@"`, midden.Path, "-q"}, strings.Fields(run.args)...)...)
			cmd.Dir = s.dir
			cmd.Env = append(os.Environ(), "MIDDEN_TEST_KILL_AT="+run.kill, "VT_API_KEY=file:key", "USE_NEW_ENRICHMENT=true")
			if out, err := cmd.CombinedOutput(); err != nil && run.kill == "" {
				t.Fatalf("midden %s: %v: %s", run.args, err, out)
			}
		}
		seen := map[string]int{}
		err := filepath.WalkDir(s.dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || path == s.dir {
				return err
			}
			info, err := d.Info()
			if err != nil {
				return err
			}
			name, _ := filepath.Rel(s.dir, path)
			most := fs.FileMode(0o600)
			switch forMonitoring := strings.HasPrefix(name, "status"); {
			case forMonitoring && d.IsDir() && umask == "000":
				most = 0o755
			case forMonitoring && umask == "000":
				most = 0o644
			case d.IsDir():
				most = 0o700
			}
			if info.Mode().Perm() != most {
				t.Errorf("umask %s: %s has the mode %04o, want %04o", umask, name, info.Mode().Perm(), most)
			}
			for _, kind := range []string{"midden.db-wal", "midden.db-shm", "old.db-wal", "old.db-maintenance", "made/cache/", "status/"} {
				if strings.HasPrefix(name, kind) {
					seen[kind]++
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if len(seen) != 6 {
			t.Errorf("umask %s: of what is to be left behind there is only %v", umask, seen)
		}
	}
}
