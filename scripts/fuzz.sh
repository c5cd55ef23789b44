#!/bin/sh
# Runs every fuzz target, one after the other, for FUZZTIME each.
set -eu
export MIDDEN_TEST_ENGINE=sqlite # or packages whose tests run on both would fuzz twice
said=$(mktemp)
trap 'rm -f "$said"' EXIT
for file in $(grep -rl '^func Fuzz' --include='*_test.go' internal); do
	package=./$(dirname "$file")
	for target in $(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\).*/\1/p' "$file"); do
		echo "$package $target"
		# Making what it finds interesting smaller would take most of the time.
		go test -run '^$' -fuzz "^$target\$" -fuzztime "${FUZZTIME:-2m}" -fuzzminimizetime 10x "$package" 2>&1 | tee "$said"
		# That its time was up is no finding, but before Go 1.27 the target may fail of it (go.dev/issue/75804).
		if grep -q 'Failing input written' "$said" ||
			grep -q '^FAIL' "$said" && ! grep -q '^    context deadline exceeded' "$said"; then
			exit 1
		fi
	done
done
