package abusech

import (
	"strings"

	"midden/internal/cowrie"
	"midden/internal/enrich/source"
)

// entry is what a service has of a file.
type entry struct {
	family    string
	fileType  string
	firstSeen string // in UTC, as 2020-01-02 03:04:05, or with UTC behind it
}

// fill puts it into a verdict.
func (e *entry) fill(v *cowrie.Verdict) {
	v.Listed = true
	v.Classification, v.Description = source.Text(e.family), source.Text(e.fileType)
	at := strings.TrimSpace(e.firstSeen)
	if zone := len(at) - len(" UTC"); zone > 0 && strings.EqualFold(at[zone:], " UTC") {
		at = strings.TrimSpace(at[:zone])
	}
	v.FirstSubmission, _ = cowrie.ParseTime([]byte(at)) // NoTime if it is none
}

// value is a text, or the null that says that there is none. Anything else is
// neither.
type value struct {
	text string
	null bool
}

func (v *value) UnmarshalJSON(b []byte) error {
	*v = value{null: string(b) == "null"}
	source.Decode(b, &v.text)
	return nil
}

// queryStatus returns what a service itself says of a query; "" if the body says
// nothing that it could have said.
func queryStatus(body []byte) string {
	var b struct {
		Code string `json:"query_status"`
	}
	source.Decode(body, &b)
	if len(b.Code) > 64 || strings.ContainsFunc(b.Code, func(r rune) bool { return r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z') }) {
		return ""
	}
	return b.Code
}
