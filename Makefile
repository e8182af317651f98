# `make` says what there is. Nothing but Python 3.11 (or newer), pip and git is needed to begin.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV   := .venv
BIN    := $(VENV)/bin
HOST   ?= 127.0.0.1
PORT   ?= 8000

# A trial on this machine. For anything else set PORTAL_ENV=production and its secrets (docs/how-to/operator/production.md).
export PORTAL_ENV ?= development

# Secrets that only serve to look at the settings of production.
THROWAWAY = SECRET_KEY=$$($(BIN)/python -c 'import secrets; print(secrets.token_hex(40))') SUPPRESSION_KEY=unused \
	REDACTION_KEYS=dGhyb3dhd2F5LWtleS1mb3ItY2hlY2tzLW9ubHktMDA= \
	RAW_DATA_PREFIXES=s3://raw/ PUBLIC_URL=https://portal.example CONTROLLER_NAME=unused CONTROLLER_CONTACT=unused@example.org EMAIL_URL=smtp://localhost:25

.DEFAULT_GOAL := help
.PHONY: help demo run test integrations client coverage check trial schema states names pictures docs bench alter worlds lock clean

help:  ## Say what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/.stamp-run  ## Tell the whole story on 200,000 synthetic members, in about a minute
	@$(BIN)/python -m demo

run: $(VENV)/.stamp-run  ## Serve the portal with what the demo left (PORT=8000); Ctrl-C stops it
	@$(BIN)/python -m demo.portal --bind $(HOST):$(PORT)

test: $(VENV)/.stamp-dev  ## Run the tests on SQLite and on PostgreSQL (DATABASE_URL, else an embedded server)
	@.ci/test

integrations: $(VENV)/.stamp-dev  ## Run clients of others, unchanged, against a live portal (npm, Java, an environment of their own)
	@.ci/integrations

client: $(VENV)/.stamp-dev  ## Test the client package against a live portal on both databases (an environment of its own)
	@.ci/client

coverage: $(VENV)/.stamp-dev  ## Hold what the tests run of consent and training_runs against the floor (APPS="objections")
	@.ci/coverage $(APPS)

# mkdocs runs without --quiet: with it the warnings are not counted, and nothing would fail.
check: $(VENV)/.stamp-dev  ## Lint, types, imports, migrations, deployment settings, API description, documents
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy .
	$(BIN)/lint-imports
	$(BIN)/python -m tools.locks
	$(BIN)/python -m tools.names --check
	@set -e; export PORTAL_DATA_DIR=$$(mktemp -d); trap 'rm -rf "$$PORTAL_DATA_DIR"' EXIT; \
	unset DATABASE_URL; manage="$(BIN)/python manage.py"; set -x; \
	$$manage makemigrations --check; \
	$$manage migrate --verbosity 0; \
	$$manage check --database default --fail-level WARNING; \
	PORTAL_ENV=production ALLOWED_HOSTS=portal.example $(THROWAWAY) $$manage check --deploy --fail-level WARNING; \
	$$manage spectacular --validate --fail-on-warn --file "$$PORTAL_DATA_DIR/openapi.yaml"; \
	diff --unified docs/openapi.yaml "$$PORTAL_DATA_DIR/openapi.yaml" \
		|| { echo "docs/openapi.yaml is not what the code says: run make schema."; exit 1; }; \
	$(BIN)/mkdocs build --site-dir "$$PORTAL_DATA_DIR/site"

trial: $(VENV)/.stamp-run  ## Try the production recipe: PostgreSQL, Redis, nginx, gunicorn, workers, in three minutes
	@env -u PORTAL_ENV deploy/trial.sh

schema: $(VENV)/.stamp-run  ## Write the API's description to docs/openapi.yaml
	$(BIN)/python manage.py spectacular --validate --fail-on-warn --file docs/openapi.yaml

states: $(VENV)/.stamp-dev  ## Draw docs/reference/states.md from the code
	$(BIN)/python -m tools.states

names: $(VENV)/.stamp-dev  ## Draw docs/reference/names.md, the names that do not change, from the code
	$(BIN)/python -m tools.names

pictures: $(VENV)/.stamp-dev  ## Take the README's pictures with Chromium, of a demo of its own: docs/pictures
	@$(BIN)/python -m tools.pictures

docs: $(VENV)/.stamp-dev  ## Build the documents as pages: var/site/index.html
	$(BIN)/mkdocs build

bench: $(VENV)/.stamp-dev  ## Measure freeze, delivery, gate, import, queue and ledger against bare work, on PostgreSQL
	@$(BIN)/python -m tools.bench

alter: $(VENV)/.stamp-dev  ## Alter an export in 10,000 ways, forge 1,000 proofs, and show what is noticed
	@$(BIN)/python -m tools.campaign

worlds: $(VENV)/.stamp-dev  ## Hold random histories against a naive evaluator, on DATABASE_URL's engine (N=2000 SEED=17)
	@$(BIN)/python -m tools.worlds $(N) $(SEED)

# For every Python from 3.11 on and every platform: what only some of them need has a marker, and the hashes are those
# of all files of a release. pip-compile would leave out what the Python that it runs on does not need (async-timeout
# before 3.11.3, which is Debian 12's). What is locked stays until a requirement or UPGRADE asks for something else.
LOCK = UV_CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/uv pip compile --quiet --no-config --universal --python-version 3.11 \
	--generate-hashes --no-emit-index-url $(UPGRADE)

lock: $(VENV)/.stamp-dev  ## Write requirements*.lock from requirements*.txt (UPGRADE=--upgrade: the newest that fits)
	$(LOCK) --output-file requirements.lock requirements.txt
	$(LOCK) --constraints requirements.lock --output-file requirements-dev.lock requirements-dev.txt
	$(LOCK) --output-file client/requirements-test.lock client/requirements-test.txt
	$(LOCK) --output-file tools/integrations/requirements.lock tools/integrations/requirements.txt

clean:  ## Remove what make and the tests made: .venv, var and the caches
	rm -rf $(VENV) var .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# --- Installing, once per change of the locks ----------------------------------------------------

# Files that are not the ones the lock was made from are refused.
INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11")'
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.stamp-run: requirements.lock | $(BIN)/python
	@echo "Installing what the portal runs on into $(VENV); this takes a minute or two."
	@$(INSTALL) -r requirements.lock
	@touch $@

$(VENV)/.stamp-dev: requirements.lock requirements-dev.lock | $(BIN)/python
	@echo "Installing what developers need into $(VENV); this takes a few minutes."
	@$(INSTALL) -r requirements-dev.lock
	@touch $@ $(VENV)/.stamp-run
