package cli

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestUnits: the units in examples/systemd run commands that there are, and systemd,
// where it is there, finds nothing wrong with them and little that is exposed.
func TestUnits(t *testing.T) {
	t.Parallel()
	units, err := filepath.Glob("../../examples/systemd/*.service")
	if err != nil || len(units) < 2 {
		t.Fatalf("%v, %v", units, err)
	}
	for _, unit := range units {
		text, err := os.ReadFile(unit)
		if err != nil {
			t.Fatal(err)
		}
		line := regexp.MustCompile(`(?m)^ExecStart=/usr/local/bin/midden (.*)$`).FindSubmatch(text)
		if line == nil {
			t.Errorf("%s starts no midden", unit)
			continue
		}
		root := (&app{stdout: io.Discard, stderr: io.Discard}).root()
		cmd, args, err := root.Find(strings.Fields(string(line[1])))
		if err == nil {
			err = cmd.ParseFlags(args)
		}
		if err == nil {
			err = cmd.ValidateArgs(cmd.Flags().Args())
		}
		if err != nil || !cmd.HasParent() {
			t.Errorf("%s: midden %s: %v", unit, line[1], err)
		}

		analyze, err := exec.LookPath("systemd-analyze")
		if err != nil {
			t.Log("systemd is not on this machine: what it says of the units is not looked at")
			continue
		}
		copied := filepath.Join(t.TempDir(), filepath.Base(unit))
		at := strings.ReplaceAll(string(text), "/usr/local/bin/midden", midden(t).Path)
		if err := os.WriteFile(copied, []byte(at), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command(analyze, "verify", "--man=no", copied).CombinedOutput(); err != nil || strings.Contains(string(out), filepath.Base(unit)) {
			t.Errorf("%s: %v: %s", unit, err, out)
		}
		// On its scale from 0 to 100 in tenths, less is better.
		if out, err := exec.Command(analyze, "security", "--offline=true", "--threshold=20", "--no-pager", copied).CombinedOutput(); err != nil && !strings.Contains(string(out), "unrecognized option") {
			t.Errorf("%s: %v: %s", unit, err, out)
		}
	}
}
