package synth

import (
	"bufio"
	"bytes"
	_ "embed"
	"encoding/json"
	"io"
	"strings"
)

// shapes were written by hand: an event of every shape that Cowrie has written
// since 2015.
//
//go:embed shapes.jsonl
var shapes []byte

// Shapes writes one event of every shape: every event id, every version's
// form of it, and the odd cases. Some of them belong to no session.
func Shapes(w io.Writer) (Stats, error) {
	var s Stats
	sessions, files := map[string]bool{}, map[string]bool{}
	lines := bufio.NewScanner(bytes.NewReader(shapes))
	for lines.Scan() {
		var e struct {
			EventID string  `json:"eventid"`
			Session string  `json:"session"`
			Shasum  string  `json:"shasum"`
			Input   *string `json:"input"`
		}
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return s, err
		}
		s.Events++
		if e.Session != "" {
			sessions[e.Session] = true
		}
		switch transfer := e.Shasum != ""; e.EventID {
		case "cowrie.session.file_download", "cowrie.session.file_upload":
			switch {
			case !transfer && e.Input == nil:
				s.FailedTransfers++
			case !transfer:
			case e.EventID == "cowrie.session.file_upload":
				s.Uploads++
				files[strings.ToLower(e.Shasum)] = true
			default:
				s.Downloads++
				files[strings.ToLower(e.Shasum)] = true
			}
		case "cowrie.session.file_download.failed":
			s.FailedTransfers++
		case "cowrie.command.input":
			s.Commands++
		case "cowrie.login.success", "cowrie.login.failed":
			s.Logins++
		}
	}
	s.Sessions, s.Files, s.Sightings, s.Bytes = len(sessions), len(files), s.Downloads+s.Uploads, int64(len(shapes))
	_, err := w.Write(shapes)
	return s, err
}
