package cli

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// licences are told by what stands in their texts, white space made even.
var licences = []struct{ name, text string }{
	{"MIT", "Permission is hereby granted, free of charge, to any person obtaining a copy of this software"},
	{"BSD-3-Clause", "may be used to endorse or promote products derived from this software without specific prior written permission"},
	{"Apache-2.0", "Apache License Version 2.0"},
	{"Unlicense", "This is free and unencumbered software released into the public domain"},
}

// TestDependencies: docs/dependencies.md has each module that go.mod names and no other,
// with the licence that stands in the module, and whether it is in the binary.
func TestDependencies(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/dependencies.md")
	if err != nil {
		t.Fatal(err)
	}
	type row struct{ licence, where string }
	rows := map[string]row{}
	for _, m := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\| ([^|]+) \\| ([^|]+) \\|").FindAllStringSubmatch(string(page), -1) {
		rows[m[1]] = row{m[2], m[3]}
	}

	linked := map[string]bool{}
	for _, system := range []string{"linux", "darwin"} {
		for _, module := range strings.Fields(goSays(t, "GOOS="+system, "list", "-deps", "-f", "{{with .Module}}{{.Path}}{{end}}", "midden/cmd/midden")) {
			linked[module] = true
		}
	}
	var mod struct{ Require []struct{ Path string } }
	if err := json.Unmarshal([]byte(goSays(t, "", "mod", "edit", "-json")), &mod); err != nil {
		t.Fatal(err)
	}
	for _, module := range mod.Require {
		r, ok := rows[module.Path]
		delete(rows, module.Path)
		if !ok {
			t.Errorf("docs/dependencies.md lacks %s", module.Path)
			continue
		}
		if linked[module.Path] != (r.where == "binary") {
			t.Errorf("%s is in the binary: %v; docs/dependencies.md says %q", module.Path, linked[module.Path], r.where)
		}
		dir := strings.TrimSpace(goSays(t, "", "list", "-m", "-f", "{{.Dir}}", module.Path))
		if dir == "" {
			t.Logf("%s is not on this machine: its licence is not looked at", module.Path)
			continue
		}
		if got := licenceOf(t, dir); got != r.licence {
			t.Errorf("the licence of %s is %s; docs/dependencies.md says %s", module.Path, got, r.licence)
		}
	}
	for module := range rows {
		t.Errorf("docs/dependencies.md has %s, which go.mod does not name", module)
	}
}

// licenceOf reads the licence of a module itself; those of what it holds of others
// stand in further files.
func licenceOf(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	own := regexp.MustCompile(`(?i)^(un)?licen[cs]e(\.txt|\.md)?$|^copying$`)
	var found []string
	for _, entry := range entries {
		if !own.MatchString(entry.Name()) {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, entry.Name()))
		if err != nil {
			t.Fatal(err)
		}
		even := strings.Join(strings.Fields(string(text)), " ")
		for _, l := range licences {
			if strings.Contains(even, l.text) {
				found = append(found, l.name)
			}
		}
	}
	return strings.Join(slices.Compact(found), ", ")
}

func goSays(t *testing.T, env string, args ...string) string {
	t.Helper()
	cmd := exec.Command("go", args...)
	cmd.Dir = "../.."
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", env)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go %v: %v", args, err)
	}
	return string(out)
}
