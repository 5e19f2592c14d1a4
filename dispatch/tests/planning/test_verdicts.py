"""Warnings for the approver of a move, and reasons to refuse it."""

from dataclasses import replace

import pytest

from dispatch.planning.inventory import StationCapacity
from dispatch.planning.verdicts import Limits, judge

LIMITS = Limits(max_km=5, van_capacity=20, min_qty=3)
CALTRAIN = StationCapacity("Caltrain", 30, 0, lat=37.7766, lon=-122.3953, area="San Francisco")
MARKET = StationCapacity("Market St", 0, 30, lat=37.7862, lon=-122.4049, area="San Francisco")
DIRIDON = StationCapacity("Diridon", 0, 30, lat=37.3297, lon=-121.9018, area="San José")
NUMBER = StationCapacity("Station 424242", in_feed=False)


def test_a_short_move_that_fits_has_no_warning():
    verdict = judge(5, CALTRAIN, MARKET, LIMITS)

    assert verdict.warnings == []
    assert verdict.feasible_qty == 5


def test_a_move_between_areas_is_warned_about():
    assert judge(5, CALTRAIN, DIRIDON, LIMITS).warnings == [
        "From San Francisco to San José, 66 km: different areas."
    ]


@pytest.mark.parametrize("area", ["", "San Francisco"])
def test_a_move_too_far_within_an_area_is_warned_about(area):
    far = replace(DIRIDON, area=area)

    assert judge(5, CALTRAIN, far, LIMITS).warnings == [
        "The stations are 66 km apart; moves should stay within 5 km."
    ]
    assert judge(5, CALTRAIN, far, replace(LIMITS, max_km=70)).warnings == []


def test_more_bikes_than_a_van_takes_are_warned_about():
    assert judge(20, CALTRAIN, MARKET, LIMITS).warnings == []
    assert judge(26, CALTRAIN, MARKET, LIMITS).warnings == [
        "26 bikes are more than the 20 that a van takes."
    ]
    assert judge(26, CALTRAIN, MARKET, replace(LIMITS, van_capacity=0)).warnings == []


def test_nothing_is_warned_about_without_a_feed():
    bare = StationCapacity("Station 100", monitored=False)

    assert judge(999, bare, bare, LIMITS).warnings == []


def test_a_number_outside_the_feed_is_warned_about_and_refused_if_strict():
    verdict = judge(5, NUMBER, MARKET, LIMITS)

    assert verdict.warnings == ["Station 424242 is not in the feed. Check the number."]
    assert verdict.refusal(fit=False, strict=False) == ""
    assert verdict.refusal(fit=True, strict=True) == verdict.warnings[0]


def test_a_station_that_left_the_feed_is_named():
    gone = replace(MARKET, in_feed=False, bikes=None, docks=None)

    assert judge(5, CALTRAIN, gone, LIMITS).strangers == ["Market St is no longer in the feed."]


@pytest.mark.parametrize(
    ("docks", "sentence"),
    [
        (1, "1 bike is less than the 3 that are worth a trip."),
        (2, "2 bikes are less than the 3 that are worth a trip."),
    ],
)
def test_a_fit_below_the_minimum_is_warned_about(docks, sentence):
    verdict = judge(5, CALTRAIN, replace(MARKET, docks=docks), LIMITS)

    assert verdict.shortfalls[1] == sentence
    assert verdict.refusal(fit=True, strict=True) == ""


@pytest.mark.parametrize(("qty", "docks"), [(5, 0), (5, 3), (5, 9), (2, 9)])
def test_other_fits_are_not_below_the_minimum(qty, docks):
    verdict = judge(qty, CALTRAIN, replace(MARKET, docks=docks), LIMITS)

    assert "worth a trip" not in " ".join(verdict.warnings)


def test_strict_guard_refuses_a_shortfall_unless_reduced_to_fit():
    verdict = judge(5, CALTRAIN, replace(MARKET, docks=4), LIMITS)

    assert verdict.refusal(fit=False, strict=False) == ""
    assert verdict.refusal(fit=False, strict=True) == verdict.shortfalls[0]
    assert verdict.refusal(fit=True, strict=True) == ""


def test_approving_as_many_as_fit_is_refused_if_none_fits():
    verdict = judge(5, CALTRAIN, replace(MARKET, docks=0), LIMITS)

    assert "no dock to spare" in verdict.refusal(fit=True, strict=False)
