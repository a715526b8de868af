#!/bin/sh
# Fuzzes each fuzz target there is for so long: hack/fuzz.sh 20s. Go fuzzes one at a time. An input that
# is new is not minimized for long: with large ones that would take up all the time, a minute for each.
set -eu
cd "$(dirname "$0")/.."
go list -f '{{.Dir}}' ./... | while read -r dir; do
	cat "$dir"/*_test.go 2>/dev/null | sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' | while read -r target; do
		echo "$target, for $1"
		go test -run '^$' -fuzz "^$target\$" -fuzztime "$1" -fuzzminimizetime 1x "$dir" </dev/null
	done
done
