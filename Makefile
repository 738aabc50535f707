# A fresh machine needs Debian, Python 3.11 and make; everything else is fetched here.
#   make run    the example application on SQLite
#   make test   everything that CI checks, on SQLite, MariaDB and PostgreSQL
#   make test-lowest   with the lowest versions of the dependencies

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
BENCH  := benchmarks/.environments/harness
LOWEST := .venv-lowest
HOST   ?= 127.0.0.1
PORT   ?= 8000

.PHONY: run test check lint types imports unit model proof supertokens-client format clean engines test-lowest
.PHONY: benchmark-requests benchmark-store benchmark-load benchmark-weight

run: $(STAMP)
	@echo "The example application: http://localhost:$(PORT)"
	$(BIN)/uvicorn example_app.main:app --host $(HOST) --port $(PORT)

test: $(STAMP) engines check unit

check: lint types imports

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/mypy

imports: $(STAMP)
	$(BIN)/lint-imports

unit: $(STAMP) $(VENV)/.frameworks
	$(BIN)/python -m pytest -n 2 --dist loadscope

# With the lowest versions that pyproject.toml allows, what touches other libraries.
test-lowest: $(LOWEST)/.installed engines
	$(LOWEST)/bin/python -m pytest -n 2 --dist loadscope -q tests/asgi tests/channels tests/cli tests/docs \
		tests/manager tests/store tests/testing tests/test_settings.py --deselect tests/docs/test_code_types.py

$(LOWEST)/.installed: pyproject.toml
	$(PYTHON) -m venv --clear $(LOWEST)
	$(LOWEST)/bin/python -m pip install --quiet --disable-pip-version-check uv
	$(LOWEST)/bin/uv pip install --quiet --python $(LOWEST)/bin/python --resolution lowest-direct -e ".[dev]"
	@touch $@

# Every interleaving of the refresh rotation, deeper than the tests go: some minutes.
model: $(STAMP)
	$(BIN)/python -m tests.rotation_model

# All long forms of docs/rotation-proved.md: the model, stories, simulated browsers, races and crashes. An hour.
proof: model engines
	$(BIN)/python -m tests.stateful
	$(BIN)/python -m tests.simulation
	$(BIN)/python -m tests.races

# The unmodified browser client of client_protocol="supertokens", in five versions. Needs npm, which fetches them.
supertokens-client: $(STAMP) engines
	$(BIN)/python -m pytest -n 2 --dist loadscope tests/browser/supertokens_client.py

# Speed, measured: results as JSON, tables and plots in benchmarks/results. Leave the machine alone meanwhile.
# ARGUMENTS are passed on: make benchmark-requests ARGUMENTS=--quick
benchmark-requests benchmark-store benchmark-load benchmark-weight: benchmark-%: $(BENCH)/.installed engines
	$(BENCH)/bin/python -m benchmarks.$* $(ARGUMENTS)

$(BENCH)/.installed: pyproject.toml
	$(PYTHON) -m venv $(BENCH)
	$(BENCH)/bin/python -m pip install --quiet --disable-pip-version-check -e ".[benchmarks]"
	@touch $@

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The engines that the tests start for themselves. Without root they are used if they are there.
engines:
	@.ci/install-engines

$(STAMP): pyproject.toml
	@# Debian's python3 comes without ensurepip until python3-venv is there.
	@$(PYTHON) -m venv $(VENV) || { [ "$$(id -u)" = 0 ] && apt-get update -q && apt-get install -y -q python3-venv && $(PYTHON) -m venv --clear $(VENV); }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[dev]"
	@touch $@

# What the tests of docs/frameworks.md drive, 400 MB.
$(VENV)/.frameworks: $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[frameworks]"
	@touch $@

clean:
	rm -rf $(VENV) $(LOWEST) .pytest_cache .mypy_cache .ruff_cache .hypothesis dist build *.egg-info
