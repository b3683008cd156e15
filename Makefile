# Two commands, each complete on a machine that has Python 3.11, gcc and make:
#
#   make demo   environment, search and training on embedded data, result shown
#   make test   environment, style, types, the tests
#
# and more: make test-all, with the tests that take a minute or more; make fuzz, ten thousand odd inputs; make kills, runs
# killed at every write, and begun twice at once; make docs, the documentation as a site, in site/; make dist, a wheel and
# an sdist, in dist/

PYTHON ?= python3.11
DEMO ?= runs/demo
CASES ?= 10000
SEED ?= $(shell date +%s)
PYTEST = .venv/bin/pytest --numprocesses auto --maxprocesses 8 --dist worksteal --durations 5

.PHONY: demo test test-all fuzz kills check dist docs clean

demo: .venv/installed
	@rm -rf $(DEMO)
	@.venv/bin/entrannas search digits --out $(DEMO)/search
	@.venv/bin/entrannas train $(DEMO)/search --out $(DEMO)/train
	@echo
	@echo "The run is in $(DEMO): $(DEMO)/search/normal.png is the cell that was found."
	@echo "Your own images, a folder for each class: .venv/bin/entrannas search my-images --out runs/mine"

test: check
	$(PYTEST) -m "not long"

test-all: check
	$(PYTEST)

fuzz: .venv/installed-dev
	ENTRANNAS_FUZZ_CASES=$(CASES) ENTRANNAS_FUZZ_SEED=$(SEED) $(PYTEST) tests/fuzz

kills: .venv/installed-dev
	.venv/bin/python -m tests.kills

check: .venv/installed-dev
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy --strict src benchmarks
	.venv/bin/lint-imports

dist: .venv/bin/python
	.venv/bin/pip install --quiet --disable-pip-version-check build
	.venv/bin/python -m build

docs: .venv/installed-docs
	.venv/bin/mkdocs build --strict

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/installed: pyproject.toml | .venv/bin/python
	.venv/bin/pip install --quiet --disable-pip-version-check --editable .
	@touch $@

.venv/installed-dev: pyproject.toml | .venv/bin/python
	.venv/bin/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch .venv/installed $@

.venv/installed-docs: pyproject.toml | .venv/bin/python
	.venv/bin/pip install --quiet --disable-pip-version-check --editable '.[docs]'
	@touch .venv/installed $@

clean:
	rm -rf .venv runs site dist build
