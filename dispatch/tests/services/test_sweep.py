"""The sweep: expired leases, expired suggestions, old idempotency keys."""

import io
import signal
from datetime import timedelta
from uuid import uuid4

import pytest
from axes.models import AccessLog
from django.contrib.sessions.models import Session
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.db.models import F
from django.utils import timezone

from dispatch import services
from dispatch.models import ClaimKey, CrewReport, Suggestion, Task, TaskEvent
from dispatch.models.claim_keys import CLAIM_KEY_LIFE
from dispatch.services.sweep import BATCH, release_expired_tasks

from ..support.factories import MORNING, SuggestionFactory, TaskFactory
from ..support.server import running_command

pytestmark = pytest.mark.django_db


def swept():
    out = io.StringIO()
    call_command("sweep", stdout=out)
    return out.getvalue()


def test_task_with_an_expired_lease_returns_to_its_place_in_the_queue():
    TaskFactory(created_at=MORNING + timedelta(hours=1))
    task = TaskFactory(
        created_at=MORNING, assigned=True, lease_expires_at=MORNING + timedelta(hours=8)
    )

    assert swept() == (
        "1 tasks released, 0 raised, 0 suggestions expired, "
        "0 idempotency keys, 0 sessions, 0 sign-ins, 0 codes and 0 reports of phones, "
        "0 webhook deliveries, 0 e-mails deleted.\n"
    )

    stored = Task.objects.get(id=task.id)
    assert (stored.status, stored.worker_id, stored.created_at) == ("ready", None, MORNING)
    event = TaskEvent.objects.get()
    assert (event.kind, event.actor, event.worker_id) == ("released", "sweep", "van-1")
    assert event.details == {"reason": "The lease has expired."}
    assert services.claim_next_task("van-2", actor="api") == task


def test_sweep_keeps_running_and_missing_leases():
    TaskFactory(assigned=True, lease_expires_at=None)
    TaskFactory(assigned=True, lease_expires_at=MORNING + timedelta(days=20_000))
    TaskFactory(completed=True)
    SuggestionFactory(expires_at=MORNING + timedelta(days=20_000))
    SuggestionFactory()

    assert swept() == ""
    assert Task.objects.assigned().count() == 2
    assert Suggestion.objects.count() == 2


def test_expired_suggestion_is_removed_with_an_event():
    suggestion = SuggestionFactory(expires_at=MORNING, source="ml-v2")

    assert "1 suggestions expired" in swept()

    event = TaskEvent.objects.get()
    assert (event.kind, event.source, event.suggestion_id) == ("expired", "ml-v2", suggestion.id)
    with pytest.raises(services.suggestions.NotFound, match="expired and was removed"):
        services.approve_suggestion(suggestion.id, actor="maria")


def test_idempotency_keys_are_forgotten_after_24_hours():
    TaskFactory.create_batch(2)
    services.claim_next_task("van-1", actor="api", key="old")
    ClaimKey.objects.update(created_at=F("created_at") - CLAIM_KEY_LIFE)
    services.claim_next_task("van-1", actor="api", key="new")

    assert "1 idempotency keys" in swept()
    assert ClaimKey.objects.get().key == "new"


def test_ended_sessions_of_the_console_are_deleted():
    now = timezone.now()
    for key, hours in (("ended", -1), ("open", 1)):
        Session.objects.create(session_key=key, expire_date=now + timedelta(hours=hours))

    assert "1 sessions," in swept()
    assert Session.objects.get().session_key == "open"


def test_sign_ins_are_forgotten_after_a_year():
    for username, days in (("maria", 364), ("tom", 366)):
        AccessLog.objects.create(username=username)
        at = timezone.now() - timedelta(days=days)
        AccessLog.objects.filter(username=username).update(attempt_time=at)

    assert "1 sign-ins," in swept()
    assert AccessLog.objects.get().username == "maria"


def test_reports_of_phones_are_forgotten_after_90_days():
    for age in (89, 90):
        report = services.PhoneReport(uuid4(), "done", task_id=age, attempt=1)
        services.apply_crew_report(report, worker_id="van-1", device_id=1)
    CrewReport.objects.update(received_at=F("received_at") - timedelta(days=1) * F("task_id"))

    assert "1 reports of phones" in swept()
    assert CrewReport.objects.get().task_id == 89


def test_one_run_sweeps_more_than_one_batch():
    TaskFactory.insert_batch(BATCH + 1, assigned=True, lease_expires_at=MORNING)

    assert f"{BATCH + 1} tasks released" in swept()
    assert TaskEvent.objects.count() == BATCH + 1


@pytest.mark.django_db(transaction=True)
def test_sweep_skips_a_task_that_a_request_has_locked():
    held, free = TaskFactory.create_batch(2, assigned=True, lease_expires_at=MORNING)

    other = connection.copy()
    try:
        with other.cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.execute("SELECT FROM tasks WHERE id = %s FOR NO KEY UPDATE", [held.id])
            assert release_expired_tasks(actor="sweep") == 1
    finally:
        other.close()
    assert Task.objects.get(id=held.id).status == "assigned"
    assert Task.objects.get(id=free.id).status == "ready"


@pytest.mark.slow
def test_search_for_expired_leases_uses_an_index():
    TaskFactory.insert_batch(2000, completed=True)
    TaskFactory.insert_batch(20, assigned=True, lease_expires_at=MORNING)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE tasks")

    plan = Task.objects.lease_expired().order_by("lease_expires_at", "id")[:BATCH].explain()

    assert "Seq Scan" not in plan
    assert "Index" in plan


@pytest.mark.parametrize("seconds", ["0", "-1", "100000", "nan"])
def test_period_out_of_range_is_refused_in_one_line(seconds):
    with pytest.raises(CommandError, match="--every takes 1 to 86400 seconds"):
        call_command("sweep", "--every", seconds)


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_repeating_sweep_ends_at_a_signal(number):
    TaskFactory(assigned=True, lease_expires_at=MORNING)
    with running_command("sweep", "--every", "60") as process:
        assert "1 tasks released" in process.stdout.readline()
        process.send_signal(number)
        assert process.wait(10) == 0
    with transaction.atomic():
        assert Task.objects.ready().count() == 1
