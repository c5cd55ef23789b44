#!/bin/bash
# Measures loading into PostgreSQL side by side with psql's \copy of a row per event
# in one run, and prints ratios. Server and client share this machine.
#   EVENTS=2000000 ROUNDS=3 scripts/bench-postgres.sh bin/midden
# The server is one of its own, as safe against a power cut as servers are by default. It
# and all files are in a temporary folder, which is removed.
set -euo pipefail
midden=$(realpath "$1")
events=${EVENTS:-2000000} rounds=${ROUNDS:-3}
bin=$(for i in "$(command -v initdb || true)" "$(pg_config --bindir 2>/dev/null || true)/initdb" /usr/lib/postgresql/*/bin/initdb; do
	[ -x "$i" ] && dirname "$(readlink -f "$i")" && break
done)
dir=$(mktemp -d /tmp/midden-bench-XXXXXX)
port=$((20000 + RANDOM % 20000))
as() { "$@"; }
if [ "$(id -u)" = 0 ]; then # the server refuses to work as root
	chown postgres "$dir" && chmod 755 "$dir"
	as() { setpriv --reuid postgres --regid postgres --init-groups "$@"; }
fi
trap 'as "$bin/pg_ctl" stop -s -m immediate -D "$dir/data" || true; rm -rf "$dir"' EXIT
cd "$dir"
as "$bin/initdb" -D "$dir/data" -U postgres -A trust -E UTF8 --locale=C >/dev/null
as "$bin/pg_ctl" start -s -w -D "$dir/data" -l "$dir/data/log" \
	-o "-p $port -k $dir -c listen_addresses='' -c shared_buffers=256MB -c max_wal_size=4GB"
sql() { "$bin/psql" -X -q -h "$dir" -p "$port" -U postgres "$@"; }
url() { echo "postgres://postgres@/$1?host=$dir&port=$port"; }

# timed LABEL COMMAND...: prints "LABEL seconds peak-KB", keeps stdout apart.
timed() {
	local label=$1
	shift
	/usr/bin/time -o time.txt -f '%e %M' "$@" >out.txt 2>err.txt || { cat err.txt >&2; exit 1; }
	echo "$label $(tail -1 time.txt)"
}
median() { sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }
calc() { awk "BEGIN { printf \"$2\", $1 }"; }
fresh() { # a database that has its tables
	sql -d postgres -c "DROP DATABASE IF EXISTS $1 WITH (FORCE)" -c "CREATE DATABASE $1" 2>/dev/null
	"$midden" -q --db "$(url "$1")" migrate >/dev/null
}

echo "writing $events synthetic events"
"$midden" -q synth --events "$events" --sensors 4 --compress none logs >/dev/null
bytes=$(cat logs/*/* | wc -c)

# The yardstick: what \copy needs for a row an event, with cowrieprocessor's columns and
# indexes. Its rows are made ready beforehand, without what jsonb cannot hold.
cat logs/*/* | iconv -c -f utf-8 -t utf-8 | sed -E 's/\\u(0000|[dD][89a-fA-F][0-9a-fA-F]{2})//g' | awk -v OFS='\t' '{ gsub(/\\/, "\\\\\\\\"); print NR, "i", "2026-01-01 00:00:00", "/srv/cowrie/cowrie.json", NR, "1", 0, $0,
	"0000000000000000000000000000000000000000000000000000000000000000", 0, "f" }' >rows.txt
v3="CREATE TABLE raw_events (id BIGINT PRIMARY KEY, ingest_id VARCHAR(64), ingest_at TIMESTAMPTZ,
	source VARCHAR(512) NOT NULL, source_offset BIGINT, source_inode VARCHAR(128), source_generation INTEGER,
	payload JSONB NOT NULL, payload_hash VARCHAR(64), risk_score INTEGER, quarantined BOOLEAN,
	session_id VARCHAR(64) GENERATED ALWAYS AS (payload ->> 'session') STORED,
	event_type VARCHAR(128) GENERATED ALWAYS AS (payload ->> 'eventid') STORED,
	event_timestamp VARCHAR(64) GENERATED ALWAYS AS (payload ->> 'timestamp') STORED,
	UNIQUE (source, source_inode, source_generation, source_offset));
CREATE INDEX ON raw_events (event_type); CREATE INDEX ON raw_events (session_id);
CREATE INDEX ON raw_events (ingest_at); CREATE INDEX ON raw_events (event_timestamp)"
columns="id, ingest_id, ingest_at, source, source_offset, source_inode, source_generation, payload, payload_hash, risk_score, quarantined"

for round in $(seq "$rounds"); do
	fresh one
	timed load "$midden" -q --db "$(url one)" load logs
	fresh two
	start=$(date +%s%N)
	"$midden" -q --db "$(url two)" load logs >/dev/null & # they share them
	"$midden" -q --db "$(url two)" load logs >/dev/null
	wait
	echo "two $(calc "($(date +%s%N) - $start) / 1e9" %.2f) 0"
	rm -f a.db*
	timed sqlite "$midden" -q --db a.db load logs
	sql -d postgres -c "DROP DATABASE IF EXISTS rows" -c "CREATE DATABASE rows" 2>/dev/null
	sql -d rows -c "$v3"
	timed copy "$bin/psql" -X -q -h "$dir" -p "$port" -U postgres -d rows -c "\\copy raw_events ($columns) FROM '$dir/rows.txt'"
	timed again "$midden" -q --db "$(url one)" load logs
done | tee runs.txt

of() { awk -v l="$1" -v c="$2" '$1 == l { print $c }' runs.txt | median; }
echo
echo "PostgreSQL, $events events, $(calc "$bytes / 1e6" %.0f) MB of logs; $(nproc) cores for server and client; medians of $rounds rounds"
echo "| | events/s | of the yardstick | peak memory of the client |"
echo "|---|---|---|---|"
row() {
	local s
	s=$(of "$1" 2)
	echo "| $2 | $(calc "$events / $s" %.0f) | $(calc "$(of copy 2) / $s" %.2f) | $(calc "$(of "$1" 3) / 1024" '%.0f MB') |"
}
row load "load"
row two "load, two at once, who share the logs (memory: not measured)"
row sqlite "load into SQLite, in the same run"
row copy "yardstick: psql \\\\copy, a row an event, v3's indexes"
echo
echo "database: $(calc "$(sql -d one -tAc "SELECT pg_database_size('one')") / $bytes" %.3f) of the logs' size (the yardstick's: $(calc "$(sql -d rows -tAc "SELECT pg_database_size('rows')") / $bytes" %.2f))"
echo "the same logs again: $(of again 2) s"

echo
echo "queries beside a running load, start of the process included, median of 11, milliseconds:"
fresh two
"$midden" -q --db "$(url two)" load logs >/dev/null &
load=$!
hash=$(sql -d one -tAc 'SELECT shasum FROM files ORDER BY sighting_count DESC LIMIT 1')
session=$(sql -d one -tAc 'SELECT session_id FROM session_summaries ORDER BY event_count DESC LIMIT 1')
query() {
	for _ in $(seq 11); do
		start=$(date +%s%N)
		"$midden" -q --db "$(url one)" "$@" >/dev/null
		echo $((($(date +%s%N) - start) / 100000))
	done | median | awk -v q="midden $*" '{ printf "  %6.1f  %s\n", $1 / 10, q }'
}
query files list --limit 50
query files show "$hash"
query sessions show "$session"
query sessions list --limit 50
kill -0 $load 2>/dev/null || echo "  (the load was over before the queries)"
wait $load
