# What one does here, over a virtual environment in .venv. Needs Python 3.11 or later, make and pip.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DEMO_STAMP := $(VENV)/.demo
DOCS_STAMP := $(VENV)/.docs-installed
FUZZ_STAMP := $(VENV)/.fuzz-installed
AUDIT := .audit
PIP_INSTALL := -m pip --disable-pip-version-check install --quiet --quiet

.DEFAULT_GOAL := help
.PHONY: help demo https test check lint format docs bench soak mutants fuzz model dist audit clean

help: ## Show this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1|\2/p' $(MAKEFILE_LIST) | while IFS='|' read -r target text; do \
		printf '%-12s %s\n' "$$target" "$$text"; done

demo: $(DEMO_STAMP) ## Serve the demo site at http://localhost:8000
	@$(BIN)/python -m demo_site

https: $(DEMO_STAMP) ## Serve the demo site at https://localhost:8443, with device binding
	@$(BIN)/python -m demo_site.https

# As many at once as there are cores, file by file, in the order of conftest.py. The browser's tests have processes of
# their own: Playwright's event loop breaks Flask's async views. They run even if the others fail, and either one's
# failure is make's, exit code 5 (no tests found) included.
WORKERS ?= logical
test: $(STAMP) ## Run all tests; those in a browser are skipped where no Chromium is
	@status=0; pytest="$(BIN)/python -m pytest --numprocesses $(WORKERS) --maxprocesses 4 --dist loadfile \
		--no-loadscope-reorder"; \
	$$pytest || status=$$?; \
	$$pytest tests/browser || status=$$?; \
	exit $$status

check: lint test ## Check format, lint and types, then run all tests

lint: $(STAMP) ## Check format, lint and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/mypy --platform win32 --cache-dir .mypy_cache/win32 flask_corbado_session demo_site

format: $(STAMP) ## Format the code and fix what ruff can fix
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(DOCS_STAMP) ## Build the documentation site: open build/docs/index.html
	@$(BIN)/python -m sphinx -W --keep-going --quiet -b html docs build/docs
	@echo "The site is in build/docs; open build/docs/index.html."

bench: $(STAMP) ## Measure the extension beside its peers; writes docs/benchmarks.md and its chart
	@$(BIN)/python -m benchmarks --write

MINUTES ?= 10
soak: $(STAMP) ## Break servers and the database under load for MINUTES=10, and count what was lost
	@$(BIN)/python -m benchmarks.soak --minutes $(MINUTES)

ONLY ?=
mutants: $(STAMP) ## Break one line of the package at a time, and see that a test fails each time
	@$(BIN)/python -m tests.mutants --only '$(ONLY)'

fuzz: $(FUZZ_STAMP) ## Fuzz every parser of what strangers send, for MINUTES=10 (needs Python 3.11 to 3.13 on Linux)
	@$(BIN)/python -m tests.fuzz --minutes $(MINUTES)

model: ## Check every state of the model of the rotation with SPIN (needs spin and gcc)
	@mkdir -p build/model && cd build/model && spin -search -bfs ../../docs/model/rotation.pml

TRY ?= --try
dist: $(AUDIT)/.installed ## Build wheel and sdist into dist/, reproducibly, and try both in an empty environment
	@$(AUDIT)/bin/python -m tests.release.dist $(TRY)

audit: $(AUDIT)/.installed ## Audit packages, workflows and code; with STRICT=1 an audit that can't run is a failure
	@$(AUDIT)/bin/python -m tests.release.audit $(if $(STRICT),--strict)

clean: ## Remove the virtual environments, caches and built files
	rm -rf $(VENV) $(AUDIT) .fuzz build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis test-results
	find . -name __pycache__ -prune -exec rm -rf {} +

# A Python without ensurepip (Debian's, say) makes an environment without pip; its own pip then installs one. pip's
# warnings are about the machine's set-up, so only its errors are shown.
define make_environment
	@test -x $(1)/bin/pip || $(PYTHON) -m venv $(1) >/dev/null 2>&1 || { \
		$(PYTHON) -m venv --clear --without-pip $(1) && \
		$(PYTHON) -m pip --python $(1)/bin/python install --quiet --quiet pip; }
endef

# Python compiles what the demo imports when it does; to compile all of it first takes longer than the rest.
$(DEMO_STAMP): pyproject.toml constraints.txt
	@echo "Installing the demo into $(VENV), once; this takes less than a minute."
	$(call make_environment,$(VENV))
	@$(BIN)/python $(PIP_INSTALL) --no-compile --constraint constraints.txt --editable '.[demo]'
	@touch $@

$(STAMP): pyproject.toml constraints.txt
	@echo "Installing into $(VENV), once; this takes a minute or two."
	$(call make_environment,$(VENV))
	@$(BIN)/python $(PIP_INSTALL) --constraint constraints.txt --editable '.[demo,test]'
	@touch $(DEMO_STAMP) $@

$(AUDIT)/.installed: tests/release/requirements.txt
	@echo "Installing into $(AUDIT), once."
	$(call make_environment,$(AUDIT))
	@$(AUDIT)/bin/python $(PIP_INSTALL) --requirement tests/release/requirements.txt
	@touch $@

$(FUZZ_STAMP): $(STAMP)
	@$(BIN)/python $(PIP_INSTALL) --constraint constraints.txt --editable '.[demo,test,fuzz]'
	@touch $@

$(DOCS_STAMP): pyproject.toml constraints.txt
	@echo "Installing what builds the documentation into $(VENV), once; this takes about a minute."
	$(call make_environment,$(VENV))
	@$(BIN)/python $(PIP_INSTALL) --constraint constraints.txt --editable '.[docs]'
	@touch $@
