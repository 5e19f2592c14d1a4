"""What the board draws, from numbers alone."""

from datetime import UTC, datetime, timedelta
from math import hypot

import pytest

from dispatch.board.crews import Crew, Done, with_work
from dispatch.board.fills import Fill, Level, Limits
from dispatch.board.projection import MARGIN, Place, Point, arrow, panes_of, ruler

NOW = datetime(2015, 5, 4, 8, 30, tzinfo=UTC)
LIMITS = Limits(20, 80, timedelta(minutes=60))
MINUTE = timedelta(minutes=1)


def town(first, count, lat, lon, step=0.005):
    """A square of streets."""
    return [Place(first + n, lat + step * (n // 5), lon + step * (n % 5)) for n in range(count)]


def members(panes):
    return [sorted(pane.points) for pane in panes]


# The map


def test_areas_that_lie_apart_have_panes_of_their_own_the_largest_first():
    small, large = town(100, 10, 37.33, -121.89), town(1, 20, 37.77, -122.42)

    left, right = panes_of([*small, *large])

    assert members([left, right]) == [list(range(1, 21)), list(range(100, 110))]
    assert (left.width, right.width) == (480, 320)
    assert left.height == right.height


@pytest.mark.parametrize(("gap", "panes"), [(1.9, 1), (6.1, 2)])
def test_what_is_near_is_never_torn_apart_and_what_is_far_never_together(gap, panes):
    west = town(1, 10, 37.77, -122.42, step=0.001)
    east = town(50, 10, 37.77, -122.416 + gap / 87.9, step=0.001)

    assert len(panes_of([*west, *east])) == panes


def test_a_few_stations_join_the_nearest_area_unless_it_is_far():
    city, near, far = (
        town(1, 10, 37.77, -122.42),
        town(50, 2, 37.77, -122.30),
        town(90, 2, 36.0, -120.0),
    )

    assert members(panes_of([*city, *near, *far])) == [[*range(1, 11), 50, 51], [90, 91]]


def test_of_many_areas_the_smallest_are_left_out():
    towns = [place for n in range(6) for place in town(100 * n, 10 + n, 37 + n, -122)]

    panes = panes_of(towns)

    assert [len(pane.points) for pane in panes] == [15, 14, 13, 12]
    assert [pane.height for pane in panes] == [560, 186, 186, 186]


def test_a_pane_is_filled_true_to_scale_with_north_above():
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


def test_one_station_is_in_the_middle_and_none_is_no_map():
    (pane,) = panes_of([Place(7, 37.75, -122.45)])

    assert pane.points == {7: Point(400, 240)}
    assert panes_of([]) == []


def test_panes_are_as_high_as_their_areas_within_reason():
    flat, square, high = (
        [Place(n, 37.0 + north * n, -122.0 + east * n) for n in range(20)]
        for north, east in [(0.001, 0.01), (0.004, 0.008), (0.01, 0.001)]
    )

    assert [panes_of(area)[0].height for area in (flat, square, high)] == [480, 513, 560]


def test_stations_on_one_spot_and_at_the_ends_of_the_earth_are_drawn_too():
    assert len(panes_of([Place(n, 90.0, 180.0) for n in range(9)])[0].points) == 9
    assert len(panes_of([Place(1, -90.0, -180.0), Place(2, 90.0, 180.0)])[0].points) == 2


def test_the_ruler_is_round_and_fits():
    (pane,) = panes_of(town(1, 25, 37.77, -122.42))

    name, length = ruler(pane)

    assert (name, length) == ("1 km", round(pane.units_per_km, 1))
    assert length <= pane.width / 3


def test_an_arrow_ends_before_both_circles_and_the_way_back_is_another_line():
    there, back = arrow(Point(0, 0), Point(100, 0)), arrow(Point(100, 0), Point(0, 0))

    assert there.startswith("M6.0 0.0Q50.0 16.7 ")
    assert back.startswith("M94.0 0.0Q50.0 -16.7 ")
    tip = Point(*map(float, there.split("M")[2].split("L")[1].split()))
    assert hypot(tip.x - 100, tip.y) == pytest.approx(6, abs=0.1)
    assert arrow(Point(0, 0), Point(9, 9)) == ""


# How full


@pytest.mark.parametrize(
    ("bikes", "docks", "fill"),
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
def test_a_level_has_a_word(bikes, docks, fill):
    assert Level(bikes, docks, True, NOW).fill(LIMITS, NOW) == fill


def test_what_is_closed_is_neither_empty_nor_full_and_what_is_old_is_not_known():
    assert Level(0, 20, False, NOW).fill(LIMITS, NOW) == Fill.CLOSED
    assert Level(0, 20, True, NOW - 60 * MINUTE).fill(LIMITS, NOW) == Fill.EMPTY
    assert Level(0, 20, True, NOW - 61 * MINUTE).fill(LIMITS, NOW) == Fill.UNKNOWN
    assert Level(0, 20, True, None).fill(LIMITS, NOW) == Fill.UNKNOWN


# The crews


def test_a_crew_is_told_with_its_day_those_on_the_way_first():
    done = [
        Done("van-2", NOW - 30 * MINUTE, NOW, 5),
        Done("van-2", NOW - 20 * MINUTE, NOW, 4),
        Done("van-2", NOW - 50 * MINUTE, NOW, 0),
    ]

    crews = with_work([Crew("van-1", open=2, since=NOW)], done)

    assert crews == [
        Crew("van-1", 2, NOW),
        Crew("van-2", 0, None, done=3, bikes=9, median_minutes=30),
    ]
