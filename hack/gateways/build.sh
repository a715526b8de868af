#!/bin/sh
# Gets the gateways that test/gateways puts in front of a service, and prints the directory
# that holds them, which is what CLAVIGER_GATEWAYS is to be set to. Each is taken from the PATH,
# else from Debian's package, else built from its Go module. What cannot be had is said, and its
# tests are skipped.
set -eu
cd "$(dirname "$0")"
. ../lib/programs.sh
prepare gateways

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

get_nginx() { works nginx -v || from_path nginx || from_debian nginx -v nginx nginx-core; }
get_caddy() { works caddy version || from_path caddy || from_debian caddy version caddy || from_go caddy github.com/caddyserver/caddy/v2/cmd/caddy; }
get_traefik() { from_path traefik || from_go traefik github.com/traefik/traefik/v3/cmd/traefik; }

for gateway in nginx caddy traefik; do
	: >"$log"
	"get_$gateway" || missing "$gateway"
done
echo "$bin"
