"""The map's geometry, fill levels and crew totals, without a database."""

from datetime import UTC, datetime, timedelta
from math import hypot

import pytest

from dispatch.board.crews import CompletedTask, Crew, summarize_crews
from dispatch.board.projection import MARGIN, Point, arrow, panes_of, ruler
from dispatch.overview.fill_levels import FillLevel, Reading, Thresholds
from dispatch.overview.station_views import Place, StationView

NOW = datetime(2015, 5, 4, 8, 30, tzinfo=UTC)
LIMITS = Thresholds(20, 80, timedelta(minutes=60))
MINUTE = timedelta(minutes=1)


def town(first, count, lat, lon, step=0.005):
    """A grid of stations."""
    return [Place(first + n, lat + step * (n // 5), lon + step * (n % 5)) for n in range(count)]


def members(panes):
    return [sorted(pane.points) for pane in panes]


# The map


def test_distant_areas_have_their_own_panes_largest_first():
    small, large = town(100, 10, 37.33, -121.89), town(1, 20, 37.77, -122.42)

    left, right = panes_of([*small, *large])

    assert members([left, right]) == [list(range(1, 21)), list(range(100, 110))]
    assert (left.width, right.width) == (480, 320)
    assert left.height == right.height


@pytest.mark.parametrize(("gap", "panes"), [(1.9, 1), (6.1, 2)])
def test_panes_split_only_at_wide_gaps(gap, panes):
    west = town(1, 10, 37.77, -122.42, step=0.001)
    east = town(50, 10, 37.77, -122.416 + gap / 87.9, step=0.001)

    assert len(panes_of([*west, *east])) == panes


def test_small_groups_join_the_nearest_area_unless_far():
    city, near, far = (
        town(1, 10, 37.77, -122.42),
        town(50, 2, 37.77, -122.30),
        town(90, 2, 36.0, -120.0),
    )

    assert members(panes_of([*city, *near, *far])) == [[*range(1, 11), 50, 51], [90, 91]]


def test_smallest_of_many_areas_are_left_out():
    towns = [place for n in range(6) for place in town(100 * n, 10 + n, 37 + n, -122)]

    panes = panes_of(towns)

    assert [len(pane.points) for pane in panes] == [15, 14, 13, 12]
    assert [pane.height for pane in panes] == [560, 186, 186, 186]


def test_pane_is_filled_to_scale_with_north_up():
    (pane,) = panes_of(
        [Place(1, 37.75, -122.45), Place(2, 37.80, -122.45), Place(3, 37.75, -122.40)]
    )

    south, north, east = (pane.points[n] for n in (1, 2, 3))
    assert north.y == MARGIN
    assert south.y == pane.height - MARGIN
    assert south.x < east.x
    assert south.y == east.y
    # 0.05 degrees are 5.56 km northwards, and 4.39 km eastwards at 37.75 degrees.
    assert (east.x - south.x) / (south.y - north.y) == pytest.approx(0.7907, abs=0.002)
    assert all(0 < p.x < pane.width for p in pane.points.values())


def test_single_station_is_centred_and_no_station_has_no_pane():
    (pane,) = panes_of([Place(7, 37.75, -122.45)])

    assert pane.points == {7: Point(400, 240)}
    assert panes_of([]) == []


def test_pane_height_follows_the_area_within_limits():
    flat, square, high = (
        [Place(n, 37.0 + north * n, -122.0 + east * n) for n in range(20)]
        for north, east in [(0.001, 0.01), (0.004, 0.008), (0.01, 0.001)]
    )

    assert [panes_of(area)[0].height for area in (flat, square, high)] == [480, 513, 560]


def test_extreme_positions_are_drawn():
    assert len(panes_of([Place(n, 90.0, 180.0) for n in range(9)])[0].points) == 9
    assert len(panes_of([Place(1, -90.0, -180.0), Place(2, 90.0, 180.0)])[0].points) == 2


def test_ruler_is_a_round_distance_that_fits():
    (pane,) = panes_of(town(1, 25, 37.77, -122.42))

    name, length = ruler(pane)

    assert (name, length) == ("1 km", round(pane.units_per_km, 1))
    assert length <= pane.width / 3


def test_arrow_stops_short_of_circles_and_differs_each_way():
    there, back = arrow(Point(0, 0), Point(100, 0)), arrow(Point(100, 0), Point(0, 0))

    assert there.startswith("M6.0 0.0Q50.0 16.7 ")
    assert back.startswith("M94.0 0.0Q50.0 -16.7 ")
    tip = Point(*map(float, there.split("M")[2].split("L")[1].split()))
    assert hypot(tip.x - 100, tip.y) == pytest.approx(6, abs=0.1)
    assert arrow(Point(0, 0), Point(9, 9)) == ""


# Fill levels


@pytest.mark.parametrize(
    ("bikes", "docks", "level"),
    [
        (0, 20, "empty"),
        (3, 17, "low"),
        (4, 16, "fine"),
        (16, 4, "fine"),
        (17, 3, "high"),
        (20, 0, "full"),
        (0, 0, "closed"),
    ],
)
def test_fill_level_follows_the_share_of_bikes(bikes, docks, level):
    assert Reading(bikes, docks, True, NOW).level(LIMITS, NOW) == level


def test_closed_and_old_readings_are_no_stockouts():
    assert Reading(0, 20, False, NOW).level(LIMITS, NOW) == FillLevel.CLOSED
    assert Reading(0, 20, True, NOW - 60 * MINUTE).level(LIMITS, NOW) == FillLevel.EMPTY
    assert Reading(0, 20, True, NOW - 61 * MINUTE).level(LIMITS, NOW) == FillLevel.UNKNOWN
    assert Reading(0, 20, True, None).level(LIMITS, NOW) == FillLevel.UNKNOWN


def test_station_with_unknown_docks_shows_its_bikes_and_no_percent():
    reading = Reading(5, None, True, NOW)
    view = StationView(1, "Pier 1", reading.level(LIMITS, NOW), reading=reading)

    assert (view.summary, view.level, view.percent) == ("5 bikes · docks unknown", "fine", None)


# Crews


def test_crews_with_open_tasks_come_before_finished_ones():
    completed = [
        CompletedTask("van-2", NOW - 30 * MINUTE, NOW, 5),
        CompletedTask("van-2", NOW - 20 * MINUTE, NOW, 4),
        CompletedTask("van-2", NOW - 50 * MINUTE, NOW, 0),
    ]

    crews = summarize_crews([Crew("van-1", open=2, since=NOW)], completed)

    assert crews == [
        Crew("van-1", 2, NOW),
        Crew("van-2", 0, None, done=3, bikes=9, median_minutes=30),
    ]
