package cowrieprocessor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"midden/internal/synth"
)

var tables = []string{"schema_state", "raw_events", "session_summaries", "command_stats", "ingest_cursors", "dead_letter_events"}

// whole returns all rows of a database.
func whole(t testing.TB, path string, more ...string) string {
	t.Helper()
	db := openFile(t, path)
	var all []string
	for _, table := range append(more, tables...) {
		all = append(all, dump(t, db, "SELECT * FROM "+table)...)
	}
	return strings.Join(all, "\n")
}

func write(t testing.TB, o Options) (string, Tally) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "a name with 100% of ? and #.sqlite")
	tally, err := Write(t.Context(), path, o)
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(filepath.Dir(path), "*"))
	if err != nil || len(files) != 1 {
		t.Errorf("there are %d files: %q, %v", len(files), files, err)
	}
	return path, tally
}

func TestWrite(t *testing.T) {
	for _, o := range []Options{
		{Logs: synth.Options{Seed: 1, Events: 2500}},
		{Logs: synth.Options{Seed: 2, Events: 1000, Sensors: 1, Span: 24 * time.Hour}, Version: 1},
		{Logs: synth.Options{Seed: 3, Events: 1500, Span: 48 * time.Hour, Era: synth.Era2018}, Version: 2},
		{Logs: synth.Options{Seed: 4, Events: 2500, Span: 96 * time.Hour}, Faults: true, Files: "later"},
		{Logs: synth.Options{Seed: 4, Events: 1500, Span: 24 * time.Hour}, Faults: true, Files: "oldest"},
		{Logs: synth.Options{Events: 2, Sensors: 2}},
	} {
		path, tally := write(t, o)
		db := openFile(t, path)
		expect(t, db, `PRAGMA integrity_check`, "ok")
		expect(t, db, `PRAGMA journal_mode`, "wal")
		expect(t, db, `PRAGMA page_size`, "4096")

		// The definitions are those of a database made step by step.
		version := o.Version
		if version == 0 {
			version = Latest
		}
		plain := create(t, version)
		if o.Files != "" {
			if err := CreateFiles(t.Context(), plain, o.Files); err != nil {
				t.Fatal(err)
			}
		}
		const objects = `SELECT type, name, tbl_name, coalesce(sql, '') FROM sqlite_schema ORDER BY 1, 2`
		expect(t, db, objects, dump(t, plain, objects)...)
		expect(t, db, `SELECT * FROM schema_state`, fmt.Sprintf("schema_version|%d", version))

		expect(t, db, `SELECT count(*), sum(quarantined), sum(json_extract(payload, '$.malformed') IS NOT NULL) FROM raw_events`,
			fmt.Sprintf("%d|%d|%d", tally.Rows, tally.Quarantined, tally.Malformed))
		expect(t, db, `SELECT count(*), sum(event_count) FROM session_summaries`,
			fmt.Sprintf("%d|%d", tally.Sessions, tally.Events+tally.Repeated))
		expect(t, db, `SELECT (SELECT count(*) FROM dead_letter_events), (SELECT count(*) FROM ingest_cursors)`,
			fmt.Sprintf("%d|%d", tally.DeadLetters, tally.Cursors))
		expect(t, db, `SELECT count(DISTINCT payload) FROM raw_events`, fmt.Sprint(tally.Events+tally.Malformed))
		expect(t, db, `SELECT count(DISTINCT json_extract(payload, '$.shasum')), count(DISTINCT payload) FROM raw_events
			WHERE event_type IN ('cowrie.session.file_download', 'cowrie.session.file_upload')
			AND length(json_extract(payload, '$.shasum')) = 64`, fmt.Sprintf("%d|%d", tally.Files, tally.Sightings))
		expect(t, db, `SELECT count(*) FROM session_summaries s
			WHERE event_count > (SELECT count(DISTINCT payload) FROM raw_events r WHERE r.session_id = s.session_id)`,
			fmt.Sprint(tally.Doubled))
		if tally.Rows != tally.Events+tally.Repeated+tally.Malformed || (tally.Repeated > 0) != o.Faults {
			t.Errorf("%+v: %+v", o, tally)
		}
		if o.Logs.Span != 24*time.Hour && tally.Events > 2 && (tally.Cursors == 0 || tally.DeadLetters == 0) {
			t.Errorf("%+v: nothing was loaded by delta loads: %+v", o, tally)
		}
	}
}

func TestSameSeed(t *testing.T) {
	o := Options{Logs: synth.Options{Seed: 5, Events: 1500}, Files: "later", Faults: true}
	one, tally := write(t, o)
	two, again := write(t, o)
	if diff := cmp.Diff(tally, again); diff != "" {
		t.Error(diff)
	}
	if whole(t, one, "files") != whole(t, two, "files") {
		t.Error("the same seed gave other rows")
	}
	o.Logs.Seed++
	if other, _ := write(t, o); whole(t, one, "files") == whole(t, other, "files") {
		t.Error("another seed gave the same rows")
	}
}

// TestWriteLoads compares what Write makes with what Load makes of the same
// lines.
func TestWriteLoads(t *testing.T) {
	path, _ := write(t, Options{Logs: synth.Options{Seed: 7, Events: 1200, Sensors: 1, Span: time.Hour}})
	written, loaded := openFile(t, path), create(t, Latest)
	loadInto(t, loaded, "/srv/cowrie/sensor-01/cowrie.json.2026-01-01", logOf(t, 1200), LoadOptions{Inode: "1050001"})
	for _, query := range []string{
		`SELECT id, source, source_inode, source_offset, payload, payload_hash, session_id, event_timestamp FROM raw_events ORDER BY id`,
		`SELECT session_id, CAST(first_event_at AS TEXT), last_event_at, event_count, risk_score, matcher, source_files, enrichment
			FROM session_summaries ORDER BY rowid`,
	} {
		expect(t, written, query, dump(t, loaded, query)...)
	}
}

func TestUpgrade(t *testing.T) {
	db := create(t, 1)
	column := func(table string) string {
		return strings.Join(dump(t, db, `SELECT name FROM pragma_table_xinfo('`+table+`') ORDER BY cid`), " ")
	}
	const unique = `SELECT i.name, i.origin, group_concat(c.name, ' ') FROM pragma_index_list('raw_events') i,
		pragma_index_info(i.name) c WHERE i."unique" GROUP BY 1 ORDER BY 1`
	if c := column("raw_events"); strings.Contains(c, "source_generation") {
		t.Errorf("version 1 has %s", c)
	}
	expect(t, db, unique, "sqlite_autoindex_raw_events_1|u|source source_inode source_offset")
	loadInto(t, db, "a", logOf(t, 20), LoadOptions{})
	for to := 1; to <= Latest; to++ {
		if err := Upgrade(t.Context(), db, to); err != nil {
			t.Fatal(err)
		}
		expect(t, db, `SELECT value FROM schema_state`, fmt.Sprint(to))
	}
	expect(t, db, unique, "sqlite_autoindex_raw_events_1|u|source source_inode source_offset",
		"uq_raw_events_source_gen|c|source source_inode source_generation source_offset")
	expect(t, db, `SELECT DISTINCT source_generation, enrichment FROM raw_events JOIN session_summaries USING (session_id)`, "0|NULL")

	fresh := create(t, Latest)
	expect(t, fresh, unique, "sqlite_autoindex_raw_events_1|u|source source_inode source_generation source_offset",
		"uq_raw_events_source_gen|c|source source_inode source_generation source_offset")
	expect(t, fresh, `SELECT group_concat(name, ' ') FROM pragma_table_xinfo('raw_events') WHERE hidden = 2`,
		"session_id event_type event_timestamp")
	expect(t, fresh, `SELECT group_concat(name, ' ') FROM (SELECT name FROM pragma_table_xinfo('session_summaries') ORDER BY cid)`,
		"session_id first_event_at last_event_at event_count command_count file_downloads login_attempts vt_flagged "+
			"dshield_flagged risk_score matcher source_files enrichment created_at updated_at")
}

func TestFilesOfOtherReleases(t *testing.T) {
	path, tally := write(t, Options{Logs: synth.Options{Seed: 6, Events: 5000}, Files: "later"})
	db := openFile(t, path)
	expect(t, db, `SELECT count(*), count(DISTINCT session_id || shasum) FROM files WHERE length(shasum) = 64`,
		dump(t, db, `SELECT count(*), count(*) FROM (SELECT DISTINCT session_id, json_extract(payload, '$.shasum') FROM raw_events
			WHERE event_type = 'cowrie.session.file_download' AND length(json_extract(payload, '$.shasum')) = 64)`)...)
	has := func(column string, types ...string) {
		t.Helper()
		expect(t, db, `SELECT DISTINCT typeof(`+column+`) FROM files ORDER BY 1`, types...)
	}
	has("vt_malicious", "integer", "text")
	has("vt_first_seen", "integer", "null", "text")
	has("vt_last_analysis", "integer", "null", "real", "text")
	has("vt_positives", "integer", "null", "text")
	has("vt_total", "integer", "null", "real", "text")
	has("file_size", "integer", "null", "text")
	expect(t, db, `SELECT DISTINCT CAST(vt_malicious AS TEXT) FROM files ORDER BY 1`, "0", "1", "41", "7", "true")
	expect(t, db, `SELECT DISTINCT vt_positives, vt_total, typeof(vt_first_seen) FROM files WHERE CAST(vt_malicious AS TEXT) IN ('1', '41')
		ORDER BY 1`, "NULL|63|integer", "41|63|text")
	expect(t, db, `SELECT DISTINCT enrichment_status FROM files ORDER BY 1`, "enriched", "failed", "pending")

	path, tally = write(t, Options{Logs: synth.Options{Seed: 6, Events: 5000}, Files: "oldest"})
	db = openFile(t, path)
	expect(t, db, `SELECT count(*), sum(coalesce(transfer_method, '') = 'UPLOAD') > 0 FROM files WHERE length(hash) = 64`,
		fmt.Sprintf("%d|1", tally.Sightings))
	has("vt_first_submission", "integer", "null", "text")
	has("vt_hits", "integer", "null", "text")
	has("added", "null", "real")
	expect(t, db, `SELECT count(*) FROM files WHERE download_url LIKE 'http://%'`, "0")
}

func TestWriteRefuses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "old.sqlite")
	for _, o := range []Options{{Version: 4}, {Version: -1}, {Files: "other"}, {Logs: synth.Options{Events: -1}}, {Logs: synth.Options{Sensors: -1}}} {
		if _, err := Write(t.Context(), path, o); !errors.Is(err, synth.ErrOptions) {
			t.Errorf("%+v: %v", o, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Write(ctx, path, Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("stopped: %v", err)
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file is left: %v", err)
	}
	if err := os.WriteFile(path, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Write(t.Context(), path, Options{}); !errors.Is(err, fs.ErrExist) {
		t.Errorf("there is a file: %v", err)
	}
	if data, _ := os.ReadFile(path); string(data) != "mine" {
		t.Errorf("the file has become %q", data)
	}
}

func TestWriteStops(t *testing.T) {
	path := filepath.Join(t.TempDir(), "old.sqlite")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := Write(ctx, path, Options{Logs: synth.Options{Events: 500_000}})
		done <- err
	}()
	for {
		if info, err := os.Stat(path); err == nil && info.Size() > 1<<15 {
			cancel()
			break
		}
		runtime.Gosched()
	}
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("stopped: %v", err)
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file is left: %v", err)
	}
}

func BenchmarkWrite(b *testing.B) {
	rows := 0
	for b.Loop() {
		_, tally := write(b, Options{Logs: synth.Options{Events: 100_000}})
		rows += tally.Rows
	}
	b.ReportMetric(float64(rows)/b.Elapsed().Seconds(), "rows/s")
}
