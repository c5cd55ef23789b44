package elastic

import (
	"fmt"
	"regexp"
	"strings"
)

// DefaultPrefix begins the names of all that is installed, unless another one is
// given.
const DefaultPrefix = "cowrie"

// Reports are the types of reports that have an index.
var Reports = []string{"daily", "weekly", "monthly"}

// names are those of a prefix.
type names string

// CheckPrefix returns an error if names of indices cannot begin so.
func CheckPrefix(prefix string) error {
	if fits, _ := regexp.MatchString(`^[a-z0-9][a-z0-9._-]{0,99}$`, prefix); !fits || strings.HasSuffix(prefix, ".") {
		return fmt.Errorf("%q cannot begin names of indices: use lower-case letters, digits, and . _ - between them", prefix)
	}
	return nil
}

func (n names) sightings() string { return string(n) + ".sightings" }
func (n names) verdicts() string  { return string(n) + ".verdicts" }
func (n names) files() string     { return string(n) + ".files" }
func (n names) policy() string    { return string(n) + ".streams" }

// filesIndex is the n-th index that was made behind the alias of files.
func (n names) filesIndex(i int) string { return fmt.Sprintf("%s-%06d", n.files(), i) }

func (n names) report(kind string) string      { return string(n) + ".reports." + kind }
func (n names) reportWrite(kind string) string { return n.report(kind) + "-write" }
func (n names) reportIndex(kind string) string { return n.report(kind) + "-000001" }
