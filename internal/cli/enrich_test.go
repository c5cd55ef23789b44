package cli

import (
	"bytes"
	"database/sql"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"midden/internal/enrich/virustotal/vttest"
)

// The canaries are found nowhere but where a test has put them.
const (
	canaryKey      = "c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00c0ffee42"
	canaryPassword = "canary-pa55word-0x51"
)

// station is a database with files, and a VirusTotal of the test's own, which the
// real program asks. The clock that counts is VirusTotal's; it begins on the
// machine's day, since commands that ask nothing go by that.
type station struct {
	t       testing.TB
	dir, db string
	vt      *vttest.Server
	mu      sync.Mutex
	now     time.Time
}

func newStation(t testing.TB, a vttest.Account, files ...string) *station {
	t.Helper()
	s := &station{t: t, dir: t.TempDir(), vt: vttest.New(t), now: time.Now().UTC().Truncate(24 * time.Hour).Add(12 * time.Hour)}
	s.db = filepath.Join(s.dir, "midden.db")
	s.vt.SetClock(s.clock)
	s.vt.AddAccount(a)
	s.write("key", canaryKey+"\n")
	s.config("")
	s.log("cowrie.json", 0, files...)
	run(t, []int{0}, "-q", "--db", s.db, "load", filepath.Join(s.dir, "cowrie.json"))
	return s
}

// rich is a key without a quota that matters here.
func rich() vttest.Account {
	return vttest.Account{Key: canaryKey, User: "u", Minute: 100000, Day: 1000000, Month: 30000000}
}

func (s *station) clock() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

func (s *station) pass(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = s.now.Add(d)
}

func (s *station) write(name, text string) {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// config writes a configuration that leads to the server, with a user's name and
// password that it does not ask for.
func (s *station) config(more string) {
	s.t.Helper()
	base := strings.Replace(s.vt.URL, "http://", "http://someone:"+canaryPassword+"@", 1)
	s.write("midden.toml", fmt.Sprintf("[virustotal]\nbase_url = %q\n%s\n", base, more))
}

// log writes a log in which each file is seen, a second after the one before.
func (s *station) log(name string, from int, files ...string) {
	s.t.Helper()
	var log []byte
	for i, f := range files {
		at := time.Date(2026, 3, 1, 0, 0, from+i, 0, time.UTC).Format(time.RFC3339)
		log = fmt.Appendf(log, `{"eventid":"cowrie.session.file_download","session":"s%d","sensor":"a","shasum":"%s","timestamp":"%s"}`+"\n", from+i, f, at)
	}
	s.write(name, string(log))
}

// call runs the program with a key; env, if it is not "", stands before that.
func (s *station) call(env string, args ...string) ended {
	s.t.Helper()
	if env == "" {
		env = "VT_API_KEY=file:" + filepath.Join(s.dir, "key")
	}
	return call(s.t, env, append([]string{"--db", s.db, "--config", filepath.Join(s.dir, "midden.toml")}, args...)...)
}

// enrich runs a round and returns what it tells.
func (s *station) enrich(code int, args ...string) map[string]any {
	s.t.Helper()
	return record(s.t, s.call("", append([]string{"enrich", "-o", "json"}, args...)...).with(code).out)
}

func record(t testing.TB, text string) (row map[string]any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &row); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return row
}

// list returns the rows of a list as JSON.
func (s *station) list(args ...string) (rows []map[string]any) {
	s.t.Helper()
	out := s.call("", append([]string{"-o", "json"}, args...)...).with(0).out
	if err := json.Unmarshal([]byte(out), &rows); err != nil {
		s.t.Fatalf("%v: %s", err, out)
	}
	return rows
}

// rows returns the rows of a query. Nothing stays open that would keep the journal
// beside the database.
func (s *station) rows(query string, args ...any) []string {
	s.t.Helper()
	db, err := sql.Open("sqlite", s.db)
	if err != nil {
		s.t.Fatal(err)
	}
	defer db.Close()
	return table(s.t, db, query, args...)
}

// hash is that of the nth file.
func hash(n int) string { return fmt.Sprintf("%064x", n) }

func hashes(n int) (list []string) {
	for i := range n {
		list = append(list, hash(i+1))
	}
	return list
}

// has fails the test unless a row has these values.
func has(t testing.TB, row map[string]any, want map[string]any) {
	t.Helper()
	for name, value := range want {
		if got, ok := row[name]; !ok || fmt.Sprint(got) != fmt.Sprint(value) {
			t.Errorf("%s is %v, want %v: %v", name, got, value, row)
		}
	}
}

// says fails the test unless all of this stands on stderr, which does nothing in a
// terminal and holds no secret.
func (e ended) says(texts ...string) ended {
	e.t.Helper()
	for _, text := range texts {
		if !strings.Contains(e.errs, text) {
			e.t.Errorf("midden %v does not say %q: %s", e.args, text, e.errs)
		}
	}
	if strings.Contains(e.out+e.errs, canaryKey) || strings.Contains(e.out+e.errs, canaryPassword) {
		e.t.Errorf("midden %v tells a secret: %s%s", e.args, e.out, e.errs)
	}
	return e
}

func TestEnrich(t *testing.T) {
	t.Parallel()
	s := newStation(t, rich(), hashes(3)...)
	day := s.now.AddDate(0, 0, -40)
	known := vttest.File{SHA256: hash(1), Stats: &vttest.Stats{Undetected: 60}, LastAnalysis: day, FirstSubmission: day}
	s.vt.Add(known)

	// --dry-run asks nothing and needs no key.
	dry := s.call("VT_API_KEY=", "enrich", "--dry-run", "-o", "json").with(0).says("3 requests")
	var rows []map[string]any
	if err := json.Unmarshal([]byte(dry.out), &rows); err != nil || len(rows) != 3 {
		t.Fatalf("%v: %s", err, dry.out)
	}
	has(t, rows[0], map[string]any{"shasum": hash(3), "because": "never asked", "sighting_count": 1, "last_seen": "2026-03-01T00:00:02.000000Z", "answered_at": nil})
	s.call("VT_API_KEY=", "enrich", "--dry-run", "--limit", "2").with(0).says("2 requests")
	s.call("VT_API_KEY=", "enrich", "--dry-run", "--since", "2026-03-01T00:00:02Z").with(0).says("1 request")
	if n := len(s.vt.Requests()); n != 0 {
		t.Fatalf("%d requests were made", n)
	}

	// --limit and --since; the newest first, where they are asked about one by one.
	s.config("per_minute = 20")
	has(t, s.enrich(0, "--limit", "1", "--since", "2026-03-01T00:00:01Z"), map[string]any{"asked": 1, "known": 0, "unknown": 1, "failed": 0,
		"ignored": 0, "left_new": 2, "retries": 0, "waits_until": nil})
	if s.vt.Asked(hash(3)) != 1 {
		t.Error("the newest was not asked about")
	}
	has(t, s.enrich(0, "--since", "2026-03-01T00:00:01Z"), map[string]any{"asked": 1, "left_new": 1})
	has(t, s.enrich(0), map[string]any{"asked": 1, "known": 1, "left_new": 0})
	has(t, s.enrich(0), map[string]any{"asked": 0})
	if n := s.vt.LookUps(); n != 3 {
		t.Errorf("%d look-ups", n)
	}
	files := s.list("files", "list")
	slices.SortFunc(files, func(a, b map[string]any) int { return strings.Compare(a["shasum"].(string), b["shasum"].(string)) })
	has(t, files[0], map[string]any{"enrichment_status": "known", "vt_malicious": 0, "vt_total": 60})
	has(t, files[1], map[string]any{"enrichment_status": "unknown", "vt_malicious": nil})

	// The quota.
	quota := s.list("quota")
	has(t, quota[1], map[string]any{"period": "day", "used": 3, "left": float64(1000000 - 3), "allowed": 1e6})
	has(t, quota[2], map[string]any{"period": "month", "used": 3})
	if quota[0]["period"] != "minute" || quota[1]["resets_at"] == nil {
		t.Errorf("quota: %v", quota)
	}

	// What changes, and the history of it.
	s.config("")
	s.pass(31 * 24 * time.Hour)
	known.Stats, known.Label, known.LastAnalysis = &vttest.Stats{Malicious: 30, Undetected: 30}, "trojan.made/up", s.now
	s.vt.Add(known)
	has(t, s.enrich(0), map[string]any{"asked": 3, "known": 1, "unknown": 2})
	history := s.list("files", "history", hash(1))
	if len(history) != 2 {
		t.Fatalf("history: %v", history)
	}
	has(t, history[0], map[string]any{"shasum": hash(1), "source": "virustotal", "change": "first known", "malicious": 0, "total": 60, "undetected": 60,
		"classification": nil, "first_submission_at": day.Format("2006-01-02T15:04:05.000000Z")})
	has(t, history[1], map[string]any{"change": "clean to malicious", "malicious": 30, "classification": "trojan.made/up"})
	changes := s.list("files", "changes", "--since", "2020-01-01")
	if len(changes) != 2 || changes[0]["change"] != "first known" || changes[1]["change"] != "clean to malicious" {
		t.Errorf("changes: %v", changes)
	}
	s.call("", "files", "history", hash(2)).with(0)
	s.call("", "files", "history", "ffff").with(1)
	s.call("", "files", "history").with(2)
	s.call("", "files", "changes", "now").with(2)
	well(t, copyDatabase(t, s.db))
}

// TestEnrichForms: each command answers in every form, with nothing in it, too.
func TestEnrichForms(t *testing.T) {
	t.Parallel()
	s := newStation(t, rich(), hashes(2)...)
	s.vt.FailFile(hash(1), 1, vttest.Refuse(400, "BadRequestError", "\x1b[31m=1+1"))
	commands := [][]string{{"enrich", "--dry-run"}, {"enrich", "queue", "list"}, {"quota"}, {"files", "history", hash(2)}, {"files", "changes"}}
	for _, full := range []bool{false, true} {
		if full {
			s.enrich(3)
		}
		for _, c := range commands {
			for _, form := range []string{"json", "jsonl", "csv", "table"} {
				if !full && (form == "jsonl" || form == "table") {
					continue // enough
				}
				out := s.call("", append(c, "-o", form)...).with(0).says().out
				switch form {
				case "json":
					var rows []map[string]any
					if err := json.Unmarshal([]byte(out), &rows); err != nil || rows == nil {
						t.Errorf("%v: %v: %s", c, err, out)
					}
				case "jsonl":
					for line := range strings.Lines(out) {
						record(t, line)
					}
				case "csv":
					if rows, err := csv.NewReader(strings.NewReader(out)).ReadAll(); err != nil || len(rows) == 0 {
						t.Errorf("%v: %v: %s", c, err, out)
					}
				}
				if strings.ContainsAny(out, "\x1b\x00") {
					t.Errorf("%v -o %s acts on a terminal: %q", c, form, out)
				}
			}
		}
	}
	for _, form := range []string{"json", "jsonl"} {
		has(t, record(t, s.call("", "enrich", "-o", form).with(0).out), map[string]any{"asked": 0})
	}
	s.call("", "enrich", "-o", "csv").with(0)
	s.call("", "enrich", "-o", "xml").with(2)
}

// TestEnrichKeys: where the key may stand, and what is said if it does not.
func TestEnrichKeys(t *testing.T) {
	t.Parallel()
	s := newStation(t, rich(), hashes(1)...)
	file := "key = \"file:key\"" // from the directory of the configuration
	for _, c := range []struct {
		env, more string
		code      int
		says      []string
	}{
		{"VT_API_KEY=" + canaryKey, "", 0, nil},
		{"VT_API_KEY=file:" + filepath.Join(s.dir, "key"), "", 0, nil},
		{"VT_API_KEY=", file, 0, nil},
		{"VT_API_KEY=" + canaryKey, `key = "file:not-there"`, 0, nil},
		{"VT_API_KEY=", "", 2, []string{"there is no key", "VT_API_KEY", "virustotal.key"}},
		{"VT_API_KEY=", `key = "file:not-there"`, 2, []string{"virustotal.key", "not-there"}},
		{"VT_API_KEY=", `key = "env:MIDDEN_TEST_NO_SUCH"`, 2, []string{"virustotal.key", "MIDDEN_TEST_NO_SUCH"}},
		{"VT_API_KEY=", `key = "` + canaryKey + `"`, 2, []string{"virustotal.key", "no reference"}},
		{"VT_API_KEY=", `key = "flie:key"`, 2, []string{"virustotal.key"}},
		{"VT_API_KEY=file:/not/there", file, 2, []string{"VT_API_KEY", "/not/there"}},
		{"VT_API_KEY=file:" + s.dir, "", 2, []string{"VT_API_KEY"}},
		{"VT_API_KEY=has space " + canaryKey, "", 2, []string{"characters"}},
		{"VT_API_KEY=" + canaryKey, `ignore = ["abc"]`, 2, []string{"virustotal.ignore", `"abc"`}},
		{"VT_API_KEY=" + canaryKey, `ignore = [5]`, 2, []string{"virustotal.ignore"}},
		{"VT_API_KEY=" + canaryKey, `per_day = "many"`, 2, []string{"per_day"}},
		{"VT_API_KEY=" + canaryKey, `base_uri = "x"`, 2, []string{"base_uri"}},
	} {
		s.config(c.more)
		commands := [][]string{{"enrich"}, {"quota"}}
		if strings.Contains(c.more, "ignore = [\"") {
			commands = [][]string{{"enrich"}, {"enrich", "--dry-run"}}
		}
		for _, command := range commands {
			e := s.call(c.env, command...)
			if e.code != c.code {
				t.Errorf("%s with %s: %v ended with %d, want %d: %s", c.env, c.more, command, e.code, c.code, e.errs)
			}
			e.says(c.says...)
			if c.code == 2 && (e.out != "" || strings.Count(e.errs, "\n") != 1) {
				t.Errorf("%s with %s: %v says more than a line: %s%s", c.env, c.more, command, e.out, e.errs)
			}
		}
	}
	if n := s.vt.LookUps(); n != 1 {
		t.Errorf("%d look-ups", n)
	}
	for _, base := range []string{"ftp://u:" + canaryPassword + "@x", "http://u:" + canaryPassword + "@x:y", "u:" + canaryPassword + "@x", "http://u:" + canaryPassword + "@/?q"} {
		s.write("midden.toml", fmt.Sprintf("[virustotal]\nbase_url = %q\n", base))
		s.call("", "enrich").with(2).says("base URL")
	}
	s.write("midden.toml", "[virustotal]\nbase_url = \"http://u:"+canaryPassword+"@x\nper_day = 1\n")
	s.call("", "enrich").with(2).says("midden.toml:2")
	s.write("midden.toml", "[virustotal]\nbase_url = http://u:"+canaryPassword+"@x\nkey = "+canaryKey+"\n")
	s.call("", "enrich").with(2).says("midden.toml:2")
	s.config("")
	for _, args := range [][]string{{"enrich", "x"}, {"enrich", "--limit", "x"}, {"enrich", "--since", "soon"}, {"enrich", "--max-wait", "1"},
		{"quota", "x"}, {"enrich", "queue", "nothing"}, {"enrich", "queue", "retry", "xyz"}, {"enrich", "queue", "drop", ""}, {"enrich", "--key", "k"}} {
		s.call("", args...).with(2).says()
	}
}

// TestEnrichLimitBelowZero: whoever mistypes a number of requests does not spend
// the quota.
func TestEnrichLimitBelowZero(t *testing.T) {
	t.Parallel()
	s := newStation(t, rich(), hashes(2)...)
	if e := s.call("", "enrich", "--limit", "-1"); e.code != 2 || s.vt.LookUps() != 0 {
		t.Errorf("it ended with %d after %d look-ups", e.code, s.vt.LookUps())
	}
	s.config("per_day = -1")
	if e := s.call("", "enrich"); e.code != 2 || s.vt.LookUps() != 0 {
		t.Errorf("per_day = -1: it ended with %d after %d look-ups", e.code, s.vt.LookUps())
	}
}

func TestEnrichKeyRefused(t *testing.T) {
	t.Parallel()
	a := rich()
	a.Key = strings.Repeat("d", 64)
	s := newStation(t, a, hashes(3)...)
	before := s.rows(`SELECT * FROM lookups ORDER BY shasum`)
	e := s.call("", "enrich", "-o", "json").with(1).says("key is refused", "WrongCredentialsError")
	has(t, record(t, e.out), map[string]any{"asked": 0, "left_new": 3})
	if after := s.rows(`SELECT * FROM lookups ORDER BY shasum`); !slices.Equal(before, after) {
		t.Errorf("lookups became %q", after)
	}
	if s.vt.LookUps() != 0 {
		t.Errorf("%d look-ups", s.vt.LookUps())
	}
	// In the middle of a run it is the same, and what was answered stays.
	s.vt.AddAccount(rich())
	s.vt.FailFile(hash(2), 1, vttest.EchoKey(401, "WrongCredentialsError"))
	s.config("per_minute = 20") // one at a time
	e = s.call("", "enrich", "-o", "json").with(1).says("refused")
	has(t, record(t, e.out), map[string]any{"asked": 2, "unknown": 1})
	if strings.Contains(e.errs, "nothing was asked") {
		t.Errorf("one was asked, and it says: %s", e.errs)
	}
	has(t, s.enrich(0), map[string]any{"asked": 2, "unknown": 2})
}

func TestEnrichQuota(t *testing.T) {
	t.Parallel()
	s := newStation(t, vttest.Account{Key: canaryKey, User: "u", Minute: 1000, Day: 5, Month: 100, UsedDay: 2}, hashes(6)...)
	midnight := s.now.Add(12 * time.Hour)
	e := s.call("", "enrich", "-o", "json").with(6).says("quota of the day", midnight.Format(time.RFC3339), "midden quota")
	has(t, record(t, e.out), map[string]any{"asked": 3, "left_new": 3, "waits_until": midnight.Format("2006-01-02T15:04:05.000000Z")})
	// Without a word to say, the code does.
	if e := s.call("", "-q", "enrich").with(6); e.errs != "" {
		t.Errorf("-q says %s", e.errs)
	}
	// The configuration may be tighter, not wider.
	s.pass(24 * time.Hour)
	s.config("per_day = 1")
	has(t, s.enrich(6), map[string]any{"asked": 1})
	s.config("per_day = 1000\nper_minute = 100000")
	s.enrich(6)
	s.pass(24 * time.Hour)
	s.call("", "enrich", "--max-wait", "0s").with(0, 6).says()
	if day, _ := s.vt.Used(canaryKey); day > 5 {
		t.Errorf("%d of the day are used", day)
	}
	for _, r := range s.vt.Requests() {
		if r.Status == 429 {
			t.Errorf("a request was refused: %+v", r)
		}
	}
	quota := s.call("", "quota").with(0).says("limits as VirusTotal told them at " + s.now.Format("2006-01-02T15:04"))
	if !strings.Contains(quota.out, "minute") {
		t.Errorf("quota: %s", quota.out)
	}
}

// TestEnrichMinute: it waits for the minute no longer than it may.
func TestEnrichMinute(t *testing.T) {
	t.Parallel()
	s := newStation(t, vttest.Account{Key: canaryKey, User: "u", Minute: 4, Day: 500, Month: 15500}, hashes(10)...)
	for i, asked := range []int{4, 0, 4, 2} {
		code := 6
		if asked == 2 {
			code = 0
		}
		has(t, s.enrich(code, "--max-wait", "0s"), map[string]any{"asked": asked})
		if i > 0 {
			s.pass(62 * time.Second)
		}
	}
	if n := s.vt.MaxInWindow(time.Minute); n > 4 {
		t.Errorf("%d in a minute", n)
	}
}

// TestEnrichFailures: what was not answered is told, comes again, and holds nothing
// up; with it the code is 3 whether or not the quota is missing as well.
func TestEnrichFailures(t *testing.T) {
	t.Parallel()
	s := newStation(t, vttest.Account{Key: canaryKey, User: "u", Minute: 1000, Day: 100, Month: 1000}, hashes(4)...)
	s.vt.FailFile(hash(1), 1, vttest.HTML(502))
	s.vt.FailFile(hash(2), 2, vttest.Refuse(400, "InvalidArgumentError", "no \x1b[1m\u202e"+canaryKey))
	e := s.call("", "enrich", "-o", "json").with(3).says("2 requests brought no answer", "midden enrich queue list")
	has(t, record(t, e.out), map[string]any{"asked": 4, "unknown": 2, "failed": 2, "retries": 1})
	queue := s.list("enrich", "queue", "list")
	if len(queue) != 2 {
		t.Fatalf("queue: %v", queue)
	}
	states := map[any]map[string]any{queue[0]["shasum"]: queue[0], queue[1]["shasum"]: queue[1]}
	has(t, states[hash(1)], map[string]any{"state": "waiting", "failures": 1, "error": "VirusTotal: HTTP 502: not in its form"})
	has(t, states[hash(2)], map[string]any{"state": "failed", "failures": 1, "due_at": nil})
	if states[hash(1)]["due_at"] == nil || !strings.Contains(fmt.Sprint(states[hash(2)]["error"]), "InvalidArgumentError") {
		t.Errorf("queue: %v", queue)
	}
	if len(s.list("enrich", "queue", "list", "-n", "1")) != 1 {
		t.Error("-n does not limit the list")
	}
	// What failed for good waits for somebody, and what did not comes by itself.
	s.pass(time.Hour + time.Minute)
	has(t, s.enrich(0), map[string]any{"asked": 3, "failed": 0}) // two that are unknown, and the one that came again
	s.call("", "enrich", "queue", "retry").with(0).says("1 file")
	has(t, s.enrich(3), map[string]any{"failed": 1})
	s.call("", "enrich", "queue", "drop", strings.ToUpper(hash(2))).with(0).says("1 file")
	s.pass(1000 * time.Hour)
	s.enrich(0)
	if n := s.vt.Asked(hash(2)); n != 2 {
		t.Errorf("what was dropped was asked about %d times", n)
	}
	s.call("", "enrich", "queue", "retry", hash(2)[:64]).with(0)
	has(t, s.enrich(0), map[string]any{"asked": 1, "unknown": 1})
	if len(s.list("enrich", "queue", "list")) != 0 {
		t.Error("the queue is not empty")
	}
}

// TestEnrichOnlyQuota: 6 is for what lacks quota and nothing else.
func TestEnrichOnlyQuota(t *testing.T) {
	t.Parallel()
	s := newStation(t, vttest.Account{Key: canaryKey, User: "u", Minute: 1000, Day: 2, Month: 1000}, hashes(4)...)
	s.vt.FailNext(1, vttest.Refuse(400, "InvalidArgumentError", "no"))
	has(t, s.enrich(3), map[string]any{"asked": 2, "failed": 1})
}

// TestEnrichRetryAnswered: "queue retry" asks again also where the answer is fresh:
// that is what it says.
func TestEnrichRetryAnswered(t *testing.T) {
	t.Parallel()
	s := newStation(t, rich(), hashes(1)...)
	s.pass(time.Now().Add(-time.Hour).Sub(s.clock())) // it is behind the machine's
	s.enrich(0)
	s.call("", "enrich", "queue", "retry", hash(1)).with(0).says("1 file")
	has(t, s.enrich(0), map[string]any{"asked": 1})
}

// TestEnrichForbidden: a file that VirusTotal does not let one see holds up no
// other.
func TestEnrichForbidden(t *testing.T) {
	t.Parallel()
	s := newStation(t, rich(), hashes(4)...)
	s.vt.FailFile(hash(4), -1, vttest.Refuse(403, "ForbiddenError", "not for you"))
	s.config("per_minute = 20") // one at a time
	for range 2 {
		s.call("", "enrich").with(0, 1, 3)
	}
	for n := range 3 {
		if s.vt.Asked(hash(n+1)) != 1 {
			t.Errorf("file %d was asked about %d times", n+1, s.vt.Asked(hash(n+1)))
		}
	}
}

// TestEnrichQuotaPartlyTold: what VirusTotal does not tell of the quota is that of
// a public key, and not without limit.
func TestEnrichQuotaPartlyTold(t *testing.T) {
	t.Parallel()
	s := newStation(t, rich(), hashes(1)...)
	s.vt.FailOther(1, vttest.Raw(200, "application/json", `{"data":{"api_requests_hourly":{"user":{"allowed":600,"used":0}}}}`))
	s.enrich(0)
	quota := s.list("quota")
	has(t, quota[0], map[string]any{"allowed": 10})
	has(t, quota[1], map[string]any{"allowed": 500})
	has(t, quota[2], map[string]any{"allowed": 15500})
}

// TestEnrichOutage: an outage ends the run before it wears out the patience of all
// files.
func TestEnrichOutage(t *testing.T) {
	t.Parallel()
	s := newStation(t, rich(), hashes(60)...)
	s.config("per_minute = 20")
	s.vt.FailNext(-1, vttest.Reset())
	e := s.call("", "enrich").with(3).says("VirusTotal does not answer", "next run")
	if n := s.vt.LookUps(); n > 6 {
		t.Errorf("%d look-ups: %s", n, e.errs)
	}
	// Nobody there at all, and no quotas told ever.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	s.write("midden.toml", "[virustotal]\nbase_url = \"http://x:"+canaryPassword+"@"+addr+"\"\nper_minute = 20\n")
	s.call("", "enrich", "-v", "--log-json").with(3).says("VirusTotal does not answer", "quotas are not known")
}

func TestEnrichIgnored(t *testing.T) {
	t.Parallel()
	s := newStation(t, rich(), hashes(3)...)
	s.config(fmt.Sprintf("ignore = [%q, %q]", strings.ToUpper(hash(10)), hash(2)))
	s.call("VT_API_KEY=", "enrich", "--dry-run").with(0).says("2 requests")
	has(t, s.enrich(0), map[string]any{"asked": 2, "ignored": 1, "left_new": 0})
	if s.vt.Asked(hash(2)) != 0 {
		t.Error("what is to be ignored was asked about")
	}
	// Whoever takes it off the list wants it asked.
	s.config("")
	s.pass(25 * time.Hour)
	s.enrich(0)
	if s.vt.Asked(hash(2)) != 1 {
		t.Error("what is not ignored any more is not asked about")
	}
}

// TestEnrichBacklog: what an old cache knows is no backlog.
func TestEnrichBacklog(t *testing.T) {
	t.Parallel()
	s := newStation(t, rich(), hashes(2)...)
	cache := filepath.Join(s.dir, "cache")
	if err := os.Mkdir(cache, 0o700); err != nil {
		t.Fatal(err)
	}
	body := vttest.File{SHA256: hash(1), Stats: &vttest.Stats{Undetected: 60}}.Report()
	if err := os.WriteFile(filepath.Join(cache, hash(1)), body, 0o600); err != nil {
		t.Fatal(err)
	}
	s.pass(time.Until(s.now)) // what was cached just now is fresh
	s.call("", "cache", "import", cache).with(0)
	s.call("", "enrich", "--dry-run").with(0).says("1 request")
	s.call("", "quota").with(0).says("1 file to ask about")
	has(t, s.enrich(0), map[string]any{"asked": 1})
	if s.vt.Asked(hash(1)) != 0 {
		t.Error("what the cache knows was asked about")
	}
}

// TestEnrichCanaries: neither key nor password get anywhere, whatever is asked and
// whatever goes wrong.
func TestEnrichCanaries(t *testing.T) {
	t.Parallel()
	files := hashes(12)
	s := newStation(t, rich(), files...)
	for i, fault := range []vttest.Fault{vttest.HTML(502), vttest.EchoKey(400, "BadRequestError"), vttest.EchoKey(503, "TransientError"),
		vttest.Reset(), vttest.Raw(200, "application/json", `{"data":{"id":"`+hash(5)+`","type":"file","attributes":{"last_analysis_stats":{"malicious":1},"names":["`+canaryKey+`"]}}}`),
		vttest.Redirect(302, "http://u:"+canaryPassword+"@elsewhere.test/"+canaryKey), vttest.EchoKey(404, "NotFoundError"),
		vttest.Raw(400, "application/json", `{"error":{"code":"BadRequestError","message":"`+canaryPassword+`"}}`)} {
		s.vt.FailFile(files[i], 3, fault)
	}
	s.call("", "enrich", "--limit", "1").with(0, 3).says() // and the quotas are told
	s.vt.FailOther(1, vttest.EchoKey(503, "TransientError"))
	status := filepath.Join(s.dir, "status")
	for i, c := range []struct {
		env  string
		args []string
	}{
		{"", []string{"enrich", "--dry-run"}}, {"", []string{"quota"}}, {"", []string{"enrich"}}, {"VT_API_KEY=" + canaryKey, []string{"enrich"}},
		{"", []string{"enrich", "queue", "list"}}, {"", []string{"enrich", "queue", "retry"}}, {"", []string{"enrich"}}, {"", []string{"enrich", "queue", "retry"}}, {"", []string{"enrich"}},
		{"", []string{"enrich", "queue", "list", "-o", "json"}}, {"", []string{"enrich", "queue", "drop", "0"}}, {"", []string{"quota", "-o", "json"}},
		{"", []string{"files", "list", "-o", "json"}}, {"", []string{"files", "show", files[9], "-o", "json"}}, {"", []string{"files", "history", files[9]}},
		{"", []string{"files", "changes", "--since", "2020-01-01"}}, {"", []string{"doctor", "--deep"}}, {"", []string{"verify"}},
		{"", []string{"load", "--status-dir", status, filepath.Join(s.dir, "cowrie.json")}}, {"", []string{"sessions", "list"}}, {"", []string{"events"}},
		{"", []string{"backfill", "status"}}, {"", []string{"version"}}, {"", []string{"help", "enrich"}}, {"", []string{"enrich", "--help"}},
	} {
		more := [][]string{{"-v"}, {"-vv", "--log-json"}}[i%2]
		if e := s.call(c.env, append(c.args, more...)...).says(); e.code == 1 {
			t.Errorf("%v ended with 1: %s", e.args, e.errs)
		}
	}
	if s.vt.LookUps() < 12 {
		t.Fatalf("%d look-ups are too few", s.vt.LookUps())
	}
	own := []string{"key", "midden.toml"}
	err := filepath.WalkDir(s.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || slices.Contains(own, d.Name()) {
			return err
		}
		data, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		for _, canary := range []string{canaryKey, canaryPassword, strings.ToUpper(canaryKey)} {
			if bytes.Contains(data, []byte(canary)) {
				t.Errorf("%s holds a secret", path)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	// Bodies are compressed: it could be in one.
	if got := s.rows(`SELECT source FROM file_verdicts WHERE shasum IN (?, ?)`, files[4], files[6]); got != nil {
		t.Errorf("verdicts by answers that repeat the key: %q", got)
	}
	if _, err := os.Stat(status); err != nil {
		t.Error(err)
	}
}

// TestEnrichProxy: nor does the password of a proxy.
func TestEnrichProxy(t *testing.T) {
	t.Parallel()
	s := newStation(t, rich(), hashes(6)...)
	s.write("midden.toml", "[virustotal]\nbase_url = \"http://virustotal.test\"\nper_minute = 20\n")
	for _, proxy := range []string{"http://u:" + canaryPassword + "@127.0.0.1:1", "http://u:" + canaryPassword + "@%zz", "ftp://u:" + canaryPassword + "@x"} {
		cmd := midden(t, "--db", s.db, "--config", filepath.Join(s.dir, "midden.toml"), "enrich", "-v", "--max-wait", "0s")
		cmd.Env = append(os.Environ(), "VT_API_KEY="+canaryKey, "HTTP_PROXY="+proxy, "http_proxy="+proxy, "NO_PROXY=", "no_proxy=")
		out, _ := cmd.CombinedOutput()
		if code := cmd.ProcessState.ExitCode(); code != 3 && code != 6 || bytes.Contains(out, []byte(canaryPassword)) || bytes.Contains(out, []byte(canaryKey)) {
			t.Errorf("%s: it ended with %d: %s", proxy, code, out)
		}
	}
	for _, line := range s.rows(`SELECT coalesce(error, '') FROM lookups`) {
		if strings.Contains(line, canaryPassword) {
			t.Errorf("the database holds it: %s", line)
		}
	}
}
