.PHONY: bench bench-fast

bench: setup ## every figure that has a target, on hosts made anew: a table and build/bench/report.json
	@python -m tests.bench.run

bench-fast: setup ## the same without the cluster's own figures, on the cluster that is there
	@python -m tests.bench.run catalog idle volumes throughput migrations large lost
