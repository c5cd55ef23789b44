package cli

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"midden/internal/elastic/elastictest"
	"midden/internal/enrich/abusech/abusechtest"
	"midden/internal/enrich/hashlookup/hashlookuptest"
	"midden/internal/enrich/virustotal/vttest"
	"midden/internal/store/postgres"
	"midden/internal/store/postgres/pgtest"
)

// canaries are what a test put into configuration, environment and URLs, in the forms
// in which it may come out.
type canaries map[string]string

func (c canaries) add(name, text string) {
	c[name] = text
	c[name+" in base64"] = base64.StdEncoding.EncodeToString([]byte(text))
	c[name+" in a query"] = url.QueryEscape(text)
	c[name+" in a path"] = url.PathEscape(text)
	c[name+" in a URL"] = url.User(text).String()
}

// in returns which of them a text holds.
func (c canaries) in(text []byte) string {
	for name, canary := range c {
		if bytes.Contains(text, []byte(canary)) {
			return name
		}
	}
	return ""
}

// TestNoCommandTellsASecret runs every command, as talkative as it can be, with
// secrets wherever there may be one, and finds none of them in what is printed, in
// any file, in the database, or in the arguments of a program that was started.
func TestNoCommandTellsASecret(t *testing.T) {
	t.Parallel()
	const clusterPassword = "es-c4n4ry&p@ss/word"
	const authKey, vaultKey, pgPassword = "a0thc4n4ry0000000000000000000000000000000000000042", "v4u1tc4n4ry00000000000000000000000000000000000042", "pg-c4n4ry&p@ss/word"
	secrets := canaries{}
	secrets.add("the key of VirusTotal", canaryKey)
	secrets.add("the password of its proxy", canaryPassword)
	secrets.add("its user and password", "someone:"+canaryPassword)
	secrets.add("the Auth-Key", authKey)
	secrets.add("the key of the vault", vaultKey)
	secrets.add("the password of the database", pgPassword)
	secrets.add("the password of the cluster", clusterPassword)

	empty := func() *url.URL {
		u, err := url.Parse(pgtest.Shared(t).Empty(t))
		if err != nil {
			t.Fatal(err)
		}
		u.User = url.UserPassword(u.User.Username(), pgPassword)
		return u
	}
	server, away := empty(), empty()
	away.RawQuery, away.Host = "", "127.0.0.1:1"
	half := "postgres://u:12/" + pgPassword + "@127.0.0.1/db" // not escaped

	s := newStation(t, rich(), hash(1), hash(2), hash(3))
	abuse, list := abusechtest.New(t, authKey), hashlookuptest.New(t)
	abuse.AddSample(hash(2), map[string]any{"signature": "Mirai"})
	s.write("auth", authKey)
	s.write("cluster", clusterPassword)
	cluster := elastictest.NewFake(t, true)
	// The program of a vault, which notes how it was called.
	s.write("op", "#!/bin/sh\necho \"$0 $*\" >>"+filepath.Join(s.dir, "arguments")+"\necho "+vaultKey+"\n")
	if err := os.Chmod(filepath.Join(s.dir, "op"), 0o700); err != nil {
		t.Fatal(err)
	}
	downloads := filepath.Join(s.dir, "downloads")
	for _, dir := range []string{downloads, filepath.Join(s.dir, "old")} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	s.write("downloads/a", "#!/bin/sh\n")
	s.config(fmt.Sprintf("cache = %q\n[hashlookup]\nuse = true\nbase_url = %q\n[malwarebazaar]\nkey = \"file:auth\"\nbase_url = %q\n[urlhaus]\nkey = \"op://a/b/c\"\nbase_url = %q\n[elastic]\nurl = [%q]\nuser = \"midden\"\npassword = \"file:cluster\"\n[[sensor]]\nname = \"a\"\ndownloads = \"downloads\"\n",
		filepath.Join(s.dir, "cache"), list.URL, abuse.URL, abuse.URL, cluster.URL))
	s.write("broken.toml", "[virustotal]\nkey = \""+canaryKey+"\nbase_url = 'https://u:"+canaryPassword+"@127.0.0.1'\n")
	s.write("bare.toml", "[virustotal]\nkey = \""+canaryKey+"\"\n[urlhaus]\nkey = \""+authKey+"\"\n")
	holders := []string{"key", "auth", "op", "cluster", "midden.toml", "broken.toml", "bare.toml"}

	values := map[string]string{"LOGS": filepath.Join(s.dir, "cowrie.json"), "STATUS": filepath.Join(s.dir, "status"), "SENSOR": "a", "DOWNLOADS": downloads,
		"CACHE": filepath.Join(s.dir, "old"), "SHASUM": hash(2), "SESSION": "s1", "TEXT": "text"}
	key := "VT_API_KEY=file:" + filepath.Join(s.dir, "key")
	runs := 0
	try := func(env []string, args []string) (code int) {
		t.Helper()
		cmd := midden(t, args...)
		cmd.Env = append(os.Environ(), append([]string{"USE_NEW_ENRICHMENT=true", "PATH=" + s.dir + ":" + os.Getenv("PATH")}, env...)...)
		cmd.Dir = s.dir
		said, _ := cmd.CombinedOutput()
		runs++
		if name := secrets.in(said); name != "" {
			t.Errorf("midden %q tells %s: %s", args, name, said)
		}
		if bytes.Contains(said, []byte("goroutine ")) {
			t.Errorf("midden %q: %s", args, said)
		}
		return cmd.ProcessState.ExitCode()
	}
	for i, db := range []string{"sqlite:" + s.db, server.String()} {
		values["FROM"], values["COPY"] = db, filepath.Join(s.dir, fmt.Sprint("copy", i, ".db"))
		for _, e := range examples {
			code := try([]string{"MIDDEN_DB=" + db, "PGPASSWORD=" + pgPassword, "MIDDEN_CONFIG=" + filepath.Join(s.dir, "midden.toml"), key}, append([]string{"-vv", "--log-json"}, e.args(values)...))
			if code == exitUsage && e.data {
				t.Errorf("%s is no example: wrong usage", e.line)
			}
		}
	}
	// Where something is wrong, more is said.
	for _, e := range examples {
		args := append([]string{"-vv"}, e.args(values)...)
		try([]string{"MIDDEN_DB=" + half, key}, args)
		if strings.Contains(e.line, "-o $TEXT") || strings.HasPrefix(e.line, "load") || e.line == "doctor --deep" {
			try([]string{"COWRIEPROC_DB_URL=" + strings.Replace(away.String(), "postgres", "postgresql+psycopg2", 1), key}, append(args, "--patience", "1s"))
			try([]string{"MIDDEN_DB=" + away.String(), key}, args)
		}
	}
	for _, args := range [][]string{{"--from", server.String(), "--to", "sqlite:again.db"}, {"--from", "sqlite:again.db", "--to", empty().String()}, {"--from", half}, {"--to", away.String()}} {
		try([]string{"MIDDEN_DB=" + s.db}, append([]string{"-vv", "copy"}, args...))
	}
	for _, file := range []string{"broken.toml", "bare.toml"} {
		try([]string{"MIDDEN_DB=" + s.db}, []string{"-vv", "--config", filepath.Join(s.dir, file), "enrich"})
	}
	for _, env := range [][]string{{"VT_API_KEY=" + canaryKey + " "}, {"VT_API_KEY=x " + canaryKey}, {"VT_API_KEY=https://" + canaryKey}, {"VT_API_KEY=env:K", "K=" + canaryKey + "\n\n" + canaryKey},
		{key, "HTTP_PROXY=127.0.0.1:1 " + canaryPassword}, {key, "HTTPS_PROXY=http://u:" + canaryPassword + "@127.0.0.1:1"}} {
		try(append(env, "MIDDEN_DB="+s.db, "MIDDEN_CONFIG="+filepath.Join(s.dir, "midden.toml")), []string{"-vv", "enrich"})
	}
	// Sources that say all that they were told.
	echo := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprintf(w, `{"query_status":%q,"message":%q,"error":{"code":%[2]q,"message":%[2]q}}`, r.Header.Get("Auth-Key"), fmt.Sprint(r.Header))
	})
	s.vt.FailOther(1000, vttest.EchoKey(http.StatusBadRequest, "BadRequestError"))
	s.vt.FailNext(1000, vttest.EchoKey(http.StatusBadRequest, "BadRequestError"))
	abuse.Instead(echo)
	s.log("more.json", 9, hash(4))
	for _, args := range [][]string{{"load", filepath.Join(s.dir, "more.json")}, {"enrich"}, {"enrich", "queue", "list"}, {"quota"}, {"doctor"}} {
		try([]string{"MIDDEN_DB=" + s.db, "MIDDEN_CONFIG=" + filepath.Join(s.dir, "midden.toml"), key}, append([]string{"-vv"}, args...))
	}

	err := filepath.WalkDir(s.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || slices.Contains(holders, d.Name()) && filepath.Dir(path) == s.dir {
			return err
		}
		text, err := os.ReadFile(path)
		if name := secrets.in(text); name != "" {
			t.Errorf("%s holds %s", path, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	db, err := postgres.Connect(server.String())
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	held := 0
	for _, name := range table(t, db, `SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'`) {
		for _, row := range table(t, db, fmt.Sprintf(`SELECT to_jsonb(x)::text FROM %q x`, strings.Trim(name, `"[]`))) {
			held++
			if name := secrets.in([]byte(row)); name != "" {
				t.Errorf("the database holds %s: %s", name, row)
			}
		}
	}
	arguments, err := os.ReadFile(filepath.Join(s.dir, "arguments"))
	if err != nil || len(arguments) == 0 || held < 10 || runs < 2*len(examples) {
		t.Errorf("the test did not get far: %d runs, %d rows, arguments %q, %v", runs, held, arguments, err)
	}
}
