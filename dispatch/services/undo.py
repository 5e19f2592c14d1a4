"""Undo an approval or a rejection shortly after it was made.

The suggestion comes back under a new id. A decided id stays decided: it becomes at most one task,
and what a job has read about it remains true.
"""

from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils.timezone import localtime

from ..exceptions import Conflict
from ..models import EventKind, Suggestion, Task, TaskEvent, TaskStatus
from .events import MOVE_FIELDS, change_task, move_details, record_suggestion
from .locks import lock_source, lock_task
from .stations.feeds import database_now
from .suggestions import describe_undo, lock_suggestion

UNDO_SECONDS = 60
# Decisions recorded by earlier versions lack the values that an undo restores.
KEEPS_PROPOSAL = {"details__has_key": "suggested_at"}


@transaction.atomic(durable=True)
def undo_approval(task_id: int, *, actor: str) -> Suggestion:
    """Cancel a task that no crew has claimed, and restore its suggestion as it was proposed.

    Conflict: it was approved more than UNDO_SECONDS ago, was claimed, has ended, or did not come
    from a suggestion.
    """
    approval = approval_of(task_id)
    lock_source(approval.source)
    task = lock_task(task_id)
    if refusal := approval_refusal(task, approval):
        raise Conflict(refusal)
    suggestion = restore(approved_proposal(task, approval), approval, actor)
    changes = {"status": TaskStatus.CANCELLED, "cancelled_at": task.now}
    change_task(task, changes, EventKind.UNDONE, actor, **undone_details(suggestion))
    return suggestion


@transaction.atomic(durable=True)
def undo_rejection(suggestion_id: int, *, actor: str) -> Suggestion:
    """Restore a suggestion.

    Conflict: it was rejected more than UNDO_SECONDS ago, or was restored already. NotFound: another
    decision was made on it, and the message names it.
    """
    rejection = find_event(EventKind.REJECTED, suggestion_id=suggestion_id, **KEEPS_PROPOSAL)
    if rejection is None:
        lock_suggestion(suggestion_id)
        raise Conflict(f"Suggestion {suggestion_id} was not rejected.")
    lock_source(rejection.source)
    if refusal := rejection_refusal(rejection):
        raise Conflict(refusal)
    suggestion = restore(rejected_proposal(rejection), rejection, actor)
    TaskEvent.objects.create(
        kind=EventKind.UNDONE,
        suggestion_id=suggestion_id,
        actor=actor,
        source=rejection.source,
        details=undone_details(suggestion),
    )
    return suggestion


def approval_of(task_id: int) -> TaskEvent:
    approval = find_event(EventKind.APPROVED, task_id=task_id, **KEEPS_PROPOSAL)
    if approval is None:
        lock_task(task_id)
        raise Conflict(f"Task {task_id} has no approval to undo. Cancel the task instead.")
    return approval


def find_event(kind: EventKind, **lookups: Any) -> TaskEvent | None:
    """Return the last such event. Events never change, so it needs no lock."""
    return TaskEvent.objects.filter(kind=kind, **lookups).order_by("id").last()


def approval_refusal(task: Task, approval: TaskEvent) -> str | None:
    if task.attempt:
        return f"Task {task.pk} can no longer be undone: {describe_claim(task)}."
    if task.status != TaskStatus.READY:
        return find_undo(approval) or f"Task {task.pk} is {task.status}."
    if is_too_old(approval, task.now):
        return (
            f"Task {task.pk} can no longer be undone: it was approved more than {UNDO_SECONDS}"
            " seconds ago. Cancel the task instead."
        )
    return None


def rejection_refusal(rejection: TaskEvent) -> str | None:
    if undo := find_undo(rejection):
        return undo
    if is_too_old(rejection, database_now()):
        return (
            f"Suggestion {rejection.suggestion_id} can no longer be restored: it was rejected more"
            f" than {UNDO_SECONDS} seconds ago."
        )
    return None


def is_too_old(decision: TaskEvent, now: datetime) -> bool:
    return now - decision.at > timedelta(seconds=UNDO_SECONDS)


def describe_claim(task: Task) -> str:
    claim = TaskEvent.objects.claims().filter(task_id=task.pk).order_by("id").first()
    if claim is None:
        return "a crew claimed it"
    at = f"{localtime(claim.at):%H:%M}"
    if claim.kind == EventKind.REASSIGNED:
        return f"{claim.actor} assigned it to {claim.worker_id} at {at}"
    return f"{claim.worker_id} claimed it at {at}"


def find_undo(decision: TaskEvent) -> str | None:
    """Return a sentence about the earlier undo of this decision, if there is one."""
    undo = find_event(EventKind.UNDONE, suggestion_id=decision.suggestion_id)
    return describe_undo(undo) if undo else None


def approved_proposal(task: Task, approval: TaskEvent) -> Suggestion:
    """The suggestion that became this task, with the task's present priority."""
    details = approval.details
    return Suggestion(
        from_station_id=task.from_station_id,
        to_station_id=task.to_station_id,
        qty=details.get("proposed_qty", task.qty),
        reason=task.reason or "",
        priority=task.priority,
        source=task.source,
        created_at=datetime.fromisoformat(details["suggested_at"]),
        expires_at=expiry(details),
    )


def rejected_proposal(rejection: TaskEvent) -> Suggestion:
    details = rejection.details
    return Suggestion(
        **{name: details[name] for name in MOVE_FIELDS},
        priority=details["priority"],
        source=rejection.source,
        created_at=datetime.fromisoformat(details["suggested_at"]),
        expires_at=expiry(details),
    )


def expiry(details: dict[str, Any]) -> datetime | None:
    text = details["expires_at"]
    return datetime.fromisoformat(text) if text else None


def restore(suggestion: Suggestion, decision: TaskEvent, actor: str) -> Suggestion:
    """Insert the suggestion, unless its source has proposed the move again since the decision."""
    same = Suggestion.objects.filter(
        source=suggestion.source,
        from_station_id=suggestion.from_station_id,
        to_station_id=suggestion.to_station_id,
        created_at__gte=decision.at,
    )
    if again := same.order_by("id").first():
        return again
    suggestion.save(force_insert=True)
    keep_priority(suggestion, decision, actor)
    return suggestion


def keep_priority(suggestion: Suggestion, decision: TaskEvent, actor: str) -> None:
    """Record a dispatcher's priority under the new id, too: a job's refresh looks for this event
    before it changes a priority."""
    set_by_hand = find_event(EventKind.PRIORITIZED, suggestion_id=decision.suggestion_id)
    if set_by_hand is not None:
        record_suggestion(
            EventKind.PRIORITIZED,
            suggestion,
            actor,
            former_priority=set_by_hand.details["former_priority"],
            priority=suggestion.priority,
            former_suggestion_id=decision.suggestion_id,
        )


def undone_details(suggestion: Suggestion) -> dict[str, Any]:
    return {**move_details(suggestion), "new_suggestion_id": suggestion.pk}
