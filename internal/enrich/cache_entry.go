package enrich

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"midden/internal/cowrie"
	"midden/internal/enrich/virustotal"
)

// Reason says in a word why an entry of a cache was passed over.
type Reason string

// The reasons.
const (
	ReasonOtherService Reason = "not_virustotal" // by its name no entry of VirusTotal
	ReasonNotRegular   Reason = "not_regular"    // a link, a named pipe, a device or a socket: never opened
	ReasonEmpty        Reason = "empty"
	ReasonTooLarge     Reason = "too_large"
	ReasonTruncated    Reason = "truncated" // or otherwise broken JSON
	ReasonNotJSON      Reason = "not_json"  // HTML, say
	ReasonOtherHash    Reason = "other_hash"
	ReasonErrorAnswer  Reason = "error_answer"
	ReasonNoHash       Reason = "no_hash"
	ReasonNoVerdict    Reason = "no_verdict" // it does not say how many engines flag the file
	ReasonAbsurd       Reason = "absurd"     // it holds numbers that cannot be
	ReasonWrongTime    Reason = "wrong_time"
	ReasonUnreadable   Reason = "unreadable"

	gone Reason = "" // what has vanished meanwhile is not counted
)

// Reasons are all reasons, in the order in which they are told.
var Reasons = []Reason{
	ReasonOtherService, ReasonNotRegular, ReasonEmpty, ReasonTooLarge, ReasonTruncated, ReasonNotJSON, ReasonOtherHash,
	ReasonErrorAnswer, ReasonNoHash, ReasonNoVerdict, ReasonAbsurd, ReasonWrongTime, ReasonUnreadable,
}

var (
	errOther      = errors.New("not an entry of VirusTotal")
	errNotRegular = errors.New("not a regular file")
	errTooLarge   = errors.New("too large for an answer")
	errOtherHash  = errors.New("about another file than its name says")
	errTime       = errors.New("its time is in the future, or before 1970")
)

// reasonOf returns the reason for an error. One that is unknown comes from the
// file system.
func reasonOf(err error) Reason {
	if _, ok := errors.AsType[*virustotal.AnswerError](err); ok {
		return ReasonErrorAnswer
	}
	for _, r := range []struct {
		err    error
		reason Reason
	}{
		{fs.ErrNotExist, gone},
		{errOther, ReasonOtherService},
		{errNotRegular, ReasonNotRegular},
		{errTooLarge, ReasonTooLarge},
		{errTime, ReasonWrongTime},
		{errOtherHash, ReasonOtherHash},
		{virustotal.ErrTwoFiles, ReasonOtherHash},
		{virustotal.ErrEmpty, ReasonEmpty},
		{virustotal.ErrBroken, ReasonTruncated},
		{virustotal.ErrNotJSON, ReasonNotJSON},
		{virustotal.ErrNoHash, ReasonNoHash},
		{virustotal.ErrNoStats, ReasonNoVerdict},
		{virustotal.ErrAbsurd, ReasonAbsurd},
	} {
		if errors.Is(err, r.err) {
			return r.reason
		}
	}
	return ReasonUnreadable
}

// maxEntry is how large an entry may be, in bytes. An answer has some 20 kB.
const maxEntry = 16 << 20

// ahead is how far in the future an entry may be: clocks differ.
const ahead = 5 * time.Minute

// entry is a file that is an entry of VirusTotal by its name.
type entry struct {
	root   *os.Root
	path   string // in root
	shasum string // that its content must be about; "" for any
}

// shown is its path for people.
func (e entry) shown() string { return filepath.Join(e.root.Name(), e.path) }

// openEntry is an entry whose content is worth reading.
type openEntry struct {
	*os.File
	shasum string
	size   int64
	time   cowrie.Time
}

// open opens an entry, without waiting if it has become a pipe meanwhile, and
// looks at all there is to see without reading its content.
func (e entry) open() (*openEntry, error) {
	file, err := e.root.OpenFile(e.path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	f := &openEntry{File: file, shasum: e.shasum}
	if err := f.look(); err != nil {
		file.Close()
		return nil, err
	}
	return f, nil
}

func (f *openEntry) look() error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	f.size, f.time = info.Size(), cowrie.FromStd(info.ModTime())
	switch {
	case !info.Mode().IsRegular():
		return errNotRegular
	case f.size == 0:
		return virustotal.ErrEmpty
	case f.size > maxEntry:
		return errTooLarge
	case f.time < 0 || time.Until(info.ModTime()) > ahead:
		return errTime
	}
	return nil
}

// verdict reads the content. It was observed when the file was written: there
// is no other time in a cache.
func (f *openEntry) verdict() (cowrie.Verdict, error) {
	body, err := f.body()
	if err != nil {
		return cowrie.Verdict{}, err
	}
	v, err := virustotal.ParseFile(body)
	if err != nil {
		return cowrie.Verdict{}, err
	}
	if f.shasum != "" && f.shasum != v.Shasum {
		return cowrie.Verdict{}, errOtherHash
	}
	v.ObservedAt, v.Body = f.time, body
	return v, nil
}

// body reads as much as the file held when it was opened.
func (f *openEntry) body() ([]byte, error) {
	body := make([]byte, f.size)
	n, err := io.ReadFull(f, body)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, err
	}
	return body[:n], nil
}
