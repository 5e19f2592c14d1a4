"""A slow statement in PostgreSQL's log or activity leads to the request that sent it."""

import logging

import pytest
from django.db import DatabaseError, connection, transaction
from django.test import Client

from baywheels import logs
from baywheels.middleware import RequestLogMiddleware
from dispatch.tests.support.concurrency import background, held_up, wait_until_blocked
from dispatch.tests.support.factories import TaskFactory


def waiting_statement(table, method, path, **options):
    """Return the statement that a request with the id slow-1 waits in."""
    headers = {"X-Request-ID": "slow-1"}
    with background() as run:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
            client = Client(headers=headers)
            request = run(client.generic, method, path, content_type="application/json", **options)
            wait_until_blocked(request)
            [session] = held_up()
        assert request.result(timeout=20).status_code == 200
    return session.statement


@pytest.mark.django_db(transaction=True)
def test_a_statement_names_its_request():
    statement = waiting_statement("tasks", "GET", "/tasks")
    assert statement.startswith("/* request slow-1 */ SELECT")


@pytest.mark.django_db(transaction=True)
def test_a_batch_that_is_not_prepared_names_its_request(settings):
    settings.PREPARE_STATEMENTS = False
    TaskFactory()
    statement = waiting_statement("tasks", "POST", "/dispatch/next", data='{"worker_id": "van-1"}')
    assert statement.startswith("/* request slow-1 */")


@pytest.mark.django_db
def test_statements_outside_of_requests_have_no_comment():
    with connection.cursor() as cursor:
        cursor.execute("SELECT query FROM pg_stat_activity WHERE pid = pg_backend_pid()")
        assert cursor.fetchone()[0].startswith("SELECT query")


@pytest.mark.django_db
def test_the_line_of_a_slow_request_names_the_process_of_postgresql(client, caplog, monkeypatch):
    caplog.set_level(logging.INFO, "baywheels.request")
    for limit in (1_000_000, 0):
        monkeypatch.setattr(RequestLogMiddleware, "SLOW_MS", limit)
        client.get("/tasks")
    quick, slow = caplog.messages
    assert "pid" not in quick
    assert slow.endswith(f"ms PostgreSQL pid {connection.connection.info.backend_pid}")


@pytest.mark.django_db
@pytest.mark.parametrize("kind", [logs.WithoutRows, logs.JsonWithoutRows])
@pytest.mark.parametrize("reason", ["a secret)\nof two lines", "(Key).\n\na secret"])
def test_logs_leave_out_the_values_of_a_refused_row(kind, reason):
    with pytest.raises(DatabaseError) as refused, transaction.atomic():
        TaskFactory(qty=0, reason=reason)
    assert "a secret" in str(refused.value)
    record = logging.LogRecord("django.request", logging.ERROR, "", 0, "Failed", (), None)
    record.exc_info = (refused.type, refused.value, refused.tb)

    text = kind().format(record)

    assert "a secret" not in text
    assert text.count("Failing row contains (...).") == 2, "the driver's error and Django's"


@pytest.mark.django_db
def test_the_log_of_requests_has_no_query_strings(client, caplog):
    caplog.set_level(logging.INFO)
    client.get("/tasks?token=secret-1")
    client.get("/nowhere?token=secret-1")
    assert "/tasks 200" in caplog.text
    assert "secret-1" not in caplog.text
