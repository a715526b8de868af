#!/bin/sh
# Gets jq, which the commands of docs/guides/disaster.md need, and prints the directory that holds it, which
# is what CLAVIGER_JQ is to be set to.
set -eu
cd "$(dirname "$0")"
. ../lib/programs.sh
prepare jq

works jq --version || from_path jq || from_debian jq --version "jq libjq1 libonig5" "jq" || missing jq
echo "$bin"
