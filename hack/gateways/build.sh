#!/bin/sh
# Gets the gateways that test/gateways puts in front of a service, and prints the directory
# that holds them, which is what CLAVIGER_GATEWAYS is to be set to. Each is taken from the PATH,
# else from Debian's package, else built from its Go module. What cannot be had is said, and its
# tests are skipped.
#
# Packages are unpacked and not installed: nothing is configured on this machine, and no service
# is started. CLAVIGER_CACHE is where everything is kept; by default claviger in the user's cache directory.
set -eu
cd "$(dirname "$0")"

say() { echo "$@" >&2; }

cache=${CLAVIGER_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/claviger}/gateways
bin=$cache/bin
mkdir -p "$bin"
if command -v flock >/dev/null; then
	exec 9>"$cache/.lock"
	flock 9
fi
work=$(mktemp -d "$cache/.work.XXXXXX")
trap 'rm -rf "$work"' EXIT
log=$work/log

works() { "$bin/$1" "$2" >/dev/null 2>&1; }

from_path() {
	path=$(command -v "$1") && ln -sfn "$path" "$bin/$1"
}

apt() { apt-get -qq "$@" >>"$log" 2>&1; }

# The package's name is the gateway's; Ubuntu's nginx is in nginx-core.
from_debian() {
	command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || return 1
	chmod 755 "$work" # apt downloads as a user of its own
	for package in "$1" "$1-core"; do
		(cd "$work" && { apt download "$package" || { apt update && apt download "$package"; }; }) || continue
		dpkg-deb -x "$work/${package}"_*.deb "$work/unpacked"
		program=$(find "$work/unpacked/usr/bin" "$work/unpacked/usr/sbin" -name "$1" -type f 2>/dev/null)
		[ -n "$program" ] || continue
		# Not all it links to need be here.
		libraries=$(dpkg-deb -f "$work/${package}"_*.deb Depends | tr ',' '\n' | sed 's/[(|].*//' | grep '^ *lib' || true)
		rm -f "$bin/$1"
		cp "$program" "$bin/$1"
		# shellcheck disable=SC2086 # a list
		works "$1" "$2" || apt install -y --no-install-recommends $libraries || true
		works "$1" "$2" && return
		rm -f "$bin/$1"
	done
	return 1
}

# Under a name made of all it was built from, as hack/controlplane does it.
from_go() {
	GOOS=$(go env GOHOSTOS) GOARCH=$(go env GOHOSTARCH) CGO_ENABLED=0 GOFLAGS=
	export GOOS GOARCH CGO_ENABLED GOFLAGS
	key=$({ cat build.sh "$1/go.mod" "$1/go.sum"; go version; echo "$GOOS $GOARCH"; } | git hash-object --stdin)
	if [ ! -x "$cache/$1-$key" ]; then
		say "Building $1 from its Go module, once; this takes some minutes."
		modfile=$work/$1.mod
		cp "$1/go.mod" "$modfile" && cp "$1/go.sum" "$work/$1.sum" || return 1
		[ "$1" != traefik ] || without_dns_providers "$modfile" || return 1
		(cd "$1" && go build -modfile "$modfile" -trimpath -buildvcs=false -ldflags "-s -w" -o "$work/$1" "$2") >>"$log" 2>&1 || return 1
		mv -f "$work/$1" "$cache/$1-$key"
	fi
	ln -sfn "$cache/$1-$key" "$bin/$1"
}

# Half of Traefik's packages are the clients of DNS providers, for certificates that no test
# asks for.
without_dns_providers() {
	lego=github.com/go-acme/lego/v4
	(cd traefik && go mod download "$lego") >>"$log" 2>&1 || return 1
	cp -R "$(cd traefik && go list -m -f '{{.Dir}}' "$lego")" "$work/lego" && chmod -R u+w "$work/lego" || return 1
	cat >"$work/lego/providers/dns/zz_gen_dns_providers.go" <<-'GO'
		package dns

		import (
			"errors"

			"github.com/go-acme/lego/v4/challenge"
		)

		func NewDNSChallengeProviderByName(name string) (challenge.Provider, error) {
			return nil, errors.New("built without " + name)
		}
	GO
	go mod edit -replace "$lego=$work/lego" "$1"
}

missing() {
	say "$1 cannot be had here, so its tests are skipped. Put it on the PATH to run them. What was tried last said:"
	tail -n 3 "$log" 2>/dev/null | sed 's/^/  /' >&2 || true
	rm -f "$bin/$1"
}

get_nginx() { works nginx -v || from_path nginx || from_debian nginx -v; }
get_caddy() { works caddy version || from_path caddy || from_debian caddy version || from_go caddy github.com/caddyserver/caddy/v2/cmd/caddy; }
get_traefik() { from_path traefik || from_go traefik github.com/traefik/traefik/v3/cmd/traefik; }

for gateway in nginx caddy traefik; do
	: >"$log"
	"get_$gateway" || missing "$gateway"
done
echo "$bin"
