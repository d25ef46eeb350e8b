# Each target sets up what it needs; a second run starts at once.
PYTHON ?= python3

# nbgrader calls `alembic` by its bare name: the environment's programs must be on PATH.
RUN := PATH="$(CURDIR)/.venv/bin:$$PATH" .venv/bin/python

.PHONY: demo test test-as-others lint bench bench-large soak docs screenshots site format clean

demo: .venv/.ready
	$(RUN) scripts/demo

test: .venv/.ready
	$(RUN) -m pytest -n 2 --dist loadgroup tests

# The security tests again: as root if you are none, and as an ordinary user if you are root.
test-as-others: .venv/.ready
	scripts/test-as-others

lint: .venv/.ready
	$(RUN) -m ruff check
	$(RUN) -m ruff format --check
	$(RUN) -m mypy

# Ours beside stock nbgrader and otter-grader, which get an environment of their own: half an hour.
bench: .venv/.ready
	$(RUN) scripts/bench

# 10,000 submissions in one run: does the last one cost as much as the first? Needs 6 GB of disk.
bench-large: .venv/.ready
	$(RUN) scripts/bench-large

# 2,000 submissions in one run, one in four hostile: a few minutes.
soak: .venv/.ready
	PYTHONPATH=tests $(RUN) tests/security/soak.py

# What is made of the course and the grader for people and editors to read.
docs: .venv/.ready
	$(RUN) -m grader.course > docs/course.schema.json
	$(RUN) scripts/curriculum > docs/curriculum.md

# The pictures of JupyterLab in README.md and docs/, from the test that goes through it. Needs Chromium: scripts/browser
screenshots: .venv/.ready
	SCREENSHOTS=docs/images $(RUN) -m pytest tests/test_jupyterlab.py

# The documentation, to open offline: build/site/index.html. A broken link is an error.
site: .venv/.ready
	rm -rf build/site build/site-cache
	$(RUN) -m sphinx -c docs -d build/site-cache --fail-on-warning --keep-going --nitpicky --quiet . build/site

format: .venv/.ready
	$(RUN) -m ruff check --fix
	$(RUN) -m ruff format

# What can be made again. Submissions, grades and reports are yours to remove.
clean:
	rm -rf .venv build .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/.ready: pyproject.toml constraints.txt scripts/setup
	scripts/setup "$(PYTHON)"
