# Everything works on a fresh machine with Python >= 3.11, git and make: each target sets up .venv by itself.
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
	command -v $$p >/dev/null && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
TOOLS := $(VENV)/tools/.ready
VERSION = $(shell $(BIN)/gatewright --version | sed 's/.* //')

.PHONY: help setup tools up test lint format bench conformance docs lock clean

help:           ## Show this help
	@grep -hE '^[a-z-]+: .*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*##/\t/' | expand -t 20

setup: $(READY) ## Make .venv with everything in it

$(READY): requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "error: no Python >= 3.11 found; install one, or run: make PYTHON=/path/to/python" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

tools: $(TOOLS) ## Install what tests run beside gatewright: helm, kubectl, checkov, a Terraform provider, schemas

$(TOOLS): tests/deploy/install.py $(wildcard tests/deploy/requirements/*.lock) | $(READY)
	$(BIN)/python -m tests.deploy.install $(VENV)/tools
	@touch $@

up: $(READY)    ## Run the reference edge: gatewright up examples/eks
	$(BIN)/gatewright up examples/eks

test: $(READY) $(TOOLS) ## Run all tests
	$(BIN)/pytest -n auto --dist loadgroup --no-loadscope-reorder

lint: $(READY)  ## Check style, types and layers
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(READY) ## Format the code
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: $(READY) ## Measure: start-up, and gateway-api-bench's tests at its sizes
	$(BIN)/python -m bench

# More options for the runs are in CONFORMANCE, as in: make conformance CONFORMANCE='-seed=random' (or '-tests=GRPC', ...)
conformance: conformance-proxy conformance-alb conformance-nlb ## Run the official Gateway API conformance suite (needs Linux and Go)

# $(call suite,NAME OF THE FILES,WHAT up IS GIVEN,OPTIONS OF THE RUNNER)
suite = $(BIN)/gatewright up --no-watch $(2) --exec 'cd conformance && exec ../$(VENV)/conformance.test \
	-test.timeout=60m -conformance-options-file=options$(1).yaml -version=$(VERSION) \
	-report-output=reports/report$(1).yaml $(3) $(CONFORMANCE)' 2>$(VENV)/conformance$(1).log || { \
	status=$$?; echo "what the edge said is in $(VENV)/conformance$(1).log" >&2; exit $$status; }

$(VENV)/conformance.test: $(READY) $(wildcard conformance/*.go conformance/go.*)
	@command -v go >/dev/null || { echo "error: no Go found; the conformance suite needs Go >= 1.26" >&2; exit 1; }
	go -C conformance test -c -o ../$@ .

conformance-proxy: $(VENV)/conformance.test ## The suite on class gatewright, a proxy
	@$(call suite,,conformance/edge.yaml,)

conformance-alb: $(VENV)/conformance.test ## The suite on class aws-alb, an ALB of the emulated AWS
	@$(call suite,-alb,--aws conformance/edge.yaml,-partial -dns=$$EDGE_DNS)

conformance-nlb: $(VENV)/conformance.test ## The suite on class aws-nlb, an NLB of the emulated AWS
	@$(call suite,-nlb,--aws conformance/edge-nlb.yaml,-partial -without-base-gateways -dns=$$EDGE_DNS)

docs: $(READY)  ## Print anew what is generated: docs/alb-support.md, config/crd, the chart's crds
	$(BIN)/python -m gatewright.aws.support > docs/alb-support.md
	$(BIN)/python -m gatewright.model.definition config/crd
	$(BIN)/python -m gatewright.model.definition deploy/chart/gatewright/crds

lock:           ## Compute requirements.lock and the locks of the tests' tools anew
	$(PYTHON) -m venv $(VENV)-lock
	$(VENV)-lock/bin/pip install --quiet uv
	$(VENV)-lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-emit-find-links --custom-compile-command 'make lock' --group dev --output-file requirements.lock pyproject.toml
	for tools in tools terraform checkov; do \
		$(VENV)-lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
			--no-emit-find-links --no-annotate --custom-compile-command 'make lock' \
			$$(test $$tools = checkov || echo --no-deps) \
			--output-file tests/deploy/requirements/$$tools.lock tests/deploy/requirements/$$tools.in || exit 1; \
	done
	rm -rf $(VENV)-lock

clean:          ## Remove what the other targets made
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
