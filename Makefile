# `make run` and `make test` do everything on a fresh machine; `make help` lists the rest.
PYTHON ?= python3
HOST ?= 127.0.0.1
PORT ?= 8000
# Test processes side by side.
WORKERS ?= 2
VENV := .venv
PY := $(VENV)/bin/python

.PHONY: help run test test-fast lint types browser frontend messages catalogs schema demo-labelers bench bench-smoke clean

help: ## List the tasks
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1|/' | \
		awk -F'|' '{printf "  make %-14s %s\n", $$1, $$2}'

$(PY):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Preferendum needs Python 3.11 or newer; set PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.runtime: requirements.txt | $(PY)
	@echo "Installing the Python packages (about 1.7 GB with torch; once) …"
	$(PY) -m pip install --progress-bar on -r requirements.txt
	@touch $@

$(VENV)/.dev: requirements.txt requirements-dev.txt | $(PY)
	@echo "Installing the Python packages for development (once) …"
	$(PY) -m pip install --progress-bar on -r requirements-dev.txt
	@touch $@ $(VENV)/.runtime

frontend: $(VENV)/.runtime
	@$(PY) -m frontend.build

messages: $(VENV)/.runtime ## Bring the translations' files up to date with the texts in the code
	@$(PY) -m frontend.catalogs --extract

catalogs: $(VENV)/.runtime
	@$(PY) -m frontend.catalogs

run: $(VENV)/.runtime frontend ## Install, build, prepare and run everything (HOST=, PORT=)
	@exec $(PY) manage.py up --host $(HOST) --port $(PORT)

test: $(VENV)/.dev frontend browser ## Install what is needed and run the whole suite
	$(PY) -m frontend.build --check --test
	$(PY) -m pytest -n $(WORKERS) --dist worksteal $(ARGS)

test-fast: $(VENV)/.dev catalogs ## Everything but the browser and the long trainings
	$(PY) -m pytest -n $(WORKERS) --dist worksteal -m "not e2e and not slow" $(ARGS)

lint: $(VENV)/.dev ## Formatting, lint, layering, missing migrations
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(VENV)/bin/lint-imports
	$(PY) manage.py makemigrations --check --dry-run --settings=config.settings.test

types: $(VENV)/.dev ## Static types, Python and TypeScript
	$(PY) -m mypy .
	$(PY) -m frontend.build --check

browser:
	@command -v chromium >/dev/null 2>&1 || command -v google-chrome >/dev/null 2>&1 || { \
		echo "The browser tests need Chromium; installing it from the system's packages …"; \
		SUDO=$$([ "$$(id -u)" = 0 ] || echo sudo); \
		$$SUDO apt-get update -qq && \
		$$SUDO apt-get install -y -qq --no-install-recommends chromium fonts-noto-core >/dev/null; } || \
		{ echo "Could not install Chromium: install it yourself, then run this again."; exit 1; }

schema: $(VENV)/.dev ## Write docs/openapi.yaml and fail on a warning
	$(PY) manage.py spectacular --validate --fail-on-warn --file docs/openapi.yaml \
		--settings=config.settings.test

demo-labelers: ## Scripted labelers rank in the running demo project (N=64)
	$(PY) manage.py simulate_labelers --project demo --rankings $(or $(N),64)

# TRL needs versions of its own; 1.12 is the last release with PPO.
.venv-trl/.ready: | $(PY)
	@echo "Installing TRL to compare with (about 1.2 GB; once) …"
	$(PYTHON) -m venv .venv-trl
	.venv-trl/bin/python -m pip install --progress-bar on torch==2.13.0
	.venv-trl/bin/python -m pip install --progress-bar on trl==1.16.0 transformers==5.23.0
	@touch $@

.venv-trl-ppo/.ready: | $(PY)
	@echo "Installing TRL 1.12 for its PPO (about 1.2 GB; once) …"
	$(PYTHON) -m venv .venv-trl-ppo
	.venv-trl-ppo/bin/python -m pip install --progress-bar on torch==2.13.0
	.venv-trl-ppo/bin/python -m pip install --progress-bar on trl==1.12.0 transformers==5.23.0 rich pandas
	@touch $@

BENCH = $(PY) -m training.benchmarks --repeats $(or $(REPEATS),3) --threads $(or $(THREADS),2) $(ARGS) $(TASKS)

bench: $(VENV)/.runtime .venv-trl/.ready .venv-trl-ppo/.ready ## Time the engine beside TRL (TASKS=, REPEATS=, THREADS=)
	$(BENCH)

bench-smoke: $(VENV)/.runtime .venv-trl/.ready .venv-trl-ppo/.ready ## Two steps of every benchmark, to see that it runs
	$(PY) -m training.benchmarks --smoke --repeats 1 --work var/bench-smoke --out var/bench-smoke/bench.md $(TASKS)

clean: ## Remove what can be made again (not var/: your data)
	rm -rf $(VENV) .venv-trl .venv-trl-ppo frontend/node_modules frontend/static/frontend/build
