# One door for people and CI. `make up` runs everything, `make check` says whether a change is fit.

SHELL := /bin/sh
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# The newest Python of 3.11 or later; `make PYTHON=/path/to/python3.12 …` chooses another.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
# The lock holds for Linux on x86-64; elsewhere the bounds in pyproject.toml decide.
PLATFORM := $(shell uname -s)-$(shell uname -m)
COMPILE := CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/pip-compile --quiet --upgrade --strip-extras --allow-unsafe \
	--no-emit-index-url --no-emit-trusted-host --no-emit-find-links --no-emit-options
# pip-compile forgets the platform of what an extra asks for when it reads pyproject.toml itself, and
# would lock the wheels of two platforms side by side.
ALL_DEPENDENCIES := import tomllib; project = tomllib.load(open("pyproject.toml", "rb"))["project"]; \
	print(*project["dependencies"], *sum(project["optional-dependencies"].values(), []), sep="\n")
# Further arguments for pytest: make test ARGS="tests/infra -k ring"
ARGS ?=
# How many processes share the tests; with 0 they run in one that a debugger or --pdb can have.
WORKERS ?= 2
PYTEST := $(BIN)/python -m pytest --numprocesses=$(WORKERS) --dist=loadfile --no-loadscope-reorder

.PHONY: up install test test-containers mutations check lint format lock bench clean help

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## /\1\t/' | expand -t 18

up: $(STAMP) ## start the engines and every part of Ringpost; Ctrl-C stops them
	@exec $(BIN)/ringpost up $(ARGS)

install: $(STAMP) ## make .venv and install into it

$(STAMP): requirements.lock pyproject.toml
	@if [ -z "$(PYTHON)" ]; then echo "Ringpost needs Python 3.11 or later, and there is none on the PATH. Install one, or name it: make PYTHON=/path/to/python3.11 up" >&2; exit 1; fi
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Ringpost needs Python 3.11 or later; $(PYTHON) is older. Name another: make PYTHON=/path/to/python3.11 up" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "This Python cannot make virtual environments. On Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	@# Another lock gets a fresh environment: nothing of the old one stays behind in it.
	@cmp -s requirements.lock $(VENV)/requirements.lock && $(BIN)/python -c 'import pip' 2>/dev/null || { echo "Making the virtual environment $(VENV)"; rm -rf $(VENV); $(PYTHON) -m venv $(VENV); }
	@echo "Installing Ringpost and its engines into $(VENV) (about a minute the first time)"
	@if [ "$(PLATFORM)" = "Linux-x86_64" ]; then $(PIP) install -r requirements.lock; else $(PIP) install '.[local,dev]'; fi
	@$(PIP) install --no-deps -e . >$(VENV)/install.log 2>&1 || { cat $(VENV)/install.log >&2; exit 1; }
	@cp requirements.lock $(VENV)/requirements.lock
	@touch $@

test: $(STAMP) ## the tests, on embedded engines
	@exec $(PYTEST) --engines=embedded $(ARGS)

test-containers: $(STAMP) ## the same tests, on containers; without those that bring engines of their own
	@exec $(PYTEST) --engines=containers -m "not own_engines" $(ARGS)

mutations: $(STAMP) ## break the product on purpose, once for each promise: are there tests that see it?
	@exec $(BIN)/python -m tests.mutations $(ARGS)

check: lint test ## everything that must hold before a change goes in

lint: $(STAMP) ## format, lint, types, import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(STAMP) ## put the code into its canonical form
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

lock: $(STAMP) ## make the lock files anew, with the newest versions within the bounds
	$(BIN)/python -c '$(ALL_DEPENDENCIES)' | $(COMPILE) --output-file requirements.lock -
	$(COMPILE) --constraint requirements.lock --output-file requirements-runtime.lock pyproject.toml

bench: $(STAMP) ## measure this machine: see benchmarks/
	@exec $(BIN)/ringpost bench $(ARGS)

clean: ## remove what was built; keeps the data folder
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
