-- Version 4: events in segments, one row for each file, and where each file
-- was seen.

-- +goose Up
ALTER TABLE session_summaries ADD COLUMN sensor TEXT GENERATED ALWAYS AS (matcher) VIRTUAL;
ALTER TABLE session_summaries ADD COLUMN src_ip TEXT;
ALTER TABLE session_summaries ADD COLUMN protocol TEXT;
ALTER TABLE session_summaries ADD COLUMN duration_ms INTEGER;
ALTER TABLE session_summaries ADD COLUMN client_version TEXT;
ALTER TABLE session_summaries ADD COLUMN hassh TEXT;
ALTER TABLE session_summaries ADD COLUMN username TEXT;
ALTER TABLE session_summaries ADD COLUMN password TEXT;
ALTER TABLE session_summaries ADD COLUMN login_at TEXT;
ALTER TABLE session_summaries ADD COLUMN login_successes INTEGER NOT NULL DEFAULT 0;
ALTER TABLE session_summaries ADD COLUMN file_uploads INTEGER NOT NULL DEFAULT 0;
ALTER TABLE session_summaries ADD COLUMN failed_transfers INTEGER NOT NULL DEFAULT 0;
ALTER TABLE session_summaries ADD COLUMN shared_id BOOLEAN NOT NULL DEFAULT 0;
ALTER TABLE session_summaries ADD COLUMN segments TEXT;
ALTER TABLE session_summaries ADD COLUMN segment_events INTEGER NOT NULL DEFAULT 0;
CREATE INDEX ix_session_summaries_busy ON session_summaries (first_event_at, command_count) WHERE command_count >= 10;

ALTER TABLE dead_letter_events ADD COLUMN source_id INTEGER;
ALTER TABLE dead_letter_events ADD COLUMN length INTEGER;
ALTER TABLE dead_letter_events ADD COLUMN digest TEXT;
CREATE UNIQUE INDEX IF NOT EXISTS uq_dead_letter_events_digest ON dead_letter_events (digest) WHERE digest IS NOT NULL;

CREATE TABLE sources (
    id             INTEGER PRIMARY KEY,
    fingerprint    TEXT NOT NULL,
    position       INTEGER NOT NULL,
    digest         TEXT NOT NULL,
    digest_state   BLOB NOT NULL,
    tail           BLOB NOT NULL,
    lines          INTEGER NOT NULL DEFAULT 0,
    events         INTEGER NOT NULL DEFAULT 0,
    duplicates     INTEGER NOT NULL DEFAULT 0,
    dead_letters   INTEGER NOT NULL DEFAULT 0,
    blank          INTEGER NOT NULL DEFAULT 0,
    first_event_at TEXT,
    last_event_at  TEXT,
    created_at     TEXT NOT NULL,
    updated_at     TEXT NOT NULL
);
CREATE INDEX ix_sources_fingerprint ON sources (fingerprint);

-- Not ingest_cursors: cowrieprocessor takes what stands there for its own.
CREATE TABLE log_files (
    path          TEXT NOT NULL PRIMARY KEY,
    inode         TEXT NOT NULL,
    size          INTEGER NOT NULL,
    mod_time      INTEGER NOT NULL,
    source_id     INTEGER,
    pending_bytes INTEGER NOT NULL DEFAULT 0,
    problem       TEXT,
    updated_at    TEXT NOT NULL
);

CREATE TABLE event_segments (
    id             INTEGER PRIMARY KEY,
    source_id      INTEGER NOT NULL REFERENCES sources (id),
    source_offset  INTEGER NOT NULL,
    source_length  INTEGER NOT NULL,
    event_count    INTEGER NOT NULL,
    first_event_at TEXT,
    last_event_at  TEXT,
    text_size      INTEGER NOT NULL,
    checksum       INTEGER NOT NULL,
    origins        TEXT,
    events         BLOB NOT NULL
);
CREATE INDEX ix_event_segments_source ON event_segments (source_id, source_offset);
CREATE INDEX ix_event_segments_last_event ON event_segments (last_event_at);

-- What midden retain has dropped of event_segments: where a segment was, without
-- its events. Its id is not given out again.
CREATE TABLE dropped_segments (
    id             INTEGER PRIMARY KEY,
    source_id      INTEGER NOT NULL,
    event_count    INTEGER NOT NULL,
    first_event_at TEXT,
    last_event_at  TEXT,
    dropped_at     TEXT NOT NULL
);
CREATE INDEX ix_dropped_segments_last_event ON dropped_segments (last_event_at);

CREATE TABLE sessionless_events (
    digest     BLOB NOT NULL PRIMARY KEY,
    segment_id INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE files (
    shasum            TEXT NOT NULL PRIMARY KEY,
    session_id        TEXT,
    filename          TEXT,
    filename_at       TEXT,
    download_url      TEXT,
    download_url_at   TEXT,
    file_size         INTEGER,
    mime_type         TEXT,
    first_seen        TEXT,
    last_seen         TEXT,
    sighting_count    INTEGER NOT NULL DEFAULT 0,
    disk_only         BOOLEAN NOT NULL DEFAULT 0,
    sha1              TEXT,
    md5               TEXT,
    entropy           REAL,
    head              TEXT,
    interpreter       TEXT,
    elf_class         INTEGER,
    elf_byte_order    TEXT,
    elf_machine       TEXT,
    elf_linkage       TEXT,
    elf_stripped      BOOLEAN,
    vt_classification TEXT,
    vt_description    TEXT,
    vt_malicious      INTEGER,
    vt_total          INTEGER,
    vt_first_seen     TEXT,
    vt_last_analysis  TEXT,
    vt_checked_at     TEXT,
    enrichment_status TEXT NOT NULL DEFAULT 'pending'
        CHECK (enrichment_status IN ('pending', 'known', 'unknown', 'failed', 'ignored')),
    created_at        TEXT NOT NULL,
    updated_at        TEXT NOT NULL
);
CREATE INDEX ix_files_last_seen ON files (last_seen);

CREATE TABLE file_sightings (
    id           INTEGER PRIMARY KEY,
    shasum       TEXT NOT NULL,
    session_id   TEXT NOT NULL,
    sensor       TEXT,
    src_ip       TEXT,
    kind         TEXT NOT NULL CHECK (kind IN ('download', 'upload', 'disk')),
    seen_at      TEXT,
    filename     TEXT,
    destfile     TEXT,
    download_url TEXT,
    outfile      TEXT,
    duplicate    BOOLEAN,
    segment_id   INTEGER,
    event_index  INTEGER,
    raw_event_id INTEGER,
    sighting_key BLOB NOT NULL,
    UNIQUE (session_id, sighting_key)
);
CREATE INDEX ix_file_sightings_shasum ON file_sightings (shasum, seen_at);
CREATE INDEX ix_file_sightings_seen ON file_sightings (seen_at);

-- What the sightings of a file add up to, of files with many. Pieces that add up: 8 of a level
-- become one of the next.
CREATE TABLE file_sums (
    shasum TEXT NOT NULL,
    level  INTEGER NOT NULL,
    piece  INTEGER NOT NULL,
    body   BLOB NOT NULL,
    PRIMARY KEY (shasum, level, piece)
);

CREATE TABLE file_verdicts (
    id             INTEGER PRIMARY KEY,
    shasum         TEXT NOT NULL,
    source         TEXT NOT NULL,
    observed_at    TEXT NOT NULL,
    known          BOOLEAN NOT NULL,
    analysed_at    TEXT,
    first_submission_at TEXT,
    malicious      INTEGER,
    suspicious     INTEGER,
    undetected     INTEGER,
    harmless       INTEGER,
    total          INTEGER,
    classification TEXT,
    description    TEXT,
    body           BLOB,
    body_of        INTEGER,
    UNIQUE (shasum, observed_at, source)
);
CREATE INDEX ix_file_verdicts_observed ON file_verdicts (observed_at);

-- What reports count by the time of events: of each UTC day and sensor.
CREATE TABLE sensor_days (
    day              TEXT NOT NULL,
    sensor           TEXT NOT NULL,
    events           INTEGER NOT NULL,
    failed_transfers INTEGER NOT NULL,
    last_event_at    TEXT NOT NULL,
    quarters         BLOB NOT NULL,
    PRIMARY KEY (day, sensor)
) WITHOUT ROWID;

CREATE TABLE login_stats (
    day       TEXT NOT NULL,
    sensor    TEXT NOT NULL,
    username  TEXT NOT NULL,
    password  TEXT NOT NULL,
    attempts  INTEGER NOT NULL,
    successes INTEGER NOT NULL,
    PRIMARY KEY (day, sensor, username, password)
) WITHOUT ROWID;

-- Of which UTC days session_sums tells what the sessions add up to that began on them: of
-- all but those that a report is still at work on, its maker.
CREATE TABLE report_days (
    day     TEXT NOT NULL PRIMARY KEY,
    version INTEGER NOT NULL,
    maker   BLOB
) WITHOUT ROWID;

-- Pieces that add up. 8 pieces of a level become one of the next.
CREATE TABLE session_sums (
    day    TEXT NOT NULL,
    sensor TEXT NOT NULL,
    level  INTEGER NOT NULL,
    piece  INTEGER NOT NULL,
    body   BLOB NOT NULL,
    PRIMARY KEY (day, sensor, level, piece)
);

-- A depot is where a sensor's files lie: its downloads directory, or an archive
-- or a copy of one.
CREATE TABLE depots (
    id         INTEGER PRIMARY KEY,
    path       TEXT NOT NULL,
    sensor     TEXT NOT NULL,
    inode      TEXT,
    size       INTEGER,
    mod_time   INTEGER,
    scanned_at TEXT,
    UNIQUE (path, sensor)
);

CREATE TABLE depot_entries (
    depot_id INTEGER NOT NULL,
    name     BLOB NOT NULL,
    inode    TEXT NOT NULL,
    size     INTEGER NOT NULL,
    mod_time INTEGER NOT NULL,
    shasum   TEXT,
    problem  TEXT,
    PRIMARY KEY (depot_id, name)
) WITHOUT ROWID;

-- When sources are asked about each file. new: never yet, or something was said
-- of it since that was reckoned.
CREATE TABLE lookups (
    source       TEXT NOT NULL,
    shasum       TEXT NOT NULL,
    state        TEXT NOT NULL CHECK (state IN ('new', 'waiting', 'failed', 'dropped')),
    due_at       TEXT,
    failures     INTEGER NOT NULL DEFAULT 0,
    error        TEXT,
    leased_until TEXT,
    updated_at   TEXT NOT NULL,
    PRIMARY KEY (source, shasum)
);
CREATE INDEX ix_lookups_new ON lookups (source, shasum) WHERE state = 'new';
CREATE INDEX ix_lookups_due ON lookups (source, due_at) WHERE state = 'waiting';
CREATE INDEX ix_lookups_failed ON lookups (source, shasum) WHERE failures > 0 OR state IN ('failed', 'dropped');

-- What was asked of a source by way of a key: in a day, in a month, and in each
-- second of the last minute. It is counted before the request is made.
CREATE TABLE quota (
    account   TEXT NOT NULL,
    period    TEXT NOT NULL CHECK (period IN ('day', 'month')),
    starts_at TEXT NOT NULL,
    used      INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (account, period, starts_at)
);

CREATE TABLE quota_limits (
    account    TEXT NOT NULL PRIMARY KEY,
    per_minute INTEGER,
    per_day    INTEGER,
    per_month  INTEGER,
    told_at    TEXT NOT NULL
);

CREATE TABLE quota_requests (
    account  TEXT NOT NULL,
    second   TEXT NOT NULL,
    requests INTEGER NOT NULL,
    PRIMARY KEY (account, second)
);

CREATE TABLE maintenance (
    job              TEXT NOT NULL PRIMARY KEY,
    state            TEXT NOT NULL,
    pause            BOOLEAN NOT NULL DEFAULT 0,
    position         INTEGER NOT NULL DEFAULT 0,
    target           INTEGER NOT NULL DEFAULT 0,
    rows_seen        INTEGER NOT NULL DEFAULT 0,
    rows_total       INTEGER NOT NULL DEFAULT 0,
    bytes_seen       INTEGER NOT NULL DEFAULT 0,
    bytes_total      INTEGER NOT NULL DEFAULT 0,
    inserted         INTEGER NOT NULL DEFAULT 0,
    known            INTEGER NOT NULL DEFAULT 0,
    rejected         INTEGER NOT NULL DEFAULT 0,
    rejections       TEXT NOT NULL DEFAULT '{}',
    rows_per_second  REAL,
    bytes_per_second REAL,
    eta_rows         REAL,
    eta_bytes        REAL,
    pace_reason      TEXT,
    owner            TEXT,
    error            TEXT,
    detail           TEXT,
    started_at       TEXT,
    updated_at       TEXT,
    finished_at      TEXT
);

-- How far Elasticsearch or OpenSearch was told of what is here. Without a row nothing
-- is published, and nothing is put into the outbox.
CREATE TABLE publishing (
    cluster    TEXT NOT NULL PRIMARY KEY,
    prefix     TEXT NOT NULL,
    revision   INTEGER NOT NULL,
    in_flight  INTEGER NOT NULL DEFAULT 0,
    scan       TEXT,
    scan_after TEXT,
    scan_index TEXT,
    started_at TEXT NOT NULL
);

-- What it is to be told, or has refused: a row for each thing, however often that changed.
CREATE TABLE outbox (
    kind     TEXT NOT NULL CHECK (kind IN ('sighting', 'file', 'verdict', 'report')),
    "key"    TEXT NOT NULL,
    revision INTEGER NOT NULL,
    body     TEXT,
    problem  TEXT,
    PRIMARY KEY (kind, "key")
) WITHOUT ROWID;
CREATE INDEX ix_outbox_revision ON outbox (revision, kind, "key") WHERE problem IS NULL;
