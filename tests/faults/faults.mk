.PHONY: faults

faults: setup ## the play killed before and after each step of a migration, on the lab that is up; FAULTS='--only ... --shard i/n'
	@python -m tests.faults.run $(FAULTS)
