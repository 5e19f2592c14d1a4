import csv
import json
from datetime import UTC, timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from dispatch.kpi import Period, build_report
from dispatch.kpi.clusters import ClusterFigures
from dispatch.kpi.stockouts import Episode, KindFigures, Share
from dispatch.kpi.work import Wait
from dispatch.models import FeedWatch, OutageKind, Station, StationOutage, StatusPoll

from ..support.kpi_days import (
    CLOSED,
    DAY,
    EMPTY,
    EVENING,
    HOSTILE,
    at,
    morning_of_work,
    outage,
    small_city,
    station,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def day():
    small_city()
    morning_of_work()


def kpi(*arguments):
    said = StringIO()
    call_command("kpi", *arguments, stdout=said)
    return said.getvalue()


def on_the_day(*arguments):
    return kpi("--from=2015-05-04", "--to=2015-05-04", *arguments)


def test_a_report_has_the_figures_that_were_worked_out_by_hand(day):
    told = build_report(DAY, EVENING)

    # 9 polls of 4 stations, and 3 while one was closed: 33; 8 of them empty, 3 full.
    assert told.polls == 9
    assert told.watched == 20.0, "4 of the 20 hours that are past"
    assert told.stockouts.share.station_polls == 33
    assert told.stockouts.share.empty == 100 * 8 / 33
    assert told.stockouts.share.full == 100 * 3 / 33
    assert told.stockouts.by_hour[9] == Share(8, empty=100.0, full=0.0, either=100.0)
    assert told.stockouts.empty == KindFigures(4, 4, 240, 60)
    assert told.stockouts.full == KindFigures(1, 1, 60, 60)
    assert told.stockouts.closed == KindFigures(1, 1, 60, 60)
    assert told.stockouts.long_episodes == 0
    assert told.clusters == ClusterFigures(4, 4, episodes=4, minutes_beyond=200)
    assert told.cluster_outages[0] == Episode(1, OutageKind.EMPTY, at(9), at(10))
    assert told.work.bikes_per_hour == 6 / 20
    assert told.work.approval_to_claim == Wait(1, 10, 10)
    assert told.work.claim_to_completion == Wait(1, 20, 20)


def test_the_queries_are_as_many_whatever_the_city(day):
    def queries():
        with CaptureQueriesContext(connection) as found:
            build_report(DAY, EVENING)
        return len(found)

    before = queries()
    for number in range(100, 160):
        station(number)
        outage(number, OutageKind.EMPTY, at(8), at(9))

    assert queries() == before == 7


def test_each_system_has_its_own_clusters_and_last_poll(day):
    station(9, "other", lat=37.7001)
    outage(9, OutageKind.EMPTY, at(13))
    FeedWatch.objects.create(system="other", started_at=at(13), ended_at=at(13, 30))
    for minute in (0, 30):
        StatusPoll.objects.create(system="other", at=at(13, minute), in_service=1, empty=1, full=0)

    told = build_report(DAY, EVENING)

    assert told.clusters.clusters == 5
    assert told.clusters.episodes == 5
    assert told.stockouts.empty.minutes == 240 + 30
    assert told.watched == 2.5, "half an hour of 20: the system of which least is known"


def test_what_was_polled_on_other_days_does_not_count(day):
    for moment in (DAY.start - timedelta(seconds=1), DAY.end):
        StatusPoll.objects.create(system="small", at=moment, in_service=4, empty=4, full=0)
        FeedWatch.objects.create(system="small", started_at=moment, ended_at=moment)
    outage(4, OutageKind.EMPTY, DAY.end)

    told = build_report(DAY, EVENING)

    assert told.polls == 9
    assert told.stockouts.share.station_polls == 33
    assert told.stockouts.empty.episodes == 4


@pytest.mark.parametrize("closed_at", [23, 24])
def test_a_closure_over_midnight_belongs_to_the_outage_before_it_on_both_days(day, closed_at):
    closing, opening = at(0) + timedelta(hours=closed_at), DAY.end + timedelta(hours=1)
    outage(4, EMPTY, at(20), closing)
    outage(4, CLOSED, closing, opening)
    outage(4, EMPTY, opening, DAY.end + timedelta(hours=2))
    # What no closure followed is over.
    outage(3, EMPTY, at(20), at(23))
    StatusPoll.objects.create(system="small", at=DAY.end, in_service=3, empty=0, full=0)
    tuesday = DAY.last + timedelta(days=1)

    on_tuesday, on_both = (
        build_report(Period(first, tuesday, UTC), EVENING + timedelta(days=1)).stockouts
        for first in (tuesday, DAY.first)
    )

    assert (on_tuesday.empty.episodes, on_tuesday.empty.minutes) == (1, 120)
    assert on_both.empty.minutes == 4 * 60 + 3 * 60 + 4 * 60 + 120
    assert on_tuesday.closed.minutes == 60


def test_nobody_watched_in_a_gap(day):
    StatusPoll.objects.filter(at__gt=at(9), at__lt=at(10, 30)).delete()

    assert build_report(DAY, EVENING).watched == 100 * 2.5 / 20


def test_a_system_that_was_not_polled_in_the_period_is_not_in_it(day):
    station(9, "old", lat=37.7001)
    outage(9, OutageKind.EMPTY, at(0) - timedelta(days=9), at(0) - timedelta(days=8))
    FeedWatch.objects.create(
        system="old", started_at=at(0) - timedelta(days=9), ended_at=at(0) - timedelta(days=8)
    )

    assert build_report(DAY, EVENING).clusters.clusters == 4


def test_a_system_whose_first_poll_comes_while_the_report_is_made_is_not_yet_in_it(day):
    """Its watch was not there when the systems were read; its poll is when the polls are."""
    StatusPoll.objects.create(system="new", at=at(13), in_service=1, empty=1, full=0)

    assert build_report(DAY, EVENING).polls == 9


def test_a_station_that_left_before_the_period_is_in_no_cluster(day):
    Station.objects.filter(pk=3).update(gone_at=at(0) - timedelta(days=1))

    told = build_report(DAY, EVENING)

    assert told.clusters == ClusterFigures(3, 3, episodes=3, minutes_beyond=150)


def test_a_station_of_which_no_poll_has_told_is_in_no_cluster(day):
    """It would have neither been empty nor full, and so would keep its neighbours' clusters up."""
    Station.objects.create(id=5, system="small", name="New", lat=37.7, lon=-122.4)

    assert build_report(DAY, EVENING).clusters == ClusterFigures(
        4, 4, episodes=4, minutes_beyond=200
    )


def test_the_worst_tenth_is_of_the_stations_that_were_ever_in_service(day):
    """Of 20, with 1 closed all day, 19 are left: the worst tenth is one station."""
    for number in range(5, 21):
        station(number)
    assert build_report(DAY, EVENING).stockouts.worst_tenth == pytest.approx(100 * (120 + 60) / 300)

    outage(20, OutageKind.CLOSED, at(8))

    assert build_report(DAY, EVENING).stockouts.worst_tenth == 100 * 120 / 300


def test_json_has_every_figure_under_its_name(day):
    told = json.loads(on_the_day("--json"))

    assert told["from"] == told["to"] == "2015-05-04"
    assert (told["time_zone"], told["status_polls"]) == ("UTC", 9)
    assert told["stockouts"]["share"] == {
        "station_polls": 33,
        "empty": 24.24,
        "full": 9.09,
        "either": 33.33,
    }
    assert told["stockouts"]["by_hour"][9] == {
        "hour": 9,
        "station_polls": 8,
        "empty": 100.0,
        "full": 0.0,
        "either": 100.0,
    }
    assert told["clusters"]["outages"][1] == {
        "name": "Station 2",
        "station_id": 2,
        "kind": "empty",
        "start": "2015-05-04T09:00:00+00:00",
        "end": "2015-05-04T10:00:00+00:00",
        "minutes": 60.0,
    }
    assert told["work"]["by_hour"][9] == {"hour": 9, "tasks": 1, "bikes": 6}
    assert told["sources"] == [
        {
            "source": HOSTILE,
            "approved": 1,
            "rejected": 2,
            "expired": 0,
            "approval_rate": 33.33,
            "rejection_rate": 66.67,
        }
    ]


def test_csv_has_a_figure_a_line_and_no_formula(day):
    head, *rows = csv.reader(StringIO(on_the_day("--csv"), newline=""))

    figures = dict(rows)
    assert head == ["figure", "value"]
    assert len(figures) == len(rows)
    assert figures["stockouts.share.empty"] == "24.24"
    assert figures["work.approval_to_claim.median"] == "10.0"
    assert figures["sources.0.source"] == f"'{HOSTILE}"
    assert not [value for value in figures.values() if value.startswith("=")]


def test_the_table_is_for_a_terminal(day):
    told = on_the_day()

    assert "2015-05-04 to 2015-05-04, UTC\n9 polls of station status" in told
    assert "share of polls  24.24 %  9.09 %  33.33 %" in told
    assert "\x1b" not in told
    assert max(map(len, told.splitlines())) <= 100
    assert "approval to claim      1    10.0  10.0" in told


def test_without_data_it_says_so_and_claims_nothing():
    told = on_the_day()

    assert "No station status was polled in this period." in told
    assert "tasks done" in told
    empty = json.loads(on_the_day("--json"))
    assert empty["stockouts"]["share"]["either"] is None
    assert empty["work"]["bikes_per_hour"] == 0
    assert empty["sources"] == []


def test_without_dates_it_is_the_week_that_ends_today(day, monkeypatch):
    monkeypatch.setattr(timezone, "now", lambda: EVENING)

    told = json.loads(kpi("--json"))

    assert (told["from"], told["to"]) == ("2015-04-28", "2015-05-04")
    assert json.loads(kpi("--json", "--from=2015-04-28", "--to=2015-05-04")) == told
    assert told["status_polls"] == 9


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--from=yesterday"], "'yesterday' is not a date like 2026-05-04."),
        (["--to=2015-02-30"], "'2015-02-30' is not a date like 2026-05-04."),
        (["--from=2015-05-05", "--to=2015-05-04"], "lies after the last one"),
        (["--from=2010-01-01", "--to=2015-05-04"], "is more than 366 days."),
        (["--json", "--csv"], "not allowed with argument"),
    ],
)
def test_dates_that_make_no_period_are_refused_in_one_line(arguments, why):
    with pytest.raises(CommandError) as refusal:
        kpi(*arguments)

    assert why in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_the_days_are_those_of_the_service_s_time_zone(day, settings):
    settings.TIME_ZONE = "America/Los_Angeles"

    told = json.loads(on_the_day("--json"))

    assert told["time_zone"] == "America/Los_Angeles"
    assert told["status_polls"] == 9
    assert told["stockouts"]["by_hour"][2]["empty"] == 100.0, "09:00 UTC is 02:00 there"
    assert told["clusters"]["episodes"] == 0, "the night does not count"
    assert StationOutage.objects.exists()
