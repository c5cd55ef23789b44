package enrich

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"midden/internal/cowrie"
)

// Answers is a directory in which answers of VirusTotal are kept as files, in the
// newest layout of cowrieprocessor, so that it, and other databases, can use them.
// Only reports are kept: that a file is not known stands in the database alone.
type Answers struct{ root *os.Root }

// OpenAnswers opens a directory of answers, and makes it if it is not there.
func OpenAnswers(dir string) (*Answers, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the cache: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open the cache: %w", err)
	}
	return &Answers{root}, nil
}

// Close closes the directory.
func (a *Answers) Close() error { return a.root.Close() }

// pathOf is where the answer about a file is kept.
func pathOf(shasum string) string {
	return filepath.Join("virustotal", shasum[:2], shasum[2:4], shasum[4:6], shasum[6:8], shasum+".json")
}

// Get returns the answer about a file. Its age is that of its file. It reports
// false if there is none, or none that is plainly an answer about that file.
func (a *Answers) Get(shasum string) (v cowrie.Verdict, ok bool) {
	f, err := entry{a.root, pathOf(shasum), shasum}.open()
	if err != nil {
		return v, false
	}
	defer f.Close()
	v, err = f.verdict()
	return v, err == nil
}

// Put keeps an answer: afterwards the whole of it is there, or what was there
// before.
func (a *Answers) Put(v *cowrie.Verdict) (err error) {
	path := pathOf(v.Shasum)
	dir := filepath.Dir(path)
	if err := a.root.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	// Of two that keep the same answer at once, each writes a file of its own.
	temporary := filepath.Join(dir, fmt.Sprintf(".%s.%d.%d", v.Shasum, os.Getpid(), time.Now().UnixNano()))
	f, err := a.root.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(v.Body)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = a.root.Chtimes(temporary, v.ObservedAt.Std(), v.ObservedAt.Std())
	}
	if err == nil {
		err = a.root.Rename(temporary, path)
	}
	if err != nil {
		return errors.Join(err, a.root.Remove(temporary))
	}
	return a.sync(dir)
}

// sync makes the names in a directory last.
func (a *Answers) sync(dir string) error {
	d, err := a.root.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Reports are what a database has of VirusTotal.
type Reports interface {
	// EachReport calls f for the last report on each file.
	EachReport(ctx context.Context, f func(*cowrie.Verdict) error) error
	// Report returns the report on a file of a time; nil if there is none.
	Report(ctx context.Context, shasum string, at cowrie.Time) (*cowrie.Verdict, error)
}

// Agreement tells how far a cache and a database agree.
type Agreement struct {
	Answers  int64 // in the cache
	Unstored int64 // of them, that the database does not have
	Differ   int64 // of them, that say something else than the database
	Unkept   int64 // last reports of the database that the cache does not have
	Poisoned int64 // entries that are no answers
}

// Compare compares a cache with a database.
func (a *Answers) Compare(ctx context.Context, db Reports) (g Agreement, err error) {
	err = fs.WalkDir(a.root.FS(), ".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			return err
		case !d.Type().IsRegular():
			return nil
		}
		shasum, ok := ofVirusTotal(strings.Split("/"+filepath.ToSlash(filepath.Dir(path)), "/"), d.Name())
		if !ok || filepath.FromSlash(path) != pathOf(shasum) {
			return nil // another program's, or being written
		}
		g.Answers++
		v, ok := a.Get(shasum)
		if !ok {
			g.Poisoned++
			return nil
		}
		have, err := db.Report(ctx, shasum, v.ObservedAt)
		switch {
		case err != nil:
			return err
		case have == nil:
			g.Unstored++
		case have.Malicious != v.Malicious || have.Total != v.Total || have.Classification != v.Classification:
			g.Differ++
		}
		return nil
	})
	if err != nil {
		return g, err
	}
	err = db.EachReport(ctx, func(v *cowrie.Verdict) error {
		if kept, ok := a.Get(v.Shasum); !ok || kept.ObservedAt < v.ObservedAt {
			g.Unkept++
		}
		return nil
	})
	return g, err
}
