package logs

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"

	"midden/internal/cowrie"
)

func write(t testing.TB, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func reader(t testing.TB, path string) (*File, *Reader, error) {
	t.Helper()
	f, err := Open(path)
	if err != nil {
		return nil, nil, err
	}
	t.Cleanup(func() { f.Close() })
	r, err := NewReader(f)
	return f, r, err
}

// result is what a file was read as.
type result struct {
	records []string
	pending int64
	err     error
	mark    cowrie.Mark
}

// read reads a file to its end and looks that positions and digests are right.
func read(t testing.TB, path string, content []byte) result {
	t.Helper()
	_, r, err := reader(t, path)
	if err != nil {
		return result{err: err}
	}
	return drain(t, r, content)
}

func drain(t testing.TB, r *Reader, content []byte) (res result) {
	t.Helper()
	at := r.Position()
	for {
		b, err := r.Next()
		if err != nil {
			if err != io.EOF {
				res.err = err
			}
			res.pending = r.Pending()
			return res
		}
		if b.From != at || b.Start < b.From || b.Mark.Position < b.Start {
			t.Fatalf("a block from %d to %d, data from %d, behind %d", b.From, b.Mark.Position, b.Start, at)
		}
		at = b.Mark.Position
		if content != nil {
			sum := sha256.Sum256(content[:at])
			if b.Mark.Digest != hex.EncodeToString(sum[:]) || !bytes.HasSuffix(content[:at], b.Mark.Tail) {
				t.Fatalf("the mark at %d does not fit what stands before it", at)
			}
		}
		res.mark = b.Mark
		res.records = append(res.records, records(b)...)
	}
}

func records(b *Block) (list []string) {
	if b.TooLong != nil {
		return []string{fmt.Sprintf("too long: %d", b.TooLong.Length)}
	}
	if b.Lines.Ends == nil {
		for _, l := range strings.SplitAfter(string(b.Lines.Data), "\n") {
			if l != "" {
				list = append(list, strings.TrimSpace(l))
			}
		}
		return list
	}
	from := 0
	for _, end := range b.Lines.Ends {
		list = append(list, strings.TrimSpace(string(b.Lines.Data[from:end])))
		from = end
	}
	return list
}

const (
	a = `{"eventid":"a","session":"1"}`
	b = `{"eventid":"b","session":"1","x":"{\"y\":[1]}"}`
	c = `{"eventid":"c","session":"2"}`
)

func TestFormats(t *testing.T) {
	pretty := "{\n  \"eventid\": \"a\",\n  \"s\": {\n    \"k\": \"}{\"\n  }\n}\n"
	tests := []struct {
		name, content string
		want          []string
		pending       int64
	}{
		{"lines", a + "\n" + b + "\n", []string{a, b}, 0},
		{"no last newline", a + "\n" + b, []string{a, b}, 0},
		{"cut last line", a + "\n" + b[:12], []string{a}, 12},
		{"only a cut line", a[:12], nil, 12},
		{"one event", a, []string{a}, 0},
		{"CRLF", a + "\r\n" + b + "\r\n", []string{a, b}, 0},
		{"BOM", "\xef\xbb\xbf" + a + "\n" + b + "\n", []string{"\xef\xbb\xbf" + a, b}, 0},
		{"blank lines", "\n\n" + a + "\n\n" + b + "\n", []string{"", "", a, "", b}, 0},
		{"cut first line", b[10:] + "\n" + a + "\n", []string{b[10:], a}, 0},
		{"first line begins an object", a[:12] + "\n" + b + "\n" + c + "\n", []string{a[:12], b, c}, 0},
		{"garbage first", "what\n" + a + "\n", []string{"what", a}, 0},
		{"pretty", pretty + pretty, []string{strings.TrimSpace(pretty), strings.TrimSpace(pretty)}, 0},
		{"pretty, cut at the end", pretty + pretty[:20], []string{strings.TrimSpace(pretty)}, 20},
		{"pretty, cut inside", pretty + pretty[:20] + "\n" + pretty, []string{strings.TrimSpace(pretty), strings.TrimSpace(pretty[:20]), strings.TrimSpace(pretty)}, 0},
		{"pretty, cut inside a string", pretty + "{\n \"b\": \"cut\n \"c}\": 1\n}\n" + pretty, []string{strings.TrimSpace(pretty), "{\n \"b\": \"cut\n \"c}\": 1\n}", strings.TrimSpace(pretty)}, 0},
		{"pretty with garbage", pretty + "garbage\n" + pretty, []string{strings.TrimSpace(pretty), "garbage", strings.TrimSpace(pretty)}, 0},
		{"array", "[" + a + "," + b + "]\n", []string{a, b}, 0},
		{"array over lines", "[\n  " + a + ",\n  " + b + "\n]\n", []string{a, b}, 0},
		{"array of others", `[{"x":[` + a + `]},` + "\n" + `{"y":1}]` + "\n", []string{`[{"x":[` + a + `]},`, `{"y":1}]`}, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := read(t, write(t, []byte(tt.content)), []byte(tt.content))
			if diff := cmp.Diff(tt.want, got.records); diff != "" || got.err != nil {
				t.Errorf("%v\n%s", got.err, diff)
			}
			if got.pending != tt.pending {
				t.Errorf("%d bytes pending, want %d", got.pending, tt.pending)
			}
		})
	}
}

func TestFingerprint(t *testing.T) {
	fingerprint := func(content string) string {
		_, r, err := reader(t, write(t, []byte(content)))
		if err != nil {
			t.Fatal(err)
		}
		return r.Fingerprint()
	}
	want := fingerprint(a + "\n")
	for name, content := range map[string]string{
		"longer": a + "\n" + b + "\n", "without newline": a, "spaces": `{"eventid": "a", "session": "1"}` + "\n",
		"pretty": "{\n \"eventid\": \"a\",\n \"session\": \"1\"\n}\n", "array": "[" + a + "]", "BOM": "\xef\xbb\xbf" + a + "\n", "blank first": "\n" + a + "\n",
	} {
		if got := fingerprint(content); got != want {
			t.Errorf("%s: another fingerprint", name)
		}
	}
	if fingerprint(b+"\n") == want {
		t.Error("another event has the same fingerprint")
	}
	if got := fingerprint(a[:10]); got != "" {
		t.Errorf("half a line has the fingerprint %q", got)
	}
}

// TestPortions reads a growing file in random portions and compares with
// reading it at once.
func TestPortions(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for round := range 60 {
		var content []byte
		for n := 1 + rng.IntN(30); n > 0; n-- {
			content = append(content, []string{a, b, c, "garbage", "", "  " + a + "  ", c + "\r"}[rng.IntN(7)]...)
			content = append(content, '\n')
		}
		whole := read(t, write(t, content), content)
		var got []string
		var mark cowrie.Mark
		path := write(t, nil)
		for have := 0; have < len(content); {
			have = min(len(content), have+1+rng.IntN(60))
			if err := os.WriteFile(path, content[:have], 0o644); err != nil {
				t.Fatal(err)
			}
			_, r, err := reader(t, path)
			if err != nil {
				t.Fatal(err)
			}
			if mark.Position > 0 {
				if rng.IntN(2) == 0 {
					if !r.Resume(mark) {
						t.Fatal("the same file was not known again")
					}
				} else if digest, err := r.Advance(mark.Position); err != nil || digest != mark.Digest {
					t.Fatalf("%v", err)
				}
			}
			part := drain(t, r, content)
			got = append(got, part.records...)
			if part.mark.State != nil {
				mark = part.mark
			}
		}
		if diff := cmp.Diff(whole.records, got); diff != "" {
			t.Fatalf("round %d, %q:\n%s", round, content, diff)
		}
	}
}

func TestResumeRefuses(t *testing.T) {
	content := []byte(a + "\n" + b + "\n" + c + "\n")
	mark := read(t, write(t, content), content).mark
	for name, other := range map[string][]byte{
		"shorter":    content[:len(content)-5],
		"other tail": append(bytes.Replace(content, []byte(`"c"`), []byte(`"d"`), 1), a...),
		"packed":     packed(content),
	} {
		_, r, err := reader(t, write(t, other))
		if err != nil {
			t.Fatal(err)
		}
		if r.Resume(mark) {
			t.Errorf("%s: taken for the same file", name)
		}
	}
}

func packed(content []byte) []byte {
	var buf bytes.Buffer
	z := gzip.NewWriter(&buf)
	z.Write(content)
	z.Close()
	return buf.Bytes()
}

// manyLines is a log of some size.
func manyLines() []byte {
	var content []byte
	for i := range 3000 {
		content = fmt.Appendf(content, `{"eventid":"cowrie.command.input","session":"%012x","input":"%x"}`+"\n", i, sha256.Sum256([]byte{byte(i), byte(i >> 8)}))
	}
	return content
}

func TestCompressed(t *testing.T) {
	content := manyLines()
	half := bytes.IndexByte(content[len(content)/2:], '\n') + len(content)/2 + 1
	z, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	frame := func(b []byte) []byte { return z.EncodeAll(b, nil) }
	bz, err := os.ReadFile("testdata/three.bz2")
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		data []byte
		want []byte
		err  string
	}{
		"gzip":                  {packed(content), content, ""},
		"gzip, members":         {append(packed(content[:half]), packed(content[half:])...), content, ""},
		"gzip, zeros behind":    {append(packed(content), make([]byte, 700)...), content, ""},
		"gzip, garbage behind":  {append(packed(content), "garbage"...), content, "not gzip"},
		"gzip, a broken header": {[]byte{0x1f, 0x8b, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9}, nil, "gzip"},
		"zstd":                  {frame(content), content, ""},
		"zstd, frames":          {append(frame(content[:half]), frame(content[half:])...), content, ""},
		"bzip2":                 {bz, []byte(a + "\n" + b + "\n" + c + "\n"), ""},
	} {
		got := read(t, write(t, tt.data), nil)
		var want []string
		for _, l := range strings.Split(strings.TrimSuffix(string(tt.want), "\n"), "\n") {
			if l != "" {
				want = append(want, l)
			}
		}
		if diff := cmp.Diff(want, got.records); diff != "" {
			t.Errorf("%s: %.500s", name, diff)
		}
		if (got.err == nil) != (tt.err == "") || got.err != nil && !strings.Contains(got.err.Error(), tt.err) {
			t.Errorf("%s: the error is %v", name, got.err)
		}
	}
}

func TestOpenNothingButFiles(t *testing.T) {
	dir := t.TempDir()
	fifo := filepath.Join(dir, "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{fifo, dir, os.DevNull} {
		if _, err := Open(path); !errors.Is(err, ErrNotRegular) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestFind(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"b/cowrie.json", "a/cowrie.json", "c"} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(a), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	os.Symlink(filepath.Join(dir, "a"), filepath.Join(dir, "loop"))
	os.Symlink(dir, filepath.Join(dir, "b", "loop"))
	os.Symlink("../a/cowrie.json", filepath.Join(dir, "b", "link.json"))
	syscall.Mkfifo(filepath.Join(dir, "fifo"), 0o600)
	files, problems, err := Find(t.Context(), []string{dir, filepath.Join(dir, "c"), filepath.Join(dir, "gone")}, nil)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for f := range files.All() {
		rel, _ := filepath.Rel(dir, f.Path)
		found[rel] = f.Named
	}
	if diff := cmp.Diff(map[string]bool{"a/cowrie.json": false, "b/cowrie.json": false, "b/link.json": false, "c": true}, found); diff != "" {
		t.Error(diff)
	}
	if len(problems) != 1 || !errors.Is(problems[0].Err, os.ErrNotExist) {
		t.Errorf("%v", problems)
	}
}
