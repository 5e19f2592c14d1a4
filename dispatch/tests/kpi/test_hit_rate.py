"""How the moves of a source's suggestions held, compared with cases worked out by hand."""

import csv
from datetime import UTC
from io import StringIO

import pytest

from dispatch import services
from dispatch.kpi import Period, build_report
from dispatch.kpi.moves import read_moves
from dispatch.kpi.sources import Decision, Moves, by_source
from dispatch.models import FeedWatch, TaskEvent
from dispatch.services import SuggestionRow

from ..support.factories import TaskFactory
from ..support.kpi_days import CLOSED, DAY, EMPTY, FULL, at, outage, station

ORIGIN, TARGET = 1, 2
DONE = at(9)


@pytest.fixture
def city():
    station(ORIGIN)
    station(TARGET)
    FeedWatch.objects.create(system="small", started_at=at(6), ended_at=at(18))


def moved(task_id=1, moment=DONE, bikes=5, **details):
    TaskFactory(id=task_id, completed=True, from_station_id=ORIGIN, to_station_id=TARGET)
    completed(task_id, moment, moved_qty=bikes, **details)


def completed(task_id, moment, suggestion_id=1, **details):
    TaskEvent.objects.create(
        kind="completed",
        at=moment,
        task_id=task_id,
        suggestion_id=suggestion_id,
        source="ml-v2",
        actor="test",
        details=details,
    )


def result():
    [found] = read_moves(DAY)[DAY.first]
    return found.moved, found.judged, found.ran_out


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("station_id", "kind", "start", "end", "ran_out"),
    [
        (TARGET, EMPTY, at(12), None, 1),
        (TARGET, EMPTY, at(13), at(14), 1),
        (TARGET, EMPTY, at(13, 1), at(14), 0),
        (TARGET, EMPTY, at(8), at(9, 1), 0),
        (TARGET, EMPTY, at(8), at(13, 1), 1),
        (TARGET, EMPTY, at(8), None, 1),
        (TARGET, FULL, at(10), at(11), 0),
        (TARGET, CLOSED, at(10), at(11), 0),
        (ORIGIN, FULL, at(10), at(11), 1),
        (ORIGIN, EMPTY, at(10), at(11), 0),
    ],
)
def test_move_ran_out_if_an_outage_followed_within_the_hours(
    city, station_id, kind, start, end, ran_out
):
    moved()
    outage(station_id, kind, start, end)

    assert result() == (1, 1, ran_out)


@pytest.mark.django_db
def test_hours_begin_at_the_reported_completion(city, settings):
    settings.HIT_RATE_HOURS = 1
    moved(moment=at(11), completed_at=at(9).isoformat())
    outage(TARGET, EMPTY, at(11, 30), at(12))

    assert result() == (1, 1, 0)


@pytest.mark.django_db
def test_move_is_judged_only_if_polls_followed_for_all_hours(city):
    moved(1, at(14))
    moved(2, at(14, 1))
    moved(3, at(5))
    outage(TARGET, EMPTY, at(15))

    assert result() == (3, 1, 1)


@pytest.mark.django_db
def test_only_bikes_moved_for_suggestions_count(city):
    moved()
    moved(2, bikes=0)
    completed(3, DONE, suggestion_id=None, moved_qty=5)
    completed(4, DONE, moved_qty=5)

    assert result() == (2, 1, 0), "task 4 was pruned: its stations are unknown"


def test_hit_rate_is_of_the_judged_moves():
    moves = [Moves("ml-v2", 5, 3, 1), Moves("ml-v2", 2, 1, 0), Moves("", 1, 0, 0)]
    decisions = [Decision("ml-v2", "approved", None, 9)]

    unnamed, ml = by_source({"ml-v2": 12}, decisions, moves)

    assert (ml.suggested, ml.approved, ml.moved, ml.judged, ml.ran_out) == (12, 9, 7, 4, 1)
    assert ml.hit_rate == 75.0
    assert (unnamed.moved, unnamed.hit_rate) == (1, None)


@pytest.mark.django_db(transaction=True)
def test_suggestions_of_jobs_and_of_dispatchers_are_counted():
    rows = [SuggestionRow(100, 200, 5, "Full"), SuggestionRow(101, 201, 5, "Full")]
    services.propose_suggestions(rows, source="ml-v2", actor="ml")
    services.propose_suggestions(rows, source="ml-v2", actor="ml")
    now = TaskEvent.objects.latest("id").at

    [found] = build_report(Period(now.date(), now.date(), UTC), now).sources

    assert (found.source, found.suggested) == ("ml-v2", 2)


@pytest.mark.django_db
def test_page_and_csv_have_the_hit_rate(city, dispatcher):
    moved()
    outage(TARGET, EMPTY, at(10))
    days = {"from": str(DAY.first), "to": str(DAY.last)}

    page = dispatcher.get("/admin/kpi/", days).content.decode()
    table = dispatcher.get("/admin/kpi/", {**days, "as": "sources"}).content.decode("utf-8-sig")

    assert (
        "<bdi>ml-v2</bdi></th><td>0</td><td>0</td><td>0</td><td>0</td><td>-</td><td>1</td>" in page
    )
    assert "the 4 hours after it" in page
    [row] = csv.DictReader(StringIO(table))
    assert (row["source"], row["judged"], row["hit_rate"]) == ("ml-v2", "1", "0.0")
