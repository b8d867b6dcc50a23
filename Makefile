# Two commands on a fresh machine with Python 3.11+ and make: `make demo` and `make test`.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: help setup demo test lint chaos bench lock clean

help:
	@echo "make demo    record two shipped market days, print what came of it, and stop"
	@echo "make test    lint, types, import rules and all tests"
	@echo "make setup   only prepare: .venv and the embedded broker's jars"
	@echo "make chaos   slow fault and soak runs"
	@echo "make bench   side by side with peers, prints rates and ratios"

setup: .venv/.ready
	@$(BIN)/tapefold setup

.venv/.ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if v >= (3, 11) else f"expected Python 3.11 or newer, was {v.major}.{v.minor}; set PYTHON=python3.12, for example")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: setup
	$(BIN)/tapefold demo --once

# Tests wait for brokers and stores as well as work: three workers, each with its own, keep two cores busy. A file is one
# worker's, since its tests may share what was recorded; the runs of whole stacks, which take longest, come first.
test: setup lint
	$(BIN)/python -m pytest -m "not slow" -n 3 --dist loadfile --no-loadscope-reorder $(wildcard tests/test_*.py) tests/faults tests

lint: .venv/.ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

chaos: setup
	$(BIN)/python -m pytest -m slow --timeout 3600

bench: setup .venv-bench/.ready
	$(BIN)/python benchmarks/run.py
	$(BIN)/python benchmarks/sink.py
	$(BIN)/python benchmarks/latency.py
	$(BIN)/python benchmarks/asof.py

.venv-bench/.ready: benchmarks/requirements.lock
	$(PYTHON) -m venv .venv-bench
	.venv-bench/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r benchmarks/requirements.lock
	@touch $@

lock:
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile pyproject.toml --group dev --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --quiet -o requirements.lock

clean:
	rm -rf .tapefold .venv .venv-bench
