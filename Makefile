# `make table1`, `make study` and `make test` do all their set-up themselves: a virtual environment with the locked packages, then the work.
# On Linux most of the 6.8 GB are CUDA's libraries, which the package index's torch needs. The builds without CUDA lie on an index of PyTorch's own, so one
# list of locked packages cannot name both. To use them, put torch and torchvision of the locked versions, both from there, into $(VENV) and add CUDA=no.
PYTHON ?= python3
VENV ?= .venv
CORES ?= 1
CUDA ?= yes
BIN := $(abspath $(VENV))/bin

.PHONY: install table1 study rehearsal test fuzz kill faults lint lock docs benchmarks

$(VENV)/installed: requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("dad needs Python 3.11 or newer, this is " + sys.version if sys.version_info < (3, 11) else 0)'
ifeq ($(CUDA),no)
	$(BIN)/python -c 'import torch, torchvision; sys = __import__("sys"); lock = open("requirements.lock").read().split(); \
	  bad = [f"{n.__name__} {n.__version__}" for n in (torch, torchvision) if f"{n.__name__}=={n.__version__.partition(chr(43))[0]}" not in lock]; \
	  sys.exit("not of the versions in requirements.lock: " + ", ".join(bad) if bad else 0)' \
	  || { echo "CUDA=no needs the CPU builds of torch and torchvision, both of the versions in requirements.lock, in $(VENV) first"; exit 2; }
	@echo "Installing the packages of requirements.lock without CUDA's into $(VENV): about 1.7 GB beside torch, some minutes, once."
	grep -vE '^(nvidia|cuda|triton|torch)' requirements.lock > $(VENV)/requirements.txt
else
	$(PYTHON) -m venv $(VENV)
	@echo "Installing the packages of requirements.lock into $(VENV): 6.8 GB (5 of them torch with CUDA's libraries), once;" \
	  "about 3 GB are downloaded, which takes 3 to 10 minutes on a fast connection. Without CUDA: see the top of the Makefile."
	cp requirements.lock $(VENV)/requirements.txt
endif
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r $(VENV)/requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	touch $@

install: $(VENV)/installed

table1: $(VENV)/installed
	$(BIN)/dad run reports/table1.csv --cores $(CORES)

study: $(VENV)/installed
	$(BIN)/dad run --cores $(CORES)

test: $(VENV)/installed lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q --numprocesses auto --dist loadfile

# the paper's study with stand-ins of the official formats, two steps a student: a quarter of an hour of CPU or so; docs/rehearsal.md says what has been run
REHEARSAL ?= rehearsal
WORDS ?=
rehearsal: $(VENV)/installed
	$(BIN)/python benchmarks/rehearsal.py --report $(REHEARSAL)/stages.md $(REHEARSAL) $(WORDS)

# every stage killed at random moments and started again, 100 times; KILLS=N for another number, K=snakemake for those of one stage
KILLS ?= 100
K ?=
ONLY = $(if $(K),-k "$(K)")
kill: $(VENV)/installed
	DAD_KILLS=$(KILLS) $(BIN)/python -m pytest -q tests/kill $(ONLY)

# every verb without room, without inodes and on a read-only place, in a tmpfs (as root); `make test` takes four of them; K="export or table" for some
faults: $(VENV)/installed
	DAD_FAULTS=all $(BIN)/python -m pytest -q tests/faults $(ONLY)

# a thousand wrong inputs and more, each with what must come of it; `make test` takes 40 of them
fuzz: $(VENV)/installed
	DAD_FUZZ=all OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q --numprocesses auto tests/fuzz $(ONLY)

lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/snakemake --lint

# README, docs and the reference of the Python functions as a site; a link that leads nowhere fails
docs: $(VENV)/installed
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet
	@echo "site/index.html"

# speed, ours beside upstream's where CHECKOUTS has it (Depth-Anything-V2, Marigold, HDN, earlier): benchmarks/RESULTS.md
CHECKOUTS ?= checkouts
benchmarks: $(VENV)/installed
	$(BIN)/python benchmarks/results.py --checkouts $(CHECKOUTS)

# exact versions of what pyproject.toml allows today; CUDA packages exist for Linux on x86-64 only
lock:
	rm -rf .venv-lock && $(PYTHON) -m venv .venv-lock
	.venv-lock/bin/python -m pip install --quiet --disable-pip-version-check '.[dev]'
	echo "# Exact versions of everything, tests included (\`make lock\`)." > requirements.lock
	.venv-lock/bin/python -m pip freeze --all --exclude dad --exclude pip | grep -v '@' \
	  | sed -E "s/^((nvidia|cuda|triton)[^;]*)$$/\1; sys_platform == 'linux' and platform_machine == 'x86_64'/" >> requirements.lock
	# the same for conda, without a path: Snakemake reads this file from a folder of its own
	sed -i '/^  - pip:/q' environment.yml
	grep -v '^#' requirements.lock | sed 's/^/      - /' >> environment.yml
	rm -rf .venv-lock
