"""Which calls the board has, and when it has news."""

from datetime import timedelta

import pytest
from django.db.models.functions import Now
from django.utils import timezone

from dispatch import services
from dispatch.board.calls import CALLS_SHOWN, RECENT, CallKind, read_calls
from dispatch.board.feeds import read_feeds
from dispatch.board.filters import BoardFilters
from dispatch.board.version import version_of
from dispatch.exceptions import Conflict
from dispatch.models import ClusterOutage, EventKind, StationFeed, System, Task, TaskEvent
from dispatch.overview.roster import read_roster
from dispatch.overview.station_views import read_stations
from dispatch.services import Report
from dispatch.services.events import record_task

from ..support.cities import station
from ..support.factories import (
    CrewFactory,
    SuggestionFactory,
    TaskFactory,
    UserFactory,
    claimed,
)
from ..support.pages import words

pytestmark = pytest.mark.django_db


def calls(now=None):
    now = now or timezone.now()
    with_problem = list(Task.objects.with_problem())
    return read_calls(now, read_stations(now), read_feeds(), with_problem, read_roster())


def texts(kind):
    return [words(call.text) for call in calls() if call.kind == kind]


def end_lease():
    Task.objects.update(lease_expires_at=Now() - timedelta(minutes=1))
    services.sweep(actor="sweep")


def test_task_released_by_the_sweep_calls_for_an_hour():
    released = claimed()
    end_lease()
    services.claim_next_task("van-2", actor="api")
    services.release_task(released.pk, worker_id="van-2", actor="api", reason="Van is full.")

    assert texts(CallKind.RELEASED) == [
        f"Task {released.pk} is ready again, because its lease ended. Its crew was van-1:"
        " 5 bikes, #100 to #200."
    ]
    assert calls(timezone.now() + RECENT + timedelta(minutes=1)) == []


def test_late_report_calls():
    task = claimed()
    end_lease()
    services.claim_next_task("van-2", actor="api")
    with pytest.raises(Conflict):
        services.complete_task(task.pk, actor="api", report=Report(worker_id="van-1"), attempt=1)

    [text] = texts(CallKind.LATE_REPORT)
    assert text.startswith(f"Task {task.pk} was reported as completed by its former crew van-1:")


def test_task_that_no_crew_may_take_calls_with_the_reason():
    CrewFactory(capacity=4)
    task = TaskFactory(qty=5)

    assert texts(CallKind.NO_CREW) == [
        f"Task {task.pk} has no crew: 5 bikes, #100 to #200."
        " No active crew outside the known areas has a van for 5 bikes."
    ]


def test_cluster_outage_calls_while_it_lasts():
    station(4)
    outage = ClusterOutage.objects.create(
        system="test", station_id=4, station_ids=[4, 5, 6], kind="empty", started_at=timezone.now()
    )

    [call] = calls()
    assert words(call.text) == "All 3 stations around Station 4 are empty."
    assert call.address == "?station=4"

    ClusterOutage.objects.filter(pk=outage.pk).update(ended_at=Now() + timedelta(minutes=1))
    assert calls() == []


def test_cluster_outage_of_a_system_that_is_no_longer_polled_does_not_call():
    station(4)
    System.objects.create(name="test", address="https://test.example/gbfs.json", active=False)
    ClusterOutage.objects.create(
        system="test", station_id=4, station_ids=[4, 5, 6], kind="empty", started_at=timezone.now()
    )

    assert calls() == []


def test_new_calls_are_listed_however_many_there_are():
    for number in range(CALLS_SHOWN + 1):
        TaskFactory(assigned=True, worker_id=f"van-{number}")
        SuggestionFactory(priority=50)
    newest = Task.objects.order_by("-id").first()

    found = {call.key for call in calls()}

    assert f"task {newest.pk} 1" in found
    assert len(found) == 2 * CALLS_SHOWN


def test_each_call_has_a_key_of_its_own_and_a_page():
    CrewFactory(capacity=4)
    late = claimed(qty=4)
    TaskFactory(qty=5)
    Task.objects.filter(pk=late.pk).update(
        created_at=Now() - timedelta(days=1), assigned_at=Now() - timedelta(hours=2)
    )
    record_task(EventKind.PROBLEM, late, "crew van-1", problems=["blocked"])
    record_task(EventKind.LATE_REPORT, late, "crew van-2")
    SuggestionFactory(priority=50)
    StationFeed.objects.create(system="bay", kind="status", source="x", trouble="404")

    found = calls()

    assert len({call.key for call in found}) == len(found) == 6
    assert all(call.address for call in found)


def test_event_that_commits_after_a_later_one_changes_the_version():
    user, now = UserFactory(), timezone.now()

    def version():
        return version_of(now, user=user, filters=BoardFilters())

    TaskEvent.objects.create(id=50, kind=EventKind.LATE_REPORT, actor="api")
    before = version()
    TaskEvent.objects.create(id=49, kind=EventKind.LATE_REPORT, actor="api")

    assert version() != before
