# Each of these works on a fresh clone with Python 3.11 to 3.13, make and a network:
#   make demo    simulate a small dataset, run the app on it, and say what to look at
#   make test    run the tests
#   make check   lint, formatting, types, and who may import whom
#   make lock    resolve the dependencies anew (to newer versions as well)
#   make clean   remove everything that was made here
# The first three make the virtual environment .venv and use it again afterwards.
# To choose the interpreter: make PYTHON=/path/to/python3.12 ...

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DEMO := demo

# Asked of an interpreter: does it run, is its version right, can it make a virtual environment?
SUITABLE := import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))

# Sets $$python in a recipe. A name on the PATH may be a shim that fails, so each candidate is tried.
define find_python
python=; \
for candidate in $(or $(PYTHON),python3.13 python3.12 python3.11 python3); do \
    if "$$candidate" -c "$(SUITABLE)" >/dev/null 2>&1; then python="$$candidate"; break; fi; \
done; \
if [ -z "$$python" ]; then \
    echo "No suitable Python in: $(or $(PYTHON),python3.13 python3.12 python3.11 python3)." >&2; \
    echo "Version 3.11, 3.12 or 3.13 with venv is needed; name it with make PYTHON=/path/to/python." >&2; \
    exit 1; \
fi
endef

.PHONY: demo test check lock clean
.DEFAULT_GOAL := test

$(STAMP): requirements-dev.lock pyproject.toml
	@if ! $(BIN)/python -c "$(SUITABLE)" >/dev/null 2>&1; then \
	    $(find_python); \
	    echo "Making $(VENV) with $$("$$python" --version)"; \
	    rm -rf $(VENV) && "$$python" -m venv $(VENV); \
	fi
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

# Two files at a time: what a machine with two cores and 8 GiB bears. Tests of one file share what they simulate. In the order of
# tests/conftest.py, not by the number of tests: the file that takes longest has few.
test: $(STAMP)
	$(BIN)/python -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder

check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy bids_eeg2fmri
	$(BIN)/lint-imports

demo: $(STAMP)
	rm -rf $(DEMO)
	$(BIN)/python -m bids_eeg2fmri.testing.simulate $(DEMO)/dataset --participants 4 --eeg-only 1
	$(BIN)/bids_eeg2fmri $(DEMO)/dataset $(DEMO)/derivatives participant
	$(BIN)/bids_eeg2fmri $(DEMO)/dataset $(DEMO)/derivatives group
	$(BIN)/bids_eeg2fmri $(DEMO)/dataset $(DEMO)/derivatives participant \
	    --participant-label 05 --model $(DEMO)/derivatives/models/group
	@echo
	@echo "Reports, to open in a browser:"
	@ls $(DEMO)/derivatives/sub-*.html $(DEMO)/derivatives/group.html
	@echo "A synthesized series, to open in a viewer for NIfTI images:"
	@find $(DEMO)/derivatives -name '*desc-synth_bold.nii.gz' | sort | sed q | grep .

# uv resolves for every platform and supported Python at once, which pip does not. It gets an environment of its own, so
# that a lock can be made when the present one does not install. The second lock is bound to the versions of the first.
lock:
	@$(find_python); \
	tools=$$(mktemp -d) && trap 'rm -rf "$$tools"' EXIT && \
	"$$python" -m venv "$$tools" && \
	"$$tools/bin/python" -m pip install --quiet --disable-pip-version-check 'uv>=0.9' && \
	compile="$$tools/bin/uv pip compile pyproject.toml --quiet --no-config --upgrade --universal --python-version 3.11 \
	    --fork-strategy fewest --generate-hashes --no-header" && \
	$$compile -o requirements.lock >/dev/null && \
	$$compile --extra dev -c requirements.lock -o requirements-dev.lock >/dev/null

clean:
	rm -rf $(VENV) $(DEMO) build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
