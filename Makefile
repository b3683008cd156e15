# Two commands, each complete on a machine that has Python 3.11, gcc and make:
#
#   make demo   environment, search and training on embedded data, result shown
#   make test   environment, style, types, the tests
#
# and two more: make test-all, with the tests that take a minute or more; make docs, the documentation as a site, in site/

PYTHON ?= python3.11
DEMO ?= runs/demo
PYTEST = .venv/bin/pytest --numprocesses auto --maxprocesses 8 --dist worksteal --durations 5

.PHONY: demo test test-all check docs clean

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

check: .venv/installed-dev
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy --strict src benchmarks
	.venv/bin/lint-imports

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
	rm -rf .venv runs site
