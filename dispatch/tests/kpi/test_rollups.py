"""Reports from rollups have the figures of reports from the tables."""

from datetime import UTC, date, datetime, timedelta
from io import StringIO
from zoneinfo import ZoneInfo

import pgtrigger
import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from dispatch import services
from dispatch.exceptions import Refusal
from dispatch.kpi import Period, build_report
from dispatch.kpi.document import to_document
from dispatch.models import (
    Heartbeat,
    Rollup,
    StationOutage,
    StatusPoll,
    Task,
    TaskEvent,
)

from ..support.concurrency import background, open_transaction, wait_until_blocked
from ..support.kpi_days import CLOSED, FULL, at, morning_of_work, outage, small_city
from ..support.kpi_shift import happened, shift

pytestmark = [pytest.mark.slow, pytest.mark.django_db]

PACIFIC = ZoneInfo("America/Los_Angeles")
SUNDAY, MONDAY, TUESDAY = (date(2015, 5, number) for number in (3, 4, 5))
THURSDAY = datetime(2015, 5, 7, 20, tzinfo=UTC)
APPEND_ONLY = "dispatch.TaskEvent:event_is_append_only"


@pytest.fixture
def days():
    """A shift, and outages that last over midnights, one of them through a day without polls."""
    small_city()
    shift()
    morning_of_work()
    outage(3, FULL, at(12), at(12) + timedelta(hours=30))
    outage(4, CLOSED, at(13), at(13) + timedelta(days=3))
    for hours in (20, 26, 54, 60):
        moment = at(0) + timedelta(hours=hours)
        StatusPoll.objects.create(system="small", at=moment, in_service=3, empty=0, full=1)
    StationOutage.objects.filter(ended_at=None).update(ended_at=at(12) + timedelta(days=2))


# From Sunday to Thursday.
PERIODS = [(3, 3), (4, 4), (5, 6), (4, 7), (3, 7)]


def reports(zone=UTC):
    """Return the document of each period under its first and last day."""
    return {
        (first, last): to_document(
            build_report(Period(date(2015, 5, first), date(2015, 5, last), zone), THURSDAY)
        )
        for first, last in PERIODS
    }


def roll_up_all(zone=UTC):
    due = services.due_days(THURSDAY.astimezone(zone).date(), zone)
    return [services.roll_up(day, zone) for day in due]


def empty_tables():
    """Delete what is over before Thursday."""
    StatusPoll.objects.all().delete()
    StationOutage.objects.filter(ended_at__lt=THURSDAY.replace(hour=0)).delete()
    Task.objects.filter(status="completed").delete()
    with pgtrigger.ignore(APPEND_ONLY):
        TaskEvent.objects.all().delete()


@pytest.mark.parametrize("zone", [UTC, PACIFIC])
def test_rollups_have_every_figure_of_every_period(days, zone):
    before = reports(zone)

    assert len(roll_up_all(zone)) == 4

    assert reports(zone) == before
    assert before[(3, 7)]["stockouts"]["full"]["episodes"] == 2


@pytest.mark.parametrize("zone", [UTC, PACIFIC])
def test_figures_survive_the_rows_behind_them(days, zone):
    before = reports(zone)
    roll_up_all(zone)

    empty_tables()

    assert reports(zone) == before
    assert before[(3, 7)]["total"]["bikes"] == 20


def test_pruned_day_keeps_its_rollup(days):
    roll_up_all()
    before = reports()
    empty_tables()

    happened("claimed", at(9), 99, "van-9", 1)

    assert not services.roll_up(MONDAY, UTC)
    assert reports() == before


def test_late_event_and_undo_are_in_the_next_rollup(days):
    roll_up_all()
    happened("late_report", at(23), 1, "van-2", 1, moved_qty=2)
    happened("undone", at(23), 1)
    live = services.due_days(THURSDAY.date(), UTC)
    assert MONDAY in live

    assert services.roll_up(MONDAY, UTC)

    stored = reports()
    Rollup.objects.all().delete()
    assert stored == reports()
    assert stored[(4, 4)]["total"]["late_reports"] == 2


def test_settled_day_is_due_again_only_after_a_new_event(days):
    assert services.due_days(MONDAY, UTC) == [SUNDAY]
    roll_up_all()
    assert services.due_days(THURSDAY.date(), UTC) == [], "2015 has settled"

    happened("completed", at(1), 5, "van-1", 1, moved_qty=2)

    assert services.due_days(THURSDAY.date(), UTC) == [MONDAY]
    services.roll_up(MONDAY, UTC)
    assert services.due_days(THURSDAY.date(), UTC) == []


def test_day_is_computed_again_until_it_has_settled(days):
    yesterday = timezone.now().date() - timedelta(days=1)
    noon = datetime(yesterday.year, yesterday.month, yesterday.day, 12, tzinfo=UTC)
    happened("completed", noon, 50, "van-1", 1, moved_qty=1)
    services.roll_up(yesterday, UTC)

    assert services.due_days(timezone.now().date(), UTC)[-1] == yesterday


def test_rollup_of_another_version_is_due(days):
    roll_up_all()
    Rollup.objects.filter(day=MONDAY).update(version=0)

    assert services.due_days(THURSDAY.date(), UTC) == [MONDAY]


def test_each_time_zone_has_its_own_rollups(days):
    before = reports(PACIFIC)
    roll_up_all(UTC)

    assert reports(PACIFIC) == before
    assert SUNDAY in services.due_days(TUESDAY, PACIFIC)


def test_report_of_past_days_reads_no_events(days):
    roll_up_all()

    with CaptureQueriesContext(connection) as queries:
        build_report(Period(SUNDAY, TUESDAY, UTC), THURSDAY, most_read=0)

    read = " ".join(query["sql"] for query in queries)
    assert "rollups" in read
    assert "station_outages" not in read
    assert "status_polls" in read, "the week before has no rollups"
    assert "claimed" not in read


def test_page_refuses_many_days_without_rollups(days):
    with pytest.raises(Refusal, match="3 of these days have no rollup"):
        build_report(Period(SUNDAY, TUESDAY, UTC), THURSDAY, most_read=2)


# The command


def rollup(*arguments):
    said = StringIO()
    call_command("rollup", *arguments, stdout=said)
    return said.getvalue()


def test_command_computes_days_and_notes_its_success(days, monkeypatch):
    monkeypatch.setattr(timezone, "now", lambda: THURSDAY)

    assert rollup() == "4 days computed, 0 with pruned rows kept.\n"
    assert rollup() == ""
    assert Heartbeat.objects.filter(name="rollup").exists()
    assert rollup("--rebuild", "--from=2015-05-04", "--to=2015-05-05") == (
        "2 days computed, 0 with pruned rows kept.\n"
    )
    empty_tables()
    happened("completed", at(0) - timedelta(hours=1), 5, "van-1", 1, moved_qty=2)
    assert rollup("--rebuild") == "0 days computed, 4 with pruned rows kept.\n"


def test_command_has_nothing_to_do_without_data():
    assert rollup() == rollup("--rebuild") == ""


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--from=2015-05-04"], "--from and --to need --rebuild."),
        (["--rebuild", "--every=60"], "--rebuild runs once, without --every."),
        (["--rebuild", "--from=monday"], "'monday' is not a date"),
    ],
)
def test_wrong_arguments_are_refused(arguments, why):
    with pytest.raises(CommandError, match=why):
        rollup(*arguments)


@pytest.mark.django_db(transaction=True)
def test_second_of_two_runs_reads_what_the_first_one_saw():
    """Without the lock, a run that read earlier could write later."""
    happened("claimed", at(9), 1, "van-1", 1)

    with background() as call:
        with open_transaction():
            services.roll_up(MONDAY, UTC)
            second = call(services.roll_up, MONDAY, UTC)
            wait_until_blocked(second)
            happened("claimed", at(10), 2, "van-1", 1)
        assert second.result(timeout=20)

    [found] = Rollup.objects.all()
    assert found.rows == 2
    assert found.last_event_id == TaskEvent.objects.latest("id").pk
