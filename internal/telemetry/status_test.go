package telemetry

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func read(t *testing.T, path string) map[string]any {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var v map[string]any
	if err := json.Unmarshal(content, &v); err != nil {
		t.Fatalf("%s: %v: %s", path, err, content)
	}
	return v
}

// at follows keys into an object.
func at(v any, keys ...string) any {
	for _, k := range keys {
		object, _ := v.(map[string]any)
		v = object[k]
	}
	return v
}

var midway = Status{
	Counts: Counts{
		FilesDone: 2, FilesTotal: 5, BytesDone: 4000, BytesTotal: 10000,
		Lines: 1000, Events: 800, Duplicates: 150, DeadLetters: 50,
	},
	Invalid: 3, BatchesCommitted: 4, LastSource: "/logs/cowrie.json.2024-05-06", LastOffset: 4000,
	DeadLetterLastReason: "not JSON: \x1b[2J<\xff", DeadLetterLastSource: "/logs/a\u202eb",
}

func TestStatusFileShape(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "deep", "status")
	c := newClock()
	s := NewStatusWriter(dir, "bulk_ingest", "run-1", nil, c.now)
	c.pass(4 * time.Second)
	s.Update(midway)

	const want = `{
		"phase": "bulk_ingest",
		"ingest_id": "run-1",
		"last_updated": "2024-05-06T07:08:13.000000+00:00",
		"state": "running",
		"metrics": {
			"ingest_id": "run-1", "files_processed": 2, "events_read": 1000, "events_inserted": 800,
			"events_quarantined": 50, "events_invalid": 3, "duplicates_skipped": 150, "batches_committed": 4,
			"last_source": "/logs/cowrie.json.2024-05-06", "last_offset": 4000,
			"duration_seconds": 4, "events_per_second": 250, "eta_seconds": 6,
			"files_total": 5, "bytes_done": 4000, "bytes_total": 10000
		},
		"checkpoint": {
			"ingest_id": "run-1", "source": "/logs/cowrie.json.2024-05-06", "offset": 4000,
			"batch_index": 4, "events_inserted": 800, "created_at": "2024-05-06T07:08:13.000000+00:00"
		},
		"dead_letter": {
			"total": 50, "last_reason": "not JSON: \u001b[2J<\ufffd", "last_source": "/logs/a\u202eb",
			"last_updated": "2024-05-06T07:08:13.000000+00:00"
		}
	}`
	var phase map[string]any
	if err := json.Unmarshal([]byte(want), &phase); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "bulk_ingest.json")
	if diff := cmp.Diff(phase, read(t, path)); diff != "" {
		t.Errorf("phase, -want +got:\n%s", diff)
	}

	phase["status_file"] = path
	all := map[string]any{
		"last_updated": "2024-05-06T07:08:13.000000+00:00",
		"phases":       map[string]any{"bulk_ingest": phase},
	}
	if diff := cmp.Diff(all, read(t, filepath.Join(dir, "status.json"))); diff != "" {
		t.Errorf("aggregate, -want +got:\n%s", diff)
	}

	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 2 {
		t.Fatalf("%v, %v: want two files", entries, err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || info.Mode() != 0o644 {
			t.Errorf("%s: mode %v, %v", e.Name(), info.Mode(), err)
		}
		content, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil || bytes.ContainsAny(content, "\x1b\u202e") {
			t.Errorf("%s acts on a terminal: %q, %v", e.Name(), content, err)
		}
	}
}

func TestStatusBeforeAnything(t *testing.T) {
	dir := t.TempDir()
	s := NewStatusWriter(dir, "delta_ingest", "r", nil, newClock().now)
	if entries, _ := os.ReadDir(dir); len(entries) != 0 {
		t.Errorf("written before the first Update: %v", entries)
	}
	s.Update(Status{})
	got := read(t, filepath.Join(dir, "delta_ingest.json"))
	for _, c := range []struct {
		want any
		keys []string
	}{
		{map[string]any{}, []string{"checkpoint"}},
		{map[string]any{"total": 0.0}, []string{"dead_letter"}},
		{nil, []string{"metrics", "eta_seconds"}},
		{nil, []string{"metrics", "last_source"}},
		{0.0, []string{"metrics", "events_per_second"}},
	} {
		if diff := cmp.Diff(c.want, at(got, c.keys...)); diff != "" {
			t.Errorf("%v: -want +got:\n%s", c.keys, diff)
		}
	}
}

func TestStatusIsThrottled(t *testing.T) {
	dir := t.TempDir()
	c := newClock()
	s := NewStatusWriter(dir, "p", "r", nil, c.now)
	lines := func() any { return at(read(t, filepath.Join(dir, "p.json")), "metrics", "events_read") }
	update := func(n int64) { s.Update(Status{Counts: Counts{Lines: n}}) }

	update(1)
	c.pass(999 * time.Millisecond)
	update(2)
	if got := lines(); got != 1.0 {
		t.Errorf("after 0.999 s: %v", got)
	}
	c.pass(time.Millisecond)
	update(3)
	if got := lines(); got != 3.0 {
		t.Errorf("after 1 s: %v", got)
	}
	c.pass(-24 * time.Hour)
	update(4)
	if got := lines(); got != 4.0 {
		t.Errorf("after the clock was set back: %v", got)
	}
	s.Close(Done, Status{Counts: Counts{Lines: 5}})
	if got := lines(); got != 5.0 {
		t.Errorf("after Close: %v", got)
	}
	c.pass(time.Hour)
	update(6)
	s.Close(Failed, Status{})
	if got := lines(); got != 5.0 {
		t.Errorf("written after Close: %v", got)
	}
}

func TestStatusRates(t *testing.T) {
	dir := t.TempDir()
	c := newClock()
	s := NewStatusWriter(dir, "p", "r", nil, c.now)
	rate := func() any { return at(read(t, filepath.Join(dir, "p.json")), "metrics", "events_per_second") }
	var st Status
	for range 20 { // 100 a second, all known already
		c.pass(time.Second)
		st.Counts.Lines += 100
		st.Counts.Duplicates += 100
		s.Update(st)
	}
	if got := rate(); got != 100.0 {
		t.Errorf("in the run: %v", got)
	}
	c.pass(20 * time.Second)
	s.Update(st)
	if got := rate(); got != 0.0 {
		t.Errorf("after 20 s without an event: %v", got)
	}
	s.Close(Stopped, st)
	if got := rate(); got != 50.0 {
		t.Errorf("of the whole run: %v", got)
	}
	if got := at(read(t, filepath.Join(dir, "status.json")), "phases", "p", "state"); got != "stopped" {
		t.Errorf("state %v", got)
	}
}

func TestStatusTimesOfLastChange(t *testing.T) {
	dir := t.TempDir()
	c := newClock()
	s := NewStatusWriter(dir, "p", "r", nil, c.now)
	s.Update(midway)
	c.pass(time.Minute)
	s.Update(midway)
	got := read(t, filepath.Join(dir, "p.json"))
	for _, keys := range [][]string{{"checkpoint", "created_at"}, {"dead_letter", "last_updated"}} {
		if v := at(got, keys...); v != "2024-05-06T07:08:09.000000+00:00" {
			t.Errorf("%v: %v", keys, v)
		}
	}
	if v := got["last_updated"]; v != "2024-05-06T07:09:09.000000+00:00" {
		t.Errorf("last_updated: %v", v)
	}
}

func TestAggregateKeepsOtherPhases(t *testing.T) {
	dir := t.TempDir()
	c := newClock()
	foreign := `{"last_updated":"x","phases":{
		"reporting":{"phase":"reporting","metrics":{"reports":12345678901234567890},"status_file":"elsewhere"},
		"../up":{"phase":"../up"},
		"bad":"text"}}`
	if err := os.WriteFile(filepath.Join(dir, "status.json"), []byte(foreign), 0o600); err != nil {
		t.Fatal(err)
	}
	NewStatusWriter(dir, "bulk_ingest", "1", nil, c.now).Close(Done, Status{})
	NewStatusWriter(dir, "enrichment_refresh", "2", nil, c.now).Update(Status{})

	phases, _ := at(read(t, filepath.Join(dir, "status.json")), "phases").(map[string]any)
	var names []string
	for name := range phases {
		names = append(names, name)
	}
	if len(names) != 4 || phases["bad"] != nil {
		t.Errorf("phases %v", names)
	}
	if at(phases, "bulk_ingest", "state") != "done" || at(phases, "reporting", "status_file") != "elsewhere" {
		t.Errorf("got %v", phases)
	}
	content, err := os.ReadFile(filepath.Join(dir, "status.json"))
	if err != nil || !bytes.Contains(content, []byte("12345678901234567890")) {
		t.Errorf("another phase's numbers were changed: %s, %v", content, err)
	}
}

// Two runs that write the aggregate at once: what one wrote between the other's
// reading and writing is found again in its own file.
func TestAggregateHealsLostUpdates(t *testing.T) {
	dir := t.TempDir()
	c := newClock()
	a := NewStatusWriter(dir, "bulk_ingest", "1", nil, c.now)
	b := NewStatusWriter(dir, "enrichment_refresh", "2", nil, c.now)
	a.Update(Status{})
	b.Update(Status{})
	target := filepath.Join(dir, "status.json")
	before, err := os.ReadFile(target)
	if err != nil {
		t.Fatal(err)
	}
	a.Close(Done, Status{})
	if err := os.WriteFile(target, before, 0o644); err != nil { // b's write, of what it read earlier
		t.Fatal(err)
	}
	b.Close(Failed, Status{})
	got := read(t, target)
	if at(got, "phases", "bulk_ingest", "state") != "done" || at(got, "phases", "enrichment_refresh", "state") != "failed" {
		t.Errorf("got %v", got)
	}
	if got := at(got, "phases", "bulk_ingest", "status_file"); got != filepath.Join(dir, "bulk_ingest.json") {
		t.Errorf("status_file %v", got)
	}
}

func TestBrokenAggregateIsReplaced(t *testing.T) {
	for name, content := range map[string]string{
		"empty": "", "cut": `{"phases":{"a":{"phase"`, "list": "[1]", "null": "null", "other": `{"phases":[1]}`,
		"null phase": `{"phases":{"a":null}}`, "huge": strings.Repeat(" ", maxStatusFile+1) + "{}",
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			var log bytes.Buffer
			target := filepath.Join(dir, "status.json")
			if err := os.WriteFile(target, []byte(content), 0o644); err != nil {
				t.Fatal(err)
			}
			s := NewStatusWriter(dir, "p", "r", NewLogger(&log, slog.LevelDebug, false), newClock().now)
			s.Close(Done, Status{})
			phases, _ := at(read(t, target), "phases").(map[string]any)
			if len(phases) != 1 || at(phases, "p", "state") != "done" || log.Len() != 0 {
				t.Errorf("got %v, log %s", phases, log.String())
			}
		})
	}
}

func TestUnwritableDirWarnsOnce(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	c := newClock()
	s := NewStatusWriter(filepath.Join(file, "status"), "p", "r", NewLogger(&log, slog.LevelInfo, false), c.now)
	for range 3 {
		c.pass(time.Minute)
		s.Update(midway)
	}
	s.Close(Done, midway)
	if got := log.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, " warn ") || !strings.Contains(got, "not a directory") {
		t.Errorf("log %q", got)
	}
}

func TestUnwritableFileLeavesNoLitter(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "p.json"), 0o755); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	s := NewStatusWriter(dir, "p", "r", NewLogger(&log, slog.LevelInfo, false), newClock().now)
	s.Close(Done, midway)
	if strings.Count(log.String(), "\n") != 1 {
		t.Errorf("log %q", log.String())
	}
	if at(read(t, filepath.Join(dir, "status.json")), "phases", "p", "state") != "done" {
		t.Error("the aggregate was not written")
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 2 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

// A reader finds whole files while they are written.
func TestStatusFilesAreNeverCut(t *testing.T) {
	dir := t.TempDir()
	s := NewStatusWriter(dir, "p", "r", nil, newClock().now)
	s.Update(midway)
	file := s.file(start, Running, midway)
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for range 100 {
				if err := writeAggregate(dir, file, filepath.Join(dir, "p.json")); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range 200 {
		read(t, filepath.Join(dir, "status.json"))
	}
	wg.Wait()
}

func TestNilStatusWriter(t *testing.T) {
	var s *StatusWriter
	s.Update(Status{})
	s.Close(Done, Status{})
}
