# The commands of the course. Each needs Python 3.11-3.13 and make, nothing else.
#
#   make run         execute the notebooks in batch into build/, with build/index.html
#   make check       format, lint, who imports whom, and the library's tests but those that kill processes: after every change
#   make test        all tests
#   make kills       a hundred kills of batch runs and of trainings, at any moment (half an hour)
#   make fuzz        property tests with more inputs, others every time: 10,000 texts of any characters (half an hour)
#   make notebooks   rebuild notebooks/*.ipynb from notebooks/scripts/*.py
#   make lab         JupyterLab on this machine
#   make site        the course as a website, in build/site: from the stored outputs, nothing is executed
#   make browser     a notebook run in JupyterLab in a real browser (needs Chromium)
#   make bench       measurements beside the peer library
#   make bench-models   larger models for them, into build/bench-models: 1.2 GB
#   make compat      saved models against older versions of the peer library
#   make colab       the notebooks with the versions that Google Colab ships
#   make rounding    the notebooks in the arithmetic of an older processor: trainings end a little elsewhere, claims stay
#   make doctor      what is missing or broken here, and what to do about it
#
#   make run NOTEBOOKS="05_mean_pooling 06_sbert" PARAMS="-p seed 1"
#   make -j2 run     two notebooks at a time

PYTHON ?= python3
NOTEBOOKS ?=
PARAMS ?=

PY := .venv/bin/python
INSTALLED := .venv/.installed
DEV := .venv/.dev

NAMES := $(basename $(notdir $(if $(strip $(NOTEBOOKS)),$(NOTEBOOKS),$(sort $(wildcard notebooks/*.ipynb)))))
# What every notebook depends on: the library, the solutions and the data. Only names with a dot: files, not folders.
SOURCES := $(wildcard course_lib/*.py course_lib/*/*.py notebooks/solutions/*.py data/*.* data/*/*.* data/*/*/*.* data/*/*/*/*.*)

.PHONY: run executed lint check test kills fuzz notebooks lab site browser bench bench-models compat colab rounding doctor
.DELETE_ON_ERROR:
.SUFFIXES:
.SECONDARY:

FITTING_PYTHON = $(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(None if (3, 11) <= v <= (3, 13) else "the course needs Python 3.11, 3.12 or 3.13; $(PYTHON) is %d.%d: name another, make PYTHON=python3.12" % v)'

# The environment is made anew whenever the lock changes.
$(INSTALLED): requirements-lock.txt requirements.txt pyproject.toml
	@$(FITTING_PYTHON)
	$(PYTHON) -m venv --clear .venv
	$(PY) -m pip install --quiet --disable-pip-version-check -r requirements-lock.txt
	$(PY) -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

# What tests and tools need besides.
$(DEV): requirements-lock-dev.txt $(INSTALLED)
	$(PY) -m pip install --quiet --disable-pip-version-check -r requirements-lock-dev.txt
	@touch $@

# Names and parameters are checked first; then make decides what is out of date, goes on after a failure
# (-k) and runs as many at a time as its -j says; the index reads what came of it and sets the exit code.
run: $(INSTALLED)
	@$(PY) tools/batch.py check --notebooks "$(NOTEBOOKS)" -- $(PARAMS)
	@$(MAKE) --no-print-directory -k executed; $(PY) tools/batch.py index $(NAMES)

executed: $(NAMES:%=build/%.ipynb)

build/%.ipynb: notebooks/%.ipynb build/parameters/%.yaml $(SOURCES) $(INSTALLED)
	@$(PY) tools/execute.py $*

# `make run` has written this already; the rule serves `make build/NN_name.ipynb`.
build/parameters/%.yaml:
	@$(PY) tools/batch.py check --notebooks "$*" -- $(PARAMS)

lint: $(DEV)
	$(PY) -m ruff format --check --quiet .
	$(PY) -m ruff check --quiet .
	$(dir $(PY))lint-imports --no-logo --no-cache

check: lint
	$(PY) -m pytest -n 2 tests/library

test: lint
	$(PY) -m pytest -n 2

kills: $(DEV)
	COURSE_KILLS=100 COURSE_FORKS=1 $(PY) -m pytest -s -k killed_at_any_time tests/library/test_training_killed.py
	COURSE_KILLS=100 COURSE_FORKS=1 $(PY) -m pytest -s -k random tests/library/support/test_saving_killed.py
	COURSE_KILLS=100 $(PY) -m pytest -s tests/tools/test_run_killed.py

fuzz: $(DEV)
	COURSE_EXAMPLES=100 $(PY) -m pytest tests/library/test_properties.py tests/library/test_properties_of_vectors.py tests/library/support/test_rankings.py
	COURSE_EXAMPLES=1000 $(PY) -m pytest -s tests/library/test_properties_of_characters.py

notebooks: $(DEV)
	$(PY) tools/build_notebooks.py $(NOTEBOOKS)

lab: $(INSTALLED)
	$(PY) -m jupyterlab --ip=127.0.0.1 --ServerApp.root_dir=. --LabApp.default_url=/lab/tree/notebooks --LabApp.extra_labextensions_path=tools/lab

# An environment of its own: who runs notebooks needs no Sphinx, and the site needs no torch.
build/site-env/.installed: tools/site/requirements.txt
	@$(FITTING_PYTHON)
	$(PYTHON) -m venv --clear build/site-env
	build/site-env/bin/python -m pip install --quiet --disable-pip-version-check -r tools/site/requirements.txt
	@touch $@

site: build/site-env/.installed
	build/site-env/bin/python tools/site/build_site.py

# The batch run first: the browser opens its index too.
browser: $(DEV)
	@$(MAKE) --no-print-directory run NOTEBOOKS="$(or $(NOTEBOOKS),05_mean_pooling)"
	NOTEBOOKS="$(NOTEBOOKS)" $(PY) -m pytest tests/browser

bench-models: $(DEV)
	$(PY) tools/bench_models.py

bench: $(DEV)
	@set -e; for script in benchmarks/*.py; do echo "$$script"; $(PY) $$script; done

compat: $(DEV)
	$(PY) tools/compat.py

colab: $(DEV)
	$(PY) tools/colab.py $(NOTEBOOKS)

# One thread and an older instruction set, as MKL, oneDNN and torch are told. The touch: what was run before is no answer.
rounding: $(INSTALLED)
	@touch -c $(NAMES:%=notebooks/%.ipynb)
	@OMP_NUM_THREADS=1 MKL_CBWR=COMPATIBLE ONEDNN_MAX_CPU_ISA=AVX2 ATEN_CPU_CAPABILITY=default $(MAKE) --no-print-directory run

# Of the environment as it is: a broken one is not mended first.
doctor:
	@$(if $(wildcard $(PY)),$(PY),$(PYTHON)) tools/doctor.py
