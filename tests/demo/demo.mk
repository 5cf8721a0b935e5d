.PHONY: demo demo-fast

demo: setup ## from bare hosts to an app that moved to the edge and back: a table, build/demo/report.json, a picture
	@python -m tests.demo.run

demo-fast: setup ## the same on the cluster that is there
	@python -m tests.demo.run --fast
