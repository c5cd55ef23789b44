#!/bin/bash
# Measures taking over a database of cowrieprocessor, side by side with the
# sqlite3 shell in one run, and prints ratios.
#   RAW_EVENTS=5000000 scripts/bench-takeover.sh bin/midden
# Everything stays in a temporary folder, which is removed.
set -euo pipefail
midden=$(realpath "$1") raw=${RAW_EVENTS:-5000000}
here=$(realpath "$(dirname "$0")/..")
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
export MIDDEN_DB="$dir/old.sqlite"

calc() { awk "BEGIN { printf \"$2\", $1 }"; }
# timed COMMAND...: what it prints goes to out.txt, "seconds peak-KB" to time.txt.
timed() { /usr/bin/time -o time.txt -f '%e %M' "$@" >out.txt 2>err.txt || { cat err.txt >&2; exit 1; }; }
seconds() { cut -d' ' -f1 time.txt; }
memory() { calc "$(cut -d' ' -f2 time.txt) / 1024" '%.0f MB'; }
field() { tr ',' '\n' <out.txt | sed -n "s/.*\"$1\": *\([0-9.]*\).*/\1/p" | head -1; }
size() { stat -c %s old.sqlite; }
row() { echo "| $1 | $2 | $3 | $4 |"; }

echo "writing a database of cowrieprocessor with $raw raw events"
"$midden" -q synth --events "$raw" --sensors 4 --cowrieprocessor old.sqlite >/dev/null
before=$(size)
echo
echo "$raw raw events, $(calc "$before / 1e6" %.0f) MB, $(calc "$before / $raw" %.0f) bytes an event; $(nproc) cores"
echo "| | seconds | | peak memory |"
echo "|---|---|---|---|"
timed "$midden" -q migrate
row migrate "$(seconds)" "$(calc "($(size) - $before) / 1e6" %.1f) MB of new disk" "$(memory)"
cp old.sqlite again.sqlite
for round in 1 2 3; do
	rm -f old.sqlite*
	cp again.sqlite old.sqlite
	sync
	timed "$midden" -q backfill run -o json
	echo "$(seconds) $(memory)" >>backfill.txt
done
sightings=$(field sightings) took=$(sort -n backfill.txt | sed -n 2p)
row "backfill, $sightings sightings, median of 3" "${took%% *}" "$(calc "$sightings / ${took%% *}" %.0f) sightings/s" "${took#* }"
timed "$midden" -q backfill run -o json
row "backfill, again" "$(seconds)" "$(field sightings) sightings" "$(memory)"
timed "$midden" -q verify
row verify "$(seconds)" "$(calc "$raw / $(seconds)" %.0f) events/s" "$(memory)"
timed "$midden" -q compact --yes -o json
row compact "$(seconds)" "$(calc "$(size) / $before" %.3f) of the size" "$(memory)"
timed "$midden" -q verify
row "verify, of segments" "$(seconds)" "$(calc "$raw / $(seconds)" %.0f) events/s" "$(memory)"

mv again.sqlite old.sqlite
rm -f old.sqlite-*
echo
echo "reading the events of files, the sqlite3 shell selecting the same payloads being 1; a loader's commits"
echo "alone and beside a backfill:"
(cd "$here" && MIDDEN_BENCH_DB=$MIDDEN_DB go test -run '^$' -bench Reading -benchtime 5x ./internal/backfill &&
	MIDDEN_BENCH_DB=$MIDDEN_DB go test -run '^$' -bench Beside -benchtime 1x ./internal/backfill) |
	awk '/^Benchmark/ { print "  " $1; for (i = 3; i < NF; i += 2) printf "    %10s %s\n", $i, $(i + 1) }'
