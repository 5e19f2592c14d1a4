from django.db import transaction

from ..exceptions import NotFound
from ..models import EventKind, Suggestion, Task, TaskEvent
from .events import record_suggestion, record_task


def lock_suggestion(suggestion_id: int) -> Suggestion:
    suggestion = Suggestion.objects.select_for_update().filter(pk=suggestion_id).first()
    if suggestion is None:
        raise NotFound(what_became_of(suggestion_id))
    return suggestion


def what_became_of(suggestion_id: int) -> str:
    task_id = Task.objects.filter(suggestion_id=suggestion_id).values_list("id", flat=True).first()
    if task_id is not None:
        return f"Suggestion {suggestion_id} was already approved as task {task_id}."
    event = (
        TaskEvent.objects.filter(suggestion_id=suggestion_id, kind=EventKind.REJECTED)
        .order_by("id")
        .last()
    )
    if event is not None:
        return f"Suggestion {suggestion_id} was already rejected by {event.actor}."
    return f"Suggestion {suggestion_id} not found."


@transaction.atomic(durable=True)
def approve_suggestion(suggestion_id: int, *, actor: str) -> Task:
    """Turn a suggestion into a ready task. NotFound names the task if it already became one."""
    suggestion = lock_suggestion(suggestion_id)
    task = Task.objects.create(
        from_station_id=suggestion.from_station_id,
        to_station_id=suggestion.to_station_id,
        qty=suggestion.qty,
        reason=suggestion.reason,
        priority=suggestion.priority,
        suggestion_id=suggestion.pk,
    )
    record_task(EventKind.APPROVED, task, actor, source=suggestion.source)
    suggestion.delete()
    return task


@transaction.atomic(durable=True)
def reject_suggestion(suggestion_id: int, *, actor: str, reason: str) -> None:
    """Remove a suggestion; the event keeps it and the reason, for the job that proposed it."""
    suggestion = lock_suggestion(suggestion_id)
    record_suggestion(EventKind.REJECTED, suggestion, actor, rejection=reason)
    suggestion.delete()


@transaction.atomic
def create_suggestion(suggestion: Suggestion, *, actor: str) -> Suggestion:
    """Save a suggestion that a person wrote. Not durable: the console's form has a transaction."""
    suggestion.save(force_insert=True)
    record_suggestion(EventKind.SUGGESTED, suggestion, actor)
    return suggestion
