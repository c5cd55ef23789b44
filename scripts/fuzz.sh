#!/bin/sh
# Runs every fuzz target, one after the other, for FUZZTIME each.
set -eu
export MIDDEN_TEST_ENGINE=sqlite # or packages whose tests run on both would fuzz twice
for file in $(grep -rl '^func Fuzz' --include='*_test.go' internal); do
	package=./$(dirname "$file")
	for target in $(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\).*/\1/p' "$file"); do
		echo "$package $target"
		# Making what it finds interesting smaller would take most of the time.
		go test -run '^$' -fuzz "^$target\$" -fuzztime "${FUZZTIME:-1m}" -fuzzminimizetime 10x "$package"
	done
done
