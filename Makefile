# The everyday commands. `make demo` and `make test` set up everything they need on a fresh machine.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
CHECK := .check
# Each process takes up to 4 GB; tests that use the chat model stay together in one (see tests/conftest.py).
PARALLEL := --numprocesses auto --maxprocesses 2 --dist loadgroup

.PHONY: demo test test-thorough test-slow test-model check fix types contracts bench soak snapshots screenshots clean

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "StructRAG needs Python 3.11 or newer; try: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[all]" --group dev
	touch $(STAMP)

demo: $(STAMP)  ## One question per structure over the shipped corpora, offline, with the embedded models
	$(BIN)/structrag demo

test: $(STAMP)  ## All tests but the slow ones; one question per structure goes through the real embedded model
	$(BIN)/python -m pytest -m "not slow and not thorough" $(PARALLEL)

test-thorough: $(STAMP)  ## The harder cases: faults, kills, hostile files, every screen; together with `make test` what CI runs
	$(BIN)/python -m pytest -m "thorough and not slow" $(PARALLEL)

test-slow: $(STAMP)  ## Long: the slow tests
	$(BIN)/python -m pytest -m slow

test-model: $(STAMP)  ## Some minutes: all that the real embedded model answers
	$(BIN)/python -m pytest -m model

check: $(STAMP) types contracts  ## Everything CI checks, tests aside
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

fix: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# mypy and import-linter do not see through an editable install, so they check an installed copy.
$(CHECK)/site: $(STAMP) $(shell git ls-files structrag router structures tui corpora '*.py')
	rm -rf $(CHECK)
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --target $(CHECK)/site .
	touch $(CHECK)/site

types: $(CHECK)/site
	cd $(CHECK)/site && MYPYPATH=. ../../$(BIN)/mypy --config-file ../../pyproject.toml -p structrag

contracts: $(CHECK)/site
	cd $(CHECK)/site && PYTHONPATH=. ../../$(BIN)/lint-imports --config ../../pyproject.toml

bench: $(STAMP)  ## Long: accuracy on the shipped corpora's test questions (see bench/)
	$(BIN)/python bench/corpora_accuracy.py --split test --out bench/results/corpora

soak: $(STAMP)  ## Up to an hour, resumable: the long versions of what docs/reliability.md promises, as a table
	$(BIN)/python bench/soak.py --out bench/results/soak

snapshots: $(STAMP)
	UPDATE_SNAPSHOTS=1 $(BIN)/python -m pytest -q tests/test_tui_snapshots.py

screenshots: $(STAMP)
	$(BIN)/python bench/screenshots.py

clean:
	rm -rf $(VENV) $(CHECK) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
