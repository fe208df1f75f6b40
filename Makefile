# Everything runs from .venv, made on the first call. Nothing is installed outside of it but the Debian packages
# that the tests need, and those only as root.

.DEFAULT_GOAL := help
.PHONY: demo run test test-units test-integration test-packages test-frameworks check bench soak lock reference accuracy measured clean help

# One test that fails hides no other: what is printed may be all that is left of the machine.
MAKEFLAGS += --keep-going --no-print-directory

# In the order of its prerequisites, also where -j stands in the environment.
.NOTPARALLEL:

VENV := .venv
BIN := $(VENV)/bin
RUN := $(VENV)/.installed-run
TEST := $(VENV)/.installed-test

# The first Python that is new enough; the default one if none is, so that its own message is seen.
NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
CANDIDATES := python3 python3.13 python3.12 python3.11
PYTHON ?= $(firstword $(foreach python,$(CANDIDATES),$(shell $(python) -c '$(NEW_ENOUGH)' 2>/dev/null && echo $(python))) python3)

ifneq ($(shell command -v uv 2>/dev/null),)
MAKE_VENV := uv venv --quiet --allow-existing --python '>=3.11' $(VENV)
INSTALL := uv pip install --quiet --python $(BIN)/python
else
# --group came with pip 25.1.
MAKE_VENV := $(PYTHON) -m venv $(VENV) && $(BIN)/python -m pip install -qq --retries 10 --upgrade 'pip>=25.1'
INSTALL := $(BIN)/python -m pip install -qq --retries 10
endif

demo: $(RUN) ## Start the service with a simulated fleet; Ctrl-C stops it. ARGS="--port 9000" passes flags on.
	$(BIN)/clusterwatch demo $(ARGS)

run: $(RUN) ## Watch this machine. ARGS="--config F" passes flags on.
	$(BIN)/clusterwatch daemon $(ARGS)

test: check test-units test-integration test-frameworks ## Check, then run every test.

# Tests start hundreds of our processes: each would compile all of ClusterWatch where no bytecode may be written.
test-units test-integration test-frameworks: export PYTHONDONTWRITEBYTECODE =

# The long ones first: at the end, one alone would keep everybody waiting.
test-units: $(TEST) test-packages
	$(BIN)/python -m pytest -n 2 $(wildcard tests/scenarios tests/unit)

# Most of their time goes by in waiting for a process, so there are more workers than most machines have processors.
test-integration: $(TEST) test-packages
	$(BIN)/python -m pytest -n 4 --dist worksteal $(wildcard tests/packaging tests/integration)

# Beside the rest and on top of its torch: what other people's Trainers need is none of ours.
FRAMEWORKS := $(VENV)/frameworks
test-frameworks: $(TEST) ## Run the client's callbacks in the real Trainers of Lightning and transformers.
	test -e $(FRAMEWORKS)/.installed-$(shell cksum < tests/frameworks/requirements.txt | cut -d' ' -f1) || \
	  { rm -rf $(FRAMEWORKS) && $(INSTALL) --no-deps --target $(FRAMEWORKS) -r tests/frameworks/requirements.txt && \
	    touch $(FRAMEWORKS)/.installed-$(shell cksum < tests/frameworks/requirements.txt | cut -d' ' -f1); }
	PYTHONPATH=$(FRAMEWORKS) HF_HUB_OFFLINE=1 $(BIN)/python -m pytest tests/frameworks

test-packages: ## Install the Debian packages that the tests need, or say which.
	tests/debian-packages

check: $(TEST) ## Lint, types and import contracts.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

BENCHMARKS := $(wildcard tests/benchmarks/bench_*.py)
SOAKS := $(wildcard tests/benchmarks/soak_*.py)

bench: $(TEST) ## Measure speed and cost; results go to docs/measured.
	@test -n '$(BENCHMARKS)' || { echo 'no tests/benchmarks/bench_*.py here' >&2; exit 1; }
	$(BIN)/python -m pytest -q -s -o timeout=0 $(BENCHMARKS)

soak: $(TEST) ## Run for long and watch for growth.
	@test -n '$(SOAKS)' || { echo 'no tests/benchmarks/soak_*.py here' >&2; exit 1; }
	$(BIN)/python -m pytest -q -s -o timeout=0 $(SOAKS)

# For the oldest Python supported: what these versions need, newer ones need too.
lock: ## Pin the versions in requirements.lock again (needs uv).
	echo '.[grafana,fast]' | uv pip compile - --group test --group check --python-version 3.11 --python-platform linux \
	  --upgrade --no-annotate --no-emit-package clusterwatch --custom-compile-command 'make lock' -o requirements.lock

reference: $(RUN) ## Write docs/configuration.md from the settings model.
	$(BIN)/python -c 'from clusterwatch.config import reference_markdown; print(reference_markdown(), end="")' > docs/configuration.md

accuracy: $(TEST) ## Measure how often the diagnosis is right; writes the tables of docs/accuracy.md.
	CLUSTERWATCH_WRITE_DOCS=1 $(BIN)/python -m pytest -q tests/unit/docs -k generated_block

MEASURED := llama3-54d --seed 1
measured: $(RUN) ## Replay 54 days (minutes) and write what it measured to simulators/whatif/measured.toml.
	@mkdir -p build
	$(BIN)/clusterwatch replay $(MEASURED) -o json > build/measured.json
	$(BIN)/python -m simulators.whatif.measured "$$(date -I)" build/measured.json simulators/whatif/measured.toml

clean: ## Remove .venv, caches and builds.
	rm -rf $(VENV) dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

help: ## Show this.
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' Makefile | expand -t 16

$(RUN): pyproject.toml requirements.lock | $(BIN)/python
	@echo 'installing ClusterWatch into $(VENV)'
	$(INSTALL) --constraint requirements.lock --editable .
	@touch $@

$(TEST): pyproject.toml requirements.lock | $(BIN)/python
	@echo 'installing ClusterWatch and what its tests need into $(VENV)'
	$(INSTALL) --constraint requirements.lock --editable . --group test --group check
	@touch $(RUN) $@

$(BIN)/python:
	@command -v uv >/dev/null || $(PYTHON) -c 'import ensurepip' 2>/dev/null || tests/debian-packages python3-venv
	$(MAKE_VENV)
