# Thin names for the commands of README.md.
.DEFAULT_GOAL := help
.PHONY: help run test soak check bench wire

help:  ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/:/' | column -t -s:

run:  ## set up what is missing and open the dashboard
	python3 run.py

test:  ## the tests
	python3 run.py test

soak:  ## wide grids and long trials of what the tests hold too; takes a quarter of an hour
	python3 run.py test -m soak

check:  ## linters and type checkers alone
	python3 run.py check

bench:  ## how fast it is and what recording and viewers cost; takes an hour, wants a quiet machine
	.venv/bin/python -m benchmarks.engines
	.venv/bin/python -m benchmarks.scale
	.venv/bin/python -m benchmarks.recording
	.venv/bin/python -m benchmarks.overhead
	.venv/bin/python -m benchmarks.clients
	.venv/bin/python -m benchmarks.verdicts

wire:  ## write the front end's types and the byte tables from app/wire.py
	.venv/bin/python -m app.wire
