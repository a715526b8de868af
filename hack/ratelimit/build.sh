#!/bin/sh
# Gets envoyproxy/ratelimit, beside which make bench puts shared limits, and prints the directory
# that holds it, which is what CLAVIGER_RATELIMIT is to be set to. It is built from its Go module, in the version of
# go.mod. Where it cannot be built that is said, and its rows are left out.
set -eu
cd "$(dirname "$0")"
. ../lib/programs.sh
prepare ratelimit

# Under a name made of all it was built from, as hack/controlplane does it.
build() {
	GOOS=$(go env GOHOSTOS) GOARCH=$(go env GOHOSTARCH) CGO_ENABLED=0 GOFLAGS=
	export GOOS GOARCH CGO_ENABLED GOFLAGS
	key=$({ cat build.sh go.mod go.sum; go version; echo "$GOOS $GOARCH"; } | git hash-object --stdin)
	if [ ! -x "$cache/ratelimit-$key" ]; then
		say "Building ratelimit from its Go module, once; this takes some minutes."
		go build -trimpath -buildvcs=false -ldflags "-s -w" -o "$work/ratelimit" github.com/envoyproxy/ratelimit/src/service_cmd >>"$log" 2>&1 || return 1
		mv -f "$work/ratelimit" "$cache/ratelimit-$key"
	fi
	ln -sfn "$cache/ratelimit-$key" "$bin/ratelimit"
}

build || {
	say "ratelimit cannot be built here, so make bench leaves its rows out. The build said:"
	tail -n 3 "$log" | sed 's/^/  /' >&2
	rm -f "$bin/ratelimit"
}
echo "$bin"
