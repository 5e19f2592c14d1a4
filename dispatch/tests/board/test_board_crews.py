"""The board's crews: the free ones, and tasks that no active crew may take."""

import re
from datetime import timedelta

import pytest
from django.utils import timezone

from dispatch import services
from dispatch.models import Crew
from dispatch.overview.roster import Roster, read_roster

from ..support.factories import CrewFactory, StationFactory, TaskFactory
from ..support.pages import words
from .test_board import BOARD, parts

pytestmark = pytest.mark.django_db

MINUTE = timedelta(minutes=1)


@pytest.fixture
def stations():
    for number, area in {1: "East Bay", 2: "San José", 3: ""}.items():
        StationFactory(id=number, area=area)


def crews_of(dispatcher):
    return words(parts(dispatcher)["crews"])


def test_free_crews_of_the_roster_come_first(dispatcher):
    now = timezone.now()
    CrewFactory(worker_id="van-1", areas=["East Bay", "San José"], capacity=20)
    CrewFactory(worker_id="van-2", name="Night van")
    CrewFactory(worker_id="van-3", active=False)
    TaskFactory.create_batch(2, assigned=True, worker_id="van-1", assigned_at=now)
    services.claim_next_task("van-2", actor="api")

    assert re.fullmatch(
        r"van-2 Night van · everywhere · no phone free \d\d:\d\d"
        r" van-1 East Bay, San José · 20 bikes · no phone 2 tasks \d\d:\d\d Give all to… never",
        crews_of(dispatcher),
    )


def test_crews_of_the_day_are_listed_also_if_they_are_not_on_the_roster(dispatcher):
    now = timezone.now()
    CrewFactory(worker_id="van-1", active=False)
    for worker_id in ("van-1", "ghost"):
        TaskFactory(
            completed=True,
            worker_id=worker_id,
            assigned_at=now - MINUTE,
            completed_at=now,
            moved_qty=4,
        )

    assert re.fullmatch(
        r"ghost not on the roster free \d\d:\d\d \d\d:\d\d 1 4"
        r" van-1 inactive · no phone off duty \d\d:\d\d \d\d:\d\d 1 4",
        crews_of(dispatcher),
    )


def test_crew_leads_to_its_day(dispatcher):
    CrewFactory(worker_id="van & co")

    [link] = re.findall(r'href="(/admin/crew-day/[^"]*)"', parts(dispatcher)["crews"])

    assert link == "/admin/crew-day/?crew=van%20%26%20co"
    assert "van &amp; co" in dispatcher.get(link).content.decode()


def test_change_of_the_roster_reaches_an_open_board(dispatcher):
    crew = CrewFactory(worker_id="van-1")
    before = dispatcher.get(f"{BOARD}state.json")["ETag"]

    Crew.objects.filter(pk=crew.pk).update(areas=["East Bay"])

    assert dispatcher.get(f"{BOARD}state.json")["ETag"] != before


@pytest.mark.parametrize(
    ("area", "qty", "why"),
    [
        ("East Bay", 10, ""),
        ("East Bay", 11, "No active crew in East Bay has a van for 11 bikes."),
        ("San José", 1, "No active crew works in San José."),
        ("", 1, "No active crew works outside the known areas."),
    ],
)
def test_task_that_no_active_crew_may_take_says_why(area, qty, why):
    CrewFactory(areas=["East Bay"], capacity=10)
    CrewFactory(areas=["East Bay"], capacity=5)
    CrewFactory(areas=["San José"], active=False)

    assert read_roster().why_no_crew("bay", area, qty) == why


def test_without_active_crews_every_task_may_be_taken():
    assert Roster().why_no_crew("bay", "San José", 99) == ""
    assert not Roster().without_crew().exists()


@pytest.mark.usefixtures("stations")
def test_row_page_and_summary_show_tasks_without_a_crew(dispatcher):
    CrewFactory(areas=["East Bay"])
    TaskFactory(from_station_id=1)
    task = TaskFactory(from_station_id=2)
    TaskFactory(from_station_id=2, assigned=True)
    sentence = "No active crew works in San José."

    shown = parts(dispatcher)
    assert shown["tasks"].count(sentence) == 1
    assert "1 task without a crew" in words(shown["summary"])
    page = dispatcher.get(f"/admin/dispatch/task/{task.pk}/change/").content.decode()
    assert sentence in page

    CrewFactory()
    assert sentence not in parts(dispatcher)["tasks"]
    assert "without a crew" not in words(parts(dispatcher)["summary"])


@pytest.mark.usefixtures("stations")
def test_board_takes_the_same_queries_however_many_crews_and_tasks(
    dispatcher, django_assert_max_num_queries
):
    CrewFactory(areas=["East Bay"])
    TaskFactory(from_station_id=2)
    with django_assert_max_num_queries(100) as few:
        parts(dispatcher)
    CrewFactory.create_batch(20, areas=["East Bay"])
    TaskFactory.create_batch(20, from_station_id=2)

    with django_assert_max_num_queries(len(few)):
        parts(dispatcher)
