.PHONY: doctor lab lab-down lab-clean

# The lab runs before there is a Python environment: the machine's own Python, and the standard library alone.
LAB := $(PYTHON) -m tests.lab

doctor: ## whether this machine can carry the lab, and what to do where it cannot
	@$(LAB) doctor

lab: ## bring the lab up: bare hosts and a mirror of upstream (tests/lab/README.md)
	@$(LAB) up

lab-down: ## remove the lab, and undo what it changed on this machine
	@$(LAB) down

lab-clean: lab-down ## remove the lab's cache too: built programs, images, packages
	@$(LAB) clean
