"""The state that the service sends to a phone."""

from datetime import datetime, timedelta

import pytest
from django.db import connection, transaction
from django.db.models import F
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from dispatch import services
from dispatch.exceptions import Conflict, Refusal
from dispatch.models import Task, TaskEvent
from dispatch.services import Report
from dispatch.services.claim_scopes import count_claimable

from ..support.concurrency import open_transaction
from ..support.crew_phone import Phone
from ..support.factories import (
    CrewFactory,
    StationFactory,
    StationStatusFactory,
    TaskFactory,
    claimed,
)

pytestmark = pytest.mark.django_db


def test_phone_without_a_task_reads_its_crew_and_the_queue():
    phone = Phone("van-1", name="Night van", areas=["East Bay"], capacity=20, language="es")
    StationFactory(id=1, area="East Bay")
    TaskFactory.create_batch(2, from_station_id=1, qty=20)
    TaskFactory(from_station_id=1, qty=21)
    TaskFactory(from_station_id=2)

    state = phone.state()

    assert state.pop("now")
    assert len(state.pop("version")) == 16
    assert state == {
        "crew": {
            "worker_id": "van-1",
            "name": "Night van",
            "language": "es",
            "areas": ["East Bay"],
            "capacity": 20,
        },
        "device": {"id": phone.device.pk, "label": "iPhone, Safari"},
        "tasks": [],
        "ended": [],
        "day": {"tasks": 0, "bikes": 0},
        "waiting": 2,
        "zone": "UTC",
    }


def test_task_comes_with_its_stations_and_distance(settings):
    settings.VAN_CAPACITY = 12
    StationStatusFactory(station__id=1, station__name="Ferry Building", bikes=9, docks=0)
    StationStatusFactory(station__id=2, station__lat=37.8, bikes=0, docks=None, in_service=False)
    phone = Phone()
    task = claimed(from_station_id=1, to_station_id=2, qty=5, reason="Full", priority=3)

    [shown] = phone.state()["tasks"]

    assert shown["from"] == {
        "id": 1,
        "name": "Ferry Building",
        "lat": 37.7749,
        "lon": -122.4194,
        "bikes": 9,
        "docks": 0,
        "counted_at": "2015-05-04T08:00:00Z",
        "closed": False,
    }
    assert (shown["to"]["docks"], shown["to"]["closed"]) == (None, True)
    assert shown["km"] == 2.79
    names = ("id", "attempt", "qty", "most", "reason", "priority", "by_dispatch", "seen")
    assert [shown[name] for name in names] == [task.id, 1, 5, 12, "Full", 3, False, False]


def test_unknown_stations_are_numbers_without_a_place():
    phone = Phone()
    claimed(from_station_id=7, to_station_id=8)

    [shown] = phone.state()["tasks"]

    empty = dict.fromkeys(["name", "lat", "lon", "bikes", "docks", "counted_at", "closed"])
    assert shown["from"] == {"id": 7, **empty}
    assert shown["km"] is None


def test_tasks_are_listed_in_the_order_in_which_the_crew_got_them():
    phone = Phone()
    low, high = TaskFactory(priority=0), TaskFactory(priority=5)
    services.reassign_task(low.id, "van-1", actor="maria")
    phone.claim()

    tasks = phone.state()["tasks"]

    assert [(task["id"], task["by_dispatch"]) for task in tasks] == [
        (low.id, True),
        (high.id, False),
    ]


# Messages, problems, and what the phone has shown


def test_message_is_in_the_next_state():
    phone = Phone()
    task = claimed()
    message = services.message_crew(task.id, "Use the\nback door", actor="maria")

    [shown] = phone.state()["tasks"]

    [received] = shown["messages"]
    assert (received["id"], received["text"]) == (message.id, "Use the back door")
    assert datetime.fromisoformat(received["at"]) == message.at


def test_message_to_the_former_crew_is_not_shown_but_one_about_the_task_is():
    task = TaskFactory()
    services.message_crew(task.id, "Gate code 1234", actor="maria")
    services.reassign_task(task.id, "van-1", actor="maria")
    services.message_crew(task.id, "Call me", actor="maria")
    services.reassign_task(task.id, "van-2", actor="maria", reason="Nearer")

    [shown] = Phone("van-2").state()["tasks"]

    assert [message["text"] for message in shown["messages"]] == ["Gate code 1234"]


def test_problems_of_the_present_claim_are_shown_at_the_time_of_the_tap():
    first, second = Phone("van-1"), Phone("van-2")
    TaskFactory()
    task = first.claim().json()
    Task.objects.update(assigned_at=F("assigned_at") - timedelta(hours=1))
    first.report(task, "problem", problems=["blocked"], note="A lorry", age=600)

    [problem] = first.state()["tasks"][0]["problems"]
    services.reassign_task(task["id"], "van-2", actor="maria", reason="Nearer")

    assert (problem["problems"], problem["note"]) == (["blocked"], "A lorry")
    happened = datetime.fromisoformat(problem["at"])
    assert timedelta(minutes=9) < timezone.now() - happened < timedelta(minutes=11)
    assert second.state()["tasks"][0]["problems"] == []


@pytest.mark.parametrize("text", ["", " \n ", "x" * 2001, "a\x00b", "\u202eevil"])
def test_message_must_be_printable_text(text):
    task = claimed()

    with pytest.raises(Refusal):
        services.message_crew(task.id, text, actor="maria")
    assert TaskEvent.objects.count() == 1


@pytest.mark.parametrize("state", ["completed", "cancelled"])
def test_no_message_about_a_task_that_has_ended(state):
    with pytest.raises(Conflict):
        services.message_crew(TaskFactory(**{state: True}).id, "Hello", actor="maria")
    assert not TaskEvent.objects.exists()


def saw(phone, task, message_id=None, attempt=1):
    values = {"task_id": task.id, "attempt": attempt, "message_id": message_id}
    answer = phone.post("seen", values)
    assert (answer.status_code, answer.json()) == (200, {})
    return list(TaskEvent.objects.filter(kind="seen").values_list("details__message_id", flat=True))


def test_what_the_phone_has_shown_is_recorded_once():
    phone = Phone()
    task = claimed()

    assert saw(phone, task) == [None]
    assert saw(phone, task) == [None]
    first, second = (services.message_crew(task.id, text, actor="maria").id for text in "ab")
    assert saw(phone, task, second) == [None, second]
    assert saw(phone, task, first) == [None, second]
    assert saw(phone, task) == [None, second]
    [shown] = phone.state()["tasks"]
    assert (shown["seen"], shown["seen_message_id"]) == (True, second)
    event = TaskEvent.objects.filter(kind="seen").last()
    assert (event.actor, event.details["device"]) == ("crew van-1", phone.device.pk)


def test_phone_cannot_have_shown_a_message_that_does_not_exist():
    phone = Phone()
    task, other = claimed(), claimed("van-2")
    message = services.message_crew(task.id, "Hello", actor="maria")
    services.message_crew(other.id, "Hello", actor="maria")

    assert saw(phone, task, 2**62) == [message.id]


@pytest.mark.parametrize("attempt", [1, 2])
def test_crew_that_lost_the_task_has_seen_nothing(attempt):
    phone = Phone()
    task = claimed()
    services.reassign_task(task.id, "van-2", actor="maria", reason="Nearer")

    assert saw(phone, task, attempt=attempt) == []


# The ends of other tasks


def end_of(phone, task_id):
    [end] = phone.state(task_id)["ended"]
    assert end.pop("task_id") == task_id
    return end


def test_phone_reads_who_has_its_task_now_and_why():
    phone = Phone()
    task = claimed()
    services.reassign_task(task.id, "van-2", actor="maria", reason="Nearer")
    at = TaskEvent.objects.get(kind="reassigned").at

    end = end_of(phone, task.id)

    assert datetime.fromisoformat(end.pop("at")) == at
    assert end == {"code": "reassigned", "worker_id": "van-2", "reason": "Nearer"}


def test_ends_of_tasks_by_code():
    phone = Phone()
    by_code = {
        "cancelled": lambda pk: services.cancel_task(pk, actor="maria", reason="Road works"),
        "released": lambda pk: services.release_task(pk, actor="maria", reason="Late"),
        "done": lambda pk: services.complete_task(pk, actor="maria"),
    }
    for code, operate in by_code.items():
        task = claimed()
        operate(task.id)
        assert end_of(phone, task.id)["code"] == code
    task = claimed()
    services.reassign_task(task.id, "van-2", actor="maria", reason="Nearer")
    services.complete_task(task.id, actor="maria")
    assert end_of(phone, task.id)["code"] == "done_by_other"


def test_held_task_has_not_ended():
    phone = Phone()
    task = claimed()
    services.release_task(task.id, actor="maria", reason="Late")
    services.reassign_task(task.id, "van-1", actor="maria")

    state = phone.state(task.id)

    assert ([each["id"] for each in state["tasks"]], state["ended"]) == ([task.id], [])


def test_task_that_the_crew_never_held_looks_like_one_that_does_not_exist():
    phone = Phone()
    foreign = claimed("van-2")
    services.complete_task(foreign.id, actor="api")
    ready = TaskFactory()

    ends = [end_of(phone, pk) for pk in (foreign.id, ready.id, foreign.id + 1000)]

    assert ends == [{"code": "unknown", "at": None, "worker_id": None, "reason": ""}] * 3


@pytest.mark.parametrize(
    "query", ["x", "1;2", "-1", "0", "1.5", str(2**63), ",".join(map(str, range(1, 102)))]
)
def test_tasks_that_are_not_ids_are_refused(query):
    answer = Phone().get(f"state?tasks={query}")

    assert (answer.status_code, answer.json()["code"]) == (400, "invalid")


# Figures


def test_day_counts_what_the_crew_completed_today(settings):
    settings.TIME_ZONE = "America/Los_Angeles"
    phone = Phone()
    for moved in (3, 4):
        services.complete_task(claimed().id, actor="api", report=Report(moved_qty=moved))
    services.complete_task(claimed("van-2").id, actor="api")
    with timezone.override("America/Los_Angeles"):
        midnight = timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0)
        before = midnight - timedelta(microseconds=1)
        TaskFactory(completed=True, completed_at=before)

        state = phone.state()

    assert (state["day"], state["zone"]) == ({"tasks": 2, "bikes": 7}, "America/Los_Angeles")


@pytest.mark.parametrize("roster", [{}, {"capacity": 5}, {"areas": [""]}, {"areas": ["", "SF"]}])
def test_waiting_tasks_are_counted_up_to_100(roster):
    phone = Phone(**roster)
    TaskFactory.insert_batch(101)

    assert phone.state()["waiting"] == 100


@pytest.mark.slow
@given(data=st.data())
@hypothesis_settings(
    deadline=None, max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_as_many_tasks_wait_as_the_crew_can_claim(data):
    areas = st.sampled_from(["", "SF", "East Bay"])
    with open_transaction():
        for number, area in enumerate(data.draw(st.lists(areas, max_size=5)), start=1):
            StationFactory(id=number, area=area)
            TaskFactory(from_station_id=number, qty=data.draw(st.integers(1, 3)))
        crew = CrewFactory(
            worker_id="van-1",
            areas=data.draw(st.lists(areas, unique=True)),
            capacity=data.draw(st.none() | st.integers(1, 3)),
        )
        waiting, _ = count_claimable(crew, most=100)

        claims = 0
        while services.claim_next_task("van-1", actor="api"):
            claims += 1

        assert waiting == claims
        transaction.set_rollback(True)


# Cost


def queries_of(request):
    with CaptureQueriesContext(connection) as captured:
        assert request().status_code == 200
    # Without the comment that names the request.
    return [query["sql"].rpartition("*/ ")[2] for query in captured]


def test_state_takes_the_same_queries_for_any_number_of_tasks():
    phone = Phone()
    counts = set()
    for _ in range(3):
        task = claimed(from_station_id=StationFactory().id, to_station_id=StationFactory().id)
        services.message_crew(task.id, "Hello", actor="maria")
        services.complete_task(done := claimed().id, actor="api")
        lost = claimed().id
        services.reassign_task(lost, "van-2", actor="maria", reason="Nearer")
        counts.add(len(queries_of(lambda ids=f"{done},{lost}": phone.get(f"state?tasks={ids}"))))

    # The phone, its tasks, the waiting ones, stations, events, ends, the day.
    assert counts == {7}


def test_state_writes_nothing():
    phone = Phone()
    claimed()
    phone.state()

    statements = queries_of(lambda: phone.get("state"))

    assert {statement.split()[0] for statement in statements} <= {"SELECT", "WITH"}
