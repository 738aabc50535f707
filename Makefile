# A fresh machine needs Debian, Python 3.11 and make; everything else is fetched here, and named before.
#   make run          the example application on SQLite
#   make run-oidc     the same beside an OpenID provider on this machine, with Node.js
#   make test         ruff, mypy and all tests, on SQLite, MariaDB and PostgreSQL
#   make test-fast    the tests that need no engine and take no long time: a minute
#   make test-lowest  with the lowest versions of the dependencies; CI runs both
# More: CONTRIBUTING.md

PYTHON  ?= python3
VENV    ?= .venv
BIN     := $(VENV)/bin
LOWEST  := .venv-lowest
# Of the tests: what touches other libraries. `make test-lowest` runs it.
LOWEST_TESTS := asgi channels failed_starts hosts manager pages protocol scrubbing store testing test_settings.py
# That test at once: twice as many as two cores, since tests wait for servers half of the time.
WORKERS ?= 4
# The tests start hundreds of Pythons. What one has compiled the next takes, whatever the environment says.
unexport PYTHONDONTWRITEBYTECODE
BENCH   := benchmarks/.environments/harness
HOST    ?= 127.0.0.1
PORT    ?= 8000
PROVIDER_PORT ?= 8001
# Of tools/engines.py: what the tests use besides Python. Without root they are used if they are there.
ENGINES ?= all
INSTALL  = @$(PYTHON) -m tools.install --target $@ --venv $(VENV)

.PHONY: run run-oidc test test-fast test-lowest test-engine test-engines test-cluster test-busy test-bare check lint types imports unit model proof supertokens-client format clean engines dev
.PHONY: benchmark-requests benchmark-store benchmark-load benchmark-weight

run:
	$(INSTALL) --extra example
	@echo "The example application: http://localhost:$(PORT)"
	$(BIN)/uvicorn example_app.main:app --host $(HOST) --port $(PORT)

# The same beside a company's OpenID provider, on this machine, of npm's: sign in there, and be signed out from there.
# Both forget all that they keep when they end.
run-oidc:
	$(INSTALL) --extra example
	@$(PYTHON) -m tools.openid_provider --cache .oidc-provider --address http://localhost:$(PORT) --port $(PROVIDER_PORT) -- \
		$(BIN)/uvicorn example_app.main:app --host 127.0.0.1 --port $(PORT)

test:
	$(INSTALL) --extra test --engines "$(ENGINES)"
	@$(MAKE) --no-print-directory check unit

check: lint types imports

lint: dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: dev
	@$(BIN)/python -m tools.progress "mypy: quick from the second time on" -- $(BIN)/mypy

imports: dev
	$(BIN)/lint-imports

unit:
	$(INSTALL) --extra test
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadscope --every-engine --durations 20

test-fast: dev
	$(BIN)/python -m pytest -n auto --dist loadscope -m fast

# The tests of one engine: make test-engine ENGINE=postgresql
test-engine:
	$(INSTALL) --extra dev --engines "$(ENGINE)"
	$(BIN)/python -m pytest -n 2 --dist loadscope -m "$(ENGINE)"

# Clusters of databases, MySQL itself, and versions that the system does not have: these engines are not among those of
# `make test`. SHORT=1 is what CI runs: without what tools/trees.py fetches, without the contract of the store, and with
# one fault of each kind.
TREES := oracle_mysql mariadb_11_8 postgresql_16 postgresql_17 postgresql_18
ifdef SHORT
test-engines test-cluster: ENGINES = mariadb postgresql galera haproxy
ON_ENGINES := tests/clusters -m "clusters and not fire and not oracle_mysql and not mariadb_11_8"
UNDER_FIRE := -m "fire and not oracle_mysql and not mariadb_11_8" -k "galera_one_is_killed or replica or standby or frozen and one_server"
else
test-engines test-cluster: ENGINES = mariadb postgresql galera $(TREES) haproxy
ON_ENGINES := -n 2 --dist loadscope -m "clusters and not fire" --every-engine
UNDER_FIRE := -m fire --every-engine
endif
test-engines:
	$(INSTALL) --extra dev --engines "$(ENGINES)"
	$(BIN)/python -m pytest $(ON_ENGINES)

# The same while servers are killed, frozen, cut off and replaced. ARGUMENTS are pytest's: ARGUMENTS="-k galera -s"
test-cluster:
	$(INSTALL) --extra dev --engines "$(ENGINES)"
	$(BIN)/python -m pytest $(UNDER_FIRE) $(ARGUMENTS)

# `make run` and `make test` on Debian 12, 13 and unstable with nothing prepared. Needs root, and takes hours.
# ARGUMENTS are passed on: make test-bare ARGUMENTS="trixie --engine postgresql"
test-bare:
	$(PYTHON) -m tools.bare $(ARGUMENTS)

# All tests three times in a row beside 20 busy processes: none may depend on a quiet machine.
test-busy:
	$(INSTALL) --extra test --engines "$(ENGINES)"
	$(BIN)/python -m tools.busy --processes 20 --times 3 -- $(MAKE) --no-print-directory unit

# With the lowest versions that pyproject.toml allows, what touches other libraries.
test-lowest: ENGINES = mariadb postgresql redis
test-lowest:
	@$(PYTHON) -m tools.install --target $@ --venv $(LOWEST) --extra core --lowest --engines "$(ENGINES)"
	$(LOWEST)/bin/python -m pytest -n $(WORKERS) --dist loadscope $(LOWEST_TESTS:%=tests/%)

# Every interleaving of the refresh rotation, deeper than the tests go: some minutes.
model: dev
	$(BIN)/python -m tests.rotation_model

# All long forms of docs/rotation-proved.md: the model, stories, simulated browsers, races and crashes. An hour.
proof: model engines
	$(BIN)/python -m tests.stateful
	$(BIN)/python -m tests.simulation
	$(BIN)/python -m tests.races

# The unmodified browser client of client_protocol="supertokens", in five versions. Needs npm, which fetches them.
supertokens-client: dev engines
	$(BIN)/python -m pytest -n 2 --dist loadscope tests/browser/supertokens_client.py

# Speed, measured: results as JSON, tables and plots in benchmarks/results. Leave the machine alone meanwhile.
# ARGUMENTS are passed on: make benchmark-requests ARGUMENTS=--quick
benchmark-requests benchmark-store benchmark-load benchmark-weight: benchmark-%:
	@$(PYTHON) -m tools.install --target $@ --venv $(BENCH) --extra benchmarks --engines "mariadb postgresql redis"
	$(BENCH)/bin/python -m benchmarks.$* $(ARGUMENTS)

format: dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

dev:
	$(INSTALL) --extra dev

engines:
	@$(PYTHON) -m tools.install --target $@ --engines "$(ENGINES)"

clean:
	rm -rf $(VENV) $(LOWEST) .oidc-provider .pytest_cache .mypy_cache .ruff_cache .hypothesis dist build *.egg-info
