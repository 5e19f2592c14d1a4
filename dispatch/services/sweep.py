"""Release expired leases, raise waiting tasks, and remove rows that have served their time.

Each batch is a transaction of its own and skips rows that others have locked. Any number of sweeps
can run at once, and a killed sweep leaves only whole batches behind.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

from axes.models import AccessLog
from django.conf import settings
from django.contrib.sessions.models import Session
from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone

from ..models import (
    ClaimKey,
    CrewCode,
    CrewReport,
    EventKind,
    Suggestion,
    Task,
    TaskEvent,
    WrongCode,
)
from ..models.events import LEASE_EXPIRED
from .areas import update_areas
from .claims import UNASSIGNED
from .enrolment import OF_ADDRESS
from .events import suggestion_event, task_event
from .locks import advisory_lock
from .mail_queue import forget_mail
from .webhook_queue import forget_deliveries

BATCH = 500
AGEING_STEP = 10
# A small batch: claims pass over ready tasks that a sweep holds.
AGEING_BATCH = 20
# The console may still show the state of a code.
CODE_KEPT = timedelta(days=1)
SIGN_INS_KEPT = timedelta(days=365)
WAITED = "The task has waited too long."


@dataclass(frozen=True)
class SweepResult:
    """Counts of released and raised tasks, and of removed rows: suggestions, claim keys, sessions,
    sign-ins, codes of phones, reports of phones, webhook deliveries, and e-mails with alerts."""

    released: int
    raised: int
    expired: int
    forgotten: int
    sessions: int
    sign_ins: int
    codes: int
    reports: int
    deliveries: int
    mail: int


def sweep(*, actor: str, stopped: Callable[[], bool] = lambda: False) -> SweepResult:
    """Sweep everything that is due. `stopped` is called before each batch."""

    def exhaust(batch: Callable[[], int]) -> int:
        total = 0
        while not stopped() and (done := batch()):
            total += done
        return total

    # Of tasks that were created while a sync changed their stations.
    exhaust(update_areas)
    return SweepResult(
        released=exhaust(partial(release_expired_tasks, actor=actor)),
        raised=exhaust(partial(raise_waiting_tasks, actor=actor)),
        expired=exhaust(partial(remove_expired_suggestions, actor=actor)),
        forgotten=exhaust(forget_claim_keys),
        sessions=exhaust(remove_ended_sessions),
        sign_ins=exhaust(forget_sign_ins),
        codes=exhaust(remove_old_codes) + exhaust(forget_wrong_codes),
        reports=exhaust(forget_crew_reports),
        deliveries=exhaust(forget_deliveries),
        mail=exhaust(forget_mail),
    )


@transaction.atomic(durable=True)
def release_expired_tasks(*, actor: str, limit: int = BATCH) -> int:
    """Return tasks whose lease has expired to their former places in the queue."""
    due = Task.objects.lease_expired().order_by("lease_expires_at", "id")
    tasks = list(due.select_for_update(skip_locked=True, no_key=True)[:limit])
    Task.objects.filter(pk__in=[task.pk for task in tasks]).update(**UNASSIGNED)
    TaskEvent.objects.bulk_create(
        task_event(EventKind.RELEASED, task, actor, reason=LEASE_EXPIRED) for task in tasks
    )
    return len(tasks)


@transaction.atomic(durable=True)
def raise_waiting_tasks(*, actor: str, limit: int = AGEING_BATCH) -> int:
    """Raise tasks that have waited for TASK_AGEING_MINUTES by one step."""
    if not settings.TASK_AGEING_MINUTES:
        return 0
    # Without the lock, another sweep that began before this one commits would raise them too.
    advisory_lock("ageing")
    due = Task.objects.due_to_rise().order_by("created_at", "id")
    tasks = list(due.select_for_update(skip_locked=True, no_key=True, of=("self",))[:limit])
    events = []
    for task in tasks:
        former, task.priority = task.priority, task.shifted_priority(None, AGEING_STEP)
        details: dict[str, Any] = {
            "former_priority": former,
            "priority": task.priority,
            "reason": WAITED,
        }
        events.append(task_event(EventKind.PRIORITIZED, task, actor, **details))
    Task.objects.bulk_update(tasks, ["priority"])
    TaskEvent.objects.bulk_create(events)
    return len(tasks)


@transaction.atomic(durable=True)
def remove_expired_suggestions(*, actor: str, limit: int = BATCH) -> int:
    due = Suggestion.objects.expired().order_by("id")
    suggestions = list(due.select_for_update(skip_locked=True)[:limit])
    TaskEvent.objects.bulk_create(
        suggestion_event(EventKind.EXPIRED, suggestion, actor) for suggestion in suggestions
    )
    Suggestion.objects.filter(pk__in=[suggestion.pk for suggestion in suggestions]).delete()
    return len(suggestions)


@transaction.atomic(durable=True)
def forget_claim_keys(*, limit: int = BATCH) -> int:
    due = ClaimKey.objects.expired().order_by("created_at")
    keys = list(due.select_for_update(skip_locked=True)[:limit])
    ClaimKey.objects.filter(pk__in=[key.pk for key in keys]).delete()
    return len(keys)


@transaction.atomic(durable=True)
def remove_ended_sessions(*, limit: int = BATCH) -> int:
    # The application sets expire_date by its own clock.
    due = Session.objects.filter(expire_date__lt=timezone.now()).order_by("expire_date")
    sessions = list(due.select_for_update(skip_locked=True)[:limit])
    Session.objects.filter(pk__in=[session.pk for session in sessions]).delete()
    return len(sessions)


@transaction.atomic(durable=True)
def forget_sign_ins(*, limit: int = BATCH) -> int:
    """Remove sign-ins from the audit trail after a year: they hold addresses of people."""
    due = AccessLog.objects.filter(attempt_time__lt=timezone.now() - SIGN_INS_KEPT)
    entries = list(due.order_by("id").select_for_update(skip_locked=True)[:limit])
    AccessLog.objects.filter(pk__in=[entry.pk for entry in entries]).delete()
    return len(entries)


@transaction.atomic(durable=True)
def remove_old_codes(*, limit: int = BATCH) -> int:
    """Remove codes a day after they expired. The phones that joined with one stay."""
    due = CrewCode.objects.filter(expires_at__lt=Now() - CODE_KEPT).order_by("expires_at")
    codes = list(due.select_for_update(skip_locked=True)[:limit])
    CrewCode.objects.filter(pk__in=[code.pk for code in codes]).delete()
    return len(codes)


@transaction.atomic(durable=True)
def forget_wrong_codes(*, limit: int = BATCH) -> int:
    """Remove wrong tries once they no longer count."""
    due = WrongCode.objects.filter(at__lt=Now() - OF_ADDRESS.span).order_by("at")
    tries = list(due.select_for_update(skip_locked=True)[:limit])
    WrongCode.objects.filter(pk__in=[each.pk for each in tries]).delete()
    return len(tries)


@transaction.atomic(durable=True)
def forget_crew_reports(*, limit: int = BATCH) -> int:
    due = CrewReport.objects.old().order_by("received_at")
    reports = list(due.select_for_update(skip_locked=True)[:limit])
    CrewReport.objects.filter(pk__in=[report.pk for report in reports]).delete()
    return len(reports)
