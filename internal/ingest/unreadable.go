package ingest

import (
	"errors"
	"io"
	"io/fs"

	"midden/internal/logs"
)

// problem is why a path cannot be read, or not to its end.
type problem struct {
	err  error
	look uint32 // the last one that came upon it
}

// fail notes that a path cannot be read. It says so once.
func (l *loader) fail(path string, err error) {
	have, ok := l.unreadable[path]
	l.unreadable[path] = problem{err, l.look}
	if !ok {
		l.summary.FilesUnreadable++
	}
	if !ok || have.err.Error() != err.Error() {
		l.Log.Warn("cannot be read", "file", path, "reason", reason(err))
	}
}

// readable takes back that a path cannot be read.
func (l *loader) readable(path string) {
	if _, ok := l.unreadable[path]; ok {
		delete(l.unreadable, path)
		l.summary.FilesUnreadable--
	}
}

// report names a path that could not be read in the summary, and forgets it.
func (l *loader) report(path string) {
	p, ok := l.unreadable[path]
	if !ok {
		return
	}
	delete(l.unreadable, path)
	if len(l.summary.Unreadable) < maxProblems {
		l.summary.Unreadable = append(l.summary.Unreadable, logs.Problem{Path: path, Err: p.err})
	}
}

// reason is an error without the path, which is said beside it.
func reason(err error) string {
	var path *fs.PathError
	switch {
	case errors.As(err, &path):
		return path.Err.Error()
	case errors.Is(err, io.ErrUnexpectedEOF):
		return "it is cut off; what stands before that is loaded"
	}
	return err.Error()
}
