# Optional shortcuts (https://just.systems). CONTRIBUTING.md has the same commands in full.

# List the recipes.
default:
    @just --list

# Serve a simulated city.
run:
    .venv/bin/python manage.py quickstart --simulate

# Run the quick tests.
test *args:
    .venv/bin/pytest {{args}}

# Run the slow tests.
slow *args:
    .venv/bin/pytest -m slow {{args}}

# Check style and layers.
lint:
    .venv/bin/ruff check .
    .venv/bin/ruff format --check .
    .venv/bin/lint-imports --no-logo

# Check types.
types:
    .venv/bin/mypy .

# Measure claims, approvals and completions over HTTP.
bench *args:
    .venv/bin/python benchmarks/over_http.py {{args}}
