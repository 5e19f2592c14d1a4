"""Claims of crews on the roster: tasks in their areas that fit into their vans, in order."""

import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from baywheels.database.batch import numbered
from dispatch import services
from dispatch.exceptions import Conflict, IdempotencyKeyReused
from dispatch.models import Crew, EventKind, Station, Task
from dispatch.services import claim_scopes
from dispatch.services.areas import update_areas
from dispatch.services.claim_scopes import Scope
from dispatch.services.claims import Claim, assigning, claim_in_scope, claim_statement

from ..support.factories import CrewFactory, StationFactory, TaskFactory

pytestmark = pytest.mark.django_db

# Two systems have an area of the same name.
AREAS = {1: "San Francisco", 2: "East Bay", 3: "San José", 4: "East Bay"}
SYSTEMS = {1: "bay", 2: "bay", 3: "bay", 4: "atlantis"}


@pytest.fixture(autouse=True)
def nothing_guessed(monkeypatch):
    monkeypatch.setattr(claim_scopes, "served", {})


@pytest.fixture
def stations():
    for number, area in AREAS.items():
        StationFactory(id=number, area=area, system=SYSTEMS[number])


def tasks_from(*sources, **fields):
    return [TaskFactory(from_station_id=source, **fields).id for source in sources]


def claim(worker_id, **kwargs):
    task = services.claim_next_task(worker_id, actor="api", **kwargs)
    return task and task.id


@pytest.mark.usefixtures("stations")
def test_task_has_the_area_of_its_source_and_none_if_that_is_unknown():
    known, unknown = tasks_from(2, 99)

    assert Task.objects.get(id=known).area == "East Bay"
    assert Task.objects.get(id=unknown).area == ""


@pytest.mark.usefixtures("stations")
def test_crew_of_one_area_passes_over_older_tasks_elsewhere():
    _, wanted, _, later = tasks_from(1, 2, 3, 2)
    CrewFactory(worker_id="van-1", areas=["East Bay"])

    assert [claim("van-1"), claim("van-1"), claim("van-1")] == [wanted, later, None]


@pytest.mark.usefixtures("stations")
def test_crew_of_several_areas_gets_the_oldest_task_of_them_all():
    _, first, second = tasks_from(1, 3, 2)
    CrewFactory(worker_id="van-1", areas=["East Bay", "San José"])

    assert [claim("van-1"), claim("van-1"), claim("van-1")] == [first, second, None]


@pytest.mark.parametrize("areas", [[], ["East Bay"], ["East Bay", "San José"]])
@pytest.mark.usefixtures("stations")
def test_crew_gets_no_task_larger_than_its_van(areas):
    TaskFactory(from_station_id=2, qty=11)
    fitting = TaskFactory(from_station_id=2, qty=10).id
    CrewFactory(worker_id="van-1", areas=areas, capacity=10)

    assert [claim("van-1"), claim("van-1")] == [fitting, None]


@pytest.mark.usefixtures("stations")
def test_crews_that_the_roster_does_not_limit_get_every_task():
    first, second = tasks_from(1, 99)
    CrewFactory(worker_id="van-1")

    assert [claim("van-1"), claim("unknown")] == [first, second]


@pytest.mark.usefixtures("stations")
def test_claim_may_name_an_area():
    first, second = tasks_from(1, 2, qty=4)
    CrewFactory(worker_id="van-1", areas=["East Bay", "San José"])
    CrewFactory(worker_id="small", capacity=3)

    assert claim("small", area="San Francisco") is None
    assert claim("unknown", area="San Francisco") == first
    assert claim("van-1", area="San José") is None
    assert claim("van-1", area="East Bay") == second


@pytest.mark.usefixtures("stations")
def test_claim_may_not_widen_the_areas_of_the_crew():
    tasks_from(1)
    CrewFactory(worker_id="van-1", areas=["East Bay"])

    with pytest.raises(Conflict, match=r"Crew van-1 does not work in San Francisco\."):
        claim("van-1", area="San Francisco")


@pytest.mark.parametrize("area", [None, "San Francisco"])
@pytest.mark.usefixtures("stations")
def test_inactive_crew_gets_no_task(area):
    tasks_from(1)
    CrewFactory(worker_id="van-1", active=False)

    with pytest.raises(Conflict, match=r"Crew van-1 is not active\."):
        claim("van-1", area=area)
    assert Task.objects.get().status == "ready"


@pytest.mark.usefixtures("stations")
def test_change_of_the_roster_holds_from_the_next_claim():
    first, second, third = tasks_from(1, 2, 3)
    crew = CrewFactory(worker_id="van-1", areas=["East Bay"])
    assert claim("van-1") == second

    Crew.objects.filter(pk=crew.pk).update(areas=["San José", "East Bay"])
    assert claim("van-1") == third

    crew.delete()
    assert claim("van-1") == first


@pytest.mark.usefixtures("stations")
def test_idempotency_key_belongs_to_one_area():
    first, _ = tasks_from(1, 1)

    assert claim("van-1", key="k", area="San Francisco") == first
    assert claim("van-1", key="k", area="San Francisco") == first
    with pytest.raises(IdempotencyKeyReused, match="another area"):
        claim("van-1", key="k")


@pytest.mark.usefixtures("stations")
def test_limit_of_tasks_holds_for_crews_of_an_area(settings):
    settings.TASKS_PER_WORKER = 1
    first, _ = tasks_from(2, 2)
    CrewFactory(worker_id="van-1", areas=["East Bay"])

    assert [claim("van-1"), claim("van-1")] == [first, first]


@pytest.mark.parametrize("scope", Scope)
@pytest.mark.usefixtures("stations")
def test_statement_of_a_scope_that_is_not_the_crews_takes_and_locks_nothing(scope):
    # A lock would hide tasks from other crews for a moment.
    tasks_from(1, 2, 3)
    CrewFactory(worker_id="van-1", active=False)

    claim = Claim("van-1", "East Bay", "api", {})
    assert claim_in_scope(claim, scope, last=False) is None
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM tasks WHERE xmax <> 0")
        assert cursor.fetchone() == (0,)


@pytest.mark.parametrize(
    ("scope", "crew", "index"),
    [
        (Scope.EVERYTHING, None, "task_queue"),
        (Scope.ONE_AREA, {"areas": ["East Bay"]}, "task_queue_of_area"),
        (Scope.NAMED_AREA, None, "task_queue_of_area"),
        (Scope.AREAS, {"areas": ["East Bay", "San José"]}, "task_queue"),
        (Scope.CAPACITY, {"capacity": 5}, "task_queue"),
        (Scope.ONE_AREA, {"areas": ["East Bay"], "system": "atlantis"}, "task_queue_of_area"),
        (Scope.SYSTEM, {"system": "atlantis"}, "task_queue_of_system"),
    ],
)
@pytest.mark.usefixtures("stations")
def test_each_scope_reads_its_head_from_an_index(scope, crew, index):
    TaskFactory.insert_batch(5000, from_station_id=1)
    TaskFactory.insert_batch(50, from_station_id=4)
    if crew:
        CrewFactory(worker_id="van-1", **crew)
    statement, parameters = assigning(
        (claim_statement(scope), scope.parameters("van-1", "East Bay")),
        EventKind.CLAIMED,
        "van-1",
        "api",
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE tasks")
        cursor.execute("SET LOCAL plan_cache_mode = force_generic_plan")
        # Prepared, as claims send it: values in the text would lead to other plans.
        cursor.execute(f"PREPARE claim AS {numbered(statement).decode()}")
        values = ", ".join(["%s"] * len(parameters))
        cursor.execute(f"EXPLAIN (COSTS OFF) EXECUTE claim ({values})", parameters)
        plan = "\n".join(line for (line,) in cursor.fetchall())
        cursor.execute("DEALLOCATE claim")

    assert f"Index Scan using {index} on tasks" in plan
    assert "Sort" not in plan


@pytest.mark.parametrize("scope", Scope)
def test_update_of_a_claim_computes_no_time(scope):
    # Citus refuses a STABLE function of a column there.
    _, _, update = claim_statement(scope).partition("UPDATE tasks")

    assert "interval" not in update.partition("RETURNING")[0]


def test_areas_of_open_tasks_follow_their_stations():
    StationFactory(id=1, area="Old")
    states = ({}, {"assigned": True}, {"completed": True})
    tasks = [TaskFactory(from_station_id=1, **state) for state in states]
    with connection.cursor() as cursor:
        cursor.execute("UPDATE stations SET area = 'New'")

    services.sweep(actor="sweep")

    for task in tasks:
        task.refresh_from_db()
    assert [task.area for task in tasks] == ["New", "New", "Old"]


def test_areas_are_updated_in_batches():
    StationFactory(id=1, area="Old")
    TaskFactory.create_batch(3, from_station_id=1)
    Station.objects.update(area="New")

    assert [update_areas(limit=2) for _ in range(3)] == [2, 1, 0]
    assert set(Task.objects.values_list("area", flat=True)) == {"New"}


moves = st.tuples(st.sampled_from([*AREAS, 99]), st.integers(1, 12), st.integers(-1, 1))
crews = st.tuples(
    st.sampled_from(["", "bay", "atlantis"]),
    st.sets(st.sampled_from(sorted({*AREAS.values()}))),
    st.none() | st.integers(1, 12),
    st.booleans(),
)


@pytest.mark.slow
@given(queue=st.lists(moves, max_size=12), roster=st.lists(crews, max_size=3), data=st.data())
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@pytest.mark.usefixtures("stations")
def test_claims_agree_with_a_model_of_the_queue(queue, roster, data):
    Task.objects.all().delete()
    Crew.objects.all().delete()
    claim_scopes.served.clear()
    waiting = [
        TaskFactory(from_station_id=source, qty=qty, priority=priority)
        for source, qty, priority in queue
    ]
    waiting.sort(key=lambda task: (-task.priority, task.id))
    for number, (system, areas, capacity, active) in enumerate(roster):
        CrewFactory(
            worker_id=f"van-{number}",
            system=system,
            areas=sorted(areas),
            capacity=capacity,
            active=active,
        )
    for _ in range(len(queue) + 1):
        number = data.draw(st.integers(0, 3))
        anyone = ("", (), None, True)
        system, areas, capacity, active = roster[number] if number < len(roster) else anyone
        expected = next(
            (
                task
                for task in waiting
                if system in ("", SYSTEMS.get(task.from_station_id))
                and (not areas or AREAS.get(task.from_station_id) in areas)
                and task.qty <= (capacity or task.qty)
            ),
            None,
        )
        if not active:
            with pytest.raises(Conflict):
                claim(f"van-{number}")
            continue
        assert claim(f"van-{number}") == (expected and expected.id)
        if expected:
            waiting.remove(expected)
