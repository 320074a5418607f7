# A machine needs Python >= 3.11 and make; everything else goes into .venv.
#   make demo    see a real sensor stream become windows
#   make test    run the tests
#   make help    everything else

VENV := .venv
BIN := $(VENV)/bin
BUILT := pyproject.toml hatch_build.py $(wildcard src/pydatastream/*/*/*.c)

# The first Python that is new enough; name another one with `make demo PYTHON=...`.
NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for one in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$one -c '$(NEW_ENOUGH)' 2>/dev/null && echo $$one && break; done)

.PHONY: help demo test check bench faults gen services services-stop clean

help: ## say what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/.installed ## run the main job on real sensor data
	@$(BIN)/pds demo

test: $(VENV)/.dev ## run the tests
	@$(BIN)/pytest -n 2 --dist loadgroup --again --timeout 900

check: $(VENV)/.dev ## lint, format, types, floors, doctests, generated files
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/pytest --doctest-modules src
	@$(BIN)/python -m pydatastream.reference --check

gen: $(VENV)/.dev ## write the generated pages, tables and the schema
	@$(BIN)/python -m pydatastream.reference

faults: $(VENV)/.dev ## every long form: thousands of kills, bad lines, many random streams (hours)
	@$(BIN)/pytest --long

bench: $(VENV)/.dev ## measure speed against the peers in one run (BENCH="windows keys": only those)
	@$(BIN)/python -m benchmarks $(BENCH)

services: $(VENV)/.dev ## start real servers (SERVICES="kafka redis": only those) until Ctrl-C
	@$(BIN)/python -m services $(SERVICES)

services-stop: $(VENV)/.made ## stop them from another shell
	@$(BIN)/python -m services stop

clean: ## remove the environment and caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

# Stamps: an environment is made again only when what it is built from has changed.
$(VENV)/.made:
	@test -n '$(PYTHON)' || { echo 'PyDataStream needs Python 3.11 or newer, and none was found.'; \
		echo '  try: install one, or name it: make demo PYTHON=/path/to/python3.12'; exit 1; }
	@$(PYTHON) -c '$(NEW_ENOUGH)' 2>/dev/null || { \
		echo 'PyDataStream needs Python 3.11 or newer; $(PYTHON) is older, or not there.'; \
		echo '  try: make demo PYTHON=/path/to/python3.12'; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo '$(PYTHON) cannot make environments.'; \
		echo '  try: apt-get install python3-venv (Debian, Ubuntu), then again'; exit 1; }
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.installed: $(BUILT) | $(VENV)/.made
	@echo 'installing PyDataStream into $(VENV) (once, about a minute) ...'
	@$(BIN)/pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/.dev: $(BUILT) | $(VENV)/.made
	@echo 'installing PyDataStream and its test tools into $(VENV) (once, a minute or two) ...'
	@$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@ $(VENV)/.installed
