"""Indexes that a failed build left, each with the statement that repairs it."""

from io import StringIO

import pytest
from django.core.management import call_command
from django.db import connection

from dispatch.maintenance.invariants import violations

pytestmark = pytest.mark.django_db

INVALIDATE = "UPDATE pg_index SET indisvalid = false WHERE indexrelid = %s::regclass"


def run(statement, *parameters):
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)


def preflight():
    said = StringIO()
    call_command("preflight", stderr=said)
    return said.getvalue()


def test_invalid_index_is_named_with_the_statement_that_repairs_it():
    run(INVALIDATE, "task_queue")

    [found] = violations()["index_is_valid"]

    assert found["fix"] == "REINDEX INDEX CONCURRENTLY task_queue"
    assert preflight() == f"The index task_queue is invalid: {found['fix']};\n"


def test_copy_that_a_failed_reindex_left_is_to_be_dropped():
    run("CREATE INDEX task_queue_ccnew1 ON tasks (id)")
    run(INVALIDATE, "task_queue_ccnew1")

    [found] = violations()["index_is_valid"]

    assert found["fix"] == "DROP INDEX CONCURRENTLY task_queue_ccnew1"


def test_index_is_not_called_invalid_while_it_is_built():
    run(INVALIDATE, "task_queue")
    run("LOCK TABLE tasks IN SHARE UPDATE EXCLUSIVE MODE")

    assert "index_is_valid" not in violations()
    assert preflight() == ""
