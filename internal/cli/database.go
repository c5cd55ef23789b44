package cli

import (
	"net/url"
	"strings"
)

// databasePath returns the path of the database that a flag or the environment
// names. The variables of cowrieprocessor are understood, too.
func databasePath(flag string, getenv func(string) string) (string, error) {
	name := flag
	for _, variable := range []string{"MIDDEN_DB", "COWRIEPROC_DB_URL", "COWRIEPROC_DB_PATH"} {
		if name == "" {
			name = getenv(variable)
		}
	}
	if name == "" {
		return "midden.db", nil
	}
	scheme, rest, _ := strings.Cut(name, ":")
	switch {
	case scheme == "postgres" || scheme == "postgresql" || strings.HasPrefix(scheme, "postgresql+"):
		return "", usage("this version works on SQLite only: --db takes a path or sqlite:PATH")
	case scheme != "sqlite" && !strings.HasPrefix(scheme, "sqlite+"):
		return name, nil
	case strings.HasPrefix(rest, "///"): // SQLAlchemy: three slashes, then the path
		path, _, _ := strings.Cut(rest[3:], "?")
		if unescaped, err := url.PathUnescape(path); err == nil {
			path = unescaped
		}
		return path, nil
	case rest == "":
		return "", usage("--db %s names no file", name)
	}
	return rest, nil
}
