#!/bin/sh
# Lists the packages whose tests need no control plane: those that import none of test/, but for the servers
# of shared limits, without which tests are skipped.
set -eu
cd "$(dirname "$0")/.."
go list -f '{{.ImportPath}} {{join .TestImports " "}} {{join .XTestImports " "}}' ./... |
	sed 's|[^ ]*/claviger/test/valkeyserver||g' |
	grep -v '/claviger/test/' | cut -d ' ' -f 1
