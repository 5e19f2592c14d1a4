"""Decisions on suggestions: approved or refused, number of bikes, warnings. No database."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from dispatch.exceptions import Conflict
from dispatch.models import Suggestion
from dispatch.planning.inventory import StationCapacity
from dispatch.planning.verdicts import Limits
from dispatch.services.approval_rules import ApprovalContext, evaluate, warnings_about

NOW = datetime(2026, 5, 4, 8, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
LIMITS = Limits(max_km=5, van_capacity=20, min_qty=3)
SHORT = "Only 4 of 5 bikes can leave Pier (4 there)."


def suggestion(number=1, source=100, target=200, qty=5, expires_at=None):
    made = Suggestion(
        id=number, from_station_id=source, to_station_id=target, qty=qty, expires_at=expires_at
    )
    made.now = NOW
    return made


def context(guard="warn", bikes=20, docks=20, **more):
    capacities = {
        100: StationCapacity("Pier", bikes, 0),
        200: StationCapacity("Market", 0, docks),
        300: StationCapacity("Library", 0, 20),
    }
    return ApprovalContext(guard, LIMITS, capacities, **more)


@pytest.mark.parametrize("guard", ["off", "warn", "refuse"])
def test_a_move_that_fits_is_approved_whole_without_warnings(guard):
    decision = evaluate(context(guard), suggestion(), fit=False)

    assert (decision.suggestion_id, decision.qty) == (1, 5)
    assert (decision.warnings, decision.details) == ([], {})


def test_guard_off_ignores_the_counts():
    assert evaluate(context("off", bikes=4), suggestion(), fit=False).warnings == []


def test_guard_warn_approves_and_records_the_shortfalls():
    decision = evaluate(context("warn", bikes=4, docks=3), suggestion(), fit=False)

    assert decision.qty == 5
    assert decision.warnings == [SHORT, "Only 3 of 5 bikes fit at Market (3 docks free)."]
    assert decision.details == {"warnings": decision.warnings}


def test_guard_refuse_gives_the_shortfalls_as_its_reason():
    with pytest.raises(Conflict) as refusal:
        evaluate(context("refuse", bikes=4), suggestion(), fit=False)

    assert str(refusal.value) == SHORT


@pytest.mark.parametrize("guard", ["off", "warn", "refuse"])
def test_fit_approves_as_many_bikes_as_both_stations_allow(guard):
    decision = evaluate(context(guard, bikes=4), suggestion(), fit=True)

    assert decision.qty == 4
    assert decision.details == {"proposed_qty": 5, "warnings": [SHORT]}


@pytest.mark.parametrize("guard", ["off", "warn", "refuse"])
def test_fit_is_refused_if_no_bike_fits(guard):
    with pytest.raises(Conflict, match=r"Pier has no bike to give \(0 there; 5 wanted\)"):
        evaluate(context(guard, bikes=0), suggestion(), fit=True)


def test_fit_leaves_a_move_that_fits_as_it_is():
    decision = evaluate(context(bikes=5), suggestion(), fit=True)

    assert (decision.qty, decision.details) == (5, {})


def test_an_approval_counts_for_the_next_one_of_the_batch():
    batch = context("refuse", bikes=12)
    evaluate(batch, suggestion(1), fit=False)
    evaluate(batch, suggestion(2, target=300), fit=False)

    with pytest.raises(Conflict) as refusal:
        evaluate(batch, suggestion(3), fit=False)
    assert str(refusal.value) == (
        "Only 2 of 5 bikes can leave Pier (12 there, 10 already promised)."
        " 2 bikes are less than the 3 that are worth a trip."
        " Suggestions 1, 2 come first."
    )


def test_a_refused_suggestion_promises_nothing():
    batch = context("refuse", bikes=5)
    with pytest.raises(Conflict):
        evaluate(batch, suggestion(1, qty=6), fit=False)

    assert evaluate(batch, suggestion(2, qty=5), fit=False).warnings == []


def test_the_same_move_twice_in_a_batch_is_a_warning():
    batch = context("off")
    evaluate(batch, suggestion(1), fit=False)

    assert evaluate(batch, suggestion(2), fit=False).warnings == [
        "Suggestion 1 (just approved) already moves bikes from Pier to Market."
    ]
    assert evaluate(batch, suggestion(3, target=300), fit=False).warnings == []


def test_a_warning_names_at_most_three_tasks_of_the_same_move():
    busy = context("off", carriers={(100, 200): [f"Task {n} (ready)" for n in range(1, 6)]})

    assert [each[:6] for each in evaluate(busy, suggestion(), fit=False).warnings] == [
        "Task 1",
        "Task 2",
        "Task 3",
    ]


def test_an_expired_suggestion_is_refused_and_one_that_expires_later_is_not():
    with pytest.raises(Conflict, match="Suggestion 1 expired at 2026-05-04 08:00:00 UTC"):
        evaluate(context(), suggestion(expires_at=NOW), fit=False)

    assert evaluate(context(), suggestion(expires_at=NOW + MINUTE), fit=False).qty == 5


def test_a_suggestion_that_reuses_an_approved_id_is_refused():
    with pytest.raises(Conflict, match="reuses the id of one that became a task"):
        evaluate(context(used_ids={1}), suggestion(1), fit=False)


@pytest.mark.parametrize("guard", ["warn", "refuse"])
def test_a_missing_count_does_not_stop_an_approval(guard):
    blind = context(guard)
    blind.capacities[100] = StationCapacity("Pier")

    assert evaluate(blind, suggestion(), fit=False).warnings == ["Pier has no recent status."]


def test_warnings_come_in_order_same_move_then_caveats_then_shortfalls():
    bad = context(docks=3, carriers={(100, 200): ["Task 7 (assigned)"]})
    bad.capacities[100] = StationCapacity("Pier", in_feed=False)

    assert warnings_about(bad, suggestion()) == [
        "Task 7 (assigned) already moves bikes from Pier to Market.",
        "Pier is not in the feed. Check the number.",
        "Only 3 of 5 bikes fit at Market (3 docks free).",
    ]
    assert len(warnings_about(replace(bad, guard="off"), suggestion())) == 1
