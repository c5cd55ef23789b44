package elastic

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"midden/internal/cowrie"
)

// ecsVersion is the version of the Elastic Common Schema whose names documents use.
const ecsVersion = "8.17.0"

// documentID names a thing in all indices: what is the same has the same one, from
// whichever database it comes, and nothing of an attacker's is in it.
func documentID(c *cowrie.Change) string {
	switch c.Kind {
	case cowrie.KindFile:
		return c.Key
	case cowrie.KindReport:
		_, id := cowrie.ParseReportKey(c.Key)
		return id
	}
	sum := sha256.Sum256([]byte(c.Kind + "\x00" + c.Key))
	return hex.EncodeToString(sum[:20])
}

// document is what is told of a sighting, a file or a verdict, in the order of
// docs/elasticsearch.md.
type document struct {
	Timestamp  timestamp  `json:"@timestamp"`
	ECS        ecs        `json:"ecs"`
	Event      event      `json:"event"`
	Observer   *observer  `json:"observer,omitempty"`
	Source     *from      `json:"source,omitempty"`
	URL        *location  `json:"url,omitempty"`
	File       file       `json:"file"`
	Related    related    `json:"related"`
	Threat     *threat    `json:"threat,omitempty"`
	Tags       []string   `json:"tags,omitempty"`
	Cowrie     own        `json:"cowrie"`
	VirusTotal *vtAnswers `json:"virustotal,omitempty"`
}

type ecs struct {
	Version string `json:"version"`
}

type event struct {
	Kind     string    `json:"kind"`
	Category []string  `json:"category"`
	Type     []string  `json:"type"`
	Action   string    `json:"action,omitempty"`
	Dataset  string    `json:"dataset"`
	Module   string    `json:"module"`
	Provider string    `json:"provider,omitempty"`
	ID       string    `json:"id"`
	Ingested timestamp `json:"ingested"`
}

type observer struct {
	Name   string `json:"name,omitempty"`
	Type   string `json:"type"`
	Vendor string `json:"vendor"`
}

type from struct {
	Address string `json:"address"`
	IP      string `json:"ip,omitempty"` // only what is an address
}

type location struct {
	Original  string `json:"original"`
	Full      string `json:"full,omitempty"`
	Scheme    string `json:"scheme,omitempty"`
	Domain    string `json:"domain,omitempty"`
	Port      int    `json:"port,omitempty"`
	Path      string `json:"path,omitempty"`
	Extension string `json:"extension,omitempty"`
}

type file struct {
	Name      string `json:"name,omitempty"`
	Path      string `json:"path,omitempty"`
	Extension string `json:"extension,omitempty"`
	Size      *int64 `json:"size,omitempty"`
	MimeType  string `json:"mime_type,omitempty"`
	Hash      hashes `json:"hash"`
	ELF       *elf   `json:"elf,omitempty"`
}

type hashes struct {
	MD5    string `json:"md5,omitempty"`
	SHA1   string `json:"sha1,omitempty"`
	SHA256 string `json:"sha256"`
}

type elf struct {
	Architecture string    `json:"architecture,omitempty"`
	ByteOrder    string    `json:"byte_order,omitempty"`
	Header       elfHeader `json:"header"`
}

type elfHeader struct {
	Class string `json:"class"`
}

type related struct {
	Hash []string `json:"hash"`
	IP   []string `json:"ip,omitempty"`
}

type threat struct {
	Indicator indicator `json:"indicator"`
}

type indicator struct {
	Type         string    `json:"type"`
	Name         string    `json:"name"`
	Description  string    `json:"description,omitempty"`
	Provider     string    `json:"provider"`
	Reference    string    `json:"reference,omitempty"`
	FirstSeen    timestamp `json:"first_seen,omitzero"`
	LastSeen     timestamp `json:"last_seen,omitzero"`
	ModifiedAt   timestamp `json:"modified_at,omitzero"`
	Sightings    int64     `json:"sightings"`
	ScannerStats *int64    `json:"scanner_stats,omitempty"` // engines that call it malicious
	File         file      `json:"file"`
}

// own are the fields that ECS has no names for.
type own struct {
	EventID     string   `json:"eventid,omitempty"`
	Session     string   `json:"session,omitempty"`
	Kind        string   `json:"kind,omitempty"`
	Destfile    string   `json:"destfile,omitempty"`
	Outfile     string   `json:"outfile,omitempty"`
	Duplicate   *bool    `json:"duplicate,omitempty"`
	Status      string   `json:"status,omitempty"`
	DiskOnly    *bool    `json:"disk_only,omitempty"`
	Entropy     *float64 `json:"entropy,omitempty"`
	Interpreter string   `json:"interpreter,omitempty"`
	Linkage     string   `json:"linkage,omitempty"`
	Stripped    *bool    `json:"stripped,omitempty"`
	Verdict     *said    `json:"verdict,omitempty"`
}

// said is what a source said of a file.
type said struct {
	Source          string `json:"source"`
	Change          string `json:"change"`
	Known           bool   `json:"known"`
	Label           string `json:"label,omitempty"`
	LabelBefore     string `json:"label_before,omitempty"`
	MaliciousBefore *int64 `json:"malicious_before,omitempty"`
}

type vtAnswers struct {
	Malicious       *int64    `json:"malicious,omitempty"`
	Suspicious      *int64    `json:"suspicious,omitempty"`
	Undetected      *int64    `json:"undetected,omitempty"`
	Harmless        *int64    `json:"harmless,omitempty"`
	Total           *int64    `json:"total,omitempty"`
	Label           string    `json:"label,omitempty"`
	Description     string    `json:"description,omitempty"`
	FirstSubmission timestamp `json:"first_submission,omitzero"`
	LastAnalysis    timestamp `json:"last_analysis,omitzero"`
	Checked         timestamp `json:"checked,omitzero"`
	TimesSubmitted  *int64    `json:"times_submitted,omitempty"`
	// LeadSeconds is how much earlier the file was seen here than there; negative: later.
	LeadSeconds *int64 `json:"lead_seconds,omitempty"`
}

// timestamp is a time; the zero value is none.
type timestamp struct{ t cowrie.Time }

func at(t cowrie.Time) timestamp {
	if t == cowrie.NoTime {
		return timestamp{}
	}
	return timestamp{t}
}

func (t timestamp) IsZero() bool { return t == timestamp{} }

func (t timestamp) MarshalJSON() ([]byte, error) { return t.t.MarshalJSON() }

// undated is the tag of what has no time: it stands at the beginning of 1970.
const undated = "undated"

// build returns the document of a change; nil if nothing is to be told: the thing is
// gone, or a verdict says what the one before it said.
func build(c *cowrie.Change, now time.Time) ([]byte, error) {
	d := document{ECS: ecs{ecsVersion}, Event: event{Module: "cowrie", ID: documentID(c), Ingested: at(cowrie.FromStd(now))}}
	when := cowrie.NoTime
	switch {
	case c.Kind == cowrie.KindReport:
		return oneLine(c.Body)
	case c.Sighting != nil:
		when = d.ofSighting(c.Sighting)
	case c.File != nil:
		when = d.ofFile(c.File)
	case c.Verdict != nil:
		if when = d.ofVerdict(c.Verdict); d.Cowrie.Verdict.Change == "" {
			return nil, nil
		}
	default:
		return nil, nil
	}
	if d.Timestamp = at(when); when == cowrie.NoTime {
		d.Tags = []string{undated}
	}
	// What is no UTF-8 becomes U+FFFD, a byte at a time.
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false) // nobody reads it as HTML
	err := e.Encode(&d)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// oneLine returns JSON without newlines between its tokens, which would end it.
func oneLine(body []byte) ([]byte, error) {
	var b bytes.Buffer
	err := json.Compact(&b, body)
	return b.Bytes(), err
}

// eventIDs are those of the events behind sightings.
var eventIDs = map[cowrie.Kind]string{
	cowrie.Download: "cowrie.session.file_download",
	cowrie.Upload:   "cowrie.session.file_upload",
}

func (d *document) ofSighting(s *cowrie.Sighting) cowrie.Time {
	d.Event.Kind, d.Event.Category, d.Event.Type = "event", []string{"file"}, []string{"creation"}
	d.Event.Dataset, d.Event.Action = "cowrie.sighting", string(s.Kind)
	d.Observer = &observer{s.Sensor, "honeypot", "Cowrie"}
	d.File = file{Name: s.Name(), Path: s.Destfile, Extension: extension(s.Name()), Hash: hashes{SHA256: s.Shasum}}
	d.Related.Hash = []string{s.Shasum}
	if s.SrcIP != "" {
		d.Source = &from{Address: s.SrcIP}
		if ip, err := netip.ParseAddr(s.SrcIP); err == nil {
			d.Source.IP = ip.WithZone("").String()
			d.Related.IP = []string{d.Source.IP}
		}
	}
	d.URL = locationOf(s.URL)
	d.Cowrie = own{EventID: eventIDs[s.Kind], Session: s.Session, Kind: string(s.Kind), Destfile: s.Destfile,
		Outfile: s.Outfile, Duplicate: s.Duplicate}
	return s.SeenAt
}

// locationOf takes a URL apart, as far as it is one.
func locationOf(s string) *location {
	if s == "" {
		return nil
	}
	l := &location{Original: s}
	u, err := url.Parse(s)
	if err != nil || u.Host == "" {
		return l
	}
	l.Full, l.Scheme, l.Domain, l.Path = s, u.Scheme, u.Hostname(), u.Path
	if port, err := strconv.Atoi(u.Port()); err == nil {
		l.Port = port
	}
	l.Extension = extension(u.Path[strings.LastIndexByte(u.Path, '/')+1:])
	return l
}

// extension is what stands behind the last dot of a name, if it may be one.
func extension(name string) string {
	i := strings.LastIndexByte(name, '.')
	if i < 1 || i == len(name)-1 || len(name)-i > 17 {
		return ""
	}
	return strings.ToLower(name[i+1:])
}

func (d *document) ofFile(f *cowrie.PublishedFile) cowrie.Time {
	d.Event.Kind, d.Event.Category, d.Event.Type = "enrichment", []string{"threat"}, []string{"indicator"}
	d.Event.Dataset = "cowrie.file"
	d.File = file{Name: f.Name, Extension: extension(f.Name), Size: f.Size, MimeType: f.MimeType,
		Hash: hashes{f.MD5, f.SHA1, f.Shasum}}
	i := indicator{Type: "file", Name: f.Shasum, Description: f.VTClassification, Provider: "midden", FirstSeen: at(f.First), LastSeen: at(f.Last),
		ModifiedAt: at(f.VTLastAnalysis), Sightings: f.Sightings, ScannerStats: f.VTMalicious, File: d.File}
	if f.ELFClass != nil {
		d.File.ELF = &elf{f.ELFMachine, f.ELFOrder, elfHeader{strconv.FormatInt(*f.ELFClass, 10)}}
	}
	for _, h := range []string{f.MD5, f.SHA1, f.Shasum} {
		if h != "" {
			d.Related.Hash = append(d.Related.Hash, h)
		}
	}
	d.URL = locationOf(f.URL)
	d.Cowrie = own{Session: f.Session, Status: f.EnrichmentStatus, DiskOnly: &f.DiskOnly, Entropy: f.Entropy,
		Interpreter: f.Interpreter, Linkage: f.ELFLinkage, Stripped: f.ELFStripped}
	if f.VTCheckedAt != cowrie.NoTime {
		vt := &vtAnswers{Malicious: f.VTMalicious, Total: f.VTTotal, Label: f.VTClassification, Description: f.VTDescription,
			FirstSubmission: at(f.VTFirstSeen), LastAnalysis: at(f.VTLastAnalysis), Checked: at(f.VTCheckedAt)}
		if v := f.Verdict; v != nil {
			i.Reference = reference(v)
			vt.Suspicious, vt.Undetected, vt.Harmless, vt.TimesSubmitted = cowrie.Engines(v.Suspicious), cowrie.Engines(v.Undetected), cowrie.Engines(v.Harmless), f.TimesSubmitted
		}
		if f.VTFirstSeen != cowrie.NoTime && f.First != cowrie.NoTime {
			lead := int64(f.VTFirstSeen-f.First) / 1e6
			vt.LeadSeconds = &lead
		}
		d.VirusTotal = vt
	}
	d.Threat = &threat{i}
	return f.Last
}

func reference(v *cowrie.Verdict) string { return "https://www.virustotal.com/gui/file/" + v.Shasum }

func (d *document) ofVerdict(v *cowrie.PublishedVerdict) cowrie.Time {
	d.Event.Kind, d.Event.Category, d.Event.Type = "event", []string{"malware"}, []string{"info"}
	d.Event.Dataset, d.Event.Provider = "cowrie.verdict", v.Source
	d.File.Hash.SHA256 = v.Shasum
	d.Related.Hash = []string{v.Shasum}
	s := &said{Source: v.Source, Change: v.Change(v.Before), Known: v.Known(), Label: v.Classification}
	if v.Before != nil {
		s.LabelBefore, s.MaliciousBefore = v.Before.Classification, cowrie.Engines(v.Before.Malicious)
	}
	d.Event.Action = strings.ReplaceAll(s.Change, " ", "-")
	d.Cowrie.Verdict = s
	if cowrie.Asked(v.Source) == cowrie.SourceVirusTotal && v.Known() {
		d.VirusTotal = &vtAnswers{Malicious: cowrie.Engines(v.Malicious), Suspicious: cowrie.Engines(v.Suspicious), Undetected: cowrie.Engines(v.Undetected),
			Harmless: cowrie.Engines(v.Harmless), Total: cowrie.Engines(v.Total), Label: v.Classification, Description: v.Description,
			FirstSubmission: at(v.FirstSubmission), LastAnalysis: at(v.AnalysedAt), TimesSubmitted: v.TimesSubmitted}
	}
	return v.ObservedAt
}
