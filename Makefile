# `make table1`, `make study` and `make test` do all their set-up themselves: a virtual environment with the locked packages, then the work.
PYTHON ?= python3
VENV ?= .venv
CORES ?= 1
BIN := $(abspath $(VENV))/bin

.PHONY: table1 study test lint lock

$(VENV)/installed: requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("dad needs Python 3.11 or newer, this is " + sys.version if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	touch $@

table1: $(VENV)/installed
	$(BIN)/snakemake --cores $(CORES) reports/table1.csv

study: $(VENV)/installed
	$(BIN)/snakemake --cores $(CORES)

test: $(VENV)/installed lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q --numprocesses auto --dist loadfile

lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/snakemake --lint

# exact versions of what pyproject.toml allows today; CUDA packages exist for Linux on x86-64 only
lock:
	rm -rf .venv-lock && $(PYTHON) -m venv .venv-lock
	.venv-lock/bin/python -m pip install --quiet --disable-pip-version-check '.[dev]'
	echo "# Exact versions of everything, tests included (\`make lock\`)." > requirements.lock
	.venv-lock/bin/python -m pip freeze --exclude dad | grep -v '@' \
	  | sed -E "s/^((nvidia|cuda|triton)[^;]*)$$/\1; sys_platform == 'linux' and platform_machine == 'x86_64'/" >> requirements.lock
	rm -rf .venv-lock
