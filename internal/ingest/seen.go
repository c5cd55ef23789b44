package ingest

import (
	"cmp"
	"hash/maphash"
	"slices"
	"unsafe"

	"midden/internal/logs"
)

// seenFile is what a path was when it was last looked at, and what came of it.
type seenFile struct {
	key     uint64 // a hash of the path
	state   uint64 // a hash of what tells that it has changed; 0 if it must be looked at in any case
	pending int64  // bytes at its end that are no whole line
	look    uint32 // the last one in which it was there
	outcome outcome
}

// outcome is what a path counts as.
type outcome uint8

const (
	none outcome = iota
	known
	read
)

// seenFiles are in the order of their keys: a map would take twice as much. Should
// two paths have the same key, they are looked at each time, as if they had changed.
type seenFiles struct {
	seed  maphash.Seed
	files []seenFile
	added int // how many at the end are not in order yet
}

// memory returns how many bytes they take.
func (s *seenFiles) memory() int64 {
	return int64(cap(s.files)) * int64(unsafe.Sizeof(seenFile{}))
}

// find returns where a path is, or where it would be.
func (s *seenFiles) find(path string) (key uint64, i int, ok bool) {
	key = maphash.String(s.seed, path)
	i, ok = slices.BinarySearchFunc(s.files[:len(s.files)-s.added], key, func(f seenFile, key uint64) int { return cmp.Compare(f.key, key) })
	return key, i, ok
}

// of returns what is known of a path.
func (s *seenFiles) of(path string) *seenFile {
	key, i, ok := s.find(path)
	if !ok {
		s.files = slices.Insert(s.files, i, seenFile{key: key})
	}
	return &s.files[i]
}

// note notes what a file is in a look, and reports whether it is not what it was.
// Of those that are new of says nothing until they are put in order.
func (s *seenFiles) note(f logs.Found, look uint32) bool {
	state := maphash.Comparable(s.seed, [3]uint64{uint64(f.Size), uint64(f.ModTime), f.Inode}) | 1
	key, i, ok := s.find(f.Path)
	if !ok {
		s.files = append(s.files, seenFile{key: key, state: state, look: look})
		s.added++
		return true
	}
	have := &s.files[i]
	changed := have.state != state
	have.state, have.look = state, look
	return changed
}

func (s *seenFiles) order() {
	if s.added > 0 {
		slices.SortFunc(s.files, func(a, b seenFile) int { return cmp.Compare(a.key, b.key) })
		s.added = 0
	}
}

func (s *seenFiles) remove(path string) {
	if _, i, ok := s.find(path); ok {
		s.files = slices.Delete(s.files, i, i+1)
	}
}

// noted counts a path by whether it had something new, and what is left of it.
func (l *loader) noted(path string, fresh bool, pending int64) {
	f, sum := l.seen.of(path), &l.summary
	sum.PendingBytes += pending - f.pending
	f.pending = pending
	switch {
	case fresh && f.outcome != read:
		if f.outcome == known {
			sum.FilesKnown--
		}
		sum.FilesRead++
		f.outcome = read
	case f.outcome == none:
		sum.FilesKnown++
		f.outcome = known
	}
}

// settled says that a file need not be looked at again, unless it changes.
func (l *loader) settled(f logs.Found) {
	if !l.Follow {
		l.seen.remove(f.Path)
		l.report(f.Path)
	}
}

// changed reports whether a file is not what a follower has seen.
func (l *loader) changed(f logs.Found) bool {
	if h := l.held[f.Path]; h != nil && h.found.Inode == f.Inode {
		h.look = l.look
	}
	return l.seen.note(f, l.look)
}

// forget forgets the paths that are not there any more, and whose files are not
// read without their names. They stay counted; one that comes back counts again.
func (l *loader) forget() {
	for _, h := range l.gone {
		if _, i, ok := l.seen.find(h.found.Path); ok && l.seen.files[i].look != l.look {
			l.seen.files[i].look, l.seen.files[i].state = l.look, 0
		}
	}
	l.seen.files = slices.DeleteFunc(l.seen.files, func(f seenFile) bool {
		if f.look != l.look {
			l.summary.PendingBytes -= f.pending
			return true
		}
		return false
	})
	for path, p := range l.unreadable {
		if _, _, ok := l.seen.find(path); !ok && p.look != l.look {
			l.report(path)
		}
	}
}
