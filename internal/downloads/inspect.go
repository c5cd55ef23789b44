package downloads

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"debug/elf"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"math"
	"path"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/gabriel-vasile/mimetype"

	"midden/internal/cowrie"
)

// Sizes, in bytes.
const (
	bufferSize = 128 << 10 // read and digested at a time, and no less than tableSize; more is not faster
	headSize   = 64        // of Content.Head
	// mimeSize is the limit of mimetype itself: it takes less for the whole
	// content, and JSON that is cut off for no JSON.
	mimeSize    = 4096
	shebangSize = 255      // of a script's first line; Linux reads no more
	windowSize  = 1 << 20  // of each end of an ELF file that is kept when it cannot be read again
	tableSize   = 64 << 10 // of an ELF file's program headers, as Linux has it, and of its dynamic section
)

// emptyMime is the type of no content at all, as the program file has it;
// mimetype takes it for text.
const emptyMime = "inode/x-empty"

// inspector reads contents and says what they are. It keeps its buffers, and is
// not for several goroutines at once.
type inspector struct {
	limit             int64 // bytes of a file that is worth opening; 0: any number
	buf               []byte
	sha256, sha1, md5 hash.Hash
	counts            histogram
	kept              ends
}

func newInspector() *inspector {
	return &inspector{buf: make([]byte, bufferSize), sha256: sha256.New(), sha1: sha1.New(), md5: md5.New()}
}

// inspect reads r to its end, once; the error is that of reading, or of ctx,
// which is asked between reads. random, if not nil, is the same content for
// reading anywhere. Without it an ELF file's headers are read from the first and
// the last megabyte, and what lies between is not known, as is what random
// fails to read.
func (in *inspector) inspect(ctx context.Context, r io.Reader, random io.ReaderAt) (*cowrie.Content, error) {
	in.sha256.Reset()
	in.sha1.Reset()
	in.md5.Reset()
	in.counts = histogram{}
	in.kept.reset()

	c := &cowrie.Content{}
	isELF := false
	for {
		b, err := fill(ctx, r, in.buf)
		if err != nil && err != io.EOF {
			return nil, err
		}
		if c.Size == 0 {
			c.Head = bytes.Clone(b[:min(len(b), headSize)])
			c.MimeType = mimeType(b, mimetype.Detect)
			c.Interpreter = interpreter(b)
			isELF = describeIdent(c, b)
		}
		c.Size += int64(len(b))
		in.sha256.Write(b)
		in.sha1.Write(b)
		in.md5.Write(b)
		in.counts.add(b)
		if isELF && random == nil {
			in.kept.add(b)
		}
		if err == io.EOF {
			break
		}
	}
	c.Shasum, c.SHA1, c.MD5 = hexSum(in.sha256), hexSum(in.sha1), hexSum(in.md5)
	c.Entropy = in.counts.entropy(c.Size)
	if isELF {
		if random == nil {
			random = &in.kept
		}
		// Within the size, so that nothing is said that the digests do not cover.
		f := elfFile{at: io.NewSectionReader(random, 0, c.Size), class: c.ELFClass, order: byteOrder(c.ELFOrder), buf: in.buf[:tableSize]}
		c.ELFLinkage, c.ELFStripped = f.describe()
	}
	return c, nil
}

// fill reads until buf is full. It returns io.EOF, with what it read, only at
// the end of r.
func fill(ctx context.Context, r io.Reader, buf []byte) ([]byte, error) {
	n := 0
	for idle := 0; n < len(buf); {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		k, err := r.Read(buf[n:])
		n += k
		if err != nil {
			return buf[:n], err
		}
		if k > 0 {
			idle = 0
		} else if idle++; idle == 100 {
			return nil, io.ErrNoProgress
		}
	}
	return buf[:n], nil
}

func hexSum(h hash.Hash) string {
	var sum [sha256.Size]byte
	return hex.EncodeToString(h.Sum(sum[:0]))
}

// histogram counts bytes in several tables, for the same byte twice in a row
// would wait for its own count.
type histogram [8][256]uint64

func (h *histogram) add(b []byte) {
	for ; len(b) >= 8; b = b[8:] {
		v := binary.LittleEndian.Uint64(b)
		h[0][byte(v)]++
		h[1][byte(v>>8)]++
		h[2][byte(v>>16)]++
		h[3][byte(v>>24)]++
		h[4][byte(v>>32)]++
		h[5][byte(v>>40)]++
		h[6][byte(v>>48)]++
		h[7][byte(v>>56)]++
	}
	for _, c := range b {
		h[0][c]++
	}
}

// entropy returns bits a byte, of size bytes that were counted.
func (h *histogram) entropy(size int64) (bits float64) {
	for c := range 256 {
		n := uint64(0)
		for i := range h {
			n += h[i][c]
		}
		if n > 0 {
			p := float64(n) / float64(size)
			bits -= p * math.Log2(p)
		}
	}
	return bits
}

// mimeType returns the type of content that starts with b, without parameters;
// "" if detect, whose parsers are many, panics.
func mimeType(b []byte, detect func([]byte) *mimetype.MIME) (name string) {
	if len(b) == 0 {
		return emptyMime
	}
	defer func() {
		if recover() != nil {
			name = ""
		}
	}()
	name, _, _ = strings.Cut(detect(b[:min(len(b), mimeSize)]).String(), ";")
	return name
}

// interpreter returns the name, without the directory, of what runs a script
// that starts with b. env is passed over for what it starts, and of busybox the
// applet is told too: "busybox sh". It is "" of a first line that holds what
// cannot be printed, or no name.
func interpreter(b []byte) string {
	line, ok := bytes.CutPrefix(b[:min(len(b), shebangSize)], []byte("#!"))
	if !ok {
		return ""
	}
	if line, _, ok = bytes.Cut(line, []byte("\n")); !ok && len(b) > shebangSize {
		// The last word is cut off, and none is better than half a one.
		line = line[:bytes.LastIndexAny(line, " \t")+1]
	}
	line = bytes.TrimSuffix(line, []byte("\r"))
	hides := func(r rune) bool { return r != '\t' && !unicode.IsPrint(r) }
	if !utf8.Valid(line) || bytes.ContainsFunc(line, hides) {
		return ""
	}
	words := strings.Fields(string(line))
	for len(words) > 0 {
		name := baseName(words[0])
		words = words[1:]
		if name == "env" {
			if next := envCommand(words); len(next) > 0 {
				words = next
				continue
			}
		}
		if name == "busybox" && len(words) > 0 && words[0][0] != '-' && baseName(words[0]) != "" {
			name += " " + baseName(words[0])
		}
		return name
	}
	return ""
}

// baseName returns the name of the file at p, "" if it has none. A name with a
// quote is a part of one: env -S splits words in its own way.
func baseName(p string) string {
	if strings.HasSuffix(p, "/") || strings.ContainsAny(p, `"'\$`) {
		return ""
	}
	if name := path.Base(p); name != "." && name != ".." {
		return name
	}
	return ""
}

// envCommand returns words from the command on that env starts with them.
func envCommand(words []string) []string {
	for i := 0; i < len(words); i++ {
		switch w := words[i]; {
		case w == "--unset" || w == "--chdir" || w == "--argv0":
			i++
		case strings.HasPrefix(w, "--split-string="):
			words[i] = strings.TrimPrefix(w, "--split-string=")
			return words[i:]
		case strings.HasPrefix(w, "--"):
		case w[0] == '-':
			// The argument of these letters is the rest of the word, or else
			// the next one; that of S is the command.
			at := strings.IndexAny(w, "uCPaS")
			atEnd := at == len(w)-1
			if at > 0 && w[at] == 'S' && !atEnd {
				words[i] = w[at+1:]
				return words[i:]
			}
			if at > 0 && w[at] != 'S' && atEnd {
				i++
			}
		case strings.Contains(w, "="):
		default:
			return words[i:]
		}
	}
	return nil
}

// ends keeps the first and the last windowSize bytes of a stream.
type ends struct {
	first, last []byte // last is a ring, of what follows first
	size        int64
}

var errNotKept = errors.New("not kept")

func (e *ends) reset() { e.first, e.size = e.first[:0], 0 }

func (e *ends) add(b []byte) {
	if e.first == nil {
		e.first, e.last = make([]byte, 0, windowSize), make([]byte, windowSize)
	}
	e.size += int64(len(b))
	n := min(len(b), windowSize-len(e.first))
	e.first = append(e.first, b[:n]...)
	for at := e.size - int64(len(b)-n); n < len(b); {
		k := copy(e.last[at%windowSize:], b[n:])
		n, at = n+k, at+int64(k)
	}
}

// ReadAt fails with errNotKept between the two ends.
func (e *ends) ReadAt(p []byte, off int64) (int, error) {
	n := 0
	for n < len(p) {
		at := off + int64(n)
		switch {
		case at >= e.size:
			return n, io.EOF
		case at < int64(len(e.first)):
			n += copy(p[n:], e.first[at:])
		case at >= e.size-windowSize:
			from := at % windowSize
			n += copy(p[n:], e.last[from:min(windowSize, from+e.size-at)])
		default:
			return n, errNotKept
		}
	}
	return n, nil
}

// describeIdent reports whether b begins as an ELF file does, and sets what its
// first 20 bytes say.
func describeIdent(c *cowrie.Content, b []byte) bool {
	if len(b) <= elf.EI_DATA || string(b[:4]) != elf.ELFMAG {
		return false
	}
	class, order := 0, ""
	switch elf.Class(b[elf.EI_CLASS]) {
	case elf.ELFCLASS32:
		class = 32
	case elf.ELFCLASS64:
		class = 64
	}
	switch elf.Data(b[elf.EI_DATA]) {
	case elf.ELFDATA2LSB:
		order = "little"
	case elf.ELFDATA2MSB:
		order = "big"
	}
	if class == 0 || order == "" {
		return false
	}
	c.ELFClass, c.ELFOrder = class, order
	if len(b) >= 20 {
		c.ELFMachine = machineName(byteOrder(order).Uint16(b[18:]))
	}
	return true
}

func byteOrder(name string) binary.ByteOrder {
	if name == "big" {
		return binary.BigEndian
	}
	return binary.LittleEndian
}

// machineName returns a number without a name as hex, such as 0x1234: 386 is a
// name.
func machineName(n uint16) string {
	name, ok := strings.CutPrefix(elf.Machine(n).String(), "EM_")
	if !ok || strings.Contains(name, "+") { // as debug/elf writes what it does not know
		return "0x" + strconv.FormatUint(uint64(n), 16)
	}
	return strings.ToLower(name)
}

// elfFile reads the little that is wanted of an ELF file. debug/elf is not for
// it: it refuses a file whole for one bad header, and is not made for files that
// attackers write. A table is read in a fixed buffer, and at all only if it has
// the size of entries that it must have and lies within the file.
type elfFile struct {
	at    io.ReaderAt
	class int // 32 or 64
	order binary.ByteOrder
	buf   []byte
}

// describe returns "" and nil for what cannot be told.
func (f *elfFile) describe() (linkage string, stripped *bool) {
	h, ok := f.header()
	if !ok {
		return "", nil
	}
	return f.linkage(h), f.stripped(h)
}

// read returns size bytes, in f.buf, and nil if they are not there.
func (f *elfFile) read(off, size uint64) []byte {
	if off > math.MaxInt64 || size > uint64(len(f.buf)) {
		return nil
	}
	b := f.buf[:size]
	if n, _ := f.at.ReadAt(b, int64(off)); n < len(b) {
		return nil
	}
	return b
}

func (f *elfFile) header() (h elf.Header64, ok bool) {
	if f.class == 64 {
		ok = f.decode(f.read(0, uint64(binary.Size(h))), &h)
		return h, ok
	}
	var n elf.Header32
	ok = f.decode(f.read(0, uint64(binary.Size(n))), &n)
	return elf.Header64{
		Type: n.Type, Phoff: uint64(n.Phoff), Phentsize: n.Phentsize, Phnum: n.Phnum,
		Shoff: uint64(n.Shoff), Shentsize: n.Shentsize, Shnum: n.Shnum, Shstrndx: n.Shstrndx,
	}, ok
}

func (f *elfFile) decode(b []byte, v any) bool {
	n, err := binary.Decode(b, f.order, v)
	return err == nil && n == len(b)
}

// programs returns type, place and size of each program header.
func (f *elfFile) programs(h elf.Header64) (list []elf.Prog64) {
	b := f.read(h.Phoff, uint64(h.Phnum)*uint64(h.Phentsize))
	if f.class == 64 && int(h.Phentsize) == binary.Size(elf.Prog64{}) {
		list = make([]elf.Prog64, len(b)/int(h.Phentsize))
		f.decode(b, list)
	} else if f.class == 32 && int(h.Phentsize) == binary.Size(elf.Prog32{}) {
		narrow := make([]elf.Prog32, len(b)/int(h.Phentsize))
		f.decode(b, narrow)
		for _, p := range narrow {
			list = append(list, elf.Prog64{Type: p.Type, Off: uint64(p.Off), Filesz: uint64(p.Filesz)})
		}
	}
	return list
}

// linkage of what has an interpreter or needs a library is dynamic. A dynamic
// section alone is that of a shared object, or of a static executable that can
// be loaded anywhere: such a one says so of itself (DF_1_PIE), or is no ET_DYN.
// What is not for running is not linked.
func (f *elfFile) linkage(h elf.Header64) string {
	if t := elf.Type(h.Type); t != elf.ET_EXEC && t != elf.ET_DYN {
		return ""
	}
	loads, interp := false, false
	var dynamic []elf.Prog64
	for _, p := range f.programs(h) {
		switch elf.ProgType(p.Type) {
		case elf.PT_LOAD:
			loads = true
		case elf.PT_INTERP:
			interp = true
		case elf.PT_DYNAMIC:
			dynamic = append(dynamic, p)
		}
	}
	switch {
	case !loads: // what is there are no program headers
		return ""
	case interp:
		return "dynamic"
	case len(dynamic) > 1: // which one holds is the loader's secret
		return ""
	case len(dynamic) == 1:
		needs, isPIE, ok := f.dynamic(dynamic[0])
		if !ok {
			return ""
		}
		if needs || !isPIE && elf.Type(h.Type) == elf.ET_DYN {
			return "dynamic"
		}
	}
	return "static"
}

// dynamic reads a dynamic section up to its end. It is none without an end or
// without a string table, which every one has: a hole in a download is zeros.
func (f *elfFile) dynamic(p elf.Prog64) (needs, isPIE, ok bool) {
	b := f.read(p.Off, p.Filesz)
	word := func() (v uint64) {
		if f.class == 64 {
			v, b = f.order.Uint64(b), b[8:]
		} else {
			v, b = uint64(f.order.Uint32(b)), b[4:]
		}
		return v
	}
	for hasStrings := false; len(b) >= 2*f.class/8; {
		tag, value := word(), word()
		switch elf.DynTag(tag) {
		case elf.DT_NULL:
			return needs, isPIE, hasStrings
		case elf.DT_STRTAB:
			hasStrings = true
		case elf.DT_NEEDED:
			needs = true
		case elf.DT_FLAGS_1:
			isPIE = value&uint64(elf.DF_1_PIE) != 0
		}
	}
	return false, false, false
}

// stripped reads the types of all sections. A table must look like one, with
// nothing first and a string table where the header says: what is left of a
// table that was mangled does not tell.
func (f *elfFile) stripped(h elf.Header64) *bool {
	if h.Shoff == 0 && h.Shnum == 0 {
		yes := true
		return &yes
	}
	entry := uint64(binary.Size(elf.Section64{}))
	if f.class == 32 {
		entry = uint64(binary.Size(elf.Section32{}))
	}
	// Shnum is also 0 of a table too long for the header, as no program has it.
	if h.Shoff == 0 || h.Shnum == 0 || uint64(h.Shentsize) != entry {
		return nil
	}
	stripped := true
	perRead := uint64(len(f.buf)) / entry
	for i, n := uint64(0), uint64(h.Shnum); i < n; {
		b := f.read(h.Shoff+i*entry, min(perRead, n-i)*entry)
		if b == nil {
			return nil
		}
		for ; len(b) > 0; i, b = i+1, b[entry:] {
			t := elf.SectionType(f.order.Uint32(b[4:]))
			if i == 0 && t != elf.SHT_NULL || i == uint64(h.Shstrndx) && t != elf.SHT_STRTAB {
				return nil
			}
			if t == elf.SHT_SYMTAB {
				stripped = false
			}
		}
	}
	if h.Shstrndx >= h.Shnum {
		return nil
	}
	return &stripped
}
