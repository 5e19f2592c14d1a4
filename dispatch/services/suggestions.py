from django.db import transaction

from ..exceptions import NotFound
from ..models import EventKind, Suggestion, TaskEvent
from .events import record_suggestion
from .priorities import shifted

DECIDED = [EventKind.APPROVED, EventKind.REJECTED, EventKind.EXPIRED]


def lock_suggestion(suggestion_id: int) -> Suggestion:
    """The row as it is under its lock, and `suggestion.now`: the database's clock."""
    suggestions = Suggestion.objects.with_now().select_for_update()
    suggestion = suggestions.filter(pk=suggestion_id).first()
    if suggestion is None:
        raise NotFound(what_became_of(suggestion_id))
    return suggestion


def what_became_of(suggestion_id: int) -> str:
    decisions = TaskEvent.objects.filter(suggestion_id=suggestion_id, kind__in=DECIDED)
    decision = decisions.order_by("id").last()
    if decision is None:
        return f"Suggestion {suggestion_id} not found."
    match decision.kind:
        case EventKind.APPROVED:
            return f"Suggestion {suggestion_id} was already approved as task {decision.task_id}."
        case EventKind.REJECTED:
            return f"Suggestion {suggestion_id} was already rejected by {decision.actor}."
        case _:
            return f"Suggestion {suggestion_id} expired and was removed."


@transaction.atomic(durable=True)
def reject_suggestion(suggestion_id: int, *, actor: str, reason: str) -> TaskEvent:
    """Remove a suggestion; the event keeps it and the reason, for the job that proposed it."""
    suggestion = lock_suggestion(suggestion_id)
    event = record_suggestion(EventKind.REJECTED, suggestion, actor, rejection=reason)
    suggestion.delete()
    return event


@transaction.atomic(durable=True)
def prioritize_suggestion(
    suggestion_id: int, *, actor: str, priority: int | None = None, by: int = 0
) -> Suggestion:
    """Set the priority to a value, or shift the present one; it stays within its range."""
    suggestion = lock_suggestion(suggestion_id)
    former, suggestion.priority = suggestion.priority, shifted(suggestion, priority, by)
    suggestion.changed = suggestion.priority != former
    if suggestion.changed:
        suggestion.save(update_fields=["priority"])
        record_suggestion(
            EventKind.PRIORITIZED,
            suggestion,
            actor,
            former_priority=former,
            priority=suggestion.priority,
        )
    return suggestion


@transaction.atomic
def create_suggestion(suggestion: Suggestion, *, actor: str) -> Suggestion:
    """Save a suggestion that a person wrote. Not durable: the console's form has a transaction."""
    suggestion.save(force_insert=True)
    record_suggestion(EventKind.SUGGESTED, suggestion, actor)
    return suggestion
