#!/bin/sh
# Makes .venv-bench with the peers of the benchmarks, exactly as locked. Run it again after the lock has changed.
set -eu
cd "$(dirname "$0")/.."
test -x .venv-bench/bin/python || .venv/bin/python -m venv .venv-bench
.venv-bench/bin/python -m pip install --quiet --require-hashes --requirement benchmarks/requirements.lock
