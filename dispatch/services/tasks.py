"""Complete, cancel and prioritize tasks."""

from django.db import transaction

from ..exceptions import Conflict
from ..models import EventKind, Task, TaskEvent, TaskStatus
from .events import change_task, task_event
from .locks import claimed_again, lock_open_task, lock_task
from .reported import Report, believe_count, details_of, time_of

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
        refusal = complete_or_refuse(task, report, actor, attempt)
        if refusal is None:
            return task
        keep_late_report(task, report, actor)
    raise Conflict(refusal)


def complete_or_refuse(
    task: Task, report: Report, actor: str, attempt: int | None = None
) -> str | None:
    """Complete a locked task, unless it is completed already. Return the refusal, if any."""
    if refusal := completion_refusal(task, report, attempt):
        return refusal
    task.changed = task.status == TaskStatus.ASSIGNED
    if task.changed:
        complete(task, report, actor)
    return None


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
    done = time_of(report, task.assigned_at, task.now)
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


def keep_late_report(task: Task, report: Report, actor: str) -> None:
    """Record a former holder's report about its last claim."""
    claims = TaskEvent.objects.claims().filter(task_id=task.pk, worker_id=report.worker_id)
    if last := claims.order_by("id").last():
        record_late_report(task, last, report, actor)


def record_late_report(task: Task, claim: TaskEvent, report: Report, actor: str) -> bool:
    """Record a report once for each claim: phones repeat unanswered requests.

    False: there is one already.
    """
    of_claim = {"task_id": task.pk, "worker_id": claim.worker_id, "attempt": claim.attempt}
    if TaskEvent.objects.late_reports().filter(**of_claim).exists():
        return False
    moved = believe_count(report.moved_qty, task)
    details = details_of(report, moved, time_of(report, claim.at, task.now))
    event = task_event(EventKind.LATE_REPORT, task, actor, worker_id=claim.worker_id, **details)
    event.attempt = claim.attempt
    event.save(force_insert=True)
    return True


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
