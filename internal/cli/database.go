package cli

import (
	"net/url"
	"strings"
)

// databaseName returns what the flag or else the environment calls the database,
// and "" if neither says. The variables of cowrieprocessor are understood, too.
func databaseName(flag string, getenv func(string) string) string {
	name := flag
	for _, variable := range []string{"MIDDEN_DB", "COWRIEPROC_DB_URL", "COWRIEPROC_DB_PATH"} {
		if name == "" {
			name = getenv(variable)
		}
	}
	return name
}

// databasePath returns the path of the database: of the flag, of the environment,
// or the default. The flag is as configure left it: with the database of the
// configuration file, where neither flag nor environment names one.
func databasePath(flag string, getenv func(string) string) (string, error) {
	name := databaseName(flag, getenv)
	if name == "" {
		return "midden.db", nil
	}
	return sqlitePath(name)
}

// sqlitePath returns the path in the name of a database: a path itself,
// sqlite:PATH, or a URL of SQLAlchemy.
func sqlitePath(name string) (string, error) {
	scheme, rest, _ := strings.Cut(name, ":")
	switch {
	case scheme == "postgres" || scheme == "postgresql" || strings.HasPrefix(scheme, "postgresql+"):
		return "", usage("this version works on SQLite only: a database is a path or sqlite:PATH")
	case scheme != "sqlite" && !strings.HasPrefix(scheme, "sqlite+"):
		return name, nil
	case strings.HasPrefix(rest, "///"): // SQLAlchemy: three slashes, then the path
		path, _, _ := strings.Cut(rest[3:], "?")
		if unescaped, err := url.PathUnescape(path); err == nil {
			path = unescaped
		}
		return path, nil
	case rest == "":
		return "", usage("%s names no file: a database is a path or sqlite:PATH", name)
	}
	return rest, nil
}
