"""PostgreSQL itself refuses invalid rows and changes, also from psql, the ORM or a stale tab."""

from datetime import timedelta
from itertools import product

import pytest
from django.db import DatabaseError, connection, transaction

from dispatch.gbfs import LONGEST_SOURCE
from dispatch.models import ClaimKey, StationFeed, Suggestion, Task, TaskEvent
from dispatch.services import claim_next_task

from ..support.factories import SuggestionFactory, TaskFactory

pytestmark = pytest.mark.django_db


def run(statement):
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.rowcount


def one_of_each():
    SuggestionFactory(id=1)
    TaskFactory(id=1, suggestion_id=11)
    TaskFactory(id=2, assigned=True)
    TaskFactory(id=3, completed=True)
    TaskFactory(id=4, cancelled=True)
    TaskEvent.objects.create(id=1, kind="approved", task_id=1, actor="maria")
    ClaimKey.objects.create(actor="api", key="k-1", worker_id="van-1", task_id=2)


FORBIDDEN = {
    "suggestion_without_bikes": "UPDATE suggestions SET qty = 0",
    "suggestion_to_itself": "UPDATE suggestions SET to_station_id = from_station_id",
    "suggestion_from_a_negative_station": "UPDATE suggestions SET from_station_id = -1",
    "suggestion_without_reason": "UPDATE suggestions SET reason = NULL",
    "suggestion_with_priority_101": "UPDATE suggestions SET priority = 101",
    "suggestion_with_priority_minus_101": "UPDATE suggestions SET priority = -101",
    "suggestion_that_never_expires": "UPDATE suggestions SET expires_at = 'infinity'",
    "suggestion_of_the_year_20000": "UPDATE suggestions SET created_at = '20000-01-01'",
    "suggestion_created_at_minus_infinity": "UPDATE suggestions SET created_at = '-infinity'",
    "task_created_at_infinity": "UPDATE tasks SET created_at = 'infinity' WHERE id = 1",
    "task_without_bikes": "UPDATE tasks SET qty = 0 WHERE id = 1",
    "task_to_itself": "UPDATE tasks SET to_station_id = from_station_id WHERE id = 1",
    "task_with_priority_101": "UPDATE tasks SET priority = 101 WHERE id = 1",
    "unknown_status": "UPDATE tasks SET status = 'lost' WHERE id = 1",
    "new_task_of_unknown_status": (
        "INSERT INTO tasks (from_station_id, to_station_id, qty, status) VALUES (1, 2, 3, 'lost')"
    ),
    "second_task_of_a_suggestion": "UPDATE tasks SET suggestion_id = 11 WHERE id = 2",
    "ready_with_a_worker": "UPDATE tasks SET worker_id = 'van-1' WHERE id = 1",
    "ready_with_a_claim_time": "UPDATE tasks SET assigned_at = now() WHERE id = 1",
    "ready_with_a_lease": "UPDATE tasks SET lease_expires_at = now() WHERE id = 1",
    "assigned_to_no_one": "UPDATE tasks SET status = 'assigned', assigned_at = now() WHERE id = 1",
    "assigned_to_an_empty_worker": "UPDATE tasks SET worker_id = '' WHERE id = 2",
    "assigned_without_a_time": "UPDATE tasks SET assigned_at = NULL WHERE id = 2",
    "assigned_with_a_completion": (
        "UPDATE tasks SET completed_at = now(), moved_qty = 1 WHERE id = 2"
    ),
    "completed_without_its_time": (
        "UPDATE tasks SET status = 'completed', moved_qty = 5 WHERE id = 2"
    ),
    "completed_without_a_count": (
        "UPDATE tasks SET status = 'completed', completed_at = now() WHERE id = 2"
    ),
    "negative_count_moved": (
        "UPDATE tasks SET status = 'completed', completed_at = now(), moved_qty = -1 WHERE id = 2"
    ),
    "cancelled_without_its_time": "UPDATE tasks SET status = 'cancelled' WHERE id = 1",
    "ready_with_a_cancellation_time": "UPDATE tasks SET cancelled_at = now() WHERE id = 1",
    "assigned_with_a_reported_completion": (
        "UPDATE tasks SET reported_completed_at = now() WHERE id = 2"
    ),
    "reported_as_completed_in_the_future": (
        "UPDATE tasks SET status = 'completed', completed_at = now(), moved_qty = 5,"
        " reported_completed_at = now() + interval '1 second' WHERE id = 2"
    ),
    "reported_as_completed_before_the_claim": (
        "UPDATE tasks SET status = 'completed', completed_at = now(), moved_qty = 5,"
        " reported_completed_at = assigned_at - interval '1 second' WHERE id = 2"
    ),
    "second_claim_with_a_key": (
        "INSERT INTO claim_keys (actor, key, worker_id, task_id)"
        " SELECT actor, key, worker_id, task_id FROM claim_keys"
    ),
    "attempt_below_zero": "UPDATE tasks SET attempt = -1 WHERE id = 1",
    "ready_to_completed": (
        "UPDATE tasks SET status = 'completed', worker_id = 'van-1', assigned_at = now(),"
        " completed_at = now(), moved_qty = 5 WHERE id = 1"
    ),
    "completed_to_ready": (
        "UPDATE tasks SET status = 'ready', worker_id = NULL, assigned_at = NULL,"
        " completed_at = NULL, moved_qty = NULL WHERE id = 3"
    ),
    "completed_to_cancelled": (
        "UPDATE tasks SET status = 'cancelled', cancelled_at = now(), completed_at = NULL,"
        " moved_qty = NULL WHERE id = 3"
    ),
    "completed_by_someone_else": "UPDATE tasks SET worker_id = 'van-2' WHERE id = 3",
    "completed_with_another_note": "UPDATE tasks SET note = 'Later' WHERE id = 3",
    "cancelled_to_ready": "UPDATE tasks SET status = 'ready', cancelled_at = NULL WHERE id = 4",
    "cancelled_with_another_priority": "UPDATE tasks SET priority = 5 WHERE id = 4",
    "decision_undone_twice": (
        "INSERT INTO task_events (kind, suggestion_id, actor)"
        " VALUES ('undone', 1, 'maria'), ('undone', 1, 'tom')"
    ),
    "event_changed": "UPDATE task_events SET actor = 'nobody'",
    "event_deleted": "DELETE FROM task_events",
}


@pytest.mark.parametrize("statement", FORBIDDEN.values(), ids=FORBIDDEN.keys())
def test_database_refuses(statement):
    one_of_each()

    with pytest.raises(DatabaseError):
        run(statement)


ALLOWED = {
    "claim": (
        "UPDATE tasks SET status = 'assigned', worker_id = 'van-1', assigned_at = now() WHERE id=1"
    ),
    "cancel_ready": "UPDATE tasks SET status = 'cancelled', cancelled_at = now() WHERE id = 1",
    "cancel_assigned": ("UPDATE tasks SET status = 'cancelled', cancelled_at = now() WHERE id = 2"),
    "release": (
        "UPDATE tasks SET status = 'ready', worker_id = NULL, assigned_at = NULL WHERE id = 2"
    ),
    "complete": (
        "UPDATE tasks SET status = 'completed', completed_at = now(), moved_qty = 0 WHERE id = 2"
    ),
    "more_moved_than_planned": (
        "UPDATE tasks SET status = 'completed', completed_at = now(), moved_qty = 6 WHERE id = 2"
    ),
    "reassign": "UPDATE tasks SET worker_id = 'van-2' WHERE id = 2",
    "raise_priority": "UPDATE tasks SET priority = 100 WHERE id = 1",
}


@pytest.mark.parametrize("statement", ALLOWED.values(), ids=ALLOWED.keys())
def test_database_allows(statement):
    one_of_each()

    assert run(statement) == 1


STATUSES = ["ready", "assigned", "completed", "cancelled", "lost"]
# A valid value of each field that depends on the status.
VALUES = {
    "worker_id": "'van-1'",
    "assigned_at": "now()",
    "lease_expires_at": "now()",
    "completed_at": "now()",
    "moved_qty": "5",
    "cancelled_at": "now()",
}
HOLDER, COMPLETION = {"worker_id", "assigned_at"}, {"completed_at", "moved_qty"}
# The fields that may be set together in each status.
WHOLE = {
    "ready": [set()],
    "assigned": [HOLDER, HOLDER | {"lease_expires_at"}],
    "completed": [HOLDER | COMPLETION],
    "cancelled": [{"cancelled_at"}, HOLDER | {"cancelled_at"}],
    "lost": [],
}


def is_stored(status, fields):
    columns = ["from_station_id", "to_station_id", "qty", "status", *fields]
    values = ["1", "2", "5", f"'{status}'", *(VALUES[field] for field in fields)]
    try:
        run(f"INSERT INTO tasks ({', '.join(columns)}) VALUES ({', '.join(values)})")
    except DatabaseError:
        return False
    return True


@pytest.mark.parametrize("status", STATUSES)
def test_task_has_exactly_the_fields_of_its_status(status):
    combinations = [
        {field for field, is_set in zip(VALUES, chosen, strict=True) if is_set}
        for chosen in product([False, True], repeat=len(VALUES))
    ]

    stored = [fields for fields in combinations if is_stored(status, fields)]

    assert sorted(map(sorted, stored)) == sorted(map(sorted, WHOLE[status]))


def state(status):
    """Assignments that make a task whole in this status."""
    fields = WHOLE[status][0]
    values = {field: VALUES[field] if field in fields else "NULL" for field in VALUES}
    return ", ".join(f"{name} = {value}" for name, value in values.items())


EDGES = [
    ("ready", "ready"),
    ("ready", "assigned"),
    ("ready", "cancelled"),
    ("assigned", "assigned"),
    ("assigned", "ready"),
    ("assigned", "completed"),
    ("assigned", "cancelled"),
]


@pytest.mark.parametrize(("former", "new"), [*product(STATUSES[:-1], repeat=2)])
def test_status_changes_only_along_its_edges(former, new):
    task = TaskFactory(**{} if former == "ready" else {former: True})

    def change():
        return run(f"UPDATE tasks SET status = '{new}', {state(new)} WHERE id = {task.id}")

    if (former, new) in EDGES:
        assert change() == 1
    else:
        with pytest.raises(DatabaseError, match=f"cannot change from {former} to {new}"):
            change()


def test_orm_cannot_change_a_completed_task():
    task = TaskFactory(completed=True)
    task.note = "Written by a stale tab"

    with pytest.raises(DatabaseError), transaction.atomic():
        task.save()
    with pytest.raises(DatabaseError), transaction.atomic():
        Task.objects.update(note="Written by update()")


def test_ml_job_can_insert_only_the_contracts_columns_with_sql():
    run(
        "INSERT INTO suggestions (from_station_id, to_station_id, qty, reason)"
        " VALUES (100, 200, 5, 'Station 100 is full')"
    )

    suggestion = Suggestion.objects.get()
    assert (suggestion.priority, suggestion.source, suggestion.expires_at) == (0, "", None)
    assert suggestion.created_at is not None


@pytest.mark.parametrize("table", ["suggestions", "tasks"])
def test_row_from_the_future_is_created_now(table):
    columns = "(from_station_id, to_station_id, qty, reason, created_at)"
    run(f"INSERT INTO {table} {columns} VALUES (1, 2, 3, 'x', now() + interval '8 hours')")
    run(f"INSERT INTO {table} {columns} VALUES (1, 2, 3, 'x', now() - interval '8 hours')")

    with connection.cursor() as cursor:
        cursor.execute(f"SELECT created_at - now() FROM {table} ORDER BY id")
        future, past = [row[0] for row in cursor]
    assert timedelta(0) <= future < timedelta(minutes=1)
    assert past == -timedelta(hours=8)


@pytest.mark.parametrize("table", ["suggestions", "tasks"])
def test_row_is_created_when_its_statement_begins(table):
    columns = "(from_station_id, to_station_id, qty, reason)"
    run(f"INSERT INTO {table} {columns} VALUES (1, 2, 3, 'x')")

    with connection.cursor() as cursor:
        cursor.execute(f"SELECT created_at > now() FROM {table}")
        assert cursor.fetchone() == (True,)


def test_naive_utc_time_of_a_session_to_the_west_does_not_starve():
    columns = "(from_station_id, to_station_id, qty, created_at)"
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL timezone = 'America/Los_Angeles'")
        cursor.execute(f"INSERT INTO tasks {columns} VALUES (1, 2, 3, now() AT TIME ZONE 'UTC')")
        # psycopg keeps the zone in which it first reads a time.
        cursor.execute("SET LOCAL timezone = 'UTC'")
    first = Task.objects.get().id
    TaskFactory()

    assert claim_next_task("van-1", actor="api").id == first


@pytest.mark.slow
def test_claim_reads_the_head_of_the_queue_from_its_index():
    TaskFactory.insert_batch(200)
    TaskFactory.insert_batch(2000, completed=True)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE tasks")

    plan = Task.objects.next_in_queue().explain()

    assert "Index Scan using task_queue" in plan
    assert "Sort" not in plan


def test_column_holds_the_longest_feed_address():
    assert StationFeed._meta.get_field("source").max_length >= LONGEST_SOURCE
