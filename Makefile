# Two commands start from a bare clone and set up all that they need: make demo, make test.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
NODES := node_modules/.ready
DEMO_ARGUMENTS ?=

.PHONY: demo test check format docs bench clean

demo: $(READY)  ## seal, release, attack, verify, open and classify real images; writes medseal-demo/report.html
	$(BIN)/medseal demo --output medseal-demo $(DEMO_ARGUMENTS)

test: $(READY) $(NODES)  ## the whole test suite
	$(BIN)/python -m pytest

check: $(READY)  ## format, lint, types, layers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --config importlinter.toml

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(READY)  ## the pages and the tree that are made from the code and the results
	$(BIN)/python tests/test_readme.py
	PYTHONPATH=. $(BIN)/python tests/test_docs.py
	$(BIN)/python tests/classification/test_settings_page.py
	$(BIN)/python -m benchmarks --page

bench: $(READY)  ## the measurements behind benchmarks/results
	$(BIN)/python -m benchmarks

# torch first and alone, so that no later requirement pulls another build of it.
$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[learn,runtime,export,network,dev]'
	touch $(READY)

# Test nodes and compiler of the contract; no script of a package is run.
$(NODES): package.json package-lock.json
	npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	touch $(NODES)

clean:
	rm -rf $(VENV) node_modules medseal-demo build dist
