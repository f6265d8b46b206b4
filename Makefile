# `make demo` and `make test` need Python 3.11 or newer and nothing else.

PYTHON ?= python3
PIP_INSTALL = .venv/bin/python -m pip install --quiet --disable-pip-version-check $(if $(CONSTRAINTS),-c $(CONSTRAINTS))

.PHONY: demo test lint types unit inspector torture bench clean

demo: .venv/installed  ## A rehearsal: 2,600 rows, a stand-in API on this machine, nothing real is touched.
	@rm -rf .demo
	@CAMPAIGN_LEDGER=.demo/ledger.db .venv/bin/campaign send configs/demo.yaml --sandbox

test: lint types unit  ## Everything.

lint: .venv/installed-test
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/lint-imports --no-cache

types: .venv/installed-test
	.venv/bin/mypy

unit: .venv/installed-test
	.venv/bin/pytest -n 4 --dist worksteal  # two a core: many wait for a second of somebody's clock

.venv/installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "needs Python 3.11 or newer: make PYTHON=…")'
	@echo "Installing into .venv …"
	@$(PYTHON) -m venv .venv
	@$(PIP_INSTALL) --editable .
	@touch $@

.venv/installed-test: .venv/installed
	@$(PIP_INSTALL) --editable '.[test]'
	@touch $@

inspector: .venv/installed-test  ## The MCP server as another client sees it: the Inspector, from npm.
	@command -v npm >/dev/null || { echo 'make inspector needs npm, which comes with Node.js: https://nodejs.org' >&2; exit 1; }
	npm install --loglevel=error --no-audit --no-fund --prefix .inspector @modelcontextprotocol/inspector@2
	.venv/bin/pytest -rs tests/acceptance/test_mcp_inspector.py

torture: .venv/installed-test  ## Long proofs: hundreds of kills, double starts, a dead API. SEED=… repeats one.
	.venv/bin/python -m tests.torture $(SEED)

bench: .venv/installed-test  ## Ratios measured side by side, beside their bounds.
	.venv/bin/python -m tests.bench

clean:
	rm -rf .venv .demo .inspector
