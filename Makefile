# Everything a developer does, on a machine that has only Python 3.11 or later, git and make.
#
#   make setup    virtual environment in .venv with the pinned, hashed dependencies
#   make test     all tests and the documentation's examples
#   make coverage the tests again, counting lines: fails below 90 %
#   make check    format, lint, types, import contracts, documentation examples
#   make demo     simulate a screen, fit, compare and report: demo/report.html
#   make bench    speed as ratios, into benchmarks/results/speed.md; TORCH=PYTHON adds PyTorch (benchmarks/peers/integrators)
#   make format   rewrite the code in the house format
#   make lock     compile requirements/*.txt anew (UPGRADE=1 takes newer versions)
#   make docs     run the examples of README.md and docs/
#   make clean    remove what the other targets wrote

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
# Every command starts in a new process: compiled modules are kept, also where the environment asks Python not to.
unexport PYTHONDONTWRITEBYTECODE
.PHONY: help setup test coverage check lint demo bench format lock docs clean

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
WORKERS ?= 2
# The first interpreter that is new enough and can make virtual environments; PYTHON=... overrides.
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3.14 python3 python; do \
	"$$p" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo "$$p"; break; }; done)
COMPILE := $(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --quiet \
	$(if $(UPGRADE),--upgrade)

help:
	@sed -n 's/^#   //p' Makefile

setup: $(STAMP)

$(BIN)/uv: requirements/bootstrap.txt
	@test -n "$(PYTHON)" || { echo "make: no Python >= 3.11 with venv found; name one: make setup PYTHON=/path/to/python3" >&2; exit 1; }
	test -x $(BIN)/python || "$(PYTHON)" -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bootstrap.txt
	@touch $@

$(STAMP): $(BIN)/uv requirements/dev.txt pyproject.toml
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements/dev.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

test: $(STAMP) docs
	$(BIN)/python -m pytest -q -n $(WORKERS) --dist loadgroup --ignore tests/test_docs.py

# Not part of `test`: on Python 3.11 counting lines takes two thirds of the time of the tests themselves.
coverage: $(STAMP)
	$(BIN)/python -m pytest -q -n $(WORKERS) --dist loadgroup --ignore tests/test_docs.py --cov --cov-report=term

bench: $(STAMP)
	$(BIN)/python -m benchmarks.speed $(if $(TORCH),--torch $(TORCH))

check: lint docs

lint: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

docs: $(STAMP)
	$(BIN)/python -m pytest -q -n $(WORKERS) tests/test_docs.py

demo: $(STAMP)
	@mkdir -p demo
	$(BIN)/semimech simulate --preset ipsc_maintenance --out demo/screen.h5ad
	$(BIN)/semimech run demo/screen.h5ad --out demo
	@echo "open demo/report.html"

format: $(STAMP)
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

lock: $(BIN)/uv
	$(COMPILE) requirements/bootstrap.in --output-file requirements/bootstrap.txt
	$(COMPILE) pyproject.toml --output-file requirements/core.txt
	$(COMPILE) pyproject.toml --extra dev --output-file requirements/dev.txt

clean:
	rm -rf $(VENV) demo .coverage .coverage.* .hypothesis .import_linter_cache .jax_cache .mypy_cache .pytest_cache .ruff_cache
