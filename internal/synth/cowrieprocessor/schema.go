package cowrieprocessor

import (
	"context"
	"database/sql"
	"fmt"
	"regexp"
	"strings"

	"midden/internal/synth"
)

// Latest is the last version that kept everything in these tables, and the one
// that midden takes over.
const Latest = 3

// rawEvents is the table of a version that was made new. The first version had
// no source_generation. The trailing spaces are the tool's.
const rawEvents = `CREATE TABLE raw_events (
	id INTEGER NOT NULL, 
	ingest_id VARCHAR(64), 
	ingest_at DATETIME DEFAULT CURRENT_TIMESTAMP NOT NULL, 
	source VARCHAR(512) NOT NULL, 
	source_offset BIGINT, 
	source_inode VARCHAR(128), 
	source_generation INTEGER DEFAULT '0' NOT NULL, 
	payload JSON NOT NULL, 
	payload_hash VARCHAR(64), 
	risk_score INTEGER, 
	quarantined BOOLEAN DEFAULT '0' NOT NULL, 
	session_id VARCHAR(64) GENERATED ALWAYS AS (json_extract(payload, '$.session')) VIRTUAL, 
	event_type VARCHAR(128) GENERATED ALWAYS AS (json_extract(payload, '$.eventid')) VIRTUAL, 
	event_timestamp VARCHAR(64) GENERATED ALWAYS AS (json_extract(payload, '$.timestamp')) VIRTUAL, 
	CONSTRAINT pk_raw_events PRIMARY KEY (id), 
	CONSTRAINT uq_raw_events_source_offset UNIQUE (source, source_inode, source_generation, source_offset)
)`

const sessionSummaries = `CREATE TABLE session_summaries (
	session_id VARCHAR(64) NOT NULL, 
	first_event_at DATETIME, 
	last_event_at DATETIME, 
	event_count INTEGER DEFAULT '0' NOT NULL, 
	command_count INTEGER DEFAULT '0' NOT NULL, 
	file_downloads INTEGER DEFAULT '0' NOT NULL, 
	login_attempts INTEGER DEFAULT '0' NOT NULL, 
	vt_flagged BOOLEAN DEFAULT '0' NOT NULL, 
	dshield_flagged BOOLEAN DEFAULT '0' NOT NULL, 
	risk_score INTEGER, 
	matcher VARCHAR(32), 
	source_files JSON, 
	enrichment JSON, 
	created_at DATETIME DEFAULT CURRENT_TIMESTAMP NOT NULL, 
	updated_at DATETIME DEFAULT CURRENT_TIMESTAMP NOT NULL, 
	CONSTRAINT pk_session_summaries PRIMARY KEY (session_id)
)`

// others are what never changed.
var others = []string{
	`CREATE TABLE schema_state (
	"key" VARCHAR(128) NOT NULL, 
	value VARCHAR(256) NOT NULL, 
	CONSTRAINT pk_schema_state PRIMARY KEY ("key")
)`, `CREATE TABLE command_stats (
	id INTEGER NOT NULL, 
	session_id VARCHAR(64) NOT NULL, 
	command_normalized TEXT NOT NULL, 
	occurrences INTEGER DEFAULT '0' NOT NULL, 
	first_seen DATETIME, 
	last_seen DATETIME, 
	high_risk BOOLEAN DEFAULT '0' NOT NULL, 
	CONSTRAINT pk_command_stats PRIMARY KEY (id), 
	CONSTRAINT uq_command_stats_session_command UNIQUE (session_id, command_normalized)
)`, `CREATE TABLE ingest_cursors (
	source VARCHAR(512) NOT NULL, 
	inode VARCHAR(128), 
	last_offset INTEGER DEFAULT '-1' NOT NULL, 
	last_ingest_at DATETIME DEFAULT CURRENT_TIMESTAMP NOT NULL, 
	last_ingest_id VARCHAR(64), 
	metadata_json JSON, 
	CONSTRAINT pk_ingest_cursors PRIMARY KEY (source)
)`, `CREATE TABLE dead_letter_events (
	id INTEGER NOT NULL, 
	ingest_id VARCHAR(64), 
	source VARCHAR(512), 
	source_offset INTEGER, 
	reason VARCHAR(128) NOT NULL, 
	payload JSON NOT NULL, 
	metadata_json JSON, 
	created_at DATETIME DEFAULT CURRENT_TIMESTAMP NOT NULL, 
	resolved BOOLEAN DEFAULT '0' NOT NULL, 
	resolved_at DATETIME, 
	CONSTRAINT pk_dead_letter_events PRIMARY KEY (id)
)`,
	`CREATE INDEX ix_raw_events_session_id ON raw_events (session_id)`,
	`CREATE INDEX ix_raw_events_event_type ON raw_events (event_type)`,
	`CREATE INDEX ix_raw_events_event_timestamp ON raw_events (event_timestamp)`,
	`CREATE INDEX ix_raw_events_ingest_at ON raw_events (ingest_at)`,
	`CREATE INDEX ix_session_summaries_first_event ON session_summaries (first_event_at)`,
	`CREATE INDEX ix_session_summaries_last_event ON session_summaries (last_event_at)`,
	`CREATE INDEX ix_session_summaries_flags ON session_summaries (vt_flagged, dshield_flagged)`,
	`CREATE INDEX ix_command_stats_session ON command_stats (session_id)`,
	`CREATE INDEX ix_command_stats_command ON command_stats (command_normalized)`,
	`CREATE INDEX ix_ingest_cursors_offset ON ingest_cursors (last_offset)`,
	`CREATE INDEX ix_dead_letter_events_created ON dead_letter_events (created_at)`,
	`CREATE INDEX ix_dead_letter_events_source ON dead_letter_events (source)`,
}

// filesTables are the files tables of other releases, by the names that
// Options.Files has for them.
var filesTables = map[string][]string{
	"later": {`CREATE TABLE files (
	id INTEGER NOT NULL, 
	session_id VARCHAR(64) NOT NULL, 
	shasum VARCHAR(64) NOT NULL, 
	filename VARCHAR(512), 
	file_size BIGINT, 
	download_url VARCHAR(1024), 
	vt_classification VARCHAR(128), 
	vt_description TEXT, 
	vt_malicious BOOLEAN DEFAULT '0' NOT NULL, 
	vt_first_seen DATETIME, 
	vt_last_analysis DATETIME, 
	vt_positives INTEGER, 
	vt_total INTEGER, 
	vt_scan_date DATETIME, 
	first_seen DATETIME DEFAULT CURRENT_TIMESTAMP NOT NULL, 
	last_updated DATETIME DEFAULT CURRENT_TIMESTAMP NOT NULL, 
	enrichment_status VARCHAR(32) DEFAULT 'pending' NOT NULL, 
	CONSTRAINT pk_files PRIMARY KEY (id), 
	CONSTRAINT uq_files_session_hash UNIQUE (session_id, shasum)
)`,
		`CREATE INDEX ix_files_shasum ON files (shasum)`,
		`CREATE INDEX ix_files_vt_malicious ON files (vt_malicious)`,
		`CREATE INDEX ix_files_enrichment_status ON files (enrichment_status)`,
		`CREATE INDEX ix_files_first_seen ON files (first_seen)`,
		`CREATE INDEX ix_files_session_id ON files (session_id)`,
	},
	"oldest": {`CREATE TABLE files(session text, download_url text, hash text, file_path text,
	vt_description text, vt_threat_classification text, vt_first_submission int, vt_hits int,
	src_ip text, urlhaus_tag text, asname text, ascountry text, transfer_method text,
	added int, hostname text)`},
}

// Create makes the empty tables of a version in an empty database: 1, 2 or 3.
// Version 3 is as the tool made it new. Version 2 is one that was 1 before, as
// all are that are known; for a version 3 that began so, see Upgrade. In a
// file it turns on the write-ahead log, as the tool did.
func Create(ctx context.Context, db *sql.DB, version int) error {
	raw, sessions := rawEvents, sessionSummaries
	made := version
	switch version {
	case 1, 2:
		raw = strings.ReplaceAll(raw, "\tsource_generation INTEGER DEFAULT '0' NOT NULL, \n", "")
		raw = strings.ReplaceAll(raw, "source_inode, source_generation, ", "source_inode, ")
		sessions = strings.ReplaceAll(sessions, "\tenrichment JSON, \n", "")
		made = 1
	case Latest:
	default:
		return fmt.Errorf("%w: there is no version %d", synth.ErrOptions, version)
	}
	statements := []string{"PRAGMA journal_mode = WAL", raw, sessions}
	statements = append(statements, others...)
	if version == Latest {
		statements = append(statements, uniqueWithGeneration)
	}
	for _, s := range statements {
		if _, err := db.ExecContext(ctx, s); err != nil {
			return fmt.Errorf("create version %d: %w", version, err)
		}
	}
	if _, err := db.ExecContext(ctx, `INSERT INTO schema_state VALUES ('schema_version', ?)`, fmt.Sprint(made)); err != nil {
		return fmt.Errorf("create version %d: %w", version, err)
	}
	return Upgrade(ctx, db, version)
}

const uniqueWithGeneration = `CREATE UNIQUE INDEX uq_raw_events_source_gen ` +
	`ON raw_events(source, source_inode, source_generation, source_offset)`

// Upgrade brings a database to a later version, up to 3, as the tool did: by
// adding columns. The unique constraint of version 1, without the generation,
// stays.
func Upgrade(ctx context.Context, db *sql.DB, to int) error {
	from, err := versionOf(ctx, db)
	if err != nil {
		return err
	}
	var statements []string
	if from < 2 && to >= 2 {
		statements = append(statements,
			`ALTER TABLE raw_events ADD COLUMN source_generation INTEGER NOT NULL DEFAULT 0`, uniqueWithGeneration)
	}
	if from < 3 && to >= 3 {
		statements = append(statements, `ALTER TABLE session_summaries ADD COLUMN enrichment JSON`)
	}
	if from < to {
		statements = append(statements, fmt.Sprintf(`UPDATE schema_state SET value = '%d' WHERE "key" = 'schema_version'`, to))
	}
	for _, s := range statements {
		if _, err := db.ExecContext(ctx, s); err != nil {
			return fmt.Errorf("upgrade to version %d: %w", to, err)
		}
	}
	return nil
}

// CreateFiles adds the empty files table of another release: "later" or
// "oldest", see Options.Files.
func CreateFiles(ctx context.Context, db *sql.DB, kind string) error {
	if filesTables[kind] == nil {
		return fmt.Errorf("%w: there is no files table %q", synth.ErrOptions, kind)
	}
	for _, s := range filesTables[kind] {
		if _, err := db.ExecContext(ctx, s); err != nil {
			return fmt.Errorf("create the files table: %w", err)
		}
	}
	return nil
}

// querier is a connection, a transaction or the database.
type querier interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

func versionOf(ctx context.Context, q querier) (version int, err error) {
	err = q.QueryRowContext(ctx, `SELECT CAST(value AS INTEGER) FROM schema_state WHERE "key" = 'schema_version'`).Scan(&version)
	if err != nil {
		return 0, fmt.Errorf("read the version of the tables: %w", err)
	}
	return version, nil
}

// generated finds the definitions of generated columns.
var generated = regexp.MustCompile(`\s*\w+ VARCHAR\(\d+\) GENERATED ALWAYS AS \(json_extract\([^)]*\)\) VIRTUAL,`)

// withoutGenerated returns a table's definition without the generated columns.
// As these are not stored, a row of the one is a row of the other.
func withoutGenerated(table string) string { return generated.ReplaceAllString(table, "") }

// ofGenerated matches the definition of an index of a generated column.
var ofGenerated = regexp.MustCompile(`ON raw_events \((session_id|event_type|event_timestamp)\)$`)
