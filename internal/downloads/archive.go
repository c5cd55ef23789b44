package downloads

import (
	"archive/tar"
	"archive/zip"
	"bufio"
	"bytes"
	"compress/bzip2"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"strconv"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"midden/internal/plain"
)

// Errors of reading an archive. Each comes wrapped, with the member that it
// happened in and what was found.
var (
	// errCutOff says that the archive ends before it should.
	errCutOff = errors.New("cut off")
	// errCorrupt says that the archive holds what its format does not allow.
	errCorrupt = errors.New("corrupt")
	// errLimit says that the archive makes more of itself than it may.
	errLimit = errors.New("stopped by a limit")
	// errEncrypted says that a member of a zip needs a password.
	errEncrypted = errors.New("encrypted")
)

// member is a file in an archive.
type member struct {
	name    string      // as the archive has it: any bytes; never used as a path
	mode    fs.FileMode // type bits alone; ModeIrregular if the type is none that a file system has
	link    bool        // a hard link to another member; it has no content of its own
	size    int64       // as the archive claims, bytes; -1 if it claims what no size can be
	modTime time.Time   // zero if the archive does not say, or says what no calendar has
	r       io.Reader   // its content; valid until the next member
}

// limits bound what an archive may make of itself.
type limits struct {
	members int64 // members at the most
	bytes   int64 // decompressed bytes in all
	ratio   int64 // decompressed bytes for each compressed one, beyond the free ones
	free    int64 // decompressed bytes that no ratio is asked of
}

// defaultLimits are far from what a sensor's downloads come to, and near enough
// to end a bomb within seconds. Text compresses 20:1. A speed test's gigabyte
// of zeros, which attackers do fetch, is 1,000:1 in gzip and 30,000:1 in zstd,
// so the ratio cannot be asked of the first 2 GiB; after them it has to be well
// below the 1,032:1 that deflate can reach at all.
var defaultLimits = limits{members: 2_000_000, bytes: 1 << 40, ratio: 200, free: 2 << 30}

const (
	// maxWindow bounds what a zstd frame may ask for, as in package logs.
	maxWindow = 64 << 20
	// maxProbe is how much of a file isArchive reads: the first block of bzip2
	// has up to 900 kB, and more when it does not compress.
	maxProbe = 2 << 20
	// maxEmptyTar is how long zeros can be and still be a tar without members.
	// tar pads to 10 kB; a megabyte of zeros is something that was downloaded.
	maxEmptyTar = 64 << 10
	// maxDirectory bounds the directory of a zip, which archive/zip keeps in
	// memory: five times as much of it at the worst.
	maxDirectory = 32 << 20
	// maxReadAhead is what may be read of a zip beyond its size, all members
	// together: one that claims to be longer than it is has some of the next
	// read with it.
	maxReadAhead = 1 << 20

	blockSize    = 512 // of a tar
	minDirHeader = 46  // bytes of a zip's directory for each member, and its name
	zipEndSize   = 22
	zip64EndSize = 56
	zip64LocSize = 20
)

// isArchive reports whether a file begins like an archive that readArchive can
// read: a tar, plain or compressed with gzip, bzip2 or zstd, or a zip. It goes
// by the content and leaves the file's position as it is. What is compressed
// and cut off or corrupt in its first block is no archive; an error is one of
// reading the file.
func isArchive(file *os.File) (bool, error) {
	m := &meter{ctx: context.Background(), lim: limits{bytes: math.MaxInt64, free: math.MaxInt64}}
	form, content, closer, err := openContent(m, io.NewSectionReader(file, 0, maxProbe))
	if err != nil {
		return false, err
	}
	defer closer()
	if form == "zip" {
		return true, nil
	}
	block := make([]byte, blockSize)
	if _, err := io.ReadFull(content, block); err != nil {
		return false, m.err
	}
	if !allZero(block) {
		return isTarHeader(block), m.err
	}
	rest, err := io.ReadAll(io.LimitReader(content, maxEmptyTar))
	empty := err == nil && len(rest) >= blockSize && len(rest) < maxEmptyTar && len(rest)%blockSize == 0 && allZero(rest)
	return empty, m.err
}

// readArchive calls f for each member, in the archive's order, and needs nothing
// of a member's content to be read. file is open and regular; a tar is read from
// its beginning by way of its position, which tells how far that is.
//
// An error of f is returned as it is. Otherwise the error says which member it
// happened in, and every member before that one was handed over whole: it is
// errCutOff, errCorrupt, errLimit, ctx's error or that of reading the file.
// The reader of a member returns the same error; a tar ends with it, whatever
// f makes of it. In a zip the other members can still be read after one that is
// cut off, corrupt or encrypted, so there only f learns of it.
func readArchive(ctx context.Context, file *os.File, lim limits, f func(*member) error) error {
	info, err := file.Stat()
	if err != nil {
		return err
	}
	m := &meter{ctx: ctx, lim: lim}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	form, content, closer, err := openContent(m, io.LimitReader(file, info.Size()))
	if err != nil {
		return err
	}
	defer closer()
	if form == "zip" {
		return readZip(m, io.NewSectionReader(file, 0, info.Size()), f)
	}
	return readTar(m, content, f)
}

// openContent tells by the first bytes how a file is packed, and opens what is
// in it. The content of a zip is not opened.
func openContent(m *meter, file io.Reader) (form string, content io.Reader, closer func(), err error) {
	raw := bufio.NewReaderSize(&packed{file, m}, 64<<10)
	magic, err := raw.Peek(10)
	if err != nil && err != io.EOF {
		return "", nil, nil, err
	}
	closer = func() {}
	switch {
	case bytes.HasPrefix(magic, []byte{0x1f, 0x8b}):
		form, content = "gzip", &gzipReader{raw: raw}
	case len(magic) == 10 && bytes.HasPrefix(magic, []byte("BZh")) && magic[3] >= '1' && magic[3] <= '9':
		form, content = "bzip2", bzip2.NewReader(raw)
	case bytes.HasPrefix(magic, []byte{0x28, 0xb5, 0x2f, 0xfd}),
		len(magic) >= 4 && magic[0]&0xf0 == 0x50 && bytes.Equal(magic[1:4], []byte{0x2a, 0x4d, 0x18}): // pzstd begins with a frame to skip
		in := &zstdInput{raw: raw}
		z, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
			zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return "", nil, nil, err
		}
		form, content, closer = "zstd", &zstdReader{z, in, false}, z.Close
	case bytes.HasPrefix(magic, []byte("PK\x03\x04")), bytes.HasPrefix(magic, []byte("PK\x05\x06")):
		return "zip", nil, closer, nil
	default:
		content = raw
	}
	return form, &unpacked{content, m, false}, closer, nil
}

// isTarHeader reports whether a block has the checksum of a member's header,
// which all forms of tar have in common. Some summed signed bytes.
func isTarHeader(block []byte) bool {
	const from, to = 148, 156
	field := bytes.TrimLeft(block[from:to], " \x00")
	if i := bytes.IndexAny(field, " \x00"); i >= 0 {
		field = field[:i]
	}
	want, err := strconv.ParseUint(string(field), 8, 32)
	if err != nil {
		return false
	}
	var unsigned, signed int64
	for i, c := range block[:blockSize] {
		if from <= i && i < to {
			c = ' '
		}
		unsigned += int64(c)
		signed += int64(int8(c))
	}
	return int64(want) == unsigned || int64(want) == signed
}

func allZero(b []byte) bool { return len(bytes.TrimLeft(b, "\x00")) == 0 }

// readTar reads the members of a tar, and of the tars that are appended to it.
// Behind them it goes on to the end of the content, since only there do gzip
// and zstd say whether it came whole.
func readTar(m *meter, content io.Reader, f func(*member) error) error {
	out := content.(*unpacked)
	where := "before the first member"
	for from := content; ; {
		t := tar.NewReader(from)
		for {
			h, err := t.Next()
			if err == io.EOF && !out.ended {
				break // the end mark was there
			}
			if h == nil {
				return fmt.Errorf("%s: %w", where, m.explain(err))
			}
			if err := m.next(); err != nil {
				return fmt.Errorf("%s: %w", where, err)
			}
			if h.Typeflag == tar.TypeXGlobalHeader {
				continue
			}
			c := &tarContent{t: t, m: m, name: h.Name}
			if err := f(tarMember(h, c)); err != nil {
				return err
			}
			if c.err != nil && c.err != io.EOF {
				return c.err
			}
			where = "after member " + quote(h.Name)
			if c.err == nil && h.Size > 0 {
				where = "in or " + where
			}
		}
		where = "after the end of the archive"
		block, err := nextBlock(out)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s: %w", where, m.explain(err))
		}
		from = io.MultiReader(bytes.NewReader(block), out)
	}
}

// nextBlock returns the next block of a tar that is not all zeros. The last
// one may be short, and is filled with zeros.
func nextBlock(r io.Reader) ([]byte, error) {
	block := make([]byte, blockSize)
	for {
		n, err := io.ReadFull(r, block)
		if err == io.ErrUnexpectedEOF && n > 0 {
			clear(block[n:])
			err = nil
		}
		if err != nil || !allZero(block) {
			return block, err
		}
	}
}

func tarMember(h *tar.Header, r io.Reader) *member {
	m := &member{name: h.Name, size: h.Size, modTime: calendar(h.ModTime), r: r}
	switch h.Typeflag {
	case tar.TypeReg, tar.TypeCont, tar.TypeGNUSparse:
	case tar.TypeLink:
		m.link = true
	case tar.TypeSymlink:
		m.mode = fs.ModeSymlink
	case tar.TypeChar:
		m.mode = fs.ModeDevice | fs.ModeCharDevice
	case tar.TypeBlock:
		m.mode = fs.ModeDevice
	case tar.TypeDir, 'D': // D: of GNU's incremental archives, with a list of its files
		m.mode = fs.ModeDir
	case tar.TypeFifo:
		m.mode = fs.ModeNamedPipe
	default:
		m.mode = fs.ModeIrregular
	}
	return m
}

// calendar returns t, or no time if it is the epoch, which is what is written
// where there is none, or one that cannot be written with a year of four digits.
func calendar(t time.Time) time.Time {
	if t.Unix() <= 0 || t.Year() > 9999 {
		return time.Time{}
	}
	return t
}

// tarContent reads the content of a member of a tar.
type tarContent struct {
	t    *tar.Reader
	m    *meter
	name string
	err  error // that ended it
}

func (c *tarContent) Read(p []byte) (int, error) {
	if c.err != nil {
		return 0, c.err
	}
	if err := c.m.stopped(); err != nil {
		return 0, c.fail(err)
	}
	before := c.m.out
	n, err := c.t.Read(p)
	// The holes of a sparse member are made by package tar: they are not in
	// what it read.
	if holes := int64(n) - (c.m.out - before); holes > 0 {
		if err := c.m.hand(holes); err != nil {
			return 0, c.fail(err)
		}
	}
	if err != nil {
		return n, c.fail(err)
	}
	return n, nil
}

func (c *tarContent) fail(err error) error {
	c.err = err
	if err != io.EOF {
		c.err = fmt.Errorf("member %s: %w", quote(c.name), c.m.explain(err))
	}
	return c.err
}

// readZip reads the members of a zip that its directory names.
func readZip(m *meter, file *io.SectionReader, f func(*member) error) error {
	if err := checkZipEnd(file, m.lim); err != nil {
		return err
	}
	source := &zipSource{file: file, m: m, directory: maxDirectory + 128<<10} // and the end record, searched for in the last 65 kB
	z, err := zip.NewReader(source, file.Size())
	if z == nil || err != nil && !errors.Is(err, zip.ErrInsecurePath) {
		if m.err == nil && (errors.Is(err, zip.ErrFormat) || errors.Is(err, io.ErrUnexpectedEOF)) {
			return fmt.Errorf("zip: %w or %w: the directory at its end is missing or not as it should be", errCutOff, errCorrupt)
		}
		return fmt.Errorf("zip: directory: %w", m.explain(err))
	}
	z.RegisterDecompressor(zstd.ZipMethodWinZip, zstd.ZipDecompressor(zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow)))
	source.directory = -1
	m.in = 0
	where := "before the first member"
	for _, file := range z.File {
		if err := m.next(); err != nil {
			return fmt.Errorf("%s: %w", where, err)
		}
		c := &zipContent{file: file, m: m}
		err := f(zipMember(file, c))
		c.close()
		if err != nil {
			return err
		}
		if m.err != nil {
			return c.err
		}
		where = "after member " + quote(file.Name)
	}
	return nil
}

func zipMember(file *zip.File, r io.Reader) *member {
	m := &member{name: file.Name, mode: file.Mode() & fs.ModeType, size: -1, modTime: calendar(file.Modified), r: r}
	if file.UncompressedSize64 <= math.MaxInt64 {
		m.size = int64(file.UncompressedSize64)
	}
	// No date at all is read as the last day of November 1979.
	if file.ModifiedDate == 0 && m.modTime.Year() == 1979 {
		m.modTime = time.Time{}
	}
	return m
}

// checkZipEnd refuses a zip whose end record claims more than it may, before
// archive/zip makes room for it. It finds the record where archive/zip does,
// and leaves to it to say what is wrong with it.
func checkZipEnd(file *io.SectionReader, lim limits) error {
	for _, n := range []int64{1 << 10, 65 << 10} {
		tail := make([]byte, min(n, file.Size()))
		from := file.Size() - int64(len(tail))
		if _, err := file.ReadAt(tail, from); err != nil && err != io.EOF {
			return err
		}
		i := bytes.LastIndex(tail[:max(0, len(tail)-zipEndSize+4)], []byte("PK\x05\x06"))
		if i < 0 {
			continue
		}
		end := tail[i:]
		members := uint64(binary.LittleEndian.Uint16(end[10:]))
		size := uint64(binary.LittleEndian.Uint32(end[12:]))
		if loc := make([]byte, zip64LocSize); readAt(file, loc, from+int64(i)-zip64LocSize, "PK\x06\x07") {
			end := make([]byte, zip64EndSize)
			if readAt(file, end, int64(binary.LittleEndian.Uint64(loc[8:])), "PK\x06\x06") {
				members = max(members, binary.LittleEndian.Uint64(end[32:]))
				if n := binary.LittleEndian.Uint64(end[40:]); size == math.MaxUint32 || n > size {
					size = n
				}
			}
		}
		if members > uint64(lim.members) || members > maxDirectory/minDirHeader {
			return fmt.Errorf("zip: %w: it claims %s members, and %s are read", errLimit,
				countOf(members), plain.Count(min(lim.members, maxDirectory/minDirHeader)))
		}
		if size > maxDirectory {
			return fmt.Errorf("zip: %w: it claims a directory of %s bytes, and %s are read", errLimit,
				countOf(size), plain.Count(maxDirectory))
		}
		return nil
	}
	return nil
}

// readAt fills p from offset, and reports whether it could and p begins with
// magic.
func readAt(file io.ReaderAt, p []byte, offset int64, magic string) bool {
	n, _ := file.ReadAt(p, offset)
	return n == len(p) && bytes.HasPrefix(p, []byte(magic))
}

func countOf(n uint64) string { return plain.Count(int64(min(n, math.MaxInt64))) }

// zipSource is the file that archive/zip reads, with a bound on the directory,
// whatever the end record claims of it.
type zipSource struct {
	file      *io.SectionReader
	m         *meter
	directory int64 // bytes that may still be read of it; -1 once it has been read
}

func (s *zipSource) ReadAt(p []byte, offset int64) (int, error) {
	if err := s.m.stopped(); err != nil {
		return 0, err
	}
	if s.directory >= 0 {
		if s.directory -= int64(len(p)); s.directory < 0 {
			return 0, s.m.stop(fmt.Errorf("%w: more than %s bytes", errLimit, plain.Count(maxDirectory)))
		}
	}
	n, err := s.file.ReadAt(p, offset)
	s.m.in += int64(n)
	switch {
	case err != nil && err != io.EOF:
		s.m.stop(err)
	case s.directory < 0 && s.m.in > s.file.Size()+maxReadAhead:
		return 0, s.m.stop(fmt.Errorf("%w: more was read than the file's %s bytes: members share their data; what came before is kept",
			errLimit, plain.Count(s.file.Size())))
	}
	return n, err
}

// zipContent reads the content of a member of a zip, which it opens when it is
// first read.
type zipContent struct {
	file *zip.File
	m    *meter
	r    io.ReadCloser
	n    uint64 // bytes that were read
	err  error  // that ended it
}

func (c *zipContent) Read(p []byte) (int, error) {
	if c.err != nil {
		return 0, c.err
	}
	n, err := c.read(p)
	if err != nil {
		c.err = err
		if err != io.EOF {
			c.err = fmt.Errorf("member %s: %w", quote(c.file.Name), err)
		}
	}
	return n, c.err
}

func (c *zipContent) read(p []byte) (int, error) {
	if err := c.m.stopped(); err != nil {
		return 0, err
	}
	if c.r == nil {
		const encrypted = 1
		if c.file.Flags&encrypted != 0 {
			return 0, errEncrypted
		}
		var err error
		switch c.r, err = c.file.Open(); {
		case errors.Is(err, zip.ErrAlgorithm):
			return 0, fmt.Errorf("%w: method %d", err, c.file.Method)
		case errors.Is(err, zip.ErrFormat):
			return 0, fmt.Errorf("%w: it is not where the directory says", errCorrupt)
		case err != nil:
			return 0, c.m.explain(err)
		}
	}
	n, err := c.r.Read(p)
	if err := c.m.hand(int64(n)); err != nil {
		return 0, err
	}
	// The checksum is compared at the end. Someone who reads as many bytes as
	// the archive claims would never get there, so the last ones wait for it.
	c.n += uint64(n)
	for err == nil && c.n == c.file.UncompressedSize64 {
		var beyond [1]byte
		var m int
		if m, err = c.r.Read(beyond[:]); err != nil && err != io.EOF {
			n = 0
		} else if m > 0 {
			c.n++
		}
	}
	switch {
	case err == nil || err == io.EOF:
		return n, err
	case c.m.err == nil && errors.Is(err, zip.ErrFormat):
		return n, fmt.Errorf("%w: it is longer than the archive says", errCorrupt)
	}
	return n, c.m.explain(err)
}

func (c *zipContent) close() {
	if c.r != nil {
		c.r.Close()
	}
	if c.err == nil {
		c.err = io.ErrClosedPipe
	}
}

// meter counts what goes into an archive's decompression and what comes out,
// and keeps the error that ends it for good: a limit, the context's, or that of
// reading the file.
type meter struct {
	ctx     context.Context
	lim     limits
	members int64
	in, out int64 // compressed bytes, and decompressed ones with the holes of sparse members
	// in and out when the member began: what a bomb may make of itself is not
	// to grow with what stands before it.
	inBefore, outBefore int64
	err                 error
}

func (m *meter) stop(err error) error {
	if m.err == nil {
		m.err = err
	}
	return m.err
}

// stopped returns the error that ended it, if there is one.
func (m *meter) stopped() error {
	if err := m.ctx.Err(); err != nil {
		return m.stop(err)
	}
	return m.err
}

// next counts a member.
func (m *meter) next() error {
	m.members++
	m.inBefore, m.outBefore = m.in, m.out
	if m.members > m.lim.members {
		return m.stop(fmt.Errorf("%w: more than %s members; what came before is kept", errLimit, plain.Count(m.lim.members)))
	}
	return m.stopped()
}

// hand counts n decompressed bytes before they are handed on.
func (m *meter) hand(n int64) error {
	m.out += n
	switch {
	case m.out > m.lim.bytes:
		return m.stop(fmt.Errorf("%w: more than %s decompressed bytes; what came before is kept", errLimit, plain.Count(m.lim.bytes)))
	case m.bursts(m.in, m.out):
		return m.stop(m.ratio("it", m.in, m.out))
	case m.bursts(m.in-m.inBefore, m.out-m.outBefore):
		return m.stop(m.ratio("this member", m.in-m.inBefore, m.out-m.outBefore))
	}
	return nil
}

func (m *meter) bursts(in, out int64) bool {
	return out > m.lim.free && (out-m.lim.free)/m.lim.ratio > in
}

func (m *meter) ratio(what string, in, out int64) error {
	return fmt.Errorf("%w: %s made %s bytes of %s, and %s bytes for each are the most beyond %s; what came before is kept",
		errLimit, what, plain.Count(out), plain.Count(in), plain.Count(m.lim.ratio), plain.Bytes(m.lim.free))
}

// explain returns what an error of the decompressor or of the archive's reader
// comes to.
func (m *meter) explain(err error) error {
	switch {
	case m.err != nil:
		return m.err
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return errCutOff
	case errors.Is(err, gzip.ErrChecksum), errors.Is(err, zstd.ErrCRCMismatch):
		return fmt.Errorf("%w: %w: any member before may be damaged", errCorrupt, err)
	}
	return fmt.Errorf("%w: %w", errCorrupt, err)
}

// quote returns a name for a message: on one line, and shortened.
func quote(name string) string {
	const most = 255
	if len(name) > most {
		return plain.Quote(name[:most]) + "…"
	}
	return plain.Quote(name)
}

// packed counts what is read of the file, and asks the context.
type packed struct {
	r io.Reader
	m *meter
}

func (p *packed) Read(b []byte) (int, error) {
	if err := p.m.stopped(); err != nil {
		return 0, err
	}
	n, err := p.r.Read(b)
	p.m.in += int64(n)
	if err != nil && err != io.EOF {
		p.m.stop(err)
	}
	return n, err
}

// unpacked counts what comes out of the decompressor.
type unpacked struct {
	r     io.Reader
	m     *meter
	ended bool // someone tried to read on at the end
}

func (u *unpacked) Read(b []byte) (int, error) {
	if err := u.m.stopped(); err != nil {
		return 0, err
	}
	n, err := u.r.Read(b)
	if err := u.m.hand(int64(n)); err != nil {
		return 0, err
	}
	u.ended = n == 0 && err == io.EOF
	return n, err
}

// gzipReader reads the members of a gzip file one after the other, and passes
// over zero bytes behind the last one, as gzip does.
type gzipReader struct {
	raw *bufio.Reader
	z   *gzip.Reader
}

func (g *gzipReader) Read(p []byte) (int, error) {
	if g.z == nil {
		z, err := gzip.NewReader(g.raw)
		if err != nil {
			return 0, unexpected(err)
		}
		z.Multistream(false)
		g.z = z
	}
	for {
		n, err := g.z.Read(p)
		if err != io.EOF || n > 0 {
			if err == io.EOF {
				err = nil
			}
			return n, err
		}
		if err := g.nextMember(); err != nil {
			return 0, err
		}
	}
}

func (g *gzipReader) nextMember() error {
	if err := skipZeros(g.raw); err != nil {
		return err
	}
	if magic, err := g.raw.Peek(2); err != nil || magic[0] != 0x1f || magic[1] != 0x8b {
		if err != nil && err != io.EOF {
			return err
		}
		return errors.New("gzip: something that is not gzip follows the compressed data")
	}
	if err := g.z.Reset(g.raw); err != nil {
		return unexpected(err)
	}
	g.z.Multistream(false)
	return nil
}

// zstdReader reads the frames of a zstd file, and passes over zero bytes behind
// the last one, which the decoder takes for a broken frame.
type zstdReader struct {
	z   *zstd.Decoder
	in  *zstdInput
	any bool // something came out
}

func (z *zstdReader) Read(p []byte) (int, error) {
	n, err := z.z.Read(p)
	z.any = z.any || n > 0
	if errors.Is(err, zstd.ErrMagicMismatch) && z.any {
		if z.in.last == [4]byte{} && skipZeros(z.in.raw) == io.EOF {
			return n, io.EOF
		}
		err = errors.New("zstd: something that is not zstd follows the compressed data")
	}
	return n, err
}

// zstdInput is what the decoder reads. It takes no more than it needs, and the
// last four bytes are the beginning of the frame that it refuses.
type zstdInput struct {
	raw  *bufio.Reader
	last [4]byte
}

func (in *zstdInput) Read(p []byte) (int, error) {
	n, err := in.raw.Read(p)
	for _, c := range p[max(0, n-len(in.last)):n] {
		copy(in.last[:], in.last[1:])
		in.last[len(in.last)-1] = c
	}
	return n, err
}

// skipZeros goes to the next byte that is not zero; there may be none: io.EOF.
func skipZeros(r *bufio.Reader) error {
	for {
		c, err := r.ReadByte()
		if err != nil {
			return err
		}
		if c != 0 {
			return r.UnreadByte()
		}
	}
}

// unexpected makes an early end of the input an error.
func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
