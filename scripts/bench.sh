#!/bin/bash
# Measures loading and queries side by side in one run and prints ratios.
#   EVENTS=2000000 ROUNDS=3 scripts/bench.sh bin/midden
# Everything stays in a temporary folder, which is removed.
set -euo pipefail
midden=$(realpath "$1")
events=${EVENTS:-2000000} small=$((${EVENTS:-2000000} / 10)) rounds=${ROUNDS:-3}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"

# timed LABEL COMMAND...: prints "LABEL seconds peak-KB", keeps stdout apart.
timed() {
	local label=$1
	shift
	/usr/bin/time -o time.txt -f '%e %M' "$@" >out.txt 2>err.txt || [ $? = 3 ] || { cat err.txt >&2; exit 1; }
	echo "$label $(tail -1 time.txt)"
}
median() { sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }
calc() { awk "BEGIN { printf \"$2\", $1 }"; }

echo "writing $events synthetic events"
"$midden" -q synth --events "$events" --sensors 4 --compress none logs >/dev/null
"$midden" -q synth --events "$small" --sensors 4 --compress none logs-small >/dev/null
cp -r logs logs-gz && find logs-gz -type f -exec gzip -1 {} +
bytes=$(cat logs/*/* | wc -c)

# The yardstick: what the SQLite library in C needs for a row an event, with
# cowrieprocessor's columns and indexes and nothing else.
cat >v3.sql <<'SQL'
PRAGMA journal_mode = wal; PRAGMA synchronous = normal; PRAGMA page_size = 16384;
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
INSERT INTO raw_events (id, ingest_id, ingest_at, source, source_offset, source_inode, source_generation, payload,
	payload_hash, risk_score, quarantined) SELECT * FROM s.rows;
SQL
# Its rows are made ready beforehand: what is timed is the insertion alone.
cat logs/*/* | awk -v OFS='\037' '{ print NR, "i", "2026-01-01 00:00:00", "/srv/cowrie/cowrie.json", NR, "1", 0, $0,
	"0000000000000000000000000000000000000000000000000000000000000000", 0, 0 }' >rows.txt
sqlite3 rows.db 'CREATE TABLE rows (a, b, c, d, e, f, g, h, i, j, k)' '.mode ascii' '.separator "\037" "\n"' '.import rows.txt rows'
rm rows.txt

for round in $(seq "$rounds"); do
	rm -f a.db* b.db* c.db* d.db*
	timed plain "$midden" -q --db a.db load logs
	timed gzip "$midden" -q --db b.db load logs-gz
	timed small "$midden" -q --db c.db load logs-small
	timed sqlite3 sqlite3 d.db '.read v3.sql'
	timed again "$midden" -q --db a.db load logs
done | tee runs.txt

rows=$(sqlite3 d.db 'SELECT count(*) FROM raw_events')
of() { awk -v l="$1" -v c="$2" '$1 == l { print $c }' runs.txt | median; }
echo
echo "$events events, $(calc "$bytes / 1e6" %.0f) MB of logs, $(calc "$bytes / $events" %.0f) bytes an event; $(nproc) cores; medians of $rounds rounds"
echo "| | events/s | of the yardstick | peak memory |"
echo "|---|---|---|---|"
for l in plain gzip; do
	s=$(of "$l" 2)
	echo "| load, $l | $(calc "$events / $s" %.0f) | $(calc "($events / $s) / ($rows / $(of sqlite3 2))" %.2f) | $(calc "$(of "$l" 3) / 1024" '%.0f MB') |"
done
echo "| load, plain, a tenth of the events | $(calc "$small / $(of small 2)" %.0f) | | $(calc "$(of small 3) / 1024" '%.0f MB') |"
echo "| yardstick: SQLite in C, a row an event, v3's indexes | $(calc "$rows / $(of sqlite3 2)" %.0f) | 1 | |"
echo
echo "database: $(calc "$(stat -c %s a.db) / $bytes" %.3f) of the logs' size (the yardstick's: $(calc "$(stat -c %s d.db) / $bytes" %.2f))"
echo "the same logs again: $(of again 2) s"
sqlite3 a.db "SELECT name || ': ' || round(100.0 * sum(pgsize) / $bytes, 1) || ' % of the logs' FROM dbstat GROUP BY name ORDER BY sum(pgsize) DESC LIMIT 12" 2>/dev/null || true

hash=$(sqlite3 a.db 'SELECT shasum FROM files ORDER BY sighting_count DESC LIMIT 1')
session=$(sqlite3 a.db 'SELECT session_id FROM session_summaries ORDER BY event_count DESC LIMIT 1')
echo
echo "queries, start of the process included, median of 11, milliseconds:"
query() {
	for _ in $(seq 11); do
		start=$(date +%s%N)
		"$midden" -q --db a.db "$@" >/dev/null
		echo $((($(date +%s%N) - start) / 100000))
	done | median | awk -v q="midden $*" '{ printf "  %6.1f  %s\n", $1 / 10, q }'
}
query files list --limit 50
query files show "$hash"
query sessions show "$session"
query sessions list --limit 50
