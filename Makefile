# The commands that people and CI share. `make help` lists them.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup build demo test test-all test-native test-wasm test-wasm-core test-web bench bench-browser bench-train test-readme lint package clean tiny

BIN := target/release/foretaste
SEED := 1
# Where the data of the demo comes from: ml-100k, or generated data where it cannot be fetched.
DEMO_DATA ?= ml-100k
DEMO_SERVE ?= 1
DEMO_PORT ?= 8080

# WASM has the release profile too, for size: so `wasm-pack test` and the build share one compilation of tract.
export CARGO_TERM_COLOR ?= auto
WASM := CARGO_PROFILE_RELEASE_OPT_LEVEL=z CARGO_PROFILE_RELEASE_DEBUG=0 $(shell .ci/wasm-toolchain)
PACK := $(WASM) wasm-pack
START := $(shell date +%s)
TOOK = @printf '%s: took %d s\n' '$@' $$(($$(date +%s) - $(START)))

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' Makefile | sed -E 's/:[^#]*## /\t/' | expand -t 16

setup: ## install what build and tests need and what is not there yet
	@.ci/setup

build: ## the foretaste command, both WASM modules, the npm package and the page (web/dist)
	@.ci/setup wasm
	cargo build --release
	.ci/build-wasm core-baseline core -simd128
	.ci/build-wasm core-simd128 core +simd128
	.ci/build-wasm core-relaxed core +simd128,+relaxed-simd
	.ci/build-wasm tower tower +simd128
	npm --prefix web run --silent build
	$(TOOK)

demo: build ## get MovieLens 100K, train, export, print a slate, serve the page (DEMO_SERVE=0: do not; DEMO_DATA=synthetic: generated data)
	@.ci/demo $(DEMO_DATA) $(SEED)
	$(TOOK)
	@if [ '$(DEMO_SERVE)' = 1 ]; then $(BIN) serve web/dist --port $(DEMO_PORT); fi

test: ## what CI runs: native, WASM and the page in headless Chromium, README
	@.ci/setup
	@$(MAKE) --no-print-directory build lint test-native test-wasm test-web test-readme
	$(TOOK)

test-all: test ## also the real data, the figures of Done when, and the contract
	@.ci/test-all
	$(TOOK)

lint:
	cargo fmt --all --check
	cargo clippy --release --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --release --no-deps --workspace --document-private-items --quiet

test-native:
	cargo test --release --workspace

# The unit tests of the core for one instruction set (FEATURES), and with the default one the packaged bundle with both modules.
FEATURES ?= +simd128
WASM_TEST = CHROMEDRIVER="$$(.ci/browser driver)" $(PACK) --log-level warn test --headless --chrome --mode no-install --release . -p foretaste --no-default-features
test-wasm-core:
	RUSTFLAGS='-Ctarget-feature=$(FEATURES)' $(WASM_TEST) --features wasm-core --lib

test-wasm: test-wasm-core
	$(WASM_TEST) --features wasm-core,wasm-tower --test bundle

test-web:
	npm --prefix web test --silent

test-readme:
	@.ci/test-readme

tiny: ## make models/tiny again, the packaged bundle of the tests (committed)
	cargo build --release
	rm -rf target/tiny
	$(BIN) data get synthetic --users 200 --items 60 --events 4000 --seed 3 --to target/tiny/data
	$(BIN) train --data target/tiny/data --config tests/fixtures/tiny.toml --out target/tiny/run --quiet
	$(BIN) export --run target/tiny/run --out models/tiny --planes always

bench: ## natively: similar items against Annoy and hnswlib, the top 100 against numpy; writes target/figures/bench.{json,md}
	cargo build --release
	@.ci/bench $(SETS)
	$(TOOK)

bench-train: ## an epoch beside PyTorch and TensorFlow Recommenders; writes target/figures/bench-train.{json,md}
	cargo build --release
	@.ci/bench-train
	$(TOOK)

bench-browser: build ## our scoring and the peers' in one page of headless Chromium; writes target/figures/bench-browser.{json,md} (SETS="…" takes some)
	@.ci/bench-browser $(SETS)
	$(TOOK)

package: build ## the npm package as a tarball, with a tower for browsers without SIMD: web/foretaste-VERSION.tgz
	.ci/build-wasm tower-baseline tower -simd128
	cd web && node build.mjs --all && npm pack --silent
	$(TOOK)

clean: ## remove what was built
	cargo clean
	rm -rf web/dist web/pkg
