"""Waits, bikes and decisions, told from events, against figures worked out by hand."""

import itertools
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from dispatch import services
from dispatch.kpi import Period, build_report, last_24_hours
from dispatch.kpi.queries import decisions_between
from dispatch.kpi.stockouts import Share
from dispatch.kpi.work import (
    Completion,
    Decision,
    SourceFigures,
    Wait,
    by_source,
    percentile,
    wait_of,
    work,
)
from dispatch.models import StatusPoll, Task, TaskEvent

from ..support.factories import MORNING, SuggestionFactory

DAY = Period(date(2015, 5, 4), date(2015, 5, 4), UTC)
EVENING = MORNING + timedelta(hours=12)


def at(minutes):
    return MORNING + timedelta(minutes=minutes)


# Pure


def test_between_two_values_a_percentile_is_in_proportion():
    values = [10, 20, 30, 40, 50]

    assert percentile(values, 0.5) == 30
    assert percentile(values, 0.9) == pytest.approx(46)
    assert percentile([10, 20], 0.5) == 15
    assert percentile([7], 0.9) == 7
    assert percentile([], 0.5) is None


def test_a_wait_is_in_minutes():
    intervals = [(at(0), at(minutes)) for minutes in (5, 1, 3)]

    assert wait_of(intervals) == Wait(3, median=3, ninetieth=pytest.approx(4.6))
    assert wait_of([]) == Wait(0, None, None)


def test_bikes_and_tasks_are_summed_by_the_hour_in_which_they_were_heard_of():
    completions = [
        Completion(at(10), 5, claimed_at=at(0)),
        Completion(at(50), 3, claimed_at=at(20), done_at=at(40)),
        Completion(at(70), 4),
    ]

    told = work(DAY, completions, [(at(0), at(30))], now=EVENING)

    assert (told.tasks_done, told.bikes_moved) == (3, 12)
    assert told.bikes_per_hour == 12 / 20, "of the 20 hours of the day that are past"
    assert told.approval_to_claim == Wait(1, 30, 30)
    assert told.claim_to_completion == Wait(2, median=15, ninetieth=pytest.approx(19))
    assert {h: (w.tasks, w.bikes) for h, w in enumerate(told.by_hour) if w.tasks} == {
        8: (2, 8),
        9: (1, 4),
    }


def test_a_period_that_has_not_begun_has_no_hourly_mean():
    told = work(DAY, [], [], now=DAY.start)

    assert told.bikes_per_hour is None
    assert work(DAY, [], [], now=DAY.end + timedelta(days=9)).bikes_per_hour == 0


def test_rates_are_of_what_was_approved_or_rejected():
    decisions = [
        Decision("ml-v2", "rejected", 1),
        Decision("", "expired", 2),
        Decision("ml-v2", "approved", 3),
        Decision("ml-v2", "expired", 7),
    ]

    assert list(by_source(decisions)) == [
        SourceFigures("", 0, 0, 2, None, None),
        SourceFigures("ml-v2", 3, 1, 7, 75.0, 25.0),
    ]


# From the events of real operations


def happened(kind, minutes, **fields):
    TaskEvent.objects.create(kind=kind, at=at(minutes), actor="test", **fields)


@pytest.mark.django_db
def test_waits_are_read_from_the_events_of_the_period():
    happened("approved", -300, task_id=1)
    happened("claimed", 0, task_id=1, attempt=1)
    happened("released", 10, task_id=1, attempt=1)
    happened("claimed", 20, task_id=1, attempt=2)
    happened("completed", 50, task_id=1, attempt=2, details={"moved_qty": 4})
    happened("created", 0, task_id=2)
    happened("reassigned", 15, task_id=2, attempt=1)
    happened(
        "completed",
        200,
        task_id=2,
        attempt=1,
        details={"moved_qty": 0, "completed_at": at(25).isoformat()},
    )
    happened("late_report", 60, task_id=1, attempt=1, details={"moved_qty": 4})
    # The day before: neither the claim nor the completion counts.
    happened("created", -1000, task_id=3)
    happened("claimed", -900, task_id=3, attempt=1)
    happened("completed", -600, task_id=3, attempt=1, details={"moved_qty": 9})

    told = build_report(DAY, EVENING).work

    assert (told.tasks_done, told.bikes_moved) == (2, 4)
    assert told.approval_to_claim == Wait(2, median=157.5, ninetieth=pytest.approx(271.5))
    assert told.claim_to_completion == Wait(2, median=20, ninetieth=28)
    assert told.by_hour[8].bikes == 4
    assert told.by_hour[11].tasks == 1


@pytest.mark.django_db(transaction=True)
def test_what_the_services_record_is_what_the_figures_read():
    one, other = SuggestionFactory(source="ml-v2"), SuggestionFactory(source="ml-v2")
    services.approve_suggestion(one.id, actor="maria")
    services.reject_suggestion(other.id, actor="maria", reason="Road works")
    task = services.claim_next_task("van-1", actor="van-1")
    services.complete_task(task.id, actor="van-1")
    now = Task.objects.get().completed_at
    today = Period(now.date() - timedelta(days=1), now.date(), UTC)

    told = build_report(today, now)

    assert told.work.tasks_done == told.work.approval_to_claim.count == 1
    assert told.work.claim_to_completion.count == 1
    assert told.work.bikes_moved == 5
    assert told.sources == [SourceFigures("ml-v2", 1, 1, 0, 50.0, 50.0)]


@pytest.mark.django_db
def test_a_task_that_is_pruned_counts_as_long_as_its_events_are_kept():
    happened("created", 0, task_id=1)
    happened("claimed", 10, task_id=1, attempt=1)
    happened("completed", 30, task_id=1, attempt=1, details={"moved_qty": 4})

    assert not Task.objects.exists()
    assert build_report(DAY, EVENING).work.claim_to_completion == Wait(1, 20, 20)


@pytest.mark.django_db
def test_decisions_on_suggestions_are_counted_and_nothing_else():
    happened("approved", 0, task_id=1, suggestion_id=1, source="ml-v2")
    happened("approved", 1, task_id=2, suggestion_id=2, source="ml-v2")
    happened("expired", 1, suggestion_id=3, source="other")
    happened("ingested", 1, source="ml-v2")
    happened("created", 1, task_id=4)
    happened("rejected", 60 * 24, suggestion_id=5, source="ml-v2")

    assert list(decisions_between(DAY.start, DAY.end)) == [
        Decision("ml-v2", "approved", 2),
        Decision("other", "expired", 1),
    ]


# The last 24 hours


@pytest.mark.django_db
def test_the_last_24_hours_are_told_in_two_queries():
    now = at(40)
    StatusPoll.objects.create(system="a", at=at(10), in_service=10, empty=1, full=0)
    StatusPoll.objects.create(system="a", at=at(20), in_service=10, empty=2, full=1)
    StatusPoll.objects.create(system="a", at=at(-60), in_service=10, empty=5, full=5)
    StatusPoll.objects.create(system="a", at=at(-24 * 60), in_service=10, empty=5, full=5)
    happened("completed", 5, task_id=1, attempt=1, details={"moved_qty": 4})
    happened("completed", 6, task_id=2, attempt=1, details={"moved_qty": 3})
    happened("completed", -24 * 60, task_id=3, attempt=1, details={"moved_qty": 3})

    with CaptureQueriesContext(
        connection,
    ) as queries:
        hours = last_24_hours(now, UTC)

    assert len(queries) == 2
    assert len(hours) == 24
    assert hours[0].start == MORNING - timedelta(hours=23)
    assert hours[-1].start == MORNING
    assert hours[-1].share == Share(20, empty=15.0, full=5.0, either=20.0)
    assert (hours[-1].tasks, hours[-1].bikes) == (2, 7)
    assert hours[-2].share.either == 100.0
    assert sum(hour.tasks for hour in hours) == 2
    assert hours[0].share == Share(0)


@pytest.mark.django_db
def test_a_night_on_which_the_clock_is_changed_has_24_real_hours():
    pacific = ZoneInfo("America/Los_Angeles")
    noon = datetime(2015, 11, 1, 12, 30, tzinfo=pacific)

    hours = last_24_hours(noon, pacific)

    starts = [hour.start for hour in hours]
    assert [start.hour for start in starts[10:15]] == [0, 1, 1, 2, 3]
    steps = {b.astimezone(UTC) - a.astimezone(UTC) for a, b in itertools.pairwise(starts)}
    assert steps == {timedelta(hours=1)}


@pytest.mark.django_db
def test_hours_are_those_of_a_zone_with_a_half_hour():
    hours = last_24_hours(MORNING, ZoneInfo("Asia/Kolkata"))

    assert {hour.start.minute for hour in hours} == {0}
    assert hours[-1].start.hour == 13
