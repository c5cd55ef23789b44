#!/bin/sh
# Fetches an OpenSearch node for the tests: opensearch.sh DIRECTORY
# Its jars (53 MB) come from Maven Central, or from the mirror that Maven's own
# settings.xml names. Ends with 75 where that does not answer.
set -eu
here=$(dirname "$0") dir=$1

[ -d "$dir" ] && exit 0
"$here/need.sh" java:default-jre-headless mvn:maven
new=$(mktemp -d)
trap 'rm -rf "$new"' EXIT
if ! mvn -B -q -ntp -C -f "$here/opensearch.xml" dependency:copy-dependencies -DoutputDirectory="$new/jars" >"$new/log" 2>&1; then
	tail -n 20 "$new/log" >&2
	echo "The OpenSearch node cannot be had from Maven Central." >&2
	exit 75
fi
mkdir -p "$(dirname "$dir")"
mv "$new/jars" "$dir"
