# Everything a developer or a newcomer types. Each target sets up what it needs.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
UV := $(BIN)/uv --quiet
STARTED := $(shell date +%s)
# Where there are Java and Maven, a Kafka broker is fetched.
KAFKA := $(if $(and $(shell command -v java),$(shell command -v mvn)),build/kafka/.installed)
export PATH := $(CURDIR)/.venv/bin:$(PATH)
# Where it is set, every worker of the tests and every "iot" process compiles all modules again.
unexport PYTHONDONTWRITEBYTECODE
# The emulator's dummy credentials and endpoint are set by "iot" itself; nothing here talks to AWS.

.PHONY: help setup demo kafka test test-all bench report check lock down format clean

help: ## List the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.venv/.installed: requirements.txt pyproject.toml hatch_build.py
	@echo "• Python environment (.venv)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; set PYTHON=python3.x")'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check "$$(grep '^uv==' requirements.txt)"
	@$(UV) pip sync --python $(BIN)/python requirements.txt
	@$(UV) pip install --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

.venv-emulator/.installed: local/requirements.txt .venv/.installed
	@echo "• Emulator environment (.venv-emulator)"
	@test -x .venv-emulator/bin/python || $(UV) venv --python $(BIN)/python .venv-emulator
	@$(UV) pip sync --python .venv-emulator/bin/python local/requirements.txt
	@touch $@

# All extras, the tools of "make check" and "make test" and the benchmarks' peers: too large for a newcomer's first minutes.
.venv/.dev: requirements-dev.txt .venv/.installed
	@echo "• Development environment (.venv)"
	@$(UV) pip install --python $(BIN)/python --requirement requirements-dev.txt
	@touch $@

.venv/.kafka: requirements-dev.txt .venv/.installed
	@echo "• Kafka client (.venv)"
	@$(UV) pip install --python $(BIN)/python --constraint requirements-dev.txt --no-build-isolation --editable '.[kafka]'
	@touch $@

node_modules/.installed: package-lock.json .venv/.installed
	@echo "• CDK command line (node_modules)"
	@npm ci --silent --no-audit --no-fund --no-update-notifier
	@touch $@

# A Kafka broker, where there are Java and Maven to fetch it; else "iot" says what to do, and its tests are skipped.
# Maven's repository lies in the folder too, so that "make clean" removes all of it.
build/kafka/.installed: local/kafka/broker.xml
	@echo "• Kafka broker (build/kafka)"
	@rm -rf build/kafka/jars
	@mvn --quiet --batch-mode --file local/kafka/broker.xml -Dmaven.repo.local=$(CURDIR)/build/kafka/maven \
		org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies \
		-DincludeScope=runtime -DoutputDirectory=$(CURDIR)/build/kafka/jars \
		&& touch $@ || { rm -rf build/kafka/jars; echo "  cannot be fetched from Maven Central"; }

setup: .venv/.installed .venv-emulator/.installed node_modules/.installed ## Install everything into this folder

# INGEST=msk goes through a Kafka topic, of a broker that is started, or with BROKER=localhost:9092 of one that runs.
INGEST ?= kinesis
BROKER ?=

demo: setup $(if $(filter msk,$(INGEST)),$(if $(BROKER),.venv/.kafka,kafka)) ## The whole way of a reading on this machine; INGEST=msk: by Kafka
	@iot demo --started-at "$(STARTED)" --ingest "$(INGEST)" $(if $(BROKER),--kafka "$(BROKER)")

kafka: setup .venv/.kafka $(KAFKA) ## Install what "iot up --ingest msk" needs
	@$(if $(KAFKA),true,echo "  no broker: install Java 17 or newer and Maven for that")

down: setup ## Stop the local AWS
	@iot down

# In our order, slowest first: xdist's own starts with the groups of most tests, and would end with a long one alone.
PYTEST := pytest --numprocesses auto --maxprocesses 4 --dist loadgroup --no-loadscope-reorder

test: setup .venv/.dev $(KAFKA) ## Run all tiers, as CI does: tests/unit, contract, infra, integration, e2e
	@$(PYTEST)

test-all: setup .venv/.dev $(KAFKA) ## The same with every sample whole, and with property-based tests that explore
	@$(PYTEST) --whole --hypothesis-profile explore

bench: setup .venv/.dev ## Measure how fast the parts are, beside what people use today
	@python -m benchmarks.detector
	@python -m benchmarks.curate
	@python -m benchmarks.simulator

report: setup .venv/.dev ## Measure everything and write docs/report.md
	@iot report

check: .venv/.dev ## Lint, types and import contracts, as CI runs them
	@ruff check .
	@ruff format --check .
	@mypy
	@lint-imports

format: .venv/.dev ## Format and fix what can be fixed
	@ruff check --fix .
	@ruff format .

lock: .venv/.installed ## Update the locked requirements and the CDK command line's lock
	@$(UV) pip compile --custom-compile-command "make lock" --universal --python-version 3.11 --extra dashboard --group build pyproject.toml -o requirements.txt
	@$(UV) pip compile --custom-compile-command "make lock" --universal --python-version 3.11 --constraint requirements.txt --all-extras --group build --group dev pyproject.toml -o requirements-dev.txt
	@$(UV) pip compile --custom-compile-command "make lock" --python-version 3.13 --python-platform aarch64-manylinux2014 lambdas/requirements.in -o lambdas/requirements.txt
	@$(UV) pip compile --custom-compile-command "make lock" --python-version 3.9 --python-platform x86_64-manylinux_2_28 glue_jobs/curate/requirements.in -o glue_jobs/curate/requirements.txt
	@$(UV) pip compile --custom-compile-command "make lock" --python-version 3.11 --python-platform x86_64-manylinux2014 glue_jobs/curate/requirements-spark.in -o glue_jobs/curate/requirements-spark.txt
	@$(UV) pip compile --custom-compile-command "make lock" --universal --python-version 3.11 local/requirements.in -o local/requirements.txt
	@npm install --package-lock-only --silent

clean: ## Remove everything that was built or installed here
	@test ! -x $(BIN)/iot || $(BIN)/iot down
	@rm -rf .venv .venv-emulator node_modules build cdk.out
