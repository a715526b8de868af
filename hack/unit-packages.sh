#!/bin/sh
# Lists the packages whose tests need no control plane: those that import none of test/.
set -eu
cd "$(dirname "$0")/.."
go list -f '{{.ImportPath}} {{join .TestImports " "}} {{join .XTestImports " "}}' ./... |
	grep -v '/claviger/test/' | cut -d ' ' -f 1
