package crashtest

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"midden/internal/synth"
)

// sensor writes a live log and rotates it in every way, and keeps what attackers
// brought. All that it does hangs on its random numbers alone.
type sensor struct {
	t       testing.TB
	rng     *rand.Rand
	dir     string
	file    *os.File // the live log
	rest    []byte   // of a line whose beginning is written
	coming  [][]byte // lines that are still to be written
	written [][]byte
	months  int // how many logs of old months there are
	rotated int
	copies  int
	members []member // what was captured
	// brings is told what names files, before that is written.
	brings func(text ...[]byte)
}

// member is a captured file.
type member struct{ name, content string }

// thisMonth is when the live log begins; old logs are of a month two years and more
// before. All of it hangs on the day, since "midden retain" goes by that.
var thisMonth = func() time.Time {
	y, m, _ := time.Now().UTC().Date()
	return time.Date(y, m, 1, 0, 0, 0, 0, time.UTC)
}()

func newSensor(t testing.TB, rng *rand.Rand, dir string, brings func(text ...[]byte)) *sensor {
	s := &sensor{t: t, rng: rng, dir: dir, brings: brings}
	s.must(os.MkdirAll(s.logs(), 0o755))
	s.must(os.MkdirAll(s.downloads(), 0o755))
	s.open()
	s.tar()
	t.Cleanup(func() { s.file.Close() })
	return s
}

func (s *sensor) logs() string      { return filepath.Join(s.dir, "logs") }
func (s *sensor) live() string      { return filepath.Join(s.logs(), "cowrie.json") }
func (s *sensor) downloads() string { return filepath.Join(s.dir, "downloads") }
func (s *sensor) archive() string   { return filepath.Join(s.dir, "downloads.tar") }

func (s *sensor) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *sensor) open() {
	s.t.Helper()
	var err error
	s.file, err = os.OpenFile(s.live(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	s.must(err)
}

// made returns the lines of a made-up log.
func made(t testing.TB, o synth.Options) [][]byte {
	t.Helper()
	var buf bytes.Buffer
	o.Sensors = 1
	if _, err := o.Generate(t.Context(), &buf, 0); err != nil {
		t.Fatal(err)
	}
	lines := bytes.SplitAfter(buf.Bytes(), []byte("\n"))
	return lines[:len(lines)-1]
}

// next returns the next n lines that the sensor has to say.
func (s *sensor) next(n int) [][]byte {
	for len(s.coming) < n {
		s.coming = append(s.coming, made(s.t, synth.Options{Seed: s.rng.Uint64(), Events: 400, Hashes: 30, FileShare: 0.15,
			Start: thisMonth.Add(time.Duration(len(s.written)) * time.Minute), Span: 6 * time.Hour})...)
	}
	lines := s.coming[:n:n]
	s.coming = s.coming[n:]
	if s.rng.IntN(10) == 0 {
		lines = append(lines, fmt.Appendf(nil, "this is no event %d\n", len(s.written)))
	}
	s.written = append(s.written, lines...)
	s.brings(lines...)
	return lines
}

func (s *sensor) write(data ...[]byte) {
	s.t.Helper()
	for _, d := range data {
		_, err := s.file.Write(d)
		s.must(err)
	}
}

// complete writes the rest of a line that was begun.
func (s *sensor) complete() {
	s.write(s.rest)
	s.rest = nil
}

// act does something that goes on at a sensor.
func (s *sensor) act() {
	s.complete()
	switch n := s.rng.IntN(12); n {
	case 0, 1, 2, 3:
		lines := s.next(1 + s.rng.IntN(80))
		last := len(lines) - 1
		s.write(lines[:last]...)
		cut := s.rng.IntN(len(lines[last]))
		s.write(lines[last][:cut])
		s.rest = lines[last][cut:]
	case 4:
		s.write(s.next(1 + s.rng.IntN(40))...)
		s.copytruncate()
	case 5:
		s.rename(s.next(1 + s.rng.IntN(10))...)
		s.write(s.next(1)...)
	case 6:
		s.pack(1 + s.rng.IntN(s.rotated+1))
	case 7:
		s.copy()
	case 8:
		s.month()
	default:
		for range 1 + s.rng.IntN(4) {
			s.capture()
		}
		s.tar()
	}
}

func (s *sensor) aside(n int) string { return fmt.Sprintf("%s.%03d", s.live(), n) }

// rename rotates as Cowrie does. Some lines are still written into the old file.
func (s *sensor) rename(late ...[]byte) {
	s.complete()
	old := s.file
	s.rotated++
	s.must(os.Rename(s.live(), s.aside(s.rotated)))
	s.open()
	for _, d := range late {
		_, err := old.Write(d)
		s.must(err)
	}
	s.must(old.Close())
}

// copytruncate rotates as logrotate does where it is told to.
func (s *sensor) copytruncate() {
	s.complete()
	data, err := os.ReadFile(s.live())
	s.must(err)
	s.rotated++
	s.must(os.WriteFile(s.aside(s.rotated), data, 0o644))
	s.must(s.file.Truncate(0))
}

// pack compresses a log that was put aside, and removes it.
func (s *sensor) pack(n int) {
	path := s.aside(n)
	data, err := os.ReadFile(path)
	if err != nil {
		return // packed already
	}
	s.must(os.WriteFile(path+".gz", gzipped(data), 0o644))
	s.must(os.Remove(path))
}

func gzipped(data []byte) []byte {
	var buf bytes.Buffer
	z := gzip.NewWriter(&buf)
	z.Write(data)
	z.Close()
	return buf.Bytes()
}

// copy writes lines that are there already into a file of their own, as somebody does
// who merges logs, or restores them.
func (s *sensor) copy() {
	if len(s.written) == 0 {
		return
	}
	from := s.rng.IntN(len(s.written))
	to := from + 1 + s.rng.IntN(min(200, len(s.written)-from))
	s.copies++
	s.must(os.WriteFile(filepath.Join(s.logs(), fmt.Sprintf("restored-%d.json", s.copies)), bytes.Join(s.written[from:to], nil), 0o644))
}

// month brings the log of an old month.
func (s *sensor) month() {
	s.months++
	lines := made(s.t, synth.Options{Seed: s.rng.Uint64(), Events: 60, Hashes: 30, FileShare: 0.2,
		Start: thisMonth.AddDate(-2, -s.months, 0), Span: 20 * 24 * time.Hour})
	s.brings(lines...)
	path := filepath.Join(s.logs(), fmt.Sprintf("old-%d.json", s.months))
	s.must(os.WriteFile(path, bytes.Join(lines, nil), 0o644))
}

// capture keeps a file that an attacker brought. Of every other one, the log tells.
func (s *sensor) capture() {
	n := len(s.members)
	m := member{fmt.Sprintf("f%05d", n), fmt.Sprintf("content %x", s.rng.Uint64())}
	if n%7 == 6 {
		m.content = s.members[n-1].content // a content may be there twice
	}
	s.members = append(s.members, m)
	sum := sha256.Sum256([]byte(m.content))
	s.brings([]byte(hex.EncodeToString(sum[:])))
	path := filepath.Join(s.downloads(), m.name)
	s.must(os.WriteFile(path, []byte(m.content), 0o644))
	s.must(os.Chtimes(path, time.Time{}, s.capturedAt()))
	if n%2 == 0 {
		line := fmt.Appendf(nil, `{"eventid":"cowrie.session.file_download","session":"capture%d","sensor":"one","src_ip":"192.0.2.1","shasum":"%s","timestamp":"%s"}`+"\n",
			n, hex.EncodeToString(sum[:]), thisMonth.Add(time.Duration(n)*time.Second).Format(time.RFC3339))
		s.written = append(s.written, line)
		s.write(line)
	}
}

func (s *sensor) capturedAt() time.Time { return thisMonth.AddDate(0, 0, -3) }

// tar packs what was captured.
func (s *sensor) tar() {
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, m := range s.members {
		s.must(w.WriteHeader(&tar.Header{Name: m.name, Mode: 0o644, Size: int64(len(m.content)), ModTime: s.capturedAt()}))
		_, err := w.Write([]byte(m.content))
		s.must(err)
	}
	s.must(w.Close())
	// Whoever reads the last one beside this reads it to its end.
	next := s.archive() + ".new"
	s.must(os.WriteFile(next, buf.Bytes(), 0o644))
	s.must(os.Rename(next, s.archive()))
}
