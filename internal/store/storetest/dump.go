// Package storetest holds what tests of the store share.
//
// A store comes in; a text goes out that two databases have in common exactly
// if they hold the same: events, sessions, commands, files, sightings, verdicts,
// dead letters and what is counted by day, whatever order they came in and under whatever names.
package storetest

import (
	"database/sql"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"midden/internal/cowrie"
	"midden/internal/store"
)

// Dump returns the canonical text of a database. db is a connection of its own
// to the database that s has open. It fails the test if a sighting does not
// lead to its event, or if what is kept of a day is not what its sessions add up to.
func Dump(t testing.TB, s *store.Store, db *sql.DB) string {
	t.Helper()
	var out []string
	texts := map[string]string{}
	q := store.EventFilter{Since: cowrie.NoTime, Until: cowrie.NoTime}
	err := s.Events(t.Context(), q, func(e *store.Event) error {
		text := string(cowrie.Compact(nil, e.Text))
		place := fmt.Sprint(e.Segment, "/", e.Index)
		if e.Raw != 0 {
			place = fmt.Sprint("raw ", e.Raw)
		}
		texts[place] = text
		out = append(out, "event "+text)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, query := range []string{
		`SELECT 'session', session_id, first_event_at, last_event_at, event_count, command_count, file_downloads,
			file_uploads, failed_transfers, login_attempts, login_successes, matcher, src_ip, protocol, duration_ms,
			client_version, hassh, username, password, login_at, shared_id FROM session_summaries`,
		`SELECT 'command', session_id, command_normalized, occurrences, first_seen, last_seen FROM command_stats`,
		`SELECT 'file', shasum, session_id, filename, filename_at, download_url, download_url_at, first_seen, last_seen,
			sighting_count, disk_only, file_size, mime_type, sha1, md5, entropy, head, interpreter, elf_class, elf_byte_order,
			elf_machine, elf_linkage, elf_stripped, vt_malicious, vt_total, vt_last_analysis, vt_checked_at, enrichment_status FROM files`,
		`SELECT 'sighting', shasum, session_id, sensor, src_ip, kind, seen_at, filename, destfile, download_url, outfile,
			duplicate, sighting_key FROM file_sightings`,
		`SELECT 'verdict', shasum, source, observed_at, analysed_at, first_submission_at, malicious, suspicious, undetected,
			harmless, total, classification, description FROM file_verdicts`,
		`SELECT 'dead letter', digest, length, reason, payload, resolved FROM dead_letter_events`,
		`SELECT 'sessionless', digest FROM sessionless_events`,
		`SELECT 'sensor day', day, sensor, events, failed_transfers, last_event_at, quarters FROM sensor_days`,
		`SELECT 'login', day, sensor, username, password, attempts, successes FROM login_stats`,
	} {
		out = append(out, rows(t, db, query)...)
	}
	for _, ref := range Rows(t, db, `SELECT coalesce(segment_id || '/' || event_index, 'raw ' || raw_event_id),
		shasum, session_id FROM file_sightings WHERE kind <> 'disk'
			AND NOT EXISTS (SELECT 1 FROM dropped_segments d WHERE d.id = segment_id)`) {
		text := texts[ref[0]]
		e, err := cowrie.Parse([]byte(text))
		if err != nil || e.Session != ref[2] || !strings.Contains(strings.ToLower(text), ref[1]) {
			t.Errorf("the sighting of %s in session %q leads to the wrong event: %s", ref[1], ref[2], text)
		}
	}
	Sums(t, s)
	slices.Sort(out)
	return strings.Join(out, "\n") + "\n"
}

// Sums fails the test if something else is kept of a day than its sessions add up to, or of a file than
// its sightings do.
func Sums(t testing.TB, s *store.Store) {
	t.Helper()
	snapshot, err := s.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer snapshot.Close()
	if err := snapshot.WrongSums(t.Context(), func(w *cowrie.WrongSums) error {
		t.Errorf("of %s on %q %d sessions are kept, and %d counted: %v", w.Day, w.Sensor, w.Kept, w.Counted, w.Damage)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if err := snapshot.WrongFileSums(t.Context(), func(shasum string, damage error) error {
		t.Errorf("of file %s something else is kept than its sightings add up to: %v", shasum, damage)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

func rows(t testing.TB, db *sql.DB, query string) (out []string) {
	t.Helper()
	for _, row := range Rows(t, db, query) {
		out = append(out, strings.Join(row, " | "))
	}
	return out
}

// Rows returns what a query finds, each value as a text that is the same on all
// engines: NULL, 0 and 1 for what is false and true, RFC 3339, and hex for bytes.
func Rows(t testing.TB, db *sql.DB, query string, args ...any) (out [][]string) {
	t.Helper()
	rs, err := db.QueryContext(t.Context(), query, args...)
	if err != nil {
		t.Fatal(err)
	}
	defer rs.Close()
	columns, err := rs.ColumnTypes()
	if err != nil {
		t.Fatal(err)
	}
	for rs.Next() {
		values := make([]any, len(columns))
		for i := range values {
			values[i] = new(any)
		}
		if err := rs.Scan(values...); err != nil {
			t.Fatal(err)
		}
		row := make([]string, len(columns))
		for i, v := range values {
			value := *v.(*any)
			if day, ok := value.(time.Time); ok && columns[i].DatabaseTypeName() == "DATE" {
				value = day.Format(time.DateOnly) // SQLite has a text for it
			}
			row[i] = valueText(value)
		}
		out = append(out, row)
	}
	if err := rs.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

// valueText is a value as text, the same whichever engine holds it.
func valueText(v any) string {
	switch v := v.(type) {
	case nil:
		return "NULL"
	case time.Time:
		return cowrie.Time(v.UnixMicro()).String()
	case bool: // SQLite has numbers for them
		if v {
			return "1"
		}
		return "0"
	case []byte:
		return hex.EncodeToString(v)
	case string:
		// Two forms of times stand in text columns.
		if at, ok := cowrie.ParseTime([]byte(v)); ok && (v == at.String() || v == at.SQL()) {
			return at.String()
		}
		return v
	}
	return fmt.Sprint(v)
}
