# make demo   set everything up and run the tutorial stack
# make test   set everything up and run the whole test-suite with linters and types
# make help   the rest

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
WORKERS ?= 4
MINUTES ?= 10
PACKAGES := python3-venv nftables iproute2 debootstrap

.DEFAULT_GOAL := help
.PHONY: help setup system demo demo-down test test-peer test-vm soak lint types unit integration conformance bench wheel clean

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

system:
	@PACKAGES="$(PACKAGES)" sh tests/kit/system-packages

$(STAMP): pyproject.toml | system
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $(STAMP)

setup: $(STAMP) ## virtual environment, packages, system packages

demo: setup ## the tutorial stack: three replicas that count visits
	@sh examples/counter/demo $(BIN)/pycompose

demo-down: ## take the demo down and forget its count
	@cd examples/counter && ../../$(BIN)/pycompose down -v

lint: setup ## ruff: rules and format
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .

types: setup ## mypy --strict
	@$(BIN)/mypy

unit: setup ## quick tests, no root needed
	@$(BIN)/pytest -n $(WORKERS) tests/unit tests/test_architecture.py

integration: setup ## real containers; root
	@$(BIN)/pytest -n $(WORKERS) tests/integration

conformance: setup ## compose files against Docker Compose's own reading of them
	@$(BIN)/pytest -n $(WORKERS) tests/conformance

test: lint types ## everything that CI runs
	@$(BIN)/pytest -n $(WORKERS) tests --ignore=tests/rigs --ignore=tests/vm

test-vm: setup ## a stack, a reboot, a power cut and another architecture in a virtual machine with systemd and cgroup v2; root
	@tests/rigs/vm prepare
	@PYCOMPOSE_TEST_VM=1 $(BIN)/pytest tests/vm

test-peer: setup ## the scenarios against the real Docker Compose (installs a Docker Engine of its own)
	@PYCOMPOSE_TEST_PEER=1 sh tests/kit/with-peer $(BIN)/pytest -n 2 -m both tests/integration
	@PYCOMPOSE_TEST_PEER=1 sh tests/kit/with-peer $(BIN)/pytest tests/peer

soak: setup ## random operations and kills for MINUTES=10 (SEED=... repeats one), root
	@$(BIN)/python -m tests.soak --minutes $(MINUTES) $(if $(SEED),--seed $(SEED))

bench: setup ## times against Docker Compose, in alternation, and where our own time goes
	@$(BIN)/python benchmarks/run.py
	@$(BIN)/python benchmarks/config.py
	@$(BIN)/python benchmarks/steps.py
	@$(BIN)/python benchmarks/watch.py

wheel: setup ## build the wheel
	@$(BIN)/python -m pip wheel --quiet --no-deps -w dist .

clean: ## remove what make made here
	@rm -rf $(VENV) dist .mypy_cache .ruff_cache .pytest_cache
