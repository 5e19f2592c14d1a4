"""Complete, cancel and prioritize tasks."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.db import transaction

from ..exceptions import Conflict, Refusal
from ..models import EventKind, Task, TaskEvent, TaskStatus
from .events import change_task, task_event
from .locks import claimed_again, lock_open_task, lock_task


@dataclass(frozen=True)
class Report:
    """A worker's report of a completed task.

    `worker_id` None: the holder reports. `moved_qty` None: all bikes were moved. `completed_at`:
    the time of the work if it is reported later. None: now.
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
    report: bikes were moved. Refusal: the report contradicts the task.
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
    check_report(task, report, task.assigned_at)
    if report.moved_qty is None:
        report = replace(report, moved_qty=task.qty)
    changes = {
        "status": TaskStatus.COMPLETED,
        "completed_at": task.now,
        "reported_completed_at": report.completed_at,
        "moved_qty": report.moved_qty,
        "note": report.note,
        "lease_expires_at": None,
    }
    change_task(task, changes, EventKind.COMPLETED, actor, **details_of(report))


def check_report(task: Task, report: Report, claimed_at: datetime | None) -> None:
    """`claimed_at`: the reporting worker's claim. None: unknown."""
    if report.moved_qty is not None and report.moved_qty > task.qty:
        raise Refusal(f"moved_qty: task {task.pk} moves only {task.qty} bikes.")
    if report.completed_at is None or claimed_at is None:
        return
    if report.completed_at > task.now:
        raise Refusal("completed_at: is in the future.")
    if report.completed_at < claimed_at:
        raise Refusal(f"completed_at: is before task {task.pk} was assigned.")


def details_of(report: Report) -> dict[str, Any]:
    details = {
        "moved_qty": report.moved_qty,
        "note": report.note or None,
        "completed_at": report.completed_at and report.completed_at.isoformat(),
    }
    return {name: value for name, value in details.items() if value is not None}


def keep_late_report(task: Task, report: Report, actor: str) -> None:
    """Record a former holder's report, once for each claim: phones repeat unanswered requests."""
    of_worker = TaskEvent.objects.filter(task_id=task.pk, worker_id=report.worker_id)
    claims = of_worker.filter(kind__in=[EventKind.CLAIMED, EventKind.REASSIGNED])
    last = claims.order_by("id").last()
    if last is None or of_worker.late_reports().filter(attempt=last.attempt).exists():
        return
    check_report(task, report, last.at)
    event = task_event(
        EventKind.LATE_REPORT, task, actor, worker_id=report.worker_id, **details_of(report)
    )
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
