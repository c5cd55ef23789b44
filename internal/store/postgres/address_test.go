package postgres

import (
	"strings"
	"testing"
)

func TestName(t *testing.T) {
	for _, name := range []string{"PGHOST", "PGPORT", "PGUSER", "PGDATABASE", "PGPASSWORD", "PGSERVICE", "PGPASSFILE", "PGSSLMODE"} {
		t.Setenv(name, "")
	}
	for _, c := range []struct{ url, name string }{
		{"postgres://u@host/db", "postgres://u@host/db"},
		{"postgres://u:hunter2@host:5433/db", "postgres://u@host:5433/db"},
		{"postgresql+psycopg2://u:hunter2@host/db?sslmode=require", "postgres://u@host/db"},
		{"postgresql://u@/db?host=/run/pg&port=7&password=hunter2", "postgres://u@/db?host=/run/pg&port=7"},
		{"postgres://u:hunter2@[::1]/db", "postgres://u@[::1]/db"},
		{"postgres://u:hunter2/@host/db", "the PostgreSQL database"},
		{"postgres://u:hun%zzter2@host/db", "the PostgreSQL database"},
		{"postgres://u:hunter2@host:port/db", "the PostgreSQL database"},
		{"postgres://u:12/hunter2@host/db", "the PostgreSQL database"},
		{"postgres://u:@hunter2@host/db", "the PostgreSQL database"},
		{"postgres://u:hunter2@host:1,2,3/db", "the PostgreSQL database"},
		{"postgres://u:hunter2@host/db?sslmode=perhaps", "the PostgreSQL database"},
	} {
		if got := Name(c.url); got != c.name {
			t.Errorf("%s is shown as %s, want %s", c.url, got, c.name)
		}
		if _, err := parse(c.url); err != nil && strings.Contains(err.Error(), "hun") {
			t.Errorf("the error tells the password: %v", err)
		}
	}
	t.Setenv("PGHOST", "elsewhere")
	t.Setenv("PGUSER", "somebody")
	t.Setenv("PGPASSWORD", "hunter2")
	if got := Name("postgres:///db"); got != "postgres://somebody@elsewhere/db" {
		t.Errorf("out of the environment: %s", got)
	}
}

func TestHasPassword(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]bool{"postgres://u@h/d": false, "postgres://u:p@h/d": true, "postgresql+psycopg2://u:@h/d": true, "postgres://h/d?password=p": true,
		"postgres://": false, "postgres://u:%zz@h": false} {
		if got := HasPassword(url); got != want {
			t.Errorf("%s: %v", url, got)
		}
	}
}

func TestIs(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{"postgres://h/d": true, "postgresql://h/d": true, "postgresql+psycopg2://h/d": true,
		"postgres": false, "sqlite:postgres": false, "./postgres:1": false, "postgresqlite:x": false, "": false} {
		if got := Is(name); got != want {
			t.Errorf("%q: %v", name, got)
		}
	}
}

func TestNumbered(t *testing.T) {
	t.Parallel()
	for query, want := range map[string]string{
		`SELECT 1`: `SELECT 1`, `a = $1`: `a = $1`, `a = ? AND b = ?`: `a = $1 AND b = $2`,
		`a = '?' AND "?" = ? ESCAPE '\'`: `a = '?' AND "?" = $1 ESCAPE '\'`, `'it''s ?' || ?`: `'it''s ?' || $1`,
	} {
		if got := numbered(query); got != want {
			t.Errorf("%s became %s, want %s", query, got, want)
		}
	}
}

// FuzzAddress: a password is not told, wherever in a URL it stands, and whatever
// else stands there that somebody forgot to escape.
func FuzzAddress(f *testing.F) {
	for _, name := range []string{"PGHOST", "PGPORT", "PGUSER", "PGDATABASE", "PGPASSWORD", "PGSERVICE", "PGPASSFILE", "PGSSLMODE"} {
		f.Setenv(name, "")
	}
	const canary = "c0ffee00c0ffee"
	for _, part := range []string{"", "@", "/", "12/", "?", "#", ":", "%", "%zz", "%2", "12/a@b", " ", "\n", "[", "]", "\\", "&", "=", ";", "7?sslmode=", "12/?x=", "1,host:2/"} {
		f.Add(part, "", "/db?sslmode=disable")
		f.Add("", part, "/db")
		f.Add(part, part, "?host=/run/pg")
		f.Add("a", "", part)
	}
	f.Fuzz(func(t *testing.T, before, behind, rest string) {
		if strings.Contains(rest, "@") {
			return // then the password may be another one's name
		}
		for _, url := range []string{"postgres://u:" + before + canary + behind + "@127.0.0.1" + rest, "postgresql+x://u@127.0.0.1/db?password=" + canary + behind} {
			if said := Name(url); strings.Contains(said, canary) {
				t.Errorf("%q is shown as %q", url, said)
			}
			if err := Check(url); err != nil && strings.Contains(err.Error(), canary) {
				t.Errorf("%q: %v", url, err)
			}
		}
	})
}
