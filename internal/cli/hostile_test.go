package cli

import (
	"archive/tar"
	"bytes"
	"encoding/base64"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// oddJSON are lines that are JSON, nearly JSON, and neither.
var oddJSON = []string{
	"", " ", "null", "true", "1", `"a"`, "[]", "{}", "[{}]", "{}{}", "{} x", `{"a":1,}`, `{"a" 1}`, `{a:1}`, `{'a':1}`, `{"a":1 "b":2}`, `{"a":01}`, `{"a":+1}`, `{"a":.5}`,
	`{"a":1e999}`, `{"a":-0}`, `{"a":NaN}`, `{"a":"\x"}`, `{"a":"\u12"}`, `{"a":"\ud800"}`, `{"a":"\udc00\ud800"}`, "{\"a\":\"\x01\"}", "{\"a\":\"\xff\"}", "{\"\xff\":1}", "\ufeff{}",
	`{"a":1,"a":2}`, `{"":0}`, `{"a":"\u0000"}`, `{"a":true,"b":[1,{"c":null}]}`, `{"eventid":{}}`, `{"eventid":[],"session":7,"timestamp":{"a":1}}`, `{"a":` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + "}",
	strings.Repeat("[", 100000), strings.Repeat(`{"a":`, 100000), `{"a":"`, "{", "}", "\x00", "{\"a\":1}\x00", "{\"a\":\t1}", "{\"a\":\v1}", "{\"a\":1}\r", `{"a":/* */1}`, "\x1f\x8b\x08",
}

// attackedLog writes logs of both: lines as lines, values as fields, texts in every field
// that takes one. It returns how many different lines are objects, and so events, and
// how many are not.
func attackedLog(t *testing.T, dir string, lines []string, texts []string) (objects, broken int) {
	t.Helper()
	var log bytes.Buffer
	event := func(id string, at int, session string, fields map[string]any) {
		fields["eventid"], fields["session"], fields["timestamp"] = id, session, fmt.Sprintf("2026-01-01T%02d:%02d:%02d.%06dZ", at/3600, at/60%60, at%60, len(fields))
		line, err := json.Marshal(fields)
		if err != nil {
			t.Fatal(err)
		}
		log.Write(append(line, '\n'))
	}
	event("cowrie.session.connect", 0, "first", map[string]any{})
	for i, line := range lines {
		// As they are, line for line, ...
		log.WriteString(line + "\n")
		// ... and as the value of fields: as it is where it is one, and else as a text.
		value := []byte(strings.ReplaceAll(line, "\n", " "))
		if !json.Valid(value) {
			value, _ = json.Marshal(line)
		}
		for _, id := range []string{"cowrie.login.success", "cowrie.command.input", "cowrie.session.file_upload", "cowrie.session.closed", "cowrie.virustotal.scanfile"} {
			fmt.Fprintf(&log, `{"eventid":"%s","session":"value%d","timestamp":"2026-01-02T00:00:00.%06dZ"`, id, i, len(id))
			for _, name := range []string{"sensor", "src_ip", "username", "password", "input", "shasum", "sha256", "filename", "destfile", "url", "outfile", "duration", "version", "positives", "total", "message"} {
				if len(value) < 10000 || name == "input" {
					fmt.Fprintf(&log, `,"%s":%s`, name, value)
				}
			}
			log.WriteString("}\n")
		}
	}
	for i, text := range texts {
		session := fmt.Sprintf("text%d", i)
		event("cowrie.session.connect", i, session, map[string]any{"protocol": text, "sensor": text, "src_ip": text})
		event("cowrie.client.version", i, session, map[string]any{"version": text, "sensor": text, "src_ip": text})
		event("cowrie.client.kex", i, session, map[string]any{"hassh": text})
		event("cowrie.login.success", i, session, map[string]any{"username": text, "password": text})
		event("cowrie.command.input", i, session, map[string]any{"input": text})
		event("cowrie.session.file_upload", i, session, map[string]any{"shasum": attackedFile(i), "filename": text, "destfile": text, "url": "http://" + text, "outfile": text, "sensor": text, "src_ip": text})
		event("cowrie.virustotal.scanfile", i, session, map[string]any{"sha256": attackedFile(i), "positives": i + 1, "total": 60, "is_new": text, "scan_date": text, "permalink": text})
		event(text, i, session, map[string]any{"message": text, "more": true})
	}
	if err := os.WriteFile(filepath.Join(dir, "attacked \x1b[31m\n.json"), log.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{"": true} // blank
	for line := range bytes.Lines(log.Bytes()) {
		// A byte order mark is passed over: logs were put together.
		line = bytes.Trim(bytes.TrimPrefix(line, []byte("\ufeff")), " \t\r\n")
		var compact bytes.Buffer
		isObject := bytes.HasPrefix(line, []byte("{")) && json.Compact(&compact, line) == nil
		if isObject {
			line = compact.Bytes()
		}
		switch {
		case known[string(line)]:
		case isObject:
			objects++
		default:
			broken++
		}
		known[string(line)] = true
	}
	return objects, broken
}

func attackedFile(i int) string { return fmt.Sprintf("%064x", i+1) }

// attackedDisk makes a downloads directory, an archive and a cache whose names and
// contents attack.
func attackedDisk(t *testing.T, texts []string) (downloads, archive, cache string) {
	t.Helper()
	dir := t.TempDir()
	downloads, archive, cache = filepath.Join(dir, "downloads"), filepath.Join(dir, "\x1b]0;a\x07.tar"), filepath.Join(dir, "cache")
	for _, dir := range []string{downloads, cache} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	var packed bytes.Buffer
	w := tar.NewWriter(&packed)
	for i, text := range texts {
		name := strings.Map(func(r rune) rune {
			if r == '/' || r == 0 {
				return '_'
			}
			return r
		}, text)
		if name != "" && name != "." && name != ".." && len(name) < 200 {
			if err := os.WriteFile(filepath.Join(downloads, name), []byte("#!"+text+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if !strings.ContainsRune(text, 0) {
			if err := w.WriteHeader(&tar.Header{Name: "../" + text, Mode: 0o600, Size: int64(len(text)), Format: tar.FormatPAX}); err == nil {
				io.WriteString(w, text)
			}
		}
		answer, err := json.Marshal(map[string]any{"data": map[string]any{"id": attackedFile(i), "attributes": map[string]any{"sha256": attackedFile(i),
			"last_analysis_date": 1700000000 + i, "last_analysis_stats": map[string]int{"malicious": i + 1, "undetected": 9}, "type_description": text,
			"popular_threat_classification": map[string]string{"suggested_threat_label": text}}}})
		if err == nil {
			err = os.WriteFile(filepath.Join(cache, attackedFile(i)), answer, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(archive, packed.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return downloads, archive, cache
}

// acts returns what of a text does something in a terminal, or is not seen there.
// Stricter than any terminal's parser: not one control character but the newline.
func acts(text string) string {
	if !utf8.ValidString(text) {
		return "a byte that is no UTF-8"
	}
	for _, r := range text {
		if r != '\n' && (unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Co)) {
			return fmt.Sprintf("%U", r)
		}
	}
	return ""
}

var (
	aFormula = regexp.MustCompile(`^[\s"'‘’“”]*[=+\-@\t\r＝＋－＠]`)
	aNumber  = regexp.MustCompile(`^-?[0-9]+(\.[0-9]+)?$`)
	aLink    = regexp.MustCompile(`(?i)(?:https?|ftps?):/|\bwww\.[a-z0-9]`)
)

// formula reports whether a spreadsheet may take a cell for one.
func formula(cell string) bool {
	return aFormula.MatchString(cell) && !strings.HasPrefix(cell, "'") && !aNumber.MatchString(cell)
}

// checkForm holds what a command prints in a form to a reader of that form.
func checkForm(t *testing.T, form, out string) {
	t.Helper()
	if what := acts(out); what != "" {
		t.Errorf("%s in %.300q", what, out)
	}
	switch form {
	case "table":
		if link := aLink.FindString(out); link != "" {
			t.Errorf("%q can be clicked on: %.300q", link, out)
		}
	case "json":
		var v any
		if err := json.Unmarshal([]byte(out), &v); err != nil {
			t.Errorf("%v: %.300q", err, out)
		}
	case "jsonl":
		for line := range strings.Lines(out) {
			if !json.Valid([]byte(line)) {
				t.Errorf("no JSON: %.300q", line)
			}
		}
	case "csv":
		records, err := csv.NewReader(strings.NewReader(out)).ReadAll()
		if err != nil {
			t.Errorf("%v: %.300q", err, out)
		}
		for _, cell := range slices.Concat(records...) {
			if formula(cell) {
				t.Errorf("a cell begins a formula: %.300q", cell)
			}
		}
	}
}

// TestHostile lets attackers write everything, and asks every command for every form.
func TestHostile(t *testing.T) {
	t.Run("own", func(t *testing.T) { attack(t, oddJSON, hostileTexts) })
	t.Run("collected", func(t *testing.T) {
		suite := slices.Collect(maps.Values(tarOf(t, realData(t, "hostile", "JSONTestSuite.tar.zst"))))
		slices.Sort(suite)
		data, err := os.ReadFile(realData(t, "hostile", "blns.base64.json"))
		if err != nil {
			t.Fatal(err)
		}
		var naughty []string // each third, unless there is time
		if err := json.Unmarshal(data, &naughty); err != nil {
			t.Fatal(err)
		}
		for i, text := range naughty {
			plain, err := base64.StdEncoding.DecodeString(text)
			if err != nil {
				t.Fatal(err)
			}
			naughty[i] = string(plain)
		}
		if len(suite) < 318 || len(naughty) < 400 {
			t.Errorf("%d files, %d texts", len(suite), len(naughty))
		}
		if os.Getenv("MIDDEN_SOAK") == "" {
			n := 0
			naughty = slices.DeleteFunc(naughty, func(string) bool { n++; return n%3 != 0 })
		}
		attack(t, suite, naughty)
	})
}

func attack(t *testing.T, lines, texts []string) {
	for _, name := range []string{"MIDDEN_CONFIG", "MIDDEN_DB", "COWRIEPROC_DB_URL", "COWRIEPROC_DB_PATH", "USE_NEW_ENRICHMENT", "VT_API_KEY"} {
		t.Setenv(name, "")
	}
	logs := t.TempDir()
	objects, broken := attackedLog(t, logs, lines, texts)
	downloads, archive, cache := attackedDisk(t, texts)
	t.Chdir(t.TempDir())
	if err := os.WriteFile("midden.toml", fmt.Appendf(nil, "use_new_enrichment = true\n[[sensor]]\nname = %q\ndownloads = %q\n", `\u001b[31m`, filepath.Base(downloads)), 0o600); err != nil {
		t.Fatal(err)
	}

	out, errs := inside(t, "load", "-o", "json", logs)
	checkForm(t, "json", out)
	sum := record(t, out)
	number := func(name string) int { return int(sum[name].(float64)) }
	if number("events") != objects || number("dead_letters") != broken || !strings.Contains(errs, "dead letters") {
		t.Errorf("%d objects, %d others: %s%s", objects, broken, out, errs)
	}
	inside(t, "scan", "-q", "--sensor", hostileTexts[0], downloads, archive)
	inside(t, "cache", "import", "-q", cache)

	// JSON says exactly what was written.
	exact := 0
	for _, list := range [][]string{{"sessions", "username", "password", "client_version", "src_ip", "protocol"}, {"files", "filename", "vt_classification"}} {
		out, _ := inside(t, list[0], "list", "-n", "0", "-o", "json")
		var rows []map[string]any
		if err := json.Unmarshal([]byte(out), &rows); err != nil {
			t.Fatal(err)
		}
		for _, row := range rows {
			var i int
			if _, err := fmt.Sscanf(fmt.Sprint(row["session_id"]), "text%d", &i); err != nil || len(texts[i]) > 200 || strings.TrimSpace(texts[i]) != texts[i] {
				continue // longer than a column, and what others say is trimmed
			}
			for _, name := range list[1:] {
				want, got := string([]rune(texts[i])), row[name]
				if got != want && !(got == nil && want == "") {
					t.Errorf("%s of session %d is %q, want %q", name, i, got, want)
				}
				exact++
			}
		}
	}
	if exact < 6*len(texts)/2 {
		t.Errorf("%d values were compared", exact)
	}

	values := map[string]string{"LOGS": logs, "STATUS": filepath.Join(t.TempDir(), "status"), "SENSOR": hostileTexts[2], "DOWNLOADS": downloads, "CACHE": cache, "FROM": "midden.db", "COPY": "copy.db"}
	forms := []string{"table", "json", "jsonl", "csv"}
	many := len(texts) > 100
	for nth, e := range examples {
		for i, form := range forms {
			// Of many texts each command shows one form, or it would take minutes; and one
			// that has a form of its own shows that once.
			if many && i != nth%len(forms) || !many && !e.data && i > 0 {
				continue
			}
			// Each form another session and file, so that all of them have their turn.
			n := i * len(texts) / len(forms)
			values["SESSION"], values["SHASUM"], values["TEXT"] = fmt.Sprintf("text%d", n), attackedFile(n), "\x1b[31m"+texts[n]
			args := append([]string{"-o", form, "-v"}, e.args(values)...)
			out, errs := inside(t, args...)
			if what := acts(errs); what != "" {
				t.Errorf("midden %q: %s in %.300q", args, what, errs)
			}
			if e.data && out != "" { // enrich has no key here
				checkForm(t, form, out)
			}
			if t.Failed() {
				t.Fatalf("midden %q", args)
			}
		}
	}
	for i := 0; i < len(texts); i += 1 + len(texts)/10 {
		for _, args := range [][]string{{"sessions", "show", fmt.Sprintf("text%d", i)}, {"files", "show", attackedFile(i)}, {"files", "history", attackedFile(i)}} {
			form := forms[i%len(forms)]
			out, errs := inside(t, append(args, "-o", form)...)
			checkForm(t, form, out)
			if what := acts(errs); what != "" || out == "" || t.Failed() {
				t.Fatalf("midden %q: %s %.300q", args, what, errs)
			}
		}
	}
	entries, err := os.ReadDir(values["STATUS"])
	if err != nil || len(entries) == 0 {
		t.Errorf("no status files: %v", err)
	}
	for _, entry := range entries {
		text, err := os.ReadFile(filepath.Join(values["STATUS"], entry.Name()))
		if err != nil {
			t.Fatal(err)
		}
		checkForm(t, "json", strings.ReplaceAll(string(text), "\n", ""))
	}
}

// tarOf reads the regular files of a zstd-compressed archive.
func tarOf(t *testing.T, path string) map[string]string {
	t.Helper()
	unpacked := filepath.Join(t.TempDir(), "tar")
	unpack(t, path, unpacked)
	f, err := os.Open(unpacked)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	files := map[string]string{}
	for archive := tar.NewReader(f); ; {
		h, err := archive.Next()
		if err == io.EOF {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg {
			text, err := io.ReadAll(archive)
			if err != nil {
				t.Fatal(err)
			}
			files[h.Name] = string(text)
		}
	}
}
