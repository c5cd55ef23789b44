package cowrie

import "slices"

// Verdict is what a source said of a file at a time. Of what it did not say,
// a number is -1, a time NoTime, a text "".
type Verdict struct {
	Shasum     string
	Source     string
	ObservedAt Time
	AnalysedAt Time
	// FirstSubmission is when the source itself first saw the file.
	FirstSubmission Time
	// How many engines said what. Malicious and Total are -1 if the source does
	// not know the file. Total is of those that gave an opinion.
	Malicious, Suspicious, Undetected, Harmless, Total int
	Classification                                     string // such as trojan.mirai/gafgyt
	Description                                        string // the type of the file, such as ELF
	// Listed: the source has the file, whatever else it says of it.
	Listed bool
	// Body is the answer itself; nil if it is not to be kept.
	Body []byte
}

// NewVerdict returns a verdict that says nothing yet.
func NewVerdict(shasum, source string, observedAt Time) Verdict {
	return Verdict{Shasum: shasum, Source: source, ObservedAt: observedAt, AnalysedAt: NoTime, FirstSubmission: NoTime,
		Malicious: -1, Suspicious: -1, Undetected: -1, Harmless: -1, Total: -1}
}

// Known reports whether the source knew the file.
func (v *Verdict) Known() bool {
	return v.Listed || v.Total >= 0 || v.Malicious >= 0 || v.AnalysedAt != NoTime || v.FirstSubmission != NoTime || v.Classification != ""
}

// Change says in a few words what a verdict says that an earlier one of the same
// source did not: "" if nothing. before is nil if there was none.
func (v *Verdict) Change(before *Verdict) string {
	was := func() bool { return before != nil && before.Known() }
	switch {
	case !v.Known() && !was():
		if before == nil {
			return "unknown"
		}
		return ""
	case !v.Known():
		return "not known any more"
	case !was():
		return "first known"
	case before.Malicious == 0 && v.Malicious > 0:
		return "clean to malicious"
	case before.Malicious > 0 && v.Malicious == 0:
		return "malicious to clean"
	case v.Classification != before.Classification && v.Classification != "":
		return "new label"
	case v.Malicious > before.Malicious && before.Malicious >= 0:
		return "gained engines"
	case v.Malicious < before.Malicious && v.Malicious >= 0:
		return "lost engines"
	}
	return ""
}

// The sources of verdicts.
const (
	SourceScanfile   = "cowrie.virustotal.scanfile" // Cowrie's own VirusTotal plugin
	SourceVirusTotal = "virustotal"                 // an answer of VirusTotal, asked for or from a cache
	// SourceFiles is a files table that stood in a database of cowrieprocessor.
	SourceFiles         = "cowrieprocessor.files"
	SourceHashlookup    = "hashlookup"    // CIRCL's, of files that people publish
	SourceMalwareBazaar = "malwarebazaar" // abuse.ch's, of malware
	SourceURLhaus       = "urlhaus"       // abuse.ch's, of what malicious URLs serve
)

// OfVirusTotal are the sources that tell what VirusTotal says.
var OfVirusTotal = []string{SourceVirusTotal, SourceScanfile, SourceFiles}

// Asked returns the source that is asked about the files of which this one says
// something: of what VirusTotal says in several ways, VirusTotal itself.
func Asked(source string) string {
	if slices.Contains(OfVirusTotal, source) {
		return SourceVirusTotal
	}
	return source
}

// Engines is a number of engines of a verdict; nil if it was not said.
func Engines(n int) *int64 {
	if n < 0 {
		return nil
	}
	count := int64(n)
	return &count
}
