# The only door: CI and pre-commit call these targets too.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
SPARK  := .venv-spark
# A pip option string for your own CPU build of torch, for example
#   make setup TORCH_SOURCE="--index-url https://your.mirror/cpu"
# Without it an installed or locally found torch is used; see README, "Installing".
TORCH_SOURCE ?=
TORCH  ?= torch==2.13.0
# Test processes at a time.
WORKERS ?= 2
PIP    := PIP_DISABLE_PIP_VERSION_CHECK=1 "$(BIN)/python" -m pip install --quiet

.DEFAULT_GOAL := help
.PHONY: help setup demo test checks lint types layers tests slow spark shows dp calibrate sabotage battery benchmarks generators clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

setup: $(STAMP) ## make .venv with the synth-contracts command in it

$(STAMP): pyproject.toml Makefile
	$(PYTHON) -m venv "$(VENV)"
	@echo "installing (a few minutes the first time; torch first, so that sdv does not choose one)"
	$(PIP) $(TORCH_SOURCE) "$(TORCH)"
	$(PIP) -e ".[test,lint,dp]"
	@touch "$(STAMP)"

demo: setup ## the main job: build the demo's two contracts, export the one that passed
	@"$(BIN)/python" tools/demo.py

# side by side: the tests leave a core idle now and then, and a cold mypy is slow
test: setup ## lint, types, layers and tests
	@$(MAKE) --no-print-directory -j 2 checks tests

checks: lint types layers

lint: setup ## ruff
	"$(BIN)/ruff" check .
	"$(BIN)/ruff" format --check .

types: setup ## mypy, strict on the package
	"$(BIN)/mypy"

layers: setup ## import-linter: rooms import in one direction only
	"$(BIN)/lint-imports" --no-cache

tests: setup ## pytest, two workers, without the tests that `make slow` runs
	OMP_NUM_THREADS=1 "$(BIN)/python" -m pytest -n $(WORKERS) --no-loadscope-reorder -m "not slow"

slow: setup ## the tests that take long: further tables, networks and crash points
	OMP_NUM_THREADS=1 "$(BIN)/python" -m pytest -n $(WORKERS) --no-loadscope-reorder -m slow

spark: $(SPARK)/.installed ## tests over Spark batches; needs Java 17; makes an environment of its own
	"$(SPARK)/bin/python" -m pytest tests/spark

$(SPARK)/.installed: pyproject.toml
	$(PYTHON) -m venv "$(SPARK)"
	"$(SPARK)/bin/python" -m pip install --quiet $(TORCH_SOURCE) "$(TORCH)"
	"$(SPARK)/bin/python" -m pip install --quiet -e ".[test]" "pyspark>=4.0,<4.2"
	@touch "$@"

shows: setup ## long measurements on real data; resumable; writes docs/shows.md
	"$(BIN)/python" tools/shows.py

sabotage: setup ## break one rule at a time and see a test catch it; writes docs/sabotage.md
	"$(BIN)/python" tools/sabotage.py

battery: setup ## attack the gate and the export through the shipped commands; writes docs/battery.md
	OMP_NUM_THREADS=1 "$(BIN)/python" tools/battery.py

dp: setup ## audit of the guarantee, its fidelity on real tables; long, resumable; writes docs/dp_figures.md
	OMP_NUM_THREADS=1 "$(BIN)/python" tools/dp.py

calibrate: setup ## false alarms and leaks over five real tables; long, resumable; writes docs/calibration.md
	"$(BIN)/python" tools/calibrate.py

benchmarks: setup ## the card beside its peers: cost and detection; long, resumable; writes docs/benchmarks.md
	TORCH_SOURCE="$(TORCH_SOURCE)" "$(BIN)/python" benchmarks/run.py

generators: setup ## generators side by side: fidelity, privacy, cost; long, resumable; writes docs/generators-benchmark.md
	TORCH_SOURCE="$(TORCH_SOURCE)" "$(BIN)/python" benchmarks/generators/run.py

clean: ## remove what demo and tests made, not the environment
	rm -rf target exports gx/uncommitted warehouse/*.duckdb*
