# Every target of the project; `make` alone lists them. CI calls the same ones (.ci/run).

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV := .venv
BIN := $(VENV)/bin
SETUP := .make/setup
DEBIAN := .make/debian/root
CHROMIUM := .make/chromium/root
KERNEL := $(wildcard envelope/*.pyx envelope/*.pxi)
PROTOC = $(BIN)/python -m grpc_tools.protoc -I envelope/pb=proto proto/*.proto
ARGS ?=
IN_PARALLEL = -n 2 --dist loadfile

.PHONY: help setup up demo test test-all check check-proto fix bench soak proto constraints clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

setup: $(SETUP) ## install everything into .venv and build the kernel; again only when something changed

up: $(SETUP) ## run everything on this machine (ARGS="--ports auto" for flags), until Ctrl-C
	@exec $(BIN)/standpipe up $(ARGS)

demo: $(SETUP) ## watch this machine's own logs and metrics come through for half a minute
	@exec $(BIN)/standpipe demo $(ARGS)

test: $(SETUP) $(DEBIAN) $(CHROMIUM) ## run all tests but the slow ones
	$(BIN)/python -m pytest $(IN_PARALLEL) -m "not slow" $(ARGS)

test-all: $(SETUP) $(DEBIAN) $(CHROMIUM) ## run all tests, those on the engines of ClickHouse, Sail and Spark too
	$(BIN)/python -m pip install -q -c constraints.txt --group engines
	$(BIN)/python -m pytest $(IN_PARALLEL) $(ARGS)

check: $(SETUP) check-proto ## format, lint, types, imports, generated code, unit tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	HYPOTHESIS_PROFILE=quick $(BIN)/python -m pytest $(IN_PARALLEL) -q -m "not slow" tests/unit

check-proto: $(SETUP)
	@fresh=$$(mktemp -d) && trap 'rm -rf "$$fresh"' EXIT; \
	$(PROTOC) --python_out="$$fresh" --pyi_out="$$fresh"; \
	diff -r -x __pycache__ -x __init__.py "$$fresh/envelope/pb" envelope/pb \
		|| { echo "envelope/pb is not what proto/ says: run make proto" >&2; exit 1; }

fix: $(SETUP) ## format, and repair what can be repaired by itself
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(SETUP) ## measure the pipeline, and write benchmarks/results.json
	$(BIN)/python -m benchmarks $(ARGS)

soak: $(SETUP) ## keep a log cache under load, kill and harm an event store: nothing lost (ARGS="--list" for the parts)
	$(BIN)/python -m benchmarks.soaks $(ARGS)

proto: $(SETUP) ## generate envelope/pb from proto/
	$(PROTOC) --python_out=. --pyi_out=.

constraints: $(SETUP) ## take down what is installed now, as what is to be installed everywhere
	$(BIN)/pip freeze --all --exclude-editable > constraints.txt

clean: ## remove what was built; .venv stays
	rm -rf .make build *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	rm -f envelope/_compiled.c envelope/_compiled.*.so
	find . -name __pycache__ -not -path "./$(VENV)/*" -prune -exec rm -rf {} +

# The compiled kernel is made anew each time: the build does not know that it includes the .pxi files.
$(SETUP): $(BIN)/python pyproject.toml setup.py constraints.txt $(KERNEL)
	$(BIN)/python -m pip install -q -c constraints.txt --upgrade pip
	$(BIN)/python -m pip install -q -c constraints.txt --group dev
	@rm -f envelope/_compiled.c envelope/_compiled.*.so
	$(BIN)/python -m pip install -q -c constraints.txt --no-build-isolation -e ".[delta,kafka,nats,otlp,prometheus]"
	@$(BIN)/python -c 'from envelope import kernel; print("the kernel that runs:", kernel.ACTIVE)'
	@mkdir -p $(@D) && touch $@

$(BIN)/python:
	@for python in python3 python3.11 python3.12 python3.13 python3.14; do \
		if $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2> /dev/null; then break; fi; python=; \
	done; \
	test -n "$$python" || { echo "No Python 3.11 or newer was found: install one, then run make again." >&2; exit 1; }; \
	if ! $$python -c 'import ensurepip, venv' 2> /dev/null; then \
		if test "$$(id -u)" = 0 && command -v apt-get > /dev/null; then \
			echo "$$python cannot make virtual environments: installing the Debian package python3-venv."; \
			apt-get update -q && apt-get install -q -y python3-venv; \
		else \
			echo "$$python cannot make virtual environments: sudo apt-get install python3-venv" >&2; exit 1; \
		fi; \
	fi; \
	$$python -m venv $(VENV)

# rsyslog and syslog-ng exclude each other: either would be the system's only log daemon.
$(DEBIAN): tests/debian_programs.sh
	tests/debian_programs.sh $(@D) "rsyslog rsyslog-openssl" syslog-ng-core
	@touch $@

# 96 MB; without apt-get, the tests in a browser use a chromium-headless-shell that is installed, or are skipped.
$(CHROMIUM): tests/debian_programs.sh
	@if command -v apt-get > /dev/null; then tests/debian_programs.sh $(@D) chromium-headless-shell; fi
	@mkdir -p $@ && touch $@
