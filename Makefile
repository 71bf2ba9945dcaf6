# `make help` lists the targets. CARGO_TARGET_DIR is respected everywhere.

CARGO ?= cargo

.DEFAULT_GOAL := help
.PHONY: help demo build test test-all faults check bench

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: build ## Build, run the calculator, talk to it, serve until Ctrl-C (DEMO_ONCE=1 ends by itself)
	@scripts/demo

build: ## Build target/release/{herder,calculator,config-center,sessions,smooth-restart,net-cluster}
	@scripts/setup build
	$(CARGO) build --release -p herder-cli -p calculator -p config-center -p sessions -p smooth-restart -p net-cluster

test: ## Install what is missing (asks first, if CI is unset and there is a terminal), then run the tests
	@scripts/setup test
	@scripts/test short

test-all: ## As test, with the long matrices and a long simulation
	@scripts/setup test-all
	@scripts/test all

faults: ## A fault at every step of every operation, with a report of every cell; takes hours (FAULTS=--continue goes on)
	@scripts/setup test
	$(CARGO) run -p herder-e2e --bin faults -- $(FAULTS) --report $${CARGO_TARGET_DIR:-target}/faults.md

check: ## Formatting, lints, licences and bans, documentation, help texts
	@scripts/setup check
	$(CARGO) fmt --all --check
	$(CARGO) fmt --manifest-path bench/peers/tarpc/Cargo.toml --check
	$(CARGO) fmt --manifest-path fuzz/Cargo.toml --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	$(CARGO) deny check bans licenses sources
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps
	$(CARGO) test -p herder-cli help

bench: ## Measure beside bare loops, nginx, Node's cluster, PM2 and others; takes an hour, wants an idle machine (BENCH=options)
	@scripts/setup bench
	$(CARGO) build --release -p herder-cli
	$(CARGO) run --release -p herder-bench -- $(BENCH)
