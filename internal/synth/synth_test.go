package synth

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func generate(t testing.TB, o Options, sensor int) (string, Stats) {
	t.Helper()
	var buf bytes.Buffer
	stats, err := o.Generate(t.Context(), &buf, sensor)
	if err != nil {
		t.Fatal(err)
	}
	return buf.String(), stats
}

// recount counts lines with encoding/json, and looks at each.
func recount(t *testing.T, log string) (Stats, map[string]int) {
	t.Helper()
	s := Stats{Bytes: int64(len(log))}
	sessions, files, ids := map[string]bool{}, map[string]int{}, map[string]int{}
	for _, line := range strings.Split(strings.TrimSuffix(log, "\n"), "\n") {
		var e map[string]any
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		for _, c := range []byte(line) {
			if c < ' ' || c > '~' {
				t.Fatalf("not ASCII: %q", line)
			}
		}
		id, _ := e["eventid"].(string)
		ids[id]++
		s.Events++
		if session, _ := e["session"].(string); session != "" {
			sessions[session] = true
		}
		hash, _ := e["shasum"].(string)
		switch id {
		case "cowrie.session.file_download", "cowrie.session.file_upload":
			switch {
			case len(hash) == 64 && id == "cowrie.session.file_upload":
				s.Uploads++
				files[strings.ToLower(hash)]++
			case len(hash) == 64:
				s.Downloads++
				files[strings.ToLower(hash)]++
			case e["input"] == nil:
				s.FailedTransfers++
			}
		case "cowrie.session.file_download.failed":
			s.FailedTransfers++
		case "cowrie.command.input":
			s.Commands++
		case "cowrie.login.success", "cowrie.login.failed":
			s.Logins++
		}
	}
	s.Sightings, s.Sessions, s.Files = s.Downloads+s.Uploads, len(sessions), len(files)
	return s, files
}

func TestGenerate(t *testing.T) {
	for _, era := range []Era{EraMixed, Era2018, Era2020, Era2024, Era2026} {
		o := Options{Seed: 3, Events: 6000, Sensors: 2, Era: era}
		log, stats := generate(t, o, 1)
		want, _ := recount(t, log)
		if diff := cmp.Diff(want, stats); diff != "" {
			t.Errorf("era %v: %s", era, diff)
		}
		if stats.Events != 3000 {
			t.Errorf("era %v: %d events, want half of 6,000", era, stats.Events)
		}
		if again, _ := generate(t, o, 1); again != log {
			t.Errorf("era %v: the same seed gave another log", era)
		}
		o.Seed++
		if other, _ := generate(t, o, 1); other == log {
			t.Errorf("era %v: another seed gave the same log", era)
		}
	}
}

func TestTimesAscend(t *testing.T) {
	log, _ := generate(t, Options{Events: 4000, Sensors: 1, Span: time.Hour}, 0)
	last, bySession := "", map[string]string{}
	for _, line := range strings.Split(strings.TrimSuffix(log, "\n"), "\n") {
		var e struct{ Timestamp, Session string }
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		if e.Timestamp < last || e.Timestamp <= bySession[e.Session] {
			t.Fatalf("%s comes too late", line)
		}
		last, bySession[e.Session] = e.Timestamp, e.Timestamp
	}
}

func TestLooksReal(t *testing.T) {
	log, stats := generate(t, Options{Events: 40000, Sensors: 1}, 0)
	_, files := recount(t, log)
	share := float64(stats.Sightings) / float64(stats.Events)
	if share < 0.045 || share > 0.055 {
		t.Errorf("%.3f of the events are sightings, want 0.05", share)
	}
	if mean := float64(stats.Bytes) / float64(stats.Events); mean < 340 || mean > 520 {
		t.Errorf("an event has %.0f bytes", mean)
	}
	if per := float64(stats.Events) / float64(stats.Sessions); per < 4 || per > 12 {
		t.Errorf("a session has %.1f events", per)
	}
	var counts []int
	for _, n := range files {
		counts = append(counts, n)
	}
	slices.Sort(counts)
	if top := counts[len(counts)-1]; top < stats.Sightings/20 || len(counts) < 50 {
		t.Errorf("the most frequent of %d files has %d of %d sightings", len(counts), top, stats.Sightings)
	}
}

func TestWriteTree(t *testing.T) {
	o := Options{Seed: 4, Events: 5000, Sensors: 3}
	for _, compress := range []string{"none", "gzip", "mixed"} {
		dir := t.TempDir()
		stats, err := o.WriteTree(t.Context(), dir, compress)
		if err != nil {
			t.Fatal(err)
		}
		var lines, want []string
		packed := 0
		err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			if strings.HasSuffix(path, ".gz") {
				packed++
				z, err := gzip.NewReader(bytes.NewReader(data))
				if err != nil {
					return err
				}
				var buf bytes.Buffer
				if _, err := buf.ReadFrom(z); err != nil {
					return err
				}
				data = buf.Bytes()
			}
			lines = append(lines, strings.SplitAfter(string(data), "\n")...)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		for sensor := range 3 {
			log, _ := generate(t, o, sensor)
			want = append(want, strings.SplitAfter(log, "\n")...)
		}
		lines, want = sorted(lines), sorted(want)
		if !slices.Equal(lines, want) {
			t.Errorf("%s: the tree holds other lines than Generate writes", compress)
		}
		recounted, _ := recount(t, strings.Join(lines, ""))
		if diff := cmp.Diff(recounted, stats); diff != "" {
			t.Errorf("%s: %s", compress, diff)
		}
		if (packed > 0) != (compress != "none") {
			t.Errorf("%s: %d files are packed", compress, packed)
		}
	}
}

func sorted(lines []string) []string {
	lines = slices.DeleteFunc(lines, func(l string) bool { return l == "" })
	slices.Sort(lines)
	return lines
}

func TestRefusesTheImpossible(t *testing.T) {
	for _, o := range []Options{{Events: -1}, {FileShare: 2}, {Sensors: 1 << 20}, {Era: 99}} {
		if _, err := o.Generate(t.Context(), &bytes.Buffer{}, 0); err == nil {
			t.Errorf("%+v was taken", o)
		}
	}
}

// eventIDs are what the versions of Cowrie have written.
const eventIDs = `session.connect session.closed session.params session.input session.file_download
	session.file_download.failed session.file_upload login.success login.failed client.version client.kex client.size
	client.var client.fingerprint client.malformed_packet command.input command.failed command.success
	command.chpasswd direct-tcpip.request direct-tcpip.data direct-tcpip.redirect direct-tcpip.tunnel
	tunnelproxy-tcpip.data direct-tcpip.ja4 direct-tcpip.ja4h log.open log.closed virustotal.scanfile
	virustotal.scanurl urlhaus.submitted greynoise.result reversedns.connect reversedns.forward
	telnet.option telnet.error telnet.exploit_attempt telnet.exploit_success proxy.ssh proxy.client_disconnect
	proxy.backend_connected proxy.backend_disconnected proxy.backend_connect_error`

func TestShapes(t *testing.T) {
	var buf bytes.Buffer
	stats, err := Shapes(&buf)
	if err != nil {
		t.Fatal(err)
	}
	want, _ := recount(t, buf.String())
	if diff := cmp.Diff(want, stats); diff != "" {
		t.Error(diff)
	}
	for _, id := range strings.Fields(eventIDs) {
		if !strings.Contains(buf.String(), `"cowrie.`+id+`"`) {
			t.Errorf("there is no cowrie.%s", id)
		}
	}
	for _, odd := range []string{`"shasum":""`, `"realm":"scp"`, `"message":[]`, `"duration":"7.5"`, `"duration_ms":336`,
		`"duration":3`, `"late":true`, `+0000"`, `+0200"`, `07Z"`, `"2001:db8::1"`, `::ffff:`, `b'\\xff`, `"KIPP0001"`,
		`"COW0007"`, `(%(self.url)s)`, `A4A4`, `"isError": 0`, `"uuid"`, `"unique": true`} {
		if !strings.Contains(buf.String(), odd) {
			t.Errorf("there is no %s", odd)
		}
	}
}

func BenchmarkGenerate(b *testing.B) {
	var n int64
	for b.Loop() {
		_, stats := generate(b, Options{Events: 20000, Sensors: 1}, 0)
		n = stats.Bytes
	}
	b.SetBytes(n)
}
