package cli

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"midden/internal/store/postgres/pgtest"
	"midden/internal/synth"
)

// oddTexts are what PostgreSQL cannot hold, or what it might take for something else.
var oddTexts = append([]string{`\u0000`, `a\u0000b\u0000`, `\ud800`, `\udc00\ud800`, "\xff\xfe", "\xc0\x80", "\xed\xa0\x80", "cut \xe6\x97",
	"\U0010FF00", "\U0010FFFF", `\udbff\udf00`, `\\x00`, `\\N`, `\\.`, `\t\n\r`, `'`, `$1 ? %s`, `{\"a\":[null]}`, `NULL`, "\u00e9 \u65e5",
	strings.Repeat("\xff", 4097), strings.Repeat(`\u0000`, 5000), strings.Repeat("\xf4\x8f\xbf\xbf", 1000)}, quoted(hostileTexts)...)

// quoted are texts as they stand between the quotes of JSON.
func quoted(list []string) (out []string) {
	for _, s := range list {
		text, _ := json.Marshal(s)
		out = append(out, string(text[1:len(text)-1]))
	}
	return out
}

// oddLog writes logs that have an odd text in every place that takes one, and events
// without a time, or with the first and the last that there is.
func oddLog(t testing.TB, dir string) {
	t.Helper()
	var log []byte
	for i, text := range oddTexts {
		event := func(session, id, fields string) {
			log = fmt.Appendf(log, `{"eventid":"%s","session":"%s","sensor":"%s","src_ip":"%[3]s","timestamp":"2026-01-01T00:%02d:%02d.%06dZ"%s}`+"\n",
				id, session, text, i%60, len(log)%60, len(log)%1000000, fields)
		}
		for _, session := range []string{fmt.Sprintf("odd%02d", i), text} {
			event(session, "cowrie.session.connect", `,"protocol":"`+text+`"`)
			event(session, "cowrie.client.version", `,"version":"`+text+`"`)
			event(session, "cowrie.client.kex", `,"hassh":"`+text+`"`)
			event(session, "cowrie.login.success", `,"username":"`+text+`","password":"`+text+`"`)
			event(session, "cowrie.command.input", `,"input":"`+text+`"`)
			event(session, "cowrie.command.input", `,"input":"sh `+text+`"`)
			event(session, "cowrie.session.file_upload", fmt.Sprintf(`,"shasum":"%064x","filename":"%[2]s","destfile":"%[2]s","url":"http://%[2]s","outfile":"%[2]s"`, i+1, text))
			event(session, "cowrie.virustotal.scanfile", fmt.Sprintf(`,"sha256":"%064x","positives":%d,"total":60,"is_new":"%s","scan_date":"%[3]s"`, i+1, i, text))
			event(session, text, `,"message":"`+text+`"`)
		}
		log = append(log, "no event "+text+"\n"...)
	}
	for i, fields := range []string{``, `,"sensor":"b"`, `,"timestamp":"0001-01-01T00:00:00Z"`, `,"timestamp":"9999-12-31T23:59:59.999999Z"`} {
		log = fmt.Appendf(log, `{"eventid":"cowrie.session.file_download","session":"untimed%d","shasum":"%064x"%s}`+"\n", i, 0xabc+i, fields)
	}
	if err := os.WriteFile(filepath.Join(dir, "odd \xff\x1b.json"), log, 0o600); err != nil {
		t.Fatal(err)
	}
}

// onBoth runs a command on both databases; it must end with the same code and print
// the same.
func onBoth(t testing.TB, databases [2]string, args ...string) string {
	t.Helper()
	var said [2]string
	for i, db := range databases {
		cmd := midden(t, append([]string{"--db", db, "-q"}, args...)...)
		var out strings.Builder
		cmd.Stdout, cmd.Stderr = &out, &out
		cmd.Run()
		said[i] = fmt.Sprintf("%s\nexit %d", out.String(), cmd.ProcessState.ExitCode())
		// How long it took differs, and which ids were given out may.
		said[i] = regexp.MustCompile(`"seconds": [0-9.]+`).ReplaceAllString(said[i], `"seconds": 0`)
		said[i] = regexp.MustCompile(`"(created_at|resolved_at)":( ?)"[^"]*"`).ReplaceAllString(said[i], `"$1":$2""`)
		said[i] = strings.ReplaceAll(said[i], db, "DB")
	}
	if strings.HasSuffix(said[0], "exit 2") {
		t.Errorf("midden %q: %s", args, said[0])
	}
	if diff := cmp.Diff(said[0], said[1]); diff != "" {
		t.Errorf("midden %q: on PostgreSQL it differs: %.3000s", args, diff)
	}
	return said[0]
}

// TestEngines loads the same on both engines; they must hold the same, and every
// command must say the same.
func TestEngines(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	oddLog(t, dir)
	o := synth.Options{Seed: 9, Events: 6000, Sensors: 2, Span: 70 * 24 * time.Hour, FileShare: 0.1}
	log, err := os.Create(filepath.Join(dir, "cowrie.json"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	if _, err := o.Generate(t.Context(), log, 1); err != nil {
		t.Fatal(err)
	}
	shapes := run(t, []int{0}, "synth", "--shapes")
	if err := os.WriteFile(filepath.Join(dir, "shapes.json"), []byte(shapes), 0o600); err != nil {
		t.Fatal(err)
	}
	both := sameOnBoth(t, dir)

	downloads := t.TempDir()
	for name, content := range map[string]string{"a": "#!/bin/sh\nid\n", "b\xff\n": "\x7fELF", "c": "", strings.Repeat("d", 200): "d"} {
		if err := os.WriteFile(filepath.Join(downloads, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
		if err := os.Chtimes(filepath.Join(downloads, name), at, at); err != nil {
			t.Fatal(err)
		}
	}
	onBoth(t, both, "scan", "--sensor", "s", downloads, "-o", "json")
	onBoth(t, both, "scan", "--sensor", "s", downloads, "-o", "json")
	for _, args := range [][]string{{"files", "list"}, {"files", "list", "--disk-only"}, {"doctor", "--deep"}, {"verify"}, {"dead-letters", "retry"}} {
		if args[0] != "doctor" {
			onBoth(t, both, append(args, "-o", "json")...)
		}
	}
	same(t, dump(t, both[0]), dump(t, both[1]))

	for _, args := range [][]string{{"retain", "--events", "1mo", "--dry-run"}, {"events"}, {"doctor", "--deep"}, {"verify"}, {"retain", "--events", "1mo"}} {
		args = append(args, "-o", "json")
		if args[0] != "doctor" && args[0] != "retain" { // bytes are those that each engine says
			onBoth(t, both, args...)
			continue
		}
		for _, db := range both {
			run(t, []int{0}, append([]string{"--db", db, "-q"}, args...)...)
		}
	}
	onBoth(t, both, "retain", "--events", "1mo", "-o", "json")
	onBoth(t, both, "events")
	onBoth(t, both, "load", dir, "-o", "json")
	onBoth(t, both, "verify", "-o", "json")
	same(t, dump(t, both[0]), dump(t, both[1]))
}

// TestEnginesOnRealLogs does so with a collection of real logs, where there is one.
func TestEnginesOnRealLogs(t *testing.T) {
	t.Parallel()
	logs := realData(t, "logs")
	sameOnBoth(t, logs, realData(t, "hostile", "real-hostile-lines.jsonl"), realData(t, "one-of-each-shape.jsonl"), realData(t, "pretty-printed.json"))
}

// sameOnBoth loads logs on both engines and compares all that can be seen of them.
func sameOnBoth(t *testing.T, paths ...string) (both [2]string) {
	t.Helper()
	both = [2]string{filepath.Join(t.TempDir(), "midden.db"), pgtest.Shared(t).Empty(t)}
	t.Log(onBoth(t, both, append([]string{"load", "-o", "json"}, paths...)...))
	onBoth(t, both, append([]string{"load", "-o", "json"}, paths...)...)
	for _, args := range [][]string{
		{"files", "list"}, {"files", "list", "--limit", "3"}, {"files", "list", "--name", "S?*"}, {"files", "list", "--name", "h"}, {"files", "list", "--url", "HTTP"},
		{"files", "list", "--since", "2026-01-01T00:10:00Z", "--until", "2026-02-01"}, {"files", "list", "--disk-only"}, {"files", "list", "--kind", "upload"}, {"files", "list", "--status", "known"},
		{"files", "changes", "--since", "2001-01-01"}, {"files", "history", strings.Repeat("0", 63) + "1"},
		{"sessions", "list"}, {"sessions", "list", "--limit", "7"}, {"sessions", "list", "--command", "SH *"}, {"sessions", "list", "--command", "%"}, {"sessions", "list", "--flagged"},
		{"sessions", "list", "--files", "--since", "2026-01-02"}, {"sessions", "list", "--username", "root"},
		{"events", "--limit", "100"}, {"events", "--type", "cowrie.session.*"}, {"events", "--since", "2026-01-03", "--until", "2026-01-04"},
		{"dead-letters", "list"}, {"dead-letters", "show", "1"}, {"verify"}, {"backfill", "status"}, {"compact", "--dry-run"}, {"backfill", "run", "--dry-run"},
		{"enrich", "queue", "list"},
		{"report", "monthly", "2026-01", "--as-of", "2027-01-01", "--all-sensors"}, {"report", "weekly", "2026-W02", "--as-of", "2027-01-01", "--timezone", "Asia/Kathmandu"},
	} {
		onBoth(t, both, append(args, "-o", "json")...)
	}
	for _, kind := range []struct{ list, key, show string }{{"files", "shasum", "show"}, {"sessions", "session_id", "show"}} {
		var rows []map[string]any
		if err := json.Unmarshal([]byte(run(t, []int{0}, "--db", both[0], kind.list, "list", "-o", "json")), &rows); err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(rows); i += 1 + len(rows)/40 {
			id, _ := rows[i][kind.key].(string)
			if strings.ContainsRune(id, 0) || id == "" || strings.HasPrefix(id, "-") {
				continue // no argument of a process
			}
			onBoth(t, both, kind.list, kind.show, id, "-o", "json")
			if kind.list == "sessions" {
				onBoth(t, both, "events", "--session", id)
			} else {
				onBoth(t, both, "events", "--file", id)
			}
		}
	}
	same(t, dump(t, both[0]), dump(t, both[1]))
	return both
}
