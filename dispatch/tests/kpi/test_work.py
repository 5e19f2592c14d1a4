"""Waits, bikes and decisions from events, compared with figures worked out by hand."""

import itertools
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from dispatch import services
from dispatch.kpi import Period, build_report, last_24_hours
from dispatch.kpi.crew_work import CrewWork
from dispatch.kpi.queries import decisions_by_day
from dispatch.kpi.sources import Decision, SourceFigures, by_source
from dispatch.kpi.stockouts import Share
from dispatch.kpi.work import Wait, WorkDone, wait_of, work_figures
from dispatch.models import StatusPoll, Task, TaskEvent

from ..support.factories import MORNING, SuggestionFactory

DAY = Period(date(2015, 5, 4), date(2015, 5, 4), UTC)
EVENING = MORNING + timedelta(hours=12)


def at(minutes):
    return MORNING + timedelta(minutes=minutes)


# Pure


def test_percentile_between_two_values_is_interpolated():
    def wait(*minutes):
        return wait_of(Counter(60 * each for each in minutes))

    assert wait(50, 10, 40, 20, 30) == Wait(5, median=30, ninetieth=pytest.approx(46))
    assert wait(10, 20) == Wait(2, median=15, ninetieth=pytest.approx(19))
    assert wait(7) == Wait(1, median=7, ninetieth=7)
    assert wait() == Wait(0, None, None)


def test_work_of_all_crews_is_summed():
    works = [
        CrewWork("van-1", "East", completed=2, bikes=8, from_approval=[1800], working=[600]),
        CrewWork("van-2", "", completed=1, bikes=4, from_release=[5400], working=[1200]),
    ]

    found = work_figures(DAY, works, {8: WorkDone(3, 12)}, now=EVENING)

    assert (found.tasks_done, found.bikes_moved) == (3, 12)
    assert found.bikes_per_hour == 12 / 20, "of the 20 hours of the day that are past"
    assert found.approval_to_claim == Wait(1, 30, 30), "only first claims"
    assert found.claim_to_completion == Wait(2, median=15, ninetieth=pytest.approx(19))
    assert len(found.by_hour) == 24
    assert found.by_hour[8:10] == [WorkDone(3, 12), WorkDone(0, 0)]


def test_future_period_has_no_hourly_mean():
    found = work_figures(DAY, [], {}, now=DAY.start)

    assert found.bikes_per_hour is None
    assert work_figures(DAY, [], {}, now=DAY.end + timedelta(days=9)).bikes_per_hour == 0


def test_rates_are_of_approved_and_rejected_suggestions():
    decisions = [
        Decision("ml-v2", "rejected", "no_crew", 1),
        Decision("", "expired", None, 2),
        Decision("ml-v2", "approved", None, 4),
        Decision("ml-v2", "rejected", "event", 3),
        Decision("ml-v2", "expired", None, 7),
    ]

    unnamed, ml = by_source({"ml-v2": 20}, decisions, [])

    assert unnamed == SourceFigures("", 0, 0, 0, 2, None, None, {}, 0, 0, 0, None)
    codes = {"no_crew": 1, "event": 3}
    assert ml == SourceFigures("ml-v2", 20, 4, 4, 7, 50.0, 50.0, codes, 0, 0, 0, None)
    assert (unnamed.reasons, ml.reasons) == ("", "Event 3, No crew 1")


# From the events of real operations


def happened(kind, minutes, **fields):
    TaskEvent.objects.create(kind=kind, at=at(minutes), actor="test", **fields)


@pytest.mark.django_db
def test_waits_come_from_the_events_of_the_period():
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

    found = build_report(DAY, EVENING).work

    assert (found.tasks_done, found.bikes_moved) == (2, 4)
    assert found.approval_to_claim == Wait(2, median=157.5, ninetieth=pytest.approx(271.5))
    assert found.claim_to_completion == Wait(2, median=20, ninetieth=28)
    assert found.by_hour[8].bikes == 4
    assert found.by_hour[11].tasks == 1


@pytest.mark.django_db(transaction=True)
def test_figures_match_events_of_real_operations():
    one, other = SuggestionFactory(source="ml-v2"), SuggestionFactory(source="ml-v2")
    services.approve_suggestion(one.id, actor="maria")
    services.reject_suggestion(other.id, actor="maria", reason="Road works")
    task = services.claim_next_task("van-1", actor="van-1")
    report = services.Report(moved_qty=7)
    services.complete_task(task.id, actor="van-1", report=report)
    now = Task.objects.get().completed_at
    today = Period(now.date() - timedelta(days=1), now.date(), UTC)

    found = build_report(today, now)

    assert found.work.tasks_done == found.work.approval_to_claim.count == 1
    assert found.work.claim_to_completion.count == 1
    assert found.work.bikes_moved == 7
    assert found.sources == [
        SourceFigures("ml-v2", 0, 1, 1, 0, 50.0, 50.0, {"other": 1}, 1, 0, 0, None)
    ]


@pytest.mark.django_db
def test_pruned_task_counts_while_its_events_are_kept():
    happened("created", 0, task_id=1)
    happened("claimed", 10, task_id=1, attempt=1)
    happened("completed", 30, task_id=1, attempt=1, details={"moved_qty": 4})

    assert not Task.objects.exists()
    assert build_report(DAY, EVENING).work.claim_to_completion == Wait(1, 20, 20)


@pytest.mark.django_db
def test_only_decisions_on_suggestions_are_counted():
    happened("approved", 0, task_id=1, suggestion_id=1, source="ml-v2")
    happened("approved", 1, task_id=2, suggestion_id=2, source="ml-v2")
    happened("expired", 1, suggestion_id=3, source="other")
    happened("ingested", 1, source="ml-v2")
    happened("created", 1, task_id=4)
    happened("rejected", 60 * 24, suggestion_id=5, source="ml-v2")

    assert decisions_by_day(DAY)[DAY.first] == [
        Decision("ml-v2", "approved", None, 2),
        Decision("other", "expired", None, 1),
    ]


@pytest.mark.django_db
def test_rejections_are_counted_by_code():
    happened("rejected", 0, suggestion_id=1, details={"code": "no_crew"})
    happened("rejected", 1, suggestion_id=2, details={"code": "no_crew"})
    happened("rejected", 2, suggestion_id=3, details={"rejection": "Before there were codes"})

    assert decisions_by_day(DAY)[DAY.first] == [
        Decision("", "rejected", "no_crew", 2),
        Decision("", "rejected", "other", 1),
    ]


@pytest.mark.django_db
def test_undone_decisions_do_not_count():
    happened("approved", 0, task_id=1, suggestion_id=1)
    happened("undone", 0, task_id=1, suggestion_id=1)
    happened("rejected", 1, suggestion_id=2)
    happened("undone", 1, suggestion_id=2)
    happened("approved", 2, task_id=2, suggestion_id=3)

    assert decisions_by_day(DAY)[DAY.first] == [Decision("", "approved", None, 1)]


# The last 24 hours


@pytest.mark.django_db
def test_last_24_hours_take_two_queries():
    now = at(40)
    StatusPoll.objects.create(system="a", at=at(10), in_service=10, empty=1, full=0)
    StatusPoll.objects.create(system="a", at=at(20), in_service=10, empty=2, full=1)
    StatusPoll.objects.create(system="a", at=at(-60), in_service=10, empty=5, full=5)
    StatusPoll.objects.create(system="a", at=at(-24 * 60), in_service=10, empty=5, full=5)
    happened("completed", 5, task_id=1, attempt=1, details={"moved_qty": 4})
    happened("completed", 6, task_id=2, attempt=1, details={"moved_qty": 3})
    happened("completed", -24 * 60, task_id=3, attempt=1, details={"moved_qty": 3})

    with CaptureQueriesContext(connection) as queries:
        hours = last_24_hours(now, UTC)

    assert len(queries) == 2
    assert len(hours) == 24
    assert hours[0].start == MORNING - timedelta(hours=23)
    assert hours[-1].start == MORNING
    assert hours[-1].share == Share(20, empty=15.0, full=5.0, either=20.0)
    assert hours[-1].work == WorkDone(tasks=2, bikes=7)
    assert hours[-2].share.either == 100.0
    assert sum(hour.work.tasks for hour in hours) == 2
    assert hours[0].share == Share(0)


@pytest.mark.django_db
def test_clock_change_leaves_24_real_hours():
    pacific = ZoneInfo("America/Los_Angeles")
    noon = datetime(2015, 11, 1, 12, 30, tzinfo=pacific)

    hours = last_24_hours(noon, pacific)

    starts = [hour.start for hour in hours]
    assert [start.hour for start in starts[10:15]] == [0, 1, 1, 2, 3]
    steps = {b.astimezone(UTC) - a.astimezone(UTC) for a, b in itertools.pairwise(starts)}
    assert steps == {timedelta(hours=1)}


@pytest.mark.django_db
def test_hours_fit_a_zone_with_a_half_hour_offset():
    hours = last_24_hours(MORNING, ZoneInfo("Asia/Kolkata"))

    assert {hour.start.minute for hour in hours} == {0}
    assert hours[-1].start.hour == 13
