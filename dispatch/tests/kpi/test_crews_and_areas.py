"""The work by crew and by area, compared with figures worked out by hand."""

import csv
import json
from dataclasses import asdict
from datetime import UTC, date, timedelta
from io import StringIO
from zoneinfo import ZoneInfo

import pytest
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from dispatch import services
from dispatch.exceptions import Conflict
from dispatch.kpi import Period, build_report
from dispatch.kpi.breakdown import (
    AreaFigures,
    CrewFigures,
    ReadyTasks,
    WorkFigures,
    by_area,
    by_crew,
    summarize,
)
from dispatch.kpi.crew_work import CrewWork, read_crew_work
from dispatch.kpi.places import Place, Places
from dispatch.kpi.text import place_label
from dispatch.models import Task, TaskEvent

from ..support.factories import (
    MORNING,
    CrewFactory,
    StationFactory,
    SuggestionFactory,
    TaskFactory,
)
from ..support.kpi_days import DAY, EVENING, HOSTILE, at
from ..support.kpi_shift import happened, shift

PAGE = "/admin/kpi/"
THE_DAY = {"from": "2015-05-04", "to": "2015-05-04"}
ONE_SYSTEM = Places([("paris", "East"), ("paris", "")])
TWO_SYSTEMS = Places([("lyon", "Centre"), ("paris", "Centre"), ("paris", "North"), ("paris", "")])
NOTHING = WorkFigures(0, 0, 0, None, None, 0, 0, None, 0)


def report(period=DAY, **filters):
    return build_report(period, EVENING, **filters)


def read_csv(answer):
    return list(csv.reader(StringIO(answer.content.decode("utf-8-sig"), newline="")))


# Pure


def test_medians_are_over_all_waits_of_a_group():
    works = [
        CrewWork(
            "van-1", "East", claimed=2, from_approval=[600], from_release=[5400], working=[300]
        ),
        CrewWork("van-1", "West", claimed=1, from_approval=[1200], working=[420]),
    ]

    found = summarize(works)

    assert (found.claimed, found.ready_to_claim, found.claim_to_completion) == (3, 20, 6)


def test_share_given_back_leaves_out_ended_leases():
    found = summarize([CrewWork("van-1", "", claimed=8, released=3, lease_ended=1)])

    assert (found.released, found.given_back, found.given_back_percent) == (3, 2, 25.0)
    assert summarize([]) == NOTHING


def test_crews_are_in_order_of_name():
    works = [CrewWork(worker_id, "") for worker_id in ("van-3", "van-2", "van-1", "alpha")]

    found = by_crew(works, {"van-1": "Zebra", "van-2": "", "van-3": "anna"})

    assert [(crew.worker_id, crew.name) for crew in found] == [
        ("alpha", ""),
        ("van-3", "anna"),
        ("van-2", ""),
        ("van-1", "Zebra"),
    ]


def test_area_with_only_ready_tasks_is_listed():
    ready = {Place("", "East"): ReadyTasks(2, MORNING)}

    found = by_area([], ONE_SYSTEM, ready, MORNING + timedelta(minutes=90))

    assert found == [AreaFigures(Place("", "East"), NOTHING, ready=2, oldest_ready=90)]


def test_areas_of_the_same_name_in_two_systems_are_two():
    works = [CrewWork("van-1", "Centre", "paris", bikes=5), CrewWork("van-2", "Centre", "lyon")]

    found = by_area(works, TWO_SYSTEMS, {}, MORNING)

    assert [(area.place, area.work.bikes) for area in found] == [
        (("lyon", "Centre"), 0),
        (("paris", "Centre"), 5),
    ]


def test_long_names_of_a_place_are_both_cut():
    place = Place("lime_san_francisco", "South of Market / Mission Bay")

    assert place_label(place, 30) == "South of Ma… (lime_san_franc…)"
    assert place_label(Place("lyon", "Centre")) == "Centre (lyon)"
    assert place_label(Place("lyon", "")) == "no area (lyon)"


def test_no_place_names_the_only_system():
    assert ONE_SYSTEM.place("paris", "East") == ONE_SYSTEM.place("", "East") == ("", "East")


@pytest.mark.parametrize(("area", "system"), [("North", "paris"), ("Centre", ""), ("", "")])
def test_pruned_task_is_of_the_only_system_with_its_area(area, system):
    assert TWO_SYSTEMS.place("", area) == (system, area)


# From events


@pytest.mark.django_db
def test_each_crew_has_the_figures_worked_out_by_hand():
    shift()

    assert report().crews == [
        # Claims of tasks 1, 4 and twice 2; a completion counts for the crew that made it.
        CrewFigures("van-1", "Night van", WorkFigures(4, 2, 5, 15, 35, 1, 1, 25.0, 1)),
        CrewFigures("van-2", "", WorkFigures(2, 1, 5, 20, 30, 1, 0, 0.0, 0)),
        CrewFigures("van-3", "", WorkFigures(0, 1, 4, None, 20, 0, 0, None, 0)),
    ]


@pytest.mark.django_db
def test_each_area_has_the_figures_worked_out_by_hand():
    shift()

    none, east, west = report().areas

    assert none == AreaFigures(
        Place("", ""), WorkFigures(0, 1, 4, None, 20, 0, 0, None, 0), 0, None
    )
    assert east == AreaFigures(
        Place("", "East"), WorkFigures(5, 2, 8, 20, 30, 2, 1, 20.0, 1), 0, None
    )
    assert west.work == WorkFigures(1, 1, 2, 5, 40, 0, 0, 0.0, 0), "the pruned task"
    assert (west.ready, west.oldest_ready) == (1, 120)


@pytest.mark.django_db
@pytest.mark.parametrize("zone", [UTC, ZoneInfo("America/Los_Angeles")])
@pytest.mark.parametrize("days", [1, 3])
def test_sums_over_crews_and_over_areas_are_the_totals(zone, days):
    shift()
    found = report(Period(date(2015, 5, 4), date(2015, 5, 3) + timedelta(days), zone))

    for groups in (found.crews, found.areas):
        works = [asdict(group.work) for group in groups]
        for name in ("claimed", "completed", "bikes", "released", "given_back", "late_reports"):
            assert sum(work[name] for work in works) == getattr(found.total, name)
    assert (found.work.tasks_done, found.work.bikes_moved) == (
        found.total.completed,
        found.total.bikes,
    )
    assert sum(hour.tasks for hour in found.work.by_hour) == found.total.completed
    assert sum(hour.bikes for hour in found.work.by_hour) == found.total.bikes
    assert found.work.claim_to_completion.median == found.total.claim_to_completion


@pytest.mark.django_db
def test_days_are_those_of_the_time_zone():
    shift()
    pacific = ZoneInfo("America/Los_Angeles")

    sunday, monday = (
        report(Period(day, day, pacific)).crews for day in (date(2015, 5, 3), date(2015, 5, 4))
    )

    # All before 07:00 UTC is the evening of Sunday there.
    assert [crew.worker_id for crew in sunday] == ["van-3"]
    assert sunday[0].work == WorkFigures(1, 1, 4, 50, 20, 0, 0, 0.0, 0)
    assert [crew.worker_id for crew in monday] == ["van-1", "van-2"]


@pytest.mark.django_db
def test_events_of_other_days_do_not_count():
    happened("claimed", DAY.start - timedelta(seconds=1), 1, "early", 1)
    happened("claimed", DAY.start, 2, "first", 1)
    happened("claimed", DAY.end - timedelta(seconds=1), 3, "last", 1)
    happened("claimed", DAY.end, 4, "late", 1)

    assert [crew.worker_id for crew in report().crews] == ["first", "last"]


@pytest.mark.django_db
def test_crews_can_be_limited_to_the_tasks_of_one_area():
    shift()

    found = report(place=Place("", "East"))

    van_1, van_2 = found.crews
    assert van_1.work == WorkFigures(3, 1, 3, 20, 30, 1, 1, pytest.approx(100 / 3), 1)
    assert van_2.work == report().crews[1].work
    assert found.areas == report().areas
    assert report(place=Place("bay", "East")).crews == found.crews, "only one system is loaded"
    assert [crew.worker_id for crew in report(place=Place("", "")).crews] == ["van-3"]
    assert report(place=Place("", "North")).crews == []


@pytest.mark.django_db
def test_number_of_queries_does_not_grow_with_crews():
    shift()
    with CaptureQueriesContext(connection) as few:
        report()
    for number in range(50):
        CrewFactory(worker_id=f"crew {number}", name="Crew")
        happened("approved", at(12), 100 + number)
        happened("claimed", at(13), 100 + number, f"crew {number}", 1)

    with CaptureQueriesContext(connection) as many:
        found = report()

    assert len(found.crews) == 53
    assert len(many) == len(few)


# From real operations


def today():
    now = TaskEvent.objects.latest("id").at
    return Period(now.date() - timedelta(days=1), now.date(), UTC), now


@pytest.mark.django_db(transaction=True)
def test_figures_follow_real_operations(settings):
    settings.TASK_LEASE_MINUTES = 30
    StationFactory(id=100, area="East")
    suggestion = SuggestionFactory()
    task = services.approve_suggestion(suggestion.pk, actor="maria").task
    services.claim_next_task("van-1", actor="van-1")
    services.release_task(task.pk, actor="van-1", reason="Flat tyre")
    services.claim_next_task("van-2", actor="van-2")
    Task.objects.filter(pk=task.pk).update(lease_expires_at=MORNING)
    services.sweep(actor="sweep")
    services.reassign_task(task.pk, "van-3", actor="maria")
    services.complete_task(task.pk, actor="van-3", report=services.Report(moved_qty=4))
    with pytest.raises(Conflict):
        services.complete_task(task.pk, actor="van-1", report=services.Report("van-1"))

    van_1, van_2, van_3 = build_report(*today()).crews

    def counts(crew):
        work = crew.work
        return work.claimed, work.completed, work.bikes, work.released, work.given_back_percent

    assert counts(van_1) == (1, 0, 0, 1, 100.0)
    assert counts(van_2) == (1, 0, 0, 1, 0.0)
    assert counts(van_3) == (1, 1, 4, 0, 0.0)
    assert [crew.work.late_reports for crew in (van_1, van_2, van_3)] == [1, 0, 0]


@pytest.mark.django_db(transaction=True)
def test_pruning_changes_no_figure():
    StationFactory(id=100, area="East")
    StationFactory(id=101, area="West")
    written = services.create_task(Task(from_station_id=101, to_station_id=200, qty=3), actor="eve")
    suggestion = SuggestionFactory(priority=5)
    services.approve_suggestion(suggestion.pk, actor="maria")
    for worker_id in ("van-1", "van-2"):
        task = services.claim_next_task(worker_id, actor=worker_id)
        services.complete_task(task.pk, actor=worker_id)
    before = build_report(*today())
    assert written.task.area == "West"
    assert [(area.place.area, area.work.bikes) for area in before.areas] == [
        ("East", 5),
        ("West", 3),
    ]

    Task.objects.all().delete()

    assert build_report(*today()) == before


@pytest.mark.django_db(transaction=True)
def test_undone_approval_leaves_no_trace():
    StationFactory(id=100, area="East")
    suggestion = SuggestionFactory()
    task = services.approve_suggestion(suggestion.pk, actor="maria").task
    services.undo_approval(task.pk, actor="maria")

    found = build_report(*today())

    assert (found.crews, found.areas, found.total) == ([], [], NOTHING)


@pytest.mark.django_db
def test_work_is_read_in_one_query(django_assert_num_queries):
    shift()

    with django_assert_num_queries(1):
        works = read_crew_work(DAY)[DAY.first]

    assert [(work.worker_id, work.area) for work in works] == [
        ("van-1", "East"),
        ("van-1", "West"),
        ("van-2", "East"),
        ("van-3", ""),
    ]


# The command and the page


@pytest.mark.django_db
def test_command_shows_crews_and_areas():
    shift()
    said = StringIO()
    call_command("kpi", "--from=2015-05-04", "--to=2015-05-04", stdout=said)
    text = " ".join(said.getvalue().split())

    assert "Night van (van-1) 4 2 5 15.0 35.0 1 25 % 1 van-2 2 1 5 20.0 30.0 1 0 % 0" in text
    assert "(none) 0 1 4 - 20.0 0 - 0 East 5 2 8 20.0 30.0 2 20 % 1" in text
    assert "all 6 4 14 20.0 30.0 2 17 % 1" in text
    assert "Ready now tasks oldest, min. West 1" in text
    assert max(map(len, said.getvalue().splitlines())) <= 100


@pytest.mark.django_db
def test_json_has_crews_and_areas():
    shift()
    said = StringIO()
    call_command("kpi", "--from=2015-05-04", "--to=2015-05-04", "--json", stdout=said)
    found = json.loads(said.getvalue())

    assert found["crews"][0] == {
        "worker_id": "van-1",
        "name": "Night van",
        "claimed": 4,
        "completed": 2,
        "bikes": 5,
        "ready_to_claim": 15.0,
        "claim_to_completion": 35.0,
        "released": 1,
        "given_back": 1,
        "given_back_percent": 25.0,
        "late_reports": 1,
    }
    assert [area["area"] for area in found["areas"]] == ["", "East", "West"]
    assert found["areas"][1].keys() - found["total"].keys() == {
        "area",
        "system",
        "ready",
        "oldest_ready",
    }


@pytest.mark.django_db
def test_long_and_hostile_names_fit_a_terminal():
    CrewFactory(worker_id="v" * 200, name="N" * 100)
    happened("claimed", at(9), 1, "v" * 200, 1)
    happened("claimed", at(9), 2, HOSTILE, 1)
    said = StringIO()
    call_command("kpi", "--from=2015-05-04", "--to=2015-05-04", stdout=said)

    assert "\x1b" not in said.getvalue()
    assert max(map(len, said.getvalue().splitlines())) <= 100


@pytest.mark.django_db
def test_page_shows_crews_and_areas(dispatcher):
    shift()
    happened("claimed", at(9), 9, HOSTILE, 1)

    page = dispatcher.get(PAGE, THE_DAY).content.decode()

    assert '<bdi>Night van</bdi> <span class="quiet"><bdi>van-1</bdi></span>' in page
    assert "<td>4</td><td>2</td><td>5</td><td>15.0</td><td>35.0</td><td>1</td>" in page
    assert "area=East#by-crew" in page
    assert ">No area</a>" in page
    assert "<script>alert" not in page


@pytest.mark.django_db
def test_page_can_show_the_crews_of_one_area(dispatcher):
    shift()

    page = dispatcher.get(PAGE, {**THE_DAY, "area": "West"}).content.decode()

    assert "Only tasks from <bdi>West</bdi>." in page
    assert '<input type="hidden" name="area" value="West">' in page
    assert "<bdi>van-2</bdi>" not in page
    assert "Only tasks from no area." in dispatcher.get(PAGE, {"area": ""}).content.decode()


def work_in_two_cities():
    """A task of the area Centre in each; van-1 has claimed that of Lyon, van-2 that of Paris."""
    for number, system in ((1, "lyon"), (2, "paris")):
        StationFactory(id=number, system=system, area="Centre")
        TaskFactory(id=number, from_station_id=number, to_station_id=9)
        happened("claimed", at(9), number, f"van-{number}", 1)


@pytest.mark.django_db
def test_page_shows_the_areas_and_crews_of_each_city(dispatcher):
    work_in_two_cities()

    page = dispatcher.get(PAGE, THE_DAY).content.decode()
    lyon = dispatcher.get(PAGE, {**THE_DAY, "area": "Centre", "system": "lyon"}).content.decode()
    areas = dispatcher.get(PAGE, {**THE_DAY, "as": "areas"})

    assert '<bdi>Centre</bdi> <span class="quiet"><bdi>paris</bdi></span>' in page
    assert "area=Centre&amp;system=paris#by-crew" in page
    assert "<bdi>van-1</bdi>" in lyon
    assert "<bdi>van-2</bdi>" not in lyon
    assert '<input type="hidden" name="system" value="lyon">' in lyon
    assert [row[:3] + row[-2:-1] for row in read_csv(areas)[1:]] == [
        ["Centre", "lyon", "1", "1"],
        ["Centre", "paris", "1", "1"],
    ]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("place", "crews"),
    [
        (Place("", "Centre"), ["van-1", "van-2"]),
        (Place("paris", "Centre"), ["van-2"]),
        (Place("berlin", "Centre"), []),
        (Place("", ""), []),
    ],
)
def test_area_without_a_system_is_that_of_every_city(place, crews):
    work_in_two_cities()

    assert [crew.worker_id for crew in report(place=place).crews] == crews


@pytest.mark.django_db
@pytest.mark.parametrize("area", ["North", "<script>", "\0", "x" * 1000])
def test_unknown_area_has_no_crew(dispatcher, area):
    answer = dispatcher.get(PAGE, {**THE_DAY, "area": area})

    assert answer.status_code == 200
    assert "No crew had a task." in answer.content.decode()
    assert "<script>" not in answer.content.decode()


@pytest.mark.django_db
def test_tables_can_be_downloaded(dispatcher):
    shift()
    happened("claimed", at(9), 9, HOSTILE, 1)

    crews = dispatcher.get(PAGE, {**THE_DAY, "as": "crews"})
    areas = dispatcher.get(PAGE, {**THE_DAY, "as": "areas"})
    of_west = dispatcher.get(PAGE, {**THE_DAY, "as": "crews", "area": "West"})

    assert crews.headers["Content-Disposition"] == (
        'attachment; filename="crews-2015-05-04-2015-05-04.csv"'
    )
    head, hostile, first, *_ = read_csv(crews)
    assert head[:4] == ["worker_id", "name", "claimed", "completed"]
    assert hostile[0] == f"'{HOSTILE}"
    assert first[:7] == ["van-1", "Night van", "4", "2", "5", "15.0", "35.0"]
    assert [row[0] for row in read_csv(areas)] == ["area", "", "East", "West"]
    assert [row[0] for row in read_csv(of_west)] == ["worker_id", "van-1"]
