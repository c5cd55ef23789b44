// Package pgtest runs a PostgreSQL server for tests.
//
// A test comes in; the URL of a database goes out, on a server of the test process's
// own, in a temporary folder. The server ends with the process, however that ends.
package pgtest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"midden/internal/store/migrate"
	"midden/internal/store/postgres"
)

// Server is a server with a folder of its own.
type Server struct {
	bin, dir string
	port     int
	settings []string
	as       *syscall.Credential // nil: as this process
	alive    *os.File            // as long as it is open, the server may run
	template sync.Once
	made     error // how making the template went
	count    atomic.Int64
}

var shared struct {
	sync.Once
	*Server
	err error
}

// Shared returns the server of this test process, which is not safe against a
// power cut and therefore quick. No test may stop it.
func Shared(t testing.TB) *Server {
	t.Helper()
	shared.Do(func() {
		shared.Server, shared.err = Open("fsync=off", "full_page_writes=off", "synchronous_commit=off")
	})
	if shared.err != nil {
		t.Fatalf("PostgreSQL: %v", shared.err)
	}
	return shared.Server
}

// Start starts a server of the test's own, with settings such as "fsync=off"; it ends with the test.
func Start(t testing.TB, settings ...string) *Server {
	t.Helper()
	s, err := Open(settings...)
	if err != nil {
		t.Fatalf("PostgreSQL: %v", err)
	}
	t.Cleanup(s.Close)
	return s
}

// Open starts a server for a program that is no test; Close ends it.
func Open(settings ...string) (s *Server, err error) {
	s = &Server{settings: settings}
	if s.bin, err = Programs(); err != nil {
		return nil, err
	}
	if os.Getuid() == 0 { // the server refuses to work as root
		if s.as, err = somebody(); err != nil {
			return nil, err
		}
	}
	// Not below TMPDIR: a path to a socket must be short, and the folder open.
	if s.dir, err = os.MkdirTemp("/tmp", "midden-pg-"); err != nil {
		return nil, err
	}
	if s.as != nil {
		if err := os.Chown(s.dir, int(s.as.Uid), int(s.as.Gid)); err != nil {
			return nil, err
		}
	}
	if s.port, err = freePort(); err != nil {
		return nil, err
	}
	if err := s.watch(); err != nil {
		return nil, err
	}
	if err := s.run("initdb", "-D", s.data(), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"); err != nil {
		return nil, err
	}
	return s, s.start()
}

// Close ends the server, soon after it returns.
func (s *Server) Close() { s.alive.Close() }

// Programs finds the folder of the server's programs.
func Programs() (string, error) {
	var dirs []string
	if path, err := exec.LookPath("initdb"); err == nil {
		if path, err = filepath.EvalSymlinks(path); err == nil { // the others are beside it
			dirs = append(dirs, filepath.Dir(path))
		}
	}
	if out, err := exec.Command("pg_config", "--bindir").Output(); err == nil {
		dirs = append(dirs, strings.TrimSpace(string(out)))
	}
	debian, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
	slices.SortFunc(debian, func(a, b string) int { return strings.Compare(b, a) })
	for _, dir := range append(dirs, debian...) {
		if _, err := os.Stat(filepath.Join(dir, "initdb")); err == nil {
			return dir, nil
		}
	}
	return "", errors.New("it is not installed: scripts/need.sh initdb:postgresql says how, or does it")
}

// somebody is a user without rights.
func somebody() (*syscall.Credential, error) {
	for _, name := range []string{"postgres", "nobody"} {
		if u, err := user.Lookup(name); err == nil {
			uid, _ := strconv.Atoi(u.Uid)
			gid, _ := strconv.Atoi(u.Gid)
			return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
		}
	}
	return nil, errors.New("there is no user as whom it could be run")
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

// watch starts a process that stops the server and removes its folder when this
// process has ended, or the test: then its input does. A server that was only just being
// started ends by itself when it finds its folder gone.
func (s *Server) watch() error {
	read, write, err := os.Pipe()
	if err != nil {
		return err
	}
	defer read.Close()
	s.alive = write
	cmd := exec.Command("/bin/sh", "-c", `cat >/dev/null; "$0" stop -s -m immediate -D "$1/data" 2>/dev/null; rm -rf "$1"`,
		filepath.Join(s.bin, "pg_ctl"), s.dir)
	cmd.Stdin, cmd.Dir = read, "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.as, Setsid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	go cmd.Wait()
	return nil
}

// run runs one of the server's programs.
func (s *Server) run(program string, args ...string) error {
	cmd := exec.Command(filepath.Join(s.bin, program), args...)
	cmd.Dir = s.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.as, Setsid: true}
	// A server that stays must not hold a pipe of ours: what is said goes into a file.
	said, err := os.CreateTemp(s.dir, "said-")
	if err != nil {
		return err
	}
	defer os.Remove(said.Name())
	defer said.Close()
	cmd.Stdout, cmd.Stderr = said, said
	if err := cmd.Run(); err != nil {
		text, _ := os.ReadFile(said.Name())
		return fmt.Errorf("%s: %w: %s", program, err, text)
	}
	return nil
}

func (s *Server) start() error {
	options := fmt.Sprintf("-p %d -k %s -c listen_addresses=127.0.0.1 -c max_connections=200", s.port, s.dir)
	for _, setting := range s.settings {
		options += " -c " + setting
	}
	err := s.run("pg_ctl", "start", "-s", "-w", "-D", s.data(), "-l", s.log(), "-o", options)
	if err != nil {
		text, _ := os.ReadFile(s.log())
		err = fmt.Errorf("%w: %s", err, text)
	}
	return err
}

func (s *Server) log() string { return filepath.Join(s.dir, "log") }

// Log returns what the server has logged.
func (s *Server) Log(t testing.TB) string {
	t.Helper()
	text, err := os.ReadFile(s.log())
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// Run starts the server again.
func (s *Server) Run(t testing.TB) {
	t.Helper()
	if err := s.start(); err != nil {
		t.Fatal(err)
	}
}

// Stop stops the server: "fast", or "immediate", as if it had crashed.
func (s *Server) Stop(t testing.TB, mode string) {
	t.Helper()
	if err := s.run("pg_ctl", "stop", "-s", "-w", "-m", mode, "-D", s.data()); err != nil {
		t.Fatal(err)
	}
}

// Dir is the folder in which its socket, its log and its data lie.
func (s *Server) Dir() string { return s.dir }

// Port is its port, on the loopback and of the socket.
func (s *Server) Port() int { return s.port }

// URL returns the URL of a database, by way of the socket.
func (s *Server) URL(database string) string {
	return fmt.Sprintf("postgres://postgres@/%s?host=%s&port=%d", database, s.dir, s.port)
}

// Exec runs statements in a database as the owner of all.
func (s *Server) Exec(t testing.TB, database string, statements ...string) {
	t.Helper()
	if err := s.exec(database, statements...); err != nil {
		t.Fatal(err)
	}
}

func (s *Server) exec(database string, statements ...string) error {
	ctx := context.Background()
	c, err := pgx.Connect(ctx, s.URL(database))
	if err != nil {
		return err
	}
	defer c.Close(ctx)
	for _, statement := range statements {
		if _, err := c.PgConn().Exec(ctx, statement).ReadAll(); err != nil {
			return fmt.Errorf("%s: %w", statement, err)
		}
	}
	return nil
}

// Empty returns the URL of a new database without tables.
func (s *Server) Empty(t testing.TB) string {
	t.Helper()
	return s.newDatabase(t, "template0")
}

// Database returns the URL of a new database with midden's tables.
func (s *Server) Database(t testing.TB) string {
	t.Helper()
	s.template.Do(func() {
		if s.made = s.exec("postgres", `CREATE DATABASE midden TEMPLATE template0`); s.made == nil {
			s.made = postgres.Upgrade(context.Background(), s.URL("midden"), func(*migrate.Plan) error { return nil }, func(int) {})
		}
	})
	if s.made != nil {
		t.Fatal(s.made)
	}
	return s.newDatabase(t, "midden")
}

// Copy returns the URL of a copy of a database; whoever uses that one is sent away.
func (s *Server) Copy(t testing.TB, url string) string {
	t.Helper()
	config, err := pgx.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	s.Exec(t, "postgres", fmt.Sprintf(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '%s'`, config.Database))
	return s.newDatabase(t, config.Database)
}

func (s *Server) newDatabase(t testing.TB, template string) string {
	t.Helper()
	name := fmt.Sprintf("test_%d", s.count.Add(1))
	s.Exec(t, "postgres", fmt.Sprintf(`CREATE DATABASE %s TEMPLATE %s`, name, template))
	t.Cleanup(func() { _ = s.exec("postgres", fmt.Sprintf(`DROP DATABASE IF EXISTS %s WITH (FORCE)`, name)) })
	return s.URL(name)
}

// Await waits until the server has recovered from what was done to it.
func (s *Server) Await(t testing.TB) {
	t.Helper()
	var err error
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if err = s.exec("postgres"); err == nil {
			return
		}
	}
	t.Fatal(err)
}
