package elastic

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Difference is where what is installed is not as it is to be.
type Difference struct {
	Kind, Name string // of what it is
	Path       string // where in it; "" if it is not there at all
	Ours       string // "" if it is not to be there
	Theirs     string // "" if it is not there
}

// flatten returns the leaves of a JSON value by where they stand. Numbers, texts and
// booleans are the same: the server gives settings back as texts.
func flatten(v any) map[string]string {
	leaves := map[string]string{}
	var walk func(at string, v any)
	walk = func(at string, v any) {
		switch v := v.(type) {
		case map[string]any:
			for k, x := range v {
				walk(strings.TrimPrefix(at+"."+k, "."), x)
			}
		case []any:
			for i, x := range v {
				walk(fmt.Sprintf("%s[%d]", at, i), x)
			}
		case nil:
		default:
			leaves[at] = fmt.Sprint(v)
		}
	}
	walk("", v)
	return leaves
}

// compare returns how theirs differs from ours. What stands in theirs besides is a
// difference only if own is set.
func compare(kind, name string, ours, theirs any, own bool) (list []Difference) {
	a, b := flatten(ours), flatten(theirs)
	paths := maps.Clone(a)
	if own {
		maps.Copy(paths, b)
	}
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		if a[path] != b[path] {
			list = append(list, Difference{kind, name, path, a[path], b[path]})
		}
	}
	return list
}
