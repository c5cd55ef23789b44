package virustotal

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"
	"strings"

	"midden/internal/cowrie"
	"midden/internal/enrich/source"
)

// Why a body is no verdict on a file. An answer that is an error is an
// *AnswerError instead.
var (
	ErrEmpty    = errors.New("empty")
	ErrNotJSON  = errors.New("not a JSON object")
	ErrBroken   = errors.New("broken or cut-off JSON")
	ErrNoHash   = errors.New("it names no file")
	ErrTwoFiles = errors.New("it names two different files")
	ErrNoStats  = errors.New("it does not say how many engines flag the file")
	ErrAbsurd   = errors.New("it holds numbers that cannot be")
)

// AnswerError is an error that VirusTotal answered with. Its texts are cut to
// a sane length.
type AnswerError struct {
	Code    string // such as NotFoundError
	Message string
}

func (e *AnswerError) Error() string {
	text := "VirusTotal answered with an error"
	for _, part := range []string{e.Code, e.Message} {
		if part != "" {
			text += ": " + part
		}
	}
	return text
}

// maxEngines is more than there will ever be: VirusTotal asks some 70.
const maxEngines = 1000

// maxSeconds is the last second of the year 9999.
const maxSeconds = 253402300799

// ParseFile reads the body of an answer about a file. All that it may not say
// is missing in the verdict, too, but a verdict without the number of engines
// that flag the file is none. ObservedAt and Body are the caller's to fill in:
// when the answer was given is not said in it.
//
// It reads the reduced forms of cowrieprocessor's caches as well: dates and
// numbers as text, and the counts one level down, where that tool put them
// by writing out an object of its VirusTotal library.
func ParseFile(body []byte) (cowrie.Verdict, error) {
	a, err := decode(body)
	if err != nil {
		return cowrie.Verdict{}, err
	}
	file, attributes := a.parts()
	shasum, err := file.shasum(attributes)
	if err != nil {
		return cowrie.Verdict{}, err
	}
	v := cowrie.NewVerdict(shasum, cowrie.SourceVirusTotal, cowrie.NoTime)
	if err := attributes.Stats.fill(&v); err != nil {
		return cowrie.Verdict{}, err
	}
	if attributes.LastAnalysis.absurd || attributes.FirstSubmission.absurd {
		return cowrie.Verdict{}, ErrAbsurd
	}
	v.AnalysedAt, v.FirstSubmission = attributes.LastAnalysis.time(), attributes.FirstSubmission.time()
	v.Classification = source.Clip(attributes.Threat.Label)
	v.Description = source.Clip(attributes.TypeDescription)
	return v, nil
}

// answer is a body. A reduced one may lack the wrapping: then the file, or
// even its attributes, stand at the top.
type answer struct {
	Error *struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	} `json:"error"`
	Data *object `json:"data"`
	object
}

type object struct {
	ID         string      `json:"id"`
	Type       string      `json:"type"`
	Attributes *attributes `json:"attributes"`
	attributes
}

type attributes struct {
	SHA256          string `json:"sha256"`
	TypeDescription string `json:"type_description"`
	FirstSubmission date   `json:"first_submission_date"`
	LastAnalysis    date   `json:"last_analysis_date"`
	Stats           stats  `json:"last_analysis_stats"`
	Threat          struct {
		Label string `json:"suggested_threat_label"`
	} `json:"popular_threat_classification"`
}

type stats struct {
	engines
	Data *engines `json:"data"`
}

type engines struct {
	Malicious  *count `json:"malicious"`
	Suspicious *count `json:"suspicious"`
	Undetected *count `json:"undetected"`
	Harmless   *count `json:"harmless"`
}

// decode reads a body as JSON. A member of another type than it should be is
// one that is missing.
func decode(body []byte) (*answer, error) {
	text := bytes.TrimLeft(body, " \t\r\n")
	switch {
	case len(text) == 0:
		return nil, ErrEmpty
	case text[0] != '{':
		return nil, ErrNotJSON
	}
	a := &answer{}
	if err := json.Unmarshal(text, a); err != nil {
		if _, mistyped := errors.AsType[*json.UnmarshalTypeError](err); !mistyped {
			return nil, ErrBroken
		}
	}
	if a.Error != nil {
		return nil, &AnswerError{Code: source.Clip(a.Error.Code), Message: source.Clip(a.Error.Message)}
	}
	return a, nil
}

func (a *answer) parts() (*object, *attributes) {
	file := &a.object
	if a.Data != nil {
		file = a.Data
	}
	if file.Attributes != nil {
		return file, file.Attributes
	}
	return file, &file.attributes
}

// shasum returns the hash of the file that an object is about. Objects of other
// types, a URL's for one, have identifiers of the same form.
func (o *object) shasum(a *attributes) (string, error) {
	if o.Type != "" && o.Type != "file" {
		return "", ErrNoHash
	}
	id, isID := cowrie.Shasum([]byte(o.ID))
	own, isOwn := cowrie.Shasum([]byte(a.SHA256))
	switch {
	case isID && isOwn && id != own:
		return "", ErrTwoFiles
	case isID:
		return id, nil
	case isOwn:
		return own, nil
	}
	return "", ErrNoHash
}

// fill sets how many engines said what. The total is of those that gave an
// opinion: timeouts and failures are none.
func (s *stats) fill(v *cowrie.Verdict) error {
	e := &s.engines
	if s.Data != nil {
		e = s.Data
	}
	if e.Malicious == nil {
		return ErrNoStats
	}
	v.Total = 0
	for _, part := range []struct {
		said *count
		into *int
	}{
		{e.Malicious, &v.Malicious}, {e.Suspicious, &v.Suspicious},
		{e.Undetected, &v.Undetected}, {e.Harmless, &v.Harmless},
	} {
		if part.said == nil {
			continue
		}
		if *part.said < 0 {
			return ErrAbsurd
		}
		*part.into = int(*part.said)
		v.Total += *part.into
	}
	return nil
}

// count is a number of engines, which may be written as text; -1 if it is none.
type count int

func (c *count) UnmarshalJSON(b []byte) error {
	*c = -1
	if n, err := strconv.ParseFloat(scalar(b), 64); err == nil && n >= 0 && n <= maxEngines && n == float64(int(n)) {
		*c = count(n)
	}
	return nil
}

// date is seconds since 1970, as a number or as text, or a time written out.
// The zero value, like anything else, says nothing.
type date struct {
	at     cowrie.Time
	said   bool
	absurd bool // a number that is no time
}

func (d *date) UnmarshalJSON(b []byte) error {
	text := scalar(b)
	*d = date{}
	if seconds, err := strconv.ParseFloat(text, 64); err == nil || errors.Is(err, strconv.ErrRange) {
		d.absurd = !(seconds >= 0 && seconds <= maxSeconds)
		d.said = seconds > 0 && !d.absurd
		if d.said {
			d.at = cowrie.Time(seconds * 1e6)
		}
		return nil
	}
	d.at, d.said = cowrie.ParseTime([]byte(text))
	return nil
}

func (d date) time() cowrie.Time {
	if !d.said {
		return cowrie.NoTime
	}
	return d.at
}

// scalar returns a number, or what stands in a text without escapes; "" for
// what is too long to be a number or a time.
func scalar(b []byte) string {
	if len(b) > 64 {
		return ""
	}
	return strings.TrimSpace(strings.Trim(string(b), `"`))
}
