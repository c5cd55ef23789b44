package cli

import (
	"bytes"
	"database/sql"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"midden/internal/crashtest/faults"
)

// TestMain makes the test program the real one, too: scripts and the kill
// tests run it under the name midden.
func TestMain(m *testing.M) {
	// A program with the race detector in it sleeps for a second before it ends.
	os.Setenv("GORACE", "atexit_sleep_ms=0 "+os.Getenv("GORACE"))
	testscript.Main(m, map[string]func(){"midden": program})
}

func program() {
	faults.Arm()
	os.Exit(Main(Signals(), os.Args[1:], os.Stdout, os.Stderr))
}

// TestScripts runs terminal sessions.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			for _, name := range []string{"MIDDEN_CONFIG", "MIDDEN_DB", "COWRIEPROC_DB_URL", "COWRIEPROC_DB_PATH", "USE_NEW_ENRICHMENT"} {
				env.Setenv(name, "")
			}
			env.Setenv("GORACE", os.Getenv("GORACE"))
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"sqlite":   sqliteCommand,
			"code":     codeCommand,
			"mkfifo":   fifoCommand,
			"chop":     chopCommand,
			"harmless": harmlessCommand,
			"csvcheck": csvCommand,
			"summary":  summaryCommand,
			"hostile":  hostileCommand,
			"oneline":  oneLineCommand,
			"column":   columnCommand,
			"exact":    exactCommand,
			"damage":   damageCommand,
			"pack":     packCommand,
		},
	})
}

// sqlite FILE STATEMENT: runs SQL on a database; the rows go to no one.
func sqliteCommand(ts *testscript.TestScript, neg bool, args []string) {
	db, err := sql.Open("sqlite", ts.MkAbs(args[0]))
	ts.Check(err)
	defer db.Close()
	for _, statement := range args[1:] {
		_, err = db.Exec(statement)
		ts.Check(err)
	}
}

// code N midden ...: runs a command that must end with an exit code.
func codeCommand(ts *testscript.TestScript, neg bool, args []string) {
	err := ts.Exec(args[1], args[2:]...)
	got := 0
	if err != nil {
		if !strings.HasPrefix(err.Error(), "exit status ") {
			ts.Fatalf("%v", err)
		}
		fmt.Sscanf(err.Error(), "exit status %d", &got)
	}
	if fmt.Sprint(got) != args[0] {
		ts.Fatalf("exit code %d, want %s\nstdout: %s\nstderr: %s", got, args[0], ts.ReadFile("stdout"), ts.ReadFile("stderr"))
	}
}

func fifoCommand(ts *testscript.TestScript, neg bool, args []string) {
	ts.Check(syscall.Mkfifo(ts.MkAbs(args[0]), 0o600))
}

// chop FILE: takes the last newline away.
func chopCommand(ts *testscript.TestScript, neg bool, args []string) {
	path := ts.MkAbs(args[0])
	data, err := os.ReadFile(path)
	ts.Check(err)
	ts.Check(os.WriteFile(path, []byte(strings.TrimSuffix(string(data), "\n")), 0o644))
}

// harmless: what the last command printed does nothing in a terminal.
func harmlessCommand(ts *testscript.TestScript, neg bool, args []string) {
	for _, stream := range []string{"stdout", "stderr", "ttyout"} {
		text := ts.ReadFile(stream)
		if stream == "ttyout" { // a terminal adds these itself
			text = strings.ReplaceAll(text, "\r\n", "\n")
		}
		if what := acts(text); what != "" {
			ts.Fatalf("%s holds %s: %q", stream, what, text)
		}
	}
}

// oneline: the last command said one line on stderr and nothing on stdout.
func oneLineCommand(ts *testscript.TestScript, neg bool, args []string) {
	stdout, stderr := ts.ReadFile("stdout"), ts.ReadFile("stderr")
	if stdout != "" || !strings.HasPrefix(stderr, "midden: ") || strings.Count(stderr, "\n") != 1 {
		ts.Fatalf("not one line on stderr\nstdout: %s\nstderr: %s", stdout, stderr)
	}
}

// rows returns the JSON array or JSON lines that the last command printed.
func rows(ts *testscript.TestScript) (list []map[string]any) {
	text := ts.ReadFile("stdout")
	if strings.HasPrefix(text, "[") {
		ts.Check(json.Unmarshal([]byte(text), &list))
		return list
	}
	for line := range strings.Lines(text) {
		var row map[string]any
		ts.Check(json.Unmarshal([]byte(line), &row))
		list = append(list, row)
	}
	return list
}

// column NAME VALUE...: the rows that the last command printed as JSON have
// these values in a column, and there are no others.
func columnCommand(ts *testscript.TestScript, neg bool, args []string) {
	var got []string
	for _, row := range rows(ts) {
		value, ok := row[args[0]]
		if !ok {
			ts.Fatalf("a row lacks %s: %v", args[0], row)
		}
		got = append(got, strings.TrimSuffix(fmt.Sprint(value), strings.Repeat("0", 56)))
	}
	if !slices.Equal(got, args[1:]) {
		ts.Fatalf("%s is %q, want %q", args[0], got, args[1:])
	}
}

// damage FILE OFFSET: writes rubbish over 4 KB of a file.
func damageCommand(ts *testscript.TestScript, neg bool, args []string) {
	f, err := os.OpenFile(ts.MkAbs(args[0]), os.O_RDWR, 0)
	ts.Check(err)
	defer f.Close()
	var at int64
	fmt.Sscan(args[1], &at)
	_, err = f.WriteAt(bytes.Repeat([]byte("\xa5rubbish"), 512), at)
	ts.Check(err)
}

// pack FROM TO: a gzipped copy.
func packCommand(ts *testscript.TestScript, neg bool, args []string) {
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), gzipped([]byte(ts.ReadFile(args[0]))), 0o644))
}

// csvcheck N: what the last command printed is CSV with N rows, head included,
// and no cell begins a formula.
func csvCommand(ts *testscript.TestScript, neg bool, args []string) {
	rows, err := csv.NewReader(strings.NewReader(ts.ReadFile("stdout"))).ReadAll()
	ts.Check(err)
	if fmt.Sprint(len(rows)) != args[0] {
		ts.Fatalf("%d rows, want %s", len(rows), args[0])
	}
	for _, cell := range slices.Concat(rows...) {
		if formula(cell) {
			ts.Fatalf("a cell begins a formula: %q", cell)
		}
	}
}

// summary KEY=N...: what the last command printed is a JSON object with these
// numbers, in the order in which it always has them, and its lines are
// accounted for.
func summaryCommand(ts *testscript.TestScript, neg bool, args []string) {
	text := ts.ReadFile("stdout")
	var s map[string]float64
	ts.Check(json.Unmarshal([]byte(text), &s))
	var keys []string
	for _, m := range regexp.MustCompile(`(?m)^ +"([a-z_]+)": `).FindAllStringSubmatch(text, -1) {
		keys = append(keys, m[1])
	}
	if want := strings.Fields(`files_read files_known files_passed_over files_unreadable lines events duplicates
		dead_letters blank pending_bytes sessions files sightings seconds`); !slices.Equal(keys, want) {
		ts.Fatalf("the summary has %q, want %q", keys, want)
	}
	if s["lines"] != s["events"]+s["duplicates"]+s["dead_letters"]+s["blank"] {
		ts.Fatalf("lines are not accounted for: %v", s)
	}
	for _, arg := range args {
		key, want, _ := strings.Cut(arg, "=")
		if _, ok := s[key]; !ok || fmt.Sprint(s[key]) != want {
			ts.Fatalf("%s is %v, want %s: %v", key, s[key], want, s)
		}
	}
}

// hostileTexts attack terminals, spreadsheets, browsers and readers.
var hostileTexts = []string{
	"\x1b]8;;http://evil.test\x1b\\click\x1b]8;;\x1b\\", "\x1b]52;c;ZWNobyBvd25lZA==\x07", "\u202egnp.exe",
	"=cmd|' /C calc'!A0", "+1+1", "-2+3", "@SUM(1)", "\t=1", "<script>alert(1)</script>", "a\x00b", "\u2028\u200b",
	"\u009b31m", "{{constructor}}", "'; DROP TABLE files; --", "\r\nforged", strings.Repeat("A", 5000),
}

// exact COLUMN PREFIX: the rows that the last command printed as JSON hold the
// hostile texts in a column, behind a prefix, unchanged. (Texts that are longer
// than the column are not looked at.)
func exactCommand(ts *testscript.TestScript, neg bool, args []string) {
	prefix := ""
	if len(args) > 1 {
		prefix = args[1]
	}
	seen := 0
	for _, row := range rows(ts) {
		n := -1
		id, _ := row["session_id"].(string)
		if id == "" {
			id, _ = row["session"].(string)
		}
		if _, err := fmt.Sscanf(id, "bad%02d", &n); err != nil {
			ts.Fatalf("a row without a session: %v", row)
		}
		if len(hostileTexts[n]) > 200 {
			continue
		}
		seen++
		if want := prefix + hostileTexts[n]; row[args[0]] != want {
			ts.Fatalf("%s of session %s is %q, want %q", args[0], id, row[args[0]], want)
		}
	}
	if seen < len(hostileTexts)-1 {
		ts.Fatalf("%d rows with hostile texts, want %d", seen, len(hostileTexts)-1)
	}
}

// hostile DIR: writes logs whose text, and names whose bytes, attack whoever
// looks at them.
func hostileCommand(ts *testscript.TestScript, neg bool, args []string) {
	dir := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(dir, 0o755))
	var log strings.Builder
	for i, text := range hostileTexts {
		event := func(id string, fields map[string]any) {
			fields["eventid"], fields["session"], fields["sensor"], fields["src_ip"] = id, fmt.Sprintf("bad%02d", i), text, text
			fields["timestamp"] = fmt.Sprintf("2026-01-01T00:%02d:%02d.000000Z", i, log.Len()%60)
			line, err := json.Marshal(fields)
			ts.Check(err)
			log.Write(append(line, '\n'))
		}
		event("cowrie.session.connect", map[string]any{"protocol": text})
		event("cowrie.client.version", map[string]any{"version": text})
		event("cowrie.login.success", map[string]any{"username": text, "password": text})
		event("cowrie.command.input", map[string]any{"input": text})
		event("cowrie.session.file_upload", map[string]any{"shasum": fmt.Sprintf("%064x", i+1), "filename": text,
			"destfile": text, "url": "http://" + text, "outfile": text})
	}
	log.WriteString("\x1b]0;dead\x07 no event\n")
	ts.Check(os.WriteFile(filepath.Join(dir, "\x1b[31mred\n.json"), []byte(log.String()), 0o644))
}
