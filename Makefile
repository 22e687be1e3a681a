# Two commands matter: `make up` and `make test`. Both do all the set-up they need.
PYTHON ?= python3
BIN := .venv/bin
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help up simulate sim test test-faults check bench soak docs lock clean

help: ## show this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

.stamp-run: pyproject.toml requirements.lock
	@$(PYTHON) scripts/bootstrap.py run

.stamp-dev: .stamp-run
	@$(PYTHON) scripts/bootstrap.py dev

up: .stamp-run ## start the whole fleet, replaying real market data, trading on paper
	@exec $(BIN)/nautilus up

simulate: .stamp-run ## run the whole fleet over 1990-2022 as fast as it goes
	@$(BIN)/nautilus simulate --from 1990-01-02 --to 2022-12-28

sim: .stamp-run ## run the fleet under simulated faults, SEEDS=200 of them (SEED=n: from that one on)
	@$(BIN)/nautilus simulate --faults --seeds $(or $(SEEDS),200) $(if $(SEED),--seed $(SEED))

test: .stamp-dev ## run every test
	@$(BIN)/python -m pytest

test-faults: .stamp-dev ## kill, freeze, cut off and empty real processes and servers
	@$(BIN)/python -m pytest -m faults -s tests

check: .stamp-dev ## format, lint, types, import contracts, architecture rules
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/python -m pytest tests/architecture tests/docs

bench: .stamp-dev ## run every benchmark and print its table
	@mkdir -p bench-results
	@for name in clock bus fleet recovery standby workers mirror; do $(BIN)/python -m benchmarks.$$name --json bench-results/$$name.json || failed=1; done; [ -z "$$failed" ]

soak: .stamp-dev ## a thousand kills, twenty million events, the long simulation checks
	@NAUTILUS_SOAK=1 $(BIN)/python -m pytest -s tests/simulation tests/faults tests/benchmarks/test_soak.py

docs: .stamp-dev ## write docs/topics.md anew
	@$(BIN)/python -m services.fleet.catalogue

lock: .stamp-dev ## pin what is installed
	@$(BIN)/python scripts/lock.py

clean: ## remove the environment, the data and the caches
	rm -rf .venv var .stamp-* .mypy_cache .ruff_cache .pytest_cache .hypothesis bench-results test-artifacts *.egg-info
