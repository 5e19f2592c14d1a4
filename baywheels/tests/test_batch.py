"""Statements that are sent together: their answers, transaction, and what a failure leaves."""

import pytest
from django.db import DataError, IntegrityError, OperationalError, connection, transaction

pytestmark = pytest.mark.django_db

NUMBER = "SELECT %s::integer + 1"
TEXT = "SELECT %s::text"
PREPARED = "SELECT count(*) FROM pg_prepared_statements"
INSERT = "INSERT INTO noted VALUES (%s) RETURNING number"
# So much that neither side can send all of its own before it reads.
MUCH = "x" * 5_000_000


@pytest.fixture
def noted(transactional_db):
    """A table of numbers, on a connection of its own that prepares."""
    connection.close()
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE noted (number integer UNIQUE)")
    yield
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE noted")


def run(*statements):
    return connection.run_batch(*statements)


def numbers():
    [rows] = run(("SELECT number FROM noted ORDER BY number", []))
    return [number for (number,) in rows]


def test_each_statement_has_its_rows_in_order_and_one_that_finds_nothing_has_none():
    assert run((NUMBER, [1]), ("SELECT 1 WHERE %s", [False]), (TEXT, ["a"])) == [
        [(2,)],
        [],
        [("a",)],
    ]


def test_they_may_be_longer_than_what_a_socket_holds_in_both_directions():
    [first], [second], [third] = run((TEXT, [MUCH]), (TEXT, [MUCH]), (NUMBER, [1]))

    assert first == second == (MUCH,)
    assert third == (2,)


def test_in_a_transaction_they_count_only_when_it_is_committed(noted):
    with transaction.atomic():
        run((INSERT, [1]), (INSERT, [2]))
        transaction.set_rollback(True)
    assert numbers() == []

    with transaction.atomic():
        run((INSERT, [1]))
        run((INSERT, [2]))
    assert numbers() == [1, 2]


def test_without_a_transaction_all_or_none_of_a_batch_count(noted):
    with pytest.raises(DataError):
        run((INSERT, [1]), ("SELECT 1 / %s::integer", [0]), (INSERT, [2]))

    assert numbers() == []


def test_the_first_failure_is_what_is_told_and_the_connection_goes_on(noted):
    pid = connection.connection.info.backend_pid

    with pytest.raises(DataError, match="division by zero"), transaction.atomic():
        run((INSERT, [1]), ("SELECT 1 / %s::integer", [0]), ("SELECT no_such_column", []))

    assert numbers() == []
    # Also with a statement that the failed batch had prepared already.
    assert run((INSERT, [1])) == [[(1,)]]
    assert connection.connection.info.backend_pid == pid


def test_each_text_is_prepared_once_for_a_connection_and_outlives_a_rollback(noted):
    for _ in range(3):
        with transaction.atomic():
            run((NUMBER, [1]), (TEXT, ["a"]), (NUMBER, [2]))
            transaction.set_rollback(True)

    # And the one that counts them.
    assert run((PREPARED, [])) == [[(3,)]]


def test_behind_a_pooler_of_transactions_nothing_is_prepared(noted, settings):
    settings.PREPARE_STATEMENTS = False
    connection.close()

    assert run((NUMBER, [1]), (NUMBER, [2])) == [[(2,)], [(3,)]]
    assert run((PREPARED, [])) == [[(0,)]]
    connection.close()


def test_an_answer_that_was_not_read_is_never_taken_for_the_next_one(noted, monkeypatch):
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


def test_a_statement_whose_plan_is_no_longer_right_fails_once_at_most(noted):
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


def test_what_fails_only_at_the_end_is_told_as_it_is(noted):
    pid = connection.connection.info.backend_pid
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE noted DROP CONSTRAINT noted_number_key")
        cursor.execute("ALTER TABLE noted ADD UNIQUE (number) DEFERRABLE INITIALLY DEFERRED")

    with pytest.raises(IntegrityError):
        run((INSERT, [1]), (INSERT, [1]))

    assert numbers() == []
    assert connection.connection.info.backend_pid == pid


def test_a_connection_that_is_ended_meanwhile_is_replaced(noted):
    with pytest.raises(OperationalError):
        run((NUMBER, [1]), ("SELECT pg_terminate_backend(pg_backend_pid())", []), (NUMBER, [2]))

    connection.close_if_unusable_or_obsolete()
    assert run((NUMBER, [1])) == [[(2,)]]


def test_who_watches_statements_sees_each_by_itself_with_the_same_answers():
    seen = []

    def watch(execute, sql, params, many, context):
        seen.append(sql)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(watch):
        answers = run((NUMBER, [1]), (TEXT, ["a"]))

    assert answers == [[(2,)], [("a",)]]
    assert seen == [NUMBER, TEXT]
