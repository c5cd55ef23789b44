package logs

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"golang.org/x/sys/unix"
)

// ErrNotRegular says that a path leads to a directory, FIFO, device or socket
// where a log file was expected.
var ErrNotRegular = errors.New("not a regular file")

// maxWindow bounds what a zstd frame may ask for. "zstd --long" up to 2^26
// bytes is read.
const maxWindow = 64 << 20

// File is an open log file.
type File struct {
	Path        string
	Compression string // "gzip", "bzip2", "zstd", or "" if it is plain

	file   *os.File
	info   os.FileInfo
	input  io.Reader // the decompressed content
	close  func()
	offset int64  // bytes of the file that were read
	head   []byte // the first bytes that were read, as they lie on disk
}

// Open opens a regular file and tells by its first bytes how it is compressed.
// It does not wait for anything but the disk.
func Open(path string) (*File, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &os.PathError{Op: "read", Path: path, Err: ErrNotRegular}
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	f := &File{Path: path, file: file, info: info}
	if err := f.rewind(); err != nil {
		file.Close()
		return nil, err
	}
	return f, nil
}

// Info tells of the file as it was when it was opened.
func (f *File) Info() os.FileInfo { return f.info }

// Refresh looks at the file anew, under whatever name it is now, and goes back
// to its beginning.
func (f *File) Refresh() error {
	info, err := f.file.Stat()
	if err != nil {
		return err
	}
	f.info, f.head = info, nil
	return f.rewind()
}

// Close closes the file.
func (f *File) Close() error {
	f.release()
	return f.file.Close()
}

func (f *File) release() {
	if f.close != nil {
		f.close()
		f.close = nil
	}
}

// rewind starts again at the beginning of the content.
func (f *File) rewind() error {
	f.release()
	if _, err := f.file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	f.offset = 0
	counted := &counter{f.file, &f.offset}
	var magic [10]byte
	n, err := io.ReadFull(counted, magic[:])
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return err
	}
	raw := io.MultiReader(bytes.NewReader(magic[:n]), counted)
	return f.decompress(magic[:n], raw)
}

func (f *File) decompress(magic []byte, raw io.Reader) error {
	switch {
	case bytes.HasPrefix(magic, []byte{0x1f, 0x8b}):
		f.Compression = "gzip"
		f.input = &gzipReader{raw: bufio.NewReaderSize(raw, 256<<10)}
	case len(magic) == 10 && bytes.HasPrefix(magic, []byte("BZh")) && magic[3] >= '1' && magic[3] <= '9':
		f.Compression = "bzip2"
		f.input = bzip2.NewReader(bufio.NewReaderSize(raw, 64<<10))
	case bytes.HasPrefix(magic, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		f.Compression = "zstd"
		z, err := zstd.NewReader(raw, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
			zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return err
		}
		f.input, f.close = z, z.Close
	default:
		f.Compression = ""
		f.input = raw
	}
	return nil
}

// gzipReader reads the members of a gzip file one after the other. It opens
// the first one late, so that a broken header is an error of reading, and
// passes over zero bytes behind the last one, as gzip does.
type gzipReader struct {
	raw *bufio.Reader
	z   *gzip.Reader
}

func (g *gzipReader) Read(p []byte) (int, error) {
	if g.z == nil {
		z, err := gzip.NewReader(g.raw)
		if err != nil {
			return 0, fmt.Errorf("gzip: %w", unexpected(err))
		}
		z.Multistream(false)
		g.z = z
	}
	for {
		n, err := g.z.Read(p)
		if err != io.EOF {
			if err != nil {
				err = fmt.Errorf("gzip: %w", unexpected(err))
			}
			return n, err
		}
		if n > 0 {
			return n, nil
		}
		if err := g.nextMember(); err != nil {
			return 0, err
		}
	}
}

func (g *gzipReader) nextMember() error {
	for {
		next, err := g.raw.Peek(2)
		switch {
		case len(next) == 0:
			return err
		case next[0] == 0:
			g.raw.Discard(1)
			continue
		case len(next) == 2 && next[0] == 0x1f && next[1] == 0x8b:
			if err := g.z.Reset(g.raw); err != nil {
				return fmt.Errorf("gzip: %w", unexpected(err))
			}
			g.z.Multistream(false)
			return nil
		case len(next) == 1 && next[0] == 0x1f:
			return fmt.Errorf("gzip: %w", io.ErrUnexpectedEOF)
		}
		return errors.New("gzip: something that is not gzip follows the compressed data")
	}
}

// unexpected makes an early end of the input an error.
func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// counter counts what is read through it.
type counter struct {
	r io.Reader
	n *int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	*c.n += int64(n)
	return n, err
}
