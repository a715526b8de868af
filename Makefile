# Needs Go, make and git.

# The image to build or to deploy, and the kubectl to deploy with.
IMG ?= claviger:latest
KUBECTL ?= kubectl
# Further arguments: of make run (try ARGS=--help) and of go test.
ARGS ?=
TESTFLAGS ?=
# Set, as in CI, turns the race detector on. It needs a C compiler.
RACE ?= $(CI)
# How long each parser is fuzzed by make fuzz.
FUZZTIME ?= 20s
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)

# A checkout that git thinks is somebody else's can be built as well.
export GOFLAGS := $(GOFLAGS) -buildvcs=false

GOLANGCI_LINT := go tool -modfile=hack/tools/lint/go.mod golangci-lint
RACE_FLAG := $(if $(RACE),-race)
# With the race detector, operator and verifier have it too where tests run them.
BINARY := bin/claviger$(if $(RACE),-race)

.PHONY: help
help: ## List what there is to do
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: run
run: build ## Run all of Claviger on this machine; ARGS=--help lists flags
	@go build -o bin/local ./hack/local
	@exec bin/local $(ARGS)

.PHONY: test
test: control-plane gateways redis postgres prometheus jq binary ## Run every test, on a real control plane; RACE=1 with the race detector
	KUBEBUILDER_ASSETS="$$(hack/controlplane/build.sh)" CLAVIGER_BINARY="$(CURDIR)/$(BINARY)" \
		CLAVIGER_GATEWAYS="$$(hack/gateways/build.sh 2>/dev/null)" \
		CLAVIGER_REDIS="$$(hack/redis/build.sh 2>/dev/null)" \
		CLAVIGER_POSTGRES="$$(hack/postgres/build.sh 2>/dev/null)" \
		CLAVIGER_PROMETHEUS="$$(hack/prometheus/build.sh 2>/dev/null)" \
		CLAVIGER_JQ="$$(hack/jq/build.sh 2>/dev/null)" \
		go test $(RACE_FLAG) -timeout 20m $(TESTFLAGS) ./...

.PHONY: test-unit
test-unit: ## Run the tests that need no control plane, in seconds
	@go test $(RACE_FLAG) $(TESTFLAGS) $$(hack/unit-packages.sh)

.PHONY: fuzz
fuzz: ## Fuzz each parser for FUZZTIME
	@hack/fuzz.sh $(FUZZTIME)

.PHONY: bench
bench: control-plane redis postgres build ## Measure the verifier against the bare transports; ARGS=--help lists flags
	@hack/ratelimit/build.sh >/dev/null
	@go build -o bin/bench ./test/bench
	@KUBEBUILDER_ASSETS="$$(hack/controlplane/build.sh)" CLAVIGER_REDIS="$$(hack/redis/build.sh 2>/dev/null)" \
		CLAVIGER_POSTGRES="$$(hack/postgres/build.sh 2>/dev/null)" \
		CLAVIGER_RATELIMIT="$$(hack/ratelimit/build.sh 2>/dev/null)" bin/bench --binary=bin/claviger $(ARGS)

.PHONY: lint
lint: ## Check the code, and which package imports which
	$(GOLANGCI_LINT) run --allow-parallel-runners ./...

.PHONY: generate
generate: ## Make CRDs, RBAC and deep copies from the Go types and their markers
	@hack/generate.sh

.PHONY: check-generated
check-generated: ## Fail where what is generated is stale
	@hack/check-generated.sh

.PHONY: build
build: ## Build bin/claviger and the kubectl plugin bin/kubectl-claviger
	@echo "Building bin/claviger and bin/kubectl-claviger ..."
	@go build -ldflags "-X main.version=$(VERSION)" -o bin/ ./cmd/claviger ./cmd/kubectl-claviger

# The same with the race detector where that is on.
.PHONY: binary
binary:
	@echo "Building $(BINARY) ..."
	@go build $(RACE_FLAG) -ldflags "-X main.version=$(VERSION)" -o $(BINARY) ./cmd/claviger

.PHONY: control-plane
control-plane: ## Build the control plane for run and test, once
	@hack/controlplane/build.sh >/dev/null

.PHONY: gateways
gateways: ## Get nginx, Caddy and Traefik for test, where they can be had
	@hack/gateways/build.sh >/dev/null

.PHONY: redis
redis: ## Get Valkey or Redis for test and bench, where it can be had
	@hack/redis/build.sh >/dev/null

.PHONY: postgres
postgres: ## Get PostgreSQL for test and bench, where it can be had
	@hack/postgres/build.sh >/dev/null

.PHONY: prometheus
prometheus: ## Get promtool for test, where it can be had
	@hack/prometheus/build.sh >/dev/null

.PHONY: jq
jq: ## Get jq for test, where it can be had
	@hack/jq/build.sh >/dev/null

.PHONY: docker-build
docker-build: ## Build the image IMG
	docker build --build-arg VERSION=$(VERSION) -t $(IMG) .

.PHONY: deploy
deploy: ## Install Claviger, from the image IMG, to where the kubeconfig points
	$(KUBECTL) kustomize config/default | sed 's|image: claviger:latest|image: $(IMG)|' | $(KUBECTL) apply --server-side -f -

.PHONY: undeploy
undeploy: ## Remove Claviger, with every key, from where the kubeconfig points
	$(KUBECTL) delete --ignore-not-found -k config/default

.PHONY: clean
clean: ## Delete what was built here, and the data of make run
	rm -rf bin .local
