#!/bin/sh
# Makes what is generated: hack/generate.sh [directory to put it under, by default the checkout]
set -eu
cd "$(dirname "$0")/.."
out=${1:-.}
gen="go tool -modfile=hack/tools/go.mod controller-gen"

$gen object paths=./api/v1alpha1 output:object:dir="$out/api/v1alpha1"
$gen crd paths=./api/v1alpha1 output:crd:dir="$out/config/crd/bases"
