package vttest

import (
	"bytes"
	"crypto/md5"
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// File is what VirusTotal knows of a file. Whatever is zero is an attribute
// that it does not tell.
type File struct {
	SHA256          string // 64 hex digits
	Stats           *Stats
	Label           string // suggested threat label, such as trojan.mirai/gafgyt
	TypeDescription string // such as ELF
	TypeTag         string
	Size            int64
	Names           []string
	Tags            []string
	Reputation      int
	TimesSubmitted  int
	FirstSubmission time.Time
	LastSubmission  time.Time
	LastAnalysis    time.Time
	// Attributes are added to those above, or stand in their place; nil takes one
	// away.
	Attributes map[string]any
}

// Stats are how many engines said what.
type Stats struct {
	Malicious        int `json:"malicious"`
	Suspicious       int `json:"suspicious"`
	Undetected       int `json:"undetected"`
	Harmless         int `json:"harmless"`
	Timeout          int `json:"timeout"`
	ConfirmedTimeout int `json:"confirmed-timeout"`
	Failure          int `json:"failure"`
	TypeUnsupported  int `json:"type-unsupported"`
}

// MD5 is what the fake gives out as the file's MD5. It is made up: the fake has
// no contents.
func (f File) MD5() string {
	sum := md5.Sum([]byte(f.SHA256))
	return hex.EncodeToString(sum[:])
}

// SHA1 is made up like MD5.
func (f File) SHA1() string {
	sum := sha1.Sum([]byte(f.SHA256))
	return hex.EncodeToString(sum[:])
}

// attributes returns the attributes of a report.
func (f File) attributes() map[string]any {
	a := map[string]any{"md5": f.MD5(), "sha1": f.SHA1(), "sha256": f.SHA256, "reputation": f.Reputation,
		"total_votes": map[string]int{"harmless": 0, "malicious": 0}}
	for name, text := range map[string]string{"type_description": f.TypeDescription, "type_tag": f.TypeTag} {
		if text != "" {
			a[name] = text
		}
	}
	for name, at := range map[string]time.Time{"first_submission_date": f.FirstSubmission,
		"last_submission_date": f.LastSubmission, "last_analysis_date": f.LastAnalysis} {
		if !at.IsZero() {
			a[name] = at.Unix()
		}
	}
	if f.Size != 0 {
		a["size"] = f.Size
	}
	if f.TimesSubmitted != 0 {
		a["times_submitted"], a["unique_sources"] = f.TimesSubmitted, f.TimesSubmitted
	}
	if len(f.Names) > 0 {
		a["names"], a["meaningful_name"] = f.Names, f.Names[0]
	}
	if len(f.Tags) > 0 {
		a["tags"] = f.Tags
	}
	if f.Stats != nil {
		a["last_analysis_stats"], a["last_analysis_results"] = f.Stats, f.Stats.results()
	}
	if f.Label != "" {
		a["popular_threat_classification"] = threat(f.Label)
	}
	for name, value := range f.Attributes {
		if a[name] = value; value == nil {
			delete(a, name)
		}
	}
	return a
}

// results names an engine for each that is counted.
func (s *Stats) results() map[string]any {
	all, n := map[string]any{}, 0
	for _, part := range []struct {
		category string
		count    int
	}{{"malicious", s.Malicious}, {"suspicious", s.Suspicious}, {"undetected", s.Undetected}, {"harmless", s.Harmless},
		{"timeout", s.Timeout}, {"confirmed-timeout", s.ConfirmedTimeout}, {"failure", s.Failure},
		{"type-unsupported", s.TypeUnsupported}} {
		for range part.count {
			n++
			name := fmt.Sprintf("Engine%02d", n)
			result := any(nil)
			if part.category == "malicious" {
				result = "Trojan.Made.Up"
			}
			all[name] = map[string]any{"category": part.category, "engine_name": name, "engine_version": "1.0.0",
				"engine_update": "20240101", "method": "blacklist", "result": result}
		}
	}
	return all
}

// threat takes a label such as trojan.mirai/gafgyt apart.
func threat(label string) map[string]any {
	t := map[string]any{"suggested_threat_label": label}
	category, names, ok := strings.Cut(label, ".")
	if !ok {
		return t
	}
	values := func(texts ...string) (list []any) {
		for i, text := range texts {
			list = append(list, map[string]any{"count": 10 - i, "value": text})
		}
		return list
	}
	t["popular_threat_category"] = values(category)
	t["popular_threat_name"] = values(strings.Split(names, "/")...)
	return t
}

// report returns the body of a report with these attributes.
func (f File) report(attributes map[string]any) []byte {
	return encode(map[string]any{"data": map[string]any{"id": f.SHA256, "type": "file",
		"links":      map[string]string{"self": "https://www.virustotal.com/api/v3/files/" + f.SHA256},
		"attributes": attributes}})
}

// Report returns the body of VirusTotal's report on the file.
func (f File) Report() []byte { return f.report(f.attributes()) }

// encode writes JSON as VirusTotal does, laid out and without HTML escapes.
func encode(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "    ")
	if err := e.Encode(v); err != nil {
		panic(err) // an attribute of the test that is none
	}
	return b.Bytes()
}
