# make demo    five simulated panels, the daemon and the status page on this machine
# make check   lint, types, imports and the unit tests in about a minute: without the long ones and
#              without PostgreSQL
# make test    everything that this machine can check; PYTHONS=all: on its other Pythons, too
# make canaries  plants single faults in what guards money, data and access, one at a time: a test
#              must find each; ONLY=word for those with it in their names
# make lowest  the unit tests with the lowest versions that pyproject.toml allows
# make coverage  the branches that the unit and integration tests leave out
# make fuzz    every decoder of panels' answers against random bytes, for DURATION seconds
# make torture drawn faults against the daemon for DURATION, or SCENARIOS of them, from SEED on;
#              SCENARIOS=1 plays one again; RESULTS=file.json keeps the table; DATABASE=postgresql
#              plays them on a server, which is killed and frozen, too
# make torture-cluster  SCENARIOS of three watchers on one PostgreSQL, from SEED on: nodes killed and
#              stopped, networks parted, the server killed and frozen
# make bench-NAME  one of the measurements of docs/performance.md: start, sweep, latency, growth,
#              soak, idle, scrape, page, limits, freshness, databases, takeover;
#              OPTIONS="--orders 100000" makes it a smaller one
# make bench-report  their figures into docs/performance.md, with its plots
# make wheel   dist/watcher-….whl, with what systemd needs, and dist/watcher_client-….whl
# make api     docs/api.md and the client's shapes, from what the daemon says of itself
# make picture docs/pictures/packages.svg, from the imports; the terminal's picture: docs/source/terminal.py
# make site    README and docs as pages for a browser, with a search, in build/site
# make grafana the alerts and dashboards in grafana/, from grafana/source
# make pictures  of the dashboards, from MINUTES of a demo (needs chromium, prometheus)
# make lock    pin the newest dependencies that pyproject.toml allows (needs uv)

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
DEMO_PORT ?= 9466

.PHONY: demo check test canaries quick lint types imports tests computing waiting coverage pythons lowest fuzz torture torture-cluster wheel api picture site grafana pictures lock clean
.PHONY: bench-start bench-sweep bench-latency bench-growth bench-soak bench-idle bench-scrape bench-page bench-limits \
  bench-freshness bench-databases bench-takeover bench-report

demo: $(VENV)/.runtime
	@exec $(BIN)/watcher demo --port $(DEMO_PORT)

# Two jobs: the tests are as long as the others together.
check: $(VENV)/.dev
	@$(MAKE) --no-print-directory -j 2 quick lint types imports

test: lint types imports tests $(if $(PYTHONS),pythons)

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev
	$(BIN)/mypy

imports: $(VENV)/.dev
	$(BIN)/lint-imports

quick: $(VENV)/.dev
	$(BIN)/pytest -q -n auto --dist worksteal -m "not long and not postgresql" --hypothesis-profile=quick tests/unit

# What waits runs beside what computes, and each half's output comes when it ends. What measures
# follows alone.
tests: $(VENV)/.dev
	@echo 'The tests run in two halves at once, for about a quarter of an hour, and are reported when a half ends.'
	@$(MAKE) --no-print-directory -j 2 --output-sync=target computing waiting
	$(BIN)/pytest -m alone tests/acceptance

# One more than cores: integration tests wait now and then.
computing: $(VENV)/.dev
	$(BIN)/pytest -n $$(($$(nproc) + 1)) --dist worksteal tests/unit tests/integration

# Two for each core, a file at a time: two machines would manage each other's control groups.
waiting: $(VENV)/.dev
	$(BIN)/pytest -n $$((2 * $$(nproc))) --dist loadfile -m "not alone" tests/system tests/acceptance

canaries: $(VENV)/.dev
	@$(BIN)/python -m tests.canaries.run --table docs/reliability.md $(if $(ONLY),--only '$(ONLY)')

# No part of `make test`: tracing doubles what the tests ask of a core.
coverage: $(VENV)/.dev
	$(BIN)/coverage run -m pytest tests/unit tests/integration
	$(BIN)/coverage report --skip-covered --skip-empty

# The unit tests on every other Python from 3.11 to 3.13 that the machine has.
pythons: $(VENV)/.dev
	@tests/other_pythons $(BIN)/python

# The unit tests with the oldest dependencies that pyproject.toml allows.
lowest: $(VENV)/.dev
	@tests/lowest_versions $(BIN)/python tests/unit

$(VENV)/.runtime: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo 'watcher needs Python 3.11 or newer: make PYTHON=/path/to/python3.x'; exit 1; }
	@echo 'Installing into $(VENV) …'
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) install --require-hashes -r requirements.lock
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.runtime requirements-dev.lock
	@$(PIP) install --require-hashes -r requirements-dev.lock
	@touch $@

# Not among the locked dependencies: it has wheels for some Pythons and machines only.
fuzz: DURATION ?= 60
fuzz: $(VENV)/.dev
	@$(PIP) install --only-binary :all: 'atheris>=3,<4' \
	  || { echo 'atheris has no wheel for this Python and machine: nothing was fuzzed'; exit 1; }
	@$(BIN)/python -m tests.fuzz.decoders $(DURATION)

torture: DURATION ?= 10m
torture: $(VENV)/.dev
	@$(BIN)/python -m tests.acceptance.harness.torture \
	  $(if $(SCENARIOS),--scenarios $(SCENARIOS),--duration $(DURATION)) \
	  $(if $(SEED),--seed $(SEED)) $(if $(RESULTS),--results $(RESULTS)) \
	  $(if $(DATABASE),--database $(DATABASE))

torture-cluster: SCENARIOS ?= 20
torture-cluster: SEED ?= 1
torture-cluster: $(VENV)/.dev
	@$(BIN)/python -m tests.acceptance.harness.cluster_torture --scenarios $(SCENARIOS) \
	  --seed $(SEED) $(if $(RESULTS),--results $(RESULTS))

FIGURES := docs/performance
BENCH = @mkdir -p $(FIGURES) && $(BIN)/python -m benchmarks

bench-start: $(VENV)/.dev
	$(BENCH).start --json $(FIGURES)/start.json $(OPTIONS)

bench-sweep: $(VENV)/.dev
	$(BENCH).sweep --json $(FIGURES)/sweep.json $(OPTIONS)

# 40 connections, answers after 300 ms.
bench-latency: $(VENV)/.dev
	$(BENCH).sweep --against --orders 200000 --panels 2 --latency 0.3 \
	  --json $(FIGURES)/latency.json $(OPTIONS)

bench-growth: $(VENV)/.dev
	$(BENCH).growth --json $(FIGURES)/growth.json $(OPTIONS)

bench-idle: $(VENV)/.dev
	$(BENCH).idle --json $(FIGURES)/idle.json $(OPTIONS)

bench-scrape: $(VENV)/.dev
	$(BENCH).scrape --json $(FIGURES)/scrape.json $(OPTIONS)

bench-page: $(VENV)/.dev
	$(BENCH).page --json $(FIGURES)/page.json $(OPTIONS)

bench-soak: $(VENV)/.dev
	$(BENCH).soak --json $(FIGURES)/soak.json $(OPTIONS)

bench-limits: $(VENV)/.dev
	$(BENCH).limits --json $(FIGURES)/limits.json $(OPTIONS)

bench-freshness: $(VENV)/.dev
	$(BENCH).freshness --out $(FIGURES)/freshness.json $(OPTIONS)
	$(BENCH).lived --json $(FIGURES)/lived.json

# A file and a PostgreSQL server (Debian's postgresql) side by side.
bench-databases: $(VENV)/.dev
	$(BENCH).databases --json $(FIGURES)/databases.json $(OPTIONS)

# Needs PostgreSQL.
bench-takeover: $(VENV)/.dev
	$(BENCH).takeover --json $(FIGURES)/takeover.json $(OPTIONS)

bench-report: $(VENV)/.dev
	$(BENCH).document

wheel: $(VENV)/.dev
	$(PIP) wheel --no-deps --no-build-isolation --wheel-dir dist . ./clients/python

api: $(VENV)/.dev
	$(BIN)/python -m docs.source

picture: $(VENV)/.dev
	$(BIN)/python -m docs.source.packages

# Not among the locked dependencies: nothing else needs it.
site: $(VENV)/.dev
	@$(PIP) install 'mkdocs>=1.6,<2'
	@$(BIN)/python -m mkdocs build --quiet
	@echo 'build/site/index.html; with its search: python3 -m http.server --directory build/site'

grafana: $(VENV)/.dev
	$(BIN)/python -m grafana.source

pictures: MINUTES ?= 12
pictures: $(VENV)/.runtime
	$(BIN)/python -m grafana.pictures.draw --minutes $(MINUTES)

lock:
	uv pip compile --quiet --universal --generate-hashes --no-header --python-version 3.11 \
	  --group build pyproject.toml -o requirements.lock
	echo 'psycopg[binary]>=3.2.2' | uv pip compile --quiet --universal --generate-hashes --no-header \
	  --python-version 3.11 --constraint requirements.lock - -o requirements-postgres.lock
	uv pip compile --quiet --universal --generate-hashes --no-header --python-version 3.11 \
	  --constraint requirements.lock --group dev pyproject.toml -o requirements-dev.lock

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage .fuzz
