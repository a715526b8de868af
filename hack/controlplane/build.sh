#!/bin/sh
# Builds the control plane that make run and make test use, once, and prints the directory
# that holds it, which is what KUBEBUILDER_ASSETS is to be set to. Where KUBEBUILDER_ASSETS
# is set already it is checked and printed, and nothing is built.
#
# What is built is kept under a name made of everything it was built from, so a changed
# version or another Go compiler gives another directory and an unchanged one costs nothing.
# CLAVIGER_CACHE is where that is; by default claviger in the user's cache directory.
set -eu

programs="etcd kube-apiserver kube-controller-manager kubectl"

say() { echo "$@" >&2; }

if [ -n "${KUBEBUILDER_ASSETS:-}" ]; then
	missing=
	for program in $programs; do
		[ -x "$KUBEBUILDER_ASSETS/$program" ] || missing="$missing $program"
	done
	if [ -n "$missing" ]; then
		say "KUBEBUILDER_ASSETS is $KUBEBUILDER_ASSETS, and it lacks:$missing."
		say "Add them, or unset KUBEBUILDER_ASSETS to have all of them built."
		exit 1
	fi
	(cd "$KUBEBUILDER_ASSETS" && pwd)
	exit
fi

cd "$(dirname "$0")"

# The versions are those in go.mod, so that they are written down once.
kubernetes=$(sed -n 's|^[[:space:]]*k8s.io/kubernetes \(v[0-9.]*\).*|\1|p' go.mod)
major=$(echo "$kubernetes" | sed 's|^v\([0-9]*\)\..*|\1|')
minor=$(echo "$kubernetes" | sed 's|^v[0-9]*\.\([0-9]*\)\..*|\1|')

ldflags="-s -w"
for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
	ldflags="$ldflags -X $package.gitVersion=$kubernetes -X $package.gitMajor=$major -X $package.gitMinor=$minor"
done

# For the machine that builds, whatever the product is being built for. Without cgo no C
# compiler is needed.
GOOS=$(go env GOHOSTOS) GOARCH=$(go env GOHOSTARCH) CGO_ENABLED=0
export GOOS GOARCH CGO_ENABLED

key=$({ cat build.sh go.mod go.sum main.go; go version; echo "$GOOS $GOARCH"; } | git hash-object --stdin)
dir=${CLAVIGER_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/claviger}/controlplane/$key

if [ -x "$dir/controlplane" ]; then
	echo "$dir"
	exit
fi

mkdir -p "$dir"
# Two at a time would only make each other slow: the last step is a rename.
if command -v flock >/dev/null; then
	exec 9>"$dir/.lock"
	if ! flock -n 9; then
		say "Another build of the control plane is running; waiting for it."
		flock 9
	fi
	if [ -x "$dir/controlplane" ]; then
		echo "$dir"
		exit
	fi
fi

log=$dir/.build.$$.log
list=$dir/.build.$$.list
new=$dir/.controlplane.$$
build=
progress=
finish() {
	trap - EXIT HUP INT TERM
	[ -z "$progress" ] || kill "$progress" 2>/dev/null || true
	[ -z "$build" ] || kill "$build" 2>/dev/null || true
	rm -f "$log" "$list" "$new"
}
trap finish EXIT
trap 'finish; exit 130' HUP INT TERM

say "Building Kubernetes $kubernetes as one program for make run and make test."
say "This happens once; it takes three minutes on a fast machine and a quarter of an hour on a slow one."

# Tells how far it is: a terminal gets one line that changes, a log a line now and then.
started=$(date +%s)
pause=15
[ ! -t 2 ] || pause=2
follow() {
	stage=$1 total=$2
	while sleep "$pause"; do
		count=
		[ -z "$total" ] || count=", $(($(wc -l <"$log"))) of at most $total packages"
		line="  $stage: $(($(date +%s) - started)) s$count"
		if [ -t 2 ]; then printf '\r%-70s' "$line" >&2; else say "$line"; fi
	done
}
run() { # stage, total, then the command: in the background, so that a signal is heard at once
	: >"$log"
	follow "$1" "$2" >/dev/null &
	progress=$!
	shift 2
	status=0
	"$@" &
	build=$!
	wait "$build" || status=$?
	build=
	kill "$progress" 2>/dev/null || true
	wait "$progress" 2>/dev/null || true
	progress=
	[ ! -t 2 ] || printf '\r%-70s\r' '' >&2
	[ "$status" -eq 0 ] || fail
}
fail() {
	say "The control plane could not be built:"
	tail -n 20 "$log" >&2
	exit 1
}

list() { go list -deps . >"$list" 2>"$log"; }
compile() { exec go build -v -trimpath -buildvcs=false -ldflags "$ldflags" -o "$new" . 2>"$log"; }

run "downloading Go modules" "" list
packages=$(($(wc -l <"$list")))
run "compiling" "$packages" compile

for program in $programs; do ln -sf controlplane "$dir/$program"; done
mv -f "$new" "$dir/controlplane"
say "Built in $(($(date +%s) - started)) s: $dir"
echo "$dir"
