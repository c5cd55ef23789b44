package ingest

import (
	"context"
	"errors"
	"time"

	"midden/internal/cowrie"
	"midden/internal/logs"
)

// How a follower spends its time.
const (
	minPause = 200 * time.Millisecond // between two looks
	maxPause = 2 * time.Second
	settle   = 2 * time.Second // since the last write, until a copy is taken for finished
	farewell = 5 * time.Second // without a write, until a log that lost its name is closed
	maxHeld  = 256             // files that are kept open
)

// heldFile is a log that is kept open, so that what is still written to it is
// read after it was renamed or removed.
type heldFile struct {
	file   *logs.File
	found  logs.Found
	source *cowrie.Source
	quiet  time.Time // since when nothing came
	look   uint32    // the last one in which it was under its name
}

// hold keeps a file open, closing the one that was open under its name. The
// two are the same file: one that lost its name was set apart before. If too
// many are open, the one that was written to the longest time ago is closed.
func (l *loader) hold(file *logs.File, f logs.Found, src *cowrie.Source) {
	if have := l.held[f.Path]; have != nil {
		have.file.Close()
	}
	l.held[f.Path] = &heldFile{file: file, found: f, source: src}
	if len(l.held) <= maxHeld {
		return
	}
	oldest := f.Path
	for path, h := range l.held {
		if h.found.ModTime < l.held[oldest].found.ModTime {
			oldest = path
		}
	}
	l.held[oldest].file.Close()
	delete(l.held, oldest)
}

func (l *loader) release() {
	for _, h := range l.held {
		h.file.Close()
	}
	for _, h := range l.gone {
		h.file.Close()
	}
	l.held, l.gone = nil, nil
}

// follow looks at the files again and again, until the context ends. After
// each look all that was found is stored, so that the next one knows it.
func (l *loader) follow(ctx context.Context, paths []string) error {
	for {
		start := time.Now()
		l.look++
		files, err := l.find(ctx, paths, l.changed)
		if err != nil {
			return err
		}
		if err := l.readChanged(ctx, files); err != nil {
			return err
		}
		if l.look == 1 {
			l.Log.Info("following", "paths", paths)
		}
		// A tenth of the time at the most is spent on looking.
		pause := min(max(minPause, 10*time.Since(start)), maxPause)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
}

// readChanged reads what has come to files that have changed, and to those
// that have lost their name.
func (l *loader) readChanged(ctx context.Context, files *logs.Files) error {
	l.partGone()
	if err := l.readGone(ctx); err != nil {
		return err
	}
	l.forget()
	again, err := l.readAll(ctx, files.All())
	for _, f := range again {
		l.seen.of(f.Path).state = 0
	}
	return err
}

// partGone sets those files apart that are not under their name any more.
func (l *loader) partGone() {
	for path, h := range l.held {
		if h.look != l.look {
			delete(l.held, path)
			h.quiet = time.Now()
			l.gone = append(l.gone, h)
		}
	}
}

// readGone reads on in files that have lost their name. Writers may keep them
// open for a while.
func (l *loader) readGone(ctx context.Context) error {
	var rest []*heldFile
	for _, h := range l.gone {
		err := l.readOn(ctx, h)
		switch {
		case errors.Is(err, errAgain):
		case err != nil:
			return err
		case time.Since(h.quiet) > farewell:
			h.file.Close()
			continue
		}
		rest = append(rest, h)
	}
	l.gone = rest
	return l.store()
}

// readOn reads what has come to an open file since it was read.
func (l *loader) readOn(ctx context.Context, h *heldFile) error {
	before := h.file.Info()
	if err := h.file.Refresh(); err != nil {
		return nil
	}
	if !h.file.Info().ModTime().Equal(before.ModTime()) || h.file.Info().Size() != before.Size() {
		h.quiet = time.Now()
	}
	r, err := logs.NewReader(h.file)
	if err != nil || r.Fingerprint() == "" {
		return nil
	}
	rd := &reading{found: h.found}
	rd.source, err = l.identify(ctx, r, h.file.Found(), &cowrie.FileState{Inode: h.found.Inode, Source: h.source})
	if err != nil {
		return err
	}
	return l.readSource(ctx, r, rd, nil)
}

// inTheMaking reports whether a file was written to just now.
func (l *loader) inTheMaking(f logs.Found) bool {
	age := time.Since(time.Unix(0, f.ModTime))
	return age >= 0 && age < settle
}
