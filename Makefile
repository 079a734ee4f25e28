# Every target does its own set-up on a fresh Debian machine; `make` alone lists them.
# The environment is .venv, from the system's Python: users of test jobs can read that one.

SHELL := /bin/bash
PYTHON ?= $(firstword $(wildcard /usr/bin/python3.11 /usr/bin/python3.12 /usr/bin/python3.13) python3)
BIN := .venv/bin
READY := .venv/ready
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check --no-input
PART := .ci/part
TYPED := src/dask_hpc tests $(patsubst %/,%,$(sort $(dir $(wildcard examples/*.py benchmarks/*.py))))
ROOT := $(filter 0,$(shell id -u))

.PHONY: help demo test check lint format types layers shape bench conformance chaos soak docs lock clean

help:
	@sed -n 's/^## //p' Makefile

## make demo         a cluster on this machine: a computation, a job killed and replaced, a summary
demo: $(READY)
	@$(BIN)/dask-hpc demo

## make test         all tests, with the real systems of tests/beds if you are root
test: $(READY)
	@$(PART) "packages of the beds" $(MAKE) --no-print-directory beds
	@$(PART) "tests" $(if $(TESTS),$(BIN)/python -m pytest $(TESTS),tests/sides.sh $(BIN)/python)

.PHONY: beds
beds:
	@for bed in "slurm --accounting" sshd data chromium mpi htcondor; do set -- $$bed; \
	  tests/beds/$$1.sh install $$2 || [ $$? = 77 ] || exit 1; done

## make check        lint, format, types, layers and shape of the source
check: lint format types layers shape

lint: $(READY)
	@$(PART) "ruff check" $(BIN)/ruff check --quiet
format: $(READY)
	@$(PART) "ruff format" $(BIN)/ruff format --quiet --check
types: $(READY)
	@$(PART) "mypy" $(BIN)/mypy $(TYPED)
layers: $(READY)
	@$(PART) "import-linter" $(BIN)/lint-imports --no-cache
shape: $(READY)
	@$(PART) "shape" $(BIN)/python -m pytest -q tests/test_shape.py tests/test_layers.py

## make conformance  what every batch system must do, on all of them; dask-jobqueue's own tests on our drop-in
conformance: $(READY)
	@$(BIN)/python -m pytest tests/conformance
	@$(BIN)/python -m tests.compat.conformance $(CONFORMANCE)

## make conformance-mpi  dask-mpi's own tests, from its wheel, against it and against ours: a table
.PHONY: conformance-mpi
conformance-mpi: $(READY)
	@$(BIN)/python -m tests.mpi.conformance

## make bench        side by side with others, as ratios; BENCH="node ask --repeats 10" for a part
bench: $(READY)
	@$(BIN)/python -m benchmarks $(BENCH)

## make chaos        failures on purpose
chaos: $(READY)
	@$(if $(wildcard tests/chaos),$(BIN)/python -m pytest tests/chaos,$(call missing,$@))

## make soak         what takes minutes or hours
soak: $(READY)
	@$(BIN)/python -m pytest --soak -m soak

## make docs         the documentation
docs:
	@$(call missing,$@)

missing = echo "make $(1): does not exist yet" >&2; exit 1

## make lock         pin what requirements/dev.in and pyproject.toml ask for (needs uv)
lock:
	uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-header --no-annotate pyproject.toml requirements/dev.in -o requirements/dev.lock

## make clean        remove what these targets made in this directory
clean:
	@rm -rf .venv benchmarks/.venv build dist .mypy_cache .ruff_cache .hypothesis src/*.egg-info
	@find . -name __pycache__ -prune -exec rm -rf {} +

$(READY): requirements/dev.lock pyproject.toml
	@$(PART) "set-up" $(MAKE) --no-print-directory environment
	@touch $@

.PHONY: environment
environment:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "$(PYTHON) is too old: python 3.11 or later is needed (make PYTHON=...)" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { $(if $(ROOT),. tests/beds/lib.sh; make_state; apt_install python3-venv,\
	  echo "python has no venv: apt install python3-venv" >&2; exit 1); }
	@[ -x $(BIN)/python ] && $(BIN)/python -c 'import pip' 2>/dev/null || $(PYTHON) -m venv --clear .venv
	@$(PIP) install --require-hashes -r requirements/dev.lock
	@$(PIP) install --no-deps --no-build-isolation -e .
