"""What becomes of a task: completed, cancelled, sooner or later."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.db import transaction

from ..exceptions import Conflict, Refusal
from ..models import OPEN_STATUSES, EventKind, Task, TaskEvent, TaskStatus
from .events import change_task, task_event
from .locks import lock_task

COMPLETION_FIELDS = [
    "status",
    "completed_at",
    "reported_completed_at",
    "moved_qty",
    "note",
    "lease_expires_at",
]


@dataclass(frozen=True)
class Report:
    """What a worker says of a completion.

    `worker_id` None: whoever holds the task. `moved_qty` None: all bikes. `completed_at` None:
    now; else when it really was, entered later.
    """

    worker_id: str | None = None
    moved_qty: int | None = None
    note: str = ""
    completed_at: datetime | None = None


EVERYTHING_MOVED = Report()


def complete_task(
    task_id: int,
    *,
    actor: str,
    report: Report = EVERYTHING_MOVED,
    attempt: int | None = None,
) -> Task:
    """Complete an assigned task. Completing it again changes nothing and returns the same.

    Conflict: it is not assigned, or not to the reporting worker, or it was claimed anew since
    `attempt` (None: no matter). If the worker held it before, the report is kept as an event all
    the same: bikes were moved. Refusal: the report cannot be true.
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
        return f"Task {task.pk} has been claimed anew, by {task.worker_id}."
    return None


def complete(task: Task, report: Report, actor: str) -> None:
    check(task, report, task.assigned_at)
    task.status = TaskStatus.COMPLETED
    task.completed_at = task.now
    task.reported_completed_at = report.completed_at
    task.moved_qty = task.qty if report.moved_qty is None else report.moved_qty
    task.note = report.note
    task.lease_expires_at = None
    said = replace(report, moved_qty=task.moved_qty)
    change_task(EventKind.COMPLETED, task, COMPLETION_FIELDS, actor, **details_of(said))


def check(task: Task, report: Report, since: datetime | None) -> None:
    """`since`: when the reporting worker got the task."""
    if report.moved_qty is not None and report.moved_qty > task.qty:
        raise Refusal(f"moved_qty: task {task.pk} is about {task.qty} bikes.")
    if report.completed_at is None or since is None:
        return
    if report.completed_at > task.now:
        raise Refusal("completed_at: lies in the future.")
    if report.completed_at < since:
        raise Refusal(f"completed_at: lies before task {task.pk} was assigned.")


def details_of(report: Report) -> dict[str, Any]:
    details = {
        "moved_qty": report.moved_qty,
        "note": report.note or None,
        "completed_at": report.completed_at and report.completed_at.isoformat(),
    }
    return {name: value for name, value in details.items() if value is not None}


def keep_late_report(task: Task, report: Report, actor: str) -> None:
    """Once for each time that the worker held it: a phone repeats itself until it is heard."""
    of_worker = TaskEvent.objects.filter(task_id=task.pk, worker_id=report.worker_id)
    held = of_worker.filter(kind__in=[EventKind.CLAIMED, EventKind.REASSIGNED])
    last = held.order_by("id").last()
    if last is None or of_worker.late_reports().filter(attempt=last.attempt).exists():
        return
    check(task, report, last.at)
    event = task_event(
        EventKind.LATE_REPORT, task, actor, worker_id=report.worker_id, **details_of(report)
    )
    event.attempt = last.attempt
    event.save(force_insert=True)


@transaction.atomic(durable=True)
def cancel_task(task_id: int, *, actor: str, reason: str) -> Task:
    """Take a ready or assigned task off the plan, for good. Conflict: it has ended already."""
    task = lock_open_task(task_id)
    task.status = TaskStatus.CANCELLED
    task.cancelled_at = task.now
    task.lease_expires_at = None
    fields = ["status", "cancelled_at", "lease_expires_at"]
    change_task(EventKind.CANCELLED, task, fields, actor, reason=reason)
    return task


@transaction.atomic(durable=True)
def prioritize_task(task_id: int, *, actor: str, priority: int | None = None, by: int = 0) -> Task:
    """Set the priority to a value, or shift the present one; it stays within its range.

    Conflict: the task has ended.
    """
    task = lock_open_task(task_id)
    former, task.priority = task.priority, task.shifted_priority(priority, by)
    task.changed = task.priority != former
    if task.changed:
        change_task(
            EventKind.PRIORITIZED,
            task,
            ["priority"],
            actor,
            former_priority=former,
            priority=task.priority,
        )
    return task


def lock_open_task(task_id: int) -> Task:
    task = lock_task(task_id)
    if task.status not in OPEN_STATUSES:
        raise Conflict(f"Task {task_id} is {task.status}.")
    return task
