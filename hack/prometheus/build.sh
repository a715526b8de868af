#!/bin/sh
# Gets promtool, by which the alerts are tested, and prints the directory that holds it, which is what
# CLAVIGER_PROMETHEUS is to be set to. It is from the PATH, or from Debian's package of Prometheus, of which no service is
# started.
set -eu
cd "$(dirname "$0")"
. ../lib/programs.sh
prepare prometheus

get() {
	works promtool --version || from_path promtool || from_debian promtool --version prometheus
}

get || missing promtool
echo "$bin"
