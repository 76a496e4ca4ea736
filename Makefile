# A second call reinstalls nothing: the stamp is newer than the lock file.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed

export NO_ALBUMENTATIONS_UPDATE := 1
export PREFECT_SERVER_ANALYTICS_ENABLED := false
export RAY_USAGE_STATS_ENABLED := 0
export DO_NOT_TRACK := 1

.PHONY: help setup demo test lint bench chaos lock clean

help: ## what can be made
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(STAMP) ## the environment in .venv, from the lock file

$(STAMP): infra/locks/requirements.lock infra/setup.sh pyproject.toml
	@PYTHON=$(PYTHON) VENV=$(VENV) infra/setup.sh
	@touch $@

demo: $(STAMP) ## refine_laion on a small demo web; prints the funnel and where to look
	@$(BIN)/python -m flows.demo

lint: $(STAMP) ## ruff, mypy, import floors
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: lint ## lint, types, import floors, all tests
	$(BIN)/python -m pytest

chaos: $(STAMP) ## the long form of the kill-and-resume laws
	$(BIN)/python -m pytest tests/laws --chaos

bench: $(STAMP) ## every benchmark, both sides in one run
	@for b in tests/bench/bench_*.py; do $(BIN)/python $$b || exit 1; done

lock: ## compile the lock file anew (wants uv)
	infra/locks/compile.sh

clean: ## the demo's root and the caches
	rm -rf runs/demo .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
