# One way in, for laptops and CI alike. `make help` lists the targets; every target sets up what it needs.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-print-directory --no-builtin-rules
.DEFAULT_GOAL := help

export PATH := $(CURDIR)/.venv/bin:$(PATH)
# jsii and the CDK modules load in 1.5 s from cached bytecode and in 8 s without it.
unexport PYTHONDONTWRITEBYTECODE
unexport PYTHONPATH
# moto, boto3 and the CDK must never find a developer's real account in a test.
AWS_FREE := env -u AWS_PROFILE -u AWS_ACCESS_KEY_ID -u AWS_SECRET_ACCESS_KEY -u AWS_SESSION_TOKEN -u AWS_ENDPOINT_URL \
	AWS_EC2_METADATA_DISABLED=true

READY := .venv/ready
CHECKOV := .venv/checkov/bin/checkov
DEPLOYMENT ?= deployments/local.yaml
# Tests of one file share what they deploy, so a file runs in one process.
TEST_PROCESSES ?= 2

.PHONY: help setup deploy-local destroy-local test style lint format bench docs snapshots clean

help: ## Show this list
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) ## Make .venv: hash-locked packages, node 24, the CDK command line, the embedded AWS

$(READY): requirements.lock package.json package-lock.json pyproject.toml infra/neuron_cdk/local/requirements.lock scripts/setup.sh
	@bash scripts/setup.sh
	@touch $@

# checkov needs an old boto3: an environment of its own.
$(CHECKOV): tests/stacks/checkov.lock | $(READY)
	@uv venv --quiet --clear $(dir $(@D))
	@uv pip sync --quiet --python $(@D)/python --require-hashes tests/stacks/checkov.lock \
	  || { echo "checkov cannot be installed: the Python package registry does not answer" >&2; exit 1; }
	@touch $@

deploy-local: $(READY) ## Deploy the whole platform on this machine and call the endpoint
	@neuron-cdk local deploy $(DEPLOYMENT)

destroy-local: $(READY) ## Stop the embedded AWS and remove everything it left
	@neuron-cdk local down --delete-state
	@rm -rf .local

test: style $(CHECKOV) ## Run every check and every test
	@$(AWS_FREE) python -m pytest --numprocesses $(TEST_PROCESSES) --dist loadfile --no-loadscope-reorder

style: $(READY)
	@ruff format --check --quiet . || { echo "make format puts these in the project's format" >&2; exit 1; }
	@ruff check --quiet .
	@mypy

lint: style ## Formatting, types, templates and security rules, in seconds
	@$(AWS_FREE) python -m pytest tests/stacks/test_nag.py tests/stacks/test_cfn_lint.py

format: $(READY) ## Rewrite the Python files in the project's format
	@ruff check --fix --quiet . ; ruff format --quiet .

snapshots: $(READY) ## Accept the templates as they are now (say why in the commit)
	@$(AWS_FREE) python -m pytest tests/stacks/test_snapshots.py --snapshot-update

bench: $(READY) ## Measure synth, validate, cold start and the local deploy; results in benchmarks/results/
	@$(AWS_FREE) python -m benchmarks

docs: $(READY) ## Record a run of endpoints that scale, draw the pictures, write the reference pages
	@$(AWS_FREE) python -m docs.scaling_run
	@$(AWS_FREE) PYTHONPATH=lambda python -m docs.build

clean: ## Remove everything make made (the embedded AWS is stopped first)
	@[ ! -x .venv/bin/neuron-cdk ] || .venv/bin/neuron-cdk local down >/dev/null || true
	@rm -rf .venv node_modules .local cdk.out cdk.out.* dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
