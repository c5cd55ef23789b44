#!/bin/sh
# sbom.sh BINARY VERSION: writes beside the binary what it is made of, as CycloneDX, and
# the licences that go with it wherever it goes.
set -eu
binary=$1 version=$2
tool=github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.10.0

# Licences are not left to its guesses: docs/dependencies.md has them, and a test reads the texts.
go run $tool bin -json -std -version "$version" -output "$binary.cdx.json" "$binary"

go version -m "$binary" | awk '$1 == "dep" { print $2 }' | while read -r module; do
	dir=$(go list -m -f '{{.Dir}}' "$module")
	for text in "$dir"/LICENSE* "$dir"/UNLICENSE* "$dir"/NOTICE*; do
		[ -f "$text" ] || continue
		printf '==== %s: %s\n\n' "$module" "${text##*/}"
		cat "$text"
		echo
	done
done >"$binary.licences.txt"
printf '==== Go\n\n' >>"$binary.licences.txt"
cat "$(go env GOROOT)/LICENSE" >>"$binary.licences.txt"
echo "$binary.cdx.json and $binary.licences.txt: $(grep -c '^==== ' "$binary.licences.txt") texts"
