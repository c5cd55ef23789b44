-- The tables of cowrieprocessor v3 that midden keeps on using, with its column
-- types and its form of times. A database that was taken over has them already.
-- Who wrote a session's row, and when, is told by its sources: created_at and
-- updated_at are left empty where they may be.

-- +goose Up
CREATE TABLE session_summaries (
    session_id      VARCHAR(64) NOT NULL PRIMARY KEY,
    first_event_at  DATETIME,
    last_event_at   DATETIME,
    event_count     INTEGER NOT NULL DEFAULT 0,
    command_count   INTEGER NOT NULL DEFAULT 0,
    file_downloads  INTEGER NOT NULL DEFAULT 0,
    login_attempts  INTEGER NOT NULL DEFAULT 0,
    vt_flagged      BOOLEAN NOT NULL DEFAULT 0,
    dshield_flagged BOOLEAN NOT NULL DEFAULT 0,
    risk_score      INTEGER,
    matcher         VARCHAR(32),
    source_files    JSON,
    enrichment      JSON,
    created_at      DATETIME,
    updated_at      DATETIME
);
CREATE INDEX ix_session_summaries_first_event ON session_summaries (first_event_at);

CREATE TABLE command_stats (
    id                 INTEGER PRIMARY KEY,
    session_id         VARCHAR(64) NOT NULL,
    command_normalized TEXT NOT NULL,
    occurrences        INTEGER NOT NULL DEFAULT 0,
    first_seen         DATETIME,
    last_seen          DATETIME,
    high_risk          BOOLEAN NOT NULL DEFAULT 0,
    UNIQUE (session_id, command_normalized)
);

CREATE TABLE ingest_cursors (
    source         VARCHAR(512) NOT NULL PRIMARY KEY,
    inode          VARCHAR(128),
    last_offset    INTEGER NOT NULL DEFAULT -1,
    last_ingest_at DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP,
    last_ingest_id VARCHAR(64),
    metadata_json  JSON
);

CREATE TABLE dead_letter_events (
    id            INTEGER PRIMARY KEY,
    ingest_id     VARCHAR(64),
    source        VARCHAR(512),
    source_offset INTEGER,
    reason        VARCHAR(128) NOT NULL,
    payload       JSON NOT NULL,
    metadata_json JSON,
    created_at    DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP,
    resolved      BOOLEAN NOT NULL DEFAULT 0,
    resolved_at   DATETIME
);
