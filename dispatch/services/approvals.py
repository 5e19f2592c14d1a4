"""How a move becomes a task: of a suggestion, or written by hand."""

from dataclasses import dataclass

from django.db import transaction

from ..exceptions import Conflict
from ..models import EventKind, Move, Task
from .events import record_task
from .locks import take_turns
from .suggestions import lock_suggestion


@dataclass(frozen=True)
class Approval:
    """A new task, and what its approver should know about it: a sentence each."""

    task: Task
    warnings: list[str]


@transaction.atomic(durable=True)
def approve_suggestion(suggestion_id: int, *, actor: str) -> Approval:
    """Turn a suggestion into a ready task. NotFound names the task if it already became one.

    Conflict: it has expired, or its row was given the id of an earlier one.
    """
    suggestion = lock_suggestion(suggestion_id)
    if suggestion.expires_at is not None and suggestion.expires_at <= suggestion.now:
        raise Conflict(
            f"Suggestion {suggestion_id} expired at {suggestion.expires_at:%Y-%m-%d %H:%M:%S %Z}."
        )
    if Task.objects.filter(suggestion_id=suggestion_id).exists():
        raise Conflict(
            f"Suggestion {suggestion_id} has the id of one that became a task: enter it anew."
        )
    warnings = warnings_about(suggestion)
    task = Task.objects.create(
        from_station_id=suggestion.from_station_id,
        to_station_id=suggestion.to_station_id,
        qty=suggestion.qty,
        reason=suggestion.reason,
        priority=suggestion.priority,
        suggestion_id=suggestion.pk,
        source=suggestion.source,
    )
    record_new(EventKind.APPROVED, task, actor, warnings)
    suggestion.delete()
    return Approval(task, warnings)


@transaction.atomic
def create_task(task: Task, *, actor: str) -> Approval:
    """Save a ready task that a dispatcher wrote by hand, with no suggestion behind it.

    Not durable: the console's form has a transaction.
    """
    warnings = warnings_about(task)
    task.save(force_insert=True)
    record_new(EventKind.CREATED, task, actor, warnings)
    return Approval(task, warnings)


def warnings_about(move: Move) -> list[str]:
    # Of two approvals of the same move at once, the second must see the first one's task.
    take_turns(f"move {move.from_station_id} {move.to_station_id}")
    same = Task.objects.open().filter(
        from_station_id=move.from_station_id, to_station_id=move.to_station_id
    )
    return [
        f"Task {task_id}, {status}, already moves bikes from {move.from_station_id} "
        f"to {move.to_station_id}."
        for task_id, status in same.order_by("id").values_list("id", "status")[:3]
    ]


def record_new(kind: EventKind, task: Task, actor: str, warnings: list[str]) -> None:
    details = {"warnings": warnings} if warnings else {}
    record_task(kind, task, actor, **details)
