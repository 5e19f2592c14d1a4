"""Neither completed tasks nor those of other areas make claims slower."""

import json

import pytest
from django.db import connection

from dispatch.models import EventKind, Task
from dispatch.services.claim_scopes import Scope
from dispatch.services.claims import assigning, claim_statement

from ..support.factories import CrewFactory, TaskFactory

pytestmark = [pytest.mark.slow, pytest.mark.django_db]

COMPLETED = 1_000_000
# Each row has its own time, as in production. Without most indexes the fill is faster. REINDEX
# removes the dead entries of rows that other tests rolled back, as a vacuum would.
FILL = """
    ALTER TABLE tasks DROP CONSTRAINT tasks_suggestion_id_key;
    DROP INDEX task_created_at, task_status, task_by_worker, task_from_station, task_to_station;
    INSERT INTO tasks (from_station_id, to_station_id, qty, status, worker_id, attempt,
                       created_at, assigned_at, completed_at, moved_qty)
    SELECT 1 + n %% 500, 501 + n %% 499, 5, 'completed', 'van-' || n %% 50, 1,
           at, at, at, 5
    FROM generate_series(1, %s) AS n, LATERAL (SELECT now() - n * interval '1 second') AS t (at);
    ANALYZE tasks;
    REINDEX INDEX task_queue;
"""

WAITING = 1_000_000
# Ready tasks of 49 areas and another system. A crew of the 50th, or of its system, must not read
# past them.
FILL_READY = """
    INSERT INTO stations (id, system, name, lat, lon, area)
    SELECT n, CASE n WHEN 50 THEN 'ours' ELSE 'theirs' END, 'Station ' || n, 37, -122, 'area ' || n
    FROM generate_series(1, 50) AS n;
    ALTER TABLE tasks DISABLE TRIGGER USER;
    INSERT INTO tasks (from_station_id, to_station_id, qty, area, system)
    SELECT 1 + n %% 49, 501, 5, 'area ' || 1 + n %% 49, 'theirs' FROM generate_series(1, %s) AS n;
    ALTER TABLE tasks ENABLE TRIGGER USER;
    ANALYZE tasks;
"""


def buffers(plan):
    return plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]


def test_claim_among_a_million_completed_tasks_touches_few_buffers():
    with connection.cursor() as cursor:
        cursor.execute(FILL, [COMPLETED])
    TaskFactory.insert_batch(1000)

    (plan,) = json.loads(
        Task.objects.next_in_queue().explain(format="json", analyze=True, buffers=True)
    )

    assert plan["Plan"]["Actual Rows"] == 1
    assert buffers(plan["Plan"]) < 20


def test_claim_in_one_place_touches_few_buffers_among_a_million_tasks():
    with connection.cursor() as cursor:
        cursor.execute(FILL_READY, [WAITING])
    CrewFactory(worker_id="van-1", areas=["area 50"])
    CrewFactory(worker_id="van-2", system="ours")
    wanted = [TaskFactory(from_station_id=50).id for _ in range(2)]

    searches = [search(Scope.ONE_AREA, "van-1"), search(Scope.SYSTEM, "van-2")]

    held = Task.objects.assigned().order_by("worker_id")
    assert [task.id for task in held] == wanted
    # Three look-ups in the roster, and one task. Reading past the others would take thousands.
    assert max(map(buffers, searches)) < 30


def search(scope, worker_id):
    """Claim. Returns the plan of the search for the task."""
    statement = claim_statement(scope), scope.parameters(worker_id, None)
    text, parameters = assigning(statement, EventKind.CLAIMED, worker_id, "api")
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL plan_cache_mode = force_generic_plan")
        cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {text}", parameters)
        [[(plan,)]] = cursor.fetchall()
    [found] = [each for each in plan["Plan"]["Plans"] if each.get("Subplan Name") == "CTE task"]
    return found


def test_tasks_are_vacuumed_when_two_per_cent_are_dead():
    with connection.cursor() as cursor:
        cursor.execute("SELECT reloptions FROM pg_class WHERE oid = 'tasks'::regclass")
        (options,) = cursor.fetchone()

    assert set(options) == {
        "autovacuum_vacuum_scale_factor=0.02",
        "autovacuum_vacuum_threshold=1000",
    }
