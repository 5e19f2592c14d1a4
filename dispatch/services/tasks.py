"""Complete, cancel and prioritize tasks."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction

from ..exceptions import Conflict
from ..models import EventKind, Task, TaskEvent, TaskStatus
from .events import change_task, task_event
from .locks import claimed_again, lock_open_task, lock_task


@dataclass(frozen=True)
class Report:
    """A worker's report of a completed task.

    `worker_id` None: the holder reports. `moved_qty` None: all bikes were moved. `completed_at`:
    the time of the work by the crew's clock, if it is reported later. None: now.
    """

    worker_id: str | None = None
    moved_qty: int | None = None
    note: str = ""
    completed_at: datetime | None = None


ALL_MOVED = Report()


def complete_task(
    task_id: int, *, actor: str, report: Report = ALL_MOVED, attempt: int | None = None
) -> Task:
    """Complete an assigned task. Repeating it changes nothing and returns the same task.

    `attempt` None: any. Conflict: the task is not assigned, or not to the reporting worker, or it
    has been claimed again since `attempt`. If that worker held it before, an event keeps the
    report: bikes were moved. The returned task's `warnings` name the oddities of the report.
    """
    with transaction.atomic(durable=True):
        task = lock_task(task_id)
        refusal = completion_refusal(task, report, attempt)
        if refusal is None:
            task.changed = task.status == TaskStatus.ASSIGNED
            if task.changed:
                complete(task, report, actor)
            return task
        keep_late_report(task, report, actor)
    raise Conflict(refusal)


def completion_refusal(task: Task, report: Report, attempt: int | None) -> str | None:
    if task.status not in (TaskStatus.ASSIGNED, TaskStatus.COMPLETED):
        return f"Task {task.pk} is {task.status}, not assigned."
    if report.worker_id is not None and report.worker_id != task.worker_id:
        return f"Task {task.pk} is {task.status}, but not by {report.worker_id}."
    if attempt is not None and attempt != task.attempt:
        return claimed_again(task)
    return None


def complete(task: Task, report: Report, actor: str) -> None:
    moved = believe_count(task.qty if report.moved_qty is None else report.moved_qty, task)
    done = believe_time(report.completed_at, task.assigned_at, task.now)
    task.warnings = [*moved.warnings, *done.warnings]
    changes = {
        "status": TaskStatus.COMPLETED,
        "completed_at": task.now,
        "reported_completed_at": done.at,
        "moved_qty": moved.qty,
        "note": report.note,
        "lease_expires_at": None,
    }
    details = details_of(report, moved, done)
    change_task(task, changes, EventKind.COMPLETED, actor, **details)


def most_bikes(task: Task) -> int:
    """The bikes of the task, or a van's load if that is more."""
    return max(task.qty, settings.VAN_CAPACITY)


@dataclass(frozen=True)
class ReportedCount:
    """`qty`: the bikes to count. None: all. `said`: the count as reported, if it differs."""

    qty: int | None = None
    said: int | None = None
    warnings: Sequence[str] = ()


def believe_count(said: int | None, task: Task) -> ReportedCount:
    """Cap a count at a van's load.

    A mistyped count must not empty or fill a station for the guard, nor keep a crew from finishing
    its task.
    """
    if said is None or said <= task.qty:
        return ReportedCount(said)
    odd = f"Task {task.pk} was about {task.qty} bikes, and {said} were reported"
    most = most_bikes(task)
    if said <= most:
        return ReportedCount(said, warnings=[f"{odd}."])
    return ReportedCount(most, said, [f"{odd}: {most} were recorded, the most that a van takes."])


@dataclass(frozen=True)
class ReportedTime:
    """`at`: the time to record. None: only the server's. `said`: the time as reported, if it
    differs."""

    at: datetime | None = None
    said: str | None = None
    warnings: Sequence[str] = ()


def believe_time(said: datetime | None, claimed_at: datetime | None, now: datetime) -> ReportedTime:
    """Correct or discard a wrong time: it must not keep a crew from finishing its task.

    A time up to COMPLETION_GRACE_MINUTES before the claim or after now becomes that of the claim or
    now. A time further off, or without a zone, is discarded. `claimed_at` None: unknown.
    """
    if said is None:
        return ReportedTime()
    if said.tzinfo is None:
        why = "has no time zone"
    else:
        nearest = min(max(said, claimed_at or said), now)
        if said == nearest:
            # PostgreSQL refuses offsets of 16 hours and more.
            return ReportedTime(at=said.astimezone(UTC))
        if abs(said - nearest) <= timedelta(minutes=settings.COMPLETION_GRACE_MINUTES):
            return ReportedTime(at=nearest, said=said.isoformat())
        why = "is in the future" if said > now else "is before the claim"
    warning = f"completed_at {said.isoformat()} {why}: the server's time was recorded."
    return ReportedTime(said=said.isoformat(), warnings=[warning])


def details_of(report: Report, moved: ReportedCount, done: ReportedTime) -> dict[str, Any]:
    details = {
        "moved_qty": moved.qty,
        "crew_count": moved.said,
        "note": report.note or None,
        "completed_at": done.at and done.at.isoformat(),
        "crew_clock": done.said,
    }
    return {name: value for name, value in details.items() if value is not None}


def keep_late_report(task: Task, report: Report, actor: str) -> None:
    """Record a former holder's report, once for each claim: phones repeat unanswered requests."""
    of_worker = TaskEvent.objects.filter(task_id=task.pk, worker_id=report.worker_id)
    claims = of_worker.filter(kind__in=[EventKind.CLAIMED, EventKind.REASSIGNED])
    last = claims.order_by("id").last()
    if last is None or of_worker.late_reports().filter(attempt=last.attempt).exists():
        return
    moved = believe_count(report.moved_qty, task)
    details = details_of(report, moved, believe_time(report.completed_at, last.at, task.now))
    event = task_event(EventKind.LATE_REPORT, task, actor, worker_id=report.worker_id, **details)
    event.attempt = last.attempt
    event.save(force_insert=True)


@transaction.atomic(durable=True)
def cancel_task(task_id: int, *, actor: str, reason: str) -> Task:
    """Cancel a ready or assigned task for good. Conflict: it has ended."""
    task = lock_open_task(task_id)
    changes = {
        "status": TaskStatus.CANCELLED,
        "cancelled_at": task.now,
        "lease_expires_at": None,
    }
    change_task(task, changes, EventKind.CANCELLED, actor, reason=reason)
    return task


@transaction.atomic(durable=True)
def prioritize_task(task_id: int, *, actor: str, priority: int | None = None, by: int = 0) -> Task:
    """Set the priority, or shift the present one by `by`; it stays within its range.

    Conflict: the task has ended.
    """
    task = lock_open_task(task_id)
    former, new = task.priority, task.shifted_priority(priority, by)
    task.changed = new != former
    if task.changed:
        details = {"former_priority": former, "priority": new}
        change_task(task, {"priority": new}, EventKind.PRIORITIZED, actor, **details)
    return task
