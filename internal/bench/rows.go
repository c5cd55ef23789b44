package bench

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
)

// The yardstick of loading is a row for each event in cowrieprocessor's raw_events, with
// its generated columns and its indexes. Its rows are made ready beforehand: what is timed is their
// insertion alone.

// rowColumns are the columns of raw_events that are not generated.
const rowColumns = "id, ingest_id, ingest_at, source, source_offset, source_inode, source_generation, payload, payload_hash, risk_score, quarantined"

const sqliteRows = `PRAGMA journal_mode = wal; PRAGMA synchronous = normal; PRAGMA page_size = 16384;
CREATE TABLE raw_events (id INTEGER PRIMARY KEY, ingest_id VARCHAR(64), ingest_at DATETIME,
	source VARCHAR(512) NOT NULL, source_offset BIGINT, source_inode VARCHAR(128), source_generation INTEGER,
	payload JSON NOT NULL, payload_hash VARCHAR(64), risk_score INTEGER, quarantined BOOLEAN,
	session_id VARCHAR(64) GENERATED ALWAYS AS (json_extract(payload, '$.session')) VIRTUAL,
	event_type VARCHAR(128) GENERATED ALWAYS AS (json_extract(payload, '$.eventid')) VIRTUAL,
	event_timestamp VARCHAR(64) GENERATED ALWAYS AS (json_extract(payload, '$.timestamp')) VIRTUAL,
	UNIQUE (source, source_inode, source_generation, source_offset));
CREATE INDEX ix_raw_events_event_type ON raw_events (event_type);
CREATE INDEX ix_raw_events_session_id ON raw_events (session_id);
CREATE INDEX ix_raw_events_ingest_at ON raw_events (ingest_at);
CREATE INDEX ix_raw_events_event_timestamp ON raw_events (event_timestamp);
CREATE UNIQUE INDEX uq_raw_events_source_gen ON raw_events (source, source_inode, source_generation, source_offset);
ATTACH 'rows.db' AS s;
INSERT INTO raw_events (` + rowColumns + `) SELECT * FROM s.rows;`

const postgresRows = `CREATE TABLE raw_events (id BIGINT PRIMARY KEY, ingest_id VARCHAR(64), ingest_at TIMESTAMPTZ,
	source VARCHAR(512) NOT NULL, source_offset BIGINT, source_inode VARCHAR(128), source_generation INTEGER,
	payload JSONB NOT NULL, payload_hash VARCHAR(64), risk_score INTEGER, quarantined BOOLEAN,
	session_id VARCHAR(64) GENERATED ALWAYS AS (payload ->> 'session') STORED,
	event_type VARCHAR(128) GENERATED ALWAYS AS (payload ->> 'eventid') STORED,
	event_timestamp VARCHAR(64) GENERATED ALWAYS AS (payload ->> 'timestamp') STORED,
	UNIQUE (source, source_inode, source_generation, source_offset));
CREATE INDEX ON raw_events (event_type); CREATE INDEX ON raw_events (session_id);
CREATE INDEX ON raw_events (ingest_at); CREATE INDEX ON raw_events (event_timestamp)`

// asRow writes a line as a row of raw_events, its columns divided by a separator.
func asRow(w *bufio.Writer, id int64, separator, line []byte) {
	for i, value := range []string{"", "i", "2026-01-01 00:00:00", "/srv/cowrie/cowrie.json", "", "1", "0", "",
		"0000000000000000000000000000000000000000000000000000000000000000", "0", "0"} {
		if i > 0 {
			w.Write(separator)
		}
		switch i {
		case 0, 4:
			fmt.Fprint(w, id)
		case 7:
			w.Write(line)
		default:
			w.WriteString(value)
		}
	}
	w.WriteByte('\n')
}

// unwanted is what jsonb cannot hold.
var unwanted = regexp.MustCompile(`\\u(?:0000|[dD][89a-fA-F][0-9a-fA-F]{2})`)

// copyText makes a line one that \copy takes.
func copyText(line []byte) []byte {
	if bytes.Contains(line, []byte(`\u`)) {
		line = unwanted.ReplaceAll(line, nil)
	}
	return bytes.ReplaceAll(bytes.ToValidUTF8(line, nil), []byte(`\`), []byte(`\\`))
}

// writeRows writes all lines of logs as rows, each as alter makes it, and returns how many there are.
func (l *logs) writeRows(path, separator string, alter func([]byte) []byte) (n int64, err error) {
	file, err := os.Create(path)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	out := bufio.NewWriterSize(file, 1<<20)
	err = l.lines(func(line []byte) error {
		n++
		asRow(out, n, []byte(separator), alter(line))
		return nil
	})
	if err != nil {
		return n, err
	}
	return n, out.Flush()
}

// lines calls do with each line of the logs, without its end.
func (l *logs) lines(do func(line []byte) error) error {
	paths, err := filepath.Glob(filepath.Join(l.dir, "*", "*"))
	if err != nil {
		return err
	}
	for _, path := range paths {
		if err := linesOf(path, do); err != nil {
			return err
		}
	}
	return nil
}

func linesOf(path string, do func(line []byte) error) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		if err := do(lines.Bytes()); err != nil {
			return err
		}
	}
	return lines.Err()
}
