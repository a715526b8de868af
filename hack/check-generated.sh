#!/bin/sh
# Fails where what is generated is not what the sources give, and shows the difference.
set -eu
cd "$(dirname "$0")/.."
fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT
hack/generate.sh "$fresh"

stale=
for path in $(cd "$fresh" && find . -type f); do
	git diff --no-index --exit-code -- "$path" "$fresh/$path" || stale=yes
done
# A kind that was removed leaves its CRD behind.
for path in config/crd/bases/*; do
	[ -e "$fresh/$path" ] || { echo "$path is generated from nothing" && stale=yes; }
done
[ -z "$stale" ] || { echo "Run make generate, and commit what it changes." >&2 && exit 1; }
