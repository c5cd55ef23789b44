package ingest

import (
	"fmt"
	"io/fs"
	"log/slog"
	"strings"
	"testing"

	"midden/internal/logs"
)

// lookAt is a look that finds files, and a path that cannot be followed. It returns
// the paths of what has changed.
func (l *loader) lookAt(files ...logs.Found) (changed []string) {
	l.look++
	for _, f := range files {
		if l.changed(f) {
			changed = append(changed, f.Path)
		}
	}
	l.seen.order()
	l.fail("/not/there", fs.ErrNotExist)
	l.partGone()
	l.forget()
	return changed
}

// TestForget: a follower remembers what is there, and what it still reads; all else
// is counted.
func TestForget(t *testing.T) {
	var said strings.Builder
	l := newLoader(nil, Options{Follow: true, Log: slog.New(slog.NewTextHandler(&said, nil))})
	stays, loses := logs.Found{Path: "/stays", Size: 5}, logs.Found{Path: "/loses its name", Size: 5}
	for i := range 100 {
		comes := logs.Found{Path: fmt.Sprint("/comes and goes ", i), Size: 5}
		if changed := l.lookAt(stays, comes); len(changed) > 2 || changed[len(changed)-1] != comes.Path {
			t.Fatalf("changed: %v", changed)
		}
		l.noted(stays.Path, i > 0, 3)
		l.noted(comes.Path, i%2 == 0, 7)
		l.fail(stays.Path, fs.ErrPermission)
		l.fail(comes.Path, fs.ErrPermission)
	}
	got := &l.summary
	if len(l.seen.files) != 2 || got.FilesRead != 51 || got.FilesKnown != 50 || got.PendingBytes != 10 {
		t.Errorf("%d paths are remembered, %+v", len(l.seen.files), got)
	}
	if n := strings.Count(said.String(), "\n"); len(l.unreadable) != 3 || got.FilesUnreadable != 102 || n != 102 {
		t.Errorf("%d problems are remembered, %d counted, %d said", len(l.unreadable), got.FilesUnreadable, n)
	}
	l.readable(stays.Path)
	l.readable("/comes and goes 0")

	// A file without a name is read for a while.
	l.lookAt(stays, loses)
	l.noted(loses.Path, false, 0)
	l.held[loses.Path] = &heldFile{found: loses}
	for range 3 {
		if changed := l.lookAt(stays); changed != nil {
			t.Errorf("changed: %v", changed)
		}
		l.noted(loses.Path, true, 1)
	}
	if len(l.seen.files) != 2 || len(l.gone) != 1 || got.FilesRead != 52 || got.FilesKnown != 50 || got.PendingBytes != 4 {
		t.Errorf("%d paths are remembered, %d are read without a name, %+v", len(l.seen.files), len(l.gone), got)
	}
	if changed := l.lookAt(stays, loses); len(changed) != 1 {
		t.Errorf("what has its name again is not looked at: %v", changed)
	}
	l.gone = nil
	if l.lookAt(stays); len(l.seen.files) != 1 || got.PendingBytes != 3 {
		t.Errorf("%d paths are remembered, %+v", len(l.seen.files), got)
	}
	l.summarise()
	if got.FilesUnreadable != 101 || len(got.Unreadable) != 101 || got.Unreadable[100].Path != "/not/there" {
		t.Errorf("%d are unreadable: %v", got.FilesUnreadable, got.Unreadable)
	}
}
