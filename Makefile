# Everything routine. `make demo` and `make test` set up what they need.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
# The first of these that is a supported Python; PYTHON=… takes another.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	"$$p" -c 'import sys; sys.exit(not (3,11) <= sys.version_info[:2] <= (3,13))' 2>/dev/null && echo $$p && break; done)

help: ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | column -t -s $$'\t'

$(VENV)/.runtime: requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "Python 3.11, 3.12 or 3.13 is needed: PYTHON=/path/to/python3 make …" >&2; exit 1; }
	@echo "Installing into $(VENV) (once)"
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) install --require-hashes -r requirements.lock
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: requirements-dev.lock $(VENV)/.runtime
	@$(PIP) install --require-hashes -r requirements-dev.lock
	@touch $@

setup: $(VENV)/.runtime ## install what the product needs into .venv

demo: $(VENV)/.runtime ## watch it work on sample notes, with an inbox page; ONCE=1 exits by itself, PORT=N fixes the page
	@$(BIN)/sidecar demo $(if $(ONCE),--once) $(if $(PORT),--port $(PORT)) $(if $(NOTES),--notes $(NOTES))

test: $(VENV)/.dev ## the tests that need nothing but PyPI
	$(BIN)/pytest -n 3 tests --ignore=tests/browser --ignore=tests/crash --ignore=tests/kafka # they mostly wait for brokers

test-browser: $(VENV)/.dev chromium ## the clinician's inbox in a real browser
	$(BIN)/pytest tests/browser

test-crash: $(VENV)/.dev ## 200 notes, ten kills, nothing lost and nothing twice
	$(BIN)/pytest tests/crash

test-kafka: $(VENV)/.dev ## the worker on Apache Kafka 4.1 and 3.9; needs Java 17 and Maven
	$(BIN)/pytest tests/kafka

kafka: $(VENV)/.dev ## run one Apache Kafka broker and print its address; KAFKA=3.9.2 takes another version
	@$(BIN)/python -m tests.support.kafka_broker $(KAFKA)

chromium:
	@command -v chromium >/dev/null || { apt-get update -qq && \
		apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core >/dev/null; }

lint: $(VENV)/.dev ## style, types, and which room may touch what
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.dev ## let ruff format and fix
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: $(VENV)/.dev ## resolve the lock files again
	$(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-annotate --no-header -q \
		--extra demo --group build pyproject.toml -o requirements.lock
	$(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-annotate --no-header -q \
		--group dev -c requirements.lock -o requirements-dev.lock

wheel: $(VENV)/.dev ## build the wheel into dist/
	$(BIN)/python -m build --wheel --no-isolation --outdir dist

clean: ## remove .venv and caches
	rm -rf $(VENV) dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

.PHONY: help setup demo test test-browser test-crash test-kafka kafka chromium lint format lock wheel clean
