package synth

import (
	"fmt"
	"maps"
)

// Counts is what was written, exactly.
type Counts struct {
	Events   int64
	Sessions int64 // distinct session ids
	// Files is the number of distinct hashes with at least one sighting: an
	// event cowrie.session.file_download or cowrie.session.file_upload with 64
	// hexadecimal digits in shasum. Case does not matter.
	Files     int64
	Sightings int64
	Downloads int64 // sightings by file_download
	Uploads   int64 // sightings by file_upload
	// FailedTransfers counts file_download and file_upload with an empty or
	// missing shasum (but not those that carry a line of input instead of a
	// file), and file_download.failed.
	FailedTransfers int64
	Commands        int64 // cowrie.command.input
	Logins          int64 // cowrie.login.failed and cowrie.login.success
	Bytes           int64 // before compression, line ends included
}

// Stats is Counts and the hashes behind Files, so that the stats of sensors can
// be merged: a file may be seen by several of them, a session never is.
type Stats struct {
	Counts
	files map[hash]struct{}
}

// hash is a SHA-256.
type hash [32]byte

// Merge adds what another call wrote.
func (s *Stats) Merge(o Stats) {
	s.Events += o.Events
	s.Sessions += o.Sessions
	s.Sightings += o.Sightings
	s.Downloads += o.Downloads
	s.Uploads += o.Uploads
	s.FailedTransfers += o.FailedTransfers
	s.Commands += o.Commands
	s.Logins += o.Logins
	s.Bytes += o.Bytes
	if s.files == nil {
		s.files = make(map[hash]struct{}, len(o.files))
	}
	maps.Copy(s.files, o.files)
	s.Files = int64(len(s.files))
}

// String says the counts in one line.
func (s Stats) String() string {
	return fmt.Sprintf("%d events in %d sessions, %d files in %d sightings, %d bytes",
		s.Events, s.Sessions, s.Files, s.Sightings, s.Bytes)
}

// matter is what an event counts as, beside being an event.
type matter uint8

const (
	plain matter = iota
	command
	login
	download
	upload
	failed
)

// tally counts the lines of one sensor. Files are marked by their place in the
// population, which is cheaper than a hash at every sighting.
type tally struct {
	Counts
	files population
	seen  []uint64
}

func newTally(files population) tally {
	return tally{files: files, seen: make([]uint64, (files.n+63)/64)}
}

func (t *tally) add(m matter, file int32, size int) {
	t.Events++
	t.Bytes += int64(size)
	switch m {
	case command:
		t.Commands++
	case login:
		t.Logins++
	case failed:
		t.FailedTransfers++
	case download, upload:
		t.Sightings++
		if m == upload {
			t.Uploads++
		} else {
			t.Downloads++
		}
		if word, bit := file>>6, uint64(1)<<(file&63); t.seen[word]&bit == 0 {
			t.seen[word] |= bit
			t.Files++
		}
	}
}

func (t *tally) stats() Stats {
	s := Stats{Counts: t.Counts, files: make(map[hash]struct{}, t.Files)}
	for i := range t.files.n {
		if t.seen[i>>6]&(1<<(i&63)) != 0 {
			s.files[t.files.file(i).sum] = struct{}{}
		}
	}
	return s
}
