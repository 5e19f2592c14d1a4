"""The cost of requests, in counts that are the same on every machine.

A count that rises is a regression to explain or to fix. When one falls, lower it here.
"""

from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from dispatch import services
from dispatch.models import EventKind, Suggestion, Task
from dispatch.services.claim_scopes import Scope
from dispatch.services.claims import assigning, claim_statement
from dispatch.services.guard import capacities_statement

from ..support.factories import (
    StationFactory,
    StationStatusFactory,
    SuggestionFactory,
    TaskFactory,
    UserFactory,
)
from ..support.round_trips import round_trips_counted

pytestmark = [pytest.mark.slow, pytest.mark.django_db]

CONSOLE = "/admin/dispatch/suggestion/"
# The indexes still hold the rows that other tests rolled back: rebuild them.
FILL = """
    INSERT INTO tasks (from_station_id, to_station_id, qty, status, worker_id, attempt,
                       created_at, assigned_at, completed_at, moved_qty)
    SELECT 1 + n %% %(stations)s, 501 + n %% %(stations)s, 5,
           'completed', 'van-' || n %% 50, 1, at, at, at, 5
    FROM generate_series(1, %(behind)s) AS n, LATERAL (SELECT now() - n * %(apart)s) AS t (at);
    ANALYZE tasks;
    REINDEX TABLE tasks;
"""


def moves(number):
    return [
        {"from_station_id": 1 + n % 40, "to_station_id": 100 + n // 40, "qty": 5, "reason": "Full"}
        for n in range(number)
    ]


def claim():
    TaskFactory()
    return "/dispatch/next", {"worker_id": "van-1"}


def approve():
    return "/task/approve", {"suggestion_id": SuggestionFactory().id}


def complete():
    return f"/task/{TaskFactory(assigned=True).id}/complete", None


def extend():
    return f"/task/{TaskFactory(assigned=True).id}/extend", {"worker_id": "van-1"}


def release():
    task = TaskFactory(assigned=True)
    return f"/task/{task.id}/release", {"worker_id": "van-1", "reason": "Flat tyre"}


def propose(number):
    return lambda: ("/suggestions", moves(number))


# Statements and round trips. Both count BEGIN and COMMIT; a batch is one round trip.
REQUESTS = {
    "claim": (claim, 3, 1),
    "approve": (approve, 7, 3),
    "complete": (complete, 4, 3),
    "extend": (extend, 4, 3),
    "release": (release, 4, 3),
    "propose 1": (propose(1), 8, 6),
    "propose 100": (propose(100), 8, 6),
    "propose 1,000": (propose(1000), 8, 6),
}
LISTS = {
    # One more for each 2,000 rows.
    "/suggestions": 1,
    "/suggestions?limit=100": 1,
    "/tasks": 1,
    "/tasks?status=ready&station_id=100": 1,
}
APPROVE_MANY = 7
# Session, user and list with its verdicts. Approvals follow in batches of 200.
APPROVE_IN_CONSOLE = 10
# A message of many lines does not fit into a cookie.
SAVE_MESSAGE = 3
# Buffers that a claim touches: to look at the roster and find its task, and in all, with the
# entries that it writes into ten indexes of tasks and three of events.
SEARCH_BUFFERS, CLAIM_BUFFERS = 7, 43
# Buffers that reading two stations touches. It is about 12, or more where other tests left dead
# rows; it would be 100 if it read more than the few tasks completed since a fresh status.
GUARD_BUFFERS = 50


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("name", REQUESTS)
def test_request_takes_these_statements_and_round_trips(client, settings, name):
    settings.BATCH_STATEMENTS = True
    prepare, statements, round_trips = REQUESTS[name]
    path, body = prepare()

    with round_trips_counted() as counted, CaptureQueriesContext(connection) as captured:
        answer = client.post(path, body, content_type="application/json")

    assert answer.status_code == 200, answer.content
    assert len(captured) == statements, texts(captured)
    assert counted() == round_trips


@pytest.mark.django_db(transaction=True)
def test_begin_and_commit_count_as_round_trips():
    with round_trips_counted() as counted, transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT 1")

    assert counted() == 3


@pytest.mark.parametrize("path", LISTS)
def test_list_takes_the_same_number_of_statements_at_any_length(client, path):
    SuggestionFactory.insert_batch(30)
    TaskFactory.insert_batch(30)

    with CaptureQueriesContext(connection) as captured:
        answer = client.get(path)

    assert len(answer.json()) == 30
    assert len(captured) == LISTS[path], texts(captured)


@pytest.mark.parametrize("number", [50, 500])
def test_approving_many_takes_as_many_statements_as_one(number):
    ids = suggestion_ids(number)

    with CaptureQueriesContext(connection) as captured:
        approvals = services.approve_suggestions(ids, actor="maria")

    assert len(approvals) == number
    assert len(captured) == APPROVE_MANY, texts(captured)


@pytest.mark.parametrize(("number", "batches", "save"), [(50, 1, 0), (500, 3, SAVE_MESSAGE)])
def test_console_approves_200_suggestions_at_a_time(client, number, batches, save):
    client.force_login(UserFactory())
    selected = {"action": "approve_selected", "_selected_action": suggestion_ids(number)}
    selected["confirmed"] = "1"

    with CaptureQueriesContext(connection) as captured:
        client.post(CONSOLE, selected)

    assert Task.objects.count() == number
    expected = APPROVE_IN_CONSOLE + batches * APPROVE_MANY + save
    assert len(captured) == expected, texts(captured)


@pytest.mark.parametrize("behind", [0, 20_000])
def test_claim_reads_one_row_however_many_tasks_are_completed(behind):
    TaskFactory.insert_batch(1000)
    with connection.cursor() as cursor:
        cursor.execute(FILL, {"behind": behind, "stations": 500, "apart": timedelta(seconds=1)})
        statement, parameters = assigning(
            (claim_statement(Scope.EVERYTHING), ["van-1"]), EventKind.CLAIMED, "van-1", "api"
        )
        # A connection's first claim also reads the trigger.
        with transaction.atomic():
            cursor.execute(statement, parameters)
            transaction.set_rollback(True)
        plan = explain(statement, parameters)

    (search,) = [each for each in nodes(plan) if each.get("Subplan Name") == "CTE task"]
    scans = [each for each in nodes(search) if each.get("Relation Name") == "tasks"]
    assert [(scan["Index Name"], scan["Actual Rows"]) for scan in scans] == [("task_queue", 1)]
    assert buffers(search) <= SEARCH_BUFFERS
    assert buffers(plan) <= CLAIM_BUFFERS


def test_guard_reads_only_tasks_completed_since_a_fresh_status():
    for number in (1, 501):
        StationStatusFactory(station=StationFactory(id=number), as_of=timezone.now())
    with connection.cursor() as cursor:
        cursor.execute(FILL, {"behind": 20_000, "stations": 500, "apart": timedelta(minutes=10)})

    assert buffers(explain(*capacities_statement([1, 501]))) <= GUARD_BUFFERS


def texts(captured):
    return [str(query["sql"])[:90] for query in captured]


def suggestion_ids(number):
    SuggestionFactory.insert_batch(number)
    return list(Suggestion.objects.values_list("id", flat=True))


def explain(statement, parameters):
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}", parameters)
        ((plan,),) = cursor.fetchone()
    return plan["Plan"]


def nodes(plan):
    yield plan
    for each in plan.get("Plans", []):
        yield from nodes(each)


def buffers(plan):
    return plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]
