# One command for everything that is done in this repository. CI runs the same targets.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:
MAKEFLAGS += --no-print-directory

# Downloads and builds that every clone on this machine shares. The test world keeps its own there too.
CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/iamdb-operator
TARGET := $(or $(CARGO_TARGET_DIR),target)
# No program is stamped with the commit: git does not tell it of a clone that belongs to somebody else.
export GOFLAGS := $(GOFLAGS) -buildvcs=false

CARGO_DENY_VERSION := 0.20.2
CARGO_DENY := $(CACHE)/tools/cargo-deny-$(CARGO_DENY_VERSION)/bin/cargo-deny

HELM3_VERSION := v3.22.0
HELM4_VERSION := v4.3.1
KUBECONFORM_VERSION := v0.8.0
HELM3 := $(CACHE)/tools/helm-$(HELM3_VERSION)/helm
HELM4 := $(CACHE)/tools/helm-$(HELM4_VERSION)/helm
KUBECONFORM := $(CACHE)/tools/kubeconform-$(KUBECONFORM_VERSION)/kubeconform

# The AWS launcher's tests have a Python environment of their own, renewed when the requirements change.
PYTHON_ENV := $(CACHE)/tools/python-$(shell cat tests/world/aws/requirements*.txt | sha256sum | cut -c1-12)
PYTHON := $(PYTHON_ENV)/bin/python

PLUGIN := tests/world/plugin
# The stand-in plugin is a package of its own, with a target folder of its own.
PLUGIN_TARGET := $(TARGET)/world-plugin
WORLD := target/world-bin/world
WORLD_ENV := target/world/env

# $(call step,what is done,command,what to do when it fails): tells what it does, and on failure says so in one line.
# Commands are joined by && there: `set -e` does not hold on the left of ||.
define step
@printf '==> %s\n' '$(1)'; ( $(2) ) || { printf 'make $@: %s failed: %s\n' '$(1)' '$(3)' >&2; exit 1; }
endef

##@ Every day

.PHONY: help
help: ## This list.
	@awk 'BEGIN { FS = ":.*## " } /^##@/ { printf "\n%s\n", substr($$0, 5) } /^[a-z][a-z0-9-]*:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: test
test: as-root lint world-for-ci unit ## Most of what CI runs: lint, unit, e2e, bench-gate, it. As root; 45 minutes. Cargo's summary of the integration tests comes last.
	@$(MAKE) e2e
	@$(WORLD) node down
	@$(MAKE) bench-gate
	@$(MAKE) it

.PHONY: as-root
as-root:
	@[ "$$(id -u)" = 0 ] || { echo 'make test: its node needs root; without root: make lint unit it' >&2; exit 1; }

.PHONY: lint
lint: ## Formats, lints, generated files and docs, of the product and of the test world.
	$(call step,rustfmt (product),cargo fmt --check,run `cargo fmt`)
	$(call step,rustfmt (plugin),cargo fmt --check --manifest-path $(PLUGIN)/Cargo.toml,run `cargo fmt --manifest-path $(PLUGIN)/Cargo.toml`)
	$(call step,gofmt,files=$$(gofmt -l tests/world) && [ -z "$$files" ] || { echo "$$files"; false; },run `gofmt -w` on the files above)
	$(call step,go vet,go vet -C tests/world ./...,see above)
	$(call step,clippy (product),cargo clippy --locked --all-targets -- -D warnings,see above)
	$(call step,clippy (plugin),CARGO_TARGET_DIR=$(abspath $(PLUGIN_TARGET)) cargo clippy --locked --all-targets --manifest-path $(PLUGIN)/Cargo.toml -- -D warnings,see above)
	$(call step,cargo doc,RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --document-private-items --quiet,see above)
	$(call step,crds/ and chart match the types,rm -rf target/crds && cargo run --locked --quiet -- crds --dir target/crds && diff -r target/crds crds && diff -r crds charts/iamdb-operator/files/crds,run `make crds` and commit the result)

.PHONY: unit
unit: ## Unit tests of the product, the repository's rules, and the test world's own tests.
	$(call step,unit tests (product),cargo test --locked --lib --bins --test frame,see above)
	$(call step,unit tests (plugin),CARGO_TARGET_DIR=$(abspath $(PLUGIN_TARGET)) cargo test --locked --manifest-path $(PLUGIN)/Cargo.toml,see above)
	$(call step,unit tests (world),go test -C tests/world ./...,see above)
	@$(MAKE) $(PYTHON)
	$(call step,unit tests (AWS launcher),cd tests/world/aws && PYTHONDONTWRITEBYTECODE=1 $(PYTHON) -m pytest --quiet,see above)

$(PYTHON): tests/world/aws/requirements.txt tests/world/aws/requirements-test.txt
	$(call step,Python environment for the tests of the AWS launcher,rm -rf $(PYTHON_ENV) && python3 -m venv $(PYTHON_ENV) && $(PYTHON) -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: $(^:%=--requirement %),pip must reach its package index)
	@touch $@

.PHONY: it
it: ## Integration tests against the test world.
	@$(MAKE) world world-operator
	$(call step,consumer oracle (5 minutes),. $(WORLD_ENV) && cargo test --locked --test it oracle:: -- --nocapture,the logs are in target/world/log)
	$(call step,integration tests,. $(WORLD_ENV) && cargo test --locked --test it -- --test-threads=8 --skip oracle::,the logs are in target/world/log)

SOAK_SECONDS ?= 1200

.PHONY: soak
soak: ## 20 minutes, or SOAK_SECONDS, in which readers log in while everything breaks, and none is refused; a restart with 2,000 live tokens.
	@$(MAKE) world world-operator
	$(call step,restart with 2000 live tokens,. $(WORLD_ENV) && IAMDB_RESTART_TOKENS=2000 cargo test --locked --test it restart:: -- --nocapture,the logs are in target/world/log)
	$(call step,consumer oracle for $(SOAK_SECONDS) s,. $(WORLD_ENV) && IAMDB_ORACLE_SECONDS=$(SOAK_SECONDS) cargo test --locked --test it oracle:: -- --nocapture,the logs are in target/world/log)

# The image of the debug build, packed as `make image` packs the release build; `make e2e E2E_IMAGE=target/image.tar` takes that one.
E2E := target/e2e
E2E_IMAGE := $(E2E)/image.tar

.PHONY: e2e
e2e: $(WORLD) $(HELM3) ## The chart's release on a node with a real kubelet, and pods with stock clients. As root; 8 minutes. Leaves the node; make world-down takes it away.
	@$(WORLD) up --no-operator
	@$(WORLD) node up
	@$(MAKE) $(E2E_IMAGE)
	$(call step,image onto the node,$(WORLD) node load --archive $(E2E_IMAGE),see target/world/log/images.log)
	$(call step,chart packed,rm -rf $(E2E)/chart && $(HELM3) package charts/iamdb-operator --destination $(E2E)/chart >/dev/null,see above)
	$(call step,end-to-end test,. $(WORLD_ENV) && IAMDB_E2E_HELM=$(HELM3) IAMDB_E2E_CHART=$$(ls $(abspath $(E2E))/chart/*.tgz) cargo test --locked --test e2e -- --nocapture,the logs are in target/world/log)

.PHONY: $(E2E)/image.tar
$(E2E)/image.tar:
	$(call step,debug build,cargo build --locked --bin iamdb,see above)
	$(call step,image,mkdir -p $(E2E) && strip -o $(E2E)/iamdb $(TARGET)/debug/iamdb && image/rootfs $(E2E)/iamdb $(E2E)/rootfs && image/pack $(E2E)/rootfs $(E2E)/image.tar $(IMAGE),see above)

.PHONY: bench-gate
bench-gate: ## A few hundred tokens beside a bare loop: fails when a rotation costs more than it did.
	@$(MAKE) world
	$(call step,benchmark gate,cargo bench --locked --profile dev --bench bench -- --gate,see above; if it is meant to be so: the same command with --gate=record)

.PHONY: bench
bench: ## Rotation at scale beside a bare loop, more than an hour, half an hour of it by schedule: docs/performance.md. BENCH_PEER=tests/bench/peers/external-secrets/peer: beside another operator. Wants a machine that does nothing else, and starts the world anew.
	@$(MAKE) world-down world
	$(call step,benchmark,cargo bench --locked --bench bench,the log is target/bench/operator.log)
	@$(MAKE) world-down

.PHONY: demo
demo: $(WORLD) ## The whole way in one terminal: a test world, the operator, three objects, a login without a password.
	@tests/world/demo.sh

##@ The test world

$(WORLD): FORCE
	@go build -C tests/world -o ../../$(WORLD) ./cmd/world || { echo 'make: the world program does not build' >&2; exit 1; }

.PHONY: FORCE
FORCE:

.PHONY: world
world: $(WORLD) ## Starts the test world, or finds it running.
	@echo '==> test world up'
	@$(WORLD) up

.PHONY: world-operator
world-operator: $(WORLD) ## Builds the operator and (re)starts it in the test world.
	@echo '==> operator into the test world'
	@$(WORLD) operator

.PHONY: world-down
world-down: $(WORLD) ## Stops the test world and wipes it. What it downloaded and built stays in the cache.
	@echo '==> test world down'
	@$(WORLD) down

# In CI a test whose program is missing fails, and the world is what installs the programs.
.PHONY: world-for-ci
world-for-ci:
	@if [ -n "$${CI:-}" ]; then $(MAKE) world; fi

##@ Generated and checked

.PHONY: reasons
reasons: ## docs/reasons.md from the list of reasons.
	$(call step,docs/reasons.md from the list,cargo run --locked --quiet -- reasons > docs/reasons.md,see above)

.PHONY: chart
chart: $(HELM3) $(HELM4) $(KUBECONFORM) ## The chart by helm 3 and 4: linted, rendered, checked against the test world's apiserver, installed there.
	@$(MAKE) world
	$(call step,chart,. $(WORLD_ENV) && tests/chart/check $(HELM3) $(HELM4) $(KUBECONFORM),see above)

$(HELM3):
	$(call step,helm $(HELM3_VERSION) into the cache (minutes once),GOBIN=$(@D) go install helm.sh/helm/v3/cmd/helm@$(HELM3_VERSION),go must reach its module proxy)
$(HELM4):
	$(call step,helm $(HELM4_VERSION) into the cache (minutes once),GOBIN=$(@D) go install helm.sh/helm/v4/cmd/helm@$(HELM4_VERSION),go must reach its module proxy)
$(KUBECONFORM):
	$(call step,kubeconform $(KUBECONFORM_VERSION) into the cache,GOBIN=$(@D) go install github.com/yannh/kubeconform/cmd/kubeconform@$(KUBECONFORM_VERSION),go must reach its module proxy)

.PHONY: crds
crds: ## Writes the CustomResourceDefinitions from the types, into crds/ and the chart.
	$(call step,crds from the types,cargo run --locked --quiet -- crds --dir crds,see above)
	$(call step,crds into the chart,mkdir -p charts/iamdb-operator/files/crds && cp crds/*.yaml charts/iamdb-operator/files/crds/,see above)

# The time of everything in the image: that of the last commit.
IMAGE := ghcr.io/iamdb/iamdb-operator:$(shell sed -n 's/^appVersion: //p' charts/iamdb-operator/Chart.yaml)
IMAGE_TARGET := $(abspath target/image)

.PHONY: image
image: ## The container image as an OCI archive, target/image.tar, without an engine. On Debian 12; a release build takes minutes.
	$(call step,release build,image/build $(IMAGE_TARGET),see above)
	$(call step,root file system,image/rootfs $(IMAGE_TARGET)/release/iamdb target/rootfs,see above)
	$(call step,OCI archive,SOURCE_DATE_EPOCH=$$(git -c safe.directory='*' log -1 --format=%ct) image/pack target/rootfs target/image.tar $(IMAGE),see above)
	$(call step,what is in it,tests/image/check target/image.tar,see above)

.PHONY: deny
deny: $(CARGO_DENY) ## Licences, banned crates and sources of all dependencies.
	$(call step,cargo deny (product),$(CARGO_DENY) --locked check bans licenses sources,see deny.toml)
	$(call step,cargo deny (plugin),$(CARGO_DENY) --locked --manifest-path $(PLUGIN)/Cargo.toml --config deny.toml check --allow license-not-encountered --allow license-exception-not-encountered --allow unmatched-skip bans licenses sources,see deny.toml)

.PHONY: deny-advisories
deny-advisories: $(CARGO_DENY) ## Known vulnerabilities of all dependencies. Fetches the advisory database.
	$(call step,advisories (product),$(CARGO_DENY) --locked check advisories,see deny.toml)
	$(call step,advisories (plugin),$(CARGO_DENY) --locked --manifest-path $(PLUGIN)/Cargo.toml --config deny.toml check advisories,see deny.toml)

$(CARGO_DENY):
	$(call step,cargo-deny $(CARGO_DENY_VERSION) into the cache (3 minutes once),env -u CARGO_TARGET_DIR cargo install --locked --quiet cargo-deny@$(CARGO_DENY_VERSION) --root $(CACHE)/tools/cargo-deny-$(CARGO_DENY_VERSION),cargo must reach its registry)
