# Everything a developer types. The first call of any of these sets itself up; the second finds all in place.
#   make run      a certified network on this machine, live in the terminal (ARGS="--providers 3 --dir lab-data")
#   make test     all tests (ARGS="tests/receipts -k acceptance")
#   make test-clients  mail programs people own against our server and Dovecot, with 5,000 messages and with windows
#   make check    what is wrong with style and types; changes nothing
#   make format   put style right
#   make bench    how fast (ARGS="--flows 2000 --store postgresql")
#   make mutants  break every requirement and see its tests fail (ARGS="AP-14 HDR-02")
#   make docs     write the documents that are made from the code
#   make setup    .venv with everything, and the programs that tests drive

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
ARGS ?=

.PHONY: setup run test test-clients check format bench mutants docs tools clean

setup: $(VENV)/development.stamp tools

run: $(VENV)/runtime.stamp
	@$(BIN)/ceralacca lab $(ARGS)

test: $(VENV)/development.stamp tools
	@$(BIN)/python -m pytest --numprocesses auto -m "not desktop" $(ARGS)

test-clients: $(VENV)/development.stamp tools
	@CERALACCA_CLIENT_MESSAGES=5000 $(BIN)/python -m pytest tests/clients $(ARGS)

check: $(VENV)/development.stamp
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --check --quiet . || { echo "make format puts the files above in order"; exit 1; }
	@$(BIN)/mypy

format: $(VENV)/development.stamp
	@$(BIN)/ruff check --quiet --fix . || true
	@$(BIN)/ruff format .

bench: $(VENV)/runtime.stamp
	@$(BIN)/ceralacca bench $(ARGS)

mutants: $(VENV)/development.stamp tools
	@$(BIN)/python -m tests.mutants.run $(ARGS)

docs: $(VENV)/development.stamp
	@$(BIN)/ceralacca example-config > config/gateway.example.toml
	@$(BIN)/ceralacca example-config --reference > docs/configuration.md
	@$(BIN)/python -m tests.conformance

tools:
	@tests/install-tools

clean:
	rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis

# Debian's python3 may come without ensurepip; then the pip of the system fills the environment.
$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Ceralacca needs Python 3.11 or newer")'
	@echo "making $(VENV) (once)"
	@$(PYTHON) -m venv $(VENV) >/dev/null 2>&1 || { \
		$(PYTHON) -m venv --clear --without-pip $(VENV) && $(PYTHON) -m pip --python $@ install --quiet pip; }

$(VENV)/runtime.stamp: pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing what runs (once)"
	@$(INSTALL) setuptools
	@$(INSTALL) --no-build-isolation --editable .
	@touch $@

$(VENV)/development.stamp: $(VENV)/runtime.stamp
	@echo "installing what tests and checks (once)"
	@$(INSTALL) --no-build-isolation --editable '.[dev]'
	@touch $@
