package secret

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"midden/internal/plain"
)

// fromFile reads a regular file. That others may read it, too, is worth a note
// and no error: where a container gets its secrets, all may read them.
func fromFile(ctx context.Context, rest string, o Options) (string, error) {
	path, err := o.path(rest)
	if err != nil {
		return "", err
	}
	// Opening is not harmless for what is no file: a device may act on it. It was
	// looked at before, and does not wait should a pipe have taken its place.
	info, err := os.Stat(path)
	if err == nil {
		err = regular(info)
	}
	var f *os.File
	if err == nil {
		f, err = os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	}
	if err != nil {
		return "", o.unread(err, rest)
	}
	defer f.Close()
	if info, err = f.Stat(); err == nil {
		err = regular(info)
	}
	var content []byte
	if err == nil {
		content, err = io.ReadAll(io.LimitReader(f, maxAnswer+1))
	}
	if err != nil {
		return "", o.unread(err, rest)
	}
	if len(content) > maxAnswer {
		return "", fmt.Errorf("the file is longer than %s, and so no key or password", plain.Bytes(maxAnswer))
	}
	if mode := info.Mode().Perm(); mode&0o004 != 0 && runtime.GOOS != "windows" {
		o.Note(fmt.Sprintf("everyone on this host can read the secret %s (mode %#o): chmod o-r takes that away", display("file:"+rest), mode))
	}
	return string(content), ctx.Err()
}

func regular(info fs.FileInfo) error {
	switch {
	case info.IsDir():
		return errors.New("it is a directory, and no file")
	case !info.Mode().IsRegular():
		return errors.New("it is no regular file, but a pipe, a device or the like")
	}
	return nil
}

// unread says why a file was not read, without its path: the reference has it.
func (o Options) unread(err error, rest string) error {
	var at *fs.PathError
	if !errors.As(err, &at) {
		return err
	}
	if strings.HasPrefix(rest, "~") {
		return fmt.Errorf("%w (~ stands for no directory here)", at.Err)
	}
	if o.Dir != "" && !filepath.IsAbs(rest) {
		return fmt.Errorf("%w (meant from %s)", at.Err, display(o.Dir))
	}
	return at.Err
}
