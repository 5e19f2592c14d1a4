"""Cluster outages as the agreement defines them, compared with figures worked out by hand."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from dispatch.kpi.clusters import (
    THIRD_OF_A_MILE,
    ClusterFigures,
    StationPoint,
    cluster_outages,
    clusters_of,
    figures_of,
)
from dispatch.kpi.periods import Period
from dispatch.models import OutageKind
from dispatch.stations import Outage

EMPTY, FULL, CLOSED = OutageKind
PACIFIC = ZoneInfo("America/Los_Angeles")
MONDAY = date(2015, 5, 4)
ONE = {1: frozenset({1, 2, 3, 4})}
METRES_A_DEGREE = 111_194.9


def at(clock, day=MONDAY):
    hour, minute = map(int, clock.split(":"))
    return datetime(day.year, day.month, day.day, hour, minute, tzinfo=PACIFIC).astimezone(UTC)


PEAK = [(at("06:00"), at("22:00"))]
LAST = at("23:50")


def north(*metres):
    """Return stations 1, 2, ... at these distances north of the first."""
    return [StationPoint(n, 37.7 + m / METRES_A_DEGREE, -122.4) for n, m in enumerate(metres, 1)]


def outage(station_id, kind, start, end=None):
    return Outage(station_id, kind, at(start), at(end) if end else None)


def all_four(kind, start, end):
    return [outage(station_id, kind, start, end) for station_id in (1, 2, 3, 4)]


def found(outages, clusters=ONE, peaks=PEAK, last=LAST):
    return [
        (o.station_id, o.kind, o.start, o.end)
        for o in cluster_outages(clusters, outages, last, peaks)
    ]


# The stations of a cluster


def test_cluster_has_all_stations_within_a_third_of_a_mile():
    clusters = clusters_of(north(0, 100, 200, 300, 536, 537))

    assert clusters[1] == {1, 2, 3, 4, 5}
    assert clusters[6] == {2, 3, 4, 5, 6}


def test_third_of_a_mile_is_exact_to_a_centimetre():
    assert THIRD_OF_A_MILE == 536.448
    assert clusters_of(north(0, 1, 2, 3, 536.44, 536.46))[1] == {1, 2, 3, 4, 5}


def test_cluster_has_the_three_nearest_at_any_distance():
    clusters = clusters_of(north(0, 100, 5_000, 9_000, 20_000))

    assert clusters[1] == {1, 2, 3, 4}
    assert clusters[5] == {2, 3, 4, 5}


def test_three_nearest_may_lie_in_any_direction():
    far_east = [StationPoint(n, 37.7, -122.3 + n / 10_000) for n in (5, 6, 7)]

    assert clusters_of(north(0, 700, 800, 900) + far_east)[1] == {1, 2, 3, 4}


def test_fewer_than_four_stations_are_one_cluster():
    assert clusters_of(north(0, 9_000)) == {1: {1, 2}, 2: {1, 2}}
    assert clusters_of(north(0)) == {1: {1}}
    assert clusters_of([]) == {}


def test_distances_are_right_from_east_to_west():
    shrunk = METRES_A_DEGREE * 0.7912  # The cosine of 37.7 degrees.
    places = [
        StationPoint(n, 37.7, -122.4 + m / shrunk)
        for n, m in enumerate((0, 100, 200, 300, 530, 545), 1)
    ]

    assert clusters_of(places)[1] == {1, 2, 3, 4, 5}


# When a cluster is out


def test_cluster_is_out_while_none_of_its_stations_has_a_bike():
    outages = [
        outage(1, EMPTY, "08:00", "10:00"),
        outage(2, EMPTY, "08:10", "09:00"),
        outage(3, EMPTY, "07:00", "08:55"),
        outage(4, EMPTY, "08:20", "11:00"),
    ]

    assert found(outages) == [(1, EMPTY, at("08:20"), at("08:55"))]
    assert found(outages[:3]) == []


def test_outage_of_exactly_ten_minutes_does_not_count():
    assert found(all_four(EMPTY, "08:00", "08:10")) == []
    assert found(all_four(EMPTY, "08:00", "08:11")) == [(1, EMPTY, at("08:00"), at("08:11"))]


def test_separate_outages_do_not_add_up():
    twice = all_four(EMPTY, "08:00", "08:08") + all_four(EMPTY, "08:09", "08:17")

    assert found(twice) == []


def test_empty_and_full_stations_make_no_outage_together():
    mixed = [*all_four(EMPTY, "08:00", "09:00")[:3], outage(4, FULL, "08:00", "09:00")]

    assert found(mixed) == []
    assert found(all_four(FULL, "08:00", "09:00")) == [(1, FULL, at("08:00"), at("09:00"))]


def test_closed_stations_are_ignored_unless_all_are_closed():
    closed = all_four(CLOSED, "08:00", "09:00")

    assert found([outage(1, EMPTY, "08:00", "09:00"), *closed[1:]]) == [
        (1, EMPTY, at("08:00"), at("09:00"))
    ]
    assert found(closed) == []


def test_closing_an_empty_station_does_not_end_the_outage():
    outages = [
        *all_four(EMPTY, "08:00", "09:00")[1:],
        outage(1, EMPTY, "08:00", "08:30"),
        outage(1, CLOSED, "08:30", "09:00"),
    ]

    assert found(outages) == [(1, EMPTY, at("08:00"), at("09:00"))]


def test_open_cluster_outage_lasts_until_the_last_poll():
    lasting = [outage(n, EMPTY, "08:00") for n in (1, 2, 3, 4)]

    assert found(lasting, last=at("08:30")) == [(1, EMPTY, at("08:00"), at("08:30"))]


def test_only_the_part_in_each_days_peak_hours_counts():
    tuesday = date(2015, 5, 5)
    period = Period(MONDAY, tuesday, PACIFIC)
    polls = [period.start + timedelta(minutes=10) * n for n in range(2 * 24 * 6)]
    night = [Outage(n, EMPTY, at("21:40"), at("06:10", tuesday)) for n in (1, 2, 3, 4)]

    assert found(night, peaks=period.peaks(polls)) == [(1, EMPTY, at("21:40"), at("22:00"))]


def test_peak_hours_begin_and_end_with_polls():
    """The hours begin with the first poll at or after 06:00, and end with the first after 22:00."""
    period = Period(MONDAY, MONDAY, PACIFIC)
    polls = [at(clock) for clock in ("05:55", "06:05", "12:00", "21:55", "22:07", "22:17")]

    assert period.peaks(polls) == [(at("06:05"), at("22:07"))]
    assert period.peaks(polls[:3]) == [(at("06:05"), at("12:00"))]
    assert period.peaks(polls[:1]) == period.peaks([]) == []
    assert period.peaks([at("06:00"), at("22:00")]) == [(at("06:00"), at("22:00"))]


@pytest.mark.parametrize("day", [date(2015, 3, 8), date(2015, 11, 1)])
def test_peak_hours_follow_the_wall_clock_when_it_changes(day):
    period = Period(day, day, PACIFIC)
    polls = [period.start + timedelta(minutes=30) * n for n in range(50)]

    assert period.peaks(polls) == [(at("06:00", day), at("22:00", day))]


def test_figures_count_the_minutes_beyond_ten():
    clusters = {1: frozenset({1, 2, 3, 4}), 2: frozenset({1, 2, 3, 4, 5})}
    out = cluster_outages(
        ONE,
        all_four(EMPTY, "08:00", "08:25") + all_four(FULL, "09:00", "09:11"),
        LAST,
        PEAK,
    )

    assert figures_of(clusters, out) == ClusterFigures(
        clusters=2, mean_size=4.5, episodes=2, minutes_beyond=16
    )
    assert figures_of({}, []) == ClusterFigures(0, None, 0, 0)
