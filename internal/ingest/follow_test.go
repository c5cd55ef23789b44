package ingest

import (
	"fmt"
	"testing"

	"midden/internal/logs"
)

// TestForget: a follower remembers what is there, and what it still reads; all else
// is counted.
func TestForget(t *testing.T) {
	l := newLoader(nil, Options{Follow: true})
	file := func(name string, size int64) logs.Found { return logs.Found{Path: "/" + name, Size: size, Inode: 1} }
	look := func(files ...logs.Found) (changed []string) {
		l.look++
		for _, f := range files {
			if l.changed(f) {
				changed = append(changed, f.Path)
			}
		}
		l.seen.order()
		l.partGone()
		l.forget()
		return changed
	}
	stays, read := file("stays", 5), file("read", 5)
	for i := range 100 {
		name := file(fmt.Sprint("comes and goes ", i), 5)
		if changed := look(stays, name); len(changed) > 2 || changed[len(changed)-1] != name.Path {
			t.Fatalf("changed: %v", changed)
		}
		l.noted(stays.Path, i > 0, 3)
		l.noted(name.Path, i%2 == 0, 7)
	}
	if got := l.summary; len(l.seen.files) != 2 || got.FilesRead != 51 || got.FilesKnown != 50 || got.PendingBytes != 10 {
		t.Errorf("%d paths are remembered, %+v", len(l.seen.files), got)
	}

	// A file without a name is read for a while.
	look(stays, read)
	l.noted(read.Path, false, 0)
	l.held[read.Path] = &heldFile{found: read}
	for range 3 {
		if changed := look(stays); changed != nil {
			t.Errorf("changed: %v", changed)
		}
		l.noted(read.Path, true, 1)
	}
	if got := l.summary; len(l.seen.files) != 2 || len(l.gone) != 1 || got.FilesRead != 52 || got.FilesKnown != 50 || got.PendingBytes != 4 {
		t.Errorf("%d paths are remembered, %d are read without a name, %+v", len(l.seen.files), len(l.gone), got)
	}
	if changed := look(stays, read); len(changed) != 1 {
		t.Errorf("what has its name again is not looked at: %v", changed)
	}
	l.gone = nil
	if look(stays); len(l.seen.files) != 1 || l.summary.PendingBytes != 3 {
		t.Errorf("%d paths are remembered, %+v", len(l.seen.files), l.summary)
	}
}
