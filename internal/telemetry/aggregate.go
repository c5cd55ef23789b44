package telemetry

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"midden/internal/plain"
)

// aggregate is the content of status.json: the last status of each phase.
type aggregate struct {
	LastUpdated string                     `json:"last_updated"`
	Phases      map[string]json.RawMessage `json:"phases"`
}

// entry is a phase in the aggregate.
type entry struct {
	statusFile
	StatusFile string `json:"status_file"`
}

// writeAggregate puts a phase into the aggregate of dir and keeps the others.
// Two runs may do so at once, and one of them then loses what the other wrote:
// so the others are taken from their own files, where there are any.
func writeAggregate(dir string, file statusFile, path string) error {
	target := filepath.Join(dir, "status.json")
	all := aggregate{LastUpdated: file.LastUpdated, Phases: map[string]json.RawMessage{}}
	var found struct {
		Phases map[string]json.RawMessage `json:"phases"`
	}
	if readJSON(target, &found) == nil {
		for phase, old := range found.Phases {
			if kept := latest(dir, phase, old); kept != nil {
				all.Phases[phase] = kept
			}
		}
	}
	own, err := json.Marshal(entry{file, path})
	if err != nil {
		return err
	}
	all.Phases[file.Phase] = own
	return writeJSON(target, all)
}

// latest returns the entry of another phase: what its own file says, or the
// entry that the aggregate had; nil if that is no entry.
func latest(dir, phase string, old json.RawMessage) json.RawMessage {
	var fields map[string]json.RawMessage
	if json.Unmarshal(old, &fields) != nil || fields == nil {
		return nil
	}
	if strings.ContainsAny(phase, `/\`) {
		return old
	}
	var own map[string]json.RawMessage
	path := filepath.Join(dir, phase+".json")
	if readJSON(path, &own) != nil || string(own["phase"]) != quoted(phase) {
		return old
	}
	own["status_file"] = json.RawMessage(quoted(path))
	fresh, err := json.Marshal(own)
	if err != nil {
		return old
	}
	return fresh
}

func quoted(s string) string { return string(plain.AppendJSON(nil, s)) }

// maxStatusFile is the most that is read of a status file, in bytes.
const maxStatusFile = 1 << 20

// readJSON reads a small regular file; it never waits for a pipe.
func readJSON(path string, into any) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() || info.Size() > maxStatusFile {
		return errors.New("not a status file")
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, maxStatusFile))
	if err != nil {
		return err
	}
	return json.Unmarshal(content, into)
}

// writeJSON writes v to a temporary name beside path and renames it, so that a
// reader sees the old content or the new.
func writeJSON(path string, v any) (err error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return err
	}
	// Others may read it, as monitoring does, unless the umask says otherwise.
	temporary := filepath.Join(filepath.Dir(path), fmt.Sprintf(".%s.%d.%d.tmp", filepath.Base(path), os.Getpid(), time.Now().UnixNano()))
	f, err := os.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = f.Close()
			_ = os.Remove(f.Name())
		}
	}()
	if _, err := f.Write(plain.EscapeJSON(b.Bytes())); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
