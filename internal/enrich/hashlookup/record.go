package hashlookup

import (
	"math"
	"net/http"
	"strconv"
	"strings"

	"midden/internal/cowrie"
	"midden/internal/enrich/source"
)

// notThere is what the service says of a file that it does not know.
const notThere = "Non existing SHA-256"

// message is a body that is no record.
type message struct {
	Text  string `json:"message"`
	Query string `json:"query"` // what was asked for
}

// record is what the service has of a file. It was gathered from several
// databases, each with members of its own; none is in all records.
type record struct {
	SHA256   string `json:"SHA-256"` // in upper case
	FileName string `json:"FileName"`
	Product  struct {
		Name string `json:"ProductName"`
	} `json:"ProductCode"`
	Package   string `json:"PackageName"`
	Malicious mark   `json:"KnownMalicious"` // who says so
	Trust     number `json:"hashlookup:trust"`
}

// noOpinion is the trust in a file of which the service thinks neither well nor
// ill, on its scale from 0 to 100.
const noOpinion = 50

// parse reads an answer about the file with this SHA-256.
func parse(r *source.Reply, shasum string) (source.Answer, error) {
	a := source.Answer{Verdict: cowrie.NewVerdict(shasum, cowrie.SourceHashlookup, cowrie.NoTime)}
	switch r.Status {
	case http.StatusNotFound:
		var m message
		if source.Decode(r.Body, &m); m.Text != notThere {
			return source.Answer{}, source.ErrNotTheirs
		}
		if other, ok := cowrie.Shasum([]byte(m.Query)); ok && other != shasum {
			return source.Answer{}, source.ErrOtherFile
		}
		return a, nil
	case http.StatusOK:
	default:
		return source.Answer{}, source.ErrNotTheirs
	}
	rec := record{Trust: number{value: noOpinion}}
	source.Decode(r.Body, &rec)
	// Records are kept by SHA-1, and those of some databases do not name the SHA-256
	// by which they were found. All have a trust.
	switch named, ok := cowrie.Shasum([]byte(rec.SHA256)); {
	case ok && named != shasum:
		return source.Answer{}, source.ErrOtherFile
	case !ok && !rec.Trust.told:
		return source.Answer{}, source.ErrNotTheirs
	}
	a.Known, a.Verdict.Listed = true, true
	a.Verdict.Description = rec.description()
	if rec.Malicious {
		// The trust does not tell: it may be 100 all the same.
		a.Verdict.Classification = "known malicious"
	} else {
		a.Good = rec.Trust.value >= noOpinion
	}
	return a, nil
}

// description is the name of the file and what it belongs to, such as
// "ls (Example Linux 1)".
func (r *record) description() string {
	what, of := source.Text(r.FileName), source.Text(r.Product.Name)
	if of == "" {
		of = source.Text(r.Package)
	}
	switch {
	case what == "":
		return of
	case of == "" || of == what:
		return what
	}
	return source.Clip(what + " (" + of + ")")
}

// mark says whether a member says anything, whatever its type is.
type mark bool

func (m *mark) UnmarshalJSON(b []byte) error {
	switch strings.ReplaceAll(string(b), " ", "") {
	case "null", "false", `""`, "[]", "{}":
		*m = false
	default:
		*m = true
	}
	return nil
}

// number may be written as text. What is none leaves it as it was.
type number struct {
	value float64
	told  bool
}

func (n *number) UnmarshalJSON(b []byte) error {
	if f, err := strconv.ParseFloat(strings.TrimSpace(strings.Trim(string(b), `"`)), 64); err == nil && !math.IsNaN(f) && !math.IsInf(f, 0) {
		*n = number{f, true}
	}
	return nil
}
