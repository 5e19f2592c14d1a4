"""Fill levels and crew totals, without a database."""

from datetime import UTC, datetime, timedelta

import pytest

from dispatch.overview.fill_levels import FillLevel, Reading, Thresholds
from dispatch.overview.station_views import StationView

NOW = datetime(2015, 5, 4, 8, 30, tzinfo=UTC)
LIMITS = Thresholds(20, 80, timedelta(minutes=60))
MINUTE = timedelta(minutes=1)


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
