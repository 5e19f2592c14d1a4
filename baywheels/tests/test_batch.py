"""Batches of statements: their rows, their transaction, and the state after a failure."""

from datetime import UTC, datetime

import pytest
from django.db import DataError, IntegrityError, OperationalError, connection, transaction
from psycopg.pq import TransactionStatus

pytestmark = pytest.mark.django_db

NUMBER = "SELECT %s::integer + 1"
TEXT = "SELECT %s::text"
PREPARED = "SELECT count(*) FROM pg_prepared_statements"
INSERT = "INSERT INTO noted VALUES (%s) RETURNING number"
# So much text that neither side can send all of it before it reads from the other one.
LONG = "x" * 5_000_000


@pytest.fixture(autouse=True)
def batched(settings):
    settings.BATCH_STATEMENTS = True


@pytest.fixture
def noted(transactional_db):
    """A table of numbers, on a fresh connection."""
    connection.close()
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE noted (number integer UNIQUE)")
    yield
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE noted")


def run(*statements, last=False):
    return connection.run_batch(*statements, last=last)


def numbers():
    [rows] = run(("SELECT number FROM noted ORDER BY number", []))
    return [number for (number,) in rows]


@pytest.mark.parametrize("batched", [True, False])
def test_rows_are_returned_for_each_statement_in_order(settings, batched):
    settings.BATCH_STATEMENTS = batched

    assert run((NUMBER, [1]), ("SELECT 1 WHERE %s", [False]), (TEXT, ["a"])) == [
        [(2,)],
        [],
        [("a",)],
    ]


def test_times_of_a_batch_are_those_of_djangos_cursor(settings):
    times = ("SELECT '2026-05-04 08:30:00.5+02'::timestamptz, NULL::timestamptz", [])

    [[of_batch]] = run(times)
    settings.BATCH_STATEMENTS = False
    [[of_cursor]] = run(times)

    assert of_batch == of_cursor == (datetime(2026, 5, 4, 6, 30, 0, 500_000, UTC), None)
    assert of_batch[0].tzinfo is of_cursor[0].tzinfo


def test_statements_and_rows_may_exceed_the_socket_buffers():
    [first], [second], [third] = run((TEXT, [LONG]), (TEXT, [LONG]), (NUMBER, [1]))

    assert first == second == (LONG,)
    assert third == (2,)


@pytest.mark.parametrize("batched", [True, False])
def test_rollback_undoes_batches_and_commit_keeps_them(noted, settings, batched):
    settings.BATCH_STATEMENTS = batched
    with transaction.atomic():
        run((INSERT, [1]), (INSERT, [2]))
        transaction.set_rollback(True)
    assert numbers() == []

    with transaction.atomic():
        run((INSERT, [1]))
        run((INSERT, [2]))
    assert numbers() == [1, 2]


@pytest.mark.parametrize("batched", [True, False])
def test_last_batch_of_a_transaction_commits_it(noted, settings, batched):
    settings.BATCH_STATEMENTS = batched
    with transaction.atomic():
        run((INSERT, [1]))
        assert run((INSERT, [2]), last=True) == [[(2,)]]
        in_transaction = connection.connection.info.transaction_status

    assert numbers() == [1, 2]
    assert (in_transaction == TransactionStatus.IDLE) == batched


def test_last_batch_of_an_inner_block_leaves_the_outer_one_open(noted):
    with transaction.atomic():
        with transaction.atomic():
            run((INSERT, [1]), last=True)
        transaction.set_rollback(True)

    assert numbers() == []


def test_failed_last_batch_commits_nothing(noted):
    with pytest.raises(IntegrityError), transaction.atomic():
        run((INSERT, [1]), (INSERT, [2]), (INSERT, [1]), last=True)

    assert numbers() == []


def test_batch_outside_a_transaction_is_all_or_nothing(noted):
    with pytest.raises(DataError):
        run((INSERT, [1]), ("SELECT 1 / %s::integer", [0]), (INSERT, [2]))

    assert numbers() == []


def test_first_error_is_raised_and_the_connection_stays_usable(noted):
    pid = connection.connection.info.backend_pid

    with pytest.raises(DataError, match="division by zero"), transaction.atomic():
        run((INSERT, [1]), ("SELECT 1 / %s::integer", [0]), ("SELECT no_such_column", []))

    assert numbers() == []
    # The failed batch had already prepared this statement.
    assert run((INSERT, [1])) == [[(1,)]]
    assert connection.connection.info.backend_pid == pid


@pytest.mark.own_connections
def test_each_text_is_prepared_once_even_after_a_rollback(noted):
    for _ in range(3):
        with transaction.atomic():
            run((NUMBER, [1]), (TEXT, ["a"]), (NUMBER, [2]))
            transaction.set_rollback(True)

    # The third one is the count itself.
    assert run((PREPARED, [])) == [[(3,)]]


def test_nothing_is_prepared_behind_a_transaction_pooler(noted, settings):
    settings.PREPARE_STATEMENTS = False
    connection.close()

    assert run((NUMBER, [1]), (NUMBER, [2])) == [[(2,)], [(3,)]]
    assert run((PREPARED, [])) == [[(0,)]]
    connection.close()


def test_statements_are_sent_by_djangos_cursor_with_batching_off(noted, settings):
    settings.BATCH_STATEMENTS = False

    assert run((NUMBER, [1]), (PREPARED, [])) == [[(2,)], [(0,)]]


def test_interrupted_batch_closes_the_connection(noted, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(connection.connection, "wait", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run((NUMBER, [1]))

    assert not connection.is_usable()
    with pytest.raises(OperationalError):
        run((NUMBER, [2]))
    connection.close_if_unusable_or_obsolete()
    assert run((NUMBER, [3])) == [[(4,)]]


@pytest.mark.own_connections
def test_outdated_prepared_statement_fails_once(noted):
    select = "SELECT number FROM noted"
    run((select, []), (NUMBER, [1]))
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE noted ALTER number TYPE bigint")

    with pytest.raises(OperationalError, match="cached plan"):
        run((select, []))
    assert run((select, []), (NUMBER, [1])) == [[], [(2,)]]

    with connection.cursor() as cursor:
        cursor.execute("DEALLOCATE ALL")
    with pytest.raises(OperationalError, match="does not exist"):
        run((NUMBER, [1]))
    assert run((NUMBER, [1]), (select, [])) == [[(2,)], []]


def test_error_at_the_implicit_commit_is_raised(noted):
    pid = connection.connection.info.backend_pid
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE noted DROP CONSTRAINT noted_number_key")
        cursor.execute("ALTER TABLE noted ADD UNIQUE (number) DEFERRABLE INITIALLY DEFERRED")

    with pytest.raises(IntegrityError):
        run((INSERT, [1]), (INSERT, [1]))

    assert numbers() == []
    assert connection.connection.info.backend_pid == pid


def test_terminated_connection_is_replaced(noted):
    with pytest.raises(OperationalError):
        run((NUMBER, [1]), ("SELECT pg_terminate_backend(pg_backend_pid())", []), (NUMBER, [2]))

    connection.close_if_unusable_or_obsolete()
    assert run((NUMBER, [1])) == [[(2,)]]


@pytest.mark.parametrize("batched", [True, False])
def test_connection_that_ended_in_a_transaction_is_replaced(noted, settings, batched):
    settings.BATCH_STATEMENTS = batched
    with pytest.raises(OperationalError), transaction.atomic():
        run(("SELECT pg_terminate_backend(pg_backend_pid())", []))

    connection.close_if_unusable_or_obsolete()
    assert run((NUMBER, [1])) == [[(2,)]]


def test_execute_wrapper_sees_each_statement():
    seen = []

    def watch(execute, sql, params, many, context):
        seen.append(sql)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(watch):
        answers = run((NUMBER, [1]), (TEXT, ["a"]))

    assert answers == [[(2,)], [("a",)]]
    assert seen == [NUMBER, TEXT]


@pytest.mark.parametrize("batched", [True, False])
@pytest.mark.parametrize("text", ["SELECT 5 %% %s::integer", "SELECT 5 % 2", "SELECT '%d'"])
def test_percent_sign_other_than_a_placeholder_is_refused(settings, text, batched):
    settings.BATCH_STATEMENTS = batched

    with pytest.raises(ValueError, match="only % that a batched statement may contain"):
        run((NUMBER, [1]), (text, [2]))
