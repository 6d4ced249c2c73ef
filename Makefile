# Everything a checkout can do. `make demo`, `make lab` and `make test` need Python 3.11, git and
# make; what else they need they get themselves (docs/development.md).

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
# ARGS="-n 0" runs the tests one after another.
PARALLEL := -n auto --dist loadfile --max-worker-restart 0
WITH_ENGINE := $(BIN)/python dev/engine.py run --

# The package is installed as its users install it, so its files count as inputs.
PACKAGE := pyproject.toml $(shell find nds_jupyter jupyter-config labextension -type f -not -name '*.pyc')

.PHONY: help demo lab test check lint types format docs bench clean
.DELETE_ON_ERROR:

help:
	@echo 'make demo    run the quickstart notebook on a Docker Engine, and show what comes out'
	@echo 'make lab     open JupyterLab on the example notebooks, with a Docker Engine, until ^C'
	@echo 'make test    run all tests, on a real Docker Engine (make test ARGS="-k logs")'
	@echo 'make check   run the quick tests that need no Docker Engine and no Swarm'
	@echo 'make lint    check style, types (also of the front end) and import contracts'
	@echo 'make format  format the code'
	@echo 'make docs    write the parts of docs/ that are made from the code'
	@echo 'make bench   measure against the raw Engine API'
	@echo 'make clean   remove the virtual environment and what tools left in the checkout'

demo: $(VENV)/demo.stamp
	@$(BIN)/python dev/demo.py

lab: $(VENV)/lab.stamp
	@$(BIN)/python dev/lab.py

test: $(VENV)/test.stamp
	@$(WITH_ENGINE) sh -c '$(BIN)/python dev/images.py && exec $(BIN)/python -m pytest $(PARALLEL) $(ARGS)'

check: $(VENV)/test.stamp
	@$(BIN)/python -m pytest $(PARALLEL) -m 'not engine and not swarm and not browser and not slow' $(ARGS)

lint: $(VENV)/test.stamp
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(MAKE) --no-print-directory types

types: node_modules/made.stamp
	@npm run --silent types

node_modules/made.stamp: package.json package-lock.json | $(VENV)/made.stamp
	@$(BIN)/python dev/node.py
	@touch $@

format: $(VENV)/test.stamp
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

docs: $(VENV)/test.stamp
	@$(BIN)/python dev/reference.py

bench: $(VENV)/bench.stamp
	@$(WITH_ENGINE) sh -c '$(BIN)/python dev/images.py && exec $(BIN)/python -m benchmarks $(ARGS)'

clean:
	rm -rf $(VENV) node_modules .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache build dist

$(VENV)/bench.stamp: $(VENV)/test.stamp
	@$(PIP) '.[bench]'
	@touch $@

$(VENV)/made.stamp: dev/venv.py
	@$(PYTHON) dev/venv.py $(VENV)
	@touch $@

$(VENV)/demo.stamp: $(VENV)/made.stamp $(PACKAGE)
	@echo 'Installing the package and what the demo needs …' >&2
	@$(PIP) '.[demo]'
	@touch $@

$(VENV)/lab.stamp: $(VENV)/made.stamp $(PACKAGE)
	@echo 'Installing the package, JupyterLab and what the example notebooks need …' >&2
	@$(PIP) '.[lab]'
	@touch $@ $(VENV)/demo.stamp

$(VENV)/test.stamp: $(VENV)/made.stamp $(PACKAGE)
	@echo 'Installing the package and what tests and linters need …' >&2
	@$(PIP) '.[lab,test,lint]'
	@touch $@ $(VENV)/demo.stamp $(VENV)/lab.stamp
