#!/bin/bash
# Measures scanning captured files side by side with sha256sum in one run, and
# prints ratios.
#   ENTRIES=100000 MEGABYTES=2048 scripts/bench-scan.sh bin/midden
# Everything stays in a temporary folder, which is removed.
set -euo pipefail
midden=$(realpath "$1") entries=${ENTRIES:-100000} megabytes=${MEGABYTES:-2048} rounds=${ROUNDS:-3}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"

calc() { awk "BEGIN { printf \"$2\", $1 }"; }
# timed COMMAND...: "seconds peak-KB" goes to time.txt.
timed() { /usr/bin/time -o time.txt -f '%e %M' "$@" >out.txt 2>err.txt || { cat err.txt >&2; exit 1; }; }
seconds() { cut -d' ' -f1 time.txt; }
memory() { calc "$(cut -d' ' -f2 time.txt) / 1024" '%.0f MB'; }
median() { sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }

echo "writing $megabytes MB in files of 64 KB to 16 MB, and $entries small files"
mkdir large small
# Every content is another one: the bytes are those of a generator, cut up.
head -c $((megabytes << 20)) /dev/zero | openssl enc -aes-128-ctr -pass pass:midden -nosalt 2>/dev/null >all.bin || true
at=0 n=0
while [ $at -lt $((megabytes << 20)) ]; do
	size=$((65536 << (n % 9)))
	tail -c +$((at + 1)) all.bin | head -c $size >large/$n || true
	at=$((at + size)) n=$((n + 1))
done
rm all.bin
awk -v n="$entries" 'BEGIN { for (i = 0; i < n; i++) { f = "small/" i; print "#!/bin/sh\necho " i > f; close(f) } }'
bytes=$(cat large/* | wc -c)
cat large/* >/dev/null # both find the files in the page cache

for round in $(seq "$rounds"); do
	timed sh -c "find large -type f -print0 | xargs -0 -n 1 -P $(nproc) sha256sum"
	seconds >>sum.txt
	rm -f a.db*
	timed "$midden" -q --db a.db scan large
	seconds >>scan.txt
	memory >memory.txt
done
sum=$(median <sum.txt) scan=$(median <scan.txt)
timed tar czf large.tgz large
timed "$midden" -q --db t.db scan large.tgz
archive="$(seconds) $(memory)"
timed "$midden" -q --db b.db scan small
first="$(seconds) s, $(memory)"
for round in $(seq "$rounds"); do
	timed "$midden" -q --db b.db scan small
	seconds >>again.txt
	memory >memory-again.txt
done

echo
echo "$n files, $(calc "$bytes / 1e6" %.0f) MB, medians of $rounds; $(nproc) cores"
echo "| | seconds | MB/s | of sha256sum | peak memory |"
echo "|---|---|---|---|---|"
echo "| sha256sum, $(nproc) at once | $sum | $(calc "$bytes / 1e6 / $sum" %.0f) | 1 | |"
echo "| scan | $scan | $(calc "$bytes / 1e6 / $scan" %.0f) | $(calc "$sum / $scan" %.2f) | $(cat memory.txt) |"
echo "| scan of a tar.gz of them | ${archive% * *} | $(calc "$bytes / 1e6 / ${archive%% *}" %.0f) | $(calc "$sum / ${archive%% *}" %.2f) | ${archive#* } |"
echo "| $entries small files | $first | | | |"
echo "| the same again, unchanged | $(median <again.txt) | | | $(cat memory-again.txt) |"
