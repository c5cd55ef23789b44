package enrich

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"midden/internal/cowrie"
)

const (
	portion  = 1000 // entries of a directory that are held at once
	maxDepth = 16   // directories inside one another; a cache has five
)

// walk sends the entries below a directory of a cache, and passes over what is
// none. Links are never followed: what they lead to is not in the cache, or is
// found under its own name.
func (im *importing) walk(ctx context.Context, c cache, dir string, depth int) {
	shown := filepath.Join(c.root.Name(), dir)
	f, err := c.root.OpenFile(dir, os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NONBLOCK, 0)
	if err != nil {
		im.passOver(shown, err)
		return
	}
	defer f.Close()
	above := c.above
	if dir != "." {
		above = append(above[:len(above):len(above)], strings.Split(filepath.ToSlash(dir), "/")...)
	}
	for ctx.Err() == nil {
		list, err := f.ReadDir(portion)
		for _, d := range list {
			if ctx.Err() != nil {
				return
			}
			path := filepath.Join(dir, d.Name())
			shasum, ok := ofVirusTotal(above, d.Name())
			switch {
			case d.IsDir() && depth < maxDepth:
				im.walk(ctx, c, path, depth+1)
			case d.IsDir():
				im.passOver(filepath.Join(shown, d.Name()), errOther)
			case !d.Type().IsRegular():
				im.passOver(filepath.Join(shown, d.Name()), errNotRegular)
			case !ok:
				im.passOver(filepath.Join(shown, d.Name()), errOther)
			default:
				select {
				case im.entries <- entry{c.root, path, shasum}:
				case <-ctx.Done():
				}
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return
		case err != nil:
			im.passOver(shown, err)
			return
		}
	}
}

// ofVirusTotal tells by its name, and by the directories above it, whether a
// file is an entry of VirusTotal, in one of the three layouts that
// cowrieprocessor has used:
//
//	<sha256>                                  the answer
//	vt_<sha256>.json                          some of its attributes
//	virustotal/<d[:2]>/<d>.json               the answer; d is the SHA-256 of a key, not of the file
//	virustotal/<aa>/<bb>/<cc>/<dd>/<sha256>.json   the answer; the file's hash begins with aabbccdd
//
// It returns the hash that the file's content must be about, "" if the name
// does not say.
func ofVirusTotal(above []string, name string) (shasum string, ok bool) {
	if shasum, ok = cowrie.Shasum([]byte(name)); ok {
		return shasum, true
	}
	name, ok = strings.CutSuffix(name, ".json")
	if !ok {
		return "", false
	}
	if name, ok := strings.CutPrefix(name, "vt_"); ok {
		return cowrie.Shasum([]byte(name))
	}
	if shasum, ok = cowrie.Shasum([]byte(name)); !ok {
		return "", false
	}
	below := func(levels, digits int) bool {
		n := len(above) - levels
		return n > 0 && above[n-1] == "virustotal" && strings.Join(above[n:], "") == shasum[:digits]
	}
	switch {
	case below(1, 2):
		return "", true
	case below(4, 8):
		return shasum, true
	}
	return "", false
}

// reason is an error without the path that it is about.
func reason(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	return err
}
