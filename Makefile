# Thin names for the commands of README.md.
.DEFAULT_GOAL := help
.PHONY: help run test check bench wire

help:  ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/:/' | column -t -s:

run:  ## set up what is missing and open the dashboard
	python3 run.py

test:  ## all tests
	python3 run.py test

check:  ## linters and type checkers alone
	python3 run.py check

bench:  ## what recording and viewers cost; takes minutes, wants a quiet machine
	.venv/bin/python -m benchmarks.recording
	.venv/bin/python -m benchmarks.clients

wire:  ## write the front end's types and the byte tables from app/wire.py
	.venv/bin/python -m app.wire
