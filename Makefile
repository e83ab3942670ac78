# Each target sets up what it needs; nothing has to be installed first but Python 3.11 or newer, bash and make.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV := .venv
PARITY_VENV := .venv-tflite-runtime
PEERS_VENV := .venv-peers
BIN := $(VENV)/bin
PIP_INSTALL := -m pip install --disable-pip-version-check -qq

# The interpreter to make environments with: the first that runs and is new enough. `make PYTHON=/path/to/python` overrides.
PYTHON ?= $(shell for p in python3.11 python3 python3.12 python3.13 python; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo "$$p" && break; done)

# Installed before anything that depends on torch, and by exact version: a range may pull a larger build of another release.
TORCH ?= torch==2.13.0
# Where pip is to look for it; empty: where it is set to. On Linux that may bring CUDA, see docs/installing.md.
TORCH_INDEX ?=
TFLITE_RUNTIME ?= tflite-runtime==2.14.0
# Without its dependencies: it asks for an older numpy than the rest is developed with, and needs no more of it than both have.
TOSA ?= tosa-tools==2026.8.0
# Another reader of ONNX models, to compare with.
OPENVINO ?= openvino==2026.4.1
# What benchmarks/peers.py measures beside ours, in an environment of its own; exact, as the page names the versions.
PEERS ?= ai-edge-quantizer==0.10.0 ncnn==1.0.20261020 nncf==3.4.0 $(OPENVINO)

# Options handed on, e.g. make test PYTEST_ARGS="-k tiler -x"
PYTEST_ARGS ?=
DEMO_ARGS ?=
FUZZ_ARGS ?=
APK_ARGS ?=
# Only what fuzzing needs: wheels for Linux on x86-64.
FUZZ ?= atheris==3.0.0
# Processes that share the tests: one to each core, but one alone where only some tests are asked for.
PYTEST_WORKERS ?= $(if $(PYTEST_ARGS),0,auto)
PYTEST = $(BIN)/python -m pytest --numprocesses=$(PYTEST_WORKERS) --dist=worksteal --cpu-seconds=10

.PHONY: help demo test test-all reach fuzz android apk ios parity-env litert-js htp-env peers-env aarch64-root swift-root lint format types wheel clean force

help: ## List the targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/.stamp-demo ## Convert the bundled checkpoint to TFLite and upscale a photo (installs no torch)
	$(BIN)/qsr-edge demo $(DEMO_ARGS)

test: $(VENV)/.stamp-dev ## Run the tests that take no more than a few seconds each
	$(PYTEST) $(PYTEST_ARGS)

test-all: $(VENV)/.stamp-dev ## Run all tests, the slow ones too
	$(PYTEST) -m "not device and not swift" $(PYTEST_ARGS)

reach: $(VENV)/.stamp-dev ## See that the default tests reach every module of both packages
	$(PYTEST) --cov --cov-report= $(PYTEST_ARGS)
	$(BIN)/python -m tests.support.reach .coverage

fuzz: $(VENV)/.stamp-fuzz ## Fuzz every reader of files for three minutes; a night: make fuzz FUZZ_ARGS="--seconds 28800"
	$(BIN)/python -m tests.fuzz $(FUZZ_ARGS)

lint: $(VENV)/.stamp-dev ## Check style and formatting
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/nox --no-venv -s lint

format: $(VENV)/.stamp-dev ## Mend style and formatting in place
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(VENV)/.stamp-dev ## Check types with mypy --strict and pyright
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/nox --no-venv -s typing

wheel: $(VENV)/.stamp-dev ## Build dist/*.whl and dist/*.tar.gz
	$(BIN)/python -m build --no-isolation

android: ## Compile the Android library and run its tests on the JVM (needs a JDK, JUnit 4, JaCoCo, npm)
	bash android_harness/toolchain.sh

apk: $(VENV)/.stamp-dev ## Make APKs without Gradle and say what is in them (needs Debian's zipalign, apksigner, android-framework-res)
	$(BIN)/python -m android_harness.apk make sample $(APK_ARGS)
	$(BIN)/python -m android_harness.apk make bench-app $(APK_ARGS)

litert-js: .litert-js/.stamp ## Fetch LiteRT.js from npm, for the tests in a browser

.litert-js/.stamp: qsr_edge/web/litert_js.py | $(VENV)/.stamp-dev
	@echo "Fetching LiteRT.js into .litert-js"
	@QSR_EDGE_CACHE=.litert-js $(BIN)/python -c 'from qsr_edge.web.litert_js import litert_js_files; litert_js_files()'
	@touch $@

htp-env: $(VENV)/.stamp-htp ## Set up Qualcomm's NPU emulator and OpenVINO, for the slow parity tests (Linux x86-64, glibc 2.35)

# Apart from the rest: 98 and 59 MB, and the emulator's wheel does not install on older systems.
$(VENV)/.stamp-htp: $(VENV)/.stamp-dev
	@echo "Installing qsr-edge[qnn] and $(OPENVINO) into $(VENV)"
	@$(BIN)/python $(PIP_INSTALL) -e '.[qnn]' '$(OPENVINO)'
	@touch $@

aarch64-root: .aarch64-root/.stamp ## Set up LiteRT and ONNX Runtime for AArch64 under qemu, for the slow parity tests (Debian; needs root)

.aarch64-root/.stamp: tests/support/make_aarch64_root.sh | $(VENV)/.stamp-venv
	bash tests/support/make_aarch64_root.sh .aarch64-root $(BIN)/python
	@touch $@

ios: $(VENV)/.stamp-dev ## Compile the Swift package and run its tests (needs Swift 6 on PATH, or `make swift-root`)
	QSR_EDGE_PYTHON=$(CURDIR)/$(BIN)/python bash ios_harness/toolchain.sh
	QSR_EDGE_REQUIRE_ALL=1 $(PYTEST) -m swift tests/unit/ios tests/integration

swift-root: .swift-root/.stamp ## Set up Swift 6 in a Debian 13 of its own, 2.7 GB (Debian; needs root)

.swift-root/.stamp: ios_harness/make_swift_root.sh
	bash ios_harness/make_swift_root.sh .swift-root
	@touch $@

parity-env: $(PARITY_VENV)/.stamp ## Set up tflite-runtime 2.14 in its own environment, for the parity tests

peers-env: $(PEERS_VENV)/.stamp ## Set up the other int8 runtimes and quantizers, for benchmarks/peers.py (2.1 GB)

clean: ## Remove the environments, builds and caches
	rm -rf $(VENV) $(PARITY_VENV) $(PEERS_VENV) .aarch64-root .litert-js .swift-root ios_harness/.build ios_harness/.toolchain android_harness/.toolchain android_harness/build dist build .nox .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The recipe runs every time but touches the stamp only when it made the environment. It does so when there is none, when its
# interpreter no longer runs, and when the checkout was moved or copied (scripts and the editable install hold its path).
$(VENV)/.stamp-venv $(PARITY_VENV)/.stamp-venv $(PEERS_VENV)/.stamp-venv: force
	@if [ "$$(cat $@ 2>/dev/null)" != "$(CURDIR)" ] || ! $(@D)/bin/python -m pip --version >/dev/null 2>&1; then \
		if [ -z "$(PYTHON)" ]; then \
			echo "error: no Python 3.11 or newer was found; install one, or name it: make PYTHON=/path/to/python3.11" >&2; exit 1; fi; \
		"$(PYTHON)" -c '' 2>/dev/null || { echo "error: $(PYTHON) does not run; name Python 3.11 or newer: make PYTHON=/path/to/python3.11" >&2; exit 1; }; \
		"$(PYTHON)" -c 'import sys; v = sys.version_info; v >= (3, 11) or sys.exit(f"error: $(PYTHON) is Python {v[0]}.{v[1]}, too old; name one that is 3.11 or newer: make PYTHON=/path/to/python3.11")'; \
		echo "Making $(@D) with $(PYTHON)"; \
		rm -rf $(@D); \
		"$(PYTHON)" -m venv $(@D) || { rm -rf $(@D); \
			echo "error: $(PYTHON) could not make a virtual environment; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }; \
		echo "$(CURDIR)" > $@; \
	fi

# The two sets of packages share one environment: the demo needs the small one, and the large one contains it.
$(VENV)/.stamp-demo: $(VENV)/.stamp-venv pyproject.toml
	@echo "Installing qsr-edge[tflite] into $(VENV)"
	@$(BIN)/python $(PIP_INSTALL) -e '.[tflite]'
	@touch $@

$(VENV)/.stamp-dev: $(VENV)/.stamp-venv pyproject.toml
	@echo "Installing $(TORCH), $(TOSA) and qsr-edge[coreml,executorch,heif,onnx,report,tflite,train,web,dev] into $(VENV)"
	@$(BIN)/python $(PIP_INSTALL) $(if $(TORCH_INDEX),--index-url '$(TORCH_INDEX)') '$(TORCH)'
	@$(BIN)/python $(PIP_INSTALL) -e '.[coreml,executorch,heif,onnx,report,tflite,train,web,dev]'
	@$(BIN)/python $(PIP_INSTALL) --no-deps '$(TOSA)'
	@touch $@ $(VENV)/.stamp-demo

$(VENV)/.stamp-fuzz: $(VENV)/.stamp-dev
	@echo "Installing $(FUZZ) into $(VENV)"
	@$(BIN)/python $(PIP_INSTALL) '$(FUZZ)'
	@touch $@

# tflite-runtime 2.14 was built against numpy 1 and cannot share an environment with the rest. Its wheels end at Python 3.11.
$(PARITY_VENV)/.stamp: $(PARITY_VENV)/.stamp-venv
	@echo "Installing $(TFLITE_RUNTIME) into $(PARITY_VENV)"
	@$(PARITY_VENV)/bin/python $(PIP_INSTALL) '$(TFLITE_RUNTIME)' 'numpy<2'
	@touch $@

# With everything of ours, since one process of the benchmark converts what all are to run.
$(PEERS_VENV)/.stamp: $(PEERS_VENV)/.stamp-venv pyproject.toml
	@echo "Installing $(PEERS) and qsr-edge[executorch,onnx,tflite,train] into $(PEERS_VENV)"
	@$(PEERS_VENV)/bin/python $(PIP_INSTALL) $(if $(TORCH_INDEX),--index-url '$(TORCH_INDEX)') '$(TORCH)'
	@$(PEERS_VENV)/bin/python $(PIP_INSTALL) -e '.[executorch,onnx,tflite,train]' $(PEERS)
	@touch $@
