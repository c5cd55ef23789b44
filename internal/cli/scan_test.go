package cli

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"database/sql"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func hashOf(content string) string {
	sum := sha256.Sum256([]byte(content))
	return hex.EncodeToString(sum[:])
}

// capture writes a file as a sensor keeps it, under its hash, of an hour of
// 2 January 2026, and returns the hash.
func capture(t testing.TB, dir, content string, hour int) string {
	t.Helper()
	captureAs(t, filepath.Join(dir, hashOf(content)), content, hour)
	return hashOf(content)
}

func captureAs(t testing.TB, path, content string, hour int) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, time.Time{}, time.Date(2026, 1, 2, hour, 0, 0, 0, time.UTC)); err != nil {
		t.Fatal(err)
	}
}

// transfer is a line of a log in which a sensor got a content, on 1 January 2026.
func transfer(sensor, kind, shasum string, hour int, more string) string {
	return fmt.Sprintf(`{"eventid":"cowrie.session.file_%s","session":"%s%02d","sensor":%q,"src_ip":"192.0.2.1","shasum":%q,"timestamp":"2026-01-01T%02d:00:00.000000Z"%s}`+"\n",
		kind, sensor, hour, sensor, shasum, hour, more)
}

// sensors are two sensors: logs, and directories with what they kept. What is in
// both is known to the logs, what is only on disk is not.
type sensors struct {
	dir, logs, one, two                  string
	both, lost, unlogged, shared, unsaid string
}

func newSensors(t testing.TB) *sensors {
	t.Helper()
	dir := t.TempDir()
	s := &sensors{dir: dir, logs: filepath.Join(dir, "logs"), one: filepath.Join(dir, "one", "downloads"), two: filepath.Join(dir, "two", "downloads")}
	s.both = capture(t, s.one, "#!/bin/sh\necho both\n", 5)
	s.unlogged = capture(t, s.one, "no log names this", 6)
	s.shared = capture(t, s.one, "both sensors have this", 7)
	capture(t, s.two, "both sensors have this", 8)
	s.unsaid = capture(t, s.two, "on two alone, in no log", 9)
	s.lost = hashOf("no disk has this")
	log := transfer("one", "download", s.both, 1, `,"url":"http://files.invalid/x.sh","outfile":"dl/x"`) +
		transfer("one", "upload", s.both, 3, `,"filename":"y.sh"`) +
		transfer("one", "download", s.lost, 2, `,"url":"http://files.invalid/lost"`) +
		transfer("two", "download", s.shared, 4, `,"destfile":"/tmp/shared"`) +
		transfer("one", "upload", hashOf(""), 4, `,"filename":"nothing"`)
	captureAs(t, filepath.Join(s.logs, "cowrie.json"), log, 1)
	return s
}

// query returns the rows of a query, as text.
func query(t testing.TB, path, query string) (rows []string) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path+"?mode=ro")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	rs, err := db.Query(query)
	if err != nil {
		t.Fatal(err)
	}
	defer rs.Close()
	for rs.Next() {
		var row string
		if err := rs.Scan(&row); err != nil {
			t.Fatal(err)
		}
		rows = append(rows, row)
	}
	if err := rs.Err(); err != nil {
		t.Fatal(err)
	}
	return rows
}

// TestScanAndLoad: a scan adds to what a load knows and takes nothing from it,
// in whatever order they come; verify, its repair and the doctor are content.
func TestScanAndLoad(t *testing.T) {
	t.Parallel()
	s := newSensors(t)
	steps := map[string][]string{
		"load":      {"load", s.logs},
		"scan one":  {"scan", "--sensor", "one", s.one},
		"scan two":  {"scan", "--sensor", "two", s.two},
		"load late": {"load", filepath.Join(s.dir, "late.json")},
	}
	// It comes to light later what a file on disk was.
	captureAs(t, filepath.Join(s.dir, "late.json"), transfer("two", "download", s.unsaid, 10, `,"url":"http://files.invalid/late"`), 1)
	const logged = `SELECT concat_ws('|', shasum, first_seen, last_seen, sighting_count, session_id, filename, filename_at, download_url, download_url_at,
		disk_only, enrichment_status) FROM files WHERE NOT disk_only ORDER BY 1`
	want := ""
	for n, order := range [][]string{
		{"load", "scan one", "scan two", "load late"},
		{"scan two", "scan one", "load", "load late"},
		{"load late", "scan one", "load", "scan two", "scan one"},
	} {
		db := filepath.Join(s.dir, fmt.Sprint(n, ".db"))
		for _, step := range order {
			before := []string{}
			if _, err := os.Stat(db); err == nil {
				before = query(t, db, logged)
			}
			run(t, []int{0}, append([]string{"-q", "--db", db}, steps[step]...)...)
			if strings.HasPrefix(step, "scan") {
				if after := query(t, db, logged); len(before) > 0 && !slices.Equal(before, after) {
					t.Errorf("%v: a scan changes what is known:\n%s", order, cmp.Diff(before, after))
				}
			}
		}
		got := dump(t, db)
		if want == "" {
			want = got
		}
		same(t, want, got)
		// No event bears out what lies on a disk, and none was deleted.
		if e := call(t, "", "--db", db, "verify").with(0); e.out != "" || strings.Contains(e.errs, "deleted") {
			t.Errorf("%v: verify says %s%s", order, e.out, e.errs)
		}
		if out := run(t, []int{0}, "--db", db, "verify", "--repair"); out != "" {
			t.Errorf("%v: verify --repair says %s", order, out)
		}
		same(t, want, dump(t, db))
	}
	db := filepath.Join(s.dir, "0.db")
	if out := run(t, []int{0}, "--db", db, "doctor", "--deep"); strings.Contains(out, "failure") {
		t.Errorf("the doctor says %s", out)
	}
	for _, step := range steps { // again, nothing
		run(t, []int{0}, append([]string{"-q", "--db", db}, step...)...)
	}
	same(t, want, dump(t, db))
	got := query(t, db, `SELECT concat_ws(' ', shasum, file_size, interpreter, disk_only, sighting_count, substr(first_seen, 9, 5), substr(last_seen, 9, 5),
		filename, download_url, (SELECT group_concat(sensor || ' ' || kind || ' ' || substr(seen_at, 9, 5), ', ' ORDER BY sensor, seen_at) FROM file_sightings s
		WHERE s.shasum = f.shasum)) FROM files f`)
	exp := []string{
		s.both + " 20 sh 0 2 01T01 01T03 y.sh http://files.invalid/x.sh one download 01T01, one upload 01T03, one disk 02T05",
		s.unlogged + " 17 1 1 02T06 02T06 one disk 02T06",
		s.shared + " 22 0 1 01T04 01T04 shared one disk 02T07, two download 01T04, two disk 02T08",
		s.unsaid + " 23 0 1 01T10 01T10 http://files.invalid/late two download 01T10, two disk 02T09",
		s.lost + " 0 1 01T02 01T02 http://files.invalid/lost one download 01T02",
		hashOf("") + " 0 1 01T04 01T04 nothing one upload 01T04",
	}
	slices.Sort(got)
	if slices.Sort(exp); !slices.Equal(got, exp) {
		t.Errorf("the files are (-want +got):\n%s", cmp.Diff(exp, got))
	}
	// A repair that has something to do leaves alone what the disk bears out.
	exec := func(statement string) {
		t.Helper()
		db, err := sql.Open("sqlite", db)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		if _, err := db.Exec(statement); err != nil {
			t.Fatal(err)
		}
	}
	for _, damage := range []string{
		`DELETE FROM file_sightings WHERE kind <> 'disk'`,
		`UPDATE files SET sighting_count = sighting_count + 1, first_seen = '2020-01-01T00:00:00.000000Z'`,
		`UPDATE files SET disk_only = NOT disk_only`,
	} {
		exec(damage)
		run(t, []int{5}, "-q", "--db", db, "verify")
		run(t, []int{0}, "-q", "--db", db, "verify", "--repair")
		same(t, want, dump(t, db))
		if t.Failed() {
			t.Fatalf("after %s", damage)
		}
	}
}

// finding is a row of the report.
type finding struct {
	Finding, Shasum, Sensor, Path, Problem string
	Size                                   int64  `json:"file_size"`
	Type                                   string `json:"mime_type"`
	First                                  string `json:"first_seen"`
	Seen                                   int64  `json:"sighting_count"`
}

func findings(t testing.TB, out string) (list []string) {
	t.Helper()
	var rows []finding
	if err := json.Unmarshal([]byte(out), &rows); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, f := range rows {
		list = append(list, strings.Join(strings.Fields(fmt.Sprint(f.Finding, " ", f.Shasum, " ", f.Sensor, " ", f.Size, " ", f.Path, " ", f.Problem)), " "))
	}
	slices.Sort(list)
	return list
}

// TestScanReport says where logs and disks differ.
func TestScanReport(t *testing.T) {
	t.Parallel()
	s := newSensors(t)
	db := filepath.Join(s.dir, "midden.db")
	call(t, "", "--db", db, "scan", "--report").with(1) // there is no database
	run(t, []int{0}, "-q", "--db", db, "load", s.logs)
	e := call(t, "", "--db", db, "scan", "--report", "-o", "json").with(0)
	if strings.TrimSpace(e.out) != "[]" || !strings.Contains(e.errs, "nothing was scanned yet") {
		t.Errorf("before a scan it says %q, %q", e.out, e.errs)
	}
	wrong := filepath.Join(s.one, "sub", hashOf("promised"))
	captureAs(t, wrong, "something else", 10)
	archive := filepath.Join(s.dir, "cut.tgz")
	captureAs(t, archive, string(gzipped(tarball(t, member{"x", strings.Repeat("x", 3000)})[:2000])), 1)
	call(t, "", "-q", "--db", db, "scan", "--sensor", "one", s.one).with(0)
	e = call(t, "", "--db", db, "scan", "--sensor", "one", archive).with(3)
	if !strings.Contains(e.errs, "could not be read") {
		t.Errorf("of a broken archive it says %s", e.errs)
	}
	one := []string{
		"missing " + s.lost + " one 0",
		"unlogged " + s.unlogged + " one 17",
		"unlogged " + hashOf("something else") + " one 14",
		"misnamed " + hashOf("something else") + " one 14 " + wrong,
	}
	slices.Sort(one)
	unreadable := func(list []string) (rest []string, n int) {
		for _, line := range list {
			if strings.HasPrefix(line, "unreadable one 3000 "+archive) && strings.Contains(line, "cut off") {
				n++
			} else {
				rest = append(rest, line)
			}
		}
		return rest, n
	}
	all := call(t, "", "--db", db, "scan", "--report", "-o", "json").with(0)
	got, n := unreadable(findings(t, all.out))
	if !slices.Equal(got, one) || n != 1 {
		t.Errorf("(-want +got), %d unreadable:\n%s", n, cmp.Diff(one, got))
	}
	if !strings.Contains(all.errs, "2 places were scanned: 1 capture ") || !strings.Contains(all.errs, "2 captures that a disk has") {
		t.Errorf("it says %s", all.errs)
	}
	// Sensor two was not scanned: nothing of it is missing. When it is, it is.
	call(t, "", "-q", "--db", db, "scan", "--report", "-o", "json", "--sensor", "two", s.two).with(0)
	out := run(t, []int{0}, "-q", "--db", db, "scan", "--report", "--sensor", "two", "-o", "json")
	if got, want := findings(t, out), []string{"unlogged " + s.unsaid + " two 23"}; !slices.Equal(got, want) {
		t.Errorf("of sensor two it is %q, want %q", got, want)
	}
	if err := os.Remove(filepath.Join(s.two, s.shared)); err != nil {
		t.Fatal(err)
	}
	if got, n := unreadable(findings(t, run(t, []int{0}, "-q", "--db", db, "scan", "--report", "--sensor", "one", "-o", "json"))); !slices.Equal(got, one) || n != 1 {
		t.Errorf("of sensor one (-want +got), %d unreadable:\n%s", n, cmp.Diff(one, got))
	}
	e = call(t, "", "--db", db, "scan", "--report", "--sensor", "three").with(0)
	if strings.TrimSpace(e.out) != "" || !strings.Contains(e.errs, "nothing was scanned") {
		t.Errorf("of an unknown sensor it says %q, %q", e.out, e.errs)
	}
	// As CSV and JSON lines there are as many.
	rows, err := csv.NewReader(strings.NewReader(run(t, []int{0}, "-q", "--db", db, "scan", "--report", "-o", "csv"))).ReadAll()
	if err != nil || len(rows) != 7 || !slices.Equal(rows[0], strings.Split("finding,shasum,sensor,first_seen,last_seen,sighting_count,file_size,mime_type,path,problem", ",")) {
		t.Errorf("as CSV: %q, %v", rows, err)
	}
	if out := run(t, []int{0}, "-q", "--db", db, "scan", "--report", "-o", "jsonl"); strings.Count(out, "\n") != 6 {
		t.Errorf("as JSON lines: %s", out)
	}
}

type member struct{ name, content string }

func tarball(t testing.TB, members ...member) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, m := range members {
		h := &tar.Header{Name: m.name, Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(m.content)), ModTime: time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(m.content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// TestScanHostileNames: names that attack terminals and spreadsheets do nothing
// in messages and reports, and stand in JSON as they are.
func TestScanHostileNames(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	downloads := filepath.Join(dir, "downloads")
	hash := hashOf("promised")
	var names []string
	var members []member
	for i, text := range slices.Concat(hostileTexts, []string{"\xff\xfe", "\u202e" + strings.Repeat("n", 180)}) {
		name := strings.NewReplacer("/", "_", "\x00", "0").Replace(text) + "/" + hash
		if len(name) > 500 {
			continue
		}
		names = append(names, name)
		content := fmt.Sprint("content ", i)
		captureAs(t, filepath.Join(downloads, name), content, i%24)
		members = append(members, member{name, content})
	}
	archive := filepath.Join(dir, "downloads.tar")
	captureAs(t, archive, string(tarball(t, members...)), 1)
	for _, place := range []string{downloads, archive} {
		db := filepath.Join(dir, filepath.Base(place)+".db")
		for _, args := range [][]string{{"scan", "-v", place}, {"scan", "--report"}, {"scan", "--report", "-o", "csv"}, {"scan", "--report", "-o", "json"},
			{"scan", "--log-json", "-v", place, "-o", "json"}, {"files", "list"}, {"scan", place + "/\x1b[31mgone\n"}} {
			e := call(t, "", append([]string{"--db", db}, args...)...).with(0, 3)
			for _, text := range []string{e.out, e.errs} {
				if !utf8.ValidString(text) {
					t.Errorf("%v: not UTF-8: %q", args, text)
				}
				for _, r := range text {
					if r != '\n' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == '\u2028' || r == '\u2029') {
						t.Errorf("%v: there is %U: %q", args, r, text)
						break
					}
				}
			}
		}
		e := call(t, "", "--db", filepath.Join(dir, "new.db"), "scan", place).with(0)
		if n := strings.Count(e.errs, "\n"); n != len(names)+2 { // and two hints
			t.Errorf("%d names make %d lines: %s", len(names), n, e.errs)
		}
		os.Remove(filepath.Join(dir, "new.db"))
		rows, err := csv.NewReader(strings.NewReader(run(t, []int{0}, "-q", "--db", db, "scan", "--report", "-o", "csv"))).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range rows[1:] {
			for _, cell := range row {
				if start := strings.TrimLeft(cell, " \t\r\n\""); start != "" && strings.ContainsRune("=+-@", rune(start[0])) {
					t.Errorf("a cell begins a formula: %q", cell)
				}
			}
		}
		var list []finding
		if err := json.Unmarshal([]byte(run(t, []int{0}, "-q", "--db", db, "scan", "--report", "-o", "json")), &list); err != nil {
			t.Fatal(err)
		}
		var got, want []string
		for _, f := range list {
			if f.Finding == "misnamed" {
				got = append(got, f.Path)
			}
		}
		for _, name := range names {
			if utf8.ValidString(name) { // other bytes JSON does not have
				want = append(want, place+"/"+name)
			}
		}
		if missing := slices.DeleteFunc(want, func(name string) bool { return slices.Contains(got, name) }); len(got) != len(names) || len(missing) > 0 {
			t.Errorf("%d paths, want %d; there are not %q in %q", len(got), len(names), missing, got)
		}
	}
}

// TestScanSignals ends a scan as a person or a service manager does: what was
// read by then is stored.
func TestScanSignals(t *testing.T) {
	t.Parallel()
	for signal, code := range map[syscall.Signal]int{syscall.SIGINT: 130, syscall.SIGTERM: 143} {
		t.Run(signal.String(), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			// Reading this one takes a long while.
			endless := filepath.Join(dir, "downloads", "endless")
			captureAs(t, endless, "", 1)
			if err := os.Truncate(endless, 1<<40); err != nil {
				t.Skipf("SKIPPED: %v", err)
			}
			captureAs(t, filepath.Join(dir, "downloads", hashOf("promised")), "something else", 1)
			db := filepath.Join(dir, "midden.db")
			cmd := midden(t, "--db", db, "scan", "--max-size", "2T", filepath.Join(dir, "downloads"))
			cmd.Env = append(os.Environ(), "GOMAXPROCS=2") // a reader for each
			said := &teller{when: "name is of another content", seen: make(chan struct{})}
			cmd.Stderr = said
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			defer cmd.Process.Kill()
			<-said.seen
			cmd.Process.Signal(signal)
			cmd.Wait()
			if got := cmd.ProcessState.ExitCode(); got != code || strings.Contains(said.text, "goroutine") {
				t.Errorf("it ended with %d, want %d: %s", got, code, said.text)
			}
			if got := query(t, db, `SELECT shasum || ' ' || file_size FROM files`); !slices.Equal(got, []string{hashOf("something else") + " 14"}) {
				t.Errorf("stored is %q", got)
			}
			if err := os.Truncate(endless, 3); err != nil {
				t.Fatal(err)
			}
			run(t, []int{0}, "-q", "--db", db, "scan", filepath.Join(dir, "downloads"))
			if got := query(t, db, `SELECT shasum FROM files WHERE md5 IS NOT NULL`); len(got) != 2 {
				t.Errorf("at last stored is %q", got)
			}
		})
	}
}

// TestLoadScan: the logs and the directories of the configuration in one go, and
// while they are written.
func TestLoadScan(t *testing.T) {
	t.Parallel()
	s := newSensors(t)
	config := filepath.Join(s.dir, "midden.toml")
	captureAs(t, config, fmt.Sprintf("[[sensor]]\nname = 'one'\ndownloads = %q\n[[sensor]]\nname = 'none'\n[[sensor]]\nname = 'two'\ndownloads = 'two/downloads'\n", s.one), 1)
	calm := filepath.Join(s.dir, "calm.db")
	run(t, []int{0}, "-q", "--db", calm, "load", s.logs)
	run(t, []int{0}, "-q", "--db", calm, "scan", "--sensor", "one", s.one)
	run(t, []int{0}, "-q", "--db", calm, "scan", "--sensor", "two", s.two)
	want := dump(t, calm)

	db := filepath.Join(s.dir, "at-once.db")
	e := call(t, "", "--config", config, "--db", db, "load", "--scan", s.logs).with(0)
	if !strings.Contains(e.errs, "5 captured files were read") {
		t.Errorf("it says %s", e.errs)
	}
	same(t, want, dump(t, db))
	db = filepath.Join(s.dir, "configured.db")
	run(t, []int{0}, "-q", "--config", config, "--db", db, "scan")
	run(t, []int{0}, "-q", "--config", config, "--db", db, "load", s.logs)
	same(t, want, dump(t, db))

	for signal, code := range map[syscall.Signal]int{syscall.SIGINT: 130, syscall.SIGTERM: 143} {
		db := filepath.Join(s.dir, fmt.Sprint(code, ".db"))
		f := &follower{t: t, db: db, args: []string{"--config", config, "--db", db, "load", "--follow", "--scan", s.logs}}
		f.cmd = midden(t, f.args...)
		f.errs = &bytes.Buffer{}
		said := &teller{when: "captured files were read", seen: make(chan struct{})}
		f.cmd.Stderr = said
		if err := f.cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.cmd.Process.Kill() })
		<-said.seen
		f.wait(5)
		f.stop(signal, code)
		if strings.Contains(said.text, "goroutine") {
			t.Error(said.text)
		}
		same(t, want, dump(t, db))
	}
}

// TestFollowScanWithoutDirectory: that a directory is not there is said, and
// keeps nobody from following the logs.
func TestFollowScanWithoutDirectory(t *testing.T) {
	t.Parallel()
	s := newSensors(t)
	config := filepath.Join(s.dir, "midden.toml")
	captureAs(t, config, "[[sensor]]\nname = 'gone'\ndownloads = 'gone'\n", 1)
	db := filepath.Join(s.dir, "midden.db")
	run(t, []int{3}, "-q", "--config", config, "--db", db, "load", "--scan", s.logs)
	f := &follower{t: t, db: filepath.Join(s.dir, "followed.db")}
	f.args = []string{"--config", config, "--db", f.db, "load", "--follow", "--scan", s.logs}
	f.start()
	t.Cleanup(func() { f.cmd.Process.Kill() })
	f.wait(5)
	f.stop(syscall.SIGTERM, 143)
	if !strings.Contains(f.errs.String(), "no such file") {
		t.Errorf("it says %s", f.errs)
	}
	same(t, dump(t, db), dump(t, f.db))
}
