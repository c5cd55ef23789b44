package cli

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"midden/internal/enrich/abusech/abusechtest"
	"midden/internal/enrich/hashlookup/hashlookuptest"
	"midden/internal/enrich/virustotal/vttest"
)

// TestEnrichSources: further sources are off without a heading; each says its own
// beside what VirusTotal says, which is not asked about what people publish.
func TestEnrichSources(t *testing.T) {
	t.Parallel()
	const authKey = "4uthkey0000000000000000000000000000000000000000c4n4ry"
	s := newStation(t, rich(), hash(1), hash(2), hash(3))
	list, abuse := hashlookuptest.New(t), abusechtest.New(t, authKey)
	list.Add(hash(1), map[string]any{"FileName": "./bin/busybox"})
	s.vt.Add(vttest.File{SHA256: hash(2), Stats: &vttest.Stats{Malicious: 40, Undetected: 20}, Label: "trojan.made/up"})
	abuse.AddSample(hash(2), map[string]any{"signature": "Mirai"})
	abuse.AddPayload(hash(3), map[string]any{"signature": "Gafgyt"})
	s.write("auth", authKey+"\n")

	s.call("VT_API_KEY=", "enrich").with(2).says("there is no key of VirusTotal")
	if list.Asked()+abuse.Asked() != 0 {
		t.Error("they are asked though nobody wants them")
	}

	s.config(fmt.Sprintf("[hashlookup]\nuse = true\nbase_url = %q\n[malwarebazaar]\nkey = \"file:auth\"\nbase_url = %q\nper_minute = 1000\n"+
		"[urlhaus]\nkey = \"file:auth\"\nbase_url = %q\n", list.URL, abuse.URL, abuse.URL))
	// They do without VirusTotal.
	has(t, record(t, s.call("VT_API_KEY=", "enrich", "-o", "json").with(0).out), map[string]any{
		"hashlookup_asked": 3, "hashlookup_known": 1, "malwarebazaar_asked": 3, "malwarebazaar_known": 1, "urlhaus_known": 1})
	has(t, s.enrich(0), map[string]any{"asked": 2, "known": 1, "left_new": 0, "hashlookup_asked": 0, "urlhaus_asked": 0})
	if s.vt.Asked(hash(1)) != 0 {
		t.Error("VirusTotal was asked about what people publish")
	}
	if list.Asked() != 3 || abuse.Asked() != 6 {
		t.Errorf("asked %d and %d times", list.Asked(), abuse.Asked())
	}

	var said []string
	for _, f := range []string{hash(1), hash(2), hash(3)} {
		for _, v := range s.list("files", "history", f) {
			said = append(said, fmt.Sprint(v["shasum"].(string)[63:], " ", v["source"], " ", v["change"], " ", v["classification"], " ", v["malicious"]))
		}
	}
	for _, want := range []string{"1 hashlookup first known <nil> <nil>", "2 virustotal first known trojan.made/up 40",
		"2 malwarebazaar first known Mirai <nil>", "2 urlhaus unknown <nil> <nil>", "3 urlhaus first known Gafgyt <nil>"} {
		if !strings.Contains(strings.Join(said, "\n"), want) {
			t.Errorf("the history lacks %q:\n%s", want, strings.Join(said, "\n"))
		}
	}
	show := record(t, s.call("", "files", "show", hash(2), "-o", "json").with(0).out)
	if show["vt_classification"] != "trojan.made/up" || !strings.HasPrefix(fmt.Sprint(show["malwarebazaar"]), "Mirai") {
		t.Errorf("%v, %v", show["vt_classification"], show["malwarebazaar"])
	}
	s.call("", "doctor").with(0)

	// A source that refuses its key ends no other, and says so.
	s.pass(31 * 24 * 60 * 60 * 1e9)
	s.log("more.json", 9, hash(4))
	run(t, []int{0}, "-q", "--db", s.db, "load", filepath.Join(s.dir, "more.json"))
	abuse.Instead(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprintf(w, `{"query_status":"unknown_auth_key","key":%q}`, r.Header.Get("Auth-Key"))
	}))
	end := s.call("", "enrich", "-v").with(1).says("key is refused")
	if s.vt.Asked(hash(4)) != 1 {
		t.Error("VirusTotal is not asked since another source refuses")
	}
	for _, file := range []string{s.db, s.db + "-wal"} {
		if text, err := os.ReadFile(file); err == nil && bytes.Contains(text, []byte(authKey)) {
			t.Errorf("%s has the Auth-Key", file)
		}
	}
	if strings.Contains(end.out+end.errs, authKey) {
		t.Errorf("the Auth-Key is shown: %s", end.errs)
	}
}
