# Everything that is built lands in bin/ and dist/; caches stay in the user's cache
# directory.
SHELL := /usr/bin/env bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := build

GOLANGCI_VERSION := v2.15.0
TOOLS := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/netdoctor-tools/golangci-$(GOLANGCI_VERSION)
VERSION ?= $(shell git describe --tags --match 'v*' 2>/dev/null || echo v0.1.0)

# TELL leaves of go test -v what somebody has to hear: what failed, and what was skipped and why.
TELL := grep -vE '^ *(=== (RUN|PAUSE|CONT|NAME)|--- PASS|PASS$$)'
UNITS := ./pkg/... ./cmd/... ./hack/...

.PHONY: build demo unit test cases integration e2e fuzz docs lint verify image dist bench bench-scale bench-checks bench-hosts bench-tenth clean help

build: ## build the plugin into bin/
	@mkdir -p bin
	@CGO_ENABLED=0 go build -trimpath -o bin/ ./cmd/kubectl-netdoctor

demo: build ## look at the sick cluster in examples/ and show its repair
	@echo '$$ kubectl netdoctor check --from examples/coredns-loop'
	@bin/kubectl-netdoctor check --from examples/coredns-loop || test $$? -eq 1
	@echo
	@echo '$$ kubectl netdoctor fix coredns-loop --dry-run --from examples/coredns-loop --upstream 10.77.0.53'
	@bin/kubectl-netdoctor fix coredns-loop --dry-run --from examples/coredns-loop --upstream 10.77.0.53

unit: ## the fast loop: tests that need no cluster, without the slow ones
	go test -race -short $(UNITS)

# In make test the repairs' writes are broken (test/faults) while the labs' clusters, which
# mostly wait, are.
# The faults are shared among labs of two nodes, and beside them runs what needs one lab:
# most of that is waiting.
FAULTS := E2E_LABS=5 E2E_RESULTS=$(CURDIR)/bin/e2e.json go test -C test/lab -race -p 2 -count=1 -timeout 60m -v

test: deps ## every test that this machine can run
	@mkdir -p bin
	go test -race $(UNITS)
	go test -race -timeout 30m $$(go list ./test/... | grep -vE '/test/(faults|anonymity)$$')
	go test -race -short ./test/anonymity && go test ./test/anonymity
	go test -race -timeout 60m -v ./test/faults >bin/faults.txt 2>&1 & faults=$$!; \
	E2E_KUBECONFIG= $(FAULTS) ./e2e . ./study ./cluster ./faults ./internal/... ./cmd/... | $(TELL) || failed=1; \
	wait $$faults || failed=1; $(TELL) <bin/faults.txt || true; test -z "$${failed:-}"

cases: ## what check says of real faults and of healthy clusters; writes docs/CASES.md
	@go run ./test/states/table -write docs/CASES.md

integration: ## the tests against a real API server, built by test/lab
	go test -race -timeout 30m ./test/...

# A cluster of yours is broken only where its kubeconfig
# stands on the command line; the environment's does not count.
e2e: deps ## real two-node clusters: every fault named, cured and undone; KUBECONFIG=FILE: yours
	@mkdir -p bin
	E2E_KUBECONFIG='$(if $(filter command,$(firstword $(origin KUBECONFIG))),$(KUBECONFIG))' $(FAULTS) ./e2e ./study | $(TELL)

# FUZZ_AT targets run at a time, below everything else: with two it takes half a FUZZTIME
# for each of them, and minutes to build what is not cached.
FUZZTIME ?= 60s
FUZZ_AT ?= 2

fuzz: ## every fuzz target for FUZZTIME, FUZZ_AT at a time; FUZZ=PATTERN: those alone
	@nice -n 15 go run ./hack/fuzz -time '$(FUZZTIME)' -at '$(FUZZ_AT)' -only '$(FUZZ)'

docs: ## generated pages and lists of words; docs/LAB.md from the results of the last make e2e
	@if [ -f bin/e2e.json ]; then go run -C test/lab ./e2e/table $(CURDIR)/bin/e2e.json >docs/LAB.md; else echo 'docs/LAB.md is left alone: make e2e writes its results first'; fi
	go run ./hack/docs

.PHONY: deps
deps: # what the tests call and a bare machine may lack
	@test "$$(id -u)" = 0 || echo 'not root: tests that need a network namespace are skipped, or fail where CI is set' >&2
	@missing=; for p in gcc ip git iptables nft ipset conntrack pkg-config; do command -v $$p >/dev/null || missing="$$missing $$p"; done; \
	ls /usr/include/*/seccomp.h /usr/include/seccomp.h >/dev/null 2>&1 || missing="$$missing seccomp.h"; \
	if [ -n "$$missing" ]; then \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    apt-get update -qq && apt-get install -y -qq --no-install-recommends gcc libc6-dev iproute2 git iptables nftables ipset conntrack \
	      libseccomp-dev pkg-config systemd curl >/dev/null; \
	  else echo "not here:$$missing; what needs it is skipped or fails" >&2; fi; fi

lint: $(TOOLS)/golangci-lint ## golangci-lint, its version pinned
	$(TOOLS)/golangci-lint run ./...
	cd test/lab && $(TOOLS)/golangci-lint run --config ../../.golangci.yml ./...

$(TOOLS)/golangci-lint:
	@mkdir -p $(TOOLS)
	GOBIN=$(TOOLS) GOFLAGS= go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION)

verify: ## generated files and go.mod are up to date
	go mod tidy -diff
	go -C test/lab mod tidy -diff
	go vet ./...
	go run ./hack/docs -check

image: ## the container image of a release for Linux on amd64 and arm64, as archives in dist/, and its SBOM
	go run ./hack/image -version $(VERSION)

dist: ## the image, release archives for every platform, with their sums, and the krew manifest
	go run ./hack/dist -version $(VERSION)

bench: build ## measure against a real API server and write docs/BENCHMARKS.md
	go run ./hack/bench -write docs/BENCHMARKS.md

# The largest needs 13 GiB of memory; all together take five minutes on two cores.
bench-scale: build ## measure on clusters of up to 5,000 nodes and 150,000 pods
	go run ./hack/bench -sizes 1000,15000,150000 -runs 3 -write docs/BENCHMARKS.md

bench-checks: ## measure every check by itself on 150,000 pods in memory
	go run ./hack/bench -checks 150000 -write docs/BENCHMARKS.md

bench-hosts: ## measure --depth host on 50, 200 and 1,000 nodes, beside a plain Job with as many pods
	go test -count=1 -run '^$$' -bench Hosts -benchtime 1x ./test/integration

bench-tenth: build ## the same on a tenth of that, once: fails unless check names the three faults alone
	go run ./hack/bench -sizes 15000 -runs 1

clean: ## remove what was built
	rm -rf bin dist

help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 14
