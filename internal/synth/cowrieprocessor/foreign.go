package cowrieprocessor

import (
	"encoding/hex"
	"net/url"
	"strings"
	"time"
)

// foreign is a sighting of a file, for the files table of another release.
type foreign struct {
	kind    string // Options.Files
	session string
	sha     string
	url     string
	name    string
	dest    string
	sensor  string
	seen    moment
	upload  bool
}

// sighting returns the sighting that an event is.
func sighting(e event, kind string) (f foreign, ok bool) {
	word := func(key string) string { return string(e.object.get(key).plainText()) }
	upload := string(e.id) == "cowrie.session.file_upload"
	if !upload && string(e.id) != "cowrie.session.file_download" || upload && kind == "later" {
		return f, false // the later releases passed over uploads
	}
	f = foreign{kind: kind, session: string(e.session), sha: strings.ToLower(word("shasum")), url: word("url"),
		name: word("filename"), dest: word("destfile"), sensor: string(e.sensor), seen: e.when, upload: upload}
	_, err := hex.DecodeString(f.sha)
	return f, err == nil && len(f.sha) == 64
}

// filesInserter returns what inserts rows of such a table.
func filesInserter(kind string) inserter {
	if kind == "later" {
		return inserter{own: 16, conflict: "DO NOTHING",
			table: "files (session_id, shasum, filename, file_size, download_url, vt_classification, vt_description, " +
				"vt_malicious, vt_first_seen, vt_last_analysis, vt_positives, vt_total, vt_scan_date, first_seen, " +
				"last_updated, enrichment_status)"}
	}
	return inserter{own: 12, conflict: "DO NOTHING",
		table: "files (session, download_url, hash, file_path, vt_description, vt_threat_classification, " +
			"vt_first_submission, vt_hits, src_ip, transfer_method, added, hostname)"}
}

// row returns the values of the sighting's row. What VirusTotal says of a file
// depends on its hash alone: nothing, the truth in the right types, or in
// wrong ones, as SQLite lets any value into any column.
func (f foreign) row(at string) []any {
	h, _ := hex.DecodeString(f.sha[:8])
	submitted := 1_700_000_000 + int64(h[0])<<16 + int64(h[1])<<8
	date := func(layout string) string { return time.Unix(submitted, 0).UTC().Format(layout) }
	if f.kind == "oldest" {
		return f.oldest(int(h[3]), submitted)
	}
	row := []any{f.session, f.sha, orNull(f.name), nil, orNull(f.url), nil, nil,
		false, nil, nil, nil, nil, nil, f.seen.text, at, "pending"}
	vt := row[5:13] // classification, description, malicious, first seen, last analysis, positives, total, scan date
	switch h[3] % 8 {
	case 0, 1:
		return row
	case 2: // a file that nobody knows
		row[15] = "failed"
		return row
	case 3: // harmless
		copy(vt, []any{"", "Text", false, date(sqlTime), date(sqlMicro), 0, 58, date(sqlTime)})
	case 4:
		copy(vt, []any{"trojan.synth/alpha", "ELF", true, date(sqlTime), date(sqlMicro), 41, 63, date(sqlMicro)})
	case 5: // the number of engines in the boolean, seconds in the dates
		copy(vt, []any{"trojan.synth/beta", "ELF", 41, submitted, submitted + 86_400, nil, 63, nil})
	case 6: // texts, and a time with its zone
		copy(vt, []any{"miner.synth", nil, "true", date("2006-01-02T15:04:05+00:00"), "", "41/63", "unknown", date(time.DateOnly)})
		row[3] = "12 kB"
	case 7: // numbers that are texts, and one that is no whole number
		copy(vt, []any{17, "Shell script", "7", date(time.RFC3339), 1.7e9 + 0.5, "7", 60.5, "never"})
		row[3] = int64(4096)
	}
	row[15] = "enriched"
	return row
}

// oldest returns a row as the first scripts wrote it: the URL made harmless,
// and what VirusTotal said only if there was a key.
func (f foreign) oldest(n int, submitted int64) []any {
	method, path := "DOWNLOAD", f.dest
	if f.upload {
		method, path = "UPLOAD", f.name
	}
	var host any
	if u, err := url.Parse(f.url); err == nil && u.Hostname() != "" {
		host = u.Hostname()
	}
	harmless := strings.ReplaceAll(strings.ReplaceAll(f.url, ".", "[.]"), "://", "[://]")
	row := []any{f.session, harmless, f.sha, path, nil, nil, nil, nil, host, nil, nil, f.sensor}
	vt := row[4:8] // description, classification, first submission, hits
	switch n % 5 {
	case 0:
		return row
	case 1: // VirusTotal did not know it
		copy(vt, []any{"", "", 0, 0})
	case 2:
		copy(vt, []any{"ELF", "trojan.synth/alpha", submitted, 41})
	case 3:
		copy(vt, []any{"Text", "", time.Unix(submitted, 0).UTC().Format(sqlTime), ""})
	case 4:
		copy(vt, []any{"ELF", "trojan.synth/beta", "", "41/63"})
	}
	row[9], row[10] = method, float64(f.seen.at)/1e6+86_400
	return row
}
