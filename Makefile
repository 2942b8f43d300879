# One door for people and CI. `make up` runs everything, `make check` says whether a change is fit.

SHELL := /bin/sh
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DEV_STAMP := $(VENV)/.installed-dev
# The newest Python of 3.11 or later; `make PYTHON=/path/to/python3.12 …` chooses another.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
# The build back end, which pyproject.toml asks for, is locked like everything else.
BUILD := import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["build-system"]["requires"], sep="\n")
COMPILE := $(BIN)/python -c '$(BUILD)' | $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock"
# `make lock` shows that everything can be installed there, without a compiler.
LOCKED_PLATFORMS := x86_64-manylinux_2_28 aarch64-manylinux_2_28 aarch64-apple-darwin
# Further arguments for pytest: make test ARGS="tests/infra -k ring"
ARGS ?=
# How many processes share the tests; with 0 they run in one that a debugger or --pdb can have.
WORKERS ?= 3
PYTEST := $(BIN)/python -m pytest --numprocesses=$(WORKERS) --dist=loadfile --no-loadscope-reorder

.PHONY: up install install-dev test test-containers mutations check lint format lock bench clean help

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## /\1\t/' | expand -t 18

up: $(STAMP) ## start the engines and every part of Ringpost; Ctrl-C stops them
	@exec $(BIN)/ringpost up $(ARGS)

install: $(STAMP) ## make .venv and install what `make up` needs into it

install-dev: $(DEV_STAMP) ## add what the tests and the checks need

$(STAMP): requirements.lock requirements-dev.lock pyproject.toml
	@if [ -z "$(PYTHON)" ]; then echo "Ringpost needs Python 3.11 or later, and there is none on the PATH. Install one, or name it: make PYTHON=/path/to/python3.11 up" >&2; exit 1; fi
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Ringpost needs Python 3.11 or later; $(PYTHON) is older. Name another: make PYTHON=/path/to/python3.11 up" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "This Python cannot make virtual environments. On Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	@# Another lock gets a fresh environment: nothing of the old one stays behind in it.
	@cmp -s requirements.lock $(VENV)/requirements.lock \
		&& { [ ! -e $(VENV)/requirements-dev.lock ] || cmp -s requirements-dev.lock $(VENV)/requirements-dev.lock; } \
		&& $(BIN)/python -c 'import pip' 2>/dev/null \
		|| { echo "Making the virtual environment $(VENV)"; rm -rf $(VENV); $(PYTHON) -m venv $(VENV); }
	@echo "Installing Ringpost and its engines into $(VENV) (about a minute the first time)"
	@$(BIN)/python -I infra/local/install.py --require-hashes -r requirements.lock
	@$(PIP) install --no-deps --no-build-isolation -e . >$(VENV)/install.log 2>&1 || { cat $(VENV)/install.log >&2; exit 1; }
	@cp requirements.lock $(VENV)/requirements.lock
	@touch $@

$(DEV_STAMP): $(STAMP)
	@echo "Adding what the tests and the checks need"
	@$(BIN)/python -I infra/local/install.py --require-hashes -r requirements-dev.lock
	@cp requirements-dev.lock $(VENV)/requirements-dev.lock
	@touch $@

test: $(DEV_STAMP) ## the tests, on embedded engines
	@exec $(PYTEST) --engines=embedded $(ARGS)

test-containers: $(DEV_STAMP) ## the tests that use the engines, on containers
	@exec $(PYTEST) --engines=containers -m "not own_engines and not no_engines and not same_on_all_engines" $(ARGS)

mutations: $(DEV_STAMP) ## break the product on purpose, once for each promise: are there tests that see it?
	@exec $(BIN)/python -m tests.mutations $(ARGS)

check: lint test ## everything that must hold before a change goes in

lint: $(DEV_STAMP) ## format, lint, types, import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(DEV_STAMP) ## put the code into its canonical form
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

lock: ## write the lock files; keeps every version that still fits (newest versions: make lock ARGS=--upgrade)
	@[ -x $(BIN)/uv ] || $(MAKE) --no-print-directory install-dev
	$(COMPILE) $(ARGS) --all-extras --output-file requirements-dev.lock pyproject.toml -
	$(COMPILE) --extra local --constraint requirements-dev.lock --output-file requirements.lock pyproject.toml -
	$(COMPILE) --constraint requirements-dev.lock --output-file requirements-runtime.lock pyproject.toml -
	@for platform in $(LOCKED_PLATFORMS); do for python in 3.11 3.13; do \
		echo "Can be installed: $$platform, Python $$python"; \
		$(BIN)/uv pip install --quiet --dry-run --target $(VENV)/dry-run --require-hashes --only-binary :all: \
			--python-platform $$platform --python-version $$python -r requirements-dev.lock || exit 1; \
	done; done; rm -rf $(VENV)/dry-run

bench: $(STAMP) ## measure this machine: see benchmarks/
	@exec $(BIN)/ringpost bench $(ARGS)

clean: ## remove what was built; keeps the data folder
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
