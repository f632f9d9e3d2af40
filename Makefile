# Every path is relative: the checkout may lie in a folder with a space in its name. For the same reason tools
# are run as `python -m`, not by their scripts.
PYTHON ?=
export PYTHON
unexport PYTHONHOME PYTHONPATH

python := .venv/bin/python

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo test test-stores test-executors check format bench bench-full test-omegaconf test-install test-browser clean

help: ## list the targets
	@echo 'nemotron.kit: needs git, make and Python 3.11 or newer; all else goes into .venv'
	@echo
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' Makefile | while IFS='|' read -r target what; do \
	    printf '%-28s %s\n' "$$target" "$$what"; done

demo: ## run the whole pipeline on real text, and show where the final model comes from
	@.ci/venv examples
	@$(python) examples/nano_pipeline/run.py --root demo/store --out demo/out

test: ## run all tests
	@.ci/venv dev
	@$(python) -m pytest $(ARGS)

test-stores: ## run the store tests against Ceph, Azurite and others, installing what they need (minutes)
	@.ci/venv dev
	@.ci/stores
	@TEST_STORES=1 $(python) -m pytest -n 0 -rs --durations=10 tests/store/test_servers.py \
	    tests/registry/test_evidence_by_server.py tests/registry/test_evidence_by_gcsfs.py $(ARGS)

check: ## what CI checks beside the tests: lint, format, strict types, import contracts
	@.ci/venv dev
	$(python) -m ruff check .
	$(python) -m ruff format --check .
	$(python) -m mypy
	$(python) -c 'from importlinter.cli import lint_imports_command as run; run()' --no-logo
	$(python) -m pytest -n 0 tests/architecture

format: ## put the code into its one format
	@.ci/venv dev
	$(python) -m ruff check --fix --quiet .
	$(python) -m ruff format .

test-wandb: ## the tests of W&B with the newest client and with older ones, each in its own environment
	@.ci/venv dev
	@$(python) .ci/test_versions.py wandb $(ARGS)

test-omegaconf: ## the tests of configs with the newest OmegaConf and with 2.3, each in its own environment
	@.ci/venv dev
	@$(python) .ci/test_versions.py omegaconf $(ARGS)

test-megatron-bridge: ## the checkpoint hook in Megatron-Bridge's own module
	@.ci/venv dev
	@$(python) .ci/test_megatron_bridge.py

bench: ## measure the kit beside its peers, and write bench/RESULTS.md (under 10 minutes)
	@.ci/bench
	@.venv/bench/bin/python bench/report.py $(ARGS)

bench-full: ## the same with more and larger data (40 minutes); goes on where it was stopped
	@.ci/bench
	@.venv/bench/bin/python bench/report.py --full $(ARGS)
	@$(python) bench/configs.py

test-executors: ## read, hash and copy on local Ray and Dask clusters, installing them (a minute)
	@.ci/venv dev
	@$(python) -c 'import ray, distributed' 2>/dev/null || $(python) -m pip install --quiet --editable '.[ray,dask]'
	@$(python) -m pytest -n 0 -rs tests/integrations/test_executors.py $(ARGS)

test-formats: ## read what megatron-core, datasets, transformers, … write, and let pandas, DuckDB, … read art://
	@.ci/peers
	@.venv/peers/bin/python -m pytest -n 2 -rs tests/formats tests/integrations/test_readers.py $(ARGS)
	@if .venv/peers/bin/python -c 'import atheris' 2>/dev/null; then \
	    .venv/peers/bin/python tests/formats/fuzz.py $(or $(FUZZ_SECONDS),90); fi

test-install: ## build the wheel, install it alone, and use it as a stranger would
	@.ci/venv dev
	@$(python) .ci/test_install.py

test-browser: ## install Chromium (Debian's package) and try the lineage page in it
	@.ci/venv dev
	@$(python) -c 'import selenium' 2>/dev/null || $(python) -m pip install --quiet --editable '.[browser]'
	@.ci/chromium
	@$(python) -m pytest -n 0 tests/exporters/test_html_browser.py $(ARGS)

clean: ## remove what make made: the environment, the demo's store and output, caches
	rm -rf .venv demo build dist wandb .pytest_cache .hypothesis .mypy_cache .ruff_cache .import_linter_cache
	find src tests examples bench -name __pycache__ -type d -prune -exec rm -rf {} +
