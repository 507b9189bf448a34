# Everything that a person types. Each target sets up what it needs, once.

PYTHON   := .venv/bin/python
RAYCCTV  := .venv/bin/raycctv
STAMP    := .venv/.setup-$(shell cat pyproject.toml requirements/*.txt scripts/*.sh | sha256sum | cut -c1-16)
TEST_STAMP := $(STAMP)-test

export RAY_USAGE_STATS_ENABLED := 0

.PHONY: help demo test test-slow test-faults notebooks check messages screenshots setup requirements clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(STAMP) ## four simulated cameras of real footage through the whole pipeline
	$(RAYCCTV) demo

test: $(TEST_STAMP) ## every test but those below
	$(PYTHON) -m pytest -m "not slow and not faults" --numprocesses 2 --dist loadfile

test-slow: $(TEST_STAMP) ## the tests that take minutes
	$(PYTHON) -m pytest -m slow

test-faults: $(TEST_STAMP) ## break every part of the running pipeline; prints what each fault costs (30 minutes)
	$(PYTHON) -m pytest -m faults

notebooks: $(TEST_STAMP) ## run the notebooks anew, with the results that lie in benchmarks/results
	.venv/bin/jupyter-execute --inplace notebooks/*.ipynb

check: $(TEST_STAMP) ## style and types
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy

messages: $(STAMP) ## what the console says, for translators: raycctv/console/po/*/LC_MESSAGES/console.po
	scripts/messages.sh

screenshots: $(TEST_STAMP) ## the pictures of docs/console.md, anew
	$(PYTHON) scripts/console_screenshots.py

setup: $(STAMP) ## system packages, virtual environment, footage, weights

$(STAMP):
	scripts/setup.sh
	@rm -f .venv/.setup-*
	@touch $@

$(TEST_STAMP): $(STAMP)
	scripts/system_packages.sh test
	@touch $@

requirements: ## pin the dependencies anew
	scripts/pin_requirements.sh

clean: ## remove what make made here; the cache of footage and weights stays
	rm -rf .venv var .pytest_cache .mypy_cache .ruff_cache .hypothesis
