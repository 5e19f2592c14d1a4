"""Assigning tasks to a crew of the roster, or to another by its name."""

import re
from html import unescape

import pytest

from dispatch import services
from dispatch.exceptions import Conflict
from dispatch.models import Task, TaskEvent

from ..support.factories import CrewFactory, StationFactory, TaskFactory

pytestmark = pytest.mark.django_db

TASKS = "/admin/dispatch/task/"


@pytest.fixture
def stations():
    for number, area, lat in (
        (1, "East Bay", 37.80),
        (2, "East Bay", 37.81),
        (3, "San José", 37.3),
    ):
        StationFactory(id=number, area=area, lat=lat, lon=-122.27)


@pytest.fixture
def task():
    return TaskFactory(from_station_id=1, to_station_id=2, qty=12)


def assign(client, task, operation="assign", **answers):
    form = {"confirmed": "1", **answers} if answers else {}
    return client.post(f"{TASKS}{task.pk}/{operation}/?page=1", form, follow=True)


def options(answer):
    return re.findall(
        r"<opt(?:ion|group)[^>]*(?:value|label)=\"([^\"]*)\"", answer.content.decode()
    )


def holder(task):
    return Task.objects.get(pk=task.pk).worker_id


def completed_at(number, worker_id):
    return TaskFactory(completed=True, worker_id=worker_id, to_station_id=number)


@pytest.mark.usefixtures("stations")
def test_free_crews_come_first_then_the_nearest(dispatcher, task):
    for number in (1, 2, 3, 4, 5):
        CrewFactory(worker_id=f"van-{number}")
    CrewFactory(worker_id="van-6", active=False)
    completed_at(3, "van-2")
    completed_at(2, "van-3")
    completed_at(99, "van-4")
    TaskFactory(assigned=True, worker_id="van-5", to_station_id=1)

    shown = options(assign(dispatcher, task))

    assert shown == ["", "Free", "van-3", "van-2", "van-1", "van-4", "Busy", "van-5"]


@pytest.mark.usefixtures("stations")
def test_choice_shows_area_capacity_and_distance(dispatcher, task):
    CrewFactory(worker_id="van-1", name="Night van", areas=["East Bay"], capacity=20)
    completed_at(2, "van-1")

    page = assign(dispatcher, task).content.decode()

    assert "van-1 · Night van · East Bay · 20 bikes · 1.1 km away" in page


def test_waiting_task_is_assigned_without_a_reason(dispatcher, task):
    CrewFactory(worker_id="van-1")

    assign(dispatcher, task, worker_id="van-1")

    assert holder(task) == "van-1"
    assert TaskEvent.objects.get(kind="reassigned").details["reason"] == ""


def test_held_task_is_reassigned_with_a_reason_only(dispatcher):
    CrewFactory(worker_id="van-1")
    CrewFactory(worker_id="van-2")
    task = TaskFactory(assigned=True)

    page = assign(dispatcher, task, "reassign", worker_id="van-2")
    assert "This field is required." in page.content.decode()
    assert options(page) == ["", "Free", "van-2"]
    assert holder(task) == "van-1"

    assign(dispatcher, task, "reassign", worker_id="van-2", reason="Nearer")
    assert holder(task) == "van-2"


def test_task_that_a_crew_claimed_meanwhile_is_not_taken_from_it(dispatcher, task):
    CrewFactory(worker_id="van-2")
    services.claim_next_task("van-1", actor="api")

    page = assign(dispatcher, task, worker_id="van-2").content.decode()

    assert f"Task {task.pk} is held by van-1. Reassign it with a reason." in page
    assert holder(task) == "van-1"


def test_reason_does_not_take_a_task_that_a_crew_claimed_meanwhile(dispatcher, task):
    page = dispatcher.get(f"{TASKS}{task.pk}/change/").content.decode()
    (button,) = re.findall(r'formaction="([^"]*/assign/[^"]*)"', page)
    services.claim_next_task("van-1", actor="api")

    answers = {"confirmed": "1", "worker_id": "van-2", "reason": "Nearer"}
    answer = dispatcher.post(unescape(button), answers, follow=True).content.decode()

    assert "has been claimed again, by van-1." in answer
    assert holder(task) == "van-1"


def test_service_takes_no_task_from_a_crew_without_a_reason(task):
    services.reassign_task(task.pk, "van-1", actor="maria")

    with pytest.raises(Conflict, match="is held by van-1"):
        services.reassign_task(task.pk, "van-2", actor="maria")
    services.reassign_task(task.pk, "van-1", actor="maria")


@pytest.mark.parametrize(
    ("answers", "complaint"),
    [
        ({"other": "vann-7"}, "Tick this to assign a crew that is not on the roster."),
        ({"worker_id": "vann-7"}, "is not one of the available choices"),
        ({"worker_id": "van-2"}, "is not one of the available choices"),
        ({"worker_id": "van-1", "other": "van-7", "unlisted": "on"}, "Choose one crew."),
        ({"reason": "Nearer"}, "Choose a crew."),
        ({"other": "two\nlines", "unlisted": "on"}, "Enter a single line"),
    ],
)
def test_only_a_chosen_crew_gets_the_task(dispatcher, task, answers, complaint):
    CrewFactory(worker_id="van-1")
    CrewFactory(worker_id="van-2", active=False)

    assert complaint in assign(dispatcher, task, **answers).content.decode()
    assert holder(task) is None


def test_crew_that_is_not_on_the_roster_gets_a_task_after_a_tick(dispatcher, task):
    CrewFactory(worker_id="van-1")

    assign(dispatcher, task, other="van-7", unlisted="on")

    assert holder(task) == "van-7"


def test_without_a_roster_any_name_may_be_entered(dispatcher, task):
    assert "not on the roster" not in assign(dispatcher, task).content.decode()

    assign(dispatcher, task, worker_id="van-7")

    assert holder(task) == "van-7"


@pytest.mark.usefixtures("stations")
def test_crew_that_does_not_suit_gets_the_task_with_a_warning(dispatcher, task):
    CrewFactory(worker_id="van-1", areas=["San José"], capacity=10)

    page = assign(dispatcher, task, worker_id="van-1").content.decode()
    assert "Crew van-1 does not work in East Bay." in page
    assert "Crew van-1 has a van for 10 bikes." in page
    assert holder(task) == "van-1"


def test_buttons_say_assign_or_reassign(dispatcher, task):
    held = TaskFactory(assigned=True)
    for row, there, missing in ((task, "assign", "reassign"), (held, "reassign", "assign")):
        page = dispatcher.get(f"{TASKS}{row.pk}/change/").content.decode()
        assert f"/task/{row.pk}/{there}/" in page
        assert f"/task/{row.pk}/{missing}/" not in page


def test_several_tasks_are_assigned_at_once(dispatcher, task):
    CrewFactory(worker_id="van-1")
    other = TaskFactory()
    form = {"action": "assign_selected", "_selected_action": [task.pk, other.pk]}

    dispatcher.post(TASKS, {**form, "confirmed": "1", "worker_id": "van-1"})

    assert holder(task) == holder(other) == "van-1"
