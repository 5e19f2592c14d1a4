"""New migrations neither hold a lock on a busy table for long nor break the previous code.

CONTRIBUTING.md, Migrations, says how to write them.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django_migration_linter.sql_analyser import analyse_sql_statements, get_sql_analyser_class

pytestmark = pytest.mark.django_db

# Migrations up to this one are older than these checks, or of the same version.
LAST_UNCHECKED = "0023"
SQUAWK = Path(sys.executable).with_name("squawk")
# Rules of style, and what `migrate` sets for every migration.
NOT_ABOUT_LOCKS = [
    "prefer-text-field",
    "prefer-bigint-over-int",
    "prefer-bigint-over-smallint",
    "prefer-identity",
    "prefer-robust-stmts",
    "require-lock-timeout",
    "require-statement-timeout",
]


def new_migrations():
    loader = MigrationLoader(None, ignore_no_migrations=True)
    names = sorted(name for app, name in loader.disk_migrations if app == "dispatch")
    return [name for name in names if name[:4] > LAST_UNCHECKED]


def statements_of(name):
    # The test's own connection is in a transaction, where no index can be built concurrently.
    outside = connection.copy()
    try:
        loader = MigrationLoader(outside, replace_migrations=False)
        plan = [(loader.graph.nodes["dispatch", name], False)]
        return [each for each in loader.collect_sql(plan) if not each.startswith("--")]
    finally:
        outside.close()


def locks_held_long(statements):
    """Return the rules of squawk that they violate."""
    # Django refuses these in a transaction.
    concurrent = any("CONCURRENTLY" in each for each in statements)
    done = subprocess.run(
        [
            SQUAWK,
            "--pg-version=15",
            "--reporter=json",
            f"--exclude={','.join(NOT_ABOUT_LOCKS)}",
            *([] if concurrent else ["--assume-in-transaction"]),
        ],
        input="\n".join(statements),
        capture_output=True,
        text=True,
        check=False,
    )
    return sorted({finding["rule_name"] for finding in json.loads(done.stdout)})


def breaks_previous_code(statements):
    """Return the codes of the linter's findings."""
    analyser = get_sql_analyser_class(connection.vendor)
    errors, _, warnings = analyse_sql_statements(analyser, statements)
    # The other checker is more exact about locks.
    codes = {finding.code for finding in [*errors, *warnings]}
    return sorted(codes - {"CREATE_INDEX"})


def findings(check):
    found = {name: check(statements_of(name)) for name in new_migrations()}
    return {name: rules for name, rules in found.items() if rules}


@pytest.mark.slow
def test_new_migrations_hold_no_lock_for_long():
    assert findings(locks_held_long) == {}


@pytest.mark.slow
def test_previous_code_works_on_the_schema_of_new_migrations():
    assert findings(breaks_previous_code) == {}


def test_statements_of_a_migration_are_read():
    assert any("task_queue_of_area" in each for each in statements_of("0018_crews_and_areas"))


@pytest.mark.parametrize(
    ("statement", "rule"),
    [
        ("CREATE INDEX i ON tasks (qty);", "require-concurrent-index-creation"),
        (
            "ALTER TABLE tasks ADD CONSTRAINT c CHECK (qty > 0);",
            "constraint-missing-not-valid",
        ),
        ("ALTER TABLE tasks ALTER COLUMN note SET NOT NULL;", "adding-not-nullable-field"),
        ("ALTER TABLE tasks ALTER COLUMN qty TYPE bigint;", "changing-column-type"),
    ],
)
def test_statement_that_holds_a_lock_for_long_is_found(statement, rule):
    assert rule in locks_held_long([statement])


@pytest.mark.parametrize(
    ("statement", "code"),
    [
        ("ALTER TABLE tasks DROP COLUMN note;", "DROP_COLUMN"),
        ("ALTER TABLE tasks RENAME COLUMN note TO remark;", "RENAME_COLUMN"),
        ("ALTER TABLE tasks ADD COLUMN crew_size integer NOT NULL;", "NOT_NULL"),
    ],
)
def test_statement_that_breaks_the_previous_code_is_found(statement, code):
    assert code in breaks_previous_code([statement])
