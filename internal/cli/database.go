package cli

import (
	"context"
	"net/url"
	"regexp"
	"strings"

	"midden/internal/store"
	"midden/internal/store/migrate"
	"midden/internal/store/postgres"
	"midden/internal/store/sqlite"
)

// database is where events are kept: a file of SQLite's, or what a URL of
// PostgreSQL names. One of the two is "".
type database struct {
	path string
	url  string // it may hold a password and is not to be shown
}

// String returns what may be shown.
func (d database) String() string {
	if d.url != "" {
		return postgres.Name(d.url)
	}
	return d.path
}

func (d database) open(ctx context.Context, create, write bool) (*store.Store, error) {
	if d.url != "" {
		return postgres.Open(ctx, d.url, postgres.Options{Create: create, Write: write})
	}
	return sqlite.Open(ctx, d.path, sqlite.Options{Create: create, Write: write})
}

// openToFill opens a database that is to be filled with a copy of another one, and
// makes it if there is none.
func (d database) openToFill(ctx context.Context) (*store.Store, error) {
	if d.url != "" {
		return postgres.Open(ctx, d.url, postgres.Options{Create: true, Write: true, Copy: true})
	}
	return sqlite.Open(ctx, d.path, sqlite.Options{Create: true, Write: true, Copy: true})
}

func (d database) plan(ctx context.Context) (*migrate.Plan, error) {
	if d.url != "" {
		return postgres.Plan(ctx, d.url)
	}
	return sqlite.Plan(ctx, d.path)
}

func (d database) upgrade(ctx context.Context, begin func(*migrate.Plan) error, each func(int)) error {
	if d.url != "" {
		return postgres.Upgrade(ctx, d.url, begin, each)
	}
	return sqlite.Upgrade(ctx, d.path, begin, each)
}

// nameOfDatabase returns what the flag or else the environment calls the database,
// and "" if neither says. The variables of cowrieprocessor are understood, too.
func nameOfDatabase(flag string, getenv func(string) string) string {
	name := flag
	for _, variable := range []string{"MIDDEN_DB", "COWRIEPROC_DB_URL", "COWRIEPROC_DB_PATH"} {
		if name == "" {
			name = getenv(variable)
		}
	}
	return name
}

// theDatabase returns the database: of the flag, of the environment, or the
// default. The flag is as configure left it: with the database of the
// configuration file, where neither flag nor environment names one.
func theDatabase(flag string, getenv func(string) string) (database, error) {
	name := nameOfDatabase(flag, getenv)
	if name == "" {
		return database{path: "midden.db"}, nil
	}
	return parseDatabase(name)
}

var isScheme = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.-]*$`).MatchString

// parseDatabase reads the name of a database: a path, sqlite:PATH, a URL of
// PostgreSQL, or a URL of SQLAlchemy.
func parseDatabase(name string) (database, error) {
	scheme, rest, _ := strings.Cut(name, ":")
	switch {
	case postgres.Is(name):
		if err := postgres.Check(name); err != nil {
			return database{}, &exit{exitUsage, err}
		}
		return database{url: name}, nil
	case strings.HasPrefix(rest, "//") && isScheme(scheme) && scheme != "sqlite" && !strings.HasPrefix(scheme, "sqlite+"):
		// A slip of the pen, or another database; what follows may hold a password.
		return database{}, usage("there are no databases at %s://… (the rest is not shown): a database is a path, sqlite:PATH or postgres://…", scheme)
	case scheme != "sqlite" && !strings.HasPrefix(scheme, "sqlite+"):
		return database{path: name}, nil
	case strings.HasPrefix(rest, "///"): // SQLAlchemy: three slashes, then the path
		path, _, _ := strings.Cut(rest[3:], "?")
		if unescaped, err := url.PathUnescape(path); err == nil {
			path = unescaped
		}
		return database{path: path}, nil
	case rest == "":
		return database{}, usage("%s names no file: a database is a path, sqlite:PATH or postgres://…", name)
	}
	return database{path: rest}, nil
}
