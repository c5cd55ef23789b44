package cli

import (
	"os/exec"
	"strings"
	"testing"
)

// TestHouse holds the direction of imports: each room may use those beside it
// in the list, and no others of the house.
func TestHouse(t *testing.T) {
	may := map[string]string{
		"cowrie":                "",
		"plain":                 "",
		"grafana":               "",
		"secret":                "plain",
		"config":                "",
		"synth":                 "",
		"synth/cowrieprocessor": "synth",
		"logs":                  "cowrie",
		"enrich":                "cowrie enrich/source enrich/virustotal secret plain",
		"enrich/source":         "cowrie secret plain",
		"enrich/virustotal":     "cowrie enrich/source secret plain",
		"enrich/hashlookup":     "cowrie enrich/source secret plain",
		"enrich/abusech":        "cowrie enrich/source secret plain",
		"elastic":               "cowrie enrich/source secret plain",
		"ingest":                "cowrie logs",
		"downloads":             "cowrie plain",
		"backfill":              "cowrie",
		"compact":               "cowrie",
		"copy":                  "cowrie backfill compact",
		"store":                 "cowrie",
		"store/migrate":         "cowrie store",
		"store/postgres":        "cowrie store store/migrate",
		"store/sqlite":          "cowrie store store/migrate",
		"telemetry":             "plain",
		"report":                "cowrie plain",
		"report/page":           "cowrie plain report",
		"cli/render":            "plain",
		"bench":                 "cowrie plain store store/migrate store/postgres store/postgres/pgtest",
	}
	// What breaks things on purpose is for tests alone, and what measures them for "make bench".
	out, err := exec.Command("go", "list", "-deps", "midden/cmd/midden").CombinedOutput()
	for _, room := range []string{"crashtest", "bench"} {
		if err != nil || strings.Contains(string(out), "midden/internal/"+room) {
			t.Errorf("the program must not know %s: %v", room, err)
		}
	}
	for room, allowed := range may {
		out, err := exec.Command("go", "list", "-deps", "midden/internal/"+room).CombinedOutput()
		if err != nil {
			t.Fatalf("go list: %v\n%s", err, out)
		}
		ok := map[string]bool{room: true}
		for _, a := range strings.Fields(allowed) {
			ok[a] = true
		}
		for _, dep := range strings.Fields(string(out)) {
			if name, ours := strings.CutPrefix(dep, "midden/internal/"); ours && !ok[name] {
				t.Errorf("%s must not know %s", room, name)
			}
			if domain, _, _ := strings.Cut(dep, "/"); room == "cowrie" && strings.Contains(domain, ".") {
				t.Errorf("cowrie is to use the standard library only, not %s", dep)
			}
		}
	}
}
