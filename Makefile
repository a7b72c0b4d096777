# Everything a person does in a clone. Only temporary files and the installer's download cache lie outside of it.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules --no-print-directory

PYTHON ?= python3
ARGS ?=

# A caller without a home (cron, `env -i`) gets one inside the clone.
ifeq ($(HOME),)
export HOME := $(CURDIR)/.tmp/home
endif

# The caller's own Airflow, Python and virtual environment stay out of it.
unexport PYTHONDONTWRITEBYTECODE VIRTUAL_ENV PYTHONHOME PYTHONPATH PYTHONWARNINGS $(filter AIRFLOW_%,$(.VARIABLES))
export PYTHONUTF8 := 1
# Byte code goes apart: without any, each Airflow process would compile all of Airflow again.
export PYTHONPYCACHEPREFIX := $(CURDIR)/.tmp/pycache
export AIRFLOW__CORE__LOAD_EXAMPLES := False
export AIRFLOW__USAGE_DATA_COLLECTION__ENABLED := False
export UV_SYSTEM_CERTS := 1
export UV_PYTHON_DOWNLOADS := never
export UV_NO_CONFIG := 1
# CONTRIBUTING.md says until when the site's theme is maintained; it need not say so itself at each build.
export NO_MKDOCS_2_WARNING := 1

TOOLS := .venv/tools
UV := $(TOOLS)/bin/uv
ENV3 := .venv/airflow3
ENV2 := .venv/airflow2
ENVD := .venv/distributed
ENVF := .venv/foreign
ENV_DOCS := .venv/docs
ENV_RELEASE := .venv/release
ENV_UI := .venv/ui
PACKAGE_METADATA := setup.cfg pyproject.toml airflow_provider_helpcrunch/__init__.py
EXTRAS := --extra dev --extra parquet --extra redis --extra s3 --extra sandbox
COMPILE := $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-annotate --upgrade --custom-compile-command "make locks"

.PHONY: help
help: ## show this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

## What the package does

.PHONY: demo
demo: $(ENV3)/.stamp ## run the example DAGs on the newest Airflow with a local HelpCrunch: list agents, let one leave, export every night
	@$(ENV3)/bin/python scripts/demo.py $(ARGS)

.PHONY: airflow
airflow: $(ENV3)/.stamp ## open the real Airflow UI with a local HelpCrunch, the example DAGs and the connection ready
	@exec $(ENV3)/bin/python scripts/airflow_ui.py $(ARGS)

.PHONY: bench
bench: $(ENV3)/.stamp ## measure against the alternatives, each installed into an environment of its own
	@$(ENV3)/bin/python benchmarks/run.py $(ARGS)

.PHONY: docs
docs: $(ENV_DOCS)/.stamp ## show the documentation as a site on 127.0.0.1:8000, and keep it up to date while you write
	@exec $(ENV_DOCS)/bin/python -m mkdocs serve --strict --dev-addr 127.0.0.1:8000 $(ARGS)

.PHONY: docs-build
docs-build: $(ENV_DOCS)/.stamp ## build the site into .tmp/site; a broken link, or any other warning, is an error
	@$(ENV_DOCS)/bin/python -m mkdocs build --strict --quiet --clean $(ARGS)
	@echo ".tmp/site/index.html"

## Proof

PROCESSORS := $(shell getconf _NPROCESSORS_ONLN)
# One worker more than processors, as some tests wait; ARGS="-n 0" runs them in one process, as a debugger needs it.
WORKERS ?= $(shell expr $(PROCESSORS) + 1)
PYTEST := bin/python -m pytest --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder
ALL := not packaging and not distributed and not foreign and not site and not ui and not release

.PHONY: test
test: $(ENV3)/.stamp ## run the tests on the newest Airflow 3, without those marked `long`; ARGS="-k paging" picks some
	@mkdir -p .tmp
	@AIRFLOW_HOME=$(CURDIR)/.tmp/airflow3 $(ENV3)/$(PYTEST) $(ARGS)

.PHONY: test-fast
test-fast: $(ENV3)/.stamp ## run the unit tests on the newest Airflow 3: no server, no process, no waiting
	@mkdir -p .tmp
	@AIRFLOW_HOME=$(CURDIR)/.tmp/airflow3 $(ENV3)/$(PYTEST) --numprocesses $(PROCESSORS) -m fast $(ARGS)

.PHONY: test-all
test-all: ## run everything that must hold before a change lands, as continuous integration does
	@.ci/run

.PHONY: test-airflow3
test-airflow3: $(ENV3)/.stamp ## run all tests on the newest Airflow 3, the long ones too; they must produce every message of docs/errors.md
	@mkdir -p .tmp
	@AIRFLOW_HOME=$(CURDIR)/.tmp/airflow3 $(ENV3)/$(PYTEST) -m "$(ALL)" $(or $(ARGS),-p tests.produced_messages)

.PHONY: test-airflow2
test-airflow2: $(ENV2)/.stamp ## run all tests on Airflow 2.11, and the long ones that depend on Airflow
	@mkdir -p .tmp
	@AIRFLOW_HOME=$(CURDIR)/.tmp/airflow2 $(ENV2)/$(PYTEST) -m "$(ALL) and not (long and once)" $(ARGS)

N ?= 2000
.PHONY: simulate
simulate: $(ENV3)/.stamp ## run N seeded simulations without waiting; SEED=17 replays one, SCENARIO=plan picks
	@mkdir -p .tmp
	@AIRFLOW_HOME=$(CURDIR)/.tmp/airflow3 $(ENV3)/bin/python tests/simulation/simulate.py \
		$(if $(SEED),--seed $(SEED),--runs $(N)) $(if $(SCENARIO),--scenario $(SCENARIO)) $(ARGS)

OLDER := 3.0.6 3.1.8

.PHONY: test-older
test-older: $(OLDER:%=test-airflow-%) ## run the unit tests, and those marked `older`, on Airflow 3.0.6 and 3.1.8

.PHONY: $(OLDER:%=test-airflow-%)
$(OLDER:%=test-airflow-%): test-airflow-%: .venv/constraints-%/.stamp
	@mkdir -p .tmp
	@AIRFLOW_HOME=$(CURDIR)/.tmp/airflow-$* .venv/constraints-$*/$(PYTEST) -m "fast or older" $(ARGS)

.PHONY: test-packaging
test-packaging: $(ENV3)/.stamp $(ENV2)/.stamp ## build the wheel, install it beside six Airflows, and list and reassign there
	@mkdir -p .tmp
	@AIRFLOW_HOME=$(CURDIR)/.tmp/packaging $(ENV3)/bin/python -m pytest -m packaging tests/packaging $(ARGS)

.PHONY: test-distributed
test-distributed: servers $(ENVD)/.stamp ## run two Celery workers on one account, with PostgreSQL and Redis, and kill one
	@# A shell in between would die of the signal that is meant to stop all.
	@exec env AIRFLOW_HOME=$(CURDIR)/.tmp/distributed $(ENVD)/bin/python -m pytest -v --no-header -m distributed tests/distributed $(ARGS)

.PHONY: test-foreign
test-foreign: $(ENVF)/.stamp ## run the test batteries of Singer and Airbyte, all operators beside OpenLineage, and the webhook recipe on a queue
	@mkdir -p .tmp
	@AIRFLOW_HOME=$(CURDIR)/.tmp/foreign $(ENVF)/bin/python -m pytest -m foreign tests/foreign $(ARGS)

.PHONY: test-docs
test-docs: $(ENV_DOCS)/.stamp ## build the site, see that it loads nothing from elsewhere, and run the recipes
	@$(ENV_DOCS)/bin/python -m pytest -m site tests/site $(ARGS)

.PHONY: test-ui
test-ui: servers $(ENV_UI)/.stamp $(ENV3)/.stamp $(ENV2)/.stamp .venv/constraints-3.1.8/.stamp ## drive Airflow's pages in Chromium: the connection form on three Airflows, runs and an approval on the newest
	@# A shell in between would die of the signal that is meant to stop all.
	@exec $(ENV_UI)/bin/python -m pytest -m ui tests/ui $(ARGS)

.PHONY: servers
servers: ## see that PostgreSQL, Redis, openssl and Chromium are there, for the tests; root on Debian or Ubuntu gets them installed
	@scripts/servers.sh

.PHONY: lint
lint: $(ENV3)/.stamp ## check style, types and which module may import which
	@mkdir -p .tmp
	@$(ENV3)/bin/ruff check --quiet .
	@$(ENV3)/bin/ruff format --quiet --check .
	@AIRFLOW_HOME=$(CURDIR)/.tmp/airflow3 $(ENV3)/bin/mypy --no-error-summary
	@$(ENV3)/bin/lint-imports --no-logo > .tmp/lint-imports.txt || { cat .tmp/lint-imports.txt; exit 1; }
	@echo "lint: clean"

.PHONY: format
format: $(ENV3)/.stamp ## sort imports and lay out the code
	@$(ENV3)/bin/ruff check --quiet --fix-only .
	@$(ENV3)/bin/ruff format --quiet .

## Upkeep

.PHONY: build
build: $(ENV3)/.stamp ## build the wheel and the source distribution into dist/
	@rm -rf build dist
	@mkdir -p .tmp
	@$(ENV3)/bin/python -m build --no-isolation > .tmp/build.txt 2>&1 || { cat .tmp/build.txt; exit 1; }
	@rm -rf build
	@ls dist/*

.PHONY: release-check
release-check: build $(ENV_RELEASE)/.stamp $(ENV2)/.stamp ## check what a release uploads: metadata, SBOMs, known vulnerabilities, and the wheel with each extra beside every Airflow and Python; an hour or two
	@scripts/release_check.sh "$(PYTHON)"
	@AIRFLOW_HOME=$(CURDIR)/.tmp/packaging $(ENV3)/bin/python -m pytest -m "packaging or release" tests/packaging \
		--distributions dist --numprocesses $(PROCESSORS) --dist loadgroup $(ARGS)

.PHONY: locks
locks: $(TOOLS)/.stamp ## compile requirements/*.txt with the newest releases that fit
	@$(COMPILE) requirements/uv.in -o requirements/uv.txt
	@$(COMPILE) $(EXTRAS) requirements/airflow3.in setup.cfg -o requirements/airflow3.txt
	@$(COMPILE) $(EXTRAS) requirements/airflow2.in setup.cfg -o requirements/airflow2.txt
	@$(COMPILE) --extra sandbox --extra redis requirements/airflow3.in requirements/distributed.in setup.cfg \
		-o requirements/distributed.txt
	@$(COMPILE) --extra sandbox --extra parquet --extra redis --extra s3 requirements/airflow3.in requirements/foreign.in setup.cfg \
		-o requirements/foreign.txt
	@$(COMPILE) requirements/docs.in -o requirements/docs.txt
	@$(COMPILE) requirements/release.in -o requirements/release.txt
	@$(COMPILE) requirements/ui.in -o requirements/ui.txt

.PHONY: clean
clean: ## remove all that these targets made, the environments too
	@rm -rf .venv .tmp build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: environments
environments: servers $(foreach env,$(ENV3) $(ENV2) $(ENVD) $(ENVF) $(ENV_DOCS) $(ENV_UI) $(OLDER:%=.venv/constraints-%),$(env)/.stamp) ## make all environments and servers that the tests need, before several targets run side by side

# The environments. A stamp is newer than the files it was made from, so an unchanged clone installs nothing.

$(TOOLS)/.stamp: requirements/uv.txt
	@scripts/environment.sh tools "$(PYTHON)" && touch $@

$(ENV3)/.stamp: requirements/airflow3.txt $(PACKAGE_METADATA) $(TOOLS)/.stamp
	@scripts/environment.sh airflow3 "$(PYTHON)" && touch $@

$(ENV2)/.stamp: requirements/airflow2.txt $(PACKAGE_METADATA) $(TOOLS)/.stamp
	@scripts/environment.sh airflow2 "$(PYTHON)" && touch $@

$(ENVD)/.stamp: requirements/distributed.txt $(PACKAGE_METADATA) $(TOOLS)/.stamp
	@scripts/environment.sh distributed "$(PYTHON)" && touch $@

$(ENVF)/.stamp: requirements/foreign.txt $(PACKAGE_METADATA) $(TOOLS)/.stamp
	@scripts/environment.sh foreign "$(PYTHON)" && touch $@

$(ENV_DOCS)/.stamp: requirements/docs.txt $(TOOLS)/.stamp
	@scripts/environment.sh docs "$(PYTHON)" && touch $@

$(ENV_RELEASE)/.stamp: requirements/release.txt $(TOOLS)/.stamp
	@scripts/environment.sh release "$(PYTHON)" && touch $@

$(ENV_UI)/.stamp: requirements/ui.txt $(TOOLS)/.stamp
	@scripts/environment.sh ui "$(PYTHON)" && touch $@

# Older Airflows as they resolved when they came out, with the newest tools to test.
.venv/constraints-%/.stamp: requirements/constraints-%.txt $(PACKAGE_METADATA) $(TOOLS)/.stamp
	@scripts/environment.sh constraints-$* "$(PYTHON)" && touch $@
