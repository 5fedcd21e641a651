# The two commands for a fresh machine are `make run` and `make test`. `make help` lists the others.
# Everything is installed into $(VENV) inside the checkout, from the package index, with pinned versions and hashes.

PYTHON ?= python3
VENV ?= .venv
PORT ?= 5001
ARGS ?=

BIN := $(VENV)/bin
PY := $(BIN)/python
PIP := $(PY) -m pip --disable-pip-version-check --quiet
INSTALL := $(PIP) install --require-hashes -r

.DEFAULT_GOAL := help
.PHONY: help run test check format docs bench conformance pins clean

help: ## Say what the targets do.
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo "  PYTHON=python3.13 VENV=.venv-313 choose an interpreter and a place; ARGS='-k hello' goes to the tool."

run: $(VENV)/.installed ## Serve the example on http://localhost:5001 (PORT=... for another port).
	cd examples/hello && ../../$(PY) -m quaff run app.py --port $(PORT) $(ARGS)

test: $(VENV)/.test ## Run the tests.
	$(PY) -m pytest $(ARGS)

check: $(VENV)/.test $(VENV)/.check ## Lint, formatting and types: ruff, mypy --strict, pyright.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict src
	$(BIN)/pyright --pythonpath $(PY)

format: $(VENV)/.check ## Let ruff format the code and repair what it can.
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(VENV)/.test $(VENV)/.docs ## Build the documentation into docs/_build/html; a warning is an error.
	$(PY) -m sphinx -W --keep-going -q -b html docs docs/_build/html
	@echo "docs/_build/html/index.html"

bench: $(VENV)/.installed ## Measure against Flask, its extensions, Falcon and async frameworks; results go to benchmarks/results.
	$(PY) benchmarks/run.py --readme README.md $(ARGS)

conformance: $(VENV)/.installed ## Run Flask's own test-suite through the alias (ARGS='--batteries', '--all' for those of extensions).
	$(PY) conformance/run.py $(ARGS)

pins: ## Renew requirements/*.txt from pyproject.toml (needs uv on the PATH).
	requirements/renew

clean: ## Remove what the other targets made.
	rm -rf $(VENV) docs/_build build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis conformance/.cache benchmarks/.cache
	find src tests examples benchmarks conformance docs -name __pycache__ -type d -prune -exec rm -rf {} +

# A stamp per set of requirements: nothing is installed twice, and a changed pin is installed at once.

$(VENV)/.created:
	@$(PYTHON) -c 'import sys; v = sys.version_info; v >= (3, 11) or sys.exit(f"Quaff needs Python 3.11 or newer, and {sys.executable} is {v.major}.{v.minor}. Try: make PYTHON=python3.13 ...")'
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.installed: $(VENV)/.created pyproject.toml requirements/build.txt requirements/run.txt
	$(INSTALL) requirements/build.txt -r requirements/run.txt
	$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.test: $(VENV)/.installed requirements/test.txt
	$(INSTALL) requirements/test.txt
	@touch $@

$(VENV)/.check: $(VENV)/.installed requirements/check.txt
	$(INSTALL) requirements/check.txt
	@touch $@

$(VENV)/.docs: $(VENV)/.installed requirements/docs.txt
	$(INSTALL) requirements/docs.txt
	@touch $@
