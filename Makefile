# A second call reinstalls nothing: the stamp is newer than the lock file.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
# vLLM's wishes and Prefect's exclude each other, so that it has an environment of its own.
VLLM   := .venv-vllm

export NO_ALBUMENTATIONS_UPDATE := 1
export PREFECT_SERVER_ANALYTICS_ENABLED := false
export RAY_USAGE_STATS_ENABLED := 0
export DO_NOT_TRACK := 1

.PHONY: help setup demo check test lint docs bench chaos quality lock clean

help: ## what can be made
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(STAMP) ## the environment in .venv, from the lock file

$(STAMP): infra/locks/requirements.lock infra/setup.sh pyproject.toml
	@PYTHON=$(PYTHON) VENV=$(VENV) infra/setup.sh
	@touch $@

$(VLLM)/.installed: infra/vllm/requirements.lock infra/vllm/setup.sh infra/vllm/torchvision_operators.py
	@PYTHON=$(PYTHON) VENV=$(VLLM) infra/vllm/setup.sh
	@touch $@

demo: $(STAMP) ## refine_laion on a small demo web; prints the funnel and where to look
	@$(BIN)/python -m flows.demo $(DEMO)

lint: $(STAMP) ## ruff, mypy, import floors
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

check: lint ## lint, types, import floors and the fast tests of the middle rooms: no Ray, no vLLM, under three minutes
	$(BIN)/python -m pytest -m "not vllm and not ray and not slow" tests/schemas tests/curation/core \
		tests/curation/images tests/curation/load tests/curation/release tests/curation/test_catalog.py \
		tests/laws/test_declared_stages.py

docs: $(STAMP) ## the site of the docs, in build/docs: open index.html there
	$(BIN)/sphinx-build -W --keep-going -q -c docs -b html . build/docs
	@echo "build/docs/index.html"

ifdef FAST
test: lint ## lint, types, import floors, all tests, three parts at a time; FAST=1 leaves out those that ask a real vLLM
	@echo "FAST=1: tests that ask a real vLLM are left out; make test runs them" >&2
	@infra/browser.sh
	$(BIN)/python -m tests.support.side_by_side --without-vllm
else
test: lint $(VLLM)/.installed
	@infra/browser.sh
	$(BIN)/python -m tests.support.side_by_side
endif

chaos: $(STAMP) ## the long form of the kill-and-resume laws
	@infra/swift.sh
	$(BIN)/python -m pytest tests/laws --chaos

quality: $(STAMP) ## the long form of the yardstick: what the release, the check, dedupe and the pixel care get right
	@$(BIN)/python -m tests.support.photographs
	$(BIN)/python -m pytest tests/quality --full --report runs/quality.json

bench: $(STAMP) ## every benchmark, both sides in one run
	@for b in tests/bench/bench_*.py; do $(BIN)/python $$b || exit 1; done

lock: ## compile the lock files anew (wants uv)
	infra/locks/compile.sh
	infra/vllm/compile.sh

clean: ## the demo's root and the caches
	rm -rf runs/demo .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
