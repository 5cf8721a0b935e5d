# What can be made here. `make help` lists it; each stage is a function of .ci/stage, each area of tests/ brings its own targets.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

PYTHON ?= python3
export PYTHON
export PATH := $(CURDIR)/build/venv/bin:$(PATH)
export ANSIBLE_COLLECTIONS_PATH := $(CURDIR)/build/collections
export ANSIBLE_HOME := $(CURDIR)/build/ansible

STAGES := lint sanity build importer unit integration molecule

.PHONY: help setup test clean $(STAGES)

help: ## list the targets
	@grep -hE '^[a-z][a-z_ -]*:.*## ' $(MAKEFILE_LIST) | sort | sed -E 's/:[^#]*## /\t/' | expand -t 16

setup: build/venv/.stamp ## the Python environment in build/venv, and this collection on Ansible's path

build/venv/.stamp: requirements/dev.txt requirements/runtime.txt | build/collections/ansible_collections/kraf/edge
	@.ci/stage setup

build/collections/ansible_collections/kraf/edge:
	@mkdir -p $(@D) && ln -sfn ../../../.. $@

lint: ## ruff, mypy, ansible-lint, changelog, and this repository's own checks
sanity: ## ansible-test sanity with an empty ignore list
build: ## the collection's tarball, in build/dist
importer: build ## what Galaxy would say of the tarball
unit: ## tests without a cluster, in seconds
integration: ## tests against a real kube-apiserver and etcd
molecule: ## the whole lab: create, converge, idempotence, side effects, verify
$(STAGES): setup
	@.ci/stage $@

test: setup ## every stage above, and a summary
	@.ci/stage all $(STAGES)

clean: ## remove what was built, but not the lab's cache (lab-clean does that)
	rm -rf build/venv build/collections build/sanity build/dist build/importer build/stages build/mypy build/ansible

include $(wildcard tests/*/*.mk)
