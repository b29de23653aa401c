# Python 3.11 or newer and make are all that must be there. `make run` is the place to start.
# the first one that is new enough; looked for once, and only when something has to be set up
PYTHON ?= $(eval PYTHON := $(shell for name in python3 python3.11 python3.12 python3.13 python3.14; do \
	$$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$name && exit; \
	done; echo python3))$(PYTHON)
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet
PYTEST := $(BIN)/pytest --database=both -o tmp_path_retention_count=1
CATALOGUES := wa_admin/translations

.PHONY: setup run demo test lint bench faults fuzz audit sbom lock translations browser postgresql

setup: .venv/ready

run: .venv/ready
	@$(BIN)/wa-admin up

demo: export WA_ENGINE = simulator
demo: export WA_DATA_DIR ?= instance/demo
demo: .venv/ready
	@$(BIN)/wa-admin up --sample

test: export PYTHONDONTWRITEBYTECODE = # else each process that a test starts compiles itself
# a commit waits for the disk, 3 ms on many machines: keep it in memory where there is room
test: export PYTEST_DEBUG_TEMPROOT ?= $(shell df -Pk /dev/shm 2>/dev/null | awk 'NR > 1 && $$4 > 2000000 {print $$6}')
test: .venv/ready-for-tests browser postgresql
	@$(PYTEST) -n 3 --dist loadfile --no-loadscope-reorder $(TESTS) || { [ $$? = 1 ] && \
		echo "Once more and alone, since a busy machine makes real processes late:" && \
		$(PYTEST) --last-failed --last-failed-no-failures none $(TESTS); }

lint: .venv/ready-for-tests
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/pytest -q --noconftest -p no:cacheprovider tests/test_layout.py

bench: .venv/ready-for-tests browser postgresql # ONLY="list history": some of its sections
	@$(BIN)/python -m bench $(ONLY)

faults: export TMPDIR ?= $(shell df -Pk /dev/shm 2>/dev/null | awk 'NR > 1 && $$4 > 2000000 {print $$6}')
faults: .venv/ready-for-tests postgresql
	@$(BIN)/python -m faults --database both $(SCENARIOS)

# so many made-up calls of each kind; in the suite there are 5, the same each time
fuzz: export FUZZ_EXAMPLES ?= 100
fuzz: .venv/ready-for-tests
	$(BIN)/pytest -q --timeout 3600 tests/fuzz

audit: .venv/ready-for-tests # asks osv.dev, and says so when nobody answers there
	@$(BIN)/python .ci/audit.py requirements.lock requirements-dev.lock

sbom: export PYTHONWARNINGS = ignore::UserWarning # a lock knows nothing of who needs whom
sbom: .venv/ready-for-tests
	@mkdir -p dist
	@$(BIN)/python .ci/sbom.py dist/sbom.cdx.json

translations: .venv/ready-for-tests # after a sentence has changed; then fill in what is missing
	$(BIN)/pybabel -q extract -F pyproject.toml -k _l -k lazy_gettext --no-wrap --sort-by-file \
		--no-location -o .venv/messages.pot .
	$(BIN)/pybabel -q update -i .venv/messages.pot -d $(CATALOGUES) --no-wrap --no-fuzzy-matching --ignore-obsolete
	$(BIN)/pybabel -q compile -d $(CATALOGUES)

lock: .venv/ready-for-tests
	$(BIN)/uv pip compile -q --universal --generate-hashes --no-header --no-annotate --no-emit-index-url \
		--no-emit-find-links --group build pyproject.toml -o requirements.lock
	$(BIN)/uv pip compile -q --universal --generate-hashes --no-header --no-annotate --no-emit-index-url \
		--no-emit-find-links -c requirements.lock --group dev pyproject.toml -o requirements-dev.lock

.venv/ready: pyproject.toml requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "wa-admin needs Python 3.11 or newer: install it, or say PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo "$(PYTHON) cannot make virtual environments: on Debian and Ubuntu, apt install python3-venv"; exit 1; }
	@echo "Setting up .venv (once) ..."
	@$(PYTHON) -m venv .venv
	@$(PIP) --require-hashes -r requirements.lock
	@$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

.venv/ready-for-tests: requirements-dev.lock .venv/ready
	@$(PIP) --require-hashes -r requirements-dev.lock
	@touch $@

browser: # for the tests in tests/browser
	@for name in chromium-headless-shell chromium chromium-browser google-chrome; do \
		command -v $$name >/dev/null && exit 0; done; \
	[ "$$(id -u)" = 0 ] && as_root= || as_root="sudo -n"; \
	$$as_root true 2>/dev/null && command -v apt-get >/dev/null || \
		{ echo "The browser tests need Chromium: apt install chromium fonts-liberation"; exit 1; }; \
	echo "Installing Chromium for the browser tests (once) ..."; \
	$$as_root apt-get update -qq && \
	{ $$as_root apt-get install -qq -y chromium-headless-shell fonts-liberation >/dev/null 2>&1 || \
		$$as_root apt-get install -qq -y chromium fonts-liberation >/dev/null; }

postgresql: # a server of their own for the tests; none is left running
	@ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || command -v initdb >/dev/null && exit 0; \
	[ "$$(id -u)" = 0 ] && as_root= || as_root="sudo -n"; \
	$$as_root true 2>/dev/null && command -v apt-get >/dev/null || \
		{ echo "The tests on PostgreSQL need its programs: apt install postgresql"; exit 1; }; \
	echo "Installing PostgreSQL for the tests (once) ..."; \
	$$as_root apt-get update -qq && $$as_root apt-get install -qq -y postgresql >/dev/null
