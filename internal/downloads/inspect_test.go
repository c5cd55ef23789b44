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
	"io"
	"math"
	"math/rand/v2"
	"os"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/gabriel-vasile/mimetype"
	"github.com/google/go-cmp/cmp"

	"midden/internal/cowrie"
)

// inspectBoth inspects data with and without reading anywhere, looks that the
// digests are right and that the two agree, and returns both.
func inspectBoth(t testing.TB, in *inspector, data []byte) (random, stream *cowrie.Content) {
	t.Helper()
	random, err := in.inspect(t.Context(), bytes.NewReader(data), bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	stream, err = in.inspect(t.Context(), bytes.NewReader(data), nil)
	if err != nil {
		t.Fatal(err)
	}
	s256, s1, m5 := sha256.Sum256(data), sha1.Sum(data), md5.Sum(data)
	want := &cowrie.Content{
		Shasum: hex.EncodeToString(s256[:]), SHA1: hex.EncodeToString(s1[:]), MD5: hex.EncodeToString(m5[:]),
		Size: int64(len(data)), Head: append([]byte{}, data[:min(64, len(data))]...),
	}
	got := &cowrie.Content{Shasum: random.Shasum, SHA1: random.SHA1, MD5: random.MD5, Size: random.Size, Head: random.Head}
	if d := cmp.Diff(want, got); d != "" {
		t.Fatalf("of %d bytes (-want +got):\n%s", len(data), d)
	}
	saysNoMore(t, random, stream)
	return random, stream
}

// saysNoMore fails if stream says anything else than random, or less for a file
// that is kept whole.
func saysNoMore(t testing.TB, random, stream *cowrie.Content) {
	t.Helper()
	s := *stream
	if s.Size > 2*windowSize {
		if s.ELFLinkage == "" {
			s.ELFLinkage = random.ELFLinkage
		}
		if s.ELFStripped == nil {
			s.ELFStripped = random.ELFStripped
		}
	}
	if d := cmp.Diff(random, &s); d != "" {
		t.Fatalf("a stream of %d bytes says otherwise (-random +stream):\n%s", s.Size, d)
	}
}

func noise(n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{1}).Read(b)
	return b
}

func TestInspectDigests(t *testing.T) {
	in := newInspector()
	for _, c := range []struct{ data, sha256, sha1, md5 string }{
		{"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "da39a3ee5e6b4b0d3255bfef95601890afd80709", "d41d8cd98f00b204e9800998ecf8427e"},
		{"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", "a9993e364706816aba3e25717850c26c9cd0d89d", "900150983cd24fb0d6963f7d28e17f72"},
		{strings.Repeat("a", 1e6), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0", "34aa973cd4c4daa4f61eeb2bdbad27316534016f", "7707d6ae4e027c70eea2a935c2296f21"},
	} {
		got, _ := inspectBoth(t, in, []byte(c.data))
		if got.Shasum != c.sha256 || got.SHA1 != c.sha1 || got.MD5 != c.md5 {
			t.Errorf("of %d bytes: %s %s %s", len(c.data), got.Shasum, got.SHA1, got.MD5)
		}
	}
}

// Around every boundary, and as readers may give it.
func TestInspectLengths(t *testing.T) {
	in := newInspector()
	all := noise(2*windowSize + bufferSize + 2)
	for _, n := range []int{1, headSize, mimeSize, bufferSize, 2 * bufferSize, windowSize, windowSize + bufferSize, 2 * windowSize, len(all) - 1} {
		for _, n := range []int{n - 1, n, n + 1} {
			for _, start := range []string{"", "\x7fELF\x02\x01\x01"} {
				data := all[len(all)-n:]
				if len(start) <= n {
					data = append([]byte(start), data[len(start):]...)
				}
				want, _ := inspectBoth(t, in, data)
				for name, reader := range map[string]io.Reader{
					"half":          iotest.HalfReader(bytes.NewReader(data)),
					"data with EOF": iotest.DataErrReader(bytes.NewReader(data)),
				} {
					got, err := in.inspect(t.Context(), reader, nil)
					if err != nil {
						t.Fatal(err)
					}
					if got.Shasum != want.Shasum || got.Entropy != want.Entropy || got.Size != want.Size {
						t.Errorf("%d bytes, %s: %+v, not %+v", n, name, got, want)
					}
				}
			}
		}
	}
	got, err := in.inspect(t.Context(), iotest.OneByteReader(strings.NewReader("#!/bin/sh\n")), nil)
	if err != nil || got.Interpreter != "sh" || got.MimeType != "text/x-shellscript" || string(got.Head) != "#!/bin/sh\n" {
		t.Errorf("byte by byte: %+v, %v", got, err)
	}
}

func TestInspectEntropy(t *testing.T) {
	in := newInspector()
	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	for _, c := range []struct {
		name string
		data []byte
		want float64
	}{
		{"empty", nil, 0},
		{"one byte", []byte("a"), 0},
		{"zeros", make([]byte, 3*bufferSize+5), 0},
		{"every byte", every, 8},
		{"every byte often", bytes.Repeat(every, 5000), 8},
		{"two in turn", bytes.Repeat([]byte("ab"), bufferSize), 1},
		{"one in four", []byte("abbb"), 2 - 0.75*math.Log2(3)},
		{"in the rest behind eight", []byte("aaaaaaaabbbb"), math.Log2(3) - 2./3},
	} {
		if got, _ := inspectBoth(t, in, c.data); math.Abs(got.Entropy-c.want) > 1e-12 {
			t.Errorf("%s: %v, not %v", c.name, got.Entropy, c.want)
		}
	}
}

func TestInspectMimeType(t *testing.T) {
	in := newInspector()
	longJSON := `{"a": [` + strings.Repeat(`"0123456789", `, 1000) + `0]}`
	for _, c := range []struct{ data, want string }{
		{"", "inode/x-empty"},
		{"hello\n", "text/plain"},
		{"<html><body>", "text/html"},
		{"#!/bin/sh\necho\n", "text/x-shellscript"},
		{"\x1f\x8b\x08", "application/gzip"},
		{"\x00\x01\x02\x03", "application/octet-stream"},
		{longJSON, "application/json"}, // though it is cut off
		{string(elfImage{kind: elf.ET_EXEC}.build()), "application/x-executable"},
	} {
		if got, _ := inspectBoth(t, in, []byte(c.data)); got.MimeType != c.want {
			t.Errorf("%.20q: %q, not %q", c.data, got.MimeType, c.want)
		}
	}
	if got := mimeType([]byte("a"), func([]byte) *mimetype.MIME { panic("a parser") }); got != "" {
		t.Errorf("of a panic: %q", got)
	}
}

func TestInterpreter(t *testing.T) {
	long := func(n int) string { return strings.Repeat("a", n) }
	for _, c := range []struct{ in, want string }{
		{"", ""},
		{"#", ""},
		{"#!", ""},
		{"#!\n", ""},
		{"#!  \t \n/bin/sh", ""},
		{"#!/bin/sh", "sh"},
		{"#!/bin/sh\n", "sh"},
		{"#!/bin/sh\r\n", "sh"},
		{"#! \t /bin/bash -e -x\necho", "bash"},
		{"#!/usr/bin/python3.11\n", "python3.11"},
		{"#!sh\n", "sh"},
		{" #!/bin/sh\n", ""},
		{"\n#!/bin/sh\n", ""},
		{"\xef\xbb\xbf#!/bin/sh\n", ""},
		{"#/bin/sh\n", ""},

		{"#!/usr/bin/env python3\n", "python3"},
		{"#!/usr/bin/env -S python3 -u\n", "python3"},
		{"#!/usr/bin/env -Spython3 -u\n", "python3"},
		{"#!/usr/bin/env -vS perl\n", "perl"},
		{"#!/usr/bin/env --split-string=perl -w\n", "perl"},
		{"#!/usr/bin/env --split-string=\n", ""},
		{"#!/usr/bin/env -i A=b C= /opt/bin/ruby D=e\n", "ruby"},
		{"#!/usr/bin/env - sh\n", "sh"},
		{"#!/usr/bin/env -u HOME -C /tmp sh\n", "sh"},
		{"#!/usr/bin/env -iuHOME sh\n", "sh"},
		{"#!/usr/bin/env --unset HOME --ignore-environment --chdir=/tmp -- sh\n", "sh"},
		{"#!/usr/bin/env -S \"python3 -u\"\n", ""},
		{"#!/usr/bin/env env sh\n", "sh"},
		{"#!/usr/bin/env\n", "env"},
		{"#!/usr/bin/env -u\n", "env"},
		{"#!/usr/bin/env A=b\n", "env"},
		{"#!/bin/busybox sh\n", "busybox sh"},
		{"#!/usr/bin/env busybox ash -x\n", "busybox ash"},
		{"#!/bin/busybox\n", "busybox"},
		{"#!/bin/busybox -x\n", "busybox"},
		{"#!/bin/busybox /\n", "busybox"},

		{"#!/bin/\n", ""},
		{"#!/\n", ""},
		{"#!..\n", ""},
		{"#!/bin/.\n", ""},
		{"#!/bin/\"sh\n", ""},
		{"#!/bin/é\n", "é"},
		{"#!/bin/sh\x00\n", ""},
		{"#!/bin/s\x1b[31mh\n", ""},
		{"#!/bin/sh -\x07\n", ""},
		{"#!/bin/sh\r-x\n", ""},
		{"#!/bin/sh\xff\n", ""},
		{"#!/bin/sh\u202e\n", ""},
		{"#!/bin/sh\u00a0-x\n", ""},
		{"#!/bin/sh\n\x00\xff", "sh"},

		{"#!/" + long(252), long(252)},         // 255 bytes, and no more
		{"#!/" + long(252) + "b", ""},          // may be any name
		{"#!/bin/sh " + long(300), "sh"},       // only the argument is cut off
		{"#!/bin/env " + long(300), "env"},     // as far as is known
		{"#!/bin/sh " + long(244) + "é", "sh"}, // a letter cut in two
		{"#!" + long(300) + " /bin/sh", ""},
		{"#!" + strings.Repeat(" ", 300) + "/bin/sh", ""},
	} {
		if got := interpreter([]byte(c.in)); got != c.want {
			t.Errorf("%.60q: %q, not %q", c.in, got, c.want)
		}
	}
}

// elfImage is an ELF file to be built.
type elfImage struct {
	class    int // 64 if 0
	big      bool
	kind     elf.Type
	machine  elf.Machine
	noLoad   bool // no PT_LOAD
	interp   bool
	dynamic  []uint64 // tags and values
	dynamics int      // how often the dynamic section is referred to; 1 if 0
	sections []elf.SectionType
	pad      int // bytes between program and section headers
	mangle   func(*elf.Header64)
	segment  func(*elf.Prog64)
}

var (
	strippedSections = []elf.SectionType{elf.SHT_NULL, elf.SHT_PROGBITS, elf.SHT_DYNSYM, elf.SHT_STRTAB}
	symbolSections   = []elf.SectionType{elf.SHT_NULL, elf.SHT_PROGBITS, elf.SHT_SYMTAB, elf.SHT_STRTAB}
)

func (m elfImage) build() []byte {
	order := binary.AppendByteOrder(binary.LittleEndian)
	h := elf.Header64{Type: uint16(m.kind), Machine: uint16(m.machine), Version: 1, Ehsize: 64, Phentsize: 56}
	copy(h.Ident[:], "\x7fELF\x02\x01\x01")
	shentsize := uint16(64)
	if m.big {
		order = binary.BigEndian
		h.Ident[elf.EI_DATA] = byte(elf.ELFDATA2MSB)
	}
	if m.class == 32 {
		h.Ident[elf.EI_CLASS] = byte(elf.ELFCLASS32)
		h.Ehsize, h.Phentsize, shentsize = 52, 32, 40
	}
	word := func(b []byte, v uint64) []byte {
		if m.class == 32 {
			return order.AppendUint32(b, uint32(v))
		}
		return order.AppendUint64(b, v)
	}

	var data []byte
	progs := []elf.Prog64{{Type: uint32(elf.PT_LOAD)}}
	if m.noLoad {
		progs[0].Type = uint32(elf.PT_NOTE)
	}
	if m.interp {
		data = append(data, "/lib/ld.so\x00"...)
		progs = append(progs, elf.Prog64{Type: uint32(elf.PT_INTERP), Filesz: uint64(len(data))})
	}
	if m.dynamic != nil {
		p := elf.Prog64{Type: uint32(elf.PT_DYNAMIC), Off: uint64(len(data))}
		for _, v := range m.dynamic {
			data = word(data, v)
		}
		p.Filesz = uint64(len(data)) - p.Off
		for range max(1, m.dynamics) {
			progs = append(progs, p)
		}
	}
	if m.kind == elf.ET_REL {
		progs = nil
	}

	h.Phoff, h.Phnum = uint64(h.Ehsize), uint16(len(progs))
	start := h.Phoff + uint64(h.Phentsize)*uint64(len(progs))
	if m.sections != nil {
		h.Shoff = start + uint64(len(data)+m.pad)
		h.Shentsize, h.Shnum, h.Shstrndx = shentsize, uint16(len(m.sections)), uint16(len(m.sections)-1)
	}
	if m.mangle != nil {
		m.mangle(&h)
	}

	b := append([]byte{}, h.Ident[:]...)
	b = order.AppendUint16(b, h.Type)
	b = order.AppendUint16(b, h.Machine)
	b = order.AppendUint32(b, h.Version)
	for _, v := range []uint64{h.Entry, h.Phoff, h.Shoff} {
		b = word(b, v)
	}
	b = order.AppendUint32(b, h.Flags)
	for _, v := range []uint16{h.Ehsize, h.Phentsize, h.Phnum, h.Shentsize, h.Shnum, h.Shstrndx} {
		b = order.AppendUint16(b, v)
	}
	for _, p := range progs {
		p.Off += start
		if m.segment != nil {
			m.segment(&p)
		}
		b = order.AppendUint32(b, p.Type)
		if m.class == 32 {
			for _, v := range []uint64{p.Off, p.Vaddr, p.Paddr, p.Filesz, p.Memsz, uint64(p.Flags), p.Align} {
				b = word(b, v)
			}
			continue
		}
		b = order.AppendUint32(b, p.Flags)
		for _, v := range []uint64{p.Off, p.Vaddr, p.Paddr, p.Filesz, p.Memsz, p.Align} {
			b = word(b, v)
		}
	}
	b = append(b, data...)
	if m.sections == nil {
		return append(b, make([]byte, m.pad)...)
	}
	b = append(b, make([]byte, m.pad)...)
	for _, s := range m.sections {
		entry := order.AppendUint32(make([]byte, 4, shentsize), uint32(s))
		b = append(b, append(entry, make([]byte, int(shentsize)-len(entry))...)...)
	}
	return b
}

const (
	strtab  = uint64(elf.DT_STRTAB)
	needed  = uint64(elf.DT_NEEDED)
	flags1  = uint64(elf.DT_FLAGS_1)
	pie     = uint64(elf.DF_1_PIE)
	bindNow = uint64(elf.DF_1_NOW)
)

// elfWords says a Content's ELF facts in a line.
func elfWords(c *cowrie.Content) string {
	if c.ELFClass == 0 && c.ELFOrder == "" && c.ELFMachine == "" && c.ELFLinkage == "" && c.ELFStripped == nil {
		return ""
	}
	stripped := "?"
	if c.ELFStripped != nil {
		stripped = map[bool]string{true: "stripped", false: "symbols"}[*c.ELFStripped]
	}
	class := map[int]string{32: "32", 64: "64"}[c.ELFClass]
	linkage := c.ELFLinkage
	if linkage == "" {
		linkage = "?"
	}
	return strings.Join([]string{class, c.ELFOrder, c.ELFMachine, linkage, stripped}, " ")
}

func TestInspectELF(t *testing.T) {
	in := newInspector()
	for _, c := range []struct {
		name  string
		image elfImage
		want  string
	}{
		{"static", elfImage{kind: elf.ET_EXEC, machine: elf.EM_X86_64}, "64 little x86_64 static stripped"},
		{"static, sections", elfImage{kind: elf.ET_EXEC, machine: elf.EM_ARM, class: 32, sections: strippedSections}, "32 little arm static stripped"},
		{"symbols", elfImage{kind: elf.ET_EXEC, machine: elf.EM_MIPS, class: 32, big: true, sections: symbolSections}, "32 big mips static symbols"},
		{"64, big", elfImage{kind: elf.ET_EXEC, machine: elf.EM_PPC64, big: true, interp: true, sections: symbolSections}, "64 big ppc64 dynamic symbols"},
		{"interpreter", elfImage{kind: elf.ET_DYN, machine: elf.EM_386, class: 32, interp: true, dynamic: []uint64{}}, "32 little 386 dynamic stripped"},
		{"needs", elfImage{kind: elf.ET_DYN, dynamic: []uint64{strtab, 1, needed, 1, 0, 0}}, "64 little none dynamic stripped"},
		{"needs, 32 big", elfImage{kind: elf.ET_DYN, class: 32, big: true, dynamic: []uint64{strtab, 1, needed, 1, 0, 0}}, "32 big none dynamic stripped"},
		{"needs behind the end", elfImage{kind: elf.ET_DYN, dynamic: []uint64{strtab, 1, flags1, pie, 0, 0, needed, 1}}, "64 little none static stripped"},
		{"needs as a value", elfImage{kind: elf.ET_EXEC, dynamic: []uint64{strtab, needed, 0, 0}}, "64 little none static stripped"},
		{"no needs", elfImage{kind: elf.ET_DYN, dynamic: []uint64{strtab, 1, flags1, bindNow, 0, 0}}, "64 little none dynamic stripped"},
		{"static-pie", elfImage{kind: elf.ET_DYN, dynamic: []uint64{strtab, 1, flags1, bindNow | pie, 0, 0}}, "64 little none static stripped"},
		{"static-pie, 32", elfImage{kind: elf.ET_DYN, class: 32, dynamic: []uint64{strtab, 1, flags1, pie, 0, 0}}, "32 little none static stripped"},
		{"needs and a flag", elfImage{kind: elf.ET_DYN, dynamic: []uint64{strtab, 1, flags1, pie, needed, 1, 0, 0}}, "64 little none dynamic stripped"},
		{"dynamic section without an end", elfImage{kind: elf.ET_DYN, dynamic: []uint64{strtab, 1, needed, 1}}, "64 little none ? stripped"},
		{"zeros for a dynamic section", elfImage{kind: elf.ET_EXEC, dynamic: make([]uint64, 10)}, "64 little none ? stripped"},
		{"two dynamic sections", elfImage{kind: elf.ET_DYN, dynamic: []uint64{strtab, 1, needed, 1, 0, 0}, dynamics: 2}, "64 little none ? stripped"},
		{"an interpreter and nothing to load", elfImage{kind: elf.ET_EXEC, noLoad: true, interp: true}, "64 little none ? stripped"},
		{"nothing to load", elfImage{kind: elf.ET_EXEC, noLoad: true}, "64 little none ? stripped"},
		{"object", elfImage{kind: elf.ET_REL, machine: elf.EM_RISCV, sections: symbolSections}, "64 little riscv ? symbols"},
		{"core", elfImage{kind: elf.ET_CORE}, "64 little none ? stripped"},
		{"unknown machine", elfImage{kind: elf.ET_EXEC, machine: 386}, "64 little 0x182 static stripped"},
		{"sections far behind", elfImage{kind: elf.ET_EXEC, sections: symbolSections, pad: 3 * windowSize}, "64 little none static symbols"},
		{"many sections", elfImage{kind: elf.ET_EXEC, sections: append(make([]elf.SectionType, 5000), elf.SHT_SYMTAB, elf.SHT_STRTAB)}, "64 little none static symbols"},

		{"program headers that are not there", elfImage{kind: elf.ET_EXEC, mangle: func(h *elf.Header64) { h.Phnum = 0xffff }}, "64 little none ? stripped"},
		{"program headers in the distance", elfImage{kind: elf.ET_EXEC, mangle: func(h *elf.Header64) { h.Phoff = math.MaxUint64 - 7 }}, "64 little none ? stripped"},
		{"program headers of another size", elfImage{kind: elf.ET_EXEC, mangle: func(h *elf.Header64) { h.Phentsize = 1 }}, "64 little none ? stripped"},
		{"program headers of no size", elfImage{kind: elf.ET_EXEC, mangle: func(h *elf.Header64) { h.Phentsize = 0 }}, "64 little none ? stripped"},
		{"program headers of no number", elfImage{kind: elf.ET_EXEC, mangle: func(h *elf.Header64) { h.Phnum = 0 }}, "64 little none ? stripped"},
		{"too many program headers", elfImage{kind: elf.ET_EXEC, pad: 8 << 20, mangle: func(h *elf.Header64) { h.Phnum = 0xffff }}, "64 little none ? stripped"},
		{"segment in the distance", elfImage{kind: elf.ET_DYN, dynamic: []uint64{strtab, 1, needed, 1, 0, 0}, segment: func(p *elf.Prog64) { p.Off = math.MaxUint64 - 1 }}, "64 little none ? stripped"},
		{"segment without end", elfImage{kind: elf.ET_DYN, dynamic: []uint64{strtab, 1, needed, 1, 0, 0}, segment: func(p *elf.Prog64) { p.Filesz = math.MaxUint64 }}, "64 little none ? stripped"},
		{"segment that overlaps the header", elfImage{kind: elf.ET_DYN, dynamic: []uint64{strtab, 1, needed, 1, 0, 0}, segment: func(p *elf.Prog64) { p.Off = 0 }}, "64 little none ? stripped"},

		{"sections that are not there", elfImage{kind: elf.ET_EXEC, sections: symbolSections, mangle: func(h *elf.Header64) { h.Shnum = 0xffff }}, "64 little none static ?"},
		{"sections in the distance", elfImage{kind: elf.ET_EXEC, sections: symbolSections, mangle: func(h *elf.Header64) { h.Shoff = math.MaxUint64 - 63 }}, "64 little none static ?"},
		{"sections of another size", elfImage{kind: elf.ET_EXEC, sections: symbolSections, mangle: func(h *elf.Header64) { h.Shentsize = 128 }}, "64 little none static ?"},
		{"sections of no number", elfImage{kind: elf.ET_EXEC, sections: symbolSections, mangle: func(h *elf.Header64) { h.Shnum = 0 }}, "64 little none static ?"},
		{"sections of no place", elfImage{kind: elf.ET_EXEC, sections: symbolSections, mangle: func(h *elf.Header64) { h.Shoff = 0 }}, "64 little none static ?"},
		{"sections that are the header", elfImage{kind: elf.ET_EXEC, sections: symbolSections, mangle: func(h *elf.Header64) { h.Shoff = 1 }}, "64 little none static ?"},
		{"zeros for sections", elfImage{kind: elf.ET_EXEC, sections: make([]elf.SectionType, 9)}, "64 little none static ?"},
		{"names elsewhere", elfImage{kind: elf.ET_EXEC, sections: symbolSections, mangle: func(h *elf.Header64) { h.Shstrndx = 1 }}, "64 little none static ?"},
		{"names nowhere", elfImage{kind: elf.ET_EXEC, sections: symbolSections, mangle: func(h *elf.Header64) { h.Shstrndx = 99 }}, "64 little none static ?"},
		{"a symbol table first", elfImage{kind: elf.ET_EXEC, sections: []elf.SectionType{elf.SHT_SYMTAB, elf.SHT_STRTAB}}, "64 little none static ?"},
		{"65,535 sections", elfImage{kind: elf.ET_EXEC, sections: make([]elf.SectionType, 1), pad: 8 << 20, mangle: func(h *elf.Header64) { h.Shoff, h.Shnum, h.Shstrndx = 1024, 0xffff, 0 }}, "64 little none static ?"},
		{"another version", elfImage{kind: elf.ET_EXEC, sections: symbolSections, mangle: func(h *elf.Header64) { h.Version, h.Ident[elf.EI_VERSION] = 7, 7 }}, "64 little none static symbols"},
	} {
		t.Run(c.name, func(t *testing.T) {
			data := c.image.build()
			random, stream := inspectBoth(t, in, data)
			if got := elfWords(random); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			if len(data) > 2*windowSize && c.image.pad < 8<<20 && elfWords(stream) != c.want {
				t.Errorf("of a stream: %s", elfWords(stream))
			}
		})
	}
}

// A download may be cut off anywhere: less is said, but nothing else.
func TestInspectELFCutOff(t *testing.T) {
	in := newInspector()
	for _, m := range []elfImage{
		{kind: elf.ET_DYN, machine: elf.EM_X86_64, dynamic: []uint64{strtab, 1, needed, 1, 0, 0}, sections: symbolSections},
		{kind: elf.ET_DYN, machine: elf.EM_MIPS, class: 32, big: true, interp: true, sections: strippedSections},
		{kind: elf.ET_EXEC, machine: elf.EM_ARM, class: 32, sections: symbolSections},
	} {
		data := m.build()
		whole, _ := inspectBoth(t, in, data)
		for n := range data {
			c, _ := inspectBoth(t, in, data[:n])
			longer, err := in.inspect(t.Context(), bytes.NewReader(data[:n]), bytes.NewReader(data))
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c, longer); d != "" {
				t.Fatalf("%d bytes of a file that has grown since (-want +got):\n%s", n, d)
			}
			switch {
			case n < 6 && elfWords(c) != "":
				t.Fatalf("%d bytes: %s", n, elfWords(c))
			case n >= 6 && (c.ELFClass != whole.ELFClass || c.ELFOrder != whole.ELFOrder),
				n < 20 && c.ELFMachine != "", n >= 20 && c.ELFMachine != whole.ELFMachine,
				c.ELFLinkage != "" && c.ELFLinkage != whole.ELFLinkage, c.ELFStripped != nil:
				t.Fatalf("%d of %d bytes: %s; whole %s", n, len(data), elfWords(c), elfWords(whole))
			}
		}
	}
	for _, s := range []string{"\x7fELF\x00\x01\x01", "\x7fELF\x03\x01\x01", "\x7fELF\x01\x00\x01", "\x7fELF\x01\x03\x01", "\x7fELG\x01\x01\x01", "MZ"} {
		if c, _ := inspectBoth(t, in, append([]byte(s), make([]byte, 100)...)); elfWords(c) != "" {
			t.Errorf("%q: %s", s, elfWords(c))
		}
	}
}

// What lies between the ends is not known, and not taken for something else.
func TestInspectELFBetweenTheEnds(t *testing.T) {
	in := newInspector()
	data := elfImage{kind: elf.ET_DYN, machine: elf.EM_X86_64, dynamic: []uint64{strtab, 1, needed, 1, 0, 0}, sections: symbolSections, pad: 4 * windowSize,
		segment: func(p *elf.Prog64) { p.Off += 2 * windowSize }}.build()
	hole, _ := inspectBoth(t, in, data)
	if got, want := elfWords(hole), "64 little x86_64 ? symbols"; got != want {
		t.Errorf("of zeros: %s, not %s", got, want)
	}
	copy(data[2*windowSize:], data[:windowSize]) // the dynamic section too
	random, stream := inspectBoth(t, in, data)
	if got, want := elfWords(random), "64 little x86_64 dynamic symbols"; got != want {
		t.Errorf("random: %s, not %s", got, want)
	}
	if got, want := elfWords(stream), "64 little x86_64 ? symbols"; got != want {
		t.Errorf("stream: %s, not %s", got, want)
	}
}

// Two megabytes are held for a stream that needs them, and then reused.
func TestInspectKeepsOnlyELF(t *testing.T) {
	in := newInspector()
	inspectBoth(t, in, noise(1000))
	if in.kept.first != nil || in.kept.last != nil {
		t.Error("kept what is no ELF file")
	}
	data := elfImage{kind: elf.ET_EXEC}.build()
	if _, err := in.inspect(t.Context(), bytes.NewReader(data), bytes.NewReader(data)); err != nil {
		t.Fatal(err)
	}
	if in.kept.first != nil {
		t.Error("kept what can be read again")
	}
	inspectBoth(t, in, data)
	ring := &in.kept.last[0]
	inspectBoth(t, in, append(data, noise(3*windowSize)...))
	if ring != &in.kept.last[0] {
		t.Error("allocated again")
	}
}

// This test is a real file; debug/elf says what it is.
func TestInspectELFItself(t *testing.T) {
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	want, err := elf.NewFile(file)
	if err != nil {
		t.Skipf("no ELF file: %v", err)
	}
	in := newInspector()
	random, err := in.inspect(t.Context(), file, file)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	stream, err := in.inspect(t.Context(), file, nil)
	if err != nil {
		t.Fatal(err)
	}
	saysNoMore(t, random, stream)
	if runtime.GOARCH == "amd64" && (random.ELFClass != 64 || random.ELFOrder != "little" || random.ELFMachine != "x86_64") {
		t.Error(elfWords(random))
	}
	linkage := "static"
	for _, p := range want.Progs {
		if p.Type == elf.PT_INTERP {
			linkage = "dynamic"
		}
	}
	stripped := want.SectionByType(elf.SHT_SYMTAB) == nil
	if random.ELFLinkage != linkage || random.ELFStripped == nil || *random.ELFStripped != stripped {
		t.Errorf("%s; stripped is %v, linkage %s", elfWords(random), stripped, linkage)
	}
}

func TestEnds(t *testing.T) {
	var e ends
	all := noise(3*windowSize + 12345)
	for _, size := range []int{0, 1, windowSize - 1, windowSize, windowSize + 1, 2*windowSize - 1, 2 * windowSize, 2*windowSize + 1, len(all)} {
		data := all[:size]
		e.reset()
		for step, b := 1, data; len(b) > 0; step = step*3 + 1 {
			n := min(step, len(b), windowSize)
			e.add(b[:n])
			b = b[n:]
		}
		gap := max(size-windowSize, windowSize) - windowSize
		for _, off := range []int{0, 1, windowSize - 10, windowSize, size - windowSize - 10, size - windowSize, size - 10, size, size + 10} {
			for _, n := range []int{1, 20, windowSize} {
				if off < 0 {
					continue
				}
				p := make([]byte, n)
				k, err := e.ReadAt(p, int64(off))
				switch {
				case gap > 0 && off < windowSize+gap && off+n > windowSize:
					if err != errNotKept || k > max(0, windowSize-off) {
						t.Fatalf("%d bytes, %d at %d: %d, %v", size, n, off, k, err)
					}
				case off+n > size:
					if err != io.EOF || k != max(0, size-off) {
						t.Fatalf("%d bytes, %d at %d: %d, %v", size, n, off, k, err)
					}
				case err != nil || k != n:
					t.Fatalf("%d bytes, %d at %d: %d, %v", size, n, off, k, err)
				}
				if k > 0 && !bytes.Equal(p[:k], data[off:off+k]) {
					t.Fatalf("%d bytes, %d at %d: other bytes", size, n, off)
				}
			}
		}
	}
}

type idleReader struct{}

func (idleReader) Read([]byte) (int, error) { return 0, nil }

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestInspectErrors(t *testing.T) {
	in := newInspector()
	failure := errors.New("a bad sector")
	ctx, cancel := context.WithCancel(t.Context())
	reads := 0
	for _, c := range []struct {
		name string
		r    io.Reader
		want error
	}{
		{"at once", iotest.ErrReader(failure), failure},
		{"later", io.MultiReader(bytes.NewReader(make([]byte, 3*bufferSize+1)), iotest.ErrReader(failure)), failure},
		{"cut off", io.MultiReader(strings.NewReader("abc"), iotest.ErrReader(io.ErrUnexpectedEOF)), io.ErrUnexpectedEOF},
		{"nothing ever", idleReader{}, io.ErrNoProgress},
		{"stopped", readerFunc(func(p []byte) (int, error) {
			if reads++; reads == 3 {
				cancel()
			}
			return 1, nil
		}), context.Canceled},
	} {
		if got, err := in.inspect(ctx, c.r, nil); !errors.Is(err, c.want) || got != nil {
			t.Errorf("%s: %v, %v", c.name, got, err)
		}
	}
	if reads != 3 {
		t.Errorf("%d reads; it was to stop at the third", reads)
	}
	inspectBoth(t, in, []byte("and what failed leaves nothing behind"))
}

// brokenReaderAt fails to read anywhere.
type brokenReaderAt struct{}

func (brokenReaderAt) ReadAt([]byte, int64) (int, error) { return 0, errors.New("a bad sector") }

func TestInspectBrokenReaderAt(t *testing.T) {
	data := elfImage{kind: elf.ET_EXEC, machine: elf.EM_ARM, class: 32, sections: symbolSections}.build()
	got, err := newInspector().inspect(t.Context(), bytes.NewReader(data), brokenReaderAt{})
	if err != nil || elfWords(got) != "32 little arm ? ?" {
		t.Errorf("%+v, %v", got, err)
	}
}

func FuzzInspect(f *testing.F) {
	for _, class := range []int{32, 64} {
		for _, big := range []bool{false, true} {
			for _, sections := range [][]elf.SectionType{nil, strippedSections, symbolSections} {
				f.Add(elfImage{class: class, big: big, kind: elf.ET_DYN, machine: elf.EM_ARM, interp: big, dynamic: []uint64{strtab, 1, flags1, pie, needed, 1, 0, 0}, sections: sections}.build(), uint32(0), uint32(0))
				f.Add(elfImage{class: class, big: big, kind: elf.ET_EXEC, machine: elf.EM_MIPS, sections: sections}.build(), uint32(100), uint32(3*windowSize))
			}
		}
	}
	for _, s := range []string{"", "#!/bin/sh\n", "#!/usr/bin/env -S A=b python3 -u\n", "#!/bin/busybox sh\n", "PK\x03\x04", "{\"a\":1}", "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"} {
		f.Add([]byte(s), uint32(0), uint32(0))
	}
	in := newInspector()
	// gap zeros are put in at the byte at, for files longer than what is kept.
	f.Fuzz(func(t *testing.T, data []byte, at, gap uint32) {
		if gap %= 4 * windowSize; gap > 0 {
			i := int(at) % (len(data) + 1)
			data = append(append(data[:i:i], make([]byte, gap)...), data[i:]...)
		}
		c, _ := inspectBoth(t, in, data)
		if c.Entropy < 0 || c.Entropy > 8.000001 || c.MimeType == "" || strings.ContainsAny(c.MimeType, "; ") || len(c.Interpreter) > shebangSize {
			t.Errorf("%+v", c)
		}
		for _, r := range c.Interpreter {
			if r < ' ' || r == 0x7f {
				t.Errorf("interpreter %q", c.Interpreter)
			}
		}
	})
}

// The metric x-sha256 is how much longer it takes than SHA-256 alone.
func BenchmarkInspect(b *testing.B) {
	exe := elfImage{kind: elf.ET_EXEC, machine: elf.EM_ARM, class: 32}.build()
	for _, c := range []struct {
		name  string
		start []byte
		size  int
	}{{"1MB", nil, 1 << 20}, {"32KB", nil, 32 << 10}, {"1MB-ELF-stream", exe, 1 << 20}, {"32KB-script", bytes.Repeat([]byte("#!/bin/sh\nwget http://a.b/c\n"), 1<<10), 32 << 10}} {
		data := append(c.start[:len(c.start):len(c.start)], noise(c.size-len(c.start))...)
		b.Run(c.name, func(b *testing.B) {
			in := newInspector()
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			var whole, alone time.Duration // in turn, for other work on the machine to slow both
			for b.Loop() {
				start := time.Now()
				if _, err := in.inspect(b.Context(), bytes.NewReader(data), nil); err != nil {
					b.Fatal(err)
				}
				whole += time.Since(start)
				b.StopTimer()
				start = time.Now()
				sha256.Sum256(data)
				alone += time.Since(start)
				b.StartTimer()
			}
			b.ReportMetric(float64(whole)/float64(alone), "x-sha256")
		})
	}
}
