.DEFAULT_GOAL := help
.PHONY: help setup system-packages test check lint format demo torture endurance mutants bench lock clean

BIN := .venv/bin
UV ?= $(BIN)/uv
COMPILE := $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header

help: ## Say what can be made
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 10

setup: .venv/.installed ## Make .venv from the locks, with Rowel in it

.venv/.installed: requirements/dev.txt pyproject.toml scripts/set-up
	scripts/set-up

system-packages:
	@scripts/system-packages

test: setup system-packages ## Lint and the whole suite, Postgres and browser included
	@status=0; scripts/lint || status=1; $(BIN)/python -m pytest -n auto --dist loadfile || status=1; exit $$status

check: test ## The same as test

lint: setup ## Style, types and the direction of imports
	@scripts/lint

format: setup ## Bring the code into the one format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

demo: setup ## See Rowel at work
	$(BIN)/python scripts/demo.py

torture: setup system-packages ## Kill it a thousand times (TORTURE="kills=200 runs=50 seed=1 store=postgres", REPORT=file)
	@$(BIN)/python scripts/torture.py $(TORTURE) $(if $(REPORT),--report $(REPORT))

endurance: setup system-packages ## A batch of 100,000 rows on Postgres, a worker killed each 10 s (ENDURANCE="--rows 20000")
	@$(BIN)/python scripts/endurance.py $(ENDURANCE)

mutants: setup system-packages ## Break each promise in a copy of the source, and see its test turn red
	@$(BIN)/python scripts/mutants.py $(MUTANTS)

bench: setup system-packages ## Measure it beside its peers, into bench/RESULTS.md (QUICK=1: 3 minutes; ONLY=chain,http)
	@PYTHONPATH=src:. $(BIN)/python -m bench $(if $(QUICK),--quick) $(if $(ONLY),--only $(ONLY))

lock: ## Write the locks anew from pyproject.toml (UPGRADE=--upgrade for newer versions)
	$(COMPILE) $(UPGRADE) pyproject.toml --group dev -o requirements/dev.txt
	$(COMPILE) $(UPGRADE) pyproject.toml -c requirements/dev.txt -o requirements/runtime.txt
	$(COMPILE) $(UPGRADE) --group build -c requirements/dev.txt -o requirements/build.txt
	for peer in langgraph dbos procrastinate endpoint pyspur py-spy; do \
	  $(COMPILE) $(UPGRADE) bench/peers/$$peer.in -o bench/peers/$$peer.txt || exit 1; done

clean: ## Remove what was built and what tools remember
	rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .schemathesis
	find src tests scripts -name __pycache__ -type d -prune -exec rm -rf {} +
