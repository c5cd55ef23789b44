#!/bin/sh
# Makes sure that programs are there: need.sh PROGRAM:DEBIAN-PACKAGE...
# On Debian as root what is missing is installed; elsewhere it is named.
set -eu

missing=
for pair in "$@"; do
	program=${pair%%:*} package=${pair##*:}
	case $package in
	postgresql) # its server is not among the programs of everybody
		for initdb in "$(command -v initdb || true)" "$(pg_config --bindir 2>/dev/null || true)/initdb" /usr/lib/postgresql/*/bin/initdb; do
			[ -x "$initdb" ] && continue 2
		done ;;
	libc6-dev) echo '#include <stdlib.h>' | gcc -E - >/dev/null 2>&1 && continue ;;
	*) command -v "$program" >/dev/null 2>&1 && continue ;;
	esac
	missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if [ -e /etc/debian_version ] && [ "$(id -u)" = 0 ]; then
	echo "installing$missing"
	case $missing in
	*postgresql*) # tests start servers of their own: the package is to start none
		mkdir -p /etc/postgresql-common
		[ -e /etc/postgresql-common/createcluster.conf ] || echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.conf ;;
	esac
	apt-get update -qq
	# shellcheck disable=SC2086
	DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $missing >/dev/null
	exit 0
fi
echo "missing:$missing" >&2
echo "Install these with your system's package manager; on Debian or Ubuntu:" >&2
echo "  sudo apt-get install$missing" >&2
exit 1
