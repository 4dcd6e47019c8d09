# SecureNet: everything starts here. `make` lists the targets; each works in a fresh clone.

.DEFAULT_GOAL := help
.PHONY: help install run restart demo test test-postgres test-cluster test-browser test-schema test-deploy test-tracing screenshots docs audit validate soak chaos bench lint format types migrations deploy-check check lock clean

# The Python that makes .venv: the first that is new enough, else the first there is, which will say what is wrong.
PYTHON ?= $(shell for python in python3 python3.11 python3.12 python3.13 python3.14 python; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && exit; \
	done; command -v python3 || command -v python || echo missing)
VENV := .venv/bin/python
TESTS := -n auto -m "not chaos and not bench and not browser and not schema"
# What drives a browser is installed beside the rest; the browser comes from the system.
BROWSER_PACKAGES := $(VENV) -m pip install --quiet --disable-pip-version-check --no-input --require-hashes \
	-r requirements-browser.txt
# These tests run on a Redis Cluster as well: those of limits, cache and live policies.
CLUSTER_TESTS := $(wildcard $(foreach name,cache_* client_floods drf_conventions exact_limits limit_algorithms \
	limited_callables limits_command live_policies one_command preview rate_limits response_cache store_failure,\
	tests/integration/test_$(name).py))
# And these on PostgreSQL: all that write to a database, in one process or through the web server; not those whose
# matter is between a process and Redis.
POSTGRES_TESTS := $(filter-out $(foreach name,cache_freshness cache_identity cache_tools cache_traps_http \
	cache_traps_origin cache_traps_store client_floods database_pool drf_conventions exact_limits limit_algorithms limited_callables \
	rate_limits redis_topologies response_cache store_failure,\
	tests/integration/test_$(name).py),$(wildcard tests/integration/test_*.py)) \
	$(filter-out $(foreach name,bad_input cached_answers deploy_commands http_surface install monitoring package policy_fields response_headers \
	rolling_restart run run_topologies tutorial, \
	tests/acceptance/test_$(name).py),$(wildcard tests/acceptance/test_*.py))
# More arguments for pytest: make test ARGS="tests/unit -k sliding"
ARGS ?=

help:  ## list the targets
	@echo "SecureNet. Targets:"
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' Makefile | awk -F'|' '{ printf "%-22s %s\n", $$1, $$2 }'

install:  ## make .venv with the pinned packages (at once, when nothing has changed)
	@python="$(PYTHON)"; \
	if ! command -v "$$python" >/dev/null; then \
		echo "No Python found ($$python). Install 3.11 or newer, or name one: make install PYTHON=/path/to/python3" >&2; \
		exit 1; \
	fi; \
	"$$python" securenet/run/install.py

run: install  ## start SecureNet (PORT, REDIS_URL, DATABASE_URL, SECURENET_DATA_DIR, WEB_WORKERS, JOB_WORKERS …)
	@exec $(VENV) -m securenet.run --with-parent

restart: install  ## replace the processes of the SecureNet that runs here, without failing a request
	@$(VENV) -m securenet.run --restart

demo: install  ## send demonstration traffic to a SecureNet that runs
	@exec $(VENV) manage.py demo_traffic

test: install  ## run the tests on SQLite
	@$(VENV) -m pytest $(TESTS) $(ARGS)

test-postgres: install  ## run the tests on a PostgreSQL that is started for them
	@$(VENV) -m tests.servers.postgres -- $(VENV) -m pytest $(TESTS) $(POSTGRES_TESTS) $(ARGS)

test-cluster: install  ## run the tests of limits and cache on a Redis Cluster that is started for them
	@SECURENET_TEST_REDIS=cluster $(VENV) -m pytest $(TESTS) $(CLUSTER_TESTS) $(ARGS)

test-browser: install  ## run the tests that drive a real Chromium (Debian: apt-get install chromium)
	@$(BROWSER_PACKAGES)
	@$(VENV) -m pytest tests/browser -m browser -n 2 $(ARGS)

test-schema: install  ## try the OpenAPI description on a real server: generated requests, a generated client
	@test -x .venv/schema/bin/python || "$(PYTHON)" -m venv .venv/schema
	@.venv/schema/bin/python -m pip install --quiet --disable-pip-version-check --no-input --require-hashes \
		-r requirements.txt -r requirements-schema.txt
	@.venv/schema/bin/python -m pytest tests/schema -m schema $(ARGS)

test-deploy: install  ## read the files in deploy/ with the tools that are made for them
	@test -x .venv/deploy/bin/python || "$(PYTHON)" -m venv .venv/deploy
	@.venv/deploy/bin/python -m pip install --quiet --disable-pip-version-check --no-input --require-hashes \
		-r requirements-deploy.txt
	@$(VENV) -m pytest tests/unit/test_deploy_files.py tests/unit/test_deploy_hardening.py $(ARGS)

test-tracing: install  ## run the tests of traces, with OpenTelemetry in an environment of its own
	@test -x .venv/tracing/bin/python || "$(PYTHON)" -m venv .venv/tracing
	@.venv/tracing/bin/python -m pip install --quiet --disable-pip-version-check --no-input --require-hashes \
		-r requirements.txt -r requirements-tracing.txt
	@.venv/tracing/bin/python -m pytest tests/integration/test_tracing.py tests/acceptance/test_tracing.py $(ARGS)

screenshots: install  ## make pictures of the pages, in docs/screenshots (needs Chromium, too)
	@$(BROWSER_PACKAGES)
	@$(VENV) -m tests.browser.screenshots $(ARGS)

docs: install  ## build the pages of docs/ into docs/_build, and docs/reference.md from the code
	@$(VENV) -m docs.make_reference
	@test -x .venv/docs/bin/python || "$(PYTHON)" -m venv .venv/docs
	@.venv/docs/bin/python -m pip install --quiet --disable-pip-version-check --no-input --require-hashes \
		-r requirements-docs.txt
	@.venv/docs/bin/python -m sphinx --quiet --fail-on-warning --keep-going docs docs/_build

audit: install  ## look for known weaknesses in packages and code, and for licences to decide about
	@test -x .venv/audit/bin/python || "$(PYTHON)" -m venv .venv/audit
	@.venv/audit/bin/python -m pip install --quiet --disable-pip-version-check --no-input --require-hashes \
		-r requirements-audit.txt
	@.venv/audit/bin/python -m tests.security.audit $(VENV)

validate: install  ## score each objective of the first release by running it; writes docs/validation.md (four minutes)
	@$(VENV) -m tests.validation $(ARGS)

soak: install  ## send a million requests of mixed traffic and see what grows; writes docs/soak.md (most of an hour)
	@$(VENV) -m tests.endurance $(ARGS)

chaos: install  ## prove every promise while Redis, web servers, workers and database fail (CHAOS_SEED, CHAOS_SECONDS, CHAOS_DATABASE; 13 minutes)
	@$(VENV) -m pytest tests/chaos -s $(ARGS)

bench: install  ## measure perf beside its peers; writes docs/benchmarks.md
	@$(VENV) -m pip install --quiet --disable-pip-version-check --no-input --require-hashes -r requirements-bench.txt
	@$(VENV) -m pytest -m bench tests/benchmarks -s $(ARGS)

lint: install  ## look for mistakes and misplaced commas
	@$(VENV) -m ruff check .
	@$(VENV) -m ruff format --check .

format: install  ## put the commas right
	@$(VENV) -m ruff check --fix .
	@$(VENV) -m ruff format .

types: install  ## check the types
	@$(VENV) -m mypy

migrations: install  ## see that the migrations say what the models say
	@DATABASE_URL=sqlite://:memory: $(VENV) manage.py makemigrations --check --dry-run

deploy-check: install  ## check the production settings
	@SECURENET_ENV=production ALLOWED_HOSTS=example.org CSRF_TRUSTED_ORIGINS=https://example.org \
		DATABASE_URL=sqlite://:memory: SECRET_KEY="$$($(VENV) -c 'import secrets; print(secrets.token_urlsafe(64))')" \
		$(VENV) manage.py check --deploy --fail-level WARNING

check:  ## run all that continuous integration runs
	@.ci/run

lock: install  ## pin every version and hash of all requirements*.in
	@$(VENV) -c 'import uv' 2>/dev/null || $(VENV) -m pip install --quiet uv
	@$(VENV) -m uv pip compile --quiet --generate-hashes --no-emit-index-url --python-version 3.11 \
		requirements.in -o requirements.txt
	@$(VENV) -m uv pip compile --quiet --generate-hashes --no-emit-index-url --python-version 3.11 \
		--constraints requirements.txt requirements-bench.in -o requirements-bench.txt
	@$(VENV) -m uv pip compile --quiet --generate-hashes --no-emit-index-url --python-version 3.11 \
		--constraints requirements.txt requirements-browser.in -o requirements-browser.txt
	@$(VENV) -m uv pip compile --quiet --generate-hashes --no-emit-index-url --python-version 3.11 \
		requirements-docs.in -o requirements-docs.txt
	@$(VENV) -m uv pip compile --quiet --generate-hashes --no-emit-index-url --python-version 3.11 \
		--constraints requirements.txt requirements-tracing.in -o requirements-tracing.txt
	@$(VENV) -m uv pip compile --quiet --generate-hashes --no-emit-index-url --python-version 3.11 \
		requirements-audit.in -o requirements-audit.txt
	@$(VENV) -m uv pip compile --quiet --generate-hashes --no-emit-index-url --python-version 3.11 \
		--constraints requirements.txt requirements-schema.in -o requirements-schema.txt
	@$(VENV) -m uv pip compile --quiet --generate-hashes --no-emit-index-url --python-version 3.11 \
		requirements-deploy.in -o requirements-deploy.txt
	@$(VENV) -m uv pip compile --quiet --generate-hashes --no-emit-index-url --python-version 3.11 \
		--constraints requirements.txt deploy/requirements.in -o deploy/requirements.txt

clean:  ## remove .venv and caches (the data in var/ stay)
	@rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
