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
from dispatch.kpi.episodes import Episode
from dispatch.kpi.stockouts import KindFigures, Share
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


def test_report_has_the_figures_worked_out_by_hand(day):
    found = build_report(DAY, EVENING)

    # 9 polls of 4 stations, and 3 while one was closed: 33; 8 of them empty, 3 full.
    assert found.polls == 9
    assert found.coverage == 20.0, "4 of the 20 hours that are past"
    assert found.stockouts.share.station_polls == 33
    assert found.stockouts.share.empty == 100 * 8 / 33
    assert found.stockouts.share.full == 100 * 3 / 33
    assert found.stockouts.by_hour[9] == Share(8, empty=100.0, full=0.0, either=100.0)
    assert found.stockouts.empty == KindFigures(4, 4, 240, 60)
    assert found.stockouts.full == KindFigures(1, 1, 60, 60)
    assert found.stockouts.closed == KindFigures(1, 1, 60, 60)
    assert found.stockouts.long_episodes == 0
    assert found.clusters == ClusterFigures(4, 4, episodes=4, minutes_beyond=200)
    assert found.cluster_outages[0] == Episode(1, OutageKind.EMPTY, at(9), at(10))
    assert found.work.bikes_per_hour == 6 / 20
    assert found.work.approval_to_claim == Wait(1, 10, 10)
    assert found.work.claim_to_completion == Wait(1, 20, 20)


def test_number_of_queries_does_not_grow_with_the_city(day):
    def queries():
        with CaptureQueriesContext(connection) as found:
            build_report(DAY, EVENING)
        return len(found)

    before = queries()
    for number in range(100, 160):
        station(number)
        outage(number, OutageKind.EMPTY, at(8), at(9))

    assert queries() == before == 16


def test_each_system_has_its_own_clusters_and_last_poll(day):
    station(9, "other", lat=37.7001)
    outage(9, OutageKind.EMPTY, at(13))
    FeedWatch.objects.create(system="other", started_at=at(13), ended_at=at(13, 30))
    for minute in (0, 30):
        StatusPoll.objects.create(system="other", at=at(13, minute), in_service=1, empty=1, full=0)

    found = build_report(DAY, EVENING)

    assert found.clusters.clusters == 5
    assert found.clusters.episodes == 5
    assert found.stockouts.empty.minutes == 240 + 30
    assert found.coverage == 2.5, "half an hour of 20: the system with the least"


def test_polls_of_other_days_do_not_count(day):
    for moment in (DAY.start - timedelta(seconds=1), DAY.end):
        StatusPoll.objects.create(system="small", at=moment, in_service=4, empty=4, full=0)
        FeedWatch.objects.create(system="small", started_at=moment, ended_at=moment)
    outage(4, OutageKind.EMPTY, DAY.end)

    found = build_report(DAY, EVENING)

    assert found.polls == 9
    assert found.stockouts.share.station_polls == 33
    assert found.stockouts.empty.episodes == 4


@pytest.mark.parametrize("closed_at", [23, 24])
def test_closure_over_midnight_belongs_to_its_outage_on_both_days(day, closed_at):
    closing, opening = at(0) + timedelta(hours=closed_at), DAY.end + timedelta(hours=1)
    outage(4, EMPTY, at(20), closing)
    outage(4, CLOSED, closing, opening)
    outage(4, EMPTY, opening, DAY.end + timedelta(hours=2))
    # No closure followed this one, so it is over.
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


def test_gap_in_polling_is_not_covered(day):
    StatusPoll.objects.filter(at__gt=at(9), at__lt=at(10, 30)).delete()

    assert build_report(DAY, EVENING).coverage == 100 * 2.5 / 20


def test_system_without_polls_in_the_period_is_left_out(day):
    station(9, "old", lat=37.7001)
    outage(9, OutageKind.EMPTY, at(0) - timedelta(days=9), at(0) - timedelta(days=8))
    FeedWatch.objects.create(
        system="old", started_at=at(0) - timedelta(days=9), ended_at=at(0) - timedelta(days=8)
    )

    assert build_report(DAY, EVENING).clusters.clusters == 4


def test_system_first_polled_during_the_report_is_left_out(day):
    """The query of the systems did not see its watch; the query of the polls sees its poll."""
    StatusPoll.objects.create(system="new", at=at(13), in_service=1, empty=1, full=0)

    assert build_report(DAY, EVENING).polls == 9


def test_station_gone_before_the_period_is_in_no_cluster(day):
    Station.objects.filter(pk=3).update(gone_at=at(0) - timedelta(days=1))

    found = build_report(DAY, EVENING)

    assert found.clusters == ClusterFigures(3, 3, episodes=3, minutes_beyond=150)


def test_station_without_a_poll_is_in_no_cluster(day):
    """Without a status it would never be out, and so neither would its neighbours' clusters."""
    Station.objects.create(id=5, system="small", name="New", lat=37.7, lon=-122.4)

    assert build_report(DAY, EVENING).clusters == ClusterFigures(
        4, 4, episodes=4, minutes_beyond=200
    )


def test_worst_tenth_is_of_the_stations_ever_in_service(day):
    """One of 20 stations is closed all day, so 19 remain: a tenth is one station."""
    for number in range(5, 21):
        station(number)
    assert build_report(DAY, EVENING).stockouts.worst_tenth == pytest.approx(100 * (120 + 60) / 300)

    outage(20, OutageKind.CLOSED, at(8))

    assert build_report(DAY, EVENING).stockouts.worst_tenth == 100 * 120 / 300


def test_json_has_every_figure_under_its_name(day):
    found = json.loads(on_the_day("--json"))

    assert found["from"] == found["to"] == "2015-05-04"
    assert (found["time_zone"], found["status_polls"]) == ("UTC", 9)
    assert found["stockouts"]["share"] == {
        "station_polls": 33,
        "empty": 24.24,
        "full": 9.09,
        "either": 33.33,
    }
    assert found["stockouts"]["by_hour"][9] == {
        "hour": 9,
        "station_polls": 8,
        "empty": 100.0,
        "full": 0.0,
        "either": 100.0,
    }
    assert found["clusters"]["outages"][1] == {
        "name": "Station 2",
        "station_id": 2,
        "kind": "empty",
        "start": "2015-05-04T09:00:00+00:00",
        "end": "2015-05-04T10:00:00+00:00",
        "minutes": 60.0,
    }
    assert found["work"]["by_hour"][9] == {"hour": 9, "tasks": 1, "bikes": 6}
    assert found["sources"] == [
        {
            "source": HOSTILE,
            "suggested": 0,
            "approved": 1,
            "rejected": 2,
            "expired": 0,
            "approval_rate": 33.33,
            "rejection_rate": 66.67,
            "rejected_because": {"other": 2},
            "moved": 0,
            "judged": 0,
            "ran_out": 0,
            "hit_rate": None,
        }
    ]


def test_csv_has_one_figure_a_line_and_no_formula(day):
    output = on_the_day("--csv")
    head, *rows = csv.reader(StringIO(output.removeprefix("\ufeff"), newline=""))

    assert output.startswith("\ufeff"), "Excel would not read it as UTF-8."
    figures = dict(rows)
    assert head == ["figure", "value"]
    assert len(figures) == len(rows)
    assert figures["stockouts.share.empty"] == "24.24"
    assert figures["work.approval_to_claim.median"] == "10.0"
    assert figures["sources.0.source"] == f"'{HOSTILE}"
    assert not [value for value in figures.values() if value.startswith("=")]


def test_tables_fit_a_terminal(day):
    found = on_the_day()

    assert "2015-05-04 to 2015-05-04, UTC\n9 status polls, covering 16.67 % of the time" in found
    assert "share of polls  24.24 %  9.09 %  33.33 %" in found
    assert "Why rejected  suggestions\nOther                   2" in found
    assert "\x1b" not in found
    assert max(map(len, found.splitlines())) <= 100
    assert "approval to claim      1    10.0  10.0" in found


def test_report_without_data_says_so():
    found = on_the_day()

    assert "No station status was polled in this period." in found
    assert "tasks done" in found
    empty = json.loads(on_the_day("--json"))
    assert empty["stockouts"]["share"]["either"] is None
    assert empty["work"]["bikes_per_hour"] == 0
    assert empty["sources"] == []


def test_default_period_is_the_week_that_ends_today(day, monkeypatch):
    monkeypatch.setattr(timezone, "now", lambda: EVENING)

    found = json.loads(kpi("--json"))

    assert (found["from"], found["to"]) == ("2015-04-28", "2015-05-04")
    assert json.loads(kpi("--json", "--from=2015-04-28", "--to=2015-05-04")) == found
    assert found["status_polls"] == 9


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--from=yesterday"], "'yesterday' is not a date like 2026-05-04."),
        (["--to=2015-02-30"], "'2015-02-30' is not a date like 2026-05-04."),
        (["--from=2015-05-05", "--to=2015-05-04"], "is after the last day"),
        (["--from=2010-01-01", "--to=2015-05-04"], "is more than 366 days."),
        (["--json", "--csv"], "not allowed with argument"),
    ],
)
def test_invalid_dates_are_refused_in_one_line(arguments, why):
    with pytest.raises(CommandError) as refusal:
        kpi(*arguments)

    assert why in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_days_are_those_of_the_time_zone_setting(day, settings):
    settings.TIME_ZONE = "America/Los_Angeles"

    found = json.loads(on_the_day("--json"))

    assert found["time_zone"] == "America/Los_Angeles"
    assert found["status_polls"] == 9
    assert found["stockouts"]["by_hour"][2]["empty"] == 100.0, "09:00 UTC is 02:00 there"
    assert found["clusters"]["episodes"] == 0, "the night does not count"
    assert StationOutage.objects.exists()
