package logs

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"midden/internal/cowrie"
)

// portion is what reading a file from a mark on gave.
type portion struct {
	fingerprint string
	format      format
	got         []string // the records, without white space around them
	lines       int64    // as Gather counts them
	mark        cowrie.Mark
}

// readFrom reads a file from a mark to its end, and looks that blocks, gaps and
// what is pending cover the content.
func readFrom(t testing.TB, path string, content []byte, from cowrie.Mark, fingerprint string, resume bool) portion {
	t.Helper()
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	p := portion{fingerprint: r.Fingerprint(), format: r.format, mark: from}
	if p.fingerprint != fingerprint {
		p.mark = cowrie.Mark{} // another log, for all that is known
	}
	if p.mark.Position > 0 {
		if resume {
			if !r.Resume(p.mark) {
				t.Fatalf("the same file was not known again at %d: %q", p.mark.Position, content)
			}
		} else if digest, err := r.Advance(p.mark.Position); err != nil || digest != p.mark.Digest {
			t.Fatalf("advanced to %d: %v, digest %s, want %s", p.mark.Position, err, digest, p.mark.Digest)
		}
	}
	at := p.mark.Position
	for {
		b, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		end := b.Start + int64(len(b.Lines.Data))
		if b.From != at || b.Start < b.From || end > b.Mark.Position || b.Mark.Position <= b.From {
			t.Fatalf("behind %d a block from %d to %d, its data from %d to %d", at, b.From, b.Mark.Position, b.Start, end)
		}
		for _, gap := range [][]byte{content[b.From:b.Start], content[end:b.Mark.Position]} {
			if len(bytes.Trim(gap, " \t\r\n,[]\xef\xbb\xbf")) > 0 {
				t.Fatalf("%q was passed over in %q", gap, content)
			}
		}
		if !bytes.HasSuffix(content[:b.Mark.Position], b.Mark.Tail) || len(b.Mark.Tail) != min(int(b.Mark.Position), cowrie.TailSize) {
			t.Fatalf("the tail at %d is %q", b.Mark.Position, b.Mark.Tail)
		}
		at, p.mark = b.Mark.Position, b.Mark
		p.got = append(p.got, records(b)...)
		p.lines += cowrie.Gather(b.Lines, "", nil).Lines
	}
	if n := int64(len(p.got)); p.lines != n {
		t.Fatalf("%d records, but %d lines", n, p.lines)
	}
	rest := content[at:]
	if pending := r.Pending(); pending != int64(len(rest)) && (pending != 0 || len(skipSpace(rest)) > 0) {
		t.Fatalf("%d bytes pending, but %q is left", pending, rest)
	}
	return p
}

// splitsLine reports whether a mark stands where reading at once would not
// stop: behind a whole object that has more than white space on its line.
func splitsLine(content []byte, m cowrie.Mark) bool {
	if m.Position == 0 || content[m.Position-1] == '\n' {
		return false
	}
	rest, _, _ := bytes.Cut(content[m.Position:], []byte("\n"))
	return len(bytes.Trim(rest, " \t\r")) > 0
}

// checkPortions reads content in portions that end at cuts, going on where it
// stopped, and compares with reading it at once.
func checkPortions(t testing.TB, dir string, content []byte, cuts []int) {
	t.Helper()
	if bytes.HasPrefix(content, []byte{0x1f, 0x8b}) || bytes.HasPrefix(content, []byte("BZh")) || bytes.HasPrefix(content, []byte{0x28, 0xb5, 0x2f, 0xfd}) {
		return // positions are those of the content, which is another one
	}
	path := filepath.Join(dir, "log")
	put := func(b []byte) {
		if err := os.WriteFile(path, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	put(content)
	whole := readFrom(t, path, content, cowrie.Mark{}, "", false)
	var have portion
	comparable := true
	for i, cut := range append(cuts, len(content)) {
		put(content[:cut])
		next := readFrom(t, path, content[:cut], have.mark, have.fingerprint, i%2 == 0)
		if next.fingerprint == have.fingerprint {
			if next.format != have.format && have.mark.Position > 0 {
				t.Fatalf("%q is read as %d, its beginning %q was read as %d", content[:cut], next.format, content[:have.mark.Position], have.format)
			}
			next.got = append(have.got, next.got...)
		} else {
			comparable = true
		}
		have = next
		comparable = comparable && (have.format == objects || !splitsLine(content, have.mark))
	}
	if !comparable {
		return
	}
	if diff := cmp.Diff(whole.got, have.got); diff != "" {
		t.Fatalf("%q cut at %d:\n%s", content, cuts, diff)
	}
	if whole.fingerprint != have.fingerprint || whole.mark.Position != have.mark.Position && len(skipSpace(content[min(whole.mark.Position, have.mark.Position):])) > 0 {
		t.Fatalf("%q cut at %d: read to %d, at once to %d", content, cuts, have.mark.Position, whole.mark.Position)
	}
}

// oddLogs are logs that readers may trip over.
var oddLogs = []string{
	"", "\n", " ", "\xef\xbb\xbf", "\xef\xbb\xbf\n", "\xef", "\xef\xbb\n", "{", "{\n", "[", "[\n", "[]", "{}", "{}\n", "}\n", "]\n{}\n",
	a + "\n" + b, a + "\n" + b + "\n", a + "\r\n" + b + "\r\n", a + " \t\n" + b + "\n", a + "\n\n" + b + "\n\n", a + b + "\n" + c + "\n",
	"\xef\xbb\xbf" + a + "\n" + b, a + "\n\xef\xbb\xbf" + b + "\n", "x\n" + a + "\n", a[:12] + "\n" + b + "\n", a + "\n" + b[:9] + "\n" + c + "\n",
	"{\n\"eventid\": \"a\"\n}\n{\n\"eventid\": \"b\"\n}\n", "{\n\"eventid\": \"a\"\n}\n{\n\"eventid\": \"b\n{\n\"eventid\": \"c\"\n}\n", "{\n  \"eventid\": \"a\",\n",
	"{\r\n \"eventid\": \"a\"\r\n}\r\n{\r\n \"eventid\": \"b\"\r\n}\r\n", "{\n\"a\":1\n}\ngarbage\n{\n\"b\":2\n}\n", "{\n\"a\":\"\\\n\"\n}\n{}\n",
	"[" + a + "," + b + "]", "[" + a + "," + b + "]\n", "[\n" + a + ",\n" + b + "\n]\n", "[" + a + ",x,\n" + b + "]", "[{\"x\":1},{\"y\":2}]\n", "[1," + a + "]\n", "[\n\n" + a,
	"{\"a\":[[[[", "{\"a\":\"\\", "{\n]\n}\n", strings.Repeat(a+"\n", 12), "{\n\"a\":1\n}\n\xef\xbb\xbf{\n\"b\":1\n}\n",
}

// TestPortionsOfOddLogs cuts odd logs everywhere, once and twice.
func TestPortionsOfOddLogs(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	dir := t.TempDir()
	for _, s := range oddLogs {
		for cut := range len(s) {
			checkPortions(t, dir, []byte(s), []int{cut})
		}
		for range 20 {
			var cuts []int
			for at := 0; at < len(s); at += 1 + rnd.IntN(1+len(s)/3) {
				cuts = append(cuts, at)
			}
			checkPortions(t, dir, []byte(s), cuts)
		}
	}
}

// TestPortionsAcrossBlocks cuts a log of some megabytes about where blocks end.
func TestPortionsAcrossBlocks(t *testing.T) {
	var content []byte
	for i := 0; len(content) < 5*BlockSize/2; i++ {
		content = fmt.Appendf(content, `{"eventid":"x","n":%d,"input":%q}`+"\n", i, strings.Repeat("y", i%7*1000))
	}
	checkPortions(t, t.TempDir(), content, []int{100, BlockSize - 1, BlockSize, BlockSize + 1, 2*BlockSize + 17})
	pretty := bytes.ReplaceAll(bytes.ReplaceAll(content, []byte(","), []byte(",\n  ")), []byte("}\n"), []byte("\n}\n"))
	checkPortions(t, t.TempDir(), pretty, []int{100, BlockSize - 1, BlockSize, BlockSize + 1, 2*BlockSize + 17})
}

// TestLateNewline: the newline that comes behind a record which was read
// without it is part of that record, however it comes.
func TestLateNewline(t *testing.T) {
	for _, end := range []string{"\n", "\r\n", " \n", "\t \r\n"} {
		content := []byte(a + end + b + "\n")
		dir := t.TempDir()
		for cut := len(a); cut <= len(a)+len(end); cut++ {
			for next := cut; next <= len(a)+len(end); next++ {
				checkPortions(t, dir, content, []int{cut, next})
			}
		}
	}
}

// TestUnfinishedFirst: a first object that spans lines and is still being
// written is no dead letter, and not the whole of it is waited for forever.
func TestUnfinishedFirst(t *testing.T) {
	for _, tt := range []struct {
		content     string
		fingerprint bool
		records     int
	}{
		{"{", false, 0},
		{"{\n", false, 0},
		{"{\n  \"eventid\": \"a\",\n", false, 0},
		{"[\n", false, 0},
		{"[\n  {\n    \"eventid\"", false, 0},
		{"{\n  \"eventid\": \"a\"\n}\n", true, 1},
		{"{\n" + a + "\n", true, 2},                      // a line cut off behind its brace
		{`{"eventid":"a","x` + "\n" + b + "\n", true, 2}, // within a string
		{`{"eventid":"a",` + "\nx\n", true, 2},
		{"[1\n", true, 1},
	} {
		_, r, err := reader(t, write(t, []byte(tt.content)))
		if err != nil {
			t.Fatal(err)
		}
		fingerprint := r.Fingerprint() != ""
		got := drain(t, r, []byte(tt.content))
		if fingerprint != tt.fingerprint || len(got.records) != tt.records {
			t.Errorf("%q: fingerprint %v, records %q", tt.content, fingerprint, got.records)
		}
	}
}

// FuzzReader reads any content in any portions.
func FuzzReader(f *testing.F) {
	for i, s := range oddLogs {
		f.Add([]byte(s), uint16(i), uint16(3*i))
	}
	f.Add(packed([]byte(a + "\n"))[:20], uint16(3), uint16(7))
	f.Add([]byte("BZh91AY&SY"), uint16(3), uint16(7))
	f.Add([]byte("\x28\xb5\x2f\xfd\x00\x00"), uint16(3), uint16(7))
	f.Fuzz(func(t *testing.T, content []byte, first, second uint16) {
		if _, r, err := reader(t, write(t, content)); err == nil {
			drain(t, r, nil)
			if r.Pending() < 0 {
				t.Fatalf("%d bytes pending", r.Pending())
			}
		}
		cuts := []int{min(int(first), len(content)), min(int(second), len(content))}
		if cuts[0] > cuts[1] {
			cuts[0], cuts[1] = cuts[1], cuts[0]
		}
		checkPortions(t, t.TempDir(), content, cuts)
	})
}
