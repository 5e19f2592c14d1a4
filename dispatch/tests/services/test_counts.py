"""What a request costs, in counts that are the same on every machine.

A number that rises is a regression to explain or to mend; one that falls is to be written down.
"""

from datetime import timedelta

import psycopg
import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from dispatch import services
from dispatch.models import Suggestion, Task
from dispatch.services.claims import claim_statement, lease
from dispatch.services.guard import rooms_statement

from ..support.factories import (
    StationFactory,
    StationStatusFactory,
    SuggestionFactory,
    TaskFactory,
    UserFactory,
)

pytestmark = pytest.mark.django_db

CONSOLE = "/admin/dispatch/suggestion/"
# Other tests' rolled back rows are still in the indexes, and would be counted.
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


# Statements, with BEGIN and COMMIT; and round trips, fewer where some are sent together.
REQUESTS = {
    "claim": (claim, 3, 2),
    "approve": (approve, 7, 3),
    "complete": (complete, 4, 3),
    "extend": (extend, 4, 3),
    "release": (release, 4, 3),
    "propose 1": (propose(1), 7, 6),
    "propose 100": (propose(100), 7, 6),
    "propose 1,000": (propose(1000), 7, 6),
}
LISTS = {
    # And one more for each 2,000 rows.
    "/suggestions": 1,
    "/suggestions?limit=100": 1,
    "/tasks": 1,
    "/tasks?status=ready&station_id=100": 1,
}
APPROVE_MANY = 7
# Who it is and what the list shows, before the first 200 are approved; the rest the same again.
APPROVE_IN_CONSOLE = 7
# What a claim touches: to find its task, and at most in all, with the entries that it writes into
# ten indexes of tasks and three of events.
SEARCH_BUFFERS, CLAIM_BUFFERS = 4, 40
# What two stations' rooms touch, if of 20,000 completed tasks only the dozen is read that may be
# newer than a count of bikes. It is 12, and more where other tests' rows were; else 100.
GUARD_BUFFERS = 50


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("name", REQUESTS)
def test_a_request_takes_so_many_statements_and_round_trips(client, name, monkeypatch):
    prepare, statements, round_trips = REQUESTS[name]
    path, body = prepare()
    waits = []
    wait = psycopg.Connection.wait

    def counted(self, generator, **options):
        # That one says nothing to the server.
        if generator.__name__ != "_set_autocommit_gen":
            waits.append(generator.__qualname__)
        return wait(self, generator, **options)

    monkeypatch.setattr(psycopg.Connection, "wait", counted)
    with CaptureQueriesContext(connection) as captured:
        answer = client.post(path, body, content_type="application/json")

    assert answer.status_code == 200, answer.content
    assert len(captured) == statements, told(captured)
    assert len(waits) == round_trips, waits


@pytest.mark.parametrize("path", LISTS)
def test_a_list_takes_so_many_statements_however_long(client, path):
    Suggestion.objects.bulk_create(SuggestionFactory.build_batch(30))
    Task.objects.bulk_create(TaskFactory.build_batch(30))

    with CaptureQueriesContext(connection) as captured:
        answer = client.get(path)

    assert len(answer.json()) == 30
    assert len(captured) == LISTS[path], told(captured)


@pytest.mark.parametrize("number", [50, 500])
def test_approving_many_takes_as_many_statements_as_one(number):
    ids = suggestion_ids(number)

    with CaptureQueriesContext(connection) as captured:
        approvals = services.approve_suggestions(ids, actor="maria")

    assert len(approvals) == number
    assert len(captured) == APPROVE_MANY, told(captured)


@pytest.mark.parametrize(("number", "batches"), [(50, 1), (500, 3)])
def test_approving_many_in_the_console_takes_so_many_for_200(client, number, batches):
    client.force_login(UserFactory())
    selected = {"action": "approve_selected", "_selected_action": suggestion_ids(number)}

    with CaptureQueriesContext(connection) as captured:
        client.post(CONSOLE, selected)

    assert Task.objects.count() == number
    assert len(captured) == APPROVE_IN_CONSOLE + batches * APPROVE_MANY, told(captured)


@pytest.mark.parametrize("behind", [0, 20_000])
def test_a_claim_reads_one_row_and_so_many_buffers_whatever_is_behind(behind):
    Task.objects.bulk_create(TaskFactory.build_batch(1000))
    with connection.cursor() as cursor:
        cursor.execute(FILL, {"behind": behind, "stations": 500, "apart": timedelta(seconds=1)})
        statement, parameters = claim_statement(), ["van-1", lease(), "claimed", "api", "{}"]
        # The first one of a connection reads the trigger, too.
        with transaction.atomic():
            cursor.execute(statement, parameters)
            transaction.set_rollback(True)
        plan = explain(statement, parameters)

    (search,) = [each for each in nodes(plan) if each.get("Subplan Name") == "CTE task"]
    scans = [each for each in nodes(search) if "Relation Name" in each]
    assert [(scan["Index Name"], scan["Actual Rows"]) for scan in scans] == [("task_queue", 1)]
    assert buffers(search) == SEARCH_BUFFERS
    assert buffers(plan) <= CLAIM_BUFFERS


def test_the_guard_reads_only_tasks_completed_since_a_status_can_be_fresh():
    for number in (1, 501):
        StationStatusFactory(station=StationFactory(id=number), as_of=timezone.now())
    with connection.cursor() as cursor:
        cursor.execute(FILL, {"behind": 20_000, "stations": 500, "apart": timedelta(minutes=10)})

    assert buffers(explain(rooms_statement(), [[1, 501]])) <= GUARD_BUFFERS


def told(captured):
    return [str(query["sql"])[:90] for query in captured]


def suggestion_ids(number):
    Suggestion.objects.bulk_create(SuggestionFactory.build_batch(number))
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
