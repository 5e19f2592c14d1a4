"""Ids that a writer gives, or that a restore brings, never collide with later inserts."""

from io import StringIO

import pytest
from django.core.management import call_command
from django.db import connection, transaction

from dispatch import services
from dispatch.maintenance.invariants import violations
from dispatch.models import Suggestion, Task, TaskEvent
from dispatch.services.suggestion_rows import SuggestionRow

from ..support.concurrency import background, wait_until_blocked
from ..support.factories import SuggestionFactory, TaskFactory, UserFactory

pytestmark = pytest.mark.django_db

TABLES = ["suggestions", "tasks", "task_events"]
# Larger ids do not change their sequence.
FIRST_ABSURD_ID = 2**53
ROW = SuggestionRow(from_station_id=5, to_station_id=6, qty=1, reason="x")


def run(statement, *parameters):
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters or None)
        return cursor.fetchall() if cursor.description else []


def last_id(table):
    [(last,)] = run(f"SELECT coalesce(pg_sequence_last_value('{table}_id_seq'), 0)")
    return last


def set_back(*tables):
    for table in tables:
        run(f"SELECT setval('{table}_id_seq', 1, false)")


def without_triggers(statement, *parameters):
    """Write rows as an apply worker of logical replication does."""
    run("SET LOCAL session_replication_role = replica")
    run(statement, *parameters)
    run("SET LOCAL session_replication_role = DEFAULT")


def insert_suggestions(first, count=3):
    run(
        "INSERT INTO suggestions (id, from_station_id, to_station_id, qty, reason)"
        " SELECT id, 100, 200, 5, 'Full' FROM generate_series(%s, %s) AS id",
        first,
        first + count - 1,
    )


def propose(client):
    body = {"from_station_id": 5, "to_station_id": 6, "qty": 1, "reason": "x"}
    return client.post("/suggestions", body, content_type="application/json")


def propose_over_http(client):
    assert propose(client).status_code == 200


def ingest(client):
    services.ingest_suggestions([ROW], source="job", actor="job")


def insert_with_sql(client):
    run(
        "INSERT INTO suggestions (from_station_id, to_station_id, qty, reason)"
        " VALUES (5, 6, 1, 'x')"
    )


def copy(client):
    with connection.cursor() as cursor:
        columns = "from_station_id, to_station_id, qty, reason"
        with cursor.copy(f"COPY suggestions ({columns}) FROM STDIN") as rows:
            rows.write_row((5, 6, 1, "x"))


def add_in_console(client):
    client.force_login(UserFactory())
    form = {"from_station_id": 5, "to_station_id": 6, "qty": 1, "reason": "x", "priority": 0}
    answer = client.post("/admin/dispatch/suggestion/add/", form)
    assert answer.status_code == 302, answer.content


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "door", [propose_over_http, ingest, insert_with_sql, add_in_console], ids=lambda f: f.__name__
)
def test_suggestions_enter_after_ids_given_by_hand(client, door):
    insert_suggestions(last_id("suggestions") + 1)

    door(client)

    assert Suggestion.objects.count() == 4
    assert violations() == {}


def test_copy_enters_after_ids_given_by_hand(client):
    insert_suggestions(last_id("suggestions") + 1)

    copy(client)

    assert Suggestion.objects.count() == 4


@pytest.mark.django_db(transaction=True)
def test_approvals_and_claims_succeed_after_tasks_and_events_with_given_ids(client):
    TaskFactory(id=last_id("tasks") + 1, priority=-5)
    for ahead in (1, 2, 3):
        TaskEvent.objects.create(id=last_id("task_events") + ahead, kind="created", actor="maria")

    task = services.approve_suggestion(SuggestionFactory().id, actor="maria").task
    services.create_task(TaskFactory.build(), actor="maria")

    assert services.claim_next_task("van-1", actor="api") == task


@pytest.mark.django_db(transaction=True)
def test_every_operation_succeeds_while_all_sequences_are_behind(client):
    first, second = SuggestionFactory.create_batch(2)
    services.approve_suggestion(first.id, actor="maria")
    set_back(*TABLES)

    proposed = propose(client)
    set_back(*TABLES)
    approved = services.approve_suggestion(second.id, actor="maria").task
    set_back(*TABLES)
    claimed = services.claim_next_task("van-1", actor="api")

    assert proposed.status_code == 200, proposed.content
    assert Task.objects.count() == 2
    assert claimed.id < approved.id


@pytest.mark.parametrize("kind", ["approved", "rejected"])
def test_a_decided_suggestions_id_is_never_given_again(kind):
    suggestion = SuggestionFactory()
    if kind == "approved":
        TaskFactory(suggestion_id=suggestion.id)
    else:
        TaskEvent.objects.create(kind=kind, suggestion_id=suggestion.id, actor="maria")
    run("DELETE FROM suggestions")
    set_back("suggestions")

    assert SuggestionFactory().id == suggestion.id + 1


def test_a_removed_tasks_id_is_never_given_again():
    task = TaskFactory()
    TaskEvent.objects.create(kind="created", task_id=task.id, actor="maria")
    run("DELETE FROM tasks")
    set_back("tasks")

    assert TaskFactory().id == task.id + 1


@pytest.mark.parametrize("table", ["suggestions", "tasks"])
@pytest.mark.parametrize("gap", [1, 1000, 1_000_000])
def test_a_given_id_lifts_its_sequence_exactly(table, gap):
    factory = SuggestionFactory if table == "suggestions" else TaskFactory
    given = last_id(table) + gap

    factory(id=given)

    assert last_id(table) == given


def test_a_smaller_id_leaves_the_sequence():
    last = SuggestionFactory().id

    SuggestionFactory(id=-5)
    SuggestionFactory(id=0)

    assert last_id("suggestions") == last


@pytest.mark.parametrize("given", [FIRST_ABSURD_ID, 2**63 - 1])
def test_an_absurd_id_leaves_the_sequence_and_later_inserts_succeed(given):
    last = SuggestionFactory().id

    SuggestionFactory(id=given)

    assert SuggestionFactory().id == last + 1
    assert violations() == {}


@pytest.mark.parametrize("table", TABLES)
def test_a_sequence_behind_its_table_is_found_with_the_statement_that_fixes_it(table):
    task = TaskFactory()
    rows = {
        "suggestions": "INSERT INTO suggestions (id, from_station_id, to_station_id, qty, reason)"
        " VALUES (%s, 1, 2, 3, 'x')",
        "tasks": "UPDATE tasks SET id = %s",
        "task_events": "INSERT INTO task_events (id, kind, task_id, actor)"
        f" VALUES (%s, 'created', {task.id}, 'maria')",
    }
    highest = last_id(table) + 10
    without_triggers(rows[table], highest)

    [found] = violations()["sequence_is_not_behind"]

    assert found["fix"] == f"SELECT setval('{table}_id_seq', {highest})"
    said = StringIO()
    call_command("preflight", stderr=said)
    assert said.getvalue().count("\n") == 1
    assert found["fix"] in said.getvalue()
    run(found["fix"])
    assert "sequence_is_not_behind" not in violations()


def test_a_suggestion_sequence_behind_the_tasks_is_found():
    last = last_id("suggestions")
    without_triggers(
        "INSERT INTO tasks (from_station_id, to_station_id, qty, suggestion_id)"
        " VALUES (1, 2, 3, %s)",
        last + 7,
    )

    [found] = violations()["sequence_is_not_behind"]

    assert found["fix"] == f"SELECT setval('suggestions_id_seq', {last + 7})"


@pytest.mark.django_db(transaction=True)
def test_writers_of_ids_raise_a_sequence_one_at_a_time():
    # Without a lock, the slower of two inserts could set it back below the other's ids.
    last = last_id("suggestions")
    with background() as start:
        with transaction.atomic():
            insert_suggestions(last + 5000)
            second = start(insert_suggestions, last + 8000)
            wait_until_blocked(second)
        second.result(timeout=20)

    assert last_id("suggestions") == last + 8002


@pytest.mark.django_db(transaction=True)
def test_ids_given_in_an_open_transaction_delay_no_other_insert():
    with background() as start, transaction.atomic():
        insert_suggestions(last_id("suggestions") + 1)

        start(SuggestionFactory).result(timeout=20)

    assert Suggestion.objects.count() == 4
