#!/bin/sh
# Makes what is generated: hack/generate.sh [directory to put it under, by default the checkout]
set -eu
cd "$(dirname "$0")/.."
out=${1:-.}
gen="go tool -modfile=hack/tools/go.mod controller-gen"

$gen object paths=./api/v1alpha1 output:object:dir="$out/api/v1alpha1"
$gen crd paths=./api/v1alpha1 output:crd:dir="$out/config/crd/bases"

# What each process may do is said where it does it: a process's role is made of its packages.
$gen rbac:roleName=claviger-operator,fileName=operator_role.yaml \
	paths=./controllers/... paths=./webhook/... paths=./cmd/claviger output:rbac:dir="$out/config/rbac"
$gen rbac:roleName=claviger-verifier,fileName=verifier_role.yaml \
	paths=./verifier/... paths=./internal/feed output:rbac:dir="$out/config/rbac"
