#!/bin/sh
# Gets the server that the tests of shared limits run against, and prints the directory that holds
# it, which is what CLAVIGER_REDIS is to be set to. It is valkey-server or redis-server from the PATH, else
# from Debian's package.
set -eu
cd "$(dirname "$0")"
. ../lib/programs.sh
prepare redis

get() {
	works valkey-server --version || works redis-server --version ||
		from_path valkey-server || from_path redis-server ||
		# The program of one package is a link to a program of the other.
		from_debian redis-server --version "redis-server redis-tools" ||
		from_debian valkey-server --version "valkey-server valkey-tools"
}

get || missing redis-server
echo "$bin"
