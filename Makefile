# Everything here works on a machine that has only Python 3.11 or newer and make: each target first makes .venv.

VENV    := .venv
BUILD   := .venv-build
BIN     := $(VENV)/$(if $(filter Windows_NT,$(OS)),Scripts,bin)
PY      := $(BIN)/python
STAMP   := $(VENV)/.installed
PLUGINS := $(patsubst %/pyproject.toml,%,$(wildcard plugins/xsm-*/pyproject.toml))
EXTRAS  := all,bench,test,docs,dev
CONSTRAINTS := constraints.txt
BENCHES := $(sort $(patsubst benchmarks/bench_%.py,bench-%,$(wildcard benchmarks/bench_*.py)))
# Set PYTHON to choose the interpreter that makes .venv.
PYTHON  ?= $(firstword $(foreach p,python3.11 python3 python3.12 python3.13 python3.14 python,$(shell \
             $(p) -c "import sys; sys.version_info < (3, 11) and sys.exit(1)" 2>/dev/null && echo $(p))))

ifneq ($(wildcard ../shared/data),)
export XSM_TEST_DATA ?= $(abspath ../shared/data)
endif

.PHONY: help install demo test test-slow test-oldest faults fuzz lint audit format bench bundles docs wheels qgis-zip clean
.DELETE_ON_ERROR:

help:  ## list the targets
	@sed -n 's/^\([a-z%-]*\):.*##/\1\t/p' $(MAKEFILE_LIST)

install: $(STAMP)  ## make .venv with xsm, its plugins and the tools

demo: $(STAMP)  ## run the study on synthetic data (ARGS="--help" for its options)
	$(BIN)/xsm demo --overwrite $(ARGS)

test: $(STAMP)  ## run all tests except the slow ones (ARGS="-k regrid")
	OMP_NUM_THREADS=1 $(PY) -m pytest -n 2 --dist loadfile -m "not slow" $(ARGS)

test-slow: $(STAMP)  ## run the slow tests
	$(PY) -m pytest -m slow $(ARGS)

faults: $(STAMP)  ## inject faults into runs of a study and count what is lost (ARGS="--only kills")
	$(PY) -m tests.reliability.faults $(ARGS)

fuzz: $(STAMP)  ## damage files of every format and count what the readers do (ARGS="--cases 20 --only 'SCAN JSON'")
	$(PY) -m tests.reliability.fuzz $(ARGS)

test-oldest:  ## run the tests with the oldest supported versions, in .venv-oldest
	$(MAKE) test VENV=.venv-oldest CONSTRAINTS=constraints-oldest.txt EXTRAS=all,test

lint: $(STAMP)  ## ruff, mypy, the floors of imports, words, codespell
	$(PY) -m ruff check
	$(PY) -m ruff format --check
	$(BIN)/lint-imports --no-logo
	$(PY) .ci/words.py src plugins qgis_provider benchmarks tests docs tools
	$(PY) -m mypy
	$(PY) -m mypy --platform win32 src/xsm/faces/worker.py
	$(BIN)/codespell

audit: $(STAMP)  ## look for known vulnerabilities of the pinned packages; asks a service on the web
	$(PY) -m pip install --disable-pip-version-check -q -c constraints.txt pip-audit
	$(PY) -m pip_audit --requirement constraints.txt --no-deps --disable-pip

format: $(STAMP)  ## fix what ruff can fix
	$(PY) -m ruff check --fix
	$(PY) -m ruff format

bench: $(BENCHES)  ## run every benchmark; make bench-NAME runs benchmarks/bench_NAME.py

bench-%: $(STAMP)
	$(PY) -m benchmarks.bench_$* $(ARGS)

bundles: $(STAMP)  ## train the models that come with xsm again, where their folders were removed
	$(PY) -m tools.train_bundles $(ARGS)

docs: $(STAMP)  ## build the documentation into docs/_build/html
	$(PY) -m sphinx -W --keep-going -b html docs docs/_build/html

wheels: $(BUILD)/.installed  ## build all wheels into dist/; needs hatchling alone
	rm -f dist/*.whl
	$(BUILD)/$(notdir $(BIN))/python -m pip wheel --no-cache-dir --no-deps --no-build-isolation --no-index -w dist . $(addprefix ./,$(PLUGINS))

qgis-zip: $(STAMP)  ## build the QGIS plugin's zip into dist/
	$(BIN)/xsm qgis zip dist

clean:  ## remove what was built, but not .venv
	rm -rf dist docs/_build docs/jupyter_execute .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis

define need-python
@test -n "$(PYTHON)" || { echo "xsm needs Python 3.11 or newer and none was found: install it, or run make PYTHON=/path/to/python." >&2; exit 1; }
@$(PYTHON) -c "import sys; sys.version_info < (3, 11) and sys.exit('xsm needs Python 3.11 or newer, this is ' + sys.version.split()[0] + ': run make PYTHON=/path/to/python.')"
@$(PYTHON) -c "import ensurepip, venv" 2>/dev/null || { echo "$(PYTHON) lacks venv or ensurepip: install them (Debian, Ubuntu: apt-get install python3-venv)." >&2; exit 1; }
endef

$(PY):
	$(need-python)
	$(PYTHON) -m venv $(VENV)

$(BUILD)/.installed: $(CONSTRAINTS)
	$(need-python)
	$(PYTHON) -m venv --clear $(BUILD)
	$(BUILD)/$(notdir $(BIN))/python -m pip install --disable-pip-version-check -q -c $(CONSTRAINTS) hatchling
	@touch $@

$(STAMP): pyproject.toml $(CONSTRAINTS) $(PLUGINS:%=%/pyproject.toml) | $(PY)
	$(PY) -m pip install --disable-pip-version-check -c $(CONSTRAINTS) -e ".[$(EXTRAS)]" $(PLUGINS:%=-e ./%)
	@touch $@
