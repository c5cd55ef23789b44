#!/bin/sh
# Writes the synthetic part of examples/logs anew. What is in
# examples/logs/sensor-handmade was written by hand and stays.
set -eu
midden=$1
rm -rf examples/logs/sensor-0*
"$midden" -q synth --seed 2026 --events 3000 --sensors 3 --start 2026-03-27 --span 72h --files 40 \
	--compress mixed examples/logs >/dev/null
# One log packed as operators of old did.
old=$(find examples/logs/sensor-01 -name 'cowrie.json.2026-*' | sort | head -1)
case $old in *.gz) gunzip "$old" && old=${old%.gz} ;; esac
bzip2 -9 "$old"
