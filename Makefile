# The commands that people and CI share. `make help` lists them; CONTRIBUTING.md says which to run when.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup build page demo quick test test-all test-native test-wasm test-wasm-core test-firefox test-web test-matrix test-readme lint format smoke \
  fuzz bench bench-browser bench-train tiny package clean

BIN := target/release/foretaste
SEED := 1
# The demo's data: ml-100k, or generated data where it cannot be fetched.
DEMO_DATA ?= ml-100k
DEMO_SERVE ?= 1
DEMO_PORT ?= 8080
# Where `make tiny` writes.
TINY ?= models/tiny

# WASM code is optimized for size in the release profile too, so that `wasm-pack test` and the build share one compilation of tract.
export CARGO_TERM_COLOR ?= auto
WASM := CARGO_PROFILE_RELEASE_OPT_LEVEL=z CARGO_PROFILE_RELEASE_DEBUG=0 $(shell .ci/wasm-toolchain)
PACK := $(WASM) wasm-pack
# The benchmarks' crate is compiled by `make bench*` and `make test-all` alone.
MEMBERS := --workspace --exclude foretaste-bench
START := $(shell date +%s)
TOOK = @printf '%s: took %d s\n' '$@' $$(($$(date +%s) - $(START)))

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' Makefile | sed -E 's/:[^#]*## /\t/' | expand -t 16

setup: ## install what build and tests need and what is not there yet
	@.ci/setup

build: ## the foretaste command, the WASM modules, the npm package and the page (web/dist)
	@.ci/build
	$(TOOK)

page: ## build the package and the page again after an edit in web/, seconds; needs the modules of `make build` or `make demo`
	node web/build.mjs $$([ -e web/pkg/core-relaxed/.stamp ] || echo --one-core)
	$(TOOK)

demo: ## get MovieLens 100K, train, export, print a slate, serve the page (DEMO_SERVE=0: do not; DEMO_DATA=synthetic: generated data)
	@.ci/build demo $(DEMO_DATA) $(SEED)
	$(TOOK)
	@if [ '$(DEMO_SERVE)' = 1 ]; then $(BIN) serve web/dist --port $(DEMO_PORT); fi

quick: ## the core's formatting and unit tests without tract, in a target folder of its own: under a minute
	cargo fmt --all --check
	cargo test --profile quick -p foretaste --lib --quiet
	$(TOOK)

test: ## what CI runs: native, WASM and the page in headless Chromium, README
	@.ci/setup
	@$(MAKE) --no-print-directory build lint test-native test-wasm test-web test-readme
	$(TOOK)

test-all: test smoke ## also every benchmark on tiny inputs, the real data, the figures, and the contract
	@.ci/test-all
	$(TOOK)

lint: ## formatting, clippy, doc warnings, shellcheck, the length of lines
	@.ci/lint
	$(TOOK)

format: ## format Rust, TypeScript, JavaScript, CSS and HTML
	cargo fmt --all
	npm --prefix web run --silent format

test-native: ## the Rust tests
	cargo test --release $(MEMBERS)
	$(TOOK)

# The unit tests of the core for one instruction set (FEATURES), and with the default one the packaged bundle with both modules.
FEATURES ?= +simd128
WASM_TEST = CHROMEDRIVER="$$(.ci/browser driver)" $(PACK) --log-level warn test --headless --chrome --mode no-install --release . -p foretaste --no-default-features
test-wasm-core: ## the core's unit tests in Chromium (FEATURES: the instruction set)
	RUSTFLAGS='-Ctarget-feature=$(FEATURES)' $(WASM_TEST) --features wasm-core --lib

test-wasm: test-wasm-core ## the Rust tests of both modules in Chromium
	$(WASM_TEST) --features wasm-core,wasm-tower --test bundle
	$(TOOK)

test-firefox: ## the core's unit tests in Firefox
	@.ci/setup wasm wasm-test firefox
	RUSTFLAGS='-Ctarget-feature=$(FEATURES)' GECKODRIVER="$$(.ci/browser geckodriver)" \
	  GECKODRIVER_ARGS="--binary $$(.ci/browser firefox)" \
	  $(PACK) --log-level warn test --headless --firefox --mode no-install --release . -p foretaste --no-default-features --features wasm-core --lib
	$(TOOK)

test-web: ## the package and the page in Node and Chromium
	npm --prefix web test --silent
	$(TOOK)

test-matrix: package ## the packed package in every bundler, in Chromium and Firefox (CELLS="vite8 next16" takes some)
	@.ci/setup browser firefox matrix
	node tests/matrix/run.mjs web/foretaste-*.tgz $(CELLS)
	node --test --test-timeout=300000 tests/matrix/realweb.test.mjs
	$(TOOK)

test-readme: ## run every code block of README.md and web/README.md
	@.ci/test-readme
	$(TOOK)

# TARGET: one of the targets (TARGETS in tests/fuzz/targets/mod.rs), else all, one after the other. TIME: seconds for each.
TIME ?= 600
fuzz: ## search for inputs that break a parser, guided by coverage (TARGET=json TIME=600); they are kept in tests/fuzz/crashers
	@.ci/fuzz '$(TARGET)' '$(TIME)'
	$(TOOK)

smoke: build ## every benchmark on tiny inputs, and each target that no test runs
	@.ci/smoke
	$(TOOK)

tiny: ## make models/tiny again, the packaged bundle of the tests (committed; TINY: another folder)
	cargo build --release
	rm -rf target/tiny
	$(BIN) data get synthetic --users 200 --items 60 --events 4000 --seed 3 --to target/tiny/data
	$(BIN) train --data target/tiny/data --config tests/fixtures/tiny.toml --out target/tiny/run --quiet
	$(BIN) export --run target/tiny/run --out $(TINY) --planes always

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
	rm -rf web/dist web/pkg web/LICENSE-*
