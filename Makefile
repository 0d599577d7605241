# `make demo` and `make test` are all a newcomer needs; both set up whatever is missing.
.DEFAULT_GOAL := help
SHELL := /bin/sh
VENV := .venv
PYTHON := $(VENV)/bin/python
SOURCES := src tests launch benchmarks scripts
KERNEL_SOURCES = $(shell find kernels -name '*.cpp' -o -name '*.h' -o -name '*.hpp' -o -name '*.cu' -o -name '*.cuh')

.PHONY: help setup demo test test-cuda fuzz cuda-check onnx-check gpu-check lint format bench supernet-check lock clean distclean

help: ## what each target does
	@awk -F':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## .venv with every dependency and the built workspace (idempotent, goes on after an interruption)
	@python="$$(scripts/find-python)" && "$$python" scripts/setup.py

demo: setup ## simulate drives, label them and find objects in a real ROS 2 graph, write out/demo/report.html
	@$(VENV)/bin/perception demo

test: setup ## all tests
	@$(PYTHON) -m pytest $(TESTS)

test-cuda: setup ## kernel tests with the CUDA sources run on the CPU, under sanitizers
	@$(PYTHON) scripts/sanitized.py -m pytest --device emulated $(or $(TESTS),tests/ops tests/kernels tests/runtime/device)

fuzz: setup ## random calls of every operation, and damaged bundles, SECONDS=60 each, under sanitizers
	@$(PYTHON) scripts/sanitized.py -m tests.kernels.fuzz --seconds $(or $(SECONDS),60)
	@$(PYTHON) scripts/sanitized.py -m tests.bundle.fuzz --seconds $(or $(SECONDS),60)

cuda-check: setup ## compile the CUDA sources for every GPU generation (needs nvcc 13 and clang-19)
	@$(PYTHON) scripts/check_cuda.py

onnx-check: setup ## parse and build every shipped ONNX network, or FILES='A.onnx B.onnx', with TensorRT (no GPU needed)
	@$(PYTHON) scripts/check_onnx.py $(FILES)

gpu-check: ## build for the GPU that is present, test and time every kernel there (no set-up, no network)
	@python3 scripts/gpu_check.py

lint: setup ## ruff, mypy, clang-format: changes nothing
	@$(VENV)/bin/ruff check $(SOURCES)
	@$(VENV)/bin/ruff format --check --quiet $(SOURCES)
	@$(VENV)/bin/mypy
	@$(VENV)/bin/clang-format --dry-run --Werror $(KERNEL_SOURCES)

format: setup ## rewrite sources to the house style
	@$(VENV)/bin/ruff check --fix --quiet $(SOURCES)
	@$(VENV)/bin/ruff format $(SOURCES)
	@$(VENV)/bin/clang-format -i $(KERNEL_SOURCES)

bench: setup build/peers ## every figure of the README, into out/bench (minutes; wants an idle machine)
	@for benchmark in benchmarks/*.py; do $(PYTHON) "$$benchmark" || exit 1; done

supernet-check: setup ## accuracy of the shipped supernet's networks, and how inherited weights rank (half an hour)
	@for benchmark in benchmarks/supernet/accuracy.py benchmarks/supernet/ranking.py; do \
	  $(PYTHON) "$$benchmark" || exit 1; done

build/peers: benchmarks/requirements.txt
	@echo "bench: installing peers ..." && rm -rf $@ && \
	  $(PYTHON) -m pip install --quiet --disable-pip-version-check --target $@ -r $< 2> build/peers.log || \
	  { tail -3 build/peers.log; rm -rf $@; exit 1; }

lock: ## pin requirements.in again (needs uv)
	@scripts/lock

clean: ## remove what builds and runs leave, keep .venv
	@rm -rf build install log out .pytest_cache .mypy_cache .ruff_cache .hypothesis $(VENV)/.setup-workspace
	@find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +

distclean: clean ## remove .venv too
	@rm -rf $(VENV)
