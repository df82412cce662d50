# Two commands: `make demo` opens a demo district on http://localhost:8000; `make test` proves the whole house.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PYTEST := $(BIN)/pytest
.DEFAULT_GOAL := help

.PHONY: help setup spark dev demo test test-slow check bench locks messages clean

help: ## what each command does
	@grep -hE '^[a-z-]+:.*##' Makefile | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

$(VENV)/.app: requirements/app.txt pyproject.toml package-lock.json
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if v >= (3, 11) else "Firstbell needs Python 3.11 or newer; this is %d.%d. Say which with: make PYTHON=python3.12 ..." % v[:2])'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { echo "On Debian and Ubuntu, venv is a package of its own: apt-get install python3-venv"; rm -rf $(VENV); exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/app.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	$(BIN)/python scripts/fetch_assets.py
	@touch $@

$(VENV)/.spark: $(VENV)/.app requirements/spark.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/spark.txt
	@touch $@

$(VENV)/.dev: $(VENV)/.app $(VENV)/.spark requirements/dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@touch $@

setup: $(VENV)/.app ## install what Firstbell needs into .venv
	@$(BIN)/python scripts/fetch_assets.py
	@$(BIN)/python scripts/messages.py compile

spark: setup $(VENV)/.spark ## install Apache Spark too, with its Java (600 MB), for the nightly pass on a cluster

dev: $(VENV)/.dev setup

demo: setup ## make the demo district and serve it on http://localhost:8000
	@$(BIN)/firstbell demo

check: dev ## formatting, types, the house's contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: check ## everything: on SQLite, again on PostgreSQL, in a real browser, and on a Spark cluster
	@$(BIN)/python scripts/browser.py
	$(PYTEST) -n 2 --dist worksteal -m "not slow and not spark"
	$(BIN)/python -m tests.postgres $(PYTEST) -n 2 --dist worksteal -m "database and not slow and not browser and not spark"
	$(PYTEST) -m "spark and not slow"

test-slow: dev ## the long proofs: a hundred kills, big files
	$(PYTEST) -m slow
	$(BIN)/python -m tests.postgres $(PYTEST) -m "slow and database"

bench: dev ## speed, as ratios to peers and to the machine's limit
	$(BIN)/python -m bench

locks: dev ## resolve the requirement locks anew
	cd requirements && for f in app dev spark; do ../$(BIN)/uv pip compile -q --generate-hashes --no-emit-index-url --no-header --universal --python-version 3.11 --upgrade $$f.in -o $$f.txt; done

messages: dev ## collect the strings to translate
	$(BIN)/python scripts/messages.py collect

clean: ## forget the demo district
	rm -rf var
