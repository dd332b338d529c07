# What one does here, over a virtual environment in .venv. Needs Python 3.11 or later, make and pip.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help demo https test check lint format bench soak clean

help: ## Show this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1|\2/p' $(MAKEFILE_LIST) | while IFS='|' read -r target text; do \
		printf '%-12s %s\n' "$$target" "$$text"; done

demo: $(STAMP) ## Serve the demo site at http://localhost:8000
	@$(BIN)/python -m demo_site

https: $(STAMP) ## Serve the demo site at https://localhost:8443, with device binding
	@$(BIN)/python -m demo_site.https

# Two processes: Playwright's event loop breaks Flask's async views. The second runs even if the first fails, and
# either one's failure is make's, exit code 5 (no tests found) included.
test: $(STAMP) ## Run all tests; those in a browser are skipped where no Chromium is
	@status=0; \
	$(BIN)/python -m pytest || status=$$?; \
	$(BIN)/python -m pytest tests/browser || status=$$?; \
	exit $$status

check: lint test ## Check format, lint and types, then run all tests

lint: $(STAMP) ## Check format, lint and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(STAMP) ## Format the code and mend what ruff can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(STAMP) ## Measure the request path
	@$(BIN)/python -m benchmarks

MINUTES ?= 10
soak: $(STAMP) ## Break servers and the database under load for MINUTES=10, and count what was lost
	@$(BIN)/python -m benchmarks.soak --minutes $(MINUTES)

clean: ## Remove the virtual environment, caches and built files
	rm -rf $(VENV) dist .pytest_cache .mypy_cache .ruff_cache .hypothesis test-results
	find . -name __pycache__ -prune -exec rm -rf {} +

# A Python without ensurepip (Debian's, say) makes an environment without pip; its own pip then installs one.
$(STAMP): pyproject.toml constraints.txt
	@echo "Installing into $(VENV), once; this takes a minute or two."
	@test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV) 2>/dev/null || { \
		$(PYTHON) -m venv --clear --without-pip $(VENV) && \
		$(PYTHON) -m pip --python $(BIN)/python install --quiet pip; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check \
		--constraint constraints.txt --editable '.[demo,test]'
	@touch $@
