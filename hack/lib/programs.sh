# shellcheck shell=sh
# Sourced by the scripts that get the programs which tests run against. Each program is looked for
# in several ways, and what is found is linked or copied into one directory, $bin.
#
# Packages are unpacked and not installed: nothing is configured on this machine, and no service
# is started. CLAVIGER_CACHE is where everything is kept; by default claviger in the user's cache directory.

say() { echo "$@" >&2; }

# Sets $cache, $bin, $work and $log, for one script at a time. What is in $work is gone afterwards.
prepare() {
	cache=${CLAVIGER_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/claviger}/$1
	bin=$cache/bin
	mkdir -p "$bin"
	if command -v flock >/dev/null; then
		exec 9>"$cache/.lock"
		flock 9
	fi
	work=$(mktemp -d "$cache/.work.XXXXXX")
	trap 'rm -rf "$work"' EXIT
	log=$work/log
	: >"$log"
}

# Whether a program in $bin starts, asked for its version.
works() { "$bin/$1" "$2" >/dev/null 2>&1; }

from_path() {
	path=$(command -v "$1") && ln -sfn "$path" "$bin/$1"
}

apt() { apt-get -qq "$@" >>"$log" 2>&1; }

download() {
	for package in "$@"; do
		(cd "$work" && { apt download "$package" || { apt update && apt download "$package"; }; }) || return 1
	done
}

# A program, how to ask it for its version, and the packages it may be in: each further argument is a list
# of those that it takes together.
from_debian() {
	command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || return 1
	chmod 755 "$work" # apt downloads as a user of its own
	program=$1 version=$2
	shift 2
	for packages in "$@"; do
		# shellcheck disable=SC2086 # a list
		download $packages || continue
		libraries=
		for package in $packages; do
			dpkg-deb -x "$work/${package}"_*.deb "$work/unpacked"
			libraries="$libraries $(dpkg-deb -f "$work/${package}"_*.deb Depends | tr ',' '\n' | sed 's/[(|].*//' | grep '^ *lib' || true)"
		done
		found=$(find "$work/unpacked/usr/bin" "$work/unpacked/usr/sbin" -name "$program" ! -type d 2>/dev/null)
		[ -n "$found" ] || continue
		rm -f "$bin/$program"
		cp "$found" "$bin/$program"
		# Not all it links to need be here.
		# shellcheck disable=SC2086 # a list
		works "$program" "$version" || apt install -y --no-install-recommends $libraries || true
		works "$program" "$version" && return
		rm -f "$bin/$program"
	done
	return 1
}

missing() {
	say "$1 cannot be had here, so its tests are skipped. Put it on the PATH to run them. What was tried last said:"
	tail -n 3 "$log" 2>/dev/null | sed 's/^/  /' >&2 || true
	rm -f "$bin/$1"
}
