#!/bin/sh
# Loads the example logs into a database of its own and looks around in it.
set -eu
midden=$1
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
export MIDDEN_DB="$dir/demo.db"

run() {
	echo
	echo "\$ midden $*"
	"$midden" -q "$@"
}

echo "\$ midden load examples/logs"
"$midden" -q load examples/logs || [ $? = 3 ] # 3: some lines are no events
run files list --limit 10
hash=$("$midden" -q files list --limit 1 --name authorized_keys -o jsonl | cut -d'"' -f4 | cut -c1-12)
run files show "$hash" --limit 3
session=$("$midden" -q sessions list --files --commands --limit 1 -o jsonl | cut -d'"' -f4)
run sessions show "$session"
run dead-letters list
