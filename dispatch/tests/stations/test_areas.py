"""The area of a station, from its region or its short name."""

import pytest

from dispatch.gbfs.areas import name_areas

NAMES = {"San Francisco", "Oakland"}


def test_named_regions_are_areas():
    assert name_areas([("SF-A1", "San Francisco"), ("OK-B2", "Oakland")], NAMES) == [
        "San Francisco",
        "Oakland",
    ]


@pytest.mark.parametrize(
    ("short_name", "area"),
    [("SF-A28", "SF"), ("SF I29-1", "SF"), ("BK-E8-1", "BK"), ("6140.05", ""), ("", "")],
)
@pytest.mark.parametrize("region", ["", "5"])
def test_without_a_named_region_the_prefix_of_the_short_name_is_the_area(short_name, region, area):
    assert name_areas([(short_name, region)], set()) == [area]


def test_a_station_without_region_joins_the_region_of_its_prefix():
    stations = [
        ("SF-A1", "San Francisco"),
        ("SF-A2", "San Francisco"),
        # On the border of two areas, or a mistake of the feed.
        ("SF-A3", "Oakland"),
        ("SF-A4", ""),
        ("SJ-A1", "5"),
        ("Depot", ""),
    ]

    assert name_areas(stations, NAMES)[3:] == ["San Francisco", "SJ", ""]
