#!/bin/sh
# Gets the PostgreSQL server that the tests of shared usage run against, and prints the directory that holds initdb
# and postgres, which is what CLAVIGER_POSTGRES is to be set to. They are from the PATH, from where Debian puts
# them, or else unpacked from Debian's package: the server finds its other files beside itself.
set -eu
cd "$(dirname "$0")"
. ../lib/programs.sh
prepare postgres

# Where root runs the tests, another user runs the server, who cannot look into root's directories.
unpacked=$cache/unpacked
[ "$(id -u)" != 0 ] || unpacked=/var/cache/claviger/postgres

# Whether a directory holds both.
has() { "$1/postgres" --version >/dev/null 2>&1 && "$1/initdb" --version >/dev/null 2>&1; }

installed() {
	for dir in $(printf '%s\n' /usr/lib/postgresql/*/bin | sort -t/ -k5 -rn) "$unpacked"/usr/lib/postgresql/*/bin; do
		has "$dir" && echo "$dir" && return
	done
	path=$(command -v postgres) && has "$(dirname "$path")" && dirname "$path"
}

unpack() {
	command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || return 1
	chmod 755 "$work" # apt downloads as a user of its own
	apt update || true
	package=$(apt-cache depends postgresql 2>/dev/null | sed -n 's/.*Depends: \(postgresql-[0-9]*\)$/\1/p' | head -n 1)
	[ -n "$package" ] && download "$package" || return 1
	rm -rf "$unpacked"
	mkdir -p "$unpacked"
	dpkg-deb -x "$work/${package}"_*.deb "$unpacked"
	chmod -R a+rX "$unpacked"
	libraries=$(dpkg-deb -f "$work/${package}"_*.deb Depends | tr ',' '\n' | sed 's/[(|].*//' | grep '^ *lib' || true)
	installed >/dev/null && return
	# shellcheck disable=SC2086 # a list
	apt install -y --no-install-recommends $libraries
}

dir=$(installed || true)
if [ -z "$dir" ]; then
	unpack || true
	dir=$(installed || true)
fi
if [ -z "$dir" ]; then
	missing postgres
	dir=$bin
fi
echo "$dir"
