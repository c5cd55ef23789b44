package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"midden/internal/cowrie"
	"midden/internal/ingest"
	"midden/internal/store"
	"midden/internal/store/migrate"
	"midden/internal/store/postgres"
	"midden/internal/store/postgres/pgtest"
	"midden/internal/store/storetest"
	"midden/internal/synth"
)

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

func open(t testing.TB, url string) *store.Store {
	t.Helper()
	s, err := postgres.Open(t.Context(), url, postgres.Options{Create: true, Write: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// logOf writes lines into a log.
func logOf(t testing.TB, lines ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "cowrie.json")
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// sensorLog is the log of a made-up sensor.
func sensorLog(t testing.TB, events int) string {
	t.Helper()
	dir := t.TempDir()
	o := synth.Options{Seed: 5, Events: events, Sensors: 1, Span: 48 * time.Hour, FileShare: 0.1}
	f, err := os.Create(filepath.Join(dir, "cowrie.json"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := o.Generate(t.Context(), f, 0); err != nil {
		t.Fatal(err)
	}
	return dir
}

func load(t testing.TB, s *store.Store, paths ...string) ingest.Summary {
	t.Helper()
	sum, err := ingest.Load(t.Context(), s, paths, ingest.Options{Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	return sum
}

func dump(t testing.TB, s *store.Store, url string) string {
	t.Helper()
	err := s.Doctor(t.Context(), true, store.Staging{On: true}, func(c store.Check) error {
		if c.State == store.CheckFailure {
			t.Errorf("doctor: %s: %s", c.Name, c.Detail)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return storetest.Dump(t, s, storetest.Connect(t, url))
}

func TestOpenWithoutTables(t *testing.T) {
	t.Parallel()
	url := pgtest.Shared(t).Empty(t)
	for _, o := range []postgres.Options{{}, {Write: true}} {
		_, err := postgres.Open(t.Context(), url, o)
		var schema *store.SchemaError
		if !errors.As(err, &schema) || schema.Version != 0 || !strings.Contains(err.Error(), "midden migrate") {
			t.Errorf("%+v: %v", o, err)
		}
	}
	if sum := load(t, open(t, url), logOf(t, `{"eventid":"cowrie.session.connect","session":"a","timestamp":"2026-01-01T00:00:00Z"}`)); sum.Events != 1 {
		t.Errorf("%+v", sum)
	}
}

func TestOpenOtherVersions(t *testing.T) {
	t.Parallel()
	server := pgtest.Shared(t)
	url := server.Empty(t)
	db := storetest.Connect(t, url)
	exec := func(statement string) {
		t.Helper()
		if _, err := db.Exec(statement); err != nil {
			t.Fatal(err)
		}
	}
	exec(`CREATE TABLE schema_state ("key" TEXT PRIMARY KEY, value TEXT)`)
	for _, c := range []struct {
		value, says string
		version     int
	}{
		{"17", "use a newer midden", 17},
		{"3", "not changed in place", 3},
		{"nonsense", "is not a database of midden", -1},
	} {
		exec(`DELETE FROM schema_state`)
		exec(`INSERT INTO schema_state VALUES ('schema_version', '` + c.value + `')`)
		_, openErr := postgres.Open(t.Context(), url, postgres.Options{Create: true, Write: true})
		_, planErr := postgres.Plan(t.Context(), url)
		upgradeErr := postgres.Upgrade(t.Context(), url, func(*migrate.Plan) error { return nil }, func(int) {})
		for _, err := range []error{openErr, planErr, upgradeErr} {
			var schema *store.SchemaError
			if !errors.As(err, &schema) || schema.Version != c.version || !strings.Contains(err.Error(), c.says) {
				t.Errorf("version %s: %v", c.value, err)
			}
		}
	}
}

// TestUpgradeAtOnce: of several who make the tables, one does.
func TestUpgradeAtOnce(t *testing.T) {
	t.Parallel()
	url := pgtest.Shared(t).Empty(t)
	var did atomic.Int64
	var all sync.WaitGroup
	for range 5 {
		all.Go(func() {
			err := postgres.Upgrade(context.Background(), url, func(p *migrate.Plan) error {
				did.Add(int64(len(p.Steps)))
				return nil
			}, func(int) {})
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if did.Load() != 1 {
		t.Errorf("%d made the tables", did.Load())
	}
	open(t, url)
}

// TestErrors: what may go wrong is said in plain words, never with the password,
// and what may pass can be told from what will not.
func TestErrors(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t, "fsync=off", "max_connections=8", "superuser_reserved_connections=0")
	hba := filepath.Join(server.Dir(), "data", "pg_hba.conf")
	if err := os.WriteFile(hba, []byte("local all all trust\nhost all nobody 127.0.0.1/32 reject\nhost all all 127.0.0.1/32 scram-sha-256\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	server.Exec(t, "postgres", `CREATE ROLE strange LOGIN PASSWORD 'hunter2'`, `CREATE ROLE nobody LOGIN`,
		`CREATE ROLE standby SUPERUSER LOGIN`, `ALTER ROLE standby SET default_transaction_read_only = on`,
		`SELECT pg_reload_conf()`)
	url := server.Database(t)
	name := regexp.MustCompile(`/(test_\d+)`).FindStringSubmatch(url)[1]
	tcp := func(user string) string {
		return fmt.Sprintf("postgres://%s@127.0.0.1:%d/%s?sslmode=disable", user, server.Port(), name)
	}
	as := func(user string) string { return strings.Replace(url, "postgres@", user+"@", 1) }
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := closed.Addr().(*net.TCPAddr).Port
	closed.Close()
	for _, c := range []struct {
		what, url, says string
		passes          bool
	}{
		{"wrong password", tcp("strange:hunter3"), "refuses the password of strange", false},
		{"not let in", tcp("nobody:hunter3"), "does not let nobody in", false},
		{"no database", strings.Replace(tcp("strange:hunter2"), name, "none", 1), "there is no such database", false},
		{"no server", fmt.Sprintf("postgres://u:hunter3@127.0.0.1:%d/x?sslmode=disable", port), "cannot be reached", true},
		{"no socket", "postgres://u:hunter3@/x?host=/nonexistent", "cannot be reached", true},
		{"no TLS", strings.Replace(tcp("strange:hunter2"), "disable", "require", 1), "does not speak TLS", false},
		{"no rights", tcp("strange:hunter2"), "strange may not do this", false},
	} {
		_, err := postgres.Open(t.Context(), c.url, postgres.Options{})
		if err == nil || !strings.Contains(err.Error(), c.says) || errors.Is(err, store.ErrUnavailable) != c.passes || strings.Contains(err.Error(), "hunter") {
			t.Errorf("%s: %v", c.what, err)
		}
	}
	s := open(t, as("standby"))
	if err := s.Stage(t.Context(), false, true); err == nil || !strings.Contains(err.Error(), "can only be read") || errors.Is(err, store.ErrUnavailable) {
		t.Errorf("read only: %v", err)
	}
	s.Close()
	// The owner of nothing, in a database without tables.
	empty := server.Empty(t)
	_, err = postgres.Open(t.Context(), strings.Replace(empty, "postgres@", "strange@", 1), postgres.Options{Create: true, Write: true})
	if err == nil || !strings.Contains(err.Error(), "let their owner run \"midden migrate") {
		t.Errorf("may make no tables: %v", err)
	}
	// No connection left.
	var all []*store.Store
	for len(all) < 20 {
		s, err := postgres.Open(t.Context(), url, postgres.Options{})
		if err != nil {
			if !errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), "no connection left") {
				t.Errorf("too many: %v", err)
			}
			break
		}
		all = append(all, s)
	}
	if len(all) == 20 {
		t.Error("there is always a connection left")
	}
	for _, s := range all {
		s.Close()
	}
	// A standby can be read.
	server.Stop(t, "fast")
	if err := os.WriteFile(filepath.Join(server.Dir(), "data", "standby.signal"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	server.Run(t)
	s = open(t, url)
	if err := s.Doctor(t.Context(), true, store.Staging{On: true}, func(c store.Check) error {
		if c.State == store.CheckFailure {
			t.Errorf("standby: %+v", c)
		}
		return nil
	}); err != nil {
		t.Errorf("standby: %v", err)
	}
	if err := s.Stage(t.Context(), false, true); err == nil || !strings.Contains(err.Error(), "it is a standby") || errors.Is(err, store.ErrUnavailable) {
		t.Errorf("standby: %v", err)
	}
}

// TestErrorsOfTransactions: a transaction that stands in the way of others, or whose
// connection ends, can be tried again.
func TestErrorsOfTransactions(t *testing.T) {
	t.Parallel()
	url := pgtest.Shared(t).Database(t)
	s := open(t, url)
	db := storetest.Connect(t, url)
	for _, c := range []struct {
		code   string
		passes bool
	}{{"40P01", true}, {"40001", true}, {"57P01", true}, {"57P02", true}, {"57P03", true}, {"53300", true}, {"08006", true},
		{"57014", false}, {"53100", false}, {"25006", false}, {"42501", false}, {"23505", false}, {"22P02", false}} {
		for _, statement := range []string{
			`CREATE OR REPLACE FUNCTION fault() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'a fault' USING ERRCODE = '` + c.code + `'; END $$`,
			`CREATE OR REPLACE TRIGGER fault BEFORE INSERT ON session_summaries FOR EACH ROW EXECUTE FUNCTION fault()`,
		} {
			if _, err := db.Exec(statement); err != nil {
				t.Fatal(err)
			}
		}
		_, err := ingest.Load(t.Context(), s, []string{logOf(t, `{"eventid":"x","session":"`+c.code+`","timestamp":"2026-01-01T00:00:00Z"}`)}, ingest.Options{Log: quiet})
		if err == nil || errors.Is(err, store.ErrUnavailable) != c.passes || !strings.Contains(err.Error(), "a fault") {
			t.Errorf("%s: %v", c.code, err)
		}
	}
}

// TestLostConnection: whatever is ended while a batch is stored, the batch is stored
// once.
func TestLostConnection(t *testing.T) {
	t.Parallel()
	server := pgtest.Shared(t)
	dir := sensorLog(t, 3000)
	want := func() string {
		url := server.Database(t)
		s := open(t, url)
		load(t, s, dir)
		return dump(t, s, url)
	}()
	url := server.Database(t)
	s, db := open(t, url), storetest.Connect(t, url)
	// A backend that ends itself in the middle of a batch, the first three times.
	for _, statement := range []string{
		`CREATE SEQUENCE faults`,
		`CREATE FUNCTION fault() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
			IF nextval('faults') <= 3 THEN PERFORM pg_terminate_backend(pg_backend_pid()); END IF; RETURN NULL; END $$`,
		`CREATE TRIGGER fault AFTER INSERT ON command_stats FOR EACH STATEMENT EXECUTE FUNCTION fault()`,
	} {
		if _, err := db.Exec(statement); err != nil {
			t.Fatal(err)
		}
	}
	sum, err := ingest.Load(t.Context(), s, []string{dir}, ingest.Options{Log: quiet, Patience: time.Minute})
	if err != nil || sum.Events != 3000 {
		t.Errorf("%+v, %v", sum, err)
	}
	if diff := cmp.Diff(want, dump(t, s, url)); diff != "" {
		t.Errorf("%.2000s", diff)
	}
}

// TestServerRestarts: the server crashes again and again while logs are loaded.
func TestServerRestarts(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t)
	dir := sensorLog(t, 60_000)
	url := server.Database(t)
	s := open(t, url)
	crashes := 0
	sum, err := ingest.Load(t.Context(), &crashing{s, func(tally cowrie.Tally) {
		if tally.Events == 0 || crashes >= 3 {
			return
		}
		crashes++
		server.Stop(t, "immediate")
		server.Run(t)
	}}, []string{dir}, ingest.Options{Log: quiet, Patience: time.Minute})
	if err != nil || sum.Lines != 60_000 || crashes == 0 {
		t.Errorf("%d crashes: %+v, %v", crashes, sum, err)
	}
	whole := server.Database(t)
	w := open(t, whole)
	load(t, w, dir)
	if diff := cmp.Diff(dump(t, w, whole), dump(t, s, url)); diff != "" {
		t.Errorf("%.2000s", diff)
	}
	// It stays away: the load ends with an error that says so.
	more := logOf(t, `{"eventid":"x","session":"more","timestamp":"2026-01-01T00:00:00Z"}`)
	server.Stop(t, "immediate")
	if _, err := ingest.Load(t.Context(), s, []string{more}, ingest.Options{Log: quiet, Patience: time.Millisecond}); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("without a server: %v", err)
	}
	server.Run(t)
	if sum := load(t, s, more); sum.Events != 1 {
		t.Errorf("with the server: %+v", sum)
	}
}

// crashing is a store of which after is called when a batch was stored: the
// connections that it has are dead then.
type crashing struct {
	*store.Store
	after func(cowrie.Tally)
}

func (c *crashing) Append(ctx context.Context, chunks []*cowrie.Chunk) (cowrie.Tally, []*cowrie.Source, error) {
	tally, moved, err := c.Store.Append(ctx, chunks)
	if err == nil {
		c.after(tally)
	}
	return tally, moved, err
}

// TestUnknownCommit: a batch of which nobody knows whether it was stored is not
// stored twice.
func TestUnknownCommit(t *testing.T) {
	t.Parallel()
	url := pgtest.Shared(t).Database(t)
	s := open(t, url)
	dir := sensorLog(t, 3000)
	lost := 0
	_, err := ingest.Load(t.Context(), &forgetful{s, &lost}, []string{dir}, ingest.Options{Log: quiet, Patience: time.Minute})
	if err != nil || lost == 0 {
		t.Errorf("%d lost: %v", lost, err)
	}
	whole := pgtest.Shared(t).Database(t)
	w := open(t, whole)
	load(t, w, dir)
	if diff := cmp.Diff(dump(t, w, whole), dump(t, s, url)); diff != "" {
		t.Errorf("%.2000s", diff)
	}
}

// forgetful is a store whose connection breaks after each first commit.
type forgetful struct {
	*store.Store
	lost *int
}

func (f *forgetful) Append(ctx context.Context, chunks []*cowrie.Chunk) (cowrie.Tally, []*cowrie.Source, error) {
	tally, moved, err := f.Store.Append(ctx, chunks)
	if err == nil && *f.lost == 0 {
		*f.lost++
		return cowrie.Tally{}, nil, fmt.Errorf("%w: made up", store.ErrUnavailable)
	}
	return tally, moved, err
}

// TestWriters: one writes at a time; who waits is told, and who reads does not wait.
func TestWriters(t *testing.T) {
	defer postgres.LockWait(20 * time.Millisecond)()
	url := pgtest.Shared(t).Database(t)
	s, other := open(t, url), open(t, url)
	load(t, s, logOf(t, `{"eventid":"cowrie.command.input","session":"a","input":"id","timestamp":"2026-01-01T00:00:00Z"}`))
	told := make(chan bool)
	other.Waiting = func(time.Duration) {
		select {
		case told <- true:
		default:
		}
	}
	db := storetest.Connect(t, url)
	tx, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(`SELECT pg_advisory_xact_lock(classid::bigint::int, objid::bigint::int) FROM (SELECT 1835623543 AS classid, relnamespace AS objid
		FROM pg_class WHERE oid = 'schema_state'::regclass) l`); err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() { done <- other.PauseJob(context.Background(), "a", true) }()
	select {
	case <-told:
	case err := <-done:
		t.Fatalf("another one writes, too: %v", err)
	}
	if err := s.Sessions(t.Context(), store.SessionFilter{Since: cowrie.NoTime, Until: cowrie.NoTime}, func(*store.Session) error { return nil }); err != nil {
		t.Error(err)
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	for {
		select {
		case <-told:
			continue
		case err := <-done:
			if err != nil {
				t.Error(err)
			}
			return
		}
	}
}

func TestHold(t *testing.T) {
	t.Parallel()
	server := pgtest.Shared(t)
	url := server.Database(t)
	s, other := open(t, url), open(t, url)
	release, err := s.Hold("verify --repair")
	if err != nil {
		t.Fatal(err)
	}
	_, err = other.Hold("backfill")
	var held *store.HeldError
	if !errors.As(err, &held) || !strings.Contains(held.By, fmt.Sprintf("midden verify --repair, process %d", os.Getpid())) {
		t.Errorf("held: %v", err)
	}
	release()
	if release, err = other.Hold("backfill"); err != nil {
		t.Fatal(err)
	}
	// It ends with its holder, however that ends.
	server.Exec(t, "postgres", `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'midden backfill%'`)
	again, err := s.Hold("verify --repair")
	if err != nil {
		t.Fatal(err)
	}
	again()
	release()
	// Two schemas are two databases.
	db := storetest.Connect(t, url)
	if _, err := db.Exec(`CREATE SCHEMA two`); err != nil {
		t.Fatal(err)
	}
	two := open(t, url+"&search_path=two")
	if release, err = s.Hold("a"); err != nil {
		t.Fatal(err)
	}
	defer release()
	if release, err = two.Hold("b"); err != nil {
		t.Errorf("another schema: %v", err)
	} else {
		release()
	}
}

// TestArray: an array holds any text and any bytes.
func TestArray(t *testing.T) {
	t.Parallel()
	db, err := postgres.Connect(pgtest.Shared(t).Database(t))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	texts := []any{"", "a", `"`, `\`, `\"{},`, "NULL", "null", " a ", "a\x00b", "\xff\xfe", "é\xe6", "日\n本", "\U0010FF00", "'$1'"}
	for _, c := range []struct {
		of           string
		values, want []any
	}{
		{"text[]", texts, texts},
		{"bytea[]", []any{[]byte{}, []byte("a"), []byte{0, 255, '"', '\\'}}, []any{"", "61", "00ff225c"}},
		{"bigint[]", []any{int64(0), int64(-1), int64(math.MaxInt64)}, []any{"0", "-1", "9223372036854775807"}},
		{"text[]", nil, nil},
	} {
		var got []any
		for _, row := range storetest.Rows(t, db, `SELECT value, value IS NULL FROM unnest($1::`+c.of+`) WITH ORDINALITY AS a(value, place)
			ORDER BY place`, postgres.Array(c.values)) {
			if row[1] != "0" {
				t.Errorf("%s: NULL behind %q", c.of, got)
			}
			got = append(got, row[0])
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: %s", c.of, diff)
		}
	}
}

// TestMonths: a month is made when its first events come, beside those who read.
func TestMonths(t *testing.T) {
	t.Parallel()
	url := pgtest.Shared(t).Database(t)
	s := open(t, url)
	line := func(session, at string) string {
		return fmt.Sprintf(`{"eventid":"x","session":"%s","timestamp":"%s"}`, session, at)
	}
	load(t, s, logOf(t, line("a", "2026-01-01T00:00:00Z")))
	reading, err := s.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer reading.Close()
	read := func() (n int) {
		t.Helper()
		if err := reading.Segments(t.Context(), 0, func(*cowrie.Segment) error { n++; return nil }); err != nil {
			t.Fatal(err)
		}
		return n
	}
	read()
	next := time.Now().UTC().Year() + 1
	sum := load(t, s, logOf(t, line("b", "2016-05-31T23:59:59.999999Z"), line("c", fmt.Sprintf("%d-12-31T23:59:59Z", next))),
		logOf(t, line("d", fmt.Sprintf("%d-01-01T00:00:00Z", next+1))), logOf(t, `{"eventid":"x","session":"e"}`), logOf(t, line("f", "2014-12-31T00:00:00Z")),
		logOf(t, line("g", "0001-01-01T00:00:00Z")), logOf(t, line("h", "9999-12-31T23:59:59.999999Z")), logOf(t, line("i", "2016-05-01T00:00:00Z")))
	if sum.Events != 8 || sum.Sessions != 8 {
		t.Errorf("%+v", sum)
	}
	if n := read(); n != 1 {
		t.Errorf("who began to read before sees %d segments", n)
	}
	var got []string
	for _, row := range storetest.Rows(t, storetest.Connect(t, url), `SELECT tableoid::regclass::text, count(*) FROM event_segments GROUP BY 1 ORDER BY 1`) {
		got = append(got, strings.Join(row, " "))
	}
	want := []string{"event_segments_2016_05 1", "event_segments_2026_01 1", fmt.Sprintf("event_segments_%d_12 1", next),
		"event_segments_early 3", "event_segments_late 2"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for _, id := range []string{"a", "b", "c", "d", "e", "f", "g", "h", "i"} {
		n := 0
		if err := s.Events(t.Context(), store.EventFilter{Session: id, Since: cowrie.NoTime, Until: cowrie.NoTime}, func(*store.Event) error { n++; return nil }); err != nil || n != 1 {
			t.Errorf("session %s: %d events, %v", id, n, err)
		}
	}
}

// TestPooler: a URL may say that connections are sessions for a transaction only.
func TestPooler(t *testing.T) {
	t.Parallel()
	dir := sensorLog(t, 2000)
	var dumps []string
	for _, mode := range []string{"cache_statement", "exec", "cache_describe", "describe_exec"} {
		url := pgtest.Shared(t).Database(t) + "&default_query_exec_mode=" + mode
		s := open(t, url)
		load(t, s, dir)
		dumps = append(dumps, dump(t, s, url))
		if dumps[0] != dumps[len(dumps)-1] {
			t.Errorf("%s: %.2000s", mode, cmp.Diff(dumps[0], dumps[len(dumps)-1]))
		}
	}
}

// TestRoles runs the statements of the documentation, and works as each of the roles.
func TestRoles(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t, "fsync=off")
	text, err := os.ReadFile("../../../docs/postgresql.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := map[string][]string{}
	for _, block := range regexp.MustCompile("(?s)```sql\n-- as (\\S+)[^\n]*\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		blocks[block[1]] = append(blocks[block[1]], strings.Split(block[2], ";\n")...)
	}
	if len(blocks["an"]) < 4 || len(blocks["midden_owner"]) < 5 {
		t.Fatalf("the documentation has other statements: %q", blocks)
	}
	server.Exec(t, "postgres", blocks["an"]...)
	as := func(role string) string { return strings.Replace(server.URL("midden"), "postgres@", role+"@", 1) }
	if err := postgres.Upgrade(t.Context(), as("midden_owner"), func(*migrate.Plan) error { return nil }, func(int) {}); err != nil {
		t.Fatal(err)
	}
	owner := storetest.Connect(t, as("midden_owner"))
	for _, statement := range blocks["midden_owner"] {
		if _, err := owner.Exec(statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	loader := open(t, as("midden_loader"))
	sum := load(t, loader, sensorLog(t, 2000), logOf(t, `{"eventid":"x","session":"old","timestamp":"2016-07-01T00:00:00Z"}`, `no event`))
	if sum.Events != 2001 || sum.DeadLetters != 1 {
		t.Errorf("the loader: %+v", sum)
	}
	if err := errors.Join(loader.Stage(t.Context(), false, true), loader.Stage(t.Context(), true, true)); err != nil {
		t.Error(err)
	}
	reader, err := postgres.Open(t.Context(), as("midden_reader"), postgres.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	n := 0
	if err := reader.Sessions(t.Context(), store.SessionFilter{Since: cowrie.NoTime, Until: cowrie.NoTime}, func(*store.Session) error { n++; return nil }); err != nil || n == 0 {
		t.Errorf("the reader sees %d sessions: %v", n, err)
	}
	if err := reader.PauseJob(t.Context(), "x", true); err == nil || !strings.Contains(err.Error(), "midden_reader may not do this") {
		t.Errorf("the reader writes: %v", err)
	}
	for role, forbidden := range map[string][]string{
		"midden_loader": {`DROP TABLE files`, `CREATE TABLE mine ()`, `DELETE FROM event_segments`, `TRUNCATE file_verdicts`, `DELETE FROM file_verdicts`},
		"midden_reader": {`INSERT INTO schema_state VALUES ('a', 'b')`, `SELECT midden_make_month('2017-01-01')`, `SELECT nextval('event_segments_id_seq')`, `DELETE FROM files`},
	} {
		db := storetest.Connect(t, as(role))
		for _, statement := range forbidden {
			if _, err := db.Exec(statement); err == nil || !strings.Contains(err.Error(), "42501") {
				t.Errorf("%s: %s: %v", role, statement, err)
			}
		}
	}
}
