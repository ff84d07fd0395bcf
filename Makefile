# Everything a newcomer needs: `make demo` and `make test` work on a fresh Debian 12 with python3, python3-venv and make.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
T      ?=
BENCH  ?= $(wildcard ../shared/bench/dev)
ALL    ?=
ALSO   ?=
# In the order of tests/conftest.py, the longest files first.
SPREAD := --dist loadfile --no-loadscope-reorder

.PHONY: help setup demo test test-slow test-kills check lint types contracts fmt golden train lock bench bench-detect clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(VENV)/.runtime: requirements/runtime.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r requirements/runtime.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-index --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.runtime requirements/dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r requirements/dev.lock
	@touch $@

$(VENV)/.bench: $(VENV)/.dev requirements/bench.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r requirements/bench.lock
	@touch $@

setup: $(VENV)/.dev  ## make .venv with everything from the lock

demo: $(VENV)/.runtime  ## a key theft, live, against an embedded fake of OpenRouter and Slack
	$(BIN)/openrouter-monitor demo

test: $(VENV)/.dev  ## the tests (T=pattern for some of them; ALL=1 with the slow ones in one go, as CI does)
	$(BIN)/python -m pytest $(if $(ALL),-n 3 -m "not long" --timeout 900,-n 2) $(SPREAD) --durations 30 $(if $(T),-k "$(T)")

test-slow: $(VENV)/.dev  ## the slow tests (kill -9 sweeps, long runs; one of them mostly waits)
	$(BIN)/python -m pytest -n 3 $(SPREAD) -m "slow and not long" --timeout 900 --durations 20

test-kills: $(VENV)/.dev  ## a fault at every place of a cycle, and 2,000 random kill points (MONITOR_TEST_SEED, MONITOR_TEST_KILL_POINTS)
	$(BIN)/python -m pytest tests/faults -m "slow or not slow" --timeout 7200
	MONITOR_TEST_KILLS=$${MONITOR_TEST_KILLS:-50} $(BIN)/python -m pytest tests/e2e/test_kills.py tests/e2e/test_demo.py -m slow --timeout 1800

lint: $(VENV)/.dev  ## ruff: format and rules
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(VENV)/.dev  ## mypy --strict on the package
	$(BIN)/mypy

contracts: $(VENV)/.dev  ## who may import whom
	$(BIN)/lint-imports

check: lint types contracts test  ## what CI runs, but for the slow tests

fmt: $(VENV)/.dev  ## format, and mend what ruff can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

golden: $(VENV)/.dev  ## write the golden files anew; look at the diff
	$(BIN)/python -m pytest --update-golden tests

train: $(VENV)/.runtime  ## make the shipped detector in models/ anew from the demo world's seeded traffic
	$(BIN)/openrouter-monitor train --shipped

bench: $(VENV)/.dev  ## performance: cost of a poll cycle by fleet size and by length of history
	$(BIN)/python bench/poll_cycle.py
	$(BIN)/python bench/backfill.py

bench-detect: $(VENV)/.bench  ## detection: ours, parts of it, and six references on a recording with labels (BENCH=dir, ALSO="dir ...")
	@test -n "$(BENCH)" || { echo "name a recording: make bench-detect BENCH=DIR" >&2; exit 2; }
	OMP_NUM_THREADS=1 $(BIN)/python bench/compare_detectors.py $(BENCH) $(if $(ALSO),--also $(ALSO))

lock:  ## resolve the pinned versions anew (needs uv)
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --no-annotate --quiet pyproject.toml --group build -o requirements/runtime.lock
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --no-annotate --quiet pyproject.toml --group build --group dev -c requirements/runtime.lock -o requirements/dev.lock
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --no-annotate --quiet pyproject.toml --group build --group dev --group bench -c requirements/dev.lock -o requirements/bench.lock

clean:  ## remove what the targets made
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
