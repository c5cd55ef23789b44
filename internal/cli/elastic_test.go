package cli

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"midden/internal/elastic/elastictest"
)

// search is a database with files, and a cluster that the real program tells of them.
type search struct {
	*station
	fake *elastictest.Fake
}

func newSearch(t testing.TB, files ...string) *search {
	t.Helper()
	s := &search{newStation(t, rich(), files...), elastictest.NewFake(t, true)}
	s.settings("")
	return s
}

// settings writes a configuration that leads to the cluster, with a password and a key
// of VirusTotal's server.
func (s *search) settings(more string) {
	s.t.Helper()
	s.write("password", canaryPassword+"\n")
	s.write("midden.toml", fmt.Sprintf("[virustotal]\nbase_url = %q\nkey = \"file:key\"\n[elastic]\nurl = [\"http://127.0.0.1:1\", %q]\n"+
		"user = \"midden\"\npassword = \"file:password\"\n%s\n", s.vt.URL, s.fake.URL, more))
}

// elastic runs a command on the cluster; it tells no secret.
func (s *search) elastic(env string, args ...string) ended {
	s.t.Helper()
	if env == "" {
		env = "ES_HOST="
	}
	return s.call(env, append([]string{"elastic"}, args...)...).says()
}

// told returns what the cluster was told, without when.
func told(t testing.TB, fake *elastictest.Fake) string {
	t.Helper()
	var lines []string
	for _, name := range []string{"cowrie.sightings", "cowrie.files", "cowrie.verdicts"} {
		for id, d := range fake.Documents(name) {
			delete(d["event"].(map[string]any), "ingested")
			text, err := json.Marshal(d)
			if err != nil {
				t.Fatal(err)
			}
			lines = append(lines, name+" "+id+" "+string(text))
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// TestElastic is a session: install, look, publish, change, publish, refuse, stop.
func TestElastic(t *testing.T) {
	t.Parallel()
	s := newSearch(t, hashes(3)...)
	s.elastic("", "publish").with(1).says("midden elastic install")
	s.call("", "report", "daily", "2026-03-01", "--publish").with(1).says(`nothing is published from this database yet: "midden elastic publish" begins it`)
	s.elastic("", "diff").with(5).says("23 differences", "elastic install")
	s.elastic("", "install").with(0).says("23 things were made or changed")
	s.elastic("", "install").with(0).says("OpenSearch 2.19.1: all of it was there already, nothing was changed")
	s.elastic("", "diff").with(0).says("all is as it is to be")
	has(t, record(t, s.elastic("", "publish", "-o", "json").with(0).out), map[string]any{"sightings": 3, "files": 3, "verdicts": 0, "refused": 0, "waiting": 0})
	report := record(t, s.call("", "report", "daily", "2026-03-01", "--publish", "-o", "json").with(0).out)
	has(t, record(t, s.elastic("", "publish", "-o", "json").with(0).out), map[string]any{"sightings": 0, "reports": 1})
	if diff := cmp.Diff(map[string]map[string]any{"aggregate:daily:2026-03-01": report}, s.fake.Documents("cowrie.reports.daily-write")); diff != "" {
		t.Errorf("the report that was published: %s", diff)
	}
	s.call("", "report", "daily", "--from", "2026-03-01", "--publish").with(2).says("--publish is for a day, a week or a month")
	s.knows(hashes(3))
	s.enrich(0)
	has(t, record(t, s.elastic("", "publish", "-o", "json").with(0).out), map[string]any{"sightings": 0, "files": 3, "verdicts": 3})

	s.fake.Refuse(func(_, id string, _ map[string]any) string {
		if id == hash(5) {
			return "no \x1b[31m"
		}
		return ""
	})
	s.log("more.json", 9, hash(4), hash(5))
	run(t, []int{0}, "-q", "--db", s.db, "load", filepath.Join(s.dir, "more.json"))
	s.elastic("", "publish").with(3).says("elastic refused list")
	rows := s.list("elastic", "refused", "list")
	if len(rows) != 1 || rows[0]["kind"] != "file" || rows[0]["key"] != hash(5) || !strings.Contains(fmt.Sprint(rows[0]["problem"]), "no ") {
		t.Errorf("refused: %v", rows)
	}
	if out := s.elastic("", "refused", "list").with(0).out; strings.Contains(out, "\x1b") {
		t.Errorf("it acts on the terminal: %q", out)
	}
	s.fake.Refuse(nil)
	if out := s.call("", "doctor").with(0).out; !strings.Contains(out, "0 changes wait; 1 document was refused") {
		t.Errorf("the doctor says %s", out)
	}
	s.elastic("", "publish").with(0)
	s.elastic("", "refused", "retry").with(0)
	has(t, record(t, s.elastic("", "publish", "-o", "json").with(0).out), map[string]any{"files": 1, "refused_in_all": 0})
	has(t, record(t, s.elastic("", "publish", "--rebuild", "-o", "json").with(0).out), map[string]any{"sightings": 5, "files": 5, "verdicts": 3})

	s.elastic("", "stop").with(0)
	s.log("last.json", 99, hash(6))
	run(t, []int{0}, "-q", "--db", s.db, "load", filepath.Join(s.dir, "last.json"))
	if n := s.rows(`SELECT CAST((SELECT count(*) FROM outbox) + (SELECT count(*) FROM publishing) AS TEXT)`); !strings.Contains(n[0], `0`) {
		t.Errorf("noted after it was stopped: %v", n)
	}
	s.elastic("", "publish").with(1).says("--rebuild")
}

// TestElasticSettings: the environment goes before the file; secrets are references, and
// shown nowhere, though the server repeats them.
func TestElasticSettings(t *testing.T) {
	t.Parallel()
	s := newSearch(t, hash(1))
	s.elastic("", "install").with(0)
	if h := s.fake.Headers()[0]; !strings.HasPrefix(h.Get("Authorization"), "Basic ") || !strings.HasPrefix(h.Get("User-Agent"), "midden/") {
		t.Errorf("the headers are %v", h)
	}
	s.settings("api_key = \"file:password\"")
	s.elastic("", "diff").with(0)
	headers := s.fake.Headers()
	if got := headers[len(headers)-1].Get("Authorization"); got != "ApiKey "+canaryPassword {
		t.Error("the key does not go before user and password")
	}
	for _, c := range []struct {
		env, settings string
		code          int
		says          string
	}{
		{"ES_HOST=http://127.0.0.1:1", "", 75, "connection refused"},
		{"ES_HOST=" + strings.Replace(s.fake.URL, "http://", "", 1), "", 2, "http:// or https://"},
		{"ES_CLOUD_ID=nonsense", "", 2, "cloud id"},
		{"ES_PASSWORD=file:not-there", "", 2, "ES_PASSWORD"},
		{"", "prefix = \"Cowrie\"", 2, "elastic.prefix"},
		{"", "ca_file = \"not-there\"", 2, "elastic.ca_file"},
		{"", "ca_file = \"key\"", 2, "no certificate"},
		{"", "api_key = \"" + canaryPassword + "\"", 2, "elastic.api_key"},
		{"", "gzip = 1", 2, "true or false"},
	} {
		s.settings(c.settings)
		s.elastic(c.env, "diff").with(c.code).says(c.says)
	}
	s.write("midden.toml", "")
	s.elastic("", "diff").with(2).says("ES_HOST", "elastic.url")

	echo := elastictest.Echo(t, func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		w.WriteHeader(http.StatusUnauthorized)
		fmt.Fprintf(w, `{"error":{"type":"security_exception","reason":"%s %s %s"}}`, user, password, r.Header.Get("Authorization"))
	})
	s.write("midden.toml", fmt.Sprintf("[elastic]\nurl = [%q]\n", strings.Replace(echo, "http://", "http://u:"+canaryPassword+"@", 1)))
	s.elastic("", "publish", "-v").with(1).says("refuses user, password or key", "[hidden]")
	for _, file := range []string{s.db, s.db + "-wal"} {
		if text, err := os.ReadFile(file); err == nil && strings.Contains(string(text), canaryPassword) {
			t.Errorf("%s has the password", file)
		}
	}
}

// TestElasticBeside: of two that publish, one waits for none, but is told who does.
func TestElasticBeside(t *testing.T) {
	t.Parallel()
	s := newSearch(t, hash(1))
	s.elastic("", "install").with(0)
	asked, goOn := make(chan struct{}), make(chan struct{})
	s.fake.Next(elastictest.Fault{Then: func() { close(asked); <-goOn }})
	first := make(chan ended)
	go func() { first <- s.elastic("", "publish") }()
	<-asked
	s.elastic("", "publish").with(4).says("midden elastic publish, process")
	s.elastic("", "stop").with(4)
	s.call("", "verify").with(0) // others are not kept back
	close(goOn)
	(<-first).with(0)
}

// TestKillElastic kills a run before and after what was answered is noted, and between
// what the cluster did and its answer, with a rollover each time. What the cluster has been told
// is what an undisturbed run tells.
func TestKillElastic(t *testing.T) {
	t.Parallel()
	files := hashes(7)
	later := func(s *search) {
		s.log("more.json", 9, hash(3), hash(8), hash(9))
		text, err := os.ReadFile(filepath.Join(s.dir, "more.json"))
		if err != nil {
			t.Error(err)
		}
		for i, f := range files {
			text = fmt.Appendf(text, `{"eventid":"cowrie.virustotal.scanfile","session":"v%d","timestamp":"2026-03-02T00:00:00Z","sha256":"%s","positives":%d,"total":60}`+"\n", i, f, i)
		}
		s.write("more.json", string(text))
		run(t, []int{0}, "-q", "--db", s.db, "load", filepath.Join(s.dir, "more.json"))
	}
	calm := newSearch(t, files...)
	calm.elastic("", "install").with(0)
	later(calm)
	calm.elastic("", "publish").with(0)
	want := told(t, calm.fake)
	same := func(t *testing.T, s *search) {
		t.Helper()
		if d := cmp.Diff(strings.Split(want, "\n"), strings.Split(told(t, s.fake), "\n")); d != "" {
			t.Errorf("the cluster was told something else (-want +got):\n%s", d)
		}
	}
	roll := func(s *search) {
		s.fake.Rollover("cowrie.sightings")
		s.fake.Rollover("cowrie.verdicts")
	}
	for _, point := range []string{"publish: before commit", "publish: after commit"} {
		t.Run(point, func(t *testing.T) {
			t.Parallel()
			s := newSearch(t, files...)
			s.elastic("", "install").with(0)
			kills := 0
			for turn := range 6 {
				if turn == 3 {
					later(s)
				}
				if s.elastic("MIDDEN_TEST_KILL_AT="+point, "publish", "-q").killed {
					kills++
				}
				roll(s)
			}
			s.elastic("", "publish").with(0)
			same(t, s)
			if kills < 3 {
				t.Errorf("it was killed %d times only", kills)
			}
		})
	}
	t.Run("unanswered", func(t *testing.T) {
		t.Parallel()
		s := newSearch(t, files...)
		s.elastic("", "install").with(0)
		for turn := range 5 {
			if turn == 2 {
				later(s)
			}
			cmd := midden(t, "--db", s.db, "--config", filepath.Join(s.dir, "midden.toml"), "-q", "elastic", "publish")
			cmd.Env = append(os.Environ(), "ES_HOST=")
			started := make(chan struct{})
			s.fake.Next(elastictest.Fault{}, elastictest.Fault{Silent: true, Then: func() { <-started; cmd.Process.Kill() }})
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			close(started)
			cmd.Wait()
			roll(s)
		}
		s.elastic("", "publish").with(0)
		same(t, s)
	})
}

// TestElasticRebuildKilled: a rebuild that is killed is gone on with, and leaves one
// index.
func TestElasticRebuildKilled(t *testing.T) {
	t.Parallel()
	s := newSearch(t, hashes(5)...)
	s.elastic("", "install").with(0)
	s.elastic("", "publish").with(0)
	want := told(t, s.fake)
	for _, args := range [][]string{{"publish", "--rebuild"}, {"publish"}, {"publish", "--rebuild"}} {
		if !s.elastic("MIDDEN_TEST_KILL_AT=publish: before commit", append(args, "-q")...).killed {
			t.Errorf("%v was not killed", args)
		}
		if got := told(t, s.fake); got != want {
			t.Errorf("meanwhile:\n%s", cmp.Diff(want, got))
		}
	}
	s.elastic("", "publish").with(0)
	if got := told(t, s.fake); got != want {
		t.Errorf("in the end:\n%s", cmp.Diff(want, got))
	}
	var files []string
	for _, i := range s.fake.Indices() {
		if strings.HasPrefix(i, "cowrie.files-") {
			files = append(files, i)
		}
	}
	if !maps.Equal(map[string]bool{"cowrie.files-000003": true}, set(files)) {
		t.Errorf("the indices are %v", files)
	}
}

func set(list []string) map[string]bool {
	m := map[string]bool{}
	for _, s := range list {
		m[s] = true
	}
	return m
}
