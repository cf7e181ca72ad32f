# make demo     the whole way on this machine, small: repository, data, training on the CPU
# make test     all tests
# make lint     ruff and mypy
# make bench    benchmarks, each beside the upstream tool
# make core     the tests of the core on every Python from 3.8 to 3.13 that is installed
#
# The first call sets up .venv (no root needed); later ones find it ready.

PYTHON ?= python3

.PHONY: demo test lint bench core setup tools have-python clean

setup: have-python
	@$(PYTHON) tools/setup_env.py cpu

tools: have-python
	@$(PYTHON) tools/setup_env.py tools

# Python itself looks for everything else that may be missing.
have-python:
	@command -v $(PYTHON) >/dev/null || { \
	  echo "error: this machine lacks Python: apt-get install python3 python3-venv" >&2; exit 3; }

demo: setup
	@.venv/bin/bertkit demo $(DEMO_FLAGS)

test: setup
	@.venv/bin/python -m pytest $(TEST_FLAGS)

lint: tools
	@.venv-tools/bin/tox -q -e lint

core: tools
	@.venv-tools/bin/tox -q

bench: setup
	@.venv/bin/python -m benchmarks

clean:
	rm -rf .venv .venv-tools .tox .venv-setup.log .venv-tools-setup.log
