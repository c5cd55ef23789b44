package cowrie

import (
	"encoding/json"
	"strings"
)

// The kinds of things that others are told of.
const (
	KindFile     = "file"
	KindSighting = "sighting"
	KindVerdict  = "verdict"
	KindReport   = "report"
)

// Change is something that others are to be told of, as it is now.
type Change struct {
	Kind string
	// Key names it among those of its kind, and never another one.
	Key string
	// Revision grows with each change, of whatever; what is told of it later has no
	// smaller one.
	Revision int64

	// What it is: one of these. None: it is gone.
	Sighting *Sighting
	File     *PublishedFile
	Verdict  *PublishedVerdict
	Body     []byte // of a report, JSON
}

// Size is about how many bytes the texts of a change take.
func (c *Change) Size() int {
	n := len(c.Body)
	if s := c.Sighting; s != nil {
		n += len(s.Session) + len(s.Sensor) + len(s.Filename) + len(s.Destfile) + len(s.URL) + len(s.Outfile)
	}
	if f := c.File; f != nil {
		n += len(f.Name) + len(f.URL)
	}
	return n
}

// PublishedFile is a file with what VirusTotal said of it last; nil if that is not
// shown.
type PublishedFile struct {
	KnownFile
	Verdict        *Verdict
	TimesSubmitted *int64 // to VirusTotal; nil if it is not known
}

// PublishedVerdict is a verdict and what the same source had said before; nil if
// nothing.
type PublishedVerdict struct {
	Verdict
	Before         *Verdict
	TimesSubmitted *int64
}

// TimesSubmitted reads in an answer of VirusTotal how often a file was sent there; nil
// if it does not say.
func TimesSubmitted(body []byte) *int64 {
	var answer struct {
		Data struct {
			Attributes struct {
				Times *int64 `json:"times_submitted"`
			}
		}
	}
	if json.Unmarshal(body, &answer) != nil {
		return nil
	}
	return answer.Data.Attributes.Times
}

// ReportKey is the key of a report of a type.
func ReportKey(kind, id string) string { return kind + "/" + id }

// ParseReportKey returns the type of a report and its id.
func ParseReportKey(key string) (kind, id string) {
	kind, id, _ = strings.Cut(key, "/")
	return kind, id
}

// Publishing is how far others were told.
type Publishing struct {
	Cluster string // the id of theirs; what another one was told does not count
	Prefix  string // of the names of indices
	// Revision is the last one that was given.
	Revision int64
	// InFlight: up to this revision, changes may have been sent.
	InFlight int64
	// Scan is the kind of things that are being read from the tables, all of them; ""
	// once all kinds were.
	Scan string
	// After: what is before or at this key was answered.
	After string
	// Index is the new one that files are put into; "" for the one that there is.
	Index     string
	StartedAt Time
}

// Scans are the kinds that are read from the tables, in this order.
var Scans = []string{KindFile, KindSighting, KindVerdict}

// Answer is what was answered to a change: "" that it is done, or why it is not.
type Answer struct {
	*Change
	Problem string
}

// Refused is a change that was refused, and is not sent again as it is.
type Refused struct {
	Kind, Key, Problem string
}
