# What a person types: setup, live, test, check, bench, soak. Needs git, make and Python 3.11 or 3.12.

PYTHON ?= $(shell command -v python3.11 || command -v python3.12)
VENV := .venv
BIN := $(VENV)/bin
FACE := .venv-face
CONFIG ?= config.yaml
# The build backend's general advice about editable installations is no warning about this one.
PIP := PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.DEFAULT_GOAL := help
.PHONY: help setup dev face live test check fix bench soak docs system-packages clean

help:
	@echo "make setup   virtual environment with locked versions, and the demo presenter"
	@echo "make live    set up, then put the demo channel on air: http://127.0.0.1:8090/"
	@echo "make test    set up, then check and test everything"
	@echo "make check   ruff, mypy and import-linter"
	@echo "make fix     let ruff repair and format"
	@echo "make bench   measurements on this machine"
	@echo "make soak    a long run with random prompts and faults (DURATION=3600, in seconds)"
	@echo "make docs    write the generated documents again"

setup: $(VENV)/.installed
	@$(BIN)/broadcaster avatar expand --config $(CONFIG)

dev: $(VENV)/.installed-dev

face: $(FACE)/.installed

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "There is no Python 3.11 or 3.12 here. On Debian or Ubuntu:" \
		"apt-get install python3.11 python3.11-venv" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' || { \
		echo "$(PYTHON) is neither Python 3.11 nor 3.12: name one with make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); v=$$($(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])'); \
		echo "Python cannot make a virtual environment. On Debian or Ubuntu: apt-get install python$$v-venv" >&2; exit 1; }

# pip older than 25.1 cannot read dependency groups.
$(VENV)/.pip: constraints.txt | $(BIN)/python
	@$(PIP) --upgrade pip
	@touch $@

$(VENV)/.installed: pyproject.toml constraints.txt $(VENV)/.pip
	@echo "Installing what broadcaster needs into $(VENV) (a few minutes the first time)"
	@$(PIP) --editable .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	@echo "Installing what the tests need into $(VENV)"
	@$(PIP) --editable '.[openai,dashscope,edge,postgresql]' --group dev
	@touch $@

# An environment of its own on top of the other: PyTorch and the networks' libraries, for the tests of engine musetalk.
# On Linux PyPI's torch is the CUDA build (several GB); a wheel of the CPU build that pip finds first will do.
$(FACE)/.installed: $(VENV)/.installed-dev
	@echo "Installing PyTorch and what engine musetalk needs into $(FACE)"
	@$(PYTHON) -m venv $(FACE)
	@$(BIN)/python -c 'import site; print("import site; site.addsitedir(%r)" % site.getsitepackages()[0])' > \
		"$$($(FACE)/bin/python -c 'import site; print(site.getsitepackages()[0])')/broadcaster-base.pth"
	@PYTHONWARNINGS=ignore $(FACE)/bin/python -m pip install --quiet --disable-pip-version-check \
		--constraint constraints.txt --editable '.[musetalk]'
	@touch $@

live: setup
	@$(BIN)/broadcaster run --config $(CONFIG)

# What the integration tests use besides Python; without it they are skipped, and say so.
system-packages:
	@.ci/system-packages

test: setup dev face system-packages
	@$(MAKE) --no-print-directory check
	@$(BIN)/python -m pytest -n 2 --dist loadscope

check: dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

fix: dev
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: setup dev
	@$(BIN)/python -m bench

DURATION ?= 3600
soak: setup dev
	@$(BIN)/python -m tests.soak.run --seconds $(DURATION)

docs: dev
	@$(BIN)/python -m broadcaster.config.document
	@$(BIN)/python -m sources.schema
	@$(BIN)/python -m sources.lines_schema

clean:
	rm -rf $(VENV) $(FACE) build dist *.egg-info
